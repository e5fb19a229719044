"""The items of a Responses conversation as the messages of a chat, in the order that chats demand.

Calls that follow each other are one assistant's message; their outputs stand directly behind it, each once, whatever stood
between them; pictures in outputs follow in a user's message, since a tool's message is text. What a model thought is given
back where that is wanted. Nothing here looks at other members of a request.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import BadRequest, Unsupported
from .responses_tools import CUSTOM, FUNCTION, SHOWN_CHARS, Tool, Toolbox, is_deep, wrapped

Json = dict[str, Any]
Recall = Callable[[str], "Json | None"]

TEXTS = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "refusal": "refusal",
    "summary_text": "text",
    "reasoning_text": "text",
}
ROLES = frozenset({"user", "assistant", "system", "developer"})
ABOVE = frozenset({"system", "developer"})
CALLS = {"function_call": FUNCTION, "custom_tool_call": CUSTOM, "local_shell_call": "local_shell_call"}
OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output", "local_shell_call_output"})
LOCAL_SHELL = "local_shell"
# Items of tools that run on OpenAI's servers, of conversations that were shortened there, and what is read elsewhere.
LEFT_OUT = frozenset(
    {"additional_tools", "compaction", "compaction_summary", "context_compaction", "program", "program_output"}
    | {"mcp_list_tools", "mcp_approval_request", "mcp_approval_response", "tool_search_output"}
)
HOSTED = ("_call", "_call_output")

# Coding agents whose conversation has become too long for their model end it with this, and want an item back that stands for it.
TRIGGER, COMPACTION = "compaction_trigger", "compaction"
SUM_UP = (
    "This conversation has become too long and begins anew with what you write now, behind the user's own messages. Sum it up for "
    "whoever goes on with the work: what is wanted, what was done and decided, what was found out (files, commands, results, "
    "errors, in so far as they matter still), and what comes next. Write nothing but that, and call no tools."
)
SUMMED_UP = "This conversation was longer. What it came to:\n\n"

OUR_REASONING = re.compile(r"rs_[0-9a-f]{34,35}")  # the ids of such items: that of the response, and a number
SEAL = "ipin1."  # before what our own answers gave as encrypted reasoning; what others encrypted nobody here can read
DETAILS = "reasoning_details"
AFTER = "after"  # marks one that stands behind what it belongs to
MOST_SEALED = 16 * 1024 * 1024


class Turn:
    """A message, and behind an assistant's the outputs that its calls wait for. What was thought before it is put into it when
    all of that is known."""

    __slots__ = ("awaited", "details", "is_over", "message", "pictures", "thoughts")

    def __init__(self, message: Json) -> None:
        self.message = message
        self.awaited: dict[str, Json | None] = {}
        self.is_over = False  # one of its calls has its output
        self.pictures: list[Json] = []
        self.thoughts: list[str] = []
        self.details: list[Any] = []


class Chat:
    """A conversation as it is read, item by item. `recall` tells what was kept of an item when it was made."""

    def __init__(self, tools: Toolbox, *, openai: bool, reasoning: bool, details: bool, recall: Recall) -> None:
        self.notes: list[str] = []
        self.compacts = False  # the answer is to stand for all of it
        self._tools = tools
        self._openai = openai
        self._reasoning = reasoning
        self._gives_details = details
        self._recall = recall
        self._turns: list[Turn] = []
        self._open: dict[str, Turn] = {}  # by the id of a call that has no output yet
        self._thoughts: list[str] = []  # of whoever speaks next
        self._details: list[Any] = []
        self._sealed_calls: Json = {}  # what a provider wants to have back with a call

    def instruct(self, text: str) -> None:
        self._turns.append(Turn({"role": self._role("developer"), "content": text}))

    def read(self, items: Iterable[tuple[Json, str]]) -> None:
        items = list(items)
        for item, _ in items:
            if item.get("type") == "reasoning":
                self._sealed_calls |= calls_in(unsealed(item.get("encrypted_content")))
        for item, place in items:
            self._read_one(item, place)
        self.compacts = bool(items) and items[-1][0].get("type") == TRIGGER
        if self.compacts:
            self._turns.append(Turn({"role": "user", "content": SUM_UP}))

    def _read_one(self, item: Json, place: str) -> None:
        kind = item.get("type")
        if kind is None and "role" in item:
            kind = "message"
        if type(kind) is not str:
            raise BadRequest(f"{place} has no type, such as message.", param=f"{place}.type")
        if kind == "message":
            self._message(item, place)
        elif kind in CALLS:
            self._call(item, kind, place)
        elif kind in OUTPUTS:
            self._output(item, place)
        elif kind == "reasoning":
            self._thought(item, place)
        elif kind == TRIGGER:
            return  # an earlier one has been answered, with what stands behind it
        elif kind == COMPACTION and (summary := summary_in(item.get("encrypted_content"))):
            self._turns.append(Turn({"role": "user", "content": summary}))
        elif kind in LEFT_OUT or kind.endswith(HOSTED):
            if kind != "additional_tools":
                self.notes.append(f"items of the type '{kind[:SHOWN_CHARS]}' were left out: a chat knows none")
        else:
            raise BadRequest(
                f"{place} is of the type '{kind[:SHOWN_CHARS]}', which has no place in a chat. Leave it out.",
                param=f"{place}.type",
            )

    def _role(self, role: str) -> str:
        return "system" if role in ABOVE and not self._openai else role

    def _message(self, item: Json, place: str) -> None:
        role = item.get("role")
        if type(role) is not str or role not in ROLES:
            raise BadRequest(f"{place}.role must be one of {', '.join(sorted(ROLES))}.", param=f"{place}.role")
        content = content_of(item.get("content"), f"{place}.content", only_text=role != "user")
        if content == "" and role != "user":
            return  # there is nothing to it, and some servers refuse it
        turn = Turn({"role": self._role(role), "content": content})
        if role == "assistant":
            self._think(turn)
        else:
            self._forget()
        self._turns.append(turn)

    def _call(self, item: Json, kind: str, place: str) -> None:
        call_id = item.get("call_id") or item.get("id")
        if type(call_id) is not str or not call_id:
            raise BadRequest(f"{place}.call_id must be the id of the call.", param=f"{place}.call_id")
        if call_id in self._open:
            raise BadRequest(
                f"{place}.call_id is '{call_id[:SHOWN_CHARS]}', as that of a call before it.", param=f"{place}.call_id"
            )
        name, arguments = self._called(item, kind, place)
        turn = self._turns[-1] if self._turns else None
        if turn is None or turn.message["role"] != "assistant" or turn.is_over:
            turn = Turn({"role": "assistant", "content": None})
            self._turns.append(turn)
        self._think(turn)
        id_ = item.get("id")
        kept = self._recall(id_) if self._gives_details and type(id_) is str else None
        if kept is not None and not turn.details:
            turn.details += kept.get(DETAILS, ())
        call: Json = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        extra = item.get("extra_content") or self._sealed_calls.get(call_id)
        if type(extra) is dict and not is_deep(extra):
            call["extra_content"] = extra
        turn.message.setdefault("tool_calls", []).append(call)
        turn.awaited[call_id] = None
        self._open[call_id] = turn

    def _called(self, item: Json, kind: str, place: str) -> tuple[str, str]:
        """The function's name and its arguments."""
        if kind == "local_shell_call":
            action = item.get("action")
            if type(action) is not dict or is_deep(action):
                raise BadRequest(f"{place}.action must be an object with a command.", param=f"{place}.action")
            return LOCAL_SHELL, json.dumps(action)
        name, namespace = item.get("name"), item.get("namespace")
        if type(name) is not str or not name:
            raise BadRequest(f"{place}.name must be the name of the tool.", param=f"{place}.name")
        tool = Tool(CALLS[kind], name, namespace if type(namespace) is str else None)
        member = "input" if kind == CUSTOM else "arguments"
        text = item.get(member)
        if type(text) is dict and not is_deep(text):
            text = json.dumps(text)
        if type(text) is not str:
            raise BadRequest(f"{place}.{member} must be a text.", param=f"{place}.{member}")
        return self._tools.name_of(tool), wrapped(text) if kind == CUSTOM else text or "{}"

    def _output(self, item: Json, place: str) -> None:
        call_id = item.get("call_id") or item.get("id")
        if type(call_id) is not str:
            raise BadRequest(f"{place}.call_id must be the id of a call.", param=f"{place}.call_id")
        turn = self._open.pop(call_id, None)
        if turn is None:
            raise BadRequest(
                f"No tool call found for the output with call_id '{call_id[:SHOWN_CHARS]}'. Each call has one output, behind it.",
                param=f"{place}.call_id",
            )
        content = content_of(item.get("output"), f"{place}.output", only_text=False)
        if type(content) is list:
            texts = [part["text"] for part in content if part["type"] == "text"]
            turn.pictures += [part for part in content if part["type"] != "text"]
            content = "\n".join(texts) or "The output follows in the next message."
        turn.awaited[call_id] = {"role": "tool", "tool_call_id": call_id, "content": content}
        turn.is_over = True
        self._forget()

    def _thought(self, item: Json, place: str) -> None:
        sealed = unsealed(item.get("encrypted_content"))
        texts = [thought_of(item.get(member), f"{place}.{member}") for member in ("content", "summary")]
        text = sealed.get("text") or next(filter(None, texts), "")
        if type(text) is str and text:
            self._thoughts.append(text)
        details = sealed.get("details")
        if type(details) is not list:
            return
        if sealed.get(AFTER) is not True:
            self._details += details
        elif self._gives_details and self._turns and self._turns[-1].message["role"] == "assistant":
            self._turns[-1].details += details

    def _think(self, turn: Turn) -> None:
        """Give back to a turn what was thought before it."""
        if self._reasoning:
            turn.thoughts += self._thoughts
        if self._gives_details:
            turn.details += self._details
        self._forget()

    def _forget(self) -> None:
        self._thoughts, self._details = [], []

    def messages(self) -> list[Json]:
        """The messages, once all is read. Raises BadRequest for a call without its output."""
        for call_id in self._open:
            raise BadRequest(
                f"No tool output found for the call '{call_id[:SHOWN_CHARS]}'. Send one, or leave the call out.",
                param="input",
            )
        found: list[Json] = []
        for turn in self._turns:
            # Who wants it back wants it with every call, even if there is none.
            if turn.thoughts or (self._reasoning and turn.awaited):
                turn.message["reasoning_content"] = "\n".join(turn.thoughts)
            if turn.details:
                turn.message[DETAILS] = turn.details
            found.append(turn.message)
            found += [output for output in turn.awaited.values() if output is not None]
            if turn.pictures:
                found.append(
                    {"role": "user", "content": [{"type": "text", "text": "The tool's output:"}, *turn.pictures]}
                )
        return found if self._openai else with_one_system(found)


def with_one_system(messages: list[Json]) -> list[Json]:
    """All that stands at the beginning in one message: many templates of models know a single one, and only there."""
    above = 0
    while above < len(messages) and messages[above]["role"] == "system":
        above += 1
    if above < 2:
        return messages
    text = "\n\n".join(message["content"] for message in messages[:above])
    return [{"role": "system", "content": text}, *messages[above:]]


# -- what is in an item ---------------------------------------------------------------------------------------------


def content_of(content: Any, place: str, *, only_text: bool) -> str | list[Json]:
    """Content for a chat: a text where it is nothing else, since not every server takes parts."""
    if content is None:
        return ""
    if type(content) is str:
        return content
    if type(content) is dict:  # the screen of a computer
        content = [content]
    if type(content) is not list:
        raise BadRequest(f"{place} must be a text or a list of parts.", param=place)
    parts = [part_of(part, f"{place}[{at}]") for at, part in enumerate(content)]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    if only_text:
        raise BadRequest(f"{place} may only have text: pictures and files are the user's.", param=place)
    return parts


def part_of(part: Any, place: str) -> Json:
    kind = part.get("type") if type(part) is dict else None
    if type(kind) is not str:
        raise BadRequest(f"{place} must be an object with a type, such as input_text.", param=f"{place}.type")
    if kind in TEXTS:
        return {"type": "text", "text": text_in(part, TEXTS[kind], place)}
    if kind in ("input_image", "computer_screenshot", "image_url"):
        return image_of(part, place)
    if kind == "input_file":
        return file_of(part, place)
    if kind == "input_audio" and type(part.get("input_audio")) is dict:
        return {"type": "input_audio", "input_audio": part["input_audio"]}
    raise BadRequest(
        f"{place} is of the type '{kind[:SHOWN_CHARS]}', which has no place in a chat.", param=f"{place}.type"
    )


def image_of(part: Json, place: str) -> Json:
    url = part.get("image_url")
    if type(url) is dict:
        url = url.get("url")
    if type(url) is not str or not url:
        if part.get("file_id") is not None:
            raise elsewhere(f"{place}.file_id", "Send the image as a data URL in image_url.")
        raise BadRequest(f"{place}.image_url must be a text: a data URL or an address.", param=f"{place}.image_url")
    image: Json = {"url": url}
    if type(part.get("detail")) is str:
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image}


def file_of(part: Json, place: str) -> Json:
    data, name = part.get("file_data"), part.get("filename")
    if type(data) is not str or not data:
        for member in ("file_id", "file_url"):
            if part.get(member) is not None:
                raise elsewhere(f"{place}.{member}", "Send the file as a data URL in file_data.")
        raise BadRequest(f"{place}.file_data must be the file as a data URL.", param=f"{place}.file_data")
    return {"type": "file", "file": {"file_data": data, **({"filename": name} if type(name) is str else {})}}


def elsewhere(place: str, remedy: str) -> Unsupported:
    return Unsupported(f"{place} is somewhere that a provider which only chats cannot look. {remedy}", param=place)


def text_in(part: Json, member: str, place: str) -> str:
    text = part.get(member)
    if type(text) is not str:
        raise BadRequest(f"{place}.{member} must be a text.", param=f"{place}.{member}")
    return text


def thought_of(parts: Any, place: str) -> str:
    if parts is None:
        return ""
    if type(parts) is not list:
        raise BadRequest(f"{place} must be a list of parts.", param=place)
    return "\n".join(
        part["text"] for at, each in enumerate(parts) if (part := part_of(each, f"{place}[{at}]"))["type"] == "text"
    )


# -- reasoning that is handed back ----------------------------------------------------------------------------------


def sealed(value: Json) -> str:
    """What an answer gives as encrypted reasoning, for the caller to keep. It is no secret: the caller has seen it all."""
    return SEAL + base64.b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def unsealed(text: Any) -> Json:
    """What `sealed` was given; {} for anything else."""
    if not is_sealed(text) or len(text) > MOST_SEALED:
        return {}
    try:
        value = json.loads(base64.b64decode(text[len(SEAL) :]))
    except (ValueError, RecursionError):
        return {}
    return value if type(value) is dict and not is_deep(value) else {}


def summary_in(seal: Any) -> str:
    """What a conversation came to that was made shorter here, in words; "" where others did."""
    summary = unsealed(seal).get("summary")
    return SUMMED_UP + summary if type(summary) is str else ""


def without_ours(body: Json, whole: Callable[[str], str]) -> Json:
    """What changes of a request for who speaks this API: what was sealed here is put into words, or goes, since nobody there can
    open it, and so does reasoning that they would look for by its id. The conversation would be refused from then on. `whole`
    gives all of a long string."""
    items = body.get("input")
    if type(items) is not list:
        return {}
    told = [each for item in items for each in opened(item, whole)]
    return {"input": told} if told != items else {}


def opened(item: Any, whole: Callable[[str], str]) -> list[Any]:
    if type(item) is not dict or not is_ours(item):
        return [item]
    summary = summary_in(whole(item.get("encrypted_content") or ""))
    return [{"type": "message", "role": "user", "content": summary}] if summary else []


def is_ours(item: Json) -> bool:
    kept, id = item.get("encrypted_content"), item.get("id")
    if kept is not None or item.get("type") != "reasoning":
        return is_sealed(kept)
    return type(id) is str and OUR_REASONING.fullmatch(id) is not None


def is_sealed(text: Any) -> bool:
    return type(text) is str and text.startswith(SEAL)


def calls_in(value: Json) -> Json:
    calls = value.get("calls")
    return calls if type(calls) is dict else {}
