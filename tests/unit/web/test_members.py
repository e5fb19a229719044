"""JSON bodies: what their members say, and how one is changed without touching the others."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from ipin_proxy.web.members import HOLLOW_FROM, MAX_NAME, REMOVE, BodyError, Remade, _read_int, parse

BODY = (
    b' {\r\n "model" : "gpt\\u002d4" ,\t"n":1e2,\n"messages": [ {"role":"user","content":"\xc3\xa9\\/"} ] , "x":null}\n'
)


def vision(image: str, **members: object) -> bytes:
    """A body with one picture in it."""
    content = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": image}}]
    return json.dumps({"model": "m", **members, "messages": [{"role": "user", "content": content}]}).encode()


PNG = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUgAA" * 20_000 + "QmCC=="


# ---- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_the_members_of_a_body(kind: type[bytes]):
    members = parse(kind(BODY))
    assert members.values == json.loads(BODY)
    assert list(members.values) == ["model", "n", "messages", "x"]
    assert members.raw == BODY
    assert not members.hollow
    assert members.full() == members.values


def test_an_empty_object():
    assert parse(b" { } ").values == {}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"[1]", "an array"),
        (b'"a"', "a string"),
        (b"model=gpt-4", "begins with 'm'"),
        (b"null", "begins with 'n'"),
        (b"{", "line 1, column 2"),
        (b'{"a"', "line 1, column 5"),
        (b'{"a" 1}', "':' delimiter at line 1, column 6"),
        (b'{"a":}', "Expecting value at line 1, column 6"),
        (b'{"a":1', "',' delimiter at line 1, column 7"),
        (b'{"a":1 "b":2}', "',' delimiter at line 1, column 8"),
        (b'{"a":1,}', "line 1, column 8"),
        (b'{"a":1}}', "Extra data at line 1, column 8"),
        (b"{'a':1}", "double quotes at line 1, column 2"),
        (b"{a:1}", "double quotes"),
        (b'{\n "\xc3\xa9\xc3\xa9":\n  [1,\n }', "line 4, column 2"),
        (b'{"\xf0\x9f\x99\x82" 1}', "line 1, column 6"),
        (b'{"a":"x\ny"}', "control character at line 1, column 8"),
        (b'{"a":"\\x"}', "escape"),
        (b'{"a":"b', "Unterminated string starting at line 1, column 6"),
        (b'{"a":01}', "delimiter"),
        (b'{"a":\xa01}', "UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "UTF-8"),
        ('{"a":1}'.encode("utf-16"), "UTF-8"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b'{"a":NaN}', "NaN"),
        (b'{"a":[-Infinity]}', "-Infinity"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"a":' + b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a":' + b"1" * 5000 + b"}", "digits"),
        (b'{"a":1,"b":2,"a":1}', "'a' twice"),
        (b'{"model":"x","mod\\u0065l":"y"}', "'model' twice"),
        (b'{"Model":"x","model":"y"}', "'Model' and 'model'"),
        ('{"ſtream":true,"stream":false}'.encode(), "send one of them"),
        (b'{"' + b"a" * (MAX_NAME + 1) + b'":1}', "name of more than"),
    ],
)
def test_bodies_that_are_refused(body: bytes, says: str):
    with pytest.raises(BodyError) as caught:
        parse(body)
    assert says in caught.value.message
    assert caught.value.message.isprintable()


def test_a_member_may_come_twice_further_in():
    assert parse(b'{"a":{"b":1,"b":2,"B":3}}').values == {"a": {"b": 2, "B": 3}}


def test_pythons_without_a_limit_for_digits_get_ours():
    assert _read_int("-12") == -12
    with pytest.raises(ValueError, match="digits"):
        _read_int("1" * 5000)


# ---- changing --------------------------------------------------------------------------------------------------------


def test_only_the_changed_member_changes():
    changed = parse(BODY).with_values({"model": "other", "x": {"é": [1]}})
    assert changed == BODY.replace(b'"gpt\\u002d4"', b'"other"').replace(b"null", b'{"\\u00e9":[1]}')


def test_the_same_value_keeps_its_spelling():
    assert parse(BODY).with_values({"model": "gpt-4"}) == BODY
    assert parse(BODY).with_values({}) == BODY


def test_absent_members_are_appended():
    assert parse(b'{"a":1 }').with_values({"b": "x", "c": None}) == b'{"a":1,"b":"x","c":null }'
    assert parse(b"{ }").with_values({"b": 1, "c": 2}) == b'{"b":1,"c":2 }'


@pytest.mark.parametrize(
    ("names", "left"),
    [
        ("a", b'{ "b" : 2 , "c" : 3 }'),
        ("b", b'{ "a" : 1 , "c" : 3 }'),
        ("c", b'{ "a" : 1 , "b" : 2 }'),
        ("ab", b'{ "c" : 3 }'),
        ("bc", b'{ "a" : 1 }'),
        ("ac", b'{ "b" : 2 }'),
        ("abc", b"{  }"),
        ("x", b'{ "a" : 1 , "b" : 2 , "c" : 3 }'),
    ],
)
def test_members_are_taken_out_with_their_comma(names: str, left: bytes):
    assert parse(b'{ "a" : 1 , "b" : 2 , "c" : 3 }').with_values(dict.fromkeys(names, REMOVE)) == left


def test_taking_out_and_putting_in_at_once():
    members = parse(b'{"a":1,"b":2}')
    assert members.with_values({"a": REMOVE, "b": REMOVE, "c": 3}) == b'{"c":3}'
    assert members.with_values({"a": REMOVE, "b": 5, "c": 3}) == b'{"b":5,"c":3}'
    assert members.with_values({"a": 5, "b": REMOVE, "c": 3}) == b'{"a":5,"c":3}'
    assert members.with_values({"d": REMOVE}) == b'{"a":1,"b":2}'


def test_half_a_surrogate_pair_can_be_sent():
    assert json.loads(parse(b"{}").with_values({"a": "\ud83d"})) == {"a": "\ud83d"}


# ---- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", ["", "é🙂"])
def test_a_picture_is_left_out_of_the_values_and_stays_in_the_bytes(extra: str):
    body = json.dumps({"é": extra, **json.loads(vision(PNG)), "user": extra}, ensure_ascii=False).encode()
    members = parse(body)
    assert members.hollow
    ((begin, end),) = members.cuts
    url = members.values["messages"][0]["content"][1]["image_url"]["url"]
    assert url.startswith(PNG[:256]) and url.endswith(PNG[-16:]) and len(url) < 300
    assert members.stretches(url) == [PNG[:256], PNG[256:-16].encode(), PNG[-16:]]
    assert body[:begin].endswith(PNG[:256].encode())
    assert body[end:].startswith(PNG[-16:].encode())
    assert members.full() == json.loads(body)
    assert members.with_values({"model": "x", "user": "y", "é": REMOVE}) == body.replace(
        f'"é": "{extra}", "model": "m"'.encode(), b'"model": "x"'
    ).replace(f'"user": "{extra}"'.encode(), b'"user": "y"')


def test_a_mark_is_nothing_a_caller_could_write():
    (one, other) = (parse(vision(PNG + "[0123456789abcdef:0]")).values["messages"][0]["content"][1] for _ in "12")
    assert one != other
    members = parse(json.dumps({"a": other["image_url"]["url"], "b": PNG}).encode())
    assert members.stretches(members.values["a"]) == [other["image_url"]["url"]]


@pytest.mark.parametrize("escapes", [{"/": "\\/"}, {"/": "\\/", "A": "A\\n"}, {"AU": "AU\\r\\n"}])
def test_what_base64_is_escaped_with_is_left_out_as_well(escapes: dict[str, str]):
    body = vision("data:image/png;base64," + "iVBORw0KGgo/AAAANSUhEUgA/" * 20_000)
    for plain, escape in escapes.items():
        body = body.replace(plain.encode(), escape.encode())
    members = parse(body)
    ((begin, end),) = members.cuts
    assert end - begin > len(body) - 5000
    text = members.values["messages"][0]["content"][1]["image_url"]["url"]
    first, inner, last = members.stretches(text)
    assert (
        json.loads(b'"' + body[begin:end] + b'"') in json.loads(body)["messages"][0]["content"][1]["image_url"]["url"]
    )
    assert (
        first + json.loads(b'"%b"' % inner) + last == json.loads(body)["messages"][0]["content"][1]["image_url"]["url"]
    )
    members.amend("messages")
    assert json.loads(members.with_values({})) == json.loads(body)


def test_an_escape_is_never_cut_in_two():
    for before in range(250, 262):
        for after in range(12, 22):
            text = "a" * before + "\\/" * 150_000 + "b" * after
            members = parse(b'{"a":"%b"}' % text.encode())
            assert members.cuts
            assert members.full() == {"a": json.loads(f'"{text}"')}
            assert members.values["a"].startswith("a" * before)


def test_what_is_written_again_has_everything_in_it():
    body = vision(PNG)
    members = parse(body)
    part = members.values["messages"][0]["content"][1]
    part["image_url"] = {"url": part["image_url"]["url"] + "=", "detail": "low"}
    members.amend("messages")
    expected = json.loads(body)
    expected["messages"][0]["content"][1]["image_url"] = {"url": PNG + "=", "detail": "low"}
    assert json.loads(members.with_values({})) == members.full() == expected
    assert members.with_values({"model": "x"}).startswith(b'{"model": "x", "messages": [{"role":"user"')
    assert members.with_values({"messages": REMOVE}) == b'{"model": "m"}'
    assert json.loads(members.with_values({"x": members.values["messages"]}))["x"] == expected["messages"]


@pytest.mark.parametrize("size", [3, 300_000])
def test_a_string_can_stand_for_bytes_that_nobody_copies(size: int):
    members = parse(json.dumps({"a": "x" * size, "b": ["y"]}).encode())
    new = bytearray(b"z" * size)
    members.values["b"] = [members.stand_in(["<", new, ">", *members.stretches(members.values["a"])])]
    members.amend("b")
    assert json.loads(members.with_values({})) == {"a": "x" * size, "b": ["<" + "z" * size + ">" + "x" * size]}
    assert any(piece is new for piece in members.pieces({}))


def test_what_is_too_deep_to_be_written_is_refused():
    members = parse(b'{"a":1}')
    deep: list[object] = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(BodyError, match="nested too deeply"):
        members.with_values({"a": deep})
    while deep:  # outermost first, else taking it down would be as deep
        deep = deep.pop()  # type: ignore[assignment]


def test_nothing_large_is_copied():
    body = vision(PNG * 10)
    tracemalloc.start()
    try:
        members = parse(body)
        pieces = members.pieces({"model": "x"})
        members.amend("messages")
        amended = members.pieces({"model": "x"})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert b"".join(pieces) == body.replace(b'"m"', b'"x"', 1)
    assert json.loads(b"".join(amended)) == {**json.loads(body), "model": "x"}
    assert peak < 100_000


@pytest.mark.parametrize(
    "image",
    [
        "\\" + PNG,  # an escape right before the run
        '"' + PNG + '"',
        '",' + PNG,  # an escaped quote, then what might stand between strings
        " " + PNG,
        "é" + PNG,
        PNG + "é" + PNG,
        "\n".join([PNG[:9000]] * 40),
        "a" * HOLLOW_FROM + '"' + "b" * 8191 + '"' + "c" * 8192 + '"' + "d" * 8193,
    ],
)
def test_long_strings_of_all_kinds(image: str):
    for ensure_ascii in (True, False):
        body = json.dumps({"model": "m", "a": image, "b": [image]}, ensure_ascii=ensure_ascii).encode()
        members = parse(body)
        assert list(members.values) == ["model", "a", "b"]
        assert members.full() == json.loads(body)
        assert members.with_values({"model": "x"}) == body.replace(b'"m"', b'"x"', 1)


def test_long_stretches_between_strings_are_read():
    body = json.dumps({"a": "x", "input": list(range(100_000)), "z": "y"}).encode()
    assert len(body) > HOLLOW_FROM
    members = parse(body)
    assert not members.hollow
    assert members.values == json.loads(body)
    blank = b'{"a":"x"' + b" " * HOLLOW_FROM + b',"b":1}'
    assert parse(blank).values == {"a": "x", "b": 1}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"}}]}]}', b'"}}]}', "Expecting ',' delimiter"),
        (b'"}}]}]}', b"", "Unterminated string"),
        (b'"m"', b"m", "Expecting value at line 1, column 11"),
        (b"QmCC", b"Qm\nCC", "Invalid control character"),
        (b"QmCC", b"Qm\xffCC", "UTF-8"),
        (b'"model"', b'"messages"', "twice"),
    ],
)
def test_broken_bodies_with_pictures_are_refused(old: bytes, new: bytes, says: str):
    body = vision(PNG)
    assert body.count(old) == 1
    with pytest.raises(BodyError) as caught:
        parse(body.replace(old, new))
    assert says in caught.value.message


def test_the_place_of_an_error_behind_a_picture_is_told():
    body = vision(PNG)[:-1] + b', "a" 1}'
    with pytest.raises(BodyError, match=rf"line 1, column {len(body) - 1}\."):
        parse(body)


def test_a_control_character_in_a_picture_is_found_when_it_is_read():
    body = bytearray(vision(PNG))
    body[len(body) // 2] = 1
    members = parse(body)
    assert members.values["model"] == "m"
    with pytest.raises(BodyError, match="control character"):
        members.full()


# ---- written anew ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", ["data:image/png;base64,QQ==", PNG], ids=["small", "hollow"])
def test_a_body_made_of_anothers_values_has_its_long_strings(image: str):
    members = parse(vision(image))
    shown = members.values["messages"][0]["content"][1]["image_url"]["url"]
    made = Remade(members, {"model": "other", "picture": f"<{shown}>", "gone": 1})
    whole = {"model": "other", "picture": f"<{image}>", "gone": 1}
    assert made.full() == json.loads(made.raw) == whole
    changed = made.with_values({"model": "third", "more": [shown], "gone": REMOVE})
    assert json.loads(changed) == {"model": "third", "picture": f"<{image}>", "more": [image]}


def test_a_body_made_of_anothers_is_not_copied():
    members = parse(vision(PNG))
    values = {"messages": members.values["messages"]}
    tracemalloc.start()
    pieces = Remade(members, values).pieces({})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < len(PNG) / 4 and len(b"".join(pieces)) > len(PNG)
