"""The page at the root: what this is, whether it is set up, and a first call."""

from __future__ import annotations

from collections.abc import Callable

from support.proxy import Proxy


def test_the_root_says_what_this_is_and_loads_nothing(proxy: Proxy) -> None:
    reply = proxy.get("/")
    assert reply.status == 200
    assert (reply.header("content-type") or "").startswith("text/html")
    policy = reply.header("content-security-policy") or ""
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    page = reply.body.decode()
    assert f"{proxy.base_url}/v1/chat/completions" in page
    assert "<script" not in page and "<style" not in page and "gpt-public" not in page


def test_the_root_tells_a_newcomer_what_to_do(start_proxy: Callable[..., Proxy]) -> None:
    page = start_proxy(providers=[], models=[]).get("/").body.decode()
    assert "/api/admin/login" in page
    assert '"model": "demo"' in page


def test_the_root_does_not_repeat_markup(proxy: Proxy) -> None:
    reply = proxy.raw(b"GET / HTTP/1.1\r\nHost: x'onload='y\r\n\r\n").reply()
    assert b"'onload='" not in reply.body
