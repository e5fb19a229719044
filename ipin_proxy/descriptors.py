"""How many connections there may be at once: what the limit on open files leaves room for.

`default_connections` and `connections` are the default and the converter of MAX_CONNECTIONS. Asking raises the process's own
soft limit to the hard one where the system lets us; that can be repeated and is never undone. `are_scarce` is whether what is
only kept for later has to make room.
"""

from __future__ import annotations

import re
import socket

MOST_CONNECTIONS = 4096
SPARE_DESCRIPTORS = 64  # database, ledger, log, listening sockets, static files, and who is turned away
SCARCE_DESCRIPTORS = 300  # are left: names are looked up with some of them, by as many threads as there may be at once


def default_connections() -> int:
    return min(MOST_CONNECTIONS, connections_allowed())


def connections(text: str) -> int:
    """The number of connections a text asks for. Raises ValueError when it is none, or more than can be open."""
    if not re.fullmatch(r"[0-9]{1,7}", text.strip(), re.ASCII):
        raise ValueError
    count = int(text)
    if not 1 <= count <= min(1_000_000, connections_allowed()):
        raise ValueError
    return count


def connections_allowed() -> int:
    """How many connections the descriptor limit leaves room for: each may need two, the caller's and the provider's."""
    try:
        import resource
    except ImportError:  # not a Unix
        return MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # "Unlimited" is refused by some systems, and macOS stops at 10 240 whatever the hard limit says.
    for wanted in (65_536 if hard == resource.RLIM_INFINITY else hard, 10_240):
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            continue
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError):
            continue
    if soft == resource.RLIM_INFINITY:
        return 1_000_000
    return max(1, (soft - SPARE_DESCRIPTORS) // 2)


def are_scarce() -> bool:
    """Whether few descriptors are left, or not half of them: the system gives the lowest there is."""
    try:
        import resource
    except ImportError:
        return False
    try:
        with socket.socket() as lowest:
            soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            return soft != resource.RLIM_INFINITY and lowest.fileno() >= max(soft - SCARCE_DESCRIPTORS, soft // 2)
    except OSError:
        return True
