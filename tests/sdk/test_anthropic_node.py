"""The official Anthropic SDK for Node, through the running server in front of a provider that chats."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, delta, finish, opening, tool_call, tool_chunk, usage
from support.proxy import KEY, Proxy
from support.upstream import Upstream, answer, hang_up

FOLDER = Path(__file__).with_name("node")
NODE = shutil.which("node")

pytestmark = [
    pytest.mark.skipif(NODE is None, reason="Node is not installed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "@anthropic-ai").is_dir(),
        reason="the Anthropic SDK for Node is not installed: make sdk",
    ),
]


def run(proxy: Proxy) -> Any:
    assert NODE is not None
    given = {"PATH": os.environ["PATH"], "BASE_URL": proxy.base_url, "API_KEY": KEY}
    done = subprocess.run(
        [NODE, str(FOLDER / "messages.mjs")], env=given, cwd=FOLDER, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_what_it_asks_and_hears(proxy: Proxy, upstream: Upstream) -> None:
    paris = '{"city":"Paris"}'
    upstream.will_answer(200, completion(build.EMOJI))
    upstream.will_stream(
        opening(),
        delta(reasoning_content="Hm."),
        chunk("Let me "),
        chunk("see."),
        tool_chunk(0, '{"city":', name="get_weather"),
        tool_chunk(0, '"Paris"}'),
        finish("tool_calls"),
        usage(9, 4),
    )
    call = tool_call("get_weather", paris)
    upstream.will_answer(200, completion(None, finish="tool_calls", tool_calls=[call]))
    upstream.will_answer(200, completion("It is 18 C."))
    upstream.will(
        answer(429, build.error("Slow down.")),
        answer(503, build.error(), headers=[("retry-after", "0")]),
        answer(200, completion("At last.")),
    )
    upstream.will_stream(opening(), chunk("Hel"), hang_up, done=False)

    result = run(proxy)

    assert result["text"] == build.EMOJI
    assert result["requestId"]
    streamed = result["streamed"]
    assert ("".join(streamed["texts"]), streamed["stop"]) == ("Let me see.", "tool_use")
    assert [block["type"] for block in streamed["content"]] == ["thinking", "text", "tool_use"]
    assert streamed["content"][2]["input"] == {"city": "Paris"}
    assert (streamed["usage"]["input_tokens"], streamed["usage"]["output_tokens"]) == (9, 4)
    assert result["ran"] == "It is 18 C."
    assert result["counted"] > 0
    assert "gpt-public" in result["models"] and len(result["models"]) > 2
    assert (result["limited"]["name"], result["limited"]["error"]["message"]) == ("RateLimitError", "Slow down.")
    assert result["limited"]["requestId"]
    assert (result["wrongKey"]["name"], result["notFound"]["name"]) == ("AuthenticationError", "NotFoundError")
    assert result["patient"] == {"answer": "At last."}
    assert result["cut"]["name"]
