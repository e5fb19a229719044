"""What a model thought and what it said, told apart in the messages and deltas of a chat, wherever providers put the two."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
Said = list[tuple[str, str]]

THOUGHT, TEXT = "thinking", "text"
OPEN, CLOSE = "<think>", "</think>"
MOST_BLANKS = 1000  # characters in front of the mark, while nobody knows whether it comes


class ToldBeside:
    """The reasoning beside the content of an answer: DeepSeek's, vLLM's and Groq's members, else OpenRouter's details. Some tell
    it twice, in a stream even one behind the other: who has the members has all of it in them. MiniMax tells it between marks in
    the content as well: of whom `has_told` is true, those say nothing new."""

    __slots__ = ("_has_members", "has_told")

    def __init__(self) -> None:
        self._has_members = self.has_told = False

    def of(self, message: Json) -> str:
        """What a message or a delta tells."""
        for name in ("reasoning_content", "reasoning"):
            told = message.get(name)
            if type(told) is str and told:
                self._has_members = self.has_told = True
                return told
        text = "" if self._has_members else detailed(message)
        self.has_told = self.has_told or bool(text)
        return text


def detailed(message: Json) -> str:
    """What the details tell that can be read."""
    details = message.get("reasoning_details")
    found = ""
    for row in details if type(details) is list else ():
        if type(row) is dict:
            text = row.get("text") if row.get("type") != "reasoning.summary" else row.get("summary")
            found += text if type(text) is str else ""
    return found


def add_detail(details: list[Any], detail: Json) -> None:
    """A detail of OpenRouter's reasoning: of one that comes in pieces they are put together, since it is wanted back whole."""
    last = details[-1] if details else {}
    if detail.get("index") is not None and all(last.get(name) == detail.get(name) for name in ("type", "index")):
        more = {name: told for name, told in detail.items() if told is not None}
        joined = {
            name: last[name] + (told if type(told := detail.get(name)) is str else "")
            for name in ("text", "summary")
            if type(last.get(name)) is str
        }
        if joined:
            details[-1] = {**last, **more, **joined}
            return
    details.append(detail)


def said_in(content: Any) -> Said:
    """A content, as a text or as parts, of which Mistral's may be thoughts. What is neither says nothing."""
    if type(content) is str:
        return [(TEXT, content)] if content else []
    said: Said = []
    for part in content if type(content) is list else ():
        if type(part) is not dict:
            continue
        inner = part.get("thinking")
        if part.get("type") == "thinking" and type(inner) is list:
            said += [(THOUGHT, text) for _, text in said_in(inner)]
        elif type(inner) is str and inner and part.get("type") == "thinking":
            said.append((THOUGHT, inner))
        elif type(text := part.get("text")) is str and text:
            said.append((TEXT, text))
    return said


class ThinkSplitter:
    """Thoughts that stand in front of a text, between marks, cut anywhere. Nothing is held back but what may be a mark."""

    __slots__ = ("_held", "_state")

    def __init__(self) -> None:
        self._state = "start"
        self._held = ""

    def feed(self, text: str) -> Said:
        if self._state == TEXT:
            return [(TEXT, text)] if text else []
        text, self._held = self._held + text, ""
        said: Said = []
        if self._state == "start":
            bare = text.lstrip()
            if bare.startswith(OPEN):
                self._state, text = "opened", bare[len(OPEN) :]
            elif OPEN.startswith(bare) and len(text) <= MOST_BLANKS:
                self._held = text
                return []
            else:
                self._state = TEXT
                return [(TEXT, text)]
        if self._state == "opened":
            text = text.lstrip()
            if text:
                self._state = THOUGHT
        if self._state == THOUGHT:
            text = self._think(text, said)
        if self._state == "closed":
            text = text.lstrip()
            if text:
                self._state = TEXT
                said.append((TEXT, text))
        return said

    def _think(self, text: str, said: Said) -> str:
        """Take the thoughts off a text; returns what comes behind them."""
        at = text.find(CLOSE)
        if at >= 0:
            self._state = "closed"
            if thought := text[:at].rstrip():
                said.append((THOUGHT, thought))
            return text[at + len(CLOSE) :]
        keep = next((size for size in range(len(CLOSE) - 1, 0, -1) if text.endswith(CLOSE[:size])), 0)
        thought = text[: len(text) - keep].rstrip()  # blanks in front of the mark are part of it
        if len(text) - len(thought) > MOST_BLANKS:
            thought = text[: len(text) - keep]
        self._held = text[len(thought) :]
        if thought:
            said.append((THOUGHT, thought))
        return ""

    def finish(self) -> Said:
        """What was held back, now that nothing more comes that may be a mark: what still comes is text."""
        kind = THOUGHT if self._state == THOUGHT else TEXT
        held, self._held, self._state = self._held, "", TEXT
        return [(kind, held)] if held else []
