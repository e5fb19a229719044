"""How the pages behave: themes, the keyboard, addresses that lead somewhere, and a server that is slow or gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.proxy import PASSWORD, Proxy

from .window import axe, focused

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

Visit = Callable[..., "Page"]

# What every frame shows, from the first that is painted.
WATCH_FRAMES = """
const seen = [];
globalThis.frames = new Promise((done) => {
  const look = () => {
    const page = document.documentElement;
    if (document.body) seen.push([page.dataset.theme ?? "", getComputedStyle(page).backgroundColor]);
    if (seen.length < 10) requestAnimationFrame(look);
    else done(seen);
  };
  requestAnimationFrame(look);
});
"""
# What moved by itself, as browsers measure it: 0.1 is where people begin to notice.
MOVED = """
() => new Promise((done) => {
  const watch = new PerformanceObserver((list) => done(list.getEntries().map(({ value, sources }) =>
    ({ value, what: sources.map(({ node }) => node?.nodeName + "." + node?.className) }))));
  watch.observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => done([])));
})
"""
# What lies over an element.
COVERING = """
(element) => {
  const { left, top, width, height } = element.getBoundingClientRect();
  const found = [[4, 4], [width - 4, height - 4]].map(([x, y]) => document.elementFromPoint(left + x, top + y));
  return found.filter((each) => !each || !(element.contains(each) || each.contains(element))).map((each) => each?.outerHTML);
}
"""
# Colours do not change at once.
SETTLED = "Promise.all(document.getAnimations().map((each) => each.finished))"
OUTLINE = """
() => {
  const style = getComputedStyle(document.activeElement);
  return { name: document.activeElement.outerHTML.slice(0, 120), isShown: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 };
}
"""


# Themes.


@pytest.mark.parametrize("path", ["/", "/admin.html", "/chat.html"])
def test_the_chosen_theme_is_there_from_the_first_frame_on(visit: Visit, session: Any, path: str) -> None:
    page = visit(None if path == "/" else session, color_scheme="light")
    page.add_init_script("localStorage.setItem('ipin-theme', 'dark')")
    page.add_init_script(WATCH_FRAMES)
    page.goto(path)
    seen = page.evaluate("frames")
    assert {theme for theme, _ in seen} == {"dark"}
    assert len({color for _, color in seen}) == 1


def test_a_theme_is_chosen_kept_and_followed_by_other_windows(visit: Visit, session: Any) -> None:
    page = visit(session, color_scheme="light")
    page.goto("/admin.html#/docs")
    other = page.context.new_page()
    other.goto("/user.html")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    ground = page.locator("html")
    light = page.evaluate(background)
    page.get_by_role("radio", name="Dark").check(force=True)
    expect(ground).not_to_have_css("background-color", light)
    dark = page.evaluate(background)
    expect(other.locator("html")).to_have_css("background-color", dark)
    page.reload()
    expect(page.get_by_role("radio", name="Dark")).to_be_checked()
    assert page.evaluate(background) == dark
    page.get_by_role("radio", name="System").check(force=True)
    expect(ground).to_have_css("background-color", light)
    page.emulate_media(color_scheme="dark")
    expect(ground).to_have_css("background-color", dark)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_is_pointed_at_can_still_be_read(page: Page, theme: Any) -> None:
    page.emulate_media(color_scheme=theme)
    page.goto("/admin.html#/models")
    page.get_by_role("row", name=re.compile("Retired")).get_by_role("button", name="More for").click()
    pointed = [
        page.get_by_role("menuitem", name="Delete"),
        page.get_by_role("button", name="Add from a provider"),
        page.get_by_role("button", name="Add by hand"),
        page.get_by_role("row", name=re.compile("Retired")),
        page.get_by_role("link", name="Users"),
    ]
    for each in pointed:
        each.hover()
        page.evaluate(SETTLED)
        assert axe(page, "color-contrast") == [], each
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Delete").hover()
    page.evaluate(SETTLED)
    assert axe(page, "color-contrast") == []


# Nothing moves that one was about to press.


def test_what_is_ticked_does_not_move_the_rows(page: Page) -> None:
    page.goto("/admin.html#/models")
    box = page.get_by_role("checkbox", name="Tick embed-public")
    before = box.bounding_box()
    box.check()
    expect(page.get_by_role("button", name="Disable", exact=True)).to_be_visible()
    assert box.bounding_box() == before
    box.uncheck()
    expect(page.get_by_role("button", name="Disable", exact=True)).to_be_hidden()


SCREENS = [
    *(
        "overview",
        "start",
        "providers",
        "models",
        "keys",
        "users",
        "playground",
        "docs",
        "requests",
        "audit",
        "settings",
    ),
]
OTHERS = ["/", "/user.html", "/user.html#/playground", "/user.html#/docs", "/chat.html"]


@pytest.mark.parametrize("path", [*(f"/admin.html#/{each}" for each in SCREENS), *OTHERS])
def test_a_page_that_has_come_stays_where_it_is(visit: Visit, page: Page, path: str) -> None:
    window = visit() if path == "/" else page
    window.goto(path)
    expect(window.locator(".loading, main [aria-busy=true], .play-slot:empty")).to_have_count(0)
    expect(window.get_by_role("heading", level=1)).to_have_count(1)
    moved = window.evaluate(MOVED)
    assert sum(each["value"] for each in moved) < 0.05, moved


# The keyboard.


def test_the_keyboard_reaches_everything_and_the_focus_is_seen(page: Page) -> None:
    page.goto("/admin.html#/models")
    expect(page.get_by_role("table")).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    hidden, names = [], []
    for _ in range(45):
        found = page.evaluate(OUTLINE)
        names.append(focused(page))
        if not found["isShown"]:
            hidden.append(found["name"])
        page.keyboard.press("Tab")
    assert hidden == []
    for name in ("Providers", "Add by hand", "Search models", "Tick all", "More for embed-public"):
        assert name in names


def test_the_skip_link_leads_past_the_navigation(page: Page) -> None:
    page.goto("/admin.html#/models")
    expect(page.get_by_role("table")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused(page) == "Add by hand"


def test_a_dialog_keeps_the_focus_and_gives_it_back(page: Page) -> None:
    page.goto("/admin.html#/users")
    page.get_by_role("button", name="Add a user").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("User name")).to_be_focused()
    inside = "() => document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)"
    for key in ["Tab"] * 20 + ["Shift+Tab"] * 24:
        page.keyboard.press(key)
        assert page.evaluate(inside), focused(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("button", name="Add a user")).to_be_focused()


@pytest.mark.parametrize(
    ("screen", "row"), [("providers", "acme"), ("models", "embed-public"), ("keys", "key-1"), ("users", "focal")]
)
def test_the_focus_stays_with_the_row_that_was_changed(page: Page, proxy: Proxy, screen: str, row: str) -> None:
    proxy.admin("POST", "/users", {"id": "focal", "username": "focal", "password": PASSWORD})
    page.goto(f"/admin.html#/{screen}")
    line = page.locator(f'tr[data-key="{row}"]')
    more = line.get_by_role("button", name=re.compile("^More for "))
    for turn in ("Disable", "Enable"):
        more.focus()
        page.keyboard.press("Enter")
        page.keyboard.type(turn[0])
        page.keyboard.press("Enter")
        expect(line.get_by_text(f"{turn.lower()}d")).to_be_visible()
        expect(more).to_be_focused()
    undo = page.get_by_role("region", name="Notes").get_by_role("button", name="Undo").last
    undo.focus()
    page.keyboard.press("Enter")
    expect(line.get_by_text("disabled")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    proxy.admin("PUT", f"/{'apikeys' if screen == 'keys' else screen}/{row}", {"enabled": True})
    proxy.admin("DELETE", "/users/focal")


@pytest.mark.parametrize(
    ("press", "then"),
    [
        (("keys?q=nothing-like-it", "Show all"), "Tick "),
        (("requests?q=nothing-like-it", "Show all"), None),
        (("requests?status=error", "Clear the filters"), "Status"),
        (("audit?action=create", "Clear"), "Who"),
    ],
)
def test_what_is_gone_once_it_was_pressed_leaves_the_focus_to_what_came(
    page: Page, proxy: Proxy, press: tuple[str, str], then: str | None
) -> None:
    place, name = press
    page.goto(f"/admin.html#/{place}")
    button = page.get_by_role("main").get_by_role("button", name=name, exact=True)
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_count(0)
    expect(page.locator("main :focus")).to_have_count(1)
    assert then is None or focused(page).startswith(then)


def test_the_focus_stays_with_the_rows_that_were_ticked(page: Page, proxy: Proxy) -> None:
    for each in ("tick-a", "tick-b", "tick-c"):
        proxy.add_model(each)
    page.goto("/admin.html#/models")
    tick = {each: page.get_by_label(f"Tick {each}") for each in ("tick-a", "tick-b", "tick-c")}

    def press(name: str) -> None:
        tick["tick-a"].check()
        tick["tick-b"].check()
        page.get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")

    press("Untick")
    expect(tick["tick-b"]).to_be_focused()
    press("Disable")
    expect(page.locator('tr[data-key="tick-b"]').get_by_text("disabled")).to_be_visible()
    expect(tick["tick-b"]).to_be_focused()
    press("Delete…")
    page.get_by_role("alertdialog").get_by_role("button", name="Delete 2 models").click()
    expect(tick["tick-b"]).to_have_count(0)
    expect(tick["tick-c"]).to_be_focused()
    proxy.admin("DELETE", "/models/tick-c")


def test_the_focus_stays_with_the_setting_that_was_changed(page: Page) -> None:
    page.goto("/admin.html#/settings")
    setting = page.get_by_label("REQUEST_TIMEOUT_S", exact=True)
    setting.fill("77")
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="Leave").click()
    expect(setting).to_have_value("")
    expect(setting).to_be_focused()
    setting.fill("78")
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Notes")).to_contain_text("saved")
    expect(setting).to_be_focused()
    setting.fill("")
    page.keyboard.press("Enter")
    expect(page.locator(".setting").filter(has=setting)).to_contain_text("default")


def test_a_menu_is_walked_with_arrows_and_left_with_escape(page: Page) -> None:
    page.goto("/admin.html#/users")
    opener = page.get_by_role("button", name="More for admin")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Edit")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("menuitem", name="New password")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("menuitem", name="Delete")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menu")).to_have_count(0)
    expect(opener).to_be_focused()
    expect(opener).to_have_attribute("aria-expanded", "false")


def test_tabs_are_walked_with_arrows(page: Page) -> None:
    page.goto("/admin.html#/settings")
    page.get_by_role("tab", name="Values").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Export and import")).to_be_focused()
    expect(page.get_by_role("tab", name="Export and import")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("button", name="Export without secrets")).to_be_visible()


def test_a_new_screen_takes_the_focus_to_its_heading_and_says_its_name(page: Page) -> None:
    page.goto("/admin.html#/providers")
    expect(page.get_by_role("heading", level=1, name="Providers")).to_be_visible()
    page.get_by_role("link", name="Users").press("Enter")
    expect(page.get_by_role("heading", level=1, name="Users")).to_be_focused()
    expect(page).to_have_title(re.compile("Users"))
    expect(page.get_by_role("navigation", name="Screens").get_by_role("link", name="Users")).to_have_attribute(
        "aria-current", "page"
    )


def test_results_are_announced(page: Page) -> None:
    page.goto("/admin.html#/models")
    page.get_by_role("columnheader", name="Type").get_by_role("button").click()
    expect(page.get_by_role("status").filter(has_text="Sorted by Type")).to_have_count(1)


def test_what_is_not_saved_is_asked_about_by_the_browser_too(visit: Visit, session: Any) -> None:
    page = visit(session)
    asked: list[str] = []
    page.context.on("dialog", lambda dialog: asked.append(dialog.type))
    page.goto("/admin.html#/settings")
    page.get_by_label("MAX_BODY_MB").click()
    page.keyboard.type("7")
    page.reload()
    assert asked == ["beforeunload"]
    expect(page.get_by_label("MAX_BODY_MB")).to_have_value("")
    page.reload()
    assert asked == ["beforeunload"]


def test_times_and_numbers_are_the_readers(visit: Visit, session: Any, proxy: Proxy) -> None:
    evening = 4_102_430_400_000  # the last of December 2099, 20:00 in Greenwich
    proxy.add_key("sk-of-another-century-0123456789", "century", name="Century", expiresAt=evening)
    proxy.admin("PUT", "/models/org/blind", {"price": {"input": 1234.5}})
    page = visit(session, locale="de-DE", timezone_id="Asia/Tokyo")
    page.goto("/admin.html#/keys")
    expect(page.get_by_role("row", name=re.compile("Century"))).to_contain_text("until 01.01.2100")
    page.goto("/admin.html#/models")
    expect(page.get_by_role("row", name=re.compile("Blind chat"))).to_contain_text("1.234,50 $")
    proxy.admin("DELETE", "/apikeys/century")
    proxy.admin("PUT", "/models/org/blind", {"price": None})


# A narrow window.


def test_in_a_narrow_window_the_screens_are_behind_a_menu(visit: Visit, session: Any) -> None:
    page = visit(session, viewport={"width": 375, "height": 667})
    page.goto("/admin.html#/overview")
    expect(page.get_by_role("navigation", name="Screens")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", level=1, name="Models")).to_be_visible()
    expect(page.get_by_role("navigation", name="Screens")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("navigation", name="Screens")).to_be_hidden()
    expect(page.get_by_role("button", name="Menu")).to_be_focused()


def test_what_has_the_focus_is_not_hidden_behind_a_bar(visit: Visit, session: Any) -> None:
    page = visit(session, viewport={"width": 375, "height": 667})
    page.goto("/admin.html#/models")
    page.get_by_role("checkbox", name="Tick org/blind").check()
    button = page.get_by_role("button", name="More for rerank-public")
    button.evaluate("(button) => scrollBy(0, button.getBoundingClientRect().bottom - innerHeight + 40)")
    assert button.evaluate(COVERING) != []
    button.focus()
    assert button.evaluate(COVERING) == []


def test_in_a_narrow_window_the_chosen_tab_is_seen(visit: Visit, session: Any) -> None:
    page = visit(session, viewport={"width": 375, "height": 667})
    page.goto("/admin.html#/playground?panel=images")
    expect(page.get_by_role("tab", name="Images")).to_be_in_viewport(ratio=1)
    page.goto("/admin.html#/playground?panel=chat")
    expect(page.get_by_role("tab", name="Chat")).to_be_in_viewport(ratio=1)


# Addresses.


def test_an_address_opens_what_it_names(page: Page) -> None:
    page.goto("/admin.html#/settings?part=backups")
    expect(page.get_by_role("tab", name="Backups")).to_have_attribute("aria-selected", "true")
    page.goto("/admin.html#/keys?new=1")
    expect(page.get_by_role("dialog", name="Create an API key")).to_be_visible()
    page.keyboard.press("Escape")
    page.goto("/admin.html#/models?edit=org%2Fblind")
    expect(page.get_by_role("dialog").get_by_label("Id", exact=True)).to_have_value("org/blind")
    page.keyboard.press("Escape")
    page.goto("/admin.html#/no-such-screen")
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()


# A server that is gone, or slow.


def test_a_dead_server_is_said_so_and_tried_again(visit: Visit, session: Any, expecting: Callable[[str], None]) -> None:
    page = visit(session)
    expecting("ERR_INTERNET_DISCONNECTED")
    page.goto("/admin.html#/models")
    expect(page.get_by_role("table", name="Models")).to_be_visible()
    page.get_by_role("link", name="API keys").click()
    expect(page.get_by_role("table", name="API keys")).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="No answer from the server")).to_be_visible()
    expect(page.get_by_text("The server does not answer.").first).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("row", name=re.compile("embed-public"))).to_be_visible()


def test_a_server_that_is_gone_again_at_once_is_still_looked_for(
    visit: Visit, session: Any, expecting: Callable[[str], None]
) -> None:
    page = visit(session)
    expecting("ERR_INTERNET_DISCONNECTED")
    page.clock.install()
    page.goto("/admin.html#/models")
    expect(page.get_by_role("table", name="Models")).to_be_visible()
    page.get_by_role("link", name="API keys").click()
    expect(page.get_by_role("table", name="API keys")).to_be_visible()
    page.context.set_offline(True)
    with page.expect_event("requestfailed"):
        page.get_by_role("link", name="Models").click()
    page.context.set_offline(False)
    expect(page.get_by_text("The server is back.").first).to_be_visible()
    expect(page.get_by_role("table", name="Models")).to_be_visible()

    page.context.set_offline(True)
    page.get_by_role("link", name="API keys").click()
    expect(page.get_by_role("heading", name="No answer from the server")).to_be_visible()
    with page.expect_event("requestfailed"):
        page.clock.fast_forward(2_100)  # the first look
    page.clock.fast_forward(1_000)  # by now it would have been enough of saying that the server is back
    expect(page.get_by_role("button", name="Try now")).to_be_visible()
    page.context.set_offline(False)
    page.clock.fast_forward(10_000)
    expect(page.get_by_role("table", name="API keys")).to_be_visible()


def test_a_screen_that_could_not_be_fetched_comes_by_itself(
    visit: Visit, session: Any, expecting: Callable[[str], None]
) -> None:
    page = visit(session)
    expecting("ERR_INTERNET_DISCONNECTED|Failed to fetch dynamically imported module")
    page.goto("/admin.html#/models")
    expect(page.get_by_role("table", name="Models")).to_be_visible()
    page.context.set_offline(True)
    page.get_by_role("link", name="Users").click()
    expect(page.get_by_text("A part of this page could not be fetched.")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("The server does not answer.").first).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_role("table", name="Users")).to_be_visible()


def test_an_error_of_the_server_is_shown_with_a_way_to_try_again(page: Page, expecting: Callable[[str], None]) -> None:
    expecting("status of 503")
    answers = iter([503])

    def answer(route: Route) -> None:
        if next(answers, 0):
            route.fulfill(status=503, body="<html>down for a moment</html>", headers={"content-type": "text/html"})
        else:
            route.continue_()

    page.route("**/api/admin/users", answer)
    page.goto("/admin.html#/users")
    expect(page.get_by_role("heading", name="This could not be loaded")).to_be_visible()
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("row", name=re.compile("admin"))).to_be_visible()


def test_a_slow_server_is_said_to_be_slow(visit: Visit, session: Any) -> None:
    page = visit(session)
    held: list[Route] = []
    page.clock.install()
    page.route("**/api/admin/users", lambda route: held.append(route))
    page.goto("/admin.html#/users")
    expect(page.get_by_role("main").get_by_text("Loading users")).to_be_attached()
    page.clock.fast_forward(5_000)
    expect(page.get_by_text("taking longer than usual")).to_be_visible()
    held[0].continue_()
    expect(page.get_by_role("row", name=re.compile("admin"))).to_be_visible()
    expect(page.get_by_text("taking longer than usual")).to_be_hidden()


def test_a_long_name_pushes_no_other_column_out_of_sight(page: Page, proxy: Proxy) -> None:
    long = "W" * 200
    proxy.add_provider("http://127.0.0.1:9/v1", "wordy", name=long)
    proxy.add_model("of-wordy", "wordy")
    assert proxy.admin("POST", "/aliases", {"id": "wordy-alias", "name": "Wordy", "target": "wordy"}).status == 201
    proxy.add_key("sk-wordy-0123456789abcdef", "wordy-key", name=long)
    user = {"id": "wordy-user", "username": "wordy", "password": PASSWORD, "apiKeyId": "wordy-key"}
    assert proxy.admin("POST", "/users", user).status == 201
    for screen in ("models", "aliases", "users"):
        page.goto(f"/admin.html#/{screen}")
        expect(page.get_by_role("row").filter(has_text=long)).to_be_visible()
        beyond = page.locator(".table-frame").evaluate("(frame) => frame.scrollWidth - frame.clientWidth")
        assert (screen, beyond) == (screen, 0)
    for path in ("/users/wordy-user", "/apikeys/wordy-key", "/aliases/wordy-alias", "/providers/wordy"):
        assert proxy.admin("DELETE", path).status == 200


@pytest.mark.parametrize(
    ("screen", "record", "field", "member"),
    [
        ("keys", {"id": "shared", "name": "Shared", "key": "sk-shared-by-two-0123456789"}, "Name", "name"),
        ("users", {"id": "shared", "username": "shared", "password": PASSWORD}, "User name", "username"),
        ("models", build.model("shared", name="Shared"), "Display name", "name"),
        ("providers", build.provider("http://127.0.0.1:9/v1", "shared", name="Shared"), "Name", "name"),
        ("aliases", {"id": "shared", "name": "Shared", "target": build.PUBLIC_MODEL}, "Display name", "name"),
    ],
)
def test_what_was_changed_elsewhere_meanwhile_stays(
    page: Page, proxy: Proxy, screen: str, record: build.Json, field: str, member: str
) -> None:
    path = {"keys": "/apikeys"}.get(screen, f"/{screen}")
    assert proxy.admin("POST", path, record).status == 201
    page.goto(f"/admin.html#/{screen}")
    page.get_by_role("rowheader", name=record.get("name", "shared")).get_by_role("button").click()
    form = page.get_by_role("dialog")
    form.get_by_label(re.compile(f"^{field}( optional)?$")).fill("Renamed")
    assert proxy.admin("PUT", f"{path}/shared", {"enabled": False}).status == 200  # in another window
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()
    stored = proxy.admin("GET", f"{path}/shared").json
    assert (stored[member], stored["enabled"]) == ("Renamed", False)
    proxy.admin("DELETE", f"{path}/shared")


def test_saving_twice_by_a_double_click_saves_once(page: Page, proxy: Proxy) -> None:
    page.goto("/admin.html#/keys")
    page.get_by_role("button", name="Create an API key").click()
    page.get_by_role("dialog").get_by_label("Name", exact=True).fill("Only one")
    page.get_by_role("button", name="Create key").dblclick()
    expect(page.get_by_role("textbox", name="API key")).to_be_visible()
    made = [each for each in proxy.admin("GET", "/apikeys").json["apiKeys"] if each["name"] == "Only one"]
    assert len(made) == 1
