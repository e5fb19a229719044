"""API keys in the administration: the full key is seen once; what happens to it afterwards is seen by its callers."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.proxy import MASTER_KEY, PASSWORD, Proxy

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))


def act(page: Page, name: str, action: str) -> None:
    """An entry of the menu of a row."""
    row(page, name).get_by_role("button", name=f"More for {name}").click()
    page.get_by_role("menuitem", name=action).click()


def shown_once(page: Page) -> str:
    """The full key, from the dialog that shows it."""
    line = page.get_by_role("dialog").get_by_role("textbox", name="API key")
    expect(line).to_have_text(re.compile(r"^sk-\S{30,}$"))
    return line.inner_text()


@pytest.fixture
def keys(page: Page, proxy: Proxy) -> Page:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=proxy.base_url)
    page.goto("/admin.html#/keys")
    expect(page.get_by_role("table", name="API keys")).to_be_visible()
    return page


def test_a_key_is_created_shown_once_and_masked_ever_after(keys: Page, proxy: Proxy) -> None:
    page = keys
    page.get_by_role("button", name="Create an API key").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("Reporting")
    form.get_by_label("User name").fill("ann")
    form.get_by_role("radio", name="Only these").first.check()
    form.get_by_role("searchbox", name="Search in Models").fill("embed")
    form.get_by_role("checkbox", name="embed-public").check()
    form.get_by_label("Works until").fill("2099-12-31T12:00")
    form.get_by_text("What it may be used for").click()
    form.get_by_label("Addresses").fill("127.0.0.0/8\n192.0.2.7/32")
    form.get_by_text("Limits and budgets").first.click()
    form.get_by_label("Calls a minute").fill("60")
    form.get_by_role("button", name="Add a budget").click()
    form.get_by_label("US dollars").fill("12.5")
    form.get_by_role("button", name="Create key").click()

    full = shown_once(page)
    page.get_by_role("button", name="Copy API key").click()
    expect(page.get_by_role("button", name="Copy API key")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == full
    page.get_by_role("button", name="Done").click()
    expect(row(page, "Reporting")).to_contain_text(f"{full[:5]}...{full[-4:]}")
    page.reload()
    expect(row(page, "Reporting")).to_be_visible()
    assert full not in page.content()

    assert [each["id"] for each in proxy.get("/v1/models", full).json["data"]] == ["embed-public"]
    stored = next(each for each in proxy.admin("GET", "/apikeys").json["apiKeys"] if each["name"] == "Reporting")
    assert (stored["username"], stored["rpm"], stored["allowedIps"]) == ("ann", 60, ["127.0.0.0/8", "192.0.2.7/32"])
    assert stored["budgets"] == [{"usd": 12.5, "window": "day"}]
    assert 4_102_300_000_000 < stored["expiresAt"] < 4_102_500_000_000


def test_a_key_is_not_closed_uncopied_without_a_question(keys: Page) -> None:
    page = keys
    page.get_by_role("button", name="Create an API key").click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("Hurried")
    page.keyboard.press("Enter")
    full = shown_once(page)
    page.keyboard.press("Escape")
    page.get_by_role("alertdialog").get_by_role("button", name="Back to the key").click()
    assert shown_once(page) == full
    page.keyboard.press("Escape")
    page.get_by_role("alertdialog").get_by_role("button", name="Close").last.click()
    expect(row(page, "Hurried")).to_be_visible()


def test_a_key_is_not_lost_by_going_back(visit: Callable[..., Page], session: Any) -> None:
    page = visit(session)
    page.goto("/admin.html")  # an address without a screen
    page.get_by_role("link", name="API keys", exact=True).click()
    page.get_by_role("button", name="Create an API key").click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("Uncopied")
    page.get_by_role("button", name="Create key").click()
    line = page.get_by_role("textbox", name="API key")
    expect(line).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Go on editing").click()
    expect(line).to_be_visible()
    expect(page).to_have_url(re.compile("#/keys"))


def test_an_unsaved_password_is_asked_about_at_an_address_without_a_screen(
    visit: Callable[..., Page], session: Any
) -> None:
    page = visit(session)
    page.goto("/admin.html")
    page.get_by_role("link", name="API keys", exact=True).click()
    expect(page.get_by_role("table", name="API keys")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    page.get_by_role("button", name="admin").click()
    page.get_by_role("menuitem", name="Change password").click()
    page.get_by_label("Current password").fill("typed")
    page.go_forward()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", level=1, name="API keys")).to_be_visible()


def test_a_key_whose_copying_failed_is_not_taken_for_copied(visit: Callable[..., Page], session: Any) -> None:
    page = visit(session)
    page.add_init_script(
        "Object.defineProperty(navigator, 'clipboard', { value: undefined }); document.execCommand = () => false;"
    )
    page.goto("/admin.html#/keys?new=1")
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("Uncopied")
    form.get_by_role("button", name="Create key").click()
    shown_once(page)
    copy = page.get_by_role("button", name="Copy API key")
    copy.click()
    expect(copy).to_contain_text("Select and copy")
    page.get_by_role("button", name="Done").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Back to the key").click()
    shown_once(page)


def test_a_key_is_edited_without_being_seen(keys: Page, proxy: Proxy) -> None:
    page = keys
    made = proxy.add_key("sk-edited-in-the-page-0123456789", "edited", name="Edited")
    page.reload()
    act(page, "Edited", "Edit")
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("Renamed")
    form.get_by_role("radio", name="Only these").first.check()
    form.get_by_role("button", name="Save").click()
    expect(form).to_contain_text("Tick at least one model")
    form.get_by_role("checkbox", name="org/blind").check()
    form.get_by_role("button", name="Save").click()
    expect(row(page, "Renamed")).to_contain_text("org/blind")
    listed = proxy.get("/v1/models", "sk-edited-in-the-page-0123456789").json["data"]
    assert [each["id"] for each in listed] == ["org/blind"]
    assert made["key"] != "" and "sk-edited-in-the-page-0123456789" not in page.content()


def test_models_may_be_named_by_a_pattern(keys: Page, proxy: Proxy) -> None:
    page = keys
    secret = "sk-patterns-in-the-page-0123456789"
    proxy.add_key(secret, "patterned", name="Patterned", allowedModels=["embed-*", "long-gone"])
    page.reload()
    act(page, "Patterned", "Edit")
    form = page.get_by_role("dialog")
    expect(form.get_by_text("pattern, fits 1 model now")).to_be_visible()
    expect(form.get_by_text("not there any more")).to_be_visible()
    search = form.get_by_role("searchbox", name="Search in Models")
    search.fill("org.*")
    expect(form.get_by_text("pattern, fits 0 models now")).to_be_visible()
    search.fill("org/*")
    form.get_by_role("checkbox", name="org/*").check()
    search.fill("")
    expect(form.get_by_role("checkbox", name="org/*")).to_be_checked()
    form.get_by_role("checkbox", name="long-gone").uncheck()
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    listed = [each["id"] for each in proxy.get("/v1/models", secret).json["data"]]
    assert "embed-public" in listed and "org/blind" in listed and "gpt-public" not in listed


def test_a_budget_may_roll_and_be_raised_for_a_while(keys: Page, proxy: Proxy) -> None:
    page = keys
    budgets = [{"usd": 5, "window": "rolling", "days": 14, "name": "pilot"}]
    proxy.add_key("sk-budget-in-the-page-0123456789", "budgeted", name="Budgeted", budgets=budgets)
    page.reload()
    act(page, "Budgeted", "Edit")
    form = page.get_by_role("dialog")
    expect(form.get_by_label("in", exact=True)).to_have_value("rolling 14")
    form.get_by_label("raised by").fill("2.5")
    form.get_by_role("button", name="Save").click()
    expect(form).to_contain_text("A raise needs both")
    form.get_by_label("raised until").fill("2099-12-31T12:00")
    form.get_by_role("button", name="Add a budget").click()
    form.get_by_label("US dollars").nth(1).fill("20")
    form.get_by_label("in", exact=True).nth(1).select_option("in 30 days")
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    stored = next(each for each in proxy.admin("GET", "/apikeys").json["apiKeys"] if each["id"] == "budgeted")
    first, second = stored["budgets"]
    assert {**first, "raiseUntil": 0} == {**budgets[0], "raiseUsd": 2.5, "raiseUntil": 0}
    assert 4_102_300_000_000 < first["raiseUntil"] < 4_102_500_000_000
    assert second == {"usd": 20, "window": "rolling", "days": 30}


def test_an_amount_or_a_time_that_is_half_typed_is_no_blank_one(keys: Page, proxy: Proxy) -> None:
    page = keys
    page.get_by_role("button", name="Create an API key").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("Half typed")
    until = form.get_by_label("Works until")
    until.focus()
    page.keyboard.type("12312099")  # and no time of day
    form.get_by_text("Limits and budgets").first.click()
    form.get_by_role("button", name="Add a budget").click()
    amount = form.get_by_label("US dollars")
    amount.press_sequentially("5e")
    create = form.get_by_role("button", name="Create key")

    create.click()
    expect(form.get_by_text("This needs a day and a time")).to_be_visible()
    expect(form.get_by_text("This is not a number.")).to_be_visible()
    expect(until).to_be_focused()
    until.evaluate("(input) => (input.value = '20261-01-01T10:00')")  # as some browsers let one type it
    create.click()
    expect(form.get_by_text("This needs a day and a time, up to the year 9999.")).to_be_visible()
    until.fill("2099-12-31T12:00")
    amount.fill("")
    form.get_by_label("raised by").fill("3")
    create.click()
    expect(form.get_by_text("A budget needs an amount.")).to_be_visible()
    assert "Half typed" not in [each["name"] for each in proxy.admin("GET", "/apikeys").json["apiKeys"]]

    amount.fill("5")
    form.get_by_label("raised by").fill("")
    create.click()
    shown_once(page)
    stored = next(each for each in proxy.admin("GET", "/apikeys").json["apiKeys"] if each["name"] == "Half typed")
    assert stored["expiresAt"]
    assert [each["usd"] for each in stored["budgets"]] == [5]


def test_a_year_ends_with_its_fourth_digit(keys: Page, proxy: Proxy) -> None:
    page = keys
    page.get_by_role("button", name="Create an API key").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill("Until the hour")
    form.get_by_label("Works until").focus()
    page.keyboard.type("010220990300AM")  # on and on, as people type
    form.get_by_role("button", name="Create key").click()
    expect(page.get_by_role("textbox", name="API key")).to_be_visible()
    (made,) = (each for each in proxy.admin("GET", "/apikeys").json["apiKeys"] if each["name"] == "Until the hour")
    assert 4_070_900_000_000 < made["expiresAt"] < 4_073_800_000_000  # in January or February of 2099
    proxy.admin("DELETE", f"/apikeys/{made['id']}")


def test_a_rotated_key_is_new_and_the_old_one_is_dead(keys: Page, proxy: Proxy) -> None:
    page = keys
    old = "sk-rotated-in-the-page-0123456789"
    proxy.add_key(old, "rotated", name="Rotated")
    page.reload()
    act(page, "Rotated", "New key")
    page.get_by_role("alertdialog").get_by_role("button", name="Make a new key").click()
    new = shown_once(page)
    assert (proxy.get("/v1/models", old).status, proxy.get("/v1/models", new).status) == (401, 200)


def test_a_rotation_nobody_told_the_end_of_is_not_said_to_have_failed(
    keys: Page, proxy: Proxy, expecting: Callable[[str], None]
) -> None:
    expecting("ERR_FAILED")
    proxy.add_key("sk-unheard-of-0123456789", "unheard", name="Unheard of")

    def done_and_not_told(route: Any) -> None:
        route.fetch()
        route.abort()

    keys.reload()
    keys.route("**/rotate", done_and_not_told)
    keys.get_by_role("button", name="More for Unheard of").click()
    keys.get_by_role("menuitem", name="New key").click()
    keys.get_by_role("button", name="Make a new key").click()
    expect(keys.get_by_role("alertdialog", name="That may not have worked")).to_contain_text("does not answer")
    assert proxy.get("/v1/models", "sk-unheard-of-0123456789").status == 401


def test_a_key_is_disabled_found_and_deleted(keys: Page, proxy: Proxy) -> None:
    page = keys
    key = "sk-deleted-in-the-page-0123456789"
    proxy.add_key(key, "deleted", name="Leaver")
    page.reload()
    page.get_by_role("searchbox", name="Search keys").fill("leaver")
    expect(page.get_by_role("row")).to_have_count(2)
    act(page, "Leaver", "Disable")
    expect(row(page, "Leaver")).to_contain_text("disabled")
    assert proxy.get("/v1/models", key).status == 401
    page.get_by_role("button", name="Undo").click()
    expect(row(page, "Leaver")).to_contain_text("enabled")
    assert proxy.get("/v1/models", key).status == 200
    act(page, "Leaver", "Delete")
    page.get_by_role("alertdialog", name="Delete Leaver?").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="No key matches")).to_be_visible()
    assert proxy.get("/v1/models", key).status == 401


def test_a_key_is_found_by_who_signs_in_with_it(keys: Page, proxy: Proxy) -> None:
    page = keys
    proxy.add_key("sk-of-a-person-in-the-page-0123456789", "of-a-person", name="Laptop 17", username="")
    person = {"username": "wilhelmina", "password": PASSWORD, "apiKeyId": "of-a-person"}
    assert proxy.admin("POST", "/users", person).status == 201
    page.reload()
    page.get_by_role("searchbox", name="Search keys").fill("Wilhelm")
    expect(page.get_by_role("row")).to_have_count(2)
    expect(row(page, "Laptop 17")).to_contain_text("signs in as wilhelmina")
    expect(page.get_by_text(re.compile(r"^1 of \d+ keys$"))).to_be_visible()


def test_a_key_whose_user_is_disabled_says_so(keys: Page, proxy: Proxy) -> None:
    key = proxy.admin("POST", "/apikeys", {"name": "Held"}).json
    proxy.admin(
        "POST", "/users", {"username": "held", "password": "long enough", "apiKeyId": key["id"], "enabled": False}
    )
    keys.reload()
    expect(row(keys, "Held")).to_contain_text("user disabled")
    keys.get_by_label("Status").select_option("Disabled")
    expect(row(keys, "Held")).to_be_visible()


def test_several_keys_are_disabled_at_once(keys: Page, proxy: Proxy) -> None:
    page = keys
    for number in (1, 2):
        proxy.add_key(f"sk-several-in-the-page-012345678{number}", f"several-{number}", name=f"Several {number}")
    page.goto("/admin.html#/keys?q=several")
    page.reload()
    page.get_by_role("checkbox", name="Tick all").check()
    page.get_by_role("button", name="Disable", exact=True).click()
    for number in (1, 2):
        expect(row(page, f"Several {number}")).to_contain_text("disabled")
        assert proxy.get("/v1/models", f"sk-several-in-the-page-012345678{number}").status == 401


def test_the_list_says_when_a_key_was_used_last(keys: Page, proxy: Proxy) -> None:
    page = keys
    key = "sk-used-from-elsewhere-0123456789"
    proxy.add_key(key, "used", name="Used")
    page.reload()
    expect(row(page, "Used")).to_contain_text("never")
    assert proxy.post("/v1/chat/completions", build.hello("?", model="nothing"), key).status == 404
    page.reload()
    expect(row(page, "Used")).not_to_contain_text("never")


def test_the_master_key_is_said_to_be_set_outside(keys: Page) -> None:
    page = keys
    expect(page.get_by_role("main")).to_contain_text("Master key")
    expect(page.get_by_role("main")).to_contain_text("MASTER_API_KEY")
    assert MASTER_KEY not in page.content()


def test_many_keys_and_users_are_not_each_compared_with_each(page: Page, proxy: Proxy) -> None:
    """With thirty thousand keys the page stood still for ten seconds, and again with every letter of a search."""
    many = 300
    mine = [
        {"id": f"k{n}", "name": f"Key {n}", "key": "sk-…", "allowedModels": [], "enabled": True} for n in range(many)
    ]
    users = [
        {"id": f"u{n}", "username": f"person {n}", "role": "user", "apiKeyId": f"k{n}", "enabled": n != 7}
        for n in range(many)
    ]
    page.route("**/api/admin/apikeys", lambda route: route.fulfill(json={"apiKeys": mine}))
    page.route("**/api/admin/users", lambda route: route.fulfill(json={"users": users}))
    page.add_init_script(
        """globalThis.looked = 0;
        for (const name of ["filter", "find", "some"]) {
          const plain = Array.prototype[name];
          Array.prototype[name] = function (test, ...more) {
            return plain.call(this, (...each) => (looked++, test(...each)), ...more);
          };
        }"""
    )
    for path, label, first in (("keys", "API keys", "Key 299"), ("users", "Users", "person 299")):
        page.goto(f"/admin.html#/{path}")
        expect(page.get_by_role("table", name=label)).to_be_visible()
        page.get_by_role("searchbox").fill("299")
        expect(row(page, first)).to_be_visible()
        expect(page.get_by_role("rowheader")).to_have_count(1)
        assert page.evaluate("looked") < 50 * many
    page.goto("/admin.html#/keys?q=person+7")
    expect(row(page, "Key 7").first).to_contain_text("user disabled")
