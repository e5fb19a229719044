"""What an alias does to the system prompt of a conversation: put its own before it, behind it, or in its place.

A template may have placeholders for what a coding agent writes about itself into its own prompt: `{{ENV_INFO}}` (where it runs),
`{{MODEL_INFO}}` (what it was told of its model) and `{{MCP_INSTRUCTIONS}}` (what its servers of tools want it to know). What is
not there is empty; other words in braces are left alone. For each of the three shapes of a conversation there is a function
that makes the members that change, of the body, and changes nothing. Pure; loaded with the first alias that has a prompt.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .records import SystemPrompt
from .web.members import PLAIN_ESCAPES, Members

Json = dict[str, Any]
Whole = Callable[[str], str]

BETWEEN = "\n\n"
PLACEHOLDER = re.compile(r"\{\{(ENV_INFO|MODEL_INFO|MCP_INSTRUCTIONS)\}\}")
LEADING = ("system", "developer")
# An agent's first block may be a line for whoever bills it, which is no prompt and stays where it is.
NO_PROMPT = re.compile(r"x-[a-z]+-billing-header:")

ENV_TAGS = ("env", "environment_context")
ENV_HEADING = re.compile(r"(?:working )?environment(?: information)?", re.IGNORECASE)
MCP_HEADING = re.compile(r"mcp(?: server)? instructions", re.IGNORECASE)
# No line is looked at twice, and none for long: it is a stranger's, and may be millions of blanks.
HEADING = re.compile(r"(#{1,6})[ \t]+(.*)")
FENCE = re.compile(r"[ \t]{0,3}(?:```|~~~)")
MODEL_LINE = re.compile(
    r"[ \t]{0,99}(?:[-*][ \t]{1,99})?(?:You are powered by |(?:Assistant )?knowledge cutoff)", re.IGNORECASE
)
BULLET = re.compile(r"[ \t]*[-*][ \t]+")


# -- the three shapes -------------------------------------------------------------------------------------------------


def for_chat(body: Mapping[str, Any], prompt: SystemPrompt, whole: Whole = str) -> Json:
    """A chat: the system (or developer) messages it begins with are its prompt."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        return {}
    first, others = parted(messages)
    ours = filled(prompt, (whole(text) for each in first for text in texts_of(each.get("content"))))
    if not ours.strip() and prompt.mode != "replace":
        return {}
    if not first:
        return {"messages": [{"role": "system", "content": ours}, *others]} if ours.strip() else {}
    if prompt.mode == "replace":
        parts = replaced([part for each in first for part in parts_of(each.get("content"))], ours)
        # Parts only for the mark of a cache among them: not every server takes a system prompt in parts.
        content = parts if any("cache_control" in part for part in parts) else ours
        return {"messages": [*([{**first[0], "content": content}] if ours.strip() else []), *others]}
    place = 0 if prompt.mode == "prepend" else -1
    first[place] = {**first[place], "content": beside(first[place].get("content"), ours, prompt.mode)}
    return {"messages": [*first, *others]}


def for_messages(body: Mapping[str, Any], prompt: SystemPrompt, whole: Whole = str) -> Json:
    """A Messages request: `system` is a text, or blocks of text, of which marks of a cache are kept."""
    system = body.get("system")
    blocks = system if isinstance(system, list) else []
    kept = [each for each in blocks[:1] if any(NO_PROMPT.match(text) for text in texts_of([each]))]
    rest = blocks[len(kept) :]
    ours = filled(prompt, map(whole, texts_of(rest if blocks else system)))
    if not ours.strip() and (prompt.mode != "replace" or not system):
        return {}
    if not blocks:
        text = system if isinstance(system, str) and prompt.mode != "replace" else ""
        return {"system": beside(text, ours, prompt.mode)}
    if prompt.mode == "replace":
        return {"system": [*kept, *replaced(rest, ours)]}
    return {"system": [*kept, *beside(rest, ours, prompt.mode)]}


def for_responses(body: Mapping[str, Any], prompt: SystemPrompt, whole: Whole = str) -> Json:
    """A Responses request: `instructions` is a text. Clients that have none put their prompt where a chat has it: then it is the
    system (or developer) messages that `input` begins with."""
    theirs, items = body.get("instructions"), body.get("input")
    text = theirs if isinstance(theirs, str) else ""
    first, others = parted(items) if isinstance(items, list) and not text else ([], [])
    if not others or is_continued(body):
        first = []  # they are all that is asked, or are said in the middle of a conversation
    said = [text, *(each for item in first for each in texts_of(item.get("content")))]
    ours = filled(prompt, map(whole, said))
    if first and prompt.mode == "replace":
        return {"input": others, **({"instructions": ours} if ours.strip() else {})}
    if not ours.strip() and (prompt.mode != "replace" or not text):
        return {}
    if first and prompt.mode == "append":
        last = {**first[-1], "content": beside(first[-1].get("content"), ours, "append", "input_text")}
        return {"input": [*first[:-1], last, *others]}
    return {"instructions": beside(text if prompt.mode != "replace" else "", ours, prompt.mode)}


def put(
    members: Members, prompt: SystemPrompt, shape: Callable[[Mapping[str, Any], SystemPrompt, Whole], Json]
) -> None:
    """The prompt in a body that goes out: the members that it changes are written anew. Raises BodyError when it is nested too deeply."""
    changes = shape(members.values, prompt, lambda text: whole_text(members, text))
    members.values.update(changes)
    members.amend(*changes)


# -- the template -----------------------------------------------------------------------------------------------------


def filled(prompt: SystemPrompt, theirs: Any) -> str:
    """The template with what the client's own prompt says in place of the placeholders. What it says is not looked through
    for further ones."""
    if not PLACEHOLDER.search(prompt.template):
        return prompt.template
    found = sections("\n\n".join(theirs))
    return PLACEHOLDER.sub(lambda match: found[match[1]], prompt.template)


def sections(text: str) -> dict[str, str]:
    """What a coding agent's prompt says of its environment, its model and its servers of tools, by placeholder; "" for what
    it does not say. Of the environment, what is said of the model is no part."""
    blocks = filter(None, (block_of(text, tag) for tag in ENV_TAGS))
    environment = next(blocks, "") or section_of(text, ENV_HEADING)
    lines = environment.split("\n")
    about_model = [line for line in text.split("\n") if MODEL_LINE.match(line)]
    return {
        "ENV_INFO": "\n".join(line for line in lines if not MODEL_LINE.match(line)).strip(),
        "MODEL_INFO": "\n".join(dict.fromkeys(map(without_bullet, about_model))),
        "MCP_INSTRUCTIONS": section_of(text, MCP_HEADING),
    }


def block_of(text: str, tag: str) -> str:
    """The first element of that name, with its tags; "" where there is none that ends."""
    begin = text.find(f"<{tag}>")
    end = text.find(f"</{tag}>", begin) if begin >= 0 else -1
    return text[begin : end + len(tag) + 3] if end >= 0 else ""


def without_bullet(line: str) -> str:
    bullet = BULLET.match(line)
    return line[bullet.end() if bullet is not None else 0 :].strip()


def section_of(text: str, wanted: re.Pattern[str]) -> str:
    """A section with its heading, up to the next one of its level or above; "" where there is none. What looks like a heading
    in a block of code is none."""
    found: list[str] = []
    level, in_code = 0, False
    for line in text.split("\n"):
        in_code ^= bool(FENCE.match(line))
        heading = None if in_code else HEADING.fullmatch(line.rstrip("\r"))
        if heading is not None and level and len(heading[1]) <= level:
            break
        if heading is not None and not level and wanted.fullmatch(heading[2].rstrip(" \t#:")):
            level = len(heading[1])
        if level:
            found.append(line)
    return "\n".join(found).strip()


# -- texts and parts --------------------------------------------------------------------------------------------------


def parted(messages: list[Any]) -> tuple[list[Any], list[Any]]:
    """The system (or developer) messages that a conversation begins with, and all others."""
    count = next((place for place, each in enumerate(messages) if not is_leading(each)), len(messages))
    return messages[:count], messages[count:]


def is_continued(body: Mapping[str, Any]) -> bool:
    """Whether a Responses request is about what was said before and only referred to."""
    return bool(body.get("previous_response_id") or body.get("conversation"))


def is_leading(message: Any) -> bool:
    return isinstance(message, dict) and message.get("role") in LEADING


def texts_of(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    for part in content if isinstance(content, list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            yield part["text"]


def parts_of(content: Any) -> list[Json]:
    if isinstance(content, list):
        return [part for part in content if isinstance(part, dict)]
    return [{"type": "text", "text": content}] if isinstance(content, str) else []


def replaced(parts: list[Any], ours: str) -> list[Json]:
    """One part in place of all of them, with the last mark of a cache that one of them had."""
    if not ours.strip():
        return []
    marks = [part["cache_control"] for part in parts if isinstance(part, dict) and part.get("cache_control")]
    return [{"type": "text", "text": ours, **({"cache_control": marks[-1]} if marks else {})}]


def beside(content: Any, ours: str, mode: str, kind: str = "text") -> Any:
    """A prompt as a text, or its parts, with ours before or behind; `kind` is what a part of text is called."""
    if isinstance(content, list):
        part = {"type": kind, "text": ours}
        return [*content, part] if mode == "append" else [part, *content]
    if not isinstance(content, str) or not content:
        return ours
    return f"{content}{BETWEEN}{ours}" if mode == "append" else f"{ours}{BETWEEN}{content}"


def whole_text(members: Members, text: str) -> str:
    """A string of a body, complete. What was left out of a long one stands there as in JSON."""
    return "".join(each if isinstance(each, str) else unescaped(bytes(each)) for each in members.stretches(text))


def unescaped(data: bytes) -> str:
    for escape, plain in PLAIN_ESCAPES.items():
        data = data.replace(escape, plain)
    return data.decode("ascii", "replace")
