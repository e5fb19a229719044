"""multipart/form-data (RFC 7578, RFC 2046): which fields and files are in a body, and where.

The body is read once, in pieces. Fields are kept, files are not: of them we remember where they stand in the body, so that
an upload lies on the disk once and can go upstream as it came. Of several readings that programs give to the same bytes we
take none but refuse: what we authorise must be what the upstream reads.

It owns no file and deletes none; who spooled the body does.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any, NamedTuple, NoReturn
from urllib.parse import unquote

from .head import Headers

if TYPE_CHECKING:
    from .request import Request

# Sizes in bytes. The largest legitimate field is what a known speaker sounds like: ten seconds as a data URL, without compression; the most
# parts are the images of one edit request.
MAX_PARTS = 1000
MAX_PART_HEAD = 8 * 1024
MAX_FIELD = 8 * 1024 * 1024
READ_BYTES = 256 * 1024

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# A parameter: a quoted string, or what clients put unquoted (more than a token: boundaries with / and : are common).
_PARAMETER = re.compile(rf'[ \t]*;[ \t]*({_TOKEN})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))[ \t]*')
_VALUE_BEGIN = re.compile(rf"[ \t]*({_TOKEN}(?:/{_TOKEN})?)[ \t]*")
_FIELD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[^\0-\x08\x0a-\x1f\x7f]*")
_TOLD_LENGTH = re.compile(rb"^content-length:[ \t]*([0-9]+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
# RFC 2046 5.1.1: 1 to 70 of these characters, the last no blank.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,69}[0-9A-Za-z'()+_,\-./:=?]")
# Blanks are allowed there, for gateways that pad lines; nobody pads with more than these.
_BEHIND_BOUNDARY = re.compile(rb"[ \t]{0,256}\r\n|--[ \t]{0,256}\r?\n")
_MAY_BECOME_THAT = re.compile(rb"-?|(?:--)?[ \t]{0,256}\r?")
_ESCAPED = re.compile(r'\\(["\\])')
_EXTENDED = re.compile(r"(?i:utf-8|iso-8859-1)'[^']*'(.*)", re.DOTALL)

_CHARSETS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "latin-1",
    "latin1": "latin-1",
    "windows-1252": "cp1252",
}

_PREAMBLE, _HEAD, _CONTENT, _EPILOGUE = range(4)


class FormError(ValueError):
    """A body that is not the form it claims to be. `message` is for people, `code` for programs."""

    code = "invalid_multipart_data"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Part(NamedTuple):
    """One part: its content is bytes `begin` to `end` of the body. `value` is the text of a field, None for a file. Some clients
    (OkHttp) say how long a part is: `told_at` is where in the body the digits of that stand."""

    name: str
    filename: str | None
    content_type: str
    headers: Headers
    begin: int
    end: int
    value: str | None
    told_at: tuple[int, int] | None = None

    @property
    def size(self) -> int:
        """Bytes of content."""
        return self.end - self.begin


class FilePart(NamedTuple):
    """A file in the form. `content_type` is what the sender said, or ""; the name is text, never a path to be used."""

    field: str
    filename: str
    content_type: str
    headers: Headers
    size: int
    begin: int
    source: IO[bytes]

    def open(self) -> IO[bytes]:
        """A seekable binary file of the content alone. Views of one form share its file: not for two threads at once."""
        return io.BufferedReader(_View(self.source, self.begin, self.size))


class Form:
    """What was sent: `fields` in order with repeats, `files` likewise, and `parts`, both, with their places."""

    __slots__ = ("boundary", "fields", "files", "first_boundary", "parts", "size", "source")

    def __init__(self, parts: list[Part], source: IO[bytes], boundary: bytes, first_boundary: int, size: int) -> None:
        self.parts = parts
        self.source = source
        self.boundary = boundary
        self.first_boundary = first_boundary
        self.size = size
        self.fields = [(part.name, part.value) for part in parts if part.value is not None]
        self.files = [
            FilePart(part.name, part.filename, part.content_type, part.headers, part.size, part.begin, source)
            for part in parts
            if part.filename is not None
        ]

    def all(self, name: str) -> list[str]:
        """The values of a field. Lists are sent as `name` or as `name[]`, repeated; both are found under both."""
        name = name.removesuffix("[]")
        return [value for each, value in self.fields if each in (name, name + "[]")]

    def first(self, name: str) -> str | None:
        """The first value of a field, or None."""
        values = self.all(name)
        return values[0] if values else None

    def segments(self, changes: Mapping[str, str]) -> list[bytes | tuple[int, int]]:
        """The body with these fields' values replaced (added in front if absent), for sending on.

        New bytes stand for themselves, a pair for the bytes from begin to end of the body as it came.
        """
        segments: list[bytes | tuple[int, int]] = []
        left = dict(changes)
        at = 0
        for part in self.parts:
            if part.value is not None and part.name in changes:
                left.pop(part.name, None)
                if part.value != changes[part.name]:
                    new = self._content(changes[part.name])
                    if part.told_at is not None:
                        segments += [(at, part.told_at[0]), b"%d" % len(new)]
                        at = part.told_at[1]
                    segments += [(at, part.begin), new]
                    at = part.end
        segments.append((at, self.size))
        if left:
            added = [b"".join(self._new_part(name, value) for name, value in left.items())]
            begin = self.first_boundary
            first = segments[0]
            assert isinstance(first, tuple)  # a part has a boundary before it, so the first segment holds the first one
            segments[:1] = [*([(0, begin)] if begin else []), *added, (begin, first[1])]
        return segments

    def _new_part(self, name: str, value: str) -> bytes:
        head = b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n' % (self.boundary, name.encode())
        return head + self._content(value) + b"\r\n"

    def _content(self, value: str) -> bytes:
        content = value.encode()
        if b"--" + self.boundary in content:
            raise FormError("The boundary of the form occurs in the new value of a field.")
        return content


class MultipartParser:
    """Feed it the body in any pieces, then `end` gives the parts. It holds no more than a field and one piece."""

    __slots__ = (
        "_base",
        "_begin",
        "_buffer",
        "_head",
        "_needle",
        "_parts",
        "_scanned",
        "_state",
        "_told_at",
        "_value",
        "first_boundary",
    )

    def __init__(self, boundary: bytes) -> None:
        self._needle = b"--" + boundary
        self._buffer = bytearray()
        self._base = 0  # where the buffer begins in the body
        self._scanned = 0  # how much of the buffer needs no second look
        self._state = _PREAMBLE
        self._parts: list[Part] = []
        self._head: _PartHead | None = None
        self._begin = 0
        self._told_at: tuple[int, int] | None = None
        self._value = bytearray()
        self.first_boundary = 0

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes of the body. Raises FormError."""
        self._buffer += data
        while self._step():
            pass

    def end(self) -> list[Part]:
        """The body is over. Raises FormError if the form was not."""
        if self._state in (_PREAMBLE, _CONTENT):
            self.feed(b"\r\n")  # the last line of a body needs no line end
        if self._state == _PREAMBLE:
            raise FormError("The form's boundary, as the Content-Type header gives it, does not occur in the body.")
        if self._state != _EPILOGUE:
            raise FormError(f"The form is cut short: it ends inside part {len(self._parts) + 1}.")
        return self._parts

    def _step(self) -> bool:
        """Do one thing; say whether there may be another."""
        if self._state == _HEAD:
            return self._take_head()
        if self._state != _EPILOGUE:
            return self._take_content()
        if self._needle in self._buffer:  # some programs read on
            self._refuse_boundary()
        self._drop(max(0, len(self._buffer) - len(self._needle) + 1))
        return False

    def _take_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n", max(0, self._scanned - 3), MAX_PART_HEAD)
        if end < 0:
            if self._buffer.startswith(b"\r\n"):
                _refuse_head(len(self._parts) + 1)
            if len(self._buffer) >= MAX_PART_HEAD:
                raise FormError(f"The headers of part {len(self._parts) + 1} are longer than {MAX_PART_HEAD} bytes.")
            self._scanned = len(self._buffer)
            return False
        if len(self._parts) == MAX_PARTS:
            raise FormError(f"The form has more than {MAX_PARTS} parts.")
        head, at = bytes(self._buffer[:end]), self._base
        self._drop(end + 4)
        self._head = _read_head(head, len(self._parts) + 1)
        told = _TOLD_LENGTH.search(head)
        self._told_at = None if told is None else (at + told.start(1), at + told.end(1))
        self._state = _CONTENT
        self._begin = self._base
        return True

    def _take_content(self) -> bool:
        """Look for the boundary. Wherever it occurs it must be one: some programs take every occurrence for one."""
        buffer = self._buffer
        at = buffer.find(self._needle, self._scanned)
        if at < 0:
            # What may be the beginning of a boundary stays, and the CR LF before it.
            self._drop(max(0, len(buffer) - len(self._needle) - 1))
            return False
        begins_body = at == 0 and self._base == 0
        if not begins_body and (at < 2 or buffer[at - 2 : at] != b"\r\n"):
            self._refuse_boundary()
        behind = at + len(self._needle)
        match = _BEHIND_BOUNDARY.match(buffer, behind)
        if match is None:
            if not _MAY_BECOME_THAT.fullmatch(buffer, behind):
                self._refuse_boundary()
            self._scanned = at
            return False
        is_last = match[0].startswith(b"--")
        end = match.end()
        self._finish_part(0 if begins_body else at - 2)
        if self._state == _PREAMBLE:
            self.first_boundary = self._base + (0 if begins_body else 2)
        self._state = _EPILOGUE if is_last else _HEAD
        self._drop(end - (0 if begins_body else at - 2))
        return True

    def _finish_part(self, size: int) -> None:
        """The content ends after `size` bytes of the buffer."""
        self._drop(size)
        if self._head is None:
            return  # it was the preamble, which means nothing
        head, self._head = self._head, None
        value = None
        if head.filename is None:
            value = _decode_value(head, bytes(self._value))
            self._value.clear()
        self._parts.append(
            Part(
                *(head.name, head.filename, head.content_type, head.headers, self._begin, self._base, value),
                told_at=self._told_at,
            )
        )

    def _drop(self, size: int) -> None:
        """Have done with the first bytes of the buffer; those of a field are kept elsewhere."""
        if self._head is not None and self._head.filename is None:
            self._value += self._buffer[:size]
            if len(self._value) > MAX_FIELD:
                raise FormError(f"The field {self._head.name!a} of the form is longer than {MAX_FIELD} bytes.")
        del self._buffer[:size]
        self._base += size
        self._scanned = 0

    def _refuse_boundary(self) -> NoReturn:
        raise FormError(
            "The form's boundary occurs where it is no boundary line. It must stand alone on its line, lines must end in "
            "CR LF, and it must not occur in the content or behind the end."
        )


class _PartHead(NamedTuple):
    name: str
    filename: str | None
    content_type: str
    charset: str
    headers: Headers


class _View(io.RawIOBase):
    """A window on a part of a seekable file, with a position of its own."""

    def __init__(self, source: IO[bytes], begin: int, size: int) -> None:
        self._source = source
        self._begin = begin
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("negative seek position")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._source.seek(self._begin + self._at)
        data = self._source.read(max(0, min(len(buffer), self._size - self._at)))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def boundary_of(content_type: str) -> bytes:
    """The boundary in a Content-Type header. Raises FormError if that is not multipart/form-data with a good one."""
    media_type, parameters = _read_value(content_type)
    if media_type != "multipart/form-data":
        raise FormError("The Content-Type must be multipart/form-data with a boundary.")
    boundary = parameters.get("boundary")
    if boundary is None:
        raise FormError(
            "The Content-Type multipart/form-data lacks its boundary; let the HTTP library set this header."
        )
    if not _BOUNDARY.fullmatch(boundary):
        raise FormError("The boundary in the Content-Type must be 1 to 70 letters, digits or marks.")
    return boundary.encode("ascii")


def parse_request(request: Request) -> Form:
    """Read the form in a request, be it in memory or in a file. Raises FormError."""
    content_type = request.headers.get("content-type", "")
    return parse_file(io.BytesIO(request.body) if request.file is None else request.file, content_type)


def parse_file(source: IO[bytes], content_type: str) -> Form:
    """Read a form from the beginning of a seekable file, which must stay open as long as the form's files are used.

    Raises FormError.
    """
    boundary = boundary_of(content_type)
    parser = MultipartParser(boundary)
    source.seek(0)
    size = 0
    while data := source.read(READ_BYTES):
        parser.feed(data)
        size += len(data)
    parts = parser.end()
    return Form(parts, source, boundary, parser.first_boundary, size)


def _read_value(text: str) -> tuple[str, dict[str, str]]:
    """`form-data; name="a"` and its kind: the value, lower-case, and its parameters, names lower-case."""
    match = _VALUE_BEGIN.match(text)
    if match is None:
        raise FormError("A header of the form is empty or begins with a character that is not allowed.")
    value, at = match[1].lower(), match.end()
    parameters: dict[str, str] = {}
    while match := _PARAMETER.match(text, at):
        name, at = match[1].lower(), match.end()
        if name in parameters:
            raise FormError(f"A header of the form has the parameter {name} twice.")
        quoted = match[2]
        parameters[name] = match[3] if quoted is None else _ESCAPED.sub(r"\1", quoted)
    if text[at:].strip(" \t;"):
        raise FormError(f"A header of the form cannot be read from {text[at : at + 30]!a} on.")
    for name in ("name", "boundary"):
        if any(each.startswith(name + "*") for each in parameters):
            # RFC 2231 spellings: some programs prefer them over the plain one, others do not know them.
            raise FormError(f"The parameter {name} of a form must be written plainly, without *.")
    return value, parameters


def _read_head(block: bytes, number: int) -> _PartHead:
    """The headers of part `number`, without the empty line (RFC 7578 4)."""
    pairs = []
    for line in block.split(b"\r\n"):
        if not _FIELD.fullmatch(line):
            _refuse_head(number)
        try:
            text = line.decode()  # RFC 7578 5.1: names and file names are sent in UTF-8, whatever else is
        except UnicodeDecodeError:
            text = line.decode("latin-1")
        name, _, value = text.partition(":")
        pairs.append((name.lower(), value.strip(" \t")))
    headers = Headers(pairs)
    if headers.repeats:
        raise FormError(f"Part {number} of the form has a header twice.")
    # RFC 7578 4.7 deprecates the header. Some programs decode what it says and others do not, so the value would differ.
    encoding = headers.get("content-transfer-encoding", "binary").lower()
    if encoding not in ("7bit", "8bit", "binary"):
        raise FormError(f"Part {number} of the form is encoded as {encoding[:30]!a}; send it as it is.")
    kind, parameters = _read_value(headers.get("content-disposition", "-"))
    name = parameters.get("name", "")
    if kind != "form-data" or not name:
        raise FormError(f'Part {number} of the form has no name; it needs Content-Disposition: form-data; name="...".')
    content_type = headers.get("content-type", "")
    charset = _read_value(content_type)[1].get("charset", "utf-8") if ";" in content_type else "utf-8"
    return _PartHead(_unescape(name), _filename(parameters), content_type, charset.lower(), headers)


def _refuse_head(number: int) -> NoReturn:
    raise FormError(f"The headers of part {number} of the form are malformed, or there are none.")


def _filename(parameters: dict[str, str]) -> str | None:
    """RFC 6266 4.3: of filename* and filename the former is meant, if it can be read."""
    match = _EXTENDED.fullmatch(parameters.get("filename*", ""))
    if match is not None:
        charset = "utf-8" if parameters["filename*"][:3].lower() == "utf" else "latin-1"
        return unquote(match[1], charset, "replace")
    filename = parameters.get("filename", parameters.get("filename*"))
    return None if filename is None else _unescape(filename)


def _unescape(name: str) -> str:
    """Browsers write these three characters of a name so, and no others (WHATWG HTML 4.10.21.8)."""
    return name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n") if "%" in name else name


def _decode_value(head: _PartHead, content: bytes) -> str:
    codec = _CHARSETS.get(head.charset)
    if codec is None:
        raise FormError(f"The field {head.name!a} of the form is in the charset {head.charset[:30]!a}; send UTF-8.")
    try:
        return content.decode(codec)
    except UnicodeDecodeError:
        raise FormError(f"The field {head.name!a} of the form is not valid {head.charset}.") from None
