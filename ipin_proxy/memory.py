"""What the dialects remember from one call to the next: what providers refuse, what they want handed back, which responses may
be continued. In memory only, and made when the first call needs it: most servers never do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .call import Call, Caller
from .logs import Log
from .manners import Manners
from .once import Once

if TYPE_CHECKING:
    from .conversations import Conversations
    from .keepsakes import Keepsakes


class Memory:
    """One for the house. Any thread may come in."""

    def __init__(self, log: Log) -> None:
        self.manners = Manners()
        self._log = log

    @Once
    def keepsakes(self) -> Keepsakes:
        from .keepsakes import Keepsakes

        return Keepsakes()

    @Once
    def conversations(self) -> Conversations:
        from .conversations import Conversations

        return Conversations(time.monotonic)

    def note(self, call: Call, notes: Sequence[str]) -> None:
        """Say in the log what of a request was left out on its way to a provider."""
        if notes:
            self._log.info("left_out", request_id=call.id, model=call.shown_model, notes=list(notes))


def owner_of(caller: Caller) -> str:
    """Whose a thing is that is kept: nobody is given another's, nor that of a key or a user whose id they have got."""
    if caller.key is not None:
        return f"key {caller.key.key_hash}"
    user = caller.user
    return f"user {user.created_at} {user.id}" if user is not None else caller.name
