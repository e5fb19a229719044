"""Users in the administration: people who can then sign in, or no longer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support.proxy import PASSWORD, Proxy

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

KEY = "sk-linked-in-the-page-0123456789"


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def act(page: Page, name: str, action: str) -> None:
    """An entry of the menu of a row."""
    row(page, name).get_by_role("button", name=f"More for {name}").click()
    page.get_by_role("menuitem", name=action).click()


def sign_in_status(proxy: Proxy, username: str, password: str = PASSWORD) -> int:
    return proxy.post("/api/user/login", {"username": username, "password": password}).status


@pytest.fixture
def users(page: Page) -> Page:
    page.goto("/admin.html#/users")
    expect(page.get_by_role("table", name="Users")).to_be_visible()
    return page


def test_a_user_is_added_with_a_password_made_here_and_a_key(users: Page, proxy: Proxy) -> None:
    page = users
    proxy.add_key(KEY, "linked", name="Ann's key", username="ann")
    page.reload()
    page.get_by_role("button", name="Add a user").click()
    form = page.get_by_role("dialog")
    form.get_by_label("User name").fill("ann")
    form.get_by_label("E-mail").fill("ann@example.com")
    form.get_by_label("API key").select_option("Ann's key")
    form.get_by_role("button", name="Add user").click()
    expect(form.get_by_label("Password", exact=True)).to_have_attribute("aria-invalid", "true")
    form.get_by_role("button", name="Make one").click()
    password = form.get_by_label("Password", exact=True).input_value()
    assert len(password) >= 12
    form.get_by_role("button", name="Add user").click()
    expect(page.get_by_role("dialog")).to_contain_text(password)
    page.get_by_role("button", name="Done").click()
    expect(row(page, "ann")).to_contain_text("Ann's key")
    reply = proxy.post("/api/user/login", {"username": "ann", "password": password})
    assert (reply.status, reply.json["user"]["role"], reply.json["user"]["apiKeyId"]) == (200, "user", "linked")


def test_the_last_administrator_is_protected(users: Page, proxy: Proxy) -> None:
    page = users
    expect(row(page, "admin")).to_contain_text("last administrator")
    for action in ("Disable", "Delete"):
        act(page, "admin", action)
        refusal = page.get_by_role("alertdialog")
        expect(refusal).to_contain_text("last administrator")
        refusal.get_by_role("button", name="Close").last.click()
    act(page, "admin", "Edit")
    expect(page.get_by_role("dialog").get_by_label("Role")).to_be_disabled()
    page.keyboard.press("Escape")
    proxy.admin("POST", "/users", {"username": "second", "password": PASSWORD, "role": "admin"})
    page.reload()
    expect(row(page, "admin")).not_to_contain_text("last administrator")
    act(page, "second", "Delete")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    expect(row(page, "second")).to_have_count(0)
    expect(row(page, "admin")).to_contain_text("last administrator")


def test_a_new_password_takes_the_place_of_the_old_one(users: Page, proxy: Proxy) -> None:
    page = users
    proxy.admin("POST", "/users", {"username": "forgetful", "password": PASSWORD})
    page.reload()
    act(page, "forgetful", "New password")
    form = page.get_by_role("dialog")
    form.get_by_label("Password", exact=True).fill("short")
    form.get_by_role("button", name="Set password").click()
    expect(form.get_by_label("Password", exact=True)).to_have_attribute("aria-invalid", "true")
    form.get_by_label("Password", exact=True).fill("a much longer one")
    form.get_by_role("button", name="Set password").click()
    page.get_by_role("button", name="Done").click()
    assert sign_in_status(proxy, "forgetful") == 401
    assert sign_in_status(proxy, "forgetful", "a much longer one") == 200


def test_a_user_is_changed_disabled_and_deleted(users: Page, proxy: Proxy) -> None:
    page = users
    proxy.admin("POST", "/users", {"username": "carl", "password": PASSWORD})
    page.reload()
    act(page, "carl", "Edit")
    page.get_by_role("dialog").get_by_label("User name").fill("karl")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    act(page, "karl", "Disable")
    expect(row(page, "karl")).to_contain_text("disabled")
    assert sign_in_status(proxy, "karl") == 401
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "karl")).to_contain_text("enabled")
    assert sign_in_status(proxy, "karl") == 200
    act(page, "karl", "Delete")
    page.get_by_role("alertdialog", name="Delete karl?").get_by_role("button", name="Delete").click()
    expect(row(page, "karl")).to_have_count(0)
    assert sign_in_status(proxy, "karl") == 401


def test_a_search_that_an_address_brings_is_seen_however_few_there_are(page: Page) -> None:
    page.goto("/admin.html#/users?q=nobody")
    page.get_by_role("searchbox", name="Search users").fill("")
    expect(row(page, "admin")).to_be_visible()


def test_users_are_found_by_their_key_and_counted(users: Page, proxy: Proxy) -> None:
    page = users
    proxy.add_key("sk-of-users-in-the-page-0123456789", "of-users", name="Library")
    for n in range(5):
        person = {"username": f"reader-{n}", "password": PASSWORD, "apiKeyId": "of-users" if n == 3 else None}
        assert proxy.admin("POST", "/users", person).status == 201
    page.reload()
    page.get_by_role("searchbox", name="Search users").fill("library")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(row(page, "reader-3")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^1 of \d+ users$"))).to_be_visible()


def test_a_name_that_is_taken_is_told_beside_the_field(users: Page, expecting: object) -> None:
    page = users
    expecting("status of 409")  # type: ignore[operator]
    page.get_by_role("button", name="Add a user").click()
    form = page.get_by_role("dialog")
    form.get_by_label("User name").fill("ADMIN")
    form.get_by_label("Password", exact=True).fill(PASSWORD)
    form.get_by_role("button", name="Add user").click()
    expect(form.get_by_label("User name")).to_have_attribute("aria-invalid", "true")
    expect(form.get_by_label("User name")).to_be_focused()
