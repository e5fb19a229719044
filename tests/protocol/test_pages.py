"""The pages over a socket: what is there, under which headers, and that they hide nothing of the API."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from support import build
from support.proxy import KEY, Proxy
from support.upstream import Upstream

PAGES = ("/", "/admin.html", "/user.html", "/chat.html")
PARTS = {
    "/style.css": "text/css",
    "/reports.css": "text/css",
    "/chat.css": "text/css",
    "/screens.css": "text/css",
    "/theme.js": "text/javascript",
    "/icons.svg": "image/svg+xml",
}


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_html_under_a_strict_policy_and_loads_only_what_is_there(proxy: Proxy, path: str) -> None:
    reply = proxy.get(path)
    assert (reply.status, reply.header("content-type")) == (200, "text/html; charset=utf-8")
    policy = reply.header("content-security-policy") or ""
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy
    assert reply.header("x-frame-options") == "DENY"
    assert (reply.header("x-request-id") or "").startswith("req_")
    again = proxy.get(path, headers=[("if-none-match", reply.header("etag") or "")])
    assert (again.status, again.body) == (304, b"")
    page = reply.body.decode()
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son[a-z]+=|javascript:", page, re.IGNORECASE)
    loaded = re.findall(r"""<(?:script|link|img|use)\b[^>]* (?:src|href)=["']([^"'#]+)""", page)
    assert loaded
    for address in loaded:
        assert address.startswith("/") and not address.startswith("//")
        assert proxy.get(address).status == 200, address


@pytest.mark.parametrize("path", PARTS)
def test_what_pages_load_has_its_type(proxy: Proxy, path: str) -> None:
    reply = proxy.get(path)
    assert reply.status == 200
    assert (reply.header("content-type") or "").startswith(PARTS[path])
    assert reply.header("x-content-type-options") == "nosniff"


def test_a_browsers_unbidden_question_for_an_icon_is_no_error(proxy: Proxy) -> None:
    reply = proxy.get("/favicon.ico")
    assert (reply.status, reply.header("content-type")) in ((200, "image/svg+xml"), (204, None))


@pytest.mark.parametrize(
    "target",
    [
        "/js/../../ipin-proxy.db",
        "/js/%2e%2e/%2e%2e/server.py",
        "/js/..%2findex.html",
        "/js/.hidden",
        "/js/nothing.js",
        "/js/admin",
        "/index.htm",
        "/static/index.html",
        "/server.py",
        "/ipin-proxy.db",
        "/.env",
    ],
)
def test_what_is_no_page_is_told_in_json(proxy: Proxy, target: str) -> None:
    reply = proxy.get(target)
    assert (reply.status, reply.error["code"]) == (404, "not_found")


def test_pages_are_only_read(proxy: Proxy) -> None:
    for path in (*PAGES, *PARTS, "/js/api.js"):
        reply = proxy.post(path, {})
        assert (reply.status, reply.header("allow")) == (405, "GET, HEAD, OPTIONS")
        assert proxy.request("HEAD", path).status == 200


def test_warm_ups_and_pinned_prefixes_work_beside_the_pages(proxy: Proxy, upstream: Upstream) -> None:
    for path in ("/", "/acme", "/acme/", "/acme/v1", "/v1", "/nobody"):
        reply = proxy.request("HEAD", path)
        assert (reply.status, reply.body) == (200, b"")
    upstream.will_answer(200, build.completion("Hi"))
    body = {"model": build.PUBLIC_MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    assert proxy.post("/acme/v1/chat/completions", body, KEY).status == 200
    assert proxy.get("/acme").error["code"] == "not_found"


def test_no_provider_can_take_the_place_of_a_page(proxy: Proxy) -> None:
    for id_ in ("js", "icons.svg", "style.css", "admin.html", "openapi.json"):
        reply = proxy.admin("POST", "/providers", build.provider("https://provider.example/v1", id_))
        assert (reply.status, reply.error["param"]) == (400, "id")


def test_the_api_describes_itself_to_everybody(proxy: Proxy) -> None:
    reply = proxy.get("/openapi.json")
    assert (reply.status, reply.header("content-type")) == (200, "application/json")
    assert reply.json["paths"]["/v1/chat/completions"]["post"]["x-access"] == "key"


def test_what_it_says_of_who_may_come_and_of_errors_is_what_is_answered(proxy: Proxy) -> None:
    document = proxy.get("/openapi.json").json
    schemas = document["components"]["schemas"]
    for path, operations in document["paths"].items():
        for method, about in operations.items():
            reply = proxy.request(method.upper(), re.sub(r"\{\w+\}", "x", path), {} if method != "get" else None)
            assert (reply.status == 401) == bool(about["security"]), path
            if reply.status >= 400:
                schema = about["responses"]["default"]["content"]["application/json"]["schema"]
                choices = [schemas[one["$ref"].rpartition("/")[2]] for one in schema.get("anyOf", [schema])]
                assert set(reply.json) in [set(choice["required"]) for choice in choices], path
            else:
                assert {"2XX", str(reply.status)} & set(about["responses"]), path


@pytest.mark.parametrize("key", [KEY, None])
def test_the_list_of_models_fails_in_the_dialect_of_who_asks(proxy: Proxy, key: str | None) -> None:
    document = proxy.get("/openapi.json").json
    choices = document["paths"]["/v1/models/{id}"]["get"]["responses"]["default"]["content"]["application/json"]
    assert [one["$ref"].rpartition("/")[2] for one in choices["schema"]["anyOf"]] == ["Error", "MessagesError"]
    reply = proxy.get("/v1/models/x", key, [("anthropic-version", "2023-06-01")])
    assert set(reply.json) == set(document["components"]["schemas"]["MessagesError"]["required"])


def test_what_it_shows_of_the_demo_can_be_done_with_the_demo(start_proxy: Callable[..., Proxy]) -> None:
    proxy = start_proxy(providers=[], models=[])
    tried = 0
    for path, operations in proxy.get("/openapi.json").json["paths"].items():
        for content in operations.get("post", {}).get("requestBody", {}).get("content", {}).values():
            if content.get("example", {}).get("model") == "demo":
                assert proxy.post(path, content["example"], KEY).status == 200, path
                tried += 1
    assert tried
