"""Which route answers a path, and what is said when none does."""

from __future__ import annotations

from ipin_proxy.web.router import Route, Router


def route(method: str, pattern: str) -> Route:
    return Route(method, pattern, "public", "openai", lambda: None)


ROUTER = Router(
    [
        route("GET", "/models"),
        route("POST", "/models/bulk"),
        route("POST", "/models/{id...}/test"),
        route("GET", "/models/{id...}"),
        route("PUT", "/models/{id...}"),
        route("GET", "/keys/{name}"),
    ]
)


def found(method: str, path: str) -> tuple[str | None, dict[str, str]]:
    match = ROUTER.match(method, path)
    return match.route.pattern if match.route else None, match.params


def test_an_exact_path_goes_before_a_pattern_and_hides_no_other_method() -> None:
    assert found("POST", "/models/bulk") == ("/models/bulk", {})
    assert found("PUT", "/models/bulk") == ("/models/{id...}", {"id": "bulk"})
    assert found("HEAD", "/models/bulk") == ("/models/{id...}", {"id": "bulk"})


def test_a_pattern_takes_one_segment_or_the_rest() -> None:
    assert found("GET", "/models/org/name") == ("/models/{id...}", {"id": "org/name"})
    assert found("POST", "/models/org/name/test") == ("/models/{id...}/test", {"id": "org/name"})
    assert found("GET", "/keys/a") == ("/keys/{name}", {"name": "a"})
    assert found("GET", "/keys/a/b") == (None, {})
    assert found("GET", "/keys/") == (None, {})


def test_what_a_path_takes_instead_is_told() -> None:
    assert ROUTER.match("DELETE", "/models/bulk").allowed == ("GET", "HEAD", "OPTIONS", "POST", "PUT")
    assert ROUTER.match("DELETE", "/models").allowed == ("GET", "HEAD", "OPTIONS")
    assert ROUTER.match("DELETE", "/elsewhere").allowed == ()
