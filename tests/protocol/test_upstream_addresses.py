"""How providers are reached: forms of the base URL, kinds of authentication, extra headers, TLS."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.build import chunk, completion, finish, hello
from support.client import Reply
from support.proxy import KEY, Proxy
from support.upstream import CERTIFICATE, Seen, Upstream, goodbye

CHAT = "/v1/chat/completions"

# What a person may write as the base URL, behind the host → the path that is asked for.
BASES = {
    "": CHAT,
    "/": CHAT,
    "/v1": CHAT,
    "/v1/": CHAT,
    "/api/v1": "/api/v1/chat/completions",
    "/openai": "/openai/v1/chat/completions",
    "/openai/v1/": "/openai/v1/chat/completions",
    "/v1beta/openai": "/v1beta/openai/chat/completions",
    "/v1beta/openai/": "/v1beta/openai/chat/completions",
    "/v1?api-version=7&x=a%20b": CHAT + "?api-version=7&x=a%20b",
    "?api-version=7": CHAT + "?api-version=7",
    "/v1/chat/completions": CHAT,
    "/v2/rerank/": "/v2/chat/completions",
    "/v1/audio/speech": CHAT,
    "/v1/models": CHAT,
    "/v1beta/openai/models/": "/v1beta/openai/chat/completions",
    "/models?api-version=7": "/models/chat/completions?api-version=7",
    "/chat/completions": "/chat/completions",
    "/serving-endpoints/chat/completions": "/serving-endpoints/chat/completions",
    "/models/chat/completions?api-version=7": "/models/chat/completions?api-version=7",
    "/openai/deployments/gpt/chat/completions?api-version=7": "/openai/deployments/gpt/chat/completions?api-version=7",
}

# Fields of the provider record → the header that carries its key, and its value.
SECRET = "s3cret:with-colon"
AUTHS: dict[str, tuple[dict[str, object], dict[str, str | None]]] = {
    "bearer": ({"apiKey": SECRET}, {"authorization": f"Bearer {SECRET}"}),
    "said to be bearer": ({"apiKey": SECRET, "auth": "bearer"}, {"authorization": f"Bearer {SECRET}"}),
    "basic": (
        {"apiKey": SECRET, "auth": "basic"},
        {"authorization": "Basic " + base64.b64encode(SECRET.encode()).decode()},
    ),
    "header": ({"apiKey": SECRET, "auth": "header:api-key"}, {"api-key": SECRET, "authorization": None}),
    "none": ({"apiKey": SECRET, "auth": "none"}, {"authorization": None}),
    "no key": ({"apiKey": ""}, {"authorization": None}),
    "environment": ({"apiKey": "env:TESTS_PROVIDER_KEY"}, {"authorization": "Bearer from-the-environment"}),
    "extra headers": (
        {"apiKey": SECRET, "headers": {"X-Title": "Tests", "HTTP-Referer": "https://a.test"}},
        {"authorization": f"Bearer {SECRET}", "x-title": "Tests", "http-referer": "https://a.test"},
    ),
}


@pytest.fixture(scope="module")
def secure() -> Iterator[Upstream]:
    with closing(Upstream(tls=True)) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream, secure: Upstream) -> Iterator[Proxy]:
    """A proxy with a provider, and a model of the same name, for every case above and below."""
    cases = [
        *(build.provider(shared_upstream.origin + base, f"base-{n}") for n, base in enumerate(BASES)),
        *(
            {**build.provider(shared_upstream.base_url, f"auth-{n}"), **fields}
            for n, (fields, _) in enumerate(AUTHS.values())
        ),
        build.provider(secure.base_url, "tls-unknown"),
        build.provider(secure.base_url, "tls-known", caFile=str(CERTIFICATE)),
        build.provider(secure.base_url, "tls-unchecked", verify=False),
        build.provider(shared_upstream.base_url.replace("http:", "https:"), "tls-to-plain"),
        build.provider(secure.base_url.replace("https:", "http:"), "plain-to-tls"),
        build.provider("http://name.invalid/v1", "no-such-host"),
        build.provider(shared_upstream.base_url.replace("127", "１２７"), "wide-digits"),
    ]
    models = [build.model(each["id"], each["id"]) for each in cases]
    env = {"TESTS_PROVIDER_KEY": "from-the-environment"}
    proxy = Proxy.start(tmp_path_factory.mktemp("varied"), providers=cases, models=models, env=env)
    yield proxy
    proxy.stop()
    assert "Traceback" not in proxy.output


def ask(proxy: Proxy, model: str, **more: Any) -> Reply:
    return proxy.post(CHAT, hello(model=model, **more), KEY)


def seen_by(upstream: Upstream, proxy: Proxy, model: str) -> Seen:
    upstream.will_answer(200, completion())
    assert ask(proxy, model).status == 200
    return upstream.history[-1]


@pytest.mark.parametrize(("n", "path"), list(enumerate(BASES.values())), ids=BASES)
def test_every_form_of_a_base_url(varied: Proxy, upstream: Upstream, n: int, path: str) -> None:
    assert seen_by(upstream, varied, f"base-{n}").path == path


@pytest.mark.parametrize(("n", "case"), list(enumerate(AUTHS.values())), ids=AUTHS)
def test_every_kind_of_authentication(
    varied: Proxy, upstream: Upstream, n: int, case: tuple[dict[str, object], dict[str, str | None]]
) -> None:
    seen = seen_by(upstream, varied, f"auth-{n}")
    _, headers = case
    assert {name: seen.header(name) for name in headers} == headers


def test_a_host_in_another_script_is_named_as_the_network_knows_it(varied: Proxy, upstream: Upstream) -> None:
    assert seen_by(upstream, varied, "wide-digits").header("host") == upstream.origin.removeprefix("http://")


def test_a_certificate_nobody_vouches_for(varied: Proxy, secure: Upstream) -> None:
    secure.clear()
    reply = ask(varied, "tls-unknown")
    assert (reply.status, reply.error["code"]) == (502, "upstream_unreachable")
    assert "certificate" in reply.error["message"].lower(), "the person who has to mend it must know what to look at"
    assert str(secure.port) not in reply.error["message"]
    assert secure.history == []


@pytest.mark.parametrize("model", ["tls-known", "tls-unchecked"])
def test_tls(varied: Proxy, secure: Upstream, model: str) -> None:
    secure.clear()
    assert seen_by(secure, varied, model).header("authorization") == f"Bearer {model}-secret-key-0123456789"
    words = [f"word {n} {'x' * 3000}" for n in range(200)]
    secure.will_stream(*(chunk(word) for word in words), finish())
    assert list(ask(varied, model, stream=True).texts()) == words
    secure.will_answer(200, completion())
    assert ask(varied, model, user="x" * 3_000_000).status == 200
    assert len({seen.connection for seen in secure.history}) == 1


def test_a_file_of_authorities_counts_as_it_is_now_and_is_what_is_wrong_when_it_is_no_good(
    varied: Proxy, secure: Upstream, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    varied.add_provider(secure.base_url, "tls-changing", caFile=str(file))
    varied.add_model("tls-changing", "tls-changing")
    for content, words in (
        (None, "its caFile cannot be read (no such file or directory)."),
        (CERTIFICATE.read_text(), ""),
        ("no certificate", "its caFile holds no certificate."),
    ):
        if content is not None:
            file.write_text(content)
        secure.clear()
        secure.will_answer(200, completion(), goodbye)
        reply = ask(varied, "tls-changing")
        assert reply.status == (502 if words else 200), reply.body
        if words:
            assert (reply.error["code"], words in reply.error["message"]) == ("upstream_unreachable", True), reply.error
            assert str(tmp_path) not in reply.error["message"]
            assert words in varied.admin("POST", "/providers/tls-changing/test").json["message"]


def test_unchecked_tls_is_warned_about(varied: Proxy) -> None:
    assert any("tls-unchecked" in line for line in varied.output.splitlines())


@pytest.mark.parametrize("model", ["tls-to-plain", "plain-to-tls", "no-such-host"])
def test_an_address_that_does_not_answer(varied: Proxy, model: str, upstream: Upstream) -> None:
    reply = ask(varied, model)
    error = reply.error
    assert (reply.status, error["type"]) == (502, "upstream_error"), error
    assert error["code"] in ("upstream_unreachable", "upstream_invalid_response")
    assert "127.0.0.1" not in error["message"] and "name.invalid" not in error["message"]
    upstream.complaints.clear()  # a TLS handshake is no request
