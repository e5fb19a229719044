"""The text in a picture: what a model is asked, what the caller is told, and what is refused before anybody is asked."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from support import build
from support.build import completion
from support.client import Reply
from support.pictures import IMAGES, PDF, SVG, TYPES, base64_of, data_url, png
from support.proxy import KEY, Proxy
from support.upstream import Seen, Upstream

Json = dict[str, Any]
OCR = "/v1/ocr"
PNG = png(more=bytes(range(256)))
LARGE = png(more=bytes(range(256)) * 8000)  # spooled to a file
NARROW_KEY = "sk-key-for-chats-alone-0123456789"
ONE_MODEL_KEY = "sk-key-for-one-model-0123456789"
NOT_READ = ("bmp", "tiff", "heic", "avif", "heif")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    """A proxy with readers of each kind, all served by one upstream."""
    origin = shared_upstream.origin
    providers = [
        build.provider(f"{origin}/v1"),
        build.provider(f"{origin}/v1", "off", enabled=False),
        build.provider(f"{origin}/own/v1?trace=1", "own", ocrPath="/ocr", type="chutes"),
    ]
    models = [
        build.model("scan", upstreamModel="some-reader", type="ocr", supportsImageUpload=None),
        build.model("dots", upstreamModel="rednote-hilab/dots.ocr", type="ocr", supportsImageUpload=None),
        build.model("seeing", upstreamModel="gpt-4o", supportsImageUpload=None),
        build.model("blind", upstreamModel="gpt-4o", supportsImageUpload=False),
        build.model("blind-unserved", "off", supportsImageUpload=False),
        build.model("blind-by-name", upstreamModel="gpt-3.5-turbo", supportsImageUpload=None),
        build.model("blind-but-not-alone", upstreamModel="own-a", type="ocr", fallbacks=["scan"], provider="own"),
        build.model("qwen", upstreamModel="Qwen/Qwen2.5-VL-7B-Instruct", supportsImageUpload=None),
        build.model("native", "own", type="ocr", supportsImageUpload=None),
        build.model("chat-of-own", "own", upstreamModel="gpt-4o"),
        build.model("embed", type="embedding"),
    ]
    keys = [
        build.key(KEY),
        build.key(NARROW_KEY, "narrow", scopes=["chat"]),
        build.key(ONE_MODEL_KEY, "one", allowedModels=["seeing"]),
    ]
    proxy = Proxy.start(
        tmp_path_factory.mktemp("ocr"), providers=providers, models=models, keys=keys, env={"MAX_IMAGE_MB": "3"}
    )
    yield proxy
    proxy.stop()
    assert "Traceback" not in proxy.output


def upload(proxy: Proxy, data: bytes, *more: tuple[str, object], model: str = "scan", key: str = KEY) -> Reply:
    fields: list[tuple[str, object]] = [("model", model), ("file", ("page.png", data, "image/png")), *more]
    return proxy.form(OCR, fields, key)


def parts_of(seen: Seen) -> list[Json]:
    """The parts of the one message a model was sent."""
    (message,) = seen.json["messages"]
    assert message["role"] == "user"
    return list(message["content"])


def refused(reply: Reply, upstream: Upstream, status: int, code: str, param: str | None) -> str:
    assert (reply.status, reply.error["code"], reply.error["param"]) == (status, code, param)
    assert upstream.history == []
    return str(reply.error["message"])


def test_what_is_wrong_with_the_model_is_said_before_the_file_is_looked_at(proxy: Proxy, upstream: Upstream) -> None:
    for data in (b"no image", b"", PNG):
        refused(upload(proxy, data, key=ONE_MODEL_KEY), upstream, 403, "model_not_allowed", "model")
        refused(upload(proxy, data, model="nobody's"), upstream, 404, "model_not_found", "model")
        refused(upload(proxy, data, model="embed"), upstream, 400, "invalid_model_type", "model")
    in_json = proxy.post(OCR, {"model": "scan", "image": "no image"}, ONE_MODEL_KEY)
    refused(in_json, upstream, 403, "model_not_allowed", "model")


@pytest.mark.parametrize("data", [PNG, LARGE], ids=["in memory", "in a file"])
def test_an_upload_is_read_by_a_model_that_sees(proxy: Proxy, upstream: Upstream, data: bytes) -> None:
    upstream.will_answer(200, completion("Invoice 4711\nTotal 12.50"))
    reply = upload(proxy, data)
    assert reply.status == 200
    assert reply.json == {
        "text": "Invoice 4711\nTotal 12.50",
        "model": "scan",
        "provider": "acme",
        "usage": completion()["usage"],
    }
    assert reply.header("x-ipin-provider") == "acme"
    (seen,) = upstream.history
    assert seen.path == "/v1/chat/completions"
    assert seen.json["model"] == "some-reader"
    image, question = parts_of(seen)
    assert image == {"type": "image_url", "image_url": {"url": data_url(data)}}
    assert question["type"] == "text"
    assert "text" in question["text"]


@pytest.mark.parametrize("name", [name for name in IMAGES if not name.startswith(NOT_READ)])
def test_the_type_is_what_the_bytes_say(proxy: Proxy, upstream: Upstream, name: str) -> None:
    upstream.will_answer(200, completion("ok"))
    assert upload(proxy, IMAGES[name]).status == 200
    url = parts_of(upstream.history[0])[0]["image_url"]["url"]
    assert url == f"data:{TYPES[name]};base64,{base64.b64encode(IMAGES[name]).decode()}"


def test_a_prompt_goes_before_the_usual_one(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("ok"))
    assert upload(proxy, PNG, ("prompt", 'Only the "total" — in €')).status == 200
    assert parts_of(upstream.history[0])[1]["text"] == 'Only the "total" — in €'


def test_dots_ocr_gets_its_own_prompt_and_sampling(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("ok"))
    assert upload(proxy, PNG, model="dots").status == 200
    sent = upstream.history[0].json
    assert (sent["temperature"], sent["top_p"]) == (0.1, 0.9)
    assert 2048 <= sent["max_tokens"] <= 24_000
    assert parts_of(upstream.history[0])[1]["text"] == "Extract the text content from this image."


def test_other_models_get_no_sampling_they_might_refuse(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("ok"))
    assert upload(proxy, PNG, model="seeing").status == 200
    assert set(upstream.history[0].json) == {"model", "messages"}


@pytest.mark.parametrize("member", ["image", "file", "image_url"])
@pytest.mark.parametrize("in_object", [False, True])
def test_json_with_a_data_url_does_as_well(proxy: Proxy, upstream: Upstream, member: str, in_object: bool) -> None:
    upstream.will_answer(200, completion("ok"))
    value = {"url": data_url(PNG)} if in_object else data_url(PNG)
    reply = proxy.post(OCR, {"model": "scan", member: value, "prompt": "What?"}, KEY)
    assert (reply.status, reply.json["text"]) == (200, "ok")
    image, question = parts_of(upstream.history[0])
    assert image["image_url"]["url"] == data_url(PNG)
    assert question["text"] == "What?"


def test_a_long_data_url_arrives_whole(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("ok"))
    assert proxy.post(OCR, {"model": "scan", "image": data_url(LARGE)}, KEY).status == 200
    assert parts_of(upstream.history[0])[0]["image_url"]["url"] == data_url(LARGE)


@pytest.mark.parametrize(
    "written", [base64_of(PNG), data_url(PNG).replace("png", "jpg"), data_url(PNG).upper()[:5] + data_url(PNG)[5:]]
)
def test_a_data_url_is_put_right_as_in_chats(proxy: Proxy, upstream: Upstream, written: str) -> None:
    upstream.will_answer(200, completion("ok"))
    assert proxy.post(OCR, {"model": "scan", "image": written}, KEY).status == 200
    assert parts_of(upstream.history[0])[0]["image_url"]["url"] == data_url(PNG)


def test_the_address_of_an_image_goes_on_unfetched(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("ok"))
    address = 'https://pictures.example/a?b="c"&d=1'
    assert proxy.post(OCR, {"model": "scan", "image": address}, KEY).status == 200
    assert parts_of(upstream.history[0])[0]["image_url"]["url"] == address


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": ""}, ""),
        ({"content": None}, ""),
        ({"content": None, "refusal": "I cannot read this."}, "I cannot read this."),
        ({"content": "<think>\nA bill, it seems.\n</think>\n\nTotal 12.50\n"}, "Total 12.50\n"),
        ({"content": [{"type": "text", "text": " <think></think>Total"}]}, "Total"),
        ({"content": " a <think>b</think>\n"}, " a <think>b</think>\n"),
        ({"content": "<thin"}, "<thin"),
    ],
)
def test_every_way_to_say_a_text_is_understood(proxy: Proxy, upstream: Upstream, message: Json, text: str) -> None:
    said = completion("x")
    said["choices"][0]["message"] = {"role": "assistant", **message}
    upstream.will_answer(200, said)
    reply = upload(proxy, PNG)
    assert (reply.status, reply.json["text"]) == (200, text)


@pytest.mark.parametrize("said", [{"choices": []}, {"choices": [{"message": {"content": 5}}]}, {}, {"choices": [7]}])
def test_an_answer_without_a_text_is_an_error(proxy: Proxy, upstream: Upstream, said: Json) -> None:
    upstream.will_answer(200, said)
    reply = upload(proxy, PNG)
    assert (reply.status, reply.error["code"]) == (502, "upstream_invalid_response")


def test_an_error_with_status_200_is_an_error(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"error": {"message": "out of memory"}})
    reply = upload(proxy, PNG)
    assert reply.status == 502
    assert "out of memory" in reply.error["message"]


def test_a_refusal_of_the_provider_passes(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(503, {"detail": "No instances available (yet)"}, headers={"retry-after": "7"})
    reply = upload(proxy, PNG)
    assert (reply.status, reply.header("retry-after")) == (503, "7")
    assert "No instances available" in reply.error["message"]


# A provider with a path of its own.


@pytest.mark.parametrize("data", [PNG, LARGE], ids=["in memory", "in a file"])
@pytest.mark.parametrize("member", ["text", "result"])
def test_a_path_of_its_own_gets_the_image_as_base64(proxy: Proxy, upstream: Upstream, data: bytes, member: str) -> None:
    upstream.will_answer(200, {member: "Read it."})
    reply = upload(proxy, data, model="native")
    assert reply.json == {"text": "Read it.", "model": "native", "provider": "own"}
    (seen,) = upstream.history
    assert seen.path == "/own/ocr?trace=1"
    assert seen.json == {"image_b64": base64.b64encode(data).decode()}


def test_a_path_of_its_own_is_told_the_callers_prompt(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, {"text": "ok"})
    assert proxy.post(OCR, {"model": "native", "image": data_url(PNG), "prompt": 'Say "a"'}, KEY).status == 200
    assert upstream.history[0].json == {"image_b64": base64_of(PNG), "prompt": 'Say "a"'}


def test_a_chat_model_of_such_a_provider_is_chatted_with(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("ok"))
    assert upload(proxy, PNG, model="chat-of-own").status == 200
    assert upstream.history[0].path == "/own/v1/chat/completions?trace=1"


def test_an_address_or_a_pdf_has_no_place_at_such_a_path(proxy: Proxy, upstream: Upstream) -> None:
    reply = proxy.post(OCR, {"model": "native", "image": "https://pictures.example/a.png"}, KEY)
    refused(reply, upstream, 400, "unsupported_parameter", "image")
    reply = proxy.post(OCR, {"model": "native", "file": f"data:application/pdf;base64,{base64_of(PDF)}"}, KEY)
    refused(reply, upstream, 400, "unsupported_parameter", "file")


# PDFs.


def test_a_pdf_is_refused_where_nobody_is_known_to_take_it(proxy: Proxy, upstream: Upstream) -> None:
    reply = proxy.form(OCR, [("model", "scan"), ("file", ("a.pdf", PDF, "application/pdf"))], KEY)
    assert "page" in refused(reply, upstream, 400, "unsupported_parameter", "file")


@pytest.mark.parametrize(
    "lead", ["", " ", "data:;base64,", "data:application/octet-stream;name=a.pdf;base64,", "DATA:x/pdf;base64,"]
)
def test_a_pdf_is_known_by_its_bytes(proxy: Proxy, upstream: Upstream, lead: str) -> None:
    """As an image is, whatever it is called."""
    reply = proxy.post(OCR, {"model": "scan", "image": lead + base64_of(PDF)}, KEY)
    assert "page" in refused(reply, upstream, 400, "unsupported_parameter", "image")


# What is refused.


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"", "missing_file", "empty"),
        (SVG, "image_validation_failed", "SVG"),
        (b"just a text", "image_validation_failed", "no image"),
        (IMAGES["bmp"], "image_validation_failed", "image/bmp"),
        (
            png(more=b"\0" * 3_500_000),
            "image_validation_failed",
            "Image size (3.3MB) exceeds maximum allowed size (3MB)",
        ),
    ],
    ids=["empty", "svg", "text", "bmp", "too large"],
)
def test_what_cannot_be_read_is_refused(proxy: Proxy, upstream: Upstream, data: bytes, code: str, words: str) -> None:
    assert words in refused(upload(proxy, data), upstream, 400, code, "file")


@pytest.mark.parametrize(
    ("image", "param"),
    [
        ("file:///etc/passwd", "image"),
        ("data:image/png;base64,!!!!", "image"),
        ({"url": 5}, "image.url"),
        ([1], "image"),
        ("data:application/pdf;base64,AAAA", "image"),
        ("data:application/pdf;base64,A", "image"),
        ("data:application/pdf;base64,ä", "image"),
    ],
)
def test_what_is_no_data_url_is_refused(proxy: Proxy, upstream: Upstream, image: object, param: str) -> None:
    reply = proxy.post(OCR, {"model": "scan", "image": image}, KEY)
    refused(reply, upstream, 400, "image_validation_failed", param)


def test_what_is_missing_is_named(proxy: Proxy, upstream: Upstream) -> None:
    refused(proxy.form(OCR, [("file", ("a.png", PNG, ""))], KEY), upstream, 400, "missing_model", "model")
    refused(proxy.form(OCR, [("model", "scan")], KEY), upstream, 400, "missing_file", "file")
    refused(proxy.form(OCR, [("model", "scan"), ("file", "a text")], KEY), upstream, 400, "missing_file", "file")
    refused(proxy.post(OCR, {"model": "scan"}, KEY), upstream, 400, "missing_file", "image")
    refused(proxy.post(OCR, {"image": data_url(PNG)}, KEY), upstream, 400, "missing_model", "model")
    refused(
        proxy.post(OCR, {"model": "scan", "image": data_url(PNG), "prompt": 5}, KEY),
        upstream,
        400,
        "invalid_value",
        "prompt",
    )


def test_other_bodies_are_refused(proxy: Proxy, upstream: Upstream) -> None:
    reply = proxy.post(OCR, PNG, KEY, {"content-type": "image/png"})
    refused(reply, upstream, 415, "unsupported_media_type", None)
    headers = {"content-type": "multipart/form-data; boundary=b"}
    refused(proxy.post(OCR, b"--b\r\ncut", KEY, headers), upstream, 400, "invalid_multipart_data", None)


@pytest.mark.parametrize("model", ["blind", "blind-by-name", "blind-unserved"])
def test_a_model_that_does_not_see_is_refused(proxy: Proxy, upstream: Upstream, model: str) -> None:
    refused(upload(proxy, PNG, model=model), upstream, 400, "image_upload_not_supported", "model")


def test_models_of_other_kinds_are_refused(proxy: Proxy, upstream: Upstream) -> None:
    refused(upload(proxy, PNG, model="embed"), upstream, 400, "invalid_model_type", "model")
    refused(upload(proxy, PNG, model="nobody"), upstream, 404, "model_not_found", "model")


def test_a_key_for_chats_alone_reads_nothing(proxy: Proxy, upstream: Upstream) -> None:
    refused(upload(proxy, PNG, key=NARROW_KEY), upstream, 403, "scope_not_allowed", None)


def test_an_image_too_small_for_its_model_is_refused(proxy: Proxy, upstream: Upstream) -> None:
    message = refused(upload(proxy, png(20, 400), model="qwen"), upstream, 400, "image_validation_failed", "file")
    assert "20" in message


def test_what_one_reader_has_no_place_for_goes_to_the_next(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion("from the other"))
    body = {"model": "blind-but-not-alone", "image": "https://pictures.example/a.png"}
    reply = proxy.post(OCR, body, KEY)
    assert (reply.json["text"], reply.json["model"]) == ("from the other", "scan")


def test_the_demo_says_that_it_only_chats(start_proxy: Any) -> None:
    proxy = start_proxy(providers=[], models=[])
    reply = proxy.form(OCR, [("model", "demo"), ("file", ("a.png", PNG, "image/png"))], KEY)
    assert reply.status == 400
    assert "only chats" in reply.error["message"]
