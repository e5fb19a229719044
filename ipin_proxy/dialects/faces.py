"""What dialects have to offer: the face towards callers, the one towards providers, and what lies between. For the type checker and for
people; no server loads it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol

from ..call import Bill, Call, Deployment, Operation
from ..errors import ProxyError
from ..manners import Manners
from ..memory import Memory
from ..records import SystemPrompt
from ..upstream import Content, Heard, Outbound, Reply
from ..web.response import Pipe
from .parts import Part
from .translation import Decoding, Encode


class Hub(Protocol):
    """One call on its way through the hub: `body` is the chat that is made of it."""

    body: dict[str, Any]

    def written(self, completion: dict[str, Any]) -> dict[str, Any]:
        """The caller's JSON of a completion. Raises UpstreamError when there is no answer in it."""

    def step(self) -> Encode:
        """Chunks of the answer, or a completion, in; the caller's frames out."""

    def told(self, error: ProxyError) -> ProxyError:
        """A provider's refusal of the chat, as a refusal of the call."""


class ClientDialect(Protocol):
    """The face towards callers."""

    keep_alive: bytes  # what a stream says when there is nothing to say

    def pictures_in(self, call: Call) -> Iterator[Part]: ...

    def put_prompt(self, call: Call, prompt: SystemPrompt) -> None:
        """What an alias wants of the system prompt, put into the body; of a call that has none, nothing. Raises BodyError."""

    def is_ours(self, call: Call, memory: Memory) -> bool:
        """Whether a call refers to what only this house has kept."""

    def is_named_in(self, refusal: bytes, call: Call) -> bool:
        """Whether a refusal is about what a call refers to: that is not there, though its path is."""

    def hub_of(self, call: Call, deployment: Deployment, memory: Memory) -> Hub:
        """A call that its provider has to be asked as a chat. Raises BadRequest."""

    def count(self, call: Call) -> int:
        """About how many tokens a call's body is. Raises BodyError, BadRequest."""

    def as_told(self, error: ProxyError) -> ProxyError:
        """An error as these clients know it."""

    def encode_error(self, error: ProxyError, request_id: str) -> dict[str, Any]: ...

    def encode_stream_error(self, error: ProxyError, call: Call) -> bytes: ...


class Way(Protocol):
    """From a caller to a provider and back, whatever they speak."""

    @property
    def rewrites(self) -> bool:
        """Whether it writes a caller's body anew, which takes its time."""

    def requests(
        self, call: Call, deployment: Deployment, manners: Manners, number: int
    ) -> Generator[Outbound, Heard, None]:
        """The request to send, and after it what else is to be tried: each next one when the one before was refused. A GET
        is a question of our own, whose answer is sent in, too. `number` counts where one call needs several replies."""

    def replies_of(self, call: Call) -> int:
        """How many replies make one answer."""

    def decode_error(self, reply: Reply, body: bytes, deployment: Deployment) -> ProxyError: ...

    def pipe_of(self, reply: Reply, bill: Bill, deployment: Deployment) -> tuple[str, Pipe] | None:
        """The media type and the pipe of an answer that passes while it comes; None for one that is read whole."""

    def decode_body(self, contents: Sequence[Content], bill: Bill, deployment: Deployment) -> Content: ...


class UpstreamDialect(Way, Protocol):
    """The face towards providers: the way for callers who speak the hub's words, and the parts of the way for others."""

    def native_for(self, operation: Operation) -> UpstreamDialect | None:
        """Who speaks to the provider in the callers' own words of this operation; None where it has to become a chat."""

    def decoding(self, call: Call, bill: Bill, deployment: Deployment) -> Decoding:
        """How the stream of a chat is read, chunk by chunk."""

    def completion(self, call: Call, content: Content, bill: Bill, deployment: Deployment) -> dict[str, Any]:
        """The whole answer of a chat, as a completion."""

    def list_request(self, deployment: Deployment, after: str = "") -> Outbound:
        """What asks for the list of models; where that comes in pages, for the one behind the model `after`."""
