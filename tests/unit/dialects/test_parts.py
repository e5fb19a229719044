"""Images and videos in bodies: found in every form they are written in, and written where all servers look for them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.pictures import IMAGES, base64_of, data_url, png

from ipin_proxy.call import IMAGE_PART, VIDEO_PART
from ipin_proxy.dialects.parts import Part, Sent, in_input, in_messages, sent, write
from ipin_proxy.errors import BadImage
from ipin_proxy.media.dataurls import Text, read_base64, read_url

Json = dict[str, Any]
PNG = data_url(png())
DATA = base64_of(png())


def said(*parts: Any) -> Json:
    return {"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": list(parts)}]}


def only(part: Json) -> Part:
    (found,) = in_messages(said({"type": "text", "text": "?"}, part))
    return found


def text_of(text: Text) -> str:
    return "".join(each if isinstance(each, str) else str(each, "ascii") for each in text)


# ---- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ({"type": "image_url", "image_url": {"url": "x"}}, IMAGE_PART),
        ({"type": "image_url"}, IMAGE_PART),
        ({"image_url": {"url": "x"}}, IMAGE_PART),
        ({"type": "input_image", "image_url": "x"}, IMAGE_PART),
        ({"type": "image", "source": {}}, IMAGE_PART),
        ({"type": "image", "image": "x"}, IMAGE_PART),
        ({"type": "video_url", "video_url": {"url": "x"}}, VIDEO_PART),
        ({"video_url": {"url": "x"}}, VIDEO_PART),
        ({"type": "input_video", "video_url": "x"}, VIDEO_PART),
        ({"type": "video", "video": ["x", "y"]}, VIDEO_PART),
    ],
)
def test_a_part_of_a_chat(part: Json, kind: str):
    found = only(part)
    assert found == (kind, "messages[1].content[1]", part)
    assert found.member == "messages"


@pytest.mark.parametrize(
    "part",
    [
        {"type": "text", "text": "image_url", "image_url": None},
        {"type": "text", "text": "x", "image_url": {"url": "x"}},
        {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}},
        {"type": "file", "file": {"file_data": PNG}},
        {"type": ["image_url"]},
        {"type": {}},
        {"type": 1},
        {"image_url": None},
        {},
        "image_url",
        None,
        [{"type": "image_url"}],
        {"type": "tool_result", "content": "x"},
        {"type": "tool_result", "content": [{"type": "text"}, None, "x"]},
        {"type": "tool_result"},
    ],
)
def test_what_is_no_image(part: Any):
    assert list(in_messages(said(part))) == []


def test_every_message_may_hold_images():
    messages = [{"role": role, "content": [{"type": "image_url"}]} for role in ("system", "assistant", "tool", "user")]
    assert [part.place for part in in_messages({"messages": messages})] == [
        f"messages[{at}].content[0]" for at in range(4)
    ]


def test_what_a_tool_answered_may_hold_images():
    inner = [{"type": "text", "text": "x"}, {"type": "image", "source": {"type": "base64"}}]
    values = said({"type": "tool_result", "tool_use_id": "1", "content": inner}, {"type": "image", "source": {}})
    places = [part.place for part in in_messages(values)]
    assert places == ["messages[1].content[0].content[1]", "messages[1].content[1]"]


def test_parts_of_the_responses_api():
    image, video = {"type": "input_image", "image_url": "x"}, {"type": "input_video"}
    shot = {"type": "computer_screenshot", "image_url": "x"}
    values = {
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "?"}, image]},
            {"type": "message", "role": "user", "content": "text"},
            {"type": "function_call_output", "output": [image, video]},
            {"type": "computer_call_output", "output": shot},
            {"type": "function_call_output", "output": "text"},
            {"type": "reasoning", "content": None},
            "text",
            None,
        ]
    }
    assert list(in_input(values)) == [
        (IMAGE_PART, "input[0].content[1]", image),
        (IMAGE_PART, "input[2].output[0]", image),
        (VIDEO_PART, "input[2].output[1]", video),
        (IMAGE_PART, "input[3].output", shot),
    ]
    assert next(in_input(values)).member == "input"


@pytest.mark.parametrize(
    "value", [None, "text", 1, {}, [], [None], [[]], ["x"], [{}], [{"content": None}], [{"content": {}}]]
)
def test_bodies_without_any(value: Any):
    assert list(in_messages({"messages": value})) == []
    assert list(in_input({"input": value})) == []
    assert list(in_messages({})) == list(in_input({})) == []


# ---- reading and writing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "image_url", "image_url": {"url": "x"}}, ("x", ".image_url.url", None, True)),
        ({"type": "image_url", "image_url": "x"}, ("x", ".image_url", None, False)),
        ({"image_url": "x"}, ("x", ".image_url", None, False)),
        ({"type": "input_image", "image_url": "x"}, ("x", ".image_url", None, True)),
        ({"type": "input_image", "image_url": {"url": "x"}}, ("x", ".image_url.url", None, False)),
        ({"type": "image", "image": "x"}, ("x", ".image", None, True)),
        ({"type": "image", "image_url": "x"}, ("x", ".image_url", None, True)),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "x"}},
            ("x", ".source.data", "image/png", True),
        ),
        ({"type": "image", "source": {"type": "base64", "data": "x"}}, ("x", ".source.data", "", True)),
        ({"type": "image", "source": {"type": "base64", "data": PNG}}, (PNG, ".source.data", "", False)),
        ({"type": "image", "source": {"type": "url", "url": "x"}}, ("x", ".source.url", None, True)),
        ({"type": "image", "source": {"type": "url", "url": PNG}}, (PNG, ".source.url", None, False)),
        ({"type": "image", "source": {"type": "file", "file_id": "1"}}, None),
        ({"type": "input_image", "file_id": "1", "image_url": None}, None),
        ({"type": "image_url", "image_url": None, "uuid": "1"}, None),
        ({"type": "image_url", "image_url": {}}, None),
        ({"type": "image_url"}, None),
    ],
)
def test_what_a_part_holds(part: Json, expected: tuple[object, ...] | None):
    found = sent(only(part))
    assert found == (expected and Sent(expected[0], f"messages[1].content[1]{expected[1]}", *expected[2:]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"type": "image_url", "image_url": {"url": 1}}, ".image_url.url"),
        ({"type": "image_url", "image_url": ["x"]}, ".image_url"),
        ({"type": "input_image", "image_url": True}, ".image_url"),
        ({"type": "image", "image": b""}, ".image"),
        ({"type": "image", "source": {"type": "base64", "data": {}}}, ".source.data"),
        ({"type": "image", "source": {"type": "url", "url": 0}}, ".source.url"),
    ],
)
def test_what_holds_no_text_is_refused(part: Json, place: str):
    with pytest.raises(BadImage, match="must be a text") as caught:
        sent(only(part))
    assert caught.value.param == f"messages[1].content[1]{place}"


SHOWN = {"type": "base64", "media_type": "image/png", "data": DATA}


@pytest.mark.parametrize(
    ("part", "written"),
    [
        (
            {"type": "image_url", "image_url": {"detail": "low", "url": "x"}, "x": 1},
            {"type": "image_url", "image_url": {"detail": "low", "url": PNG}, "x": 1},
        ),
        (
            {"type": "image_url", "image_url": "x", "detail": "low"},
            {"type": "image_url", "image_url": {"url": PNG}, "detail": "low"},
        ),
        ({"image_url": "x"}, {"image_url": {"url": PNG}}),
        (
            {"type": "input_image", "image_url": "x", "detail": "high"},
            {"type": "input_image", "image_url": PNG, "detail": "high"},
        ),
        (
            {"type": "input_image", "image_url": {"url": "x", "detail": "low"}},
            {"type": "input_image", "image_url": PNG, "detail": "low"},
        ),
        (
            {"type": "input_image", "detail": "high", "image_url": {"url": "x", "detail": "low"}},
            {"type": "input_image", "detail": "high", "image_url": PNG},
        ),
        ({"type": "image", "image": "x", "min_pixels": 1}, {"type": "image", "image": PNG, "min_pixels": 1}),
        ({"type": "image", "image_url": "x"}, {"type": "image", "image_url": PNG}),
        (
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpg", "data": "x"},
                "cache_control": {},
            },
            {"type": "image", "source": SHOWN, "cache_control": {}},
        ),
        ({"type": "image", "source": {"type": "url", "url": "x"}}, {"type": "image", "source": SHOWN}),
    ],
)
def test_an_image_is_written_where_it_belongs(part: Json, written: Json):
    image = read_url([PNG.replace("image/png", "image/webp")], len(PNG))
    write(only(part), "x", image, text_of)
    assert part == written


def test_an_address_is_written_where_it_belongs():
    url = "https://example.com/a.png"
    for part, written in (
        ({"type": "image_url", "image_url": url}, {"type": "image_url", "image_url": {"url": url}}),
        ({"type": "input_image", "image_url": {"url": url}}, {"type": "input_image", "image_url": url}),
        ({"type": "image", "source": {"type": "url", "url": url}},) * 2,
    ):
        before = json.dumps(written)
        write(only(part), url, None, text_of)
        assert json.dumps(part) == before


@pytest.mark.parametrize("name", IMAGES)
def test_a_source_says_the_type_of_its_bytes(name: str):
    part = {"type": "image", "source": {"type": "base64", "media_type": "image/x", "data": base64_of(IMAGES[name])}}
    image = read_base64([part["source"]["data"]], "image/x", 10_000)  # type: ignore[index]
    write(only(part), "", image, text_of)
    assert part["source"] == {"type": "base64", "media_type": image.media_type, "data": base64_of(IMAGES[name])}
