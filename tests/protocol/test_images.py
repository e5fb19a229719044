"""Images in chats and responses: what goes out as it came, what is put right on its way, what is refused and why."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from support import build
from support.build import completion, hello, response
from support.client import Reply, request
from support.pictures import IMAGES, PDF, SVG, TYPES, base64_of, data_url, jpeg, png
from support.proxy import KEY, Proxy
from support.upstream import Script, Seen, Upstream, answer, stream

Json = dict[str, Any]
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
SMALL_KEY = "sk-key-of-few-models-0123456789"
PNG = png(more=bytes(range(256)))
DATA = base64_of(PNG)
URL = data_url(PNG)
LARGE = png(more=bytes(range(256)) * 2000)  # in base64 more than is parsed whole


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy with models that see, do not see, and do not say; all are served by one upstream."""
    origin = shared_upstream.origin
    providers = [
        build.provider(f"{origin}/v1"),
        build.provider(f"{origin}/second/v1", "second"),
        build.provider(f"{origin}/v1", "off", enabled=False),
    ]
    models = [
        build.model(),
        build.model("gpt-same", upstreamModel="gpt-same"),
        build.model("my-model", upstreamModel="house-model", supportsImageUpload=None),
        build.model("claude", upstreamModel="anthropic/claude-sonnet-4", supportsImageUpload=None),
        build.model("old", upstreamModel="gpt-3.5-turbo", supportsImageUpload=None),
        build.model("old-but-seeing", upstreamModel="gpt-3.5-turbo"),
        build.model("blind", upstreamModel="gpt-4o", supportsImageUpload=False),
        build.model("videos", upstreamModel="gpt-4o", supportsImageUpload=False, supportsVideoUpload=True),
        build.model("videos-by-name", upstreamModel="gemini-2.5-flash", supportsImageUpload=None),
        build.model("blind-unserved", "off", supportsImageUpload=False),
        build.model("unserved", "off"),
        build.model("qwen", upstreamModel="Qwen/Qwen2.5-VL-7B-Instruct", supportsImageUpload=None),
        build.model("qwen3", upstreamModel="qwen3-vl:8b", fallbacks=["gpt-other"]),
        build.model("gpt-other", "second"),
        build.model("with-blind-fallback", fallbacks=["blind", "gpt-other"]),
        build.model("scan", type="ocr", supportsImageUpload=None),
    ]
    keys = [build.key(KEY), build.key(SMALL_KEY, "few", allowedModels=["gpt-same"])]
    proxy = Proxy.start(tmp_path_factory.mktemp("images"), providers=providers, models=models, keys=keys)
    yield proxy
    proxy.stop()
    assert "Traceback" not in proxy.output


def chat(*parts: Json, model: str = "gpt-same", **more: Any) -> Json:
    content = [{"type": "text", "text": "What is it?"}, *parts]
    return {
        "model": model,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}],
    } | more


def image(url: str, **more: Any) -> Json:
    return {"type": "image_url", "image_url": {"url": url, **more}}


def asked(*parts: Json, model: str = "gpt-same", **more: Any) -> Json:
    content = [{"type": "input_text", "text": "What is it?"}, *parts]
    return {"model": model, "input": [{"role": "user", "content": content}], **more}


def input_image(url: str, **more: Any) -> Json:
    return {"type": "input_image", "image_url": url, **more}


def sent(proxy: Proxy, upstream: Upstream, body: Json | bytes, path: str = CHAT) -> Seen:
    """What the upstream was sent of it."""
    upstream.will_answer(200, completion() if path == CHAT else response())
    reply = proxy.post(path, body, KEY)
    assert reply.status == 200, reply.body
    return upstream.history[-1]


def refused(proxy: Proxy, upstream: Upstream, body: Json, path: str = CHAT, key: str = KEY) -> Json:
    """The error of a call that no upstream was bothered with."""
    before = len(upstream.history)
    reply = proxy.post(path, body, key)
    error = reply.error
    assert (reply.status, error["type"]) == (400, "invalid_request_error"), error
    assert (reply.header("x-ipin-provider"), len(upstream.history)) == (None, before)
    return error


# As it came.


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_of_every_format_goes_out_byte_for_byte(proxy: Proxy, upstream: Upstream, name: str) -> None:
    url = data_url(IMAGES[name], TYPES[name])
    for path, given in ((CHAT, chat(image(url, detail="low"))), (RESPONSES, asked(input_image(url, detail="low")))):
        body = b' {"x_new" : [1.0e2, "\\u00e9"],\r\n' + json.dumps(given, indent=1).encode()[1:]
        assert sent(proxy, upstream, body, path).body == body


def test_a_large_image_goes_out_byte_for_byte(proxy: Proxy, upstream: Upstream) -> None:
    url = data_url(LARGE)
    for path, given in ((CHAT, chat(image(url), image(URL))), (RESPONSES, asked(input_image(URL), input_image(url)))):
        body = b'{"x_new" : 1e2,' + json.dumps(given).encode()[1:]
        assert sent(proxy, upstream, body, path).body == body
        renamed = body.replace(b'"gpt-same"', b'"gpt-public"')
        assert sent(proxy, upstream, renamed, path).body == body.replace(b'"gpt-same"', b'"gpt-upstream"')


def test_a_large_image_may_be_full_of_escapes(proxy: Proxy, upstream: Upstream) -> None:
    """As PHP writes it."""
    body = json.dumps(chat(image(data_url(LARGE)))).replace("/", "\\/").encode()
    assert sent(proxy, upstream, body).body == body


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/a.png?x=1",
        "http://127.0.0.1:1/never-asked",
        "HTTPS://EXAMPLE.COM/a.svg",
        " https://example.com",
    ],
)
def test_an_address_goes_out_untouched_and_nobody_goes_there(proxy: Proxy, upstream: Upstream, url: str) -> None:
    for path, given in ((CHAT, chat(image(url, detail="high"))), (RESPONSES, asked(input_image(url)))):
        body = json.dumps(given, indent=2).encode()
        assert sent(proxy, upstream, body, path).body == body


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "file_id": "file-1"},
        {"type": "image_url", "image_url": None, "uuid": "1"},
        {"type": "text", "text": "data:image/png;base64,no", "image_url": None},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}},
    ],
)
def test_what_holds_no_image_is_the_providers_affair(proxy: Proxy, upstream: Upstream, part: Json) -> None:
    for path, given in ((CHAT, chat(part)), (RESPONSES, asked(part))):
        body = json.dumps(given).encode()
        assert sent(proxy, upstream, body, path).body == body


def test_texts_about_images_are_texts(proxy: Proxy, upstream: Upstream) -> None:
    body = json.dumps(hello("file:///x data:image/png;base64,!!! image_url", model="old")).encode()
    assert sent(proxy, upstream, body).body == body.replace(b'"old"', b'"gpt-3.5-turbo"')


# Put right.

WRONG = {
    "bare base64": DATA,
    "percent-encoded": f"data:image/png;base64,{quote(DATA, safe='')}",
    "lines": "data:image/png;base64," + base64.encodebytes(PNG).decode(),
    "blanks": f" data:image/png;base64, {DATA[:99]} {DATA[99:]}\n",
    "url-safe": f"data:image/png;base64,{base64.urlsafe_b64encode(PNG).decode()}",
    "no padding": f"data:image/png;base64,{DATA.rstrip('=')}",
    "capitals": f"DATA:IMAGE/PNG;BASE64,{DATA}",
    "another format": f"data:image/jpeg;base64,{DATA}",
    "no format": f"data:application/octet-stream;base64,{DATA}",
    "no word": f"data:image/png,{DATA}",
    "no base64": f"data:image/png,{quote(PNG)}",
}


@pytest.mark.parametrize("url", WRONG.values(), ids=WRONG)
def test_what_can_only_mean_one_image_is_put_right(proxy: Proxy, upstream: Upstream, url: str) -> None:
    before, after = b'{"x_new" : [1.0e2, "\\u00e9"] ,\r\n', b' , "seed":1E2\t}'
    for path, given, right in (
        (CHAT, chat(image(url, detail="low"), image(URL)), chat(image(URL, detail="low"), image(URL))),
        (RESPONSES, asked(input_image(url, x=1)), asked(input_image(URL, x=1))),
    ):
        body = before + json.dumps(given).encode()[1:-1] + after
        seen = sent(proxy, upstream, body, path).body
        assert json.loads(seen) == {**json.loads(body), **right}
        member = b'"messages": ' if path == CHAT else b'"input": '
        assert seen.startswith(body[: body.index(member) + len(member)])
        assert seen.endswith(after)


@pytest.mark.parametrize("url", ["percent-encoded", "url-safe", "no padding", "another format", "lines"])
def test_large_images_are_put_right_and_those_beside_them_stay(proxy: Proxy, upstream: Upstream, url: str) -> None:
    data = base64_of(LARGE)
    wrong = {
        "percent-encoded": "data:image/png;base64," + quote(data, safe=""),
        "url-safe": "data:image/png;base64," + base64.urlsafe_b64encode(LARGE).decode(),
        "no padding": "data:image/png;base64," + data.rstrip("="),
        "another format": "data:image/webp;base64," + data,
        "lines": "data:image/png;base64," + base64.encodebytes(LARGE).decode(),
    }[url]
    beside = image(data_url(jpeg(*[b"x" * 65_000] * 4), "image/jpeg"))
    text = {"type": "text", "text": "Grüße " + "x" * 20_000}
    body = json.dumps(chat(beside, image(wrong), text, beside, model="gpt-public"), ensure_ascii=False).encode()
    seen = sent(proxy, upstream, body)
    assert seen.json == chat(beside, image(data_url(LARGE)), text, beside, model="gpt-upstream")


def test_an_alias_of_jpeg_becomes_its_name(proxy: Proxy, upstream: Upstream) -> None:
    seen = sent(proxy, upstream, chat(image(data_url(jpeg(), "image/jpg"))))
    assert seen.json == chat(image(data_url(jpeg(), "image/jpeg")))


@pytest.mark.parametrize("url", [URL, "https://example.com/a.png", WRONG["capitals"]])
def test_each_api_gets_its_own_form_of_a_part(proxy: Proxy, upstream: Upstream, url: str) -> None:
    right = URL if url == WRONG["capitals"] else url
    given = chat({"type": "image_url", "image_url": url, "detail": "low", "x": None})
    seen = sent(proxy, upstream, given)
    assert seen.json == chat({"type": "image_url", "image_url": {"url": right}, "detail": "low", "x": None})
    seen = sent(proxy, upstream, asked({"type": "input_image", "image_url": {"url": url, "detail": "low"}}), RESPONSES)
    assert seen.json == asked({"type": "input_image", "image_url": right, "detail": "low"})


def test_images_of_tools_are_put_right_as_well(proxy: Proxy, upstream: Upstream) -> None:
    messages = [
        {"role": "tool", "tool_call_id": "1", "content": [image(WRONG["bare base64"])]},
        {"role": "user", "content": [{"type": "tool_result", "content": [image(WRONG["no padding"])]}]},
    ]
    seen = sent(proxy, upstream, {"model": "gpt-same", "messages": messages})
    assert [part["image_url"]["url"] for part in (
        seen.json["messages"][0]["content"][0],
        seen.json["messages"][1]["content"][0]["content"][0],
    )] == [URL, URL]  # fmt: skip
    source = {"type": "base64", "media_type": "image/jpg", "data": base64_of(PNG).rstrip("=")}
    seen = sent(proxy, upstream, chat({"type": "image", "source": source}))
    right = {"type": "base64", "media_type": "image/png", "data": base64_of(PNG)}
    assert seen.json["messages"][1]["content"][1] == {"type": "image", "source": right}
    items = [{"type": "function_call_output", "call_id": "1", "output": [input_image(WRONG["capitals"])]}]
    seen = sent(proxy, upstream, {"model": "gpt-same", "input": items}, RESPONSES)
    assert seen.json["input"][0]["output"] == [input_image(URL)]


# Refused.

NONE = {
    "a file": ("file:///etc/passwd", "not by 'file:'"),
    "another scheme": ("ftp://example.com/a.png", "not by 'ftp:'"),
    "a path": ("photo.png", "neither a data URL"),
    "nothing": ("", "neither a data URL"),
    "no payload": ("data:image/png;base64,", "empty"),
    "no comma": ("data:image/png;base64", "no comma"),
    "no base64": ("data:image/png;base64,iVBORw0KGgo!!!", "there is '!' in it"),
    "cut": (URL[:-3], "cut short"),
    "two in one": (URL + DATA, "in the middle"),
    "svg": (data_url(SVG, "image/svg+xml"), "SVG"),
    "svg text": ("data:image/svg+xml;utf8," + SVG.decode(), "SVG"),
    "svg by another name": (data_url(SVG, "image/png"), "SVG"),
    "pdf": (data_url(PDF, "application/pdf"), "PDF"),
    "a text": (data_url(b"just a text", "image/png"), "no image"),
    "a video": (data_url(b"\0\0\0\x18ftypisom\0\0\x02\0isommp42", "image/png"), "no image"),
}


@pytest.mark.parametrize(("url", "says"), NONE.values(), ids=NONE)
def test_what_is_no_image_is_refused_where_it_stands(proxy: Proxy, upstream: Upstream, url: str, says: str) -> None:
    for path, body, param in (
        (CHAT, chat(image(URL), image(url), stream=True), "messages[1].content[2].image_url.url"),
        (CHAT, chat({"type": "image_url", "image_url": url}), "messages[1].content[1].image_url"),
        (RESPONSES, asked(input_image(URL), input_image(url)), "input[0].content[2].image_url"),
    ):
        error = refused(proxy, upstream, body, path)
        assert (error["code"], error["param"]) == ("image_validation_failed", param)
        assert says in error["message"]


def test_an_image_that_is_no_text_is_refused_where_it_stands(proxy: Proxy, upstream: Upstream) -> None:
    error = refused(proxy, upstream, chat(image(17)))  # type: ignore[arg-type]
    assert (error["code"], error["param"]) == ("image_validation_failed", "messages[1].content[1].image_url.url")


def test_damage_deep_inside_a_large_image_is_found(proxy: Proxy, upstream: Upstream) -> None:
    url = data_url(LARGE)
    for damage, says in (("*", "there is '*' in it"), ("\x01", "there is '\\x01' in it"), ("=", "in the middle")):
        damaged = url[:300_000] + damage + url[300_001:]
        body = json.dumps(chat(image(damaged))).replace("\\u0001", "\x01").encode()
        reply = proxy.post(CHAT, body, KEY)
        assert (reply.status, reply.error["code"]) == (400, "image_validation_failed")
        assert says in reply.error["message"]
    assert upstream.history == []


def test_an_image_above_the_limit_is_refused(start_proxy: Callable[..., Proxy], upstream: Upstream) -> None:
    proxy = start_proxy(env={"MAX_IMAGE_MB": "1"})
    size = 1024 * 1024 - len(png(more=b"x")) + 1
    assert sent(proxy, upstream, chat(image(data_url(png(more=bytes(size)))))).path == CHAT
    for more, shown in ((size + 1, "1.1"), (int(1.5 * 1024 * 1024), "1.5")):
        for url in (data_url(png(more=bytes(more))), base64_of(png(more=bytes(more)))):
            error = refused(proxy, upstream, chat(image(url)))
            assert error["message"] == f"Image size ({shown}MB) exceeds maximum allowed size (1MB)"
            assert (error["code"], error["param"]) == (
                "image_validation_failed",
                "messages[1].content[1].image_url.url",
            )


# What a model takes.


@pytest.mark.parametrize("model", ["gpt-same", "my-model", "claude", "old-but-seeing", "scan", "videos-by-name"])
def test_a_model_that_sees_or_does_not_say_is_shown_images(proxy: Proxy, upstream: Upstream, model: str) -> None:
    assert sent(proxy, upstream, chat(image(URL), model=model)).json["messages"] == chat(image(URL))["messages"]


@pytest.mark.parametrize("model", ["old", "blind", "videos", "blind-unserved"])
@pytest.mark.parametrize("url", [URL, "https://example.com/a.png", "file:///x"])
def test_a_model_that_does_not_see_is_shown_none(proxy: Proxy, upstream: Upstream, model: str, url: str) -> None:
    """Whatever else may be wrong with the image, and whoever might serve it."""
    for path, body, param in (
        (CHAT, chat(image(url), model=model), "messages[1].content[1]"),
        (RESPONSES, asked(input_image(url), model=model), "input[0].content[1]"),
    ):
        error = refused(proxy, upstream, body, path)
        assert (error["code"], error["param"]) == ("image_upload_not_supported", param)
        assert f"'{model}' does not take images" in error["message"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}},
        {"type": "input_video", "video_url": "https://example.com/a.mp4"},
        {"type": "video", "video": ["https://example.com/1.jpg", "https://example.com/2.jpg"]},
    ],
)
def test_videos_go_to_who_takes_videos(proxy: Proxy, upstream: Upstream, part: Json) -> None:
    for model in ("claude", "old", "blind"):
        error = refused(proxy, upstream, chat(part, model=model))
        assert (error["code"], error["param"]) == ("video_upload_not_supported", "messages[1].content[1]")
        assert f"'{model}' does not take videos" in error["message"]
    for model in ("videos", "videos-by-name", "my-model"):
        body = json.dumps(chat(part, model=model)).encode()
        assert b'"messages"' + body.partition(b'"messages"')[2] in sent(proxy, upstream, body).body


def test_a_caller_hears_of_the_model_first(proxy: Proxy, upstream: Upstream) -> None:
    for body in (chat(image("file:///x"), model="blind"), chat(image("file:///x"), model="my-model")):
        reply = proxy.post(CHAT, body, SMALL_KEY)
        assert (reply.status, reply.error["code"]) == (403, "model_not_allowed")
    reply = proxy.post(CHAT, chat(image("file:///x"), model="no-such"), KEY)
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    assert refused(proxy, upstream, chat(image("file:///x"), model="unserved"))["code"] == "image_validation_failed"
    reply = proxy.post(CHAT, chat(image(URL), model="unserved"), KEY)
    assert (reply.status, reply.error["code"]) == (503, "provider_not_configured")


def test_the_list_of_models_says_what_each_is_known_to_take(proxy: Proxy) -> None:
    listed = {each["id"]: each for each in proxy.get("/v1/models", KEY).json["data"]}
    images = {id_ for id_, each in listed.items() if each["supports_image_upload"] is True}
    videos = {id_ for id_, each in listed.items() if each["supports_video_upload"] is True}
    assert {"gpt-same", "claude", "old-but-seeing", "videos-by-name", "scan", "qwen"} <= images
    assert images & {"my-model", "old", "blind", "videos"} == set()
    assert videos == {"videos", "videos-by-name", "qwen"} | ({"qwen3"} & videos)
    assert {type(each["supports_image_upload"]) for each in listed.values()} == {bool}


def test_an_administrator_sees_what_is_said_and_what_is_taken(proxy: Proxy) -> None:
    rows = {each["id"]: each for each in proxy.admin("GET", "/models").json["models"]}
    told = {id_: (each["supportsImageUpload"], each["takesImages"]) for id_, each in rows.items()}
    assert told["claude"] == (None, True)
    assert told["my-model"] == told["old"] == (None, False)
    assert (told["blind"], told["gpt-same"]) == ((False, False), (True, True))
    changed = proxy.admin("PUT", "/models/old", {**rows["old"], "name": "Old", "takesImages": True}).json
    assert (changed["name"], changed["takesImages"], changed["supportsImageUpload"]) == ("Old", False, None)


# What a deployment is known to fail at.


@pytest.mark.parametrize(("width", "height"), [(27, 100), (1, 1), (30, 6001)])
def test_an_image_that_a_model_crashes_on_is_refused(proxy: Proxy, upstream: Upstream, width: int, height: int) -> None:
    good = image(data_url(png(28, 28)))
    for url in (data_url(png(width, height)), base64_of(png(width, height))):
        error = refused(proxy, upstream, chat(good, image(url), model="qwen"))
        assert (error["code"], error["param"]) == ("image_validation_failed", "messages[1].content[2].image_url.url")
        assert f"{width} x {height} pixels" in error["message"]
    assert sent(proxy, upstream, chat(good, model="qwen")).json["model"] == "Qwen/Qwen2.5-VL-7B-Instruct"
    assert sent(proxy, upstream, chat(image(data_url(png(width, height))))).path == CHAT


def test_such_an_image_goes_to_a_fallback_that_takes_it(proxy: Proxy, upstream: Upstream) -> None:
    given = chat(image(data_url(png(31, 31))), model="qwen3")
    assert sent(proxy, upstream, given).path == "/second" + CHAT
    assert sent(proxy, upstream, chat(image(data_url(png(32, 32))), model="qwen3")).path == CHAT
    upstream.will_answer(500, build.error())
    reply = proxy.post(CHAT, given, KEY)
    assert reply.status == 500, "the failure of who was asked is told, not the refusal of who was not"


def test_images_do_not_fall_back_to_who_does_not_see(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(503, build.error())
    seen = sent(proxy, upstream, chat(image(WRONG["capitals"]), model="with-blind-fallback"))
    assert [each.path for each in upstream.history] == [CHAT, "/second" + CHAT]
    assert seen.json == chat(image(URL), model="gpt-upstream")
    assert sent(proxy, upstream, hello(model="with-blind-fallback")).json["model"] == "gpt-4o", "words do"


# Many at once.


def test_many_images_at_once_do_not_get_mixed_up(proxy: Proxy, upstream: Upstream) -> None:
    def echo(seen: Seen) -> Script:
        urls = [part["image_url"]["url"][-60:] for part in seen.json["messages"][1]["content"][1:]]
        said = " ".join(urls)
        return stream(build.chunk(said), build.finish()) if seen.json.get("stream") else answer(200, completion(said))

    upstream.default(echo)
    calls: list[tuple[int, str, Any]] = []
    for number in range(24):
        data = png(more=f"number {number}".encode() * (20_000 if number % 2 else 1) + bytes(number))
        wrong = [
            base64_of(data),
            data_url(data),
            data_url(data, "image/gif"),
            data_url(data).rstrip("=") + "\n",
            "file:x",
        ]
        body = chat(image(data_url(data)), image(wrong[number % 5]), stream=number % 3 == 0)
        calls.append((number, data_url(data)[-60:], proxy.raw(request("POST", CHAT, body, KEY))))
    for number, end, wire in calls:
        reply: Reply = wire.reply()
        if number % 5 == 4:
            assert (reply.status, reply.error["code"]) == (400, "image_validation_failed")
        elif number % 3 == 0:
            assert "".join(reply.texts()) == f"{end} {end}"
        else:
            assert reply.json["choices"][0]["message"]["content"] == f"{end} {end}"


def test_a_refusal_is_one_line_in_the_log(proxy: Proxy, upstream: Upstream) -> None:
    for model, code in (
        ("gpt-same", "image_validation_failed"),
        ("blind", "image_upload_not_supported"),
        ("qwen", "image_validation_failed"),
    ):
        url = data_url(png(1, 1)) if model == "qwen" else "file:///x"
        reply = proxy.post(CHAT, chat(image(url), model=model), KEY)
        reply.read()
        id_ = reply.header("x-request-id")
        lines = proxy.log_lines(lambda line, id_=id_: line.get("request_id") == id_ and line.get("event") == "call")
        assert [(line["status"], line["error"], line["model"]) for line in lines] == [(400, code, model)]
