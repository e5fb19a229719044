"""Settings in the administration: values and where they come from, the configuration as a file, earlier versions."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.proxy import Proxy

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

SECRET = "acme-secret-key-0123456789"


def setting(page: Page, name: str) -> Locator:
    """The part of the page that is about one setting."""
    return page.locator(".setting").filter(has=page.get_by_text(name, exact=True).first)


def as_file(document: Any, name: str = "given.json") -> Any:
    return {"name": name, "mimeType": "application/json", "buffer": json.dumps(document).encode()}


def value_of(proxy: Proxy, name: str) -> Any:
    settings = proxy.admin("GET", "/settings").json["settings"]
    return next(each["value"] for each in settings if each["name"] == name)


@pytest.fixture
def settings(page: Page) -> Page:
    page.goto("/admin.html#/settings")
    expect(page.get_by_label("REQUEST_TIMEOUT_S")).to_be_visible()
    return page


def test_every_setting_says_what_it_is_and_where_it_comes_from(settings: Page, proxy: Proxy) -> None:
    page = settings
    listed = proxy.admin("GET", "/settings").json["settings"]
    for name in [each["name"] for each in listed]:
        expect(setting(page, name)).to_have_count(1)
    expect(setting(page, "REQUEST_TIMEOUT_S")).to_contain_text("default")
    expect(setting(page, "DRAIN_SECONDS")).to_contain_text("environment")
    expect(setting(page, "PORT")).to_contain_text("command line")
    expect(setting(page, "MASTER_API_KEY")).to_contain_text("****")


def test_a_value_is_changed_and_put_back(settings: Page, proxy: Proxy) -> None:
    page = settings
    page.get_by_label("REQUEST_TIMEOUT_S").fill("77")
    page.get_by_role("button", name="Save changes").click()
    expect(setting(page, "REQUEST_TIMEOUT_S")).to_contain_text("set here")
    assert value_of(proxy, "REQUEST_TIMEOUT_S") == 77
    page.get_by_label("REQUEST_TIMEOUT_S").fill("")
    page.get_by_role("button", name="Save changes").click()
    expect(setting(page, "REQUEST_TIMEOUT_S")).to_contain_text("default")
    assert value_of(proxy, "REQUEST_TIMEOUT_S") == 120


def test_what_the_environment_says_goes_before_and_is_told(settings: Page, proxy: Proxy) -> None:
    page = settings
    before = value_of(proxy, "DRAIN_SECONDS")
    page.get_by_label("DRAIN_SECONDS").fill("9")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_role("dialog")).to_contain_text("DRAIN_SECONDS")
    expect(page.get_by_role("dialog")).to_contain_text("not in force")
    page.keyboard.press("Escape")
    expect(setting(page, "DRAIN_SECONDS")).to_contain_text("not in force")
    assert value_of(proxy, "DRAIN_SECONDS") == before
    proxy.admin("PUT", "/settings", {"DRAIN_SECONDS": None})


def test_a_value_that_cannot_be_is_told_beside_its_field(settings: Page, expecting: Callable[[str], None]) -> None:
    page = settings
    expecting("status of 400")
    page.get_by_label("TRUSTED_PROXIES").fill("not an address")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_label("TRUSTED_PROXIES")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("TRUSTED_PROXIES")).to_be_focused()
    page.get_by_role("link", name="Models").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Go on editing").click()
    expect(page.get_by_label("TRUSTED_PROXIES")).to_have_value("not an address")


def test_a_part_there_is_not_shows_the_first(settings: Page) -> None:
    settings.evaluate("location.hash = '#/settings?part=nonsense'")
    expect(settings.get_by_role("tab", name="Values")).to_have_attribute("aria-selected", "true")
    expect(settings.get_by_role("tabpanel", name="Values")).to_be_visible()


def test_an_export_holds_secrets_only_when_they_were_asked_for(settings: Page) -> None:
    page = settings
    page.get_by_role("tab", name="Export and import").click()
    expect(page).to_have_url(re.compile("part=file"))
    with page.expect_download() as plain:
        page.get_by_role("button", name="Export without secrets").click()
    assert re.fullmatch(r"ipin-proxy-\d{4}-\d\d-\d\d\.json", plain.value.suggested_filename)
    text = plain.value.path().read_text()
    assert [each["id"] for each in json.loads(text)["providers"]] == ["acme"]
    assert SECRET not in text
    page.get_by_role("button", name="Export with secrets").click()
    with page.expect_download() as full:
        page.get_by_role("alertdialog").get_by_role("button", name="Export with secrets").click()
    assert SECRET in full.value.path().read_text()


def test_an_import_shows_what_it_would_do_before_it_does(settings: Page, proxy: Proxy) -> None:
    page = settings
    page.goto("/admin.html#/settings?part=file")
    before = proxy.admin("GET", "/models").json["models"]
    changed = {**before[0], "name": "Renamed by import"}
    key = build.key("sk-of-the-imported-file-0123", "key-f00d", name="Key of the file")
    models = [changed, *before[2:], build.model("imported")]
    document = {"models": models, "apiKeys": [*proxy.admin("GET", "/export?secrets=1").json["apiKeys"], key]}
    page.get_by_label("File to import").set_input_files([as_file(document)])
    difference = page.get_by_role("dialog", name="Import given.json?")
    expect(difference).to_contain_text("2 additions, 1 change, 1 removal")
    for words in ("imported", before[0]["id"], before[1]["id"], "Key of the file"):
        expect(difference).to_contain_text(words)
    difference.get_by_role("button", name="Cancel").click()
    assert proxy.admin("GET", "/models").json["models"] == before
    page.get_by_label("File to import").set_input_files([as_file(document)])
    difference.get_by_role("button", name="Import", exact=True).click()
    expect(difference).to_have_count(0)
    names = {each["id"]: each["name"] for each in proxy.admin("GET", "/models").json["models"]}
    assert names[before[0]["id"]] == "Renamed by import"
    assert ("imported" in names, before[1]["id"] in names) == (True, False)

    page.get_by_role("tab", name="Backups").click()
    page.get_by_role("row").nth(1).get_by_role("button", name=re.compile("Restore")).click()
    restore = page.get_by_role("dialog")
    expect(restore).to_contain_text("imported")
    restore.get_by_role("button", name="Restore", exact=True).click()
    expect(restore).to_have_count(0)
    assert proxy.admin("GET", "/models").json["models"] == before


def test_a_file_that_cannot_be_taken_is_refused_in_words(settings: Page, expecting: Callable[[str], None]) -> None:
    page = settings
    expecting("status of 400")
    page.goto("/admin.html#/settings?part=file")
    given = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Dear diary"}
    page.get_by_label("File to import").set_input_files([given])
    expect(page.get_by_role("alertdialog")).to_contain_text("not a JSON document")
    page.keyboard.press("Escape")
    wrong = {"providers": [{"id": "a"}, {"id": "b", "baseUrl": 7}]}
    page.get_by_label("File to import").set_input_files([as_file(wrong, "wrong.json")])
    expect(page.get_by_role("alertdialog", name="wrong.json cannot be imported")).to_contain_text("providers")


def test_what_is_typed_while_a_slow_server_saves_stays(page: Page, proxy: Proxy) -> None:
    held: list[Route] = []
    page.route(
        "**/api/admin/settings",
        lambda route: held.append(route) if route.request.method == "PUT" else route.continue_(),
    )
    page.goto("/admin.html#/settings")
    first, second = (page.get_by_label(name, exact=True) for name in ("REQUEST_TIMEOUT_S", "AUDIO_TIMEOUT_S"))
    first.fill("77")
    with page.expect_request(lambda request: request.method == "PUT"):
        page.get_by_role("button", name="Save changes").click()
    second.fill("555")
    held[0].continue_()
    expect(page.get_by_role("region", name="Notes")).to_contain_text("saved")
    expect(page.locator(".setting").filter(has=first)).to_contain_text("set here")
    expect(second).to_have_value("555")
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    second.fill("")
    expect(page.get_by_text("Not saved yet")).to_be_hidden()
    proxy.admin("PUT", "/settings", {"REQUEST_TIMEOUT_S": None})
