"""What to do without after a refusal, where it was not the caller who asked for it: members that we wrote into a chat on the
way from another dialect, answers longer than a model gives, system messages elsewhere than at the beginning, patterns in the
schemas of tools. What is found out is remembered."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from itertools import groupby
from typing import Any

from ..call import Deployment
from ..manners import Manners
from ..upstream import Heard, Outbound
from ..web.response import JSON_TYPE
from .openai import error_told
from .schemas import plain_chat

Json = dict[str, Any]

MOST_TRIES = 4
REFUSED = (400, 422)
REFUSAL_CHARS = 500  # longer ones repeat what a caller sent: no member is refused by its name there
MOST_CHARS = 16 * 1024  # of a refusal that is looked through for the caller's words
LIMITS = ("max_tokens", "max_completion_tokens")
# How many tokens a model gives at most, as OpenAI, DeepSeek and Groq say it.
MOST_TOKENS = re.compile(
    r"supports at most (\d+) completion tokens|valid range of max_tokens is \[1, *(\d+)\]"
    r"|max_(?:completion_)?tokens[`'\"]? must be less than or equal to [`'\"]?(\d+)"
)
OPTIONAL = (
    "reasoning_effort",
    "reasoning",
    "user",
    "top_k",
    "parallel_tool_calls",
    "temperature",
    "top_p",
    "max_tokens",
)
# How templates refuse a system message that is not the first (Qwen's, Mistral's), with a 500 where llama.cpp or Ollama serve
# them. Coding agents send some in nearly every conversation.
LATER_SYSTEM = "later system messages"
ONLY_LEADING = re.compile(
    r"system message must be (?:at the beginning|(?:the )?first)|roles must alternate|only user,? (?:and )?assistant",
    re.IGNORECASE,
)
TEMPLATES_REFUSE = (*REFUSED, 500)
# llama.cpp makes a grammar of the schemas of all tools, and some patterns cannot be put into one: not a word can be said then.
PATTERNS = "patterns in schemas"
NO_GRAMMAR = re.compile(r"JSON schema conversion failed|error parsing grammar|failed to parse grammar")
UNWANTED = re.compile(
    r"not (?:be )?(?:supported|permitted|allowed|available)|unsupported|unknown|unrecogni[sz]ed|n[o']t support|extra inputs"
    r"|unexpected|does not exist",
    re.IGNORECASE,
)


def through(requests: Generator[Outbound, Heard, None]) -> Generator[Outbound, Heard, Heard]:
    """All of these requests, each after the refusal of the one before; the last refusal."""
    outbound = next(requests)
    while True:
        heard = yield outbound
        try:
            outbound = requests.send(heard)
        except StopIteration:
            return heard


def without_refused(chat: Json, deployment: Deployment, manners: Manners) -> Json:
    """The chat as this model is known to take it."""
    refused, most = manners.refused_by(deployment.provider), manners.most_tokens_of(deployment)
    if refused:
        chat = {_renamed(name, at(name, deployment) in refused): value for name, value in chat.items()}
        chat.pop("", None)
        if at(LATER_SYSTEM, deployment) in refused:
            chat = {**chat, "messages": with_leading_system(chat["messages"])}
        if at(PATTERNS, deployment) in refused:
            chat = plain_chat(chat)
    if most is not None:
        chat = {**chat, **{name: most for name in LIMITS if type(chat.get(name)) is int and chat[name] > most}}
    return chat


def _renamed(name: str, is_refused: bool) -> str:
    """The name of a member that may be refused; "" when there is no other."""
    if not is_refused:
        return name
    return "max_completion_tokens" if name == "max_tokens" else ""


def with_leading_system(messages: list[Json]) -> list[Json]:
    """For templates that know a system message only at the beginning: what comes later is the user's. Messages of the user's that
    follow each other are one, since most of them want turns to alternate."""
    first = next((at for at, message in enumerate(messages) if message["role"] != "system"), len(messages))
    found = messages[:first]
    told = [as_users(message) if message["role"] == "system" else message for message in messages[first:]]
    for role, run in groupby(told, lambda message: message["role"]):
        several = list(run)
        if role == "user" and len(several) > 1:
            several = [{**several[0], "content": joined([message["content"] for message in several])}]
        found += several
    return found


def as_users(message: Json) -> Json:
    """A system message as the user's."""
    return {"role": "user", "content": reminder("\n\n".join(part["text"] for part in parts_of(message["content"])))}


def reminder(text: str) -> str:
    """What the system says, in a message of the user's: models that serve coding agents know it so."""
    return f"<system-reminder>\n{text}\n</system-reminder>"


def joined(contents: Sequence[str | list[Json]]) -> str | list[Json]:
    """Several contents as one."""
    texts = [each for each in contents if isinstance(each, str)]
    if len(texts) == len(contents):
        return "\n\n".join(texts)
    return [part for each in contents for part in parts_of(each)]


def parts_of(content: str | list[Json]) -> list[Json]:
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def is_learned(chat: Json, heard: Heard, deployment: Deployment, manners: Manners) -> bool:
    """Whether a refusal tells what to do otherwise."""
    message = error_told(heard.body, JSON_TYPE).get("message") if heard.status in TEMPLATES_REFUSE else None
    if type(message) is not str:
        return False
    message = without_echoes(message, chat, UNWANTED, MOST_TOKENS, ONLY_LEADING, NO_GRAMMAR)
    if ONLY_LEADING.search(message) and with_leading_system(chat["messages"]) != chat["messages"]:
        manners.refuses(deployment.provider, {at(LATER_SYSTEM, deployment)})
        return True
    if NO_GRAMMAR.search(message) and plain_chat(chat) != chat:
        manners.refuses(deployment.provider, {at(PATTERNS, deployment)})
        return True
    if heard.status not in REFUSED:
        return False
    found = MOST_TOKENS.search(message)
    if found is not None:
        most = int(next(filter(None, found.groups())))
        asked = [chat[name] for name in LIMITS if type(chat.get(name)) is int]
        if 0 < most < max(asked, default=0):
            manners.gives(deployment, most)
            return True
    if len(message) > REFUSAL_CHARS or not UNWANTED.search(message):
        return False
    known = manners.refused_by(deployment.provider)
    named = {name for name in OPTIONAL if name in chat and re.search(rf"\b{name}\b", message)}
    fresh = {at(name, deployment) for name in named} - known
    if fresh:
        manners.refuses(deployment.provider, fresh)
    return bool(fresh)


def without_echoes(message: str, chat: Mapping[str, Any], *telling: re.Pattern[str]) -> str:
    """A refusal without the caller's own words, which some servers repeat, where they look as if they told something: what is
    learned holds for everybody, and nobody may make it up. Of a very long one nothing is left: it is hardly anything else, and
    would be looked through for every text of the call."""
    if len(message) > MOST_CHARS:
        return ""
    open_: list[Any] = [dict(chat)]
    while open_:
        value = open_.pop()
        if type(value) is dict:
            open_ += [*value, *value.values()]
        elif type(value) is list:
            open_ += value
        elif type(value) is str and value in message and any(words.search(value) for words in telling):
            message = message.replace(value, "")
    return message


def at(name: str, deployment: Deployment) -> str:
    """How it is remembered: of one model, while others of the provider may take it, and of chats written by us."""
    return f"{name} in a chat of {deployment.upstream_model}"
