"""Forms: fields, files, their places in the body, and the readings that are refused."""

from __future__ import annotations

import io
import tempfile
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ipin_proxy.web import multipart
from ipin_proxy.web.head import Headers
from ipin_proxy.web.multipart import Form, FormError, MultipartParser, boundary_of, parse_file, parse_request

TYPE = "multipart/form-data; boundary=XX"


def part(disposition: str, content: bytes = b"", *headers: str) -> bytes:
    lines = [f"Content-Disposition: form-data; {disposition}", *headers]
    return b"--XX\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n" + content + b"\r\n"


def read(*parts: bytes, end: bytes = b"--XX--\r\n") -> Form:
    return parse_file(io.BytesIO(b"".join(parts) + end), TYPE)


UPLOAD = (
    b"an old preamble\r\n"
    + part('name="model"', b"whisper-1")
    + part(
        'name="file"; filename="a b.mp3"',
        b"\x00\xff\r\n-\r\n--X\r\n--Y",
        "Content-Type: audio/mpeg\r\nContent-Length: 15",
    )
    + part('name="timestamp_granularities[]"', b"word")
    + part('name="timestamp_granularities[]"', "é\r\n".encode())
    + part("name=empty")
    + b"--XX-- \t\r\nepilogue --X\r\n"
)


# ---- what is found ---------------------------------------------------------------------------------------------------


def test_a_form_with_everything():
    form = parse_file(io.BytesIO(UPLOAD), TYPE)
    assert form.fields == [
        ("model", "whisper-1"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "é\r\n"),
        ("empty", ""),
    ]
    (file,) = form.files
    assert (file.field, file.filename, file.content_type) == ("file", "a b.mp3", "audio/mpeg")
    assert file.headers.get("content-type") == "audio/mpeg"
    assert file.open().read() == b"\x00\xff\r\n-\r\n--X\r\n--Y"
    assert file.size == 15
    assert [part.name for part in form.parts][:2] == ["model", "file"]


def test_lists_are_found_with_and_without_brackets():
    form = read(part('name="a[]"', b"1"), part('name="a"', b"2"), part('name="b"', b"3"))
    assert form.all("a") == form.all("a[]") == ["1", "2"]
    assert form.all("b[]") == ["3"]
    assert form.first("a") == "1"
    assert form.first("c") is None
    assert form.all("c") == []


def test_every_cut_gives_the_same():
    def parts(*pieces: bytes) -> list[multipart.Part]:
        parser = MultipartParser(b"XX")
        for piece in pieces:
            parser.feed(piece)
        return [
            multipart.Part(p.name, p.filename, p.content_type, Headers([]), p.begin, p.end, p.value, p.told_at)
            for p in parser.end()
        ]

    def places(found: list[multipart.Part]) -> list[object]:
        return [(p.name, p.filename, p.begin, p.end, p.value, p.told_at) for p in found]

    whole = places(parts(UPLOAD))
    assert len(whole) == 5
    for at in range(len(UPLOAD)):
        assert places(parts(UPLOAD[:at], UPLOAD[at:])) == whole
    assert places(parts(*(UPLOAD[i : i + 1] for i in range(len(UPLOAD))))) == whole


@pytest.mark.parametrize("end", [b"--XX--", b"--XX--\r\n", b"--XX-- ", b"--XX--\n", b"--XX--\r\n\r\n--XY\r\n"])
def test_the_last_boundary(end: bytes):
    assert read(part("name=a", b"1"), end=end).fields == [("a", "1")]
    assert read(end=end).parts == []


@pytest.mark.parametrize(
    ("parameters", "filename"),
    [
        ('filename="a.png"', "a.png"),
        ("filename=a.png", "a.png"),
        ('filename="ünï 🙂.png"', "ünï 🙂.png"),
        ("filename*=UTF-8''%C3%BC%20b.png", "ü b.png"),
        ("filename=\"u.png\"; filename*=utf-8'en'%C3%BC.png", "ü.png"),
        ("filename*=ISO-8859-1''%FC.png", "ü.png"),
        (r'filename="a\"b.png"', 'a"b.png'),
        ('filename="a%22b%0D%0A%41.png"', 'a"b\r\n%41.png'),
        (r'filename="C:\dir\a.png"', r"C:\dir\a.png"),
        ('filename="a;b=c.png"', "a;b=c.png"),
        ('filename=""', ""),
    ],
)
def test_names_of_files(parameters: str, filename: str):
    form = read(part(f'name="f"; {parameters}', b"x"))
    assert [(file.field, file.filename) for file in form.files] == [("f", filename)]
    assert form.fields == []


def test_names_in_latin_1_are_read_as_such():
    body = 'Content-Disposition: form-data; name="f"; filename="\xfc.png"'.encode("latin-1")
    assert read(b"--XX\r\n" + body + b"\r\n\r\nx\r\n").files[0].filename == "\xfc.png"


@pytest.mark.parametrize(
    ("content_type", "content", "text"),
    [
        ("text/plain", "é".encode(), "é"),
        ("text/plain; charset=UTF-8", "é".encode(), "é"),
        ('text/plain; charset="iso-8859-1"', b"\xe9", "é"),
        ("text/plain; charset=windows-1252", b"\x80", "€"),
        ("application/json", b'{"a":1}', '{"a":1}'),
    ],
)
def test_charsets_of_fields(content_type: str, content: bytes, text: str):
    assert read(part("name=a", content, f"content-type: {content_type}")).fields == [("a", text)]


def test_a_file_is_a_seekable_window():
    source = io.BytesIO(UPLOAD)
    form = parse_file(source, TYPE)
    one, two = form.files[0].open(), form.files[0].open()
    assert one.read(3) == b"\x00\xff\r"
    assert two.read() == b"\x00\xff\r\n-\r\n--X\r\n--Y"
    assert one.read() == b"\n-\r\n--X\r\n--Y"
    assert one.seek(-3, io.SEEK_END) == 12
    assert one.read() == b"--Y"
    assert one.seek(100) == 100
    assert one.read() == b""
    one.seek(1)
    one.seek(1, io.SEEK_CUR)
    assert one.read(1) == b"\r"
    with pytest.raises(ValueError, match="negative"):
        one.seek(-1)
    one.close()
    assert not source.closed


def test_a_request_in_memory_and_in_a_file():
    with tempfile.TemporaryFile() as file:
        file.write(UPLOAD)
        headers = Headers([("content-type", TYPE)])
        for request in (
            SimpleNamespace(headers=headers, body=bytearray(UPLOAD), file=None),
            SimpleNamespace(headers=headers, body=b"", file=file),
        ):
            form = parse_request(cast(Any, request))
            assert form.first("model") == "whisper-1"
            assert form.files[0].open().read(2) == b"\x00\xff"


# ---- sending on ------------------------------------------------------------------------------------------------------


def rewritten(body: bytes, changes: dict[str, str]) -> bytes:
    segments = parse_file(io.BytesIO(body), TYPE).segments(changes)
    return b"".join(each if isinstance(each, bytes) else body[each[0] : each[1]] for each in segments)


def test_only_the_changed_field_changes():
    assert rewritten(UPLOAD, {}) == UPLOAD
    assert rewritten(UPLOAD, {"model": "whisper-1"}) == UPLOAD
    assert rewritten(UPLOAD, {"model": "é", "empty": "no"}) == UPLOAD.replace(b"whisper-1", "é".encode()).replace(
        b"name=empty\r\n\r\n", b"name=empty\r\n\r\nno"
    )


@pytest.mark.parametrize("told", [b"Content-Length: %d", b"content-length:\t%d ", b"X-A: b\r\nCONTENT-LENGTH:%d"])
def test_a_part_that_says_how_long_it_is_says_so_of_its_new_value(told: bytes):
    def form(value: bytes) -> bytes:
        first = b"--XX\r\n%b\r\nContent-Disposition: form-data; name=model\r\n\r\n%b\r\n" % (told % len(value), value)
        return first + b"--XX\r\nContent-Disposition: form-data; name=a\r\nContent-Length: 1\r\n\r\nb\r\n--XX--"

    assert rewritten(form(b"whisper-1"), {"model": "whisper-1"}) == form(b"whisper-1")
    assert rewritten(form(b"whisper-1"), {"model": "whisper-large-é"}) == form("whisper-large-é".encode())
    assert rewritten(form(b"whisper-1"), {"model": ""}) == form(b"")
    added = rewritten(form(b"whisper-1"), {"model": "x", "new": "1"})
    assert added == b'--XX\r\nContent-Disposition: form-data; name="new"\r\n\r\n1\r\n' + form(b"x")


def test_an_absent_field_is_added_in_front():
    added = rewritten(UPLOAD, {"new": "1", "model": "x"})
    form = parse_file(io.BytesIO(added), TYPE)
    assert form.fields[:2] == [("new", "1"), ("model", "x")]
    assert added.endswith(UPLOAD[UPLOAD.index(b"whisper-1") + 9 :])
    assert added.startswith(b"an old preamble\r\n--XX\r\n")
    assert rewritten(b"--XX--", {"a": "b"}) == b'--XX\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--XX--'


def test_a_new_value_cannot_end_its_part():
    with pytest.raises(FormError, match="boundary"):
        rewritten(UPLOAD, {"model": "a\r\n--XX--"})


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data ;charset=utf-8; BOUNDARY="a b"', b"a b"),
        (
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
            b"----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
        ("multipart/form-data; boundary=a/b:c=?(d),", b"a/b:c=?(d),"),
        ("multipart/form-data; boundary=" + "a" * 70, b"a" * 70),
        ("multipart/form-data; boundary=a;", b"a"),
    ],
)
def test_boundaries(content_type: str, boundary: bytes):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart/form-data",
        "multipart/mixed; boundary=a",
        "application/json; boundary=a",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        'multipart/form-data; boundary="a "',
        'multipart/form-data; boundary="a',
        'multipart/form-data; boundary="a\tb"',
        "multipart/form-data; boundary=é",
        "multipart/form-data; boundary=" + "a" * 71,
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a; boundary*=utf-8''b",
        "multipart/form-data, boundary=a",
    ],
)
def test_content_types_that_are_refused(content_type: str):
    with pytest.raises(FormError) as caught:
        boundary_of(content_type)
    assert caught.value.code == "invalid_multipart_data"


A = part("name=a", b"1")
RAW = b"Content-Disposition: form-data; name=a\r\n"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "does not occur"),
        (b"hello", "does not occur"),
        (b"--YY\r\n", "does not occur"),
        (b"--XX\r\n", "cut short"),
        (A, "cut short"),
        (A[:-2], "cut short"),
        (A + b"--X", "cut short"),
        (A + b"--XX", "cut short"),
        (A + b"--XX-", "no boundary line"),
        (b"--XX\r\n" + RAW, "cut short"),
        (b"--XX\r\n\r\nx\r\n--XX--", "malformed"),
        (b"--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n--XX--", "no name"),
        (part('name=""', b"1") + b"--XX--", "no name"),
        (part("filename=a", b"1") + b"--XX--", "no name"),
        (b"--XX\r\nContent-Disposition: attachment; name=a\r\n\r\nx\r\n--XX--", "no name"),
        (part("name=a; name=b") + b"--XX--", "twice"),
        (part("name=a; name*=utf-8''b") + b"--XX--", "plainly"),
        (part("name*0=a; name*1=b") + b"--XX--", "plainly"),
        (part('name="a') + b"--XX--", "cannot be read"),
        (part("name=a b") + b"--XX--", "cannot be read"),
        (b"--XX\r\n" + RAW + RAW + b"\r\nx\r\n--XX--", "twice"),
        (b"--XX\r\n" + RAW + b" folded: a\r\n\r\nx\r\n--XX--", "malformed"),
        (b"--XX\r\n" + RAW + b"X : a\r\n\r\nx\r\n--XX--", "malformed"),
        (b"--XX\r\n" + RAW + b"X: a\nY: b\r\n\r\nx\r\n--XX--", "malformed"),
        (b"--XX\r\n" + RAW + b"X: a\x00\r\n\r\nx\r\n--XX--", "malformed"),
        (part("name=a", b"aGk=", "Content-Transfer-Encoding: base64") + b"--XX--", "'base64'"),
        (part("name=a", b"=41", "Content-Transfer-Encoding: Quoted-Printable") + b"--XX--", "'quoted-printable'"),
        (part("name=a", b"x", "Content-Type: text/plain; charset=utf-7") + b"--XX--", "'utf-7'"),
        (part("name=a", b"\xff") + b"--XX--", "not valid utf-8"),
        # Every one of these is read in another way by some program.
        (A.replace(b"\r\n", b"\n") + b"--XX--", "no boundary line"),
        (A + b"--XXy\r\n", "no boundary line"),
        (A + b"--XX--y\r\n", "no boundary line"),
        (A + b"--XX \r \n", "no boundary line"),
        (A + b"--XX" + b" " * 1000 + b"\r\n", "no boundary line"),
        (A[:-2] + b"\n--XX--", "no boundary line"),
        (A[:-2] + b"\r--XX--", "no boundary line"),
        (part("name=a", b"x--XX--x") + b"--XX--", "no boundary line"),
        (part("name=a; filename=b", b"\n--XX\n") + b"--XX--", "no boundary line"),
        (b"--XX\r\n" + RAW + b"\r\n--XX--", "no boundary line"),
        (b"x--XX\r\n" + A + b"--XX--", "no boundary line"),
        (b"\n--XX\r\n" + A + b"--XX--", "no boundary line"),
        (A + b"--XX--\r\n" + A + b"--XX--\r\n", "no boundary line"),
        (A + b"--XX--\r\nan epilogue\r\n" + A + b"--XX--\r\n", "no boundary line"),
        (A + b"--XX--\r\nan epilogue--XX", "no boundary line"),
    ],
)
def test_forms_that_are_refused(body: bytes, says: str):
    for step in (1, 3, len(body) + 1):
        parser = MultipartParser(b"XX")
        with pytest.raises(FormError) as caught:
            for at in range(0, len(body), step):
                parser.feed(body[at : at + step])
            parser.end()
        assert says in caught.value.message
        assert caught.value.message.isprintable()
        assert caught.value.code == "invalid_multipart_data"


def test_limits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(multipart, "MAX_PARTS", 3)
    monkeypatch.setattr(multipart, "MAX_FIELD", 1000)
    assert len(read(A, A, A).parts) == 3
    with pytest.raises(FormError, match="3 parts"):
        read(A, A, A, A)
    assert read(part("name=a", b"x" * 1000)).first("a") == "x" * 1000
    with pytest.raises(FormError, match="1000 bytes"):
        read(part("name=a", b"x" * 1001))
    assert read(part("name=a; filename=b", b"x" * 1001)).files[0].size == 1001
    with pytest.raises(FormError, match="headers of part 1"):
        read(part("name=a", b"x", "X: " + "x" * multipart.MAX_PART_HEAD))


def test_an_endless_field_is_refused_before_its_end():
    parser = MultipartParser(b"XX")
    parser.feed(b"--XX\r\n" + RAW + b"\r\n")
    with pytest.raises(FormError):
        for _ in range(2 * multipart.MAX_FIELD // 20_000):
            parser.feed(b"\r\n" * 10_000)
