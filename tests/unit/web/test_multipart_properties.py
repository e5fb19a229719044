"""Forms written by a plain writer, read in random cuts."""

from __future__ import annotations

import io

import pytest

pytest.importorskip("hypothesis")

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ipin_proxy.web.multipart import Form, FormError, MultipartParser, parse_file

BOUNDARY = b"-aXa-"
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
# Contents that nearly are the boundary, over and over.
CONTENTS = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"-a", b"Xa", b"--aX", b"--aXa", b"\r\n--aX", b"\0\xff", b"x"]),
    max_size=12,
).map(b"".join)
PARTS = st.lists(st.tuples(NAMES, st.booleans(), CONTENTS), max_size=6)


def quoted(name: str) -> str:
    return name.replace("\\", "\\\\").replace('"', '\\"')


def written(parts: list[tuple[str, bool, bytes]]) -> bytes:
    body = b""
    for name, is_file, content in parts:
        filename = f'; filename="{quoted(name)}"' if is_file else ""
        head = f'Content-Disposition: form-data; name="{quoted(name)}"{filename}\r\nContent-Type: text/plain; charset=latin1'
        body += b"--%b\r\n%b\r\n\r\n%b\r\n" % (BOUNDARY, head.encode(), content)
    return body + b"--%b--\r\n" % BOUNDARY


@given(PARTS, st.lists(st.integers(0, 10_000)))
def test_what_was_written_is_read(parts: list[tuple[str, bool, bytes]], places: list[int]):
    parts = [(name, is_file, content) for name, is_file, content in parts if b"--" + BOUNDARY not in content]
    body = written(parts)
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    parser = MultipartParser(BOUNDARY)
    for begin, end in itertools.pairwise(edges):
        parser.feed(body[begin:end])
    found = parser.end()
    assert [body[part.begin : part.end] for part in found] == [content for _, _, content in parts]
    form = Form(found, io.BytesIO(body), BOUNDARY, parser.first_boundary, len(body))
    name_of = [
        (name.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n"), is_file, c) for name, is_file, c in parts
    ]
    assert form.fields == [(name, content.decode("latin-1")) for name, is_file, content in name_of if not is_file]
    assert [(f.field, f.filename, f.open().read()) for f in form.files] == [
        (n, n, c) for n, is_file, c in name_of if is_file
    ]


@given(
    PARTS,
    st.integers(0, 10_000),
    st.integers(0, 4),
    st.sampled_from([b"", b"\r", b"\n", b"-", b"\r\n", b'"', b";", b"--" + BOUNDARY]),
)
def test_a_damaged_form_is_read_or_refused(parts: list[tuple[str, bool, bytes]], at: int, gone: int, piece: bytes):
    body = written(parts)
    at %= len(body)
    damaged = body[:at] + piece + body[at + gone :]
    try:
        form = parse_file(io.BytesIO(damaged), f'multipart/form-data; boundary="{BOUNDARY.decode()}"')
    except FormError as error:
        assert error.message.isprintable()
        return
    for part in form.parts:
        content = damaged[part.begin : part.end]
        assert b"--" + BOUNDARY not in content
        assert damaged[part.begin - 4 : part.begin] == b"\r\n\r\n"
        assert damaged[part.end :].startswith(b"\r\n--" + BOUNDARY)
