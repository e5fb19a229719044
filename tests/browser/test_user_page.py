"""People's own page: their key, their models, the playground, their password; and nothing of the administration."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support.build import spoken
from support.proxy import PASSWORD, Proxy
from support.upstream import Upstream

from .window import sticking_out

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Page

OTHER = "another good password"
numbers = itertools.count(1)


@pytest.fixture
def key(proxy: Proxy) -> str:
    """A key of its own for each test, for two models."""
    number = next(numbers)
    made = f"sk-of-a-person-012345678-{number}"
    proxy.add_key(made, f"key-of-{number}", name=f"Key {number}", allowedModels=["gpt-public", "embed-public"])
    return made


@pytest.fixture
def person(proxy: Proxy, key: str) -> str:
    """The name of a user with that key."""
    name = f"person-{key[-1]}"
    given = {"username": name, "password": PASSWORD, "apiKeyId": f"key-of-{key[-1]}"}
    assert proxy.admin("POST", "/users", given).status == 201
    return name


@pytest.fixture
def own(visit: Callable[..., Page], session_of: Callable[..., Any], person: str) -> Page:
    """That user's own page."""
    page = visit(session_of(person))
    page.goto("/user.html")
    expect(page.get_by_role("heading", level=1)).to_contain_text(person)
    return page


def test_what_would_be_lost_is_asked_about_before_the_page_is_turned(own: Page) -> None:
    own.get_by_role("navigation").get_by_role("link", name="API docs").click()
    expect(own.get_by_role("heading", level=1, name="API docs")).to_be_visible()
    own.get_by_role("link", name="Your page", exact=True).click()
    own.get_by_role("button", name="Replace the key").click()
    own.get_by_role("button", name="Replace it").click()
    line = own.get_by_role("dialog").get_by_role("textbox", name="API key")
    expect(line).to_be_visible()
    shown = line.inner_text()

    own.go_back()
    own.get_by_role("alertdialog").get_by_role("button", name="Go on editing").click()
    expect(line).to_have_text(shown)
    expect(own).to_have_url(re.compile("#/overview"))
    own.go_back()
    own.get_by_role("alertdialog").get_by_role("button", name="Leave").click()
    expect(own.get_by_role("heading", level=1, name="API docs")).to_be_visible()
    expect(own.get_by_role("dialog")).to_have_count(0)


def test_a_long_name_of_a_key_stays_on_the_page(own: Page, proxy: Proxy, key: str) -> None:
    assert proxy.admin("PUT", f"/apikeys/key-of-{key[-1]}", {"name": "W" * 200}).status == 200
    own.reload()
    expect(own.get_by_text("W" * 200)).to_be_visible()
    assert sticking_out(own) == []


def test_ones_own_key_is_masked_and_can_be_replaced(own: Page, proxy: Proxy, key: str) -> None:
    expect(own.get_by_role("main")).to_contain_text(f"{key[:5]}...{key[-4:]}")
    assert key not in own.content()
    own.get_by_role("button", name="Replace the key").click()
    own.get_by_role("alertdialog").get_by_role("button", name="Replace it").click()
    line = own.get_by_role("dialog").get_by_role("textbox", name="API key")
    expect(line).to_have_text(re.compile(r"^sk-\S{30,}$"))
    new = line.inner_text()
    own.get_by_role("button", name="I have copied it").click()
    expect(own.get_by_role("main")).to_contain_text(f"{new[:5]}...{new[-4:]}")
    assert new not in own.content()
    assert (proxy.get("/v1/models", key).status, proxy.get("/v1/models", new).status) == (401, 200)


def test_ones_new_key_does_not_go_uncopied_without_a_question(own: Page) -> None:
    own.get_by_role("button", name="Replace the key").click()
    own.get_by_role("alertdialog").get_by_role("button", name="Replace it").click()
    line = own.get_by_role("dialog", name="Your new API key").get_by_role("textbox", name="API key")
    new = line.inner_text()
    own.keyboard.press("Escape")
    own.get_by_role("alertdialog", name="Close without copying?").get_by_role("button", name="Back to the key").click()
    expect(line).to_have_text(new)
    own.get_by_role("button", name="I have copied it").click()
    expect(own.get_by_role("main")).to_contain_text(f"{new[:5]}...{new[-4:]}")


def test_only_ones_own_models_are_shown_and_can_be_tried(own: Page, upstream: Upstream) -> None:
    expect(own.get_by_role("main")).to_contain_text("2 models")
    expect(own.get_by_role("main")).not_to_contain_text("org/blind")
    expect(own.get_by_role("navigation", name="Screens").get_by_role("link", name="Providers")).to_have_count(0)
    own.get_by_role("link", name="Try Public chat").click()
    upstream.will_stream(*spoken("Hello, person."))
    own.get_by_role("textbox", name="Message").fill("Hello?")
    own.keyboard.press("Enter")
    expect(own.get_by_role("article", name="gpt-public")).to_contain_text("Hello, person.")
    own.get_by_role("navigation", name="Screens").get_by_role("link", name="API docs").click()
    expect(own.get_by_role("tabpanel").filter(visible=True)).to_contain_text("gpt-public")


def test_of_very_many_models_some_are_shown_and_all_are_found(own: Page) -> None:
    many = [{"id": f"model-{n}", "object": "model", "type": "chat"} for n in range(1000)]
    own.route("**/v1/models*", lambda route: route.fulfill(json={"object": "list", "data": many}))
    own.reload()
    models = own.locator("section").filter(has=own.get_by_role("heading", name="Your models"))
    expect(models).to_contain_text("940 more. Search to find them.")
    assert models.get_by_role("link").count() == 60
    own.get_by_role("searchbox", name="Search your models").fill("model-777")
    expect(models.get_by_role("link")).to_have_count(1)
    expect(models).to_contain_text("1 of 1,000 models")
    own.unroute_all()


def test_ones_password_is_changed_and_one_stays_signed_in(
    own: Page, proxy: Proxy, person: str, expecting: Callable[[str], None]
) -> None:
    expecting("status of 400")
    own.get_by_role("button", name=person).click()
    own.get_by_role("menuitem", name="Change password").click()
    form = own.get_by_role("dialog", name="Change your password")
    form.get_by_label("Current password").fill("wrong")
    form.get_by_label("New password").fill(OTHER)
    form.get_by_role("button", name="Change password").click()
    expect(form.get_by_label("Current password")).to_have_attribute("aria-invalid", "true")
    form.get_by_label("Current password").fill(PASSWORD)
    form.get_by_role("button", name="Change password").click()
    expect(form).to_have_count(0)
    own.reload()
    expect(own.get_by_role("heading", level=1)).to_contain_text(person)
    assert proxy.post("/api/user/login", {"username": person, "password": OTHER}).status == 200


def test_somebody_without_a_key_is_told_what_to_do(
    visit: Callable[..., Page], session_of: Callable[..., Any], proxy: Proxy, expecting: Callable[[str], None]
) -> None:
    proxy.admin("POST", "/users", {"username": "keyless", "password": PASSWORD})
    page = visit(session_of("keyless"))
    expecting("status of 403")
    page.goto("/user.html")
    expect(page.get_by_role("heading", name="No API key is linked to you yet")).to_be_visible()
    expect(page.get_by_role("heading", name="No models for you yet")).to_be_visible()
    page.get_by_role("link", name="Playground").click()
    expect(page.get_by_role("heading", name="No model to try yet")).to_be_visible()


def test_an_administrator_finds_the_way_to_the_administration(page: Page) -> None:
    page.goto("/user.html#/playground")
    page.get_by_role("tab", name="More kinds").click()
    page.get_by_role("button", name="Add models").click()
    expect(page).to_have_url(re.compile(r"/admin\.html#/models"))
    page.goto("/user.html#/docs")
    page.get_by_role("link", name="Create one").click()
    expect(page).to_have_url(re.compile(r"/admin\.html#/keys"))


def test_who_is_not_signed_in_signs_in_first(stranger: Page) -> None:
    stranger.goto("/user.html#/docs")
    expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "next=" in stranger.url
