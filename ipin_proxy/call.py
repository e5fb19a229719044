"""The values that travel with one AI call: what was asked, by whom, where it goes, what it used.

All are frozen but the Bill, the one account that is written to while the call runs. Money and tokens are integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from .records import Model, Provider, User, VirtualKey
from .web.members import Members, Stretch
from .web.request import Request

if TYPE_CHECKING:
    from .limits import Reservation
    from .web.multipart import FilePart, Form

Json = dict[str, Any]

NAME_CHARS = 200
NANO = 1_000_000_000  # nano-dollars in a dollar


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Operation:
    """A kind of AI call. `path` is behind `/v1`; `required` maps members to the code told when they are missing; who names no
    model means `usual_model`, if the API has one."""

    path: str
    scope: str
    model_types: frozenset[str]
    required: Mapping[str, str] = field(default_factory=dict)
    may_stream: bool = False
    usual_model: str | None = None


CHAT = Operation(
    "/chat/completions", "chat", frozenset({"chat", "ocr"}), {"messages": "missing_input"}, may_stream=True
)
COMPLETION = Operation("/completions", "chat", frozenset({"chat"}), {"prompt": "missing_prompt"}, may_stream=True)
RESPONSE = Operation("/responses", "chat", frozenset({"chat", "ocr"}), may_stream=True)
MESSAGE = Operation("/messages", "chat", frozenset({"chat", "ocr"}), {"messages": "missing_input"}, may_stream=True)
COUNT = Operation("/messages/count_tokens", "chat", frozenset({"chat", "ocr"}), {"messages": "missing_input"})
EMBEDDING = Operation("/embeddings", "embeddings", frozenset({"embedding"}), {"input": "missing_input"})
RERANK = Operation(
    "/rerank",
    "rerank",
    frozenset({"reranking"}),
    {"query": "missing_query", "documents": "missing_documents"},
)
MODERATION = Operation(
    "/moderations",
    "chat",
    frozenset({"moderation"}),
    {"input": "missing_input"},
    usual_model="omni-moderation-latest",
)
IMAGE = Operation("/images/generations", "images", frozenset({"image"}), {"prompt": "missing_prompt"}, may_stream=True)
IMAGE_EDIT = Operation("/images/edits", "images", frozenset({"image"}), {"prompt": "missing_prompt"}, may_stream=True)
SPEECH = Operation("/audio/speech", "audio", frozenset({"speech"}), {"input": "missing_input"}, may_stream=True)
HEARS = frozenset({"transcription"})
TRANSCRIPTION = Operation("/audio/transcriptions", "audio", HEARS, may_stream=True)
TRANSLATION = Operation("/audio/translations", "audio", HEARS, may_stream=True)
HEARING = (TRANSCRIPTION, TRANSLATION)  # their answers may be plain text, also where a stream was asked for
OCR = Operation("/ocr", "ocr", frozenset({"ocr", "chat"}))


class Caller(NamedTuple):
    """Who asks: the master key, a virtual key (with the user whose it is, if any), or a person signed in, who has a
    `session`, or with a pass, which ends at `until` (ms); these have the key linked to them, if any."""

    name: str
    key: VirtualKey | None = None
    user: User | None = None
    is_admin: bool = False
    session: str | None = None
    until: int | None = None

    def may_use(self, model: str) -> bool:
        """Whether the key's list of models has this one: by its name, or by a pattern such as `openai/*`."""
        if self.key is None or not self.key.allowed_models or model in self.key.allowed_models:
            return True
        return any(fits(pattern, model) for pattern in patterns_in(self.key.allowed_models))


@lru_cache(maxsize=1024)
def patterns_in(names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """The names in a list that have a `*`, as the texts between the stars."""
    return tuple(tuple(name.split("*")) for name in names if "*" in name)


def fits(pattern: tuple[str, ...], name: str) -> bool:
    """Whether a name begins, goes on and ends as a pattern says; a star is any text, `/` included. Takes no longer than
    the name is long, however many stars there are: the name is a stranger's."""
    first, *middle, last = pattern
    at, end = len(first), len(name) - len(last)
    if at > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in middle:
        found = name.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


IMAGE_PART, VIDEO_PART = "image", "video"


class Picture(NamedTuple):
    """An image or a video in a call: which of the two, where it stands in the body, and its width and height where known."""

    kind: str
    place: str
    size: tuple[int, int] | None = None


class Document(NamedTuple):
    """What a text is wanted of: its media type ("" for an address, which nobody fetches), where in the request it stands, and
    its bytes, as a file or as base64 in pieces; `prompt` is what to ask of it, None the usual."""

    media_type: str
    place: str
    payload: FilePart | Sequence[str | Stretch]
    size: tuple[int, int] | None = None
    prompt: str | None = None
    name: str = ""


class Call(NamedTuple):
    """One AI request in flight, since `started_at` (monotonic seconds), in the caller's `dialect`. Its body is a JSON object
    (`members`) or an upload (`form`). A recording in it lasts for so many `seconds`, where it tells; `pictures` are the images
    and videos in it, once they have been looked at. A call for the text of a `document` has that instead of a body. It came
    from an `address`, to the `endpoint` of a route. `model` is its name as it was asked for; where that, or the prefix of the
    path, was an `alias`, `pin` is the provider this leads to, and its prompt adds so many characters to the body. `look` is what
    looks into its files, once it is known that its caller may use the model: it gives the call with what it found."""

    id: str
    caller: Caller
    operation: Operation
    model: str
    wants_stream: bool
    request: Request
    started_at: float
    dialect: str
    members: Members | None = None
    form: Form | None = None
    pin: str | None = None
    seconds: float | None = None
    pictures: tuple[Picture, ...] = ()
    document: Document | None = None
    address: str = ""
    endpoint: str = ""
    alias: str = ""
    added_chars: int = 0
    look: Callable[[Call], Call] | None = None

    @property
    def shown_model(self) -> str:
        """The model's name, short enough for a message."""
        return self.model if len(self.model) <= NAME_CHARS else f"{self.model[:NAME_CHARS]}…"

    def member(self, name: str) -> Any:
        """A top-level member of a JSON body; None in an upload, or when it is not there."""
        return self.members.values.get(name) if self.members is not None else None

    def field(self, name: str) -> str | None:
        """The first field of that name in an upload; None in a JSON body, or when it is not there."""
        return self.form.first(name) if self.form is not None else None

    @property
    def prompts(self) -> int:
        """How many prompts a call has: that of a completion may be a list of them."""
        prompt = self.member("prompt")
        is_list = isinstance(prompt, list) and bool(prompt) and isinstance(prompt[0], (str, list))
        return len(prompt) if is_list else 1

    @property
    def asks_usage(self) -> bool:
        """Whether the caller wants the extra chunk that tells a stream's usage."""
        options = self.member("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    @property
    def asks_base64(self) -> bool:
        return bool(self.member("encoding_format") == "base64")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Deployment:
    """A model served by a provider under a particular upstream name."""

    model: Model
    provider: Provider
    upstream_model: str
    secret: str | None
    timeout_s: float
    memo: dict[str, Any] = field(default_factory=dict)  # of its dialect: what is the same for every call


class Usage(NamedTuple):
    """What a call used. `input_tokens` includes the cached and the newly cached ones, the latter those that are kept for an
    hour; `output_tokens` includes the reasoning. Audio and image tokens are parts of both. `cost` is in nano-dollars where
    the provider named one. `estimated`: the provider told nothing, these are guesses."""

    input_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    seconds: float = 0.0
    cost: int | None = None
    cache_write_1h_tokens: int = 0
    image_input_tokens: int = 0
    image_output_tokens: int = 0
    images: int = 0
    pages: int = 0
    characters: int = 0
    search_units: int = 0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def after(self, before: Usage) -> Usage:
        """This, told later than `before`. Counts are running totals, so each is the larger of the two: nothing that is missing
        now, or unfit to be counted, takes back what was told. Seconds are measured, so the last word on them holds. Of a
        guess nothing is left but what was measured for it, once something is told."""
        if self == before:
            return self
        if self.estimated != before.estimated:
            told, guess = (before, self) if self.estimated else (self, before)
            return told.after(Usage(seconds=guess.seconds, pages=guess.pages, characters=guess.characters))
        costs = [cost for cost in (before.cost, self.cost) if cost is not None]
        pairs: Any = zip(self._replace(cost=0), before._replace(cost=0), strict=True)
        merged = Usage(*(max(pair) for pair in pairs))
        return merged._replace(cost=max(costs, default=None), seconds=self.seconds or before.seconds)


class Attempt(NamedTuple):
    """One deployment that was tried, and how it ended (`status` 0: no answer); or that was passed over before the first one,
    since it had failed a moment before (the error is `cooling_down` then)."""

    provider: str
    status: int
    ms: int
    error: str = ""


@dataclass(slots=True, repr=False, eq=False)
class Bill:
    """A call's running account. It is settled once, whoever ends the call, by who opened it; then it is an entry in the
    ledger. `has_answered` is whether somebody spoke; `frames` and `heard_bytes` are what was heard of a stream since, and
    `is_counted` is whether its usage was told when it was whole."""

    call: Call
    at_end: Callable[[Bill], None] | None = None
    reservation: Reservation | None = None
    usage: Usage | None = None
    deployment: Deployment | None = None
    attempts: list[Attempt] = field(default_factory=list)
    upstream_ms: float = 0.0  # of all attempts, the last one until it spoke
    first_chunk_ms: int | None = None
    status: int = 200
    error: Exception | None = None
    finish_reason: str = ""
    is_sent: bool = False  # the provider has the whole request, and may charge for it
    has_answered: bool = False
    is_complete: bool = False
    is_counted: bool = False
    overhead_ms: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    frames: int = 0
    heard_bytes: int = 0
    shortest_frame_bytes: int = 0
    cost: int | None = None  # nano-dollars; once it is settled
    settled: bool = False

    def settle(self) -> None:
        """Close it. All times but the first are none."""
        if not self.settled:
            self.settled = True
            if self.at_end is not None:
                self.at_end(self)

    def asks(self, deployment: Deployment) -> None:
        """Another deployment is asked: what was heard of the one before is no part of the answer."""
        self.deployment = deployment
        self.usage = None
        self.frames = self.heard_bytes = self.shortest_frame_bytes = self.bytes_out = 0
        self.is_sent = self.is_complete = self.is_counted = False

    def sent(self) -> None:
        """All of the request is with the provider."""
        self.is_sent = True

    def completed(self) -> None:
        """The last word of a stream is about to be said: whoever hears it may hang up, so it is settled by then. While nobody
        knows yet whether this is the answer, it waits."""
        self.is_complete = True
        if self.has_answered:
            self.settle()

    def used(self, usage: Usage | None) -> None:
        """The provider's latest word on usage; it may come with every chunk of a stream, or in parts."""
        if usage is not None:
            self.usage = usage if self.usage is None else usage.after(self.usage)

    def measured(self, ours: Usage) -> None:
        """What was counted here, of a recording, a text to be spoken, a picture: it counts where the provider tells nothing."""
        told = self.usage
        if told is None:
            self.usage = ours
        else:
            self.usage = told._replace(
                seconds=told.seconds or ours.seconds,
                pages=told.pages or ours.pages,
                characters=told.characters or ours.characters,
            )

    def lasted(self, seconds: float) -> None:
        """How long the recording is that was sent in: that counts where the provider tells no seconds itself."""
        if self.usage is None or not self.usage.seconds:
            self.usage = (self.usage or Usage())._replace(seconds=seconds)
