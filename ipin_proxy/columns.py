"""What one column of a record may hold: small checks from a JSON value to our value.

A check takes a value that is not null and returns it in the form we keep (stripped, a tuple for a list, a read-only
mapping for an object), or raises `Invalid` with the reason and the remedy. It knows neither the record nor the
column's name: `Invalid.under` adds the path on the way out, so that `budgets[0].usd` names itself.

This room has no state and does no I/O, and a credential is never repeated in a message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

T = TypeVar("T")

NOTHING: Mapping[str, Any] = MappingProxyType({})

# Controls of ASCII and Latin-1, line and paragraph separators, and the halves of a surrogate pair, which UTF-8 cannot
# encode: none of them belongs in a name, a header or a log line.
CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ud800-\\udfff]")
UNWRITABLE = re.compile("[\\x00\\ud800-\\udfff]")
HEX_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")  # RFC 9110 section 5.5, as Latin-1
HOST_NAME = re.compile(r"[A-Za-z0-9._-]+")
HOST_V6 = re.compile(r"[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._~-]+)?")  # ipaddress takes anything at all for a zone
URL_TAIL = re.compile(r"[\x21-\x5b\x5d\x5f\x61-\x7a\x7c\x7e]*")  # printable ASCII without blank, \ ^ ` { }
# RFC 9110 names these as belonging to one connection or one message; whoever sends the message sets them.
FRAMING_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"}
    | {"proxy-connection", "expect"}
)
# The environment variables that are credentials of the proxy itself; no provider record may send them anywhere.
OUR_VARIABLES = frozenset({"MASTER_API_KEY"})
MAX_NAME_CHARS = 256
MAX_PROSE_CHARS = 100_000
MAX_SECONDS = 86_400
MAX_DAYS = 366
MAX_AMOUNT = 1e300  # so that two of them are still a number: JSON writes whole ones that no float can hold
MAX_DEPTH = 64  # of what we carry along without knowing it: copying and comparing take several frames a level
# 1973 in milliseconds and the year 5138 in seconds: a deadline below it was meant in seconds.
LEAST_MILLISECONDS = 100_000_000_000
MOST_MILLISECONDS = 8_640_000_000_000_000  # the last moment a JavaScript Date can show
ISO_8601 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.IGNORECASE,
)


class Invalid(ValueError):
    """A value that does not fit: where (`budgets[0].usd`, empty for the value itself) and why, with the remedy."""

    def __init__(self, why: str, at: str = "") -> None:
        super().__init__(f"{at} {why}" if at else why)
        self.why = why
        self.at = at

    def under(self, outer: str) -> Invalid:
        """The same complaint, seen from one level further out."""
        joint = "." if self.at and not self.at.startswith("[") else ""
        return Invalid(self.why, f"{outer}{joint}{self.at}")


def shown(value: Any) -> str:
    """A value for a message: as JSON, at most 80 characters of it."""
    try:
        text = json.dumps(value)
    except (TypeError, ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."


def is_deep(value: Any) -> bool:
    """Whether JSON is nested more deeply than we carry."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for each in level
            if isinstance(each, (dict, list))
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


# Texts


def label(value: Any) -> str:
    """A name for people: one line, at most 256 characters, may be empty."""
    return _line(value, MAX_NAME_CHARS)


def identifier(value: Any) -> str:
    """An id or model name: one line of 1 to 256 characters, `/` and `:` included, no blank at either end."""
    if isinstance(value, str) and value != value.strip():
        raise Invalid(f"must not begin or end with a blank, got {shown(value)}; remove it")
    text = _line(value, MAX_NAME_CHARS)
    if not text:
        raise Invalid("must not be empty")
    return text


def prose(value: Any) -> str:
    """A text of any number of lines, at most 100 000 characters."""
    text = _text(value)
    if UNWRITABLE.search(text):
        raise Invalid("has a NUL or half of a surrogate pair in it; remove that character")
    if len(text) > MAX_PROSE_CHARS:
        raise Invalid(f"has {len(text)} characters; {MAX_PROSE_CHARS} is the limit")
    return text


def one_of(*words: str) -> Callable[[Any], str]:
    """One of these words, in any case of letters."""

    def check(value: Any) -> str:
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in words:
            raise Invalid(f"must be one of {', '.join(words)}, got {shown(value)}")
        return word

    return check


def digest(value: Any) -> str:
    """A SHA-256 in hex."""
    if not isinstance(value, str) or not HEX_SHA256.fullmatch(value):
        raise Invalid("must be a SHA-256 in hex (64 digits)")
    return value.lower()


def password_hash(value: Any) -> str:
    """A password hash, `method$…`: printable ASCII without a blank."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z0-9]+\$[\x21-\x7e]{1,500}", value):
        raise Invalid("is not a password hash of ours; remove it and set a new password")
    return value


def file_path(value: Any) -> str:
    """A path on this machine; whether the file is there is found out when it is used."""
    text = _line(value, 4096)
    if not text:
        raise Invalid("must not be empty; give the path of a file")
    return text


def credential(value: Any) -> str | None:
    """A secret, or the reference to one; blank means none. Only the form of a reference is checked here."""
    if not isinstance(value, str):
        raise Invalid("must be a text: the key itself, env:NAME or file:PATH")
    text = value.strip()
    if CONTROL.search(text):
        raise Invalid("has a control character in it, such as a line break; copy it again from its source")
    kind, _, rest = text.partition(":")
    if kind == "env" and not may_read_variable(rest):
        raise Invalid(
            f"names the environment variable {shown(rest)}, which may not be read; "
            "its name must end in _KEY or _TOKEN and not be one of the proxy's own"
        )
    if kind == "file" and (not rest.strip() or ".." in re.split(r"[/\\]", rest)):
        raise Invalid("must name a file under SECRETS_DIR without .. in its path, such as file:/run/secrets/openai")
    return text or None


def may_read_variable(name: str) -> bool:
    """Whether `env:NAME` may stand in a record: the ending says that it is a credential, the list that it is not ours."""
    upper = name.upper()  # Windows does not tell master_api_key from MASTER_API_KEY
    return bool(VARIABLE.fullmatch(name)) and upper.endswith(("_KEY", "_TOKEN")) and upper not in OUR_VARIABLES


# Numbers and times


def flag(value: Any) -> bool:
    """True or false, and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise Invalid(f"must be true or false, got {shown(value)}")
    return value


def amount(value: Any) -> float:
    """A number, 0 or more."""
    return _number(value, f"a number from 0 to {MAX_AMOUNT:g}", 0, MAX_AMOUNT)


def seconds(value: Any) -> float:
    """A duration above 0 and up to a day."""
    found = _number(value, f"a number of seconds above 0 and up to {MAX_SECONDS}", 0, MAX_SECONDS)
    if found == 0:
        raise Invalid("must be above 0; leave it out for the general time limit")
    return found


def count(value: Any) -> int:
    """A whole number, 1 or more. There is no 0: some would read it as nothing, some as no limit."""
    wish = "a whole number, 1 or more; leave it out for no limit"
    found = _number(value, wish, 1, 2**53)
    if found != int(found):
        raise Invalid(f"must be {wish}, got {shown(value)}")
    return int(found)


def days(value: Any) -> int:
    """A whole number of days, up to a year."""
    wish = f"a whole number of days from 1 to {MAX_DAYS}"
    found = _number(value, wish, 1, MAX_DAYS)
    if found != int(found):
        raise Invalid(f"must be {wish}, got {shown(value)}")
    return int(found)


def moment(value: Any) -> int:
    """A time as milliseconds since 1970, given so or as ISO 8601; without a zone it is UTC."""
    if isinstance(value, str):
        return _iso_8601(value)
    return int(_number(value, "milliseconds since 1970 or an ISO 8601 time", 0, MOST_MILLISECONDS))


def deadline(value: Any) -> int:
    """A moment that somebody set: small numbers are refused, since they were meant in seconds."""
    found = moment(value)
    if found < LEAST_MILLISECONDS:
        raise Invalid(
            f"must be in milliseconds, got {shown(value)}; multiply seconds by 1000, or give an ISO 8601 time"
        )
    return found


# Lists and objects


def list_of(check: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """A list whose items all pass; kept as a tuple."""

    def check_all(value: Any) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise Invalid(f"must be a list, got {shown(value)}")
        found = []
        for place, item in enumerate(value):
            try:
                found.append(check(item))
            except Invalid as wrong:
                raise wrong.under(f"[{place}]") from None
        return tuple(found)

    return check_all


def tiers_of(check: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    """A list of tiers, each above another number of tokens."""

    def check_all(value: Any) -> tuple[T, ...]:
        found = list_of(check)(value)
        if len({tier["aboveTokens"] for tier in value}) != len(value):
            raise Invalid("has two tiers above the same number of tokens; remove one of them")
        return found

    return check_all


def model_map(value: Any) -> Mapping[str, str]:
    """Model name to model name."""
    if not isinstance(value, dict):
        raise Invalid(f"must be an object of model names, got {shown(value)}")
    found = {}
    for name, target in value.items():
        try:
            found[identifier(name)] = identifier(target)
        except Invalid as wrong:
            raise Invalid(f"has an entry {shown(name)} whose name or target {wrong.why}") from None
    return MappingProxyType(found)


def headers(value: Any) -> Mapping[str, str]:
    """Extra header fields: valid names and values, none that frames the message, none twice."""
    if not isinstance(value, dict):
        raise Invalid(f"must be an object of header names and values, got {shown(value)}")
    found: dict[str, str] = {}
    for name, content in value.items():
        _header_name(name)
        if not isinstance(content, str) or not HEADER_VALUE.fullmatch(content):  # not shown: it may be a credential
            raise Invalid(f"has a value for {shown(name)} that HTTP cannot carry; use one line of Latin-1 text")
        found[name] = content.strip()
    if len({name.lower() for name in found}) != len(found):
        raise Invalid("names one header twice (HTTP ignores the case of letters); remove one of them")
    return MappingProxyType(found)


def auth(value: Any) -> str:
    """How the key is presented: `bearer`, `basic`, `none`, or `header:NAME`."""
    text = value.strip() if isinstance(value, str) else ""
    if text.lower() in ("bearer", "basic", "none"):
        return text.lower()
    kind, colon, name = text.partition(":")
    if kind.lower() != "header" or not colon:
        raise Invalid(f"must be bearer, basic, none or header:NAME, got {shown(value)}")
    _header_name(name.strip())
    return f"header:{name.strip()}"


# Addresses


def network(value: Any) -> str:
    """An address or a network in CIDR notation, IPv4 or IPv6; IPv4 in IPv6 clothes (::ffff:192.0.2.1) as what it is."""
    import ipaddress  # only keys with an address list need it

    try:
        found = ipaddress.ip_network(value.strip() if isinstance(value, str) else "", strict=False)
        mapped = getattr(found.network_address, "ipv4_mapped", None)
        return f"{mapped}/{found.prefixlen - 96}" if mapped is not None and found.prefixlen >= 96 else str(found)
    except ValueError:
        raise Invalid(
            f"must be an IP address or a network such as 10.0.0.0/8 or 2001:db8::/32, got {shown(value)}"
        ) from None


def url_path(value: Any) -> str:
    """The path of a URL, `/ocr`, with a query if need be."""
    text = _text(value).strip()
    if not text.startswith("/") or text.startswith("//") or "#" in text or not URL_TAIL.fullmatch(text):
        raise Invalid(f"must be a path such as /ocr, percent-encoded where needed, got {shown(value)}")
    return text


def url(value: Any) -> str:
    """An http or https address with a host, and without credentials or a fragment; a blank one means none.

    Stored as it was typed, without the blanks around it: a trailing slash or query is the provider's business.
    """
    text = _text(value).strip()
    if not text:
        return ""
    scheme, colon, rest = text.partition("://")
    if not colon or scheme.lower() not in ("http", "https"):
        raise Invalid(
            f"must begin with http:// or https://, got {shown(text)}; write it like https://api.openai.com/v1"
        )
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    if "@" in authority:
        raise Invalid("must not hold a user name or password; put user:password into apiKey and set auth to basic")
    if "#" in rest:
        raise Invalid(f"must not have a fragment, got {shown(text)}; remove # and what follows")
    if not URL_TAIL.fullmatch(rest[len(authority) :]):
        raise Invalid(f"has a character that a URL cannot hold, got {shown(text)}; percent-encode it")
    _check_authority(authority, text)
    return text


def _check_authority(authority: str, text: str) -> None:
    """RFC 3986 section 3.2, without the user information: a name, an IPv4 address or [IPv6], and perhaps a port."""
    host, colon, port = authority.rpartition(":") if re.search(r":[0-9]*$", authority) else (authority, "", "")
    if colon and port and (len(port) > 5 or not 0 < int(port) < 65536):
        raise Invalid(f"has the port {shown(port)}, got {shown(text)}; ports go from 1 to 65535")
    if host.startswith("[") and host.endswith("]"):
        import ipaddress  # only for literal addresses

        try:
            if not HOST_V6.fullmatch(host[1:-1]):
                raise ValueError
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            raise Invalid(f"has a host that is not an IPv6 address, got {shown(text)}") from None
        return
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    if not name.strip(".") or not HOST_NAME.fullmatch(name):
        raise Invalid(f"has no valid host, got {shown(text)}; write it like https://api.openai.com/v1")


def _header_name(name: Any) -> None:
    if not isinstance(name, str) or not TOKEN.fullmatch(name):
        raise Invalid(f"has the header name {shown(name)}, which HTTP does not allow")
    if name.lower() in FRAMING_HEADERS:
        raise Invalid(f"names the header {shown(name)}, which the connection sets itself; remove it")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid(f"must be a text, got {shown(value)}")
    return value


def _line(value: Any, limit: int) -> str:
    text = _text(value).strip()
    if CONTROL.search(text):
        raise Invalid(f"must be one line without control characters, got {shown(text)}")
    if len(text) > limit:
        raise Invalid(f"has {len(text)} characters; {limit} is the limit")
    return text


def _number(value: Any, wish: str, least: float, most: float) -> float:
    # A bool is an int to Python; NaN fails every comparison; an int beyond float is still an int and compares well.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise Invalid(f"must be {wish}, got {shown(value)}")
    return value


def _iso_8601(text: str) -> int:
    from datetime import datetime, timedelta

    wrong = Invalid(
        f"must be milliseconds since 1970 or an ISO 8601 time such as 2030-01-31T12:00:00Z, got {shown(text)}"
    )
    found = ISO_8601.fullmatch(text.strip())
    if not found:
        raise wrong
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        local = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        raise wrong from None
    offset = timedelta()
    if zone and zone not in "Zz":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:])) * (-1 if zone[0] == "-" else 1)
    since = local - datetime(1970, 1, 1) - offset  # in this order: a zone may lead out of the years that Python knows
    milliseconds = since // timedelta(milliseconds=1) + int((fraction or "0").ljust(3, "0")[:3])
    if milliseconds < 0:
        raise wrong
    return milliseconds
