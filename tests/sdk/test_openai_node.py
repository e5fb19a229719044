"""The official openai Node SDK, through the running proxy, against a scripted upstream.

Each topic is a script in node/ that makes its calls in order and prints what came of them as one line of JSON.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, embeddings, finish, opening, tool_call, tool_chunk, usage
from support.proxy import KEY, Proxy
from support.upstream import Upstream, hang_up, stall

FOLDER = Path(__file__).with_name("node")
NODE = shutil.which("node")
TEXT = [{"role": "user", "content": "Grüße 👩‍👩‍👧‍👦"}]
LIMITED_KEY = "sk-node-sdk-limited-00000"

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="Node is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "openai").is_dir(), reason="the openai SDK for Node is not installed: make sdk"
    ),
]


def run(script: str, proxy: Proxy, **env: str) -> Any:
    """What the script printed. Its own failure, with what it wrote to stderr, is the test's."""
    assert NODE is not None
    given = {"PATH": os.environ["PATH"], "BASE_URL": proxy.base_url + "/v1", "API_KEY": KEY, **env}
    done = subprocess.run(
        [NODE, str(FOLDER / script)], env=given, cwd=FOLDER, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_chat(proxy: Proxy, upstream: Upstream) -> None:
    upstream.will_answer(200, completion(build.EMOJI))
    upstream.will_stream(opening(), chunk("Hel"), chunk("lo"), finish(), usage(3, 2))
    upstream.will_stream(opening(), chunk("Hello"), finish(), usage(3, 2))
    rome = '{"city":"Rome"}'
    upstream.will_answer(200, completion(None, finish="tool_calls", tool_calls=[tool_call("weather", rome)]))
    upstream.will_stream(
        opening(),
        tool_chunk(0, name="weather"),
        tool_chunk(0, '{"city":'),
        tool_chunk(1, "{}", name="clock"),
        tool_chunk(0, '"Rome"}'),
        finish("tool_calls"),
    )
    upstream.will_answer(200, completion(None, finish="tool_calls", tool_calls=[tool_call("weather", rome)]))
    upstream.will_answer(200, completion("It is sunny."))
    upstream.will_answer(200, completion('{"name": "Ada"}'))
    upstream.will_answer(200, completion("A dot."))
    upstream.will_answer(200, build.text_completion("Hello!"))
    upstream.will_stream(build.text_completion("Hel", None), build.text_completion("lo"))
    upstream.will_answer(200, build.response("Hello!"))
    upstream.will_stream(*build.response_events("Hel", "lo"), done=False)
    upstream.will_stream(*build.response_events("Hel", "lo"), done=False)

    result = run("chat.mjs", proxy)

    assert result["text"] == build.EMOJI
    assert result["usage"]["total_tokens"] == 5
    assert result["requestId"] == result["headers"]["x-request-id"]
    assert (result["headers"]["x-ipin-provider"], result["headers"]["x-ipin-model"]) == ("acme", "gpt-public")
    assert "".join(result["stream"]) == "Hello"
    assert result["streamUsage"]["total_tokens"] == 5
    assert result["toolCall"] == {"name": "weather", "arguments": rome}
    assert result["streamedCalls"] == [["call_0", "weather", rome], ["call_1", "clock", "{}"]]
    assert result["ranTools"] == "It is sunny."
    assert result["schema"] == {"name": "Ada"}
    assert result["vision"] == "A dot."
    assert (result["completion"], "".join(result["completionStream"])) == ("Hello!", "Hello")
    assert result["response"] == "Hello!"
    assert (result["responseEvents"][0], result["responseEvents"][-1]) == ("response.created", "response.completed")
    assert result["responseStream"] == "Hello"

    bodies = [seen.json for seen in upstream.history]
    assert len(bodies) == 14
    assert {body["model"] for body in bodies} == {"gpt-upstream"}
    assert bodies[0] == {"model": "gpt-upstream", "messages": TEXT, "seed": 7}
    assert bodies[6]["messages"][-1] == {"role": "tool", "tool_call_id": "call_1", "content": "sunny in Rome"}
    assert bodies[7]["response_format"]["json_schema"]["name"] == "person"
    assert bodies[8]["messages"][0]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")


def test_media(proxy: Proxy, upstream: Upstream) -> None:
    vectors = ([0.5, -1.25], [2.0, 0.0])
    sound = bytes(range(256)) * 2000
    upstream.will_answer(200, embeddings(*vectors))
    upstream.will_answer(200, embeddings(*vectors, as_base64=True))
    upstream.will_answer(200, embeddings([0.1]))
    upstream.will_answer(200, build.images(build.PNG))
    upstream.will_answer(200, build.images(build.PNG))
    upstream.will_answer(200, sound, headers={"content-type": "audio/mpeg"})
    upstream.will_answer(200, build.moderation(flagged=True))

    result = run("media.mjs", proxy)

    assert result["vectorsFromFloats"] == result["vectorsFromBase64"] == [list(each) for each in vectors]
    assert result["vectorsAsFloats"] == [0.1]
    assert {"gpt-public", "org/gpt-slash", "embed-public"} <= set(result["models"])
    assert result["retrieved"] == "org/gpt-slash"
    assert (result["notFound"]["name"], result["notFound"]["code"]) == ("NotFoundError", "model_not_found")
    assert base64.b64decode(result["image"]) == base64.b64decode(result["edited"]) == build.PNG
    assert (result["speechType"], base64.b64decode(result["speech"])) == ("audio/mpeg", sound)
    assert result["flagged"] is True

    assert [seen.json["encoding_format"] for seen in upstream.history[:3]] == ["base64", "base64", "float"]
    edit = upstream.history[4]
    assert (edit.field("model").text, edit.field("prompt").text) == ("gpt-upstream", "größer")
    pictures = [part.data for part in edit.form if part.name == "image[]"]
    assert pictures[0] == build.PNG
    assert pictures[1] == (b"noise\r\n--" * 150_000)[:1_300_000]


def test_errors(proxy: Proxy, upstream: Upstream) -> None:
    proxy.add_key(LIMITED_KEY, "node-sdk-limited", allowedModels=["gpt-public"])
    own = build.error("So it is.", "some_type", "some_code")
    for refusal in (400, 422, 429, 500, 503):
        upstream.will_answer(refusal, own)
    upstream.will_answer(400, {"detail": [{"loc": ["body"], "msg": "Field required"}]})
    upstream.will_answer(401, build.error("Incorrect API key."))
    no_more = {"x-should-retry": "false", "retry-after": "86400"}
    upstream.will_answer(429, build.error("No quota.", "insufficient_quota", "insufficient_quota"), headers=no_more)
    upstream.will_answer(200, build.error("No credits."))
    upstream.will_say(hang_up)
    soon = {"retry-after-ms": "1"}
    for answer in ((429, own), (502, own), (200, completion("At last.")), (500, own), (500, own), (500, own)):
        upstream.will_answer(*answer, headers=soon)
    upstream.will_stream(chunk("Hel"), build.error("The model fell over."), hang_up)
    upstream.will_stream(chunk("Hel"), hang_up)
    upstream.will_stream(*build.response_events("Hel", "lo")[:6], hang_up, done=False)
    upstream.will_stream(chunk("Hel"), stall)

    result = run("errors.mjs", proxy, LIMITED_KEY=LIMITED_KEY)

    def told(name: str) -> tuple[str, int, str]:
        return result[name]["name"], result[name]["status"], result[name]["code"]

    assert told("wrongKey") == ("AuthenticationError", 401, "invalid_api_key")
    assert result["wrongKey"]["requestId"]
    assert told("notAllowed") == ("PermissionDeniedError", 403, "model_not_allowed")
    assert told("notFound") == ("NotFoundError", 404, "model_not_found")
    assert told("noModel") == ("BadRequestError", 400, "missing_model")
    assert result["noModel"]["param"] == "model"
    for status, name in (
        ("400", "BadRequestError"),
        ("422", "UnprocessableEntityError"),
        ("429", "RateLimitError"),
        ("500", "InternalServerError"),
        ("503", "InternalServerError"),
    ):
        assert told(status) == (name, int(status), "some_code")
        assert "So it is." in result[status]["message"]
    assert "Field required" in result["foreign"]["message"]
    assert told("providerKey") == ("InternalServerError", 502, "upstream_auth_failed")
    assert told("quota") == ("RateLimitError", 429, "insufficient_quota")
    assert result["errorIn200"]["status"] == result["hangUp"]["status"] == 502
    assert "No credits." in result["errorIn200"]["message"]
    assert result["patient"] == {"answer": "At last."}
    assert told("gaveUp") == ("InternalServerError", 500, "some_code")
    for name in ("errorInStream", "cutStream", "cutResponse"):
        assert result[name]["isApiError"], result[name]
    assert result["errorInStream"]["texts"] in ([], ["Hel"]), "an error that comes with the first chunk may be a status"
    assert result["cutStream"]["texts"] == ["Hel"]
    assert "fell over" in result["errorInStream"]["message"]
    assert result["cutStream"]["code"] == "upstream_stream_interrupted"
    assert result["leftAfter"] == "Hel"
    assert len(upstream.history) == 5 + 5 + 6 + 4
    upstream.wait_closed()
