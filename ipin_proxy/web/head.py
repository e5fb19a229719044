"""The lean header reader, for the requests that come in and for the replies of upstreams.

It turns the bytes up to and including the blank line into a `RequestHead` or a `ReplyHead`, and knows RFC 9110 and 9112.
Requests are read strictly, because what two readers understand differently is how one caller's key ends up on another
caller's request. Replies are read kindly where kindness is harmless, and strictly where it would move the end of the body.

It never touches a socket and never decides what a path or a method means.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

# Bytes. A request line carries at most a long query string; all of a request's fields together fit the largest cookie
# jar and tracing metadata seen in practice. Replies get more room: content policies of gateways are long.
MAX_LINE = 8 * 1024
MAX_FIELD_BYTES = 32 * 1024
MAX_FIELDS = 100
MAX_HEAD = MAX_LINE + MAX_FIELD_BYTES + 8  # what a caller may have to buffer: both, and the line ends around them
MAX_REPLY_HEAD = 64 * 1024

# A token is `1*tchar` (RFC 9110 5.6.2); a value is HTAB, SP, visible ASCII and obs-text (5.5): no NUL, CR or LF.
_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_VALUE = rb"[\t\x20-\x7e\x80-\xff]*"

# One pass at C speed over the whole block. Every repeated class stops at a byte it does not contain, so there is nothing
# to backtrack into. RFC 9112 2.2: a server "SHOULD ignore at least one empty line (CRLF) received prior to the request-line".
_REQUEST = re.compile(rb"(?:\r\n)?(%b) ([!-\"$-~]+) HTTP/1\.([01])\r\n((?:%b:%b\r\n)*)\r\n" % (_TOKEN, _TOKEN, _VALUE))
_REPLY = re.compile(rb"HTTP/1\.([0-9]) ([1-9][0-9]{2})(?: %b)?\r\n((?:%b:%b\r\n)*)\r\n" % (_VALUE, _TOKEN, _VALUE))

_REQUEST_LINE = re.compile(rb"(%b) ([^ ]+) HTTP/([0-9])\.([0-9])" % _TOKEN)
_STATUS_LINE = re.compile(rb"HTTP/1\.([0-9]) +([1-9][0-9]{2})(?:[ \t].*)?", re.DOTALL)
_FIELD = re.compile(rb"(%b):(%b)" % (_TOKEN, _VALUE))
_NAME = re.compile(_TOKEN)
_NOT_VALUE = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")

# RFC 3986 3.2.2 without userinfo: IP-literal, IPv4address and reg-name, then an optional port.
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]{2,45}\]|(?:[0-9A-Za-z\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2}){1,255})(?::[0-9]{0,5})?"
)
_ABSOLUTE = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)([^?]*)(.*)")
MOST_LENGTH_DIGITS = 19
_LENGTH = re.compile(rf"[0-9]{{1,{MOST_LENGTH_DIGITS}}}")
_LENGTH_FIELD = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)


class HeadError(ValueError):
    """A head that is refused. `status` is the answer's status: 400, 414, 431, 501 or 505; `message` is for people."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class Headers(dict[str, str]):
    """The fields of a message: lower-case names, values decoded as latin-1. As a dict the first value of each name;
    `pairs` holds all of them in the order they came."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs if len(pairs) < 2 else reversed(pairs))  # of a repeated name the first is written last
        self.pairs = pairs

    def all(self, name: str) -> list[str]:
        """Every value of a field, in order. `name` is lower-case."""
        return [value for each, value in self.pairs if each == name] if name in self else []

    @property
    def media_type(self) -> str:
        """Of the body, lower-case, without parameters; "" when nobody has said."""
        told = self.get("content-type")
        return told.partition(";")[0].strip(" \t").lower() if told else ""

    @property
    def repeats(self) -> bool:
        """Whether some name came more than once."""
        return len(self) != len(self.pairs)


class RequestHead(NamedTuple):
    """`target` is in origin form, or `*`; `minor` is the x of HTTP/1.x, 0 or 1."""

    method: str
    target: str
    minor: int
    headers: Headers

    @property
    def keeps_alive(self) -> bool:
        """Whether the caller expects the connection to stay open (RFC 9112 9.3)."""
        return self.minor == 1 if "connection" not in self.headers else _keeps_alive(self.minor, self.headers)


class ReplyHead(NamedTuple):
    """`is_sound` is false when the framing was ambiguous: read the body, then close the connection."""

    status: int
    minor: int
    headers: Headers
    is_sound: bool = True

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may carry another request once the body was read to its end (RFC 9112 9.3)."""
        return self.is_sound and _keeps_alive(self.minor, self.headers)


class HeadReader:
    """The request heads of one connection, one after the other. Clients repeat themselves: a head with a body that differs
    from the one before it in nothing but the length of that is not read again. `note` is the reader's user's, about requests
    with the present head, and gone with the first that has another.
    """

    __slots__ = ("_after", "_at", "_before", "_head", "_length", "note")

    def __init__(self) -> None:
        self._head: RequestHead | None = None  # the last one, if it has a length
        self._before = self._length = self._after = b""  # its bytes around the digits of the length, and these
        self._at = 0  # of the length in its pairs
        self.note: object = None

    def read(self, data: bytes) -> RequestHead:
        """As `parse_request`."""
        head, before, after = self._head, self._before, self._after
        if head is not None and data.startswith(before) and data.endswith(after):
            length = data[len(before) : len(data) - len(after)]  # nothing, where the two overlap
            if length == self._length:
                return head
            if length.isdigit() and len(length) <= MOST_LENGTH_DIGITS:
                return self._with_length(head, length)
        self._head = self.note = None
        head = parse_request(data)
        found = _LENGTH_FIELD.search(data) if "content-length" in head.headers else None
        if found is not None:  # once: else it was refused
            self._head = head
            self._before, self._length, self._after = data[: found.start(1)], found[1], data[found.end(1) :]
            self._at = [name for name, _ in head.headers.pairs].index("content-length")
        return head

    def _with_length(self, head: RequestHead, length: bytes) -> RequestHead:
        pairs = head.headers.pairs.copy()
        pairs[self._at] = ("content-length", length.decode())
        self._head, self._length = head._replace(headers=Headers(pairs)), length
        return self._head


def find_end(buffer: bytes | bytearray, start: int) -> int:
    """Index just behind the blank line of the request head at the beginning of `buffer`, or -1.

    `start` is how many bytes were searched before (0 at first), so that a head in small pieces is not read over and over.
    """
    at = buffer.find(b"\r\n\r\n", start - 3 if start > 3 else 0)
    return at + 4 if at >= 0 else -1


def find_reply_end(buffer: bytes | bytearray, start: int) -> int:
    """As `find_end`, for replies: lines may end in a bare LF."""
    start = start - 3 if start > 3 else 0
    end = buffer.find(b"\n\r\n", start)
    bare = buffer.find(b"\n\n", start, end + 1 if end >= 0 else len(buffer))
    if bare >= 0:
        return bare + 2
    return end + 3 if end >= 0 else -1


def refuse_early(buffer: bytes | bytearray) -> None:
    """Raise HeadError if a head without its end yet can never become a good one: do not wait for the rest of it.

    To be asked when `find_end` said -1. A TLS handshake or HTTP/0.9 would otherwise sit there until the time limit.
    """
    begin = 2 if buffer.startswith(b"\r\n") else 0
    newline = buffer.find(b"\n", begin)
    if newline < 0:
        if len(buffer) - begin > MAX_LINE + 1:  # + 1: the CR of the line end may be among them
            _refuse_long_line()
        if len(buffer) > begin and buffer[begin : begin + 1] != b"\r" and not _NAME.match(buffer, begin):
            _refuse_garbage(bytes(buffer[begin : begin + 1]))
        return
    line = bytes(buffer[begin : newline + 1])
    if not line.endswith(b"\r\n"):
        raise HeadError("The request line ends in a bare line feed; lines of HTTP end in CR LF.")
    _explain_request_line(line[:-2])
    if len(buffer) > MAX_HEAD:
        _refuse_long_fields()


def parse_request(data: bytes) -> RequestHead:
    """Read a request head: everything up to and including the blank line.

    Raises HeadError with the status to answer (RFC 9112 2-3 and 6; 505 RFC 9110 15.6.6; 431 RFC 6585 5).
    """
    match = _REQUEST.fullmatch(data)
    if match is None:
        _explain_request(data)
    method, target, minor, block = match.groups()
    if len(data) - len(block) > MAX_LINE:  # cheap and nearly always false; the exact length is counted when it is not
        _explain_request_line(data.lstrip(b"\r\n").split(b"\r\n", 1)[0])
    headers = Headers(_pairs(block))
    if len(headers.pairs) > MAX_FIELDS or len(block) > MAX_FIELD_BYTES:
        _refuse_long_fields()
    head = RequestHead(method.decode("ascii"), target.decode("ascii"), 1 if minor == b"1" else 0, headers)
    _check_framing(head)
    _check_host(head)
    if target[0] != 0x2F or method == b"CONNECT":
        return _reduce_target(head)
    return head


def parse_reply(data: bytes) -> ReplyHead:
    """Read a reply head: everything up to and including the blank line.

    Forgiven: bare LF, a missing reason, folded lines, blanks before the colon, lines that are no field (dropped),
    control bytes in values (a blank instead, RFC 9110 5.5). Raises HeadError for a bad status line and for a body whose
    length cannot be known for certain. Of Transfer-Encoding and Content-Length the former wins (RFC 9112 6.3).
    """
    if len(data) > MAX_REPLY_HEAD:
        raise HeadError("The headers of the reply are too long.")
    match = _REPLY.fullmatch(data)
    if match is not None:
        minor, status, block = match.groups()
        pairs = _pairs(block)
    else:
        minor, status, pairs = _tolerant_reply(data)
    headers = Headers(pairs)
    is_sound = True
    if "transfer-encoding" in headers:
        # RFC 9112 6.1: a client that receives it in an HTTP/1.0 message "MUST treat the message as if the framing is faulty".
        is_sound = "content-length" not in headers and minor != b"0"
        if "content-length" in headers:
            headers = Headers([pair for pair in headers.pairs if pair[0] != "content-length"])
    elif "content-length" in headers and (headers.repeats or not _LENGTH.fullmatch(headers["content-length"])):
        headers = _with_one_length(headers)
    return ReplyHead(int(status), 0 if minor == b"0" else 1, headers, is_sound)


def _pairs(block: bytes) -> list[tuple[str, str]]:
    """Field lines that were found to be well-formed, each ended by CRLF, as (name, value)."""
    pairs: list[tuple[str, str]] = []
    for line in block[:-2].decode("latin-1").split("\r\n") if block else ():
        name, _, value = line.partition(":")
        pairs.append((name.lower(), value.strip(" \t")))
    return pairs


def _keeps_alive(minor: int, headers: Headers) -> bool:
    connection = headers.get("connection")
    if connection is None:
        return minor == 1
    if headers.repeats:
        connection = ",".join(headers.all("connection"))
    if connection == "keep-alive":
        return True
    options = [option.strip(" \t") for option in connection.lower().split(",")]
    return "close" not in options and (minor == 1 or "keep-alive" in options)


def _check_framing(head: RequestHead) -> None:
    """One message must have one length for everybody who reads it (RFC 9112 6.1-6.3)."""
    headers = head.headers
    length = headers.get("content-length")
    coding = headers.get("transfer-encoding")
    if length is not None:
        if coding is not None:
            raise HeadError("Content-Length and Transfer-Encoding came together; send one of them.")
        if headers.repeats and len(headers.all("content-length")) > 1:
            raise HeadError("Content-Length came more than once; send it once.")
        if not _LENGTH.fullmatch(length):
            raise HeadError(f"Content-Length must be a plain number of bytes, not {_shown(length)}.")
    elif coding is not None:
        if head.minor == 0:
            raise HeadError("Transfer-Encoding does not exist in HTTP/1.0; send Content-Length.")
        if coding.lower() != "chunked" or (headers.repeats and len(headers.all("transfer-encoding")) > 1):
            codings = ", ".join(headers.all("transfer-encoding"))
            raise HeadError(f"The only Transfer-Encoding understood here is chunked, not {_shown(codings)}.", 501)


def _check_host(head: RequestHead) -> None:
    """RFC 9112 3.2: a server MUST answer 400 to HTTP/1.1 without Host, with two of them, or with an invalid one."""
    host = head.headers.get("host")
    if host is None:
        if head.minor == 1:
            raise HeadError("The Host header is missing.")
    elif head.headers.repeats and len(head.headers.all("host")) > 1:
        raise HeadError("The Host header came more than once; send it once.")
    elif not _HOST.fullmatch(host):
        raise HeadError(f"The Host header must be a host name or address with an optional port, not {_shown(host)}.")


def _reduce_target(head: RequestHead) -> RequestHead:
    """The forms of a target other than a path: absolute, asterisk, authority (RFC 9112 3.2.2-3.2.4)."""
    method, target = head.method, head.target
    if method == "CONNECT":
        raise HeadError("CONNECT is not supported: this is not a forward proxy.", 501)
    if target == "*":
        if method != "OPTIONS":
            raise HeadError("The target * is only for OPTIONS.")
        return head
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not _HOST.fullmatch(match[1]):
        raise HeadError(f"The request target must be a path that starts with a slash, not {_shown(target)}.")
    authority, path, query = match.groups()
    if not path:
        path = "*" if method == "OPTIONS" and not query else "/"
    # "the origin server MUST ignore the received Host header field (if any) and instead use the host information of the
    # request-target"
    pairs = [pair for pair in head.headers.pairs if pair[0] != "host"]
    return RequestHead(method, path + query, head.minor, Headers([("host", authority), *pairs]))


def _explain_request(data: bytes) -> NoReturn:
    """Find the reason why a block is no request head; the fast path has only said that it is none."""
    begin = 2 if data.startswith(b"\r\n") else 0
    line, _, block = data[begin:].partition(b"\r\n")
    _explain_request_line(line)
    if len(block) - 2 > MAX_FIELD_BYTES:
        _refuse_long_fields()
    for field in block.split(b"\r\n")[:-2]:
        if not _FIELD.fullmatch(field):
            _explain_field(field)
    raise HeadError("The request head is malformed: it must end in one empty line.")


def _explain_request_line(line: bytes) -> None:
    """Raise the reason why a request line (without its line end) is refused; return if it is none of these."""
    if len(line) > MAX_LINE:
        _refuse_long_line()
    if not _NAME.match(line):
        _refuse_garbage(line)
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        if line.count(b" /") == line.count(b" ") == 1:
            raise HeadError("The request line lacks its version: HTTP/0.9 is not supported, send HTTP/1.1.")
        raise HeadError(f"The request line must read: METHOD /path HTTP/1.1. It reads {_shown(line)}.")
    major, minor = match[3], match[4]
    if major == b"0":
        raise HeadError("HTTP/0.9 is not supported; send HTTP/1.1.")
    if major != b"1" or minor not in b"01":
        version = f"{major.decode()}.{minor.decode()}"
        raise HeadError(f"HTTP/{version} is not supported here; send HTTP/1.1.", 505)
    if b"#" in match[2]:
        raise HeadError("The request target must not hold a fragment (#).")
    if re.search(rb"[^!-~]", match[2]):
        raise HeadError(f"The request target holds a byte that must be percent-encoded: {_shown(match[2])}.")


def _explain_field(field: bytes) -> NoReturn:
    name, colon, _ = field.partition(b":")
    if field[:1] in (b" ", b"\t"):
        raise HeadError("A header is folded over two lines, which is no longer allowed; write it on one.")
    if b"\r" in field or b"\n" in field:
        raise HeadError("A header line holds a bare CR or LF; lines of HTTP end in CR LF.")
    if not colon:
        raise HeadError(f"A header line lacks its colon: {_shown(field)}.")
    if name.endswith((b" ", b"\t")):
        raise HeadError(f"There is a blank before the colon of the header {_shown(name)}.")
    if not _NAME.fullmatch(name):
        raise HeadError(f"A header name holds a character that is not allowed: {_shown(name)}.")
    raise HeadError(f"The value of the header {_shown(name)} holds a control character.")


def _refuse_long_line() -> NoReturn:
    raise HeadError(f"The request line is longer than {MAX_LINE} bytes.", 414)


def _refuse_long_fields() -> NoReturn:
    raise HeadError(f"The request has more than {MAX_FIELDS} headers or {MAX_FIELD_BYTES} bytes of them.", 431)


def _refuse_garbage(begin: bytes) -> NoReturn:
    if begin[:1] == b"\x16":
        raise HeadError("This looks like the start of TLS; this port speaks plain HTTP, use http:// in the address.")
    raise HeadError(f"This is not an HTTP request: it begins with {_shown(begin)}.")


def _shown(what: bytes | str) -> str:
    """A piece of what came, short and printable: it may be shown to people and written to a log."""
    text = what.decode("latin-1") if isinstance(what, bytes) else what
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def _tolerant_reply(data: bytes) -> tuple[bytes, bytes, list[tuple[str, str]]]:
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    match = _STATUS_LINE.fullmatch(lines[0])
    if match is None:
        raise HeadError(f"The reply does not begin with a status line of HTTP/1.x but with {_shown(lines[0])}.")
    minor, status = match.groups()
    pairs: list[tuple[str, str]] = []
    for line in lines[1:]:
        text = _NOT_VALUE.sub(b" ", line).decode("latin-1")
        if line[:1] in (b" ", b"\t"):
            # RFC 9112 5.2: "replace each received obs-fold with one or more SP octets prior to interpreting the value"
            if pairs:
                name, value = pairs[-1]
                pairs[-1] = (name, " ".join((value, text.strip(" \t"))).strip(" "))
            continue
        name, colon, value = text.partition(":")
        name = name.rstrip(" \t")
        if colon and _NAME.fullmatch(line, 0, len(name)):
            pairs.append((name.lower(), value.strip(" \t")))
    return minor, status, pairs


def _with_one_length(headers: Headers) -> Headers:
    """RFC 9112 6.3: a list of equal lengths is one length; anything else leaves the end of the body in doubt."""
    lengths = {one.strip(" \t") for value in headers.all("content-length") for one in value.split(",")}
    length = lengths.pop()
    if lengths or not _LENGTH.fullmatch(length):
        raise HeadError("The reply's Content-Length is not one plain number, so its end is unknown.")
    pairs = [pair for pair in headers.pairs if pair[0] != "content-length"]
    return Headers([*pairs, ("content-length", length)])
