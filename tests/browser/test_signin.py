"""Signing in and out, through the pages; and a session that ends while somebody is in the middle of something."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support.proxy import PASSWORD, Proxy

from .window import sign_in

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Page

Visit = Callable[..., "Page"]
Expecting = Callable[[str], None]


def test_a_wrong_password_is_told_and_the_right_one_leads_on(stranger: Page, expecting: Expecting) -> None:
    expecting("status of 401")
    sign_in(stranger, password="wrong")
    expect(stranger.get_by_role("alert")).to_contain_text("name or the password is wrong")
    expect(stranger.get_by_label("User name")).to_have_value("admin")
    expect(stranger.get_by_label("Password", exact=True)).to_be_focused()
    stranger.keyboard.type(PASSWORD)
    stranger.keyboard.press("Enter")
    expect(stranger).to_have_url(re.compile(r"/admin\.html"))
    expect(stranger.get_by_role("heading", level=1)).to_be_visible()


def test_a_refusal_moves_neither_field(stranger: Page, expecting: Expecting) -> None:
    expecting("status of 401")
    stranger.goto("/")
    name = stranger.get_by_label("User name")
    name.fill("clumsy")
    before = name.bounding_box()
    stranger.get_by_label("Password", exact=True).fill("wrong")
    stranger.keyboard.press("Enter")
    expect(stranger.get_by_role("alert").filter(visible=True)).to_be_visible()
    assert name.bounding_box() == before


def test_what_is_left_blank_is_told_beside_its_field(stranger: Page) -> None:
    stranger.goto("/")
    stranger.get_by_role("button", name="Sign in").click()
    expect(stranger.get_by_label("User name")).to_have_accessible_description(re.compile("Enter your user name"))
    expect(stranger.get_by_label("User name")).to_be_focused()


def test_too_many_wrong_passwords_make_one_wait(stranger: Page, proxy: Proxy, expecting: Expecting) -> None:
    expecting("status of 429")
    wrong = {"username": "hasty", "password": "wrong"}
    refusal = next(each for each in (proxy.post("/api/user/login", wrong) for _ in range(20)) if each.status == 429)
    # The server's own words; how long it is in earnest about them depends on how busy this machine is.
    headers = {"content-type": "application/json", "retry-after": "30"}
    stranger.route("**/api/user/login", lambda route: route.fulfill(status=429, headers=headers, body=refusal.body))
    stranger.clock.install()
    sign_in(stranger, "hasty", "wrong")
    expect(stranger.get_by_role("alert")).to_contain_text("Too many")
    button = stranger.get_by_role("button", name="Sign in")
    expect(button).to_be_disabled()
    stranger.clock.fast_forward(31_000)
    expect(button).to_be_enabled()
    expect(stranger.get_by_role("alert")).to_be_hidden()


def test_who_comes_while_many_sign_in_is_not_told_of_attempts(stranger: Page, expecting: Expecting) -> None:
    expecting("status of 429")
    error = {"message": "Many people are signing in. Try again in a moment.", "type": "rate_limit_error"}
    stranger.route(
        "**/api/user/login",
        lambda route: route.fulfill(status=429, headers={"retry-after": "30"}, json={"error": error}),
    )
    sign_in(stranger)
    shown = stranger.get_by_role("alert").locator("span[aria-hidden=true]")
    expect(shown).to_have_text(re.compile(r"Many people are signing in\. You can try again in \d+ s\."))


def test_one_comes_back_to_where_one_wanted_to_go(stranger: Page) -> None:
    stranger.goto("/admin.html#/models?type=embedding")
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
    stranger.get_by_label("User name").fill("admin")
    stranger.get_by_label("Password", exact=True).fill(PASSWORD)
    stranger.keyboard.press("Enter")
    expect(stranger).to_have_url(re.compile(r"/admin\.html#/models\?type=embedding$"))
    expect(stranger.get_by_role("row", name=re.compile("embed-public"))).to_be_visible()


@pytest.mark.parametrize(
    "asked",
    [
        "//elsewhere.example/x.html",
        "/.//elsewhere.example/x.html",
        "/x/..%2F%2Felsewhere.example/x.html",
        "https://elsewhere.example/x.html",
        "javascript:alert(1).html",
    ],
)
def test_one_is_led_to_no_other_site(visit: Visit, session: Any, asked: str) -> None:
    page = visit(session)
    page.goto(f"/?next={asked}")
    expect(page).to_have_url(re.compile(r"^http://127\.0\.0\.1:\d+/admin\.html"))


def test_a_user_gets_the_users_page_and_not_the_administrators(
    visit: Visit, proxy: Proxy, session_of: Callable[..., Any]
) -> None:
    proxy.admin("POST", "/users", {"username": "ann", "password": PASSWORD})
    page = visit()
    sign_in(page, "ann")
    expect(page).to_have_url(re.compile(r"/user\.html"))
    page.goto("/admin.html#/models")
    expect(page).to_have_url(re.compile(r"/user\.html"))


def test_signing_out_ends_the_session(visit: Visit, session_of: Callable[..., Any]) -> None:
    page = visit(session_of("admin"))
    page.goto("/admin.html#/docs")
    page.get_by_role("button", name="admin").click()
    page.get_by_role("menuitem", name="Sign out", exact=True).click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/admin.html")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_no_way_back_shows_what_was_there_before_the_sign_out(
    visit: Visit, proxy: Proxy, session_of: Callable[..., Any]
) -> None:
    state = session_of("admin")
    page = visit(state)
    page.goto("/admin.html#/models")
    expect(page.get_by_role("table")).to_be_visible()
    proxy.post("/api/logout", {}, state["cookies"][0]["value"])
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")  # as out of its memory
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("table")).to_have_count(0)


def test_signing_out_everywhere_ends_the_others_too(
    visit: Visit, proxy: Proxy, session_of: Callable[..., Any], expecting: Expecting
) -> None:
    proxy.admin("POST", "/users", {"username": "ben", "password": PASSWORD, "role": "admin"})
    here, there = visit(session_of("ben")), visit(session_of("ben"))
    expecting("status of 401")
    there.goto("/admin.html#/models")
    expect(there.get_by_role("table")).to_be_visible()
    here.goto("/admin.html#/models")
    here.get_by_role("button", name="ben").click()
    here.get_by_role("menuitem", name="Sign out everywhere").click()
    expect(here.get_by_role("heading", name="Sign in")).to_be_visible()
    there.get_by_role("navigation").get_by_role("link", name="API keys").click()
    expect(there.get_by_role("dialog", name="Sign in again")).to_be_visible()


def test_a_session_that_ends_costs_nothing_that_was_typed(
    visit: Visit, proxy: Proxy, session_of: Callable[..., Any], expecting: Expecting
) -> None:
    state = session_of("admin")
    page = visit(state)
    expecting("status of 401")
    page.goto("/admin.html#/models")
    page.get_by_role("button", name="Add by hand").click()
    form = page.get_by_role("dialog", name="Add a model")
    # An id is looked up in the list prices, which must be over before the session ends.
    with page.expect_response(re.compile("/api/admin/prices")):
        form.get_by_label("Id", exact=True).fill("typed-before")
        form.get_by_label("Display name").fill("Typed before the session ended")
    proxy.post("/api/logout", {}, state["cookies"][0]["value"])

    form.get_by_role("button", name="Add model").click()
    again = page.get_by_role("dialog", name="Sign in again")
    expect(again.get_by_label("User name")).to_have_value("admin")
    expect(again.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("row", name=re.compile("Typed before the session ended"))).to_be_visible()
    assert proxy.admin("GET", "/models/typed-before").status == 200


def test_who_has_a_new_name_signs_in_again_with_that(
    visit: Visit, proxy: Proxy, session_of: Callable[..., Any], expecting: Expecting
) -> None:
    proxy.admin("POST", "/users", {"username": "cora", "password": PASSWORD, "role": "admin"})
    page = visit(session_of("cora"))
    expecting("status of 401")
    page.goto("/admin.html#/users")
    page.get_by_role("rowheader").get_by_role("button", name="cora").click()
    page.get_by_role("dialog").get_by_label("User name").fill("cora-b")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("navigation").get_by_role("button", name="cora-b")).to_be_visible()
    page.context.clear_cookies()

    page.get_by_role("navigation").get_by_role("link", name="Models").click()
    again = page.get_by_role("dialog", name="Sign in again")
    again.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("table", name="Models")).to_be_visible()
