"""Where a request comes from: the peer, or what a trusted proxy in front of us says of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from .web.request import Request

Network = IPv4Network | IPv6Network
# Some proxies (Azure's gateways) write the port of the caller, too; IPv6 stands in brackets then.
WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+", re.ASCII)


def parse(text: str) -> IPv4Address | IPv6Address | None:
    """An address without its zone; an IPv4 address in IPv6 clothes (::ffff:192.0.2.1) as what it is. None: no address."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def is_in(text: str, networks: Iterable[Network]) -> bool:
    address = parse(text)
    return address is not None and any(address in network for network in networks)


def caller_address(request: Request, trusted: tuple[Network, ...]) -> str:
    """The peer, or behind trusted proxies the last address in X-Forwarded-For that is none of them."""
    if not trusted or not is_in(request.peer, trusted):
        return request.peer
    hops = [without_port(hop.strip()) for line in request.headers.all("x-forwarded-for") for hop in line.split(",")]
    for hop in reversed(hops):
        if not is_in(hop, trusted):
            return hop if parse(hop) is not None else request.peer
    return hops[0] if hops else request.peer


def without_port(hop: str) -> str:
    found = WITH_PORT.fullmatch(hop)
    return found[1] or found[2] or hop if found is not None else hop


def came_over_https(request: Request, trusted: tuple[Network, ...]) -> bool:
    """Whether the browser spoke https, as a trusted proxy says; we ourselves never do."""
    if not is_in(request.peer, trusted):
        return False
    return (request.headers.get("x-forwarded-proto") or "").partition(",")[0].strip().lower() == "https"
