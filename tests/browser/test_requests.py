"""The request log and the screen of one call: found by filter, search and order, kept up to date, taken away as a file."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from support import build
from support.book import DAY_MS, entry, prefill, refused
from support.proxy import KEY, PASSWORD, Proxy
from support.upstream import Upstream

from ipin_proxy.call import Attempt

from .window import HOSTILE, NARROW, WITHOUT_STORAGE, sticking_out

sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: make browser")
expect = sync_api.expect
if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

MANY = 120
FAILED = "req_failed"
PRICED = "req_priced"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream, chromium: Any) -> Iterator[Proxy]:
    """A server with 120 calls of every day alike, and some that are not like the others."""
    folder = tmp_path_factory.mktemp("requests")
    now = int(time.time() * 1000) - 60_000
    calls = [entry(number, time_ms=now - number * 60_000, key_id="key-1", cost=number) for number in range(MANY)]
    attempts = (Attempt("acme", 503, 210, "upstream_error"), Attempt("beta", 0, 5000, "upstream_unreachable"))
    broken = {"status": 502, "error_origin": "upstream", "error_code": "upstream_unreachable", "cost": None}
    told = f"The provider could not be reached. {HOSTILE}"
    calls += [
        refused(900, time_ms=now - DAY_MS, request_id="req_refused", key_name="Other key", key_id="gone"),
        entry(901, time_ms=now - DAY_MS, request_id=FAILED, error_message=told, attempts=attempts, **broken),
        entry(
            902,
            time_ms=now - 2 * DAY_MS,
            request_id=PRICED,
            model="alias-model",
            served_model="gpt-public",
            upstream_model="gpt-4o-2024",
            stream=True,
            input_tokens=1000,
            cached_tokens=400,
            output_tokens=50,
            cost=2_500_000,
            latency_ms=900,
            first_chunk_ms=330,
            attempts=(Attempt("beta", 529, 100, "overloaded_error"), Attempt("acme", 200, 200)),
        ),
    ]
    prefill(folder, calls)
    price = {"input": 2.5, "output": 10, "cachedInput": 1.25}
    providers = [build.provider(shared_upstream.base_url, name="Acme AI")]
    keys = [build.key(KEY, name="Class 7b")]
    proxy = Proxy.start(folder, providers=providers, models=[build.model("gpt-public", price=price)], keys=keys)
    yield proxy
    proxy.stop()


@pytest.fixture
def log(page: Page) -> Page:
    return opened(page, "")


def opened(page: Page, query: str) -> Page:
    page.goto(f"/admin.html#/requests?{query}")
    expect(page.get_by_role("table", name="Requests")).to_be_visible()
    return page


def rows(page: Page) -> Locator:
    return page.get_by_role("table", name="Requests").locator("tbody tr")


def tally(page: Page, words: str) -> None:
    expect(page.get_by_role("status").filter(has_text=re.compile(f"^{words}$"))).to_be_visible()


def test_the_log_has_pages_and_says_how_many_calls_there_are(log: Page) -> None:
    expect(rows(log)).to_have_count(50)
    pages = log.get_by_role("navigation", name="Pages of Requests")
    expect(pages).to_contain_text("1–50 of 123")
    pages.get_by_role("button", name="Next").click()
    expect(pages).to_contain_text("51–100 of 123")
    expect(log).to_have_url(re.compile("page=2"))
    log.reload()
    expect(pages).to_contain_text("51–100 of 123")
    pages.get_by_role("button", name="Next").click()
    expect(rows(log)).to_have_count(23)
    expect(pages.get_by_role("button", name="Next")).to_be_disabled()


def test_an_address_that_asks_for_nonsense_still_shows_the_log(page: Page) -> None:
    opened(page, "page=nonsense&sort=nonsense&down=1")
    expect(rows(page)).to_have_count(50)
    page.goto("/admin.html#/requests?page=99")
    page.get_by_role("button", name="To the first page").click()
    expect(rows(page)).to_have_count(50)


def test_filters_are_in_the_address_and_can_be_cleared(log: Page) -> None:
    log.get_by_label("Status", exact=True).select_option("5xx")
    expect(rows(log)).to_have_count(1)
    expect(log).to_have_url(re.compile("status=5xx"))
    expect(rows(log)).to_contain_text("502")
    log.get_by_label("Error of").select_option("proxy")
    expect(log.get_by_role("heading", name="No call matches")).to_be_visible()
    log.reload()
    expect(log.get_by_label("Error of")).to_have_value("proxy")
    log.get_by_role("button", name="Clear the filters").click()
    tally(log, "123 calls")
    expect(log).to_have_url(re.compile("#/requests$"))


def test_a_filter_for_what_is_gone_still_says_what_it_is(page: Page) -> None:
    opened(page, "key=gone")
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_label("API key", exact=True)).to_have_value("gone")


def test_times_narrow_the_log(log: Page) -> None:
    log.get_by_label("Time", exact=True).select_option("24h")
    tally(log, "120 calls")
    log.get_by_label("Time", exact=True).select_option("")
    tally(log, "123 calls")
    log.get_by_label("Until").fill("2020-01-01T00:00")
    expect(log.get_by_role("heading", name="No call matches")).to_be_visible()
    expect(log).to_have_url(re.compile("to=20"))


def test_a_year_that_is_still_typed_is_not_asked_for(visit: Callable[..., Page], session: Any) -> None:
    page = visit(session)
    page.goto("/admin.html#/requests")
    tally(page, "123 calls")
    since = page.get_by_label("From", exact=True)
    for value in ("0002-01-01T10:00", "20261-01-01T10:00"):
        since.evaluate("(input, value) => (input.value = value)", value)
        since.dispatch_event("change")
    page.get_by_label("Until").fill("2020-01-01T00:00")
    expect(page.get_by_role("heading", name="No call matches")).to_be_visible()
    assert "from=" not in page.url


def test_a_search_finds_ids_names_and_errors(log: Page) -> None:
    search = log.get_by_role("searchbox", name="Search the log")
    for text, found in (("could not be reached", FAILED), ("Other key", "req_refused"), (PRICED, PRICED)):
        search.fill(text)
        tally(log, "1 call")
        expect(rows(log).get_by_role("link")).to_have_attribute("href", f"#/requests/{found}")
    search.fill("nothing has this in it")
    expect(log.get_by_role("heading", name="No call matches")).to_be_visible()
    log.get_by_role("button", name="Show all").click()
    tally(log, "123 calls")
    expect(search).to_have_value("")


def test_a_head_of_a_column_sorts_the_whole_log(log: Page) -> None:
    log.get_by_role("button", name="Cost").click()
    head = log.get_by_role("columnheader", name="Cost")
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(rows(log).first).to_contain_text("$0.0025")
    expect(log).to_have_url(re.compile("sort=costUsd&down=1"))
    expect(log.get_by_role("switch", name="Live")).to_be_disabled()
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    log.get_by_role("button", name="Time").click()
    expect(log).to_have_url(re.compile("#/requests$"))


def test_columns_are_chosen_and_remembered(log: Page) -> None:
    log.get_by_role("button", name="Columns").click()
    form = log.get_by_role("dialog", name="Columns")
    form.get_by_label("Request id").check()
    form.get_by_label("Cost", exact=True).uncheck()
    form.get_by_role("button", name="Done").click()
    log.reload()
    expect(log.get_by_role("columnheader", name="Request id")).to_be_visible()
    expect(log.get_by_role("columnheader", name="Cost")).to_have_count(0)
    log.get_by_role("button", name="Columns").click()
    form.get_by_role("button", name="The usual ones").click()
    expect(log.get_by_role("columnheader", name="Cost")).to_have_count(1)


def test_columns_can_be_chosen_where_nothing_can_be_kept(visit: Callable[..., Page], session: Any) -> None:
    page = visit(session)
    page.add_init_script(WITHOUT_STORAGE)
    page.goto("/admin.html#/requests")
    page.get_by_role("button", name="Columns").click()
    page.get_by_role("dialog").get_by_label("Dialect").check()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_role("columnheader", name="Dialect")).to_be_visible()


def test_every_kind_of_use_has_a_column_and_what_is_in_no_order_is_not_sorted_by(page: Page) -> None:
    opened(page, "sort=pages&down=1")
    expect(page.get_by_role("columnheader", name="Time")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Columns").click()
    form = page.get_by_role("dialog", name="Columns")
    form.get_by_label("Tokens written to the cache").check()
    for name in ("Audio tokens in", "Audio tokens out", "Pages", "Characters"):
        form.get_by_label(name).check()
        head = page.get_by_role("columnheader", name=name, include_hidden=True)  # the dialog is before it
        expect(head).to_have_count(1)
        expect(head.get_by_role("button", include_hidden=True)).to_have_count(0)
    form.get_by_role("button", name="Done").click()
    page.get_by_role("button", name="Tokens written to the cache").click()
    expect(page).to_have_url(re.compile("sort=cacheWriteTokens&down=1"))
    expect(rows(page)).to_have_count(50)


def test_new_calls_come_by_themselves_until_they_are_stopped(log: Page, proxy: Proxy, upstream: Upstream) -> None:
    body = {"model": "gpt-public", "messages": [{"role": "user", "content": "Hello"}]}

    def call() -> None:
        upstream.will_answer(200, build.completion("Hi"))
        assert proxy.post("/v1/chat/completions", body, KEY).status == 200

    tally(log, "123 calls")
    with log.expect_response("**/api/admin/requests?*"):
        call()
    tally(log, "124 calls")
    expect(log.locator("tr.is-new")).to_have_count(1)
    expect(log.locator(".announcer[role=status]")).to_have_text("1 new call.")
    log.get_by_role("switch", name="Live").uncheck()
    call()
    log.get_by_role("button", name="Status").click()
    tally(log, "125 calls")


def test_who_does_not_sign_in_again_is_not_asked_by_every_look_for_new_calls(
    visit: Callable[..., Page], session: Any, expecting: Callable[[str], None]
) -> None:
    page = visit(session)
    expecting("status of 401")
    page.goto("/admin.html#/requests")
    tally(page, r"\d+ calls")
    page.context.clear_cookies()
    expect(page.get_by_role("dialog", name="Sign in again")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("switch", name="Live")).not_to_be_checked()
    expect(page.get_by_role("table", name="Requests")).to_be_visible()


def test_the_present_filter_is_taken_away_as_a_file(log: Page) -> None:
    log.get_by_label("Status", exact=True).select_option("error")
    tally(log, "2 calls")
    for name, read in (("As CSV", from_csv), ("As JSON lines", from_lines)):
        log.get_by_role("button", name="Export").click()
        with log.expect_download() as coming:
            log.get_by_role("menuitem", name=name).click()
        text = coming.value.path().read_text(encoding="utf-8-sig")
        assert sorted(read(text)) == [FAILED, "req_refused"]


def test_a_file_of_the_log_is_worth_signing_in_again_for(
    visit: Callable[..., Page], session: Any, expecting: Callable[[str], None]
) -> None:
    page = visit(session)
    expecting("status of 401")
    page.goto("/admin.html#/requests?status=error")
    tally(page, "2 calls")
    page.context.clear_cookies()
    page.get_by_role("button", name="Export").click()
    page.get_by_role("menuitem", name="As CSV").click()
    again = page.get_by_role("dialog", name="Sign in again")
    again.get_by_label("Password", exact=True).fill(PASSWORD)
    with page.expect_download() as coming:
        page.keyboard.press("Enter")
    assert sorted(from_csv(coming.value.path().read_text(encoding="utf-8-sig"))) == [FAILED, "req_refused"]


def from_csv(text: str) -> list[str]:
    return [row["requestId"] for row in csv.DictReader(io.StringIO(text))]


def from_lines(text: str) -> list[str]:
    return [json.loads(line)["requestId"] for line in text.splitlines()]


def test_a_log_that_cannot_be_read_says_so_and_tries_again(page: Page, expecting: Callable[[str], None]) -> None:
    expecting("status of 503")
    broken = {"error": {"message": "The ledger cannot be read: torn.", "code": "ledger_unreadable", "param": None}}
    page.route("**/api/admin/requests?*", lambda route: route.fulfill(status=503, json=broken))
    page.goto("/admin.html#/requests")
    expect(page.get_by_role("heading", name="This could not be loaded")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("torn")
    page.unroute_all()
    page.get_by_role("button", name="Try again").click()
    expect(rows(page)).to_have_count(50)


def test_the_log_can_be_used_on_a_telephone(page: Page) -> None:
    page.set_viewport_size(NARROW)
    opened(page, "")
    assert sticking_out(page) == []
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Status", exact=True).select_option("error")
    tally(page, "2 calls")
    rows(page).get_by_role("link").first.click()
    expect(page.get_by_role("heading", level=1, name="Request")).to_be_visible()
    assert sticking_out(page) == []


# One call.


def test_a_call_that_failed_tells_every_attempt_and_the_whole_error(page: Page) -> None:
    page.goto(f"/admin.html#/requests/{FAILED}")
    wrong = page.get_by_role("region", name="What went wrong")
    expect(wrong).to_contain_text("upstream_unreachable, an error of: provider, status 502.")
    expect(wrong).to_contain_text(HOSTILE)
    way = page.get_by_role("region", name="Way")
    expect(way).to_contain_text("acme answered 503 (upstream_error), so the next one was asked.")
    expect(way).to_contain_text("beta did not answer (upstream_unreachable), and with that the call ended.")
    attempts = page.get_by_role("list", name="Attempts in the order of time").get_by_role("listitem")
    expect(attempts.filter(has_text="503 after 210 ms")).to_be_visible()
    expect(attempts.filter(has_text="no answer after 5 s")).to_be_visible()
    expect(page.get_by_role("link", name="Requests", exact=True)).to_have_attribute("aria-current", "page")


def test_a_call_that_went_well_tells_its_way_and_its_price_line_by_line(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"/admin.html#/requests/{PRICED}")
    way = page.get_by_role("region", name="Way")
    expect(way).to_contain_text("acme was next, and answered.")
    expect(way).to_contain_text("gpt-public stood in for alias-model.")
    expect(way).to_contain_text("There the model is called gpt-4o-2024.")
    expect(page.get_by_role("region", name="Time")).to_contain_text("The answer")
    lines = page.get_by_role("table", name="Price").get_by_role("row")
    for line in (
        "Input 600 $2.5 / 1M $0.0015",
        "Cached input 400 $1.25 / 1M $0.0005",
        "Output 50 $10 / 1M $0.0005",
    ):
        expect(lines.filter(has_text=re.compile(line.replace(" ", r"\s*").replace("$", r"\$")))).to_be_visible()
    expect(lines.last).to_contain_text("$0.0025")
    page.get_by_role("button", name="Copy Request id").click()
    assert page.evaluate("navigator.clipboard.readText()") == PRICED


PASSED_OVER = [
    {"provider": "acme", "status": 0, "ms": 0, "error": "cooling_down"},
    {"provider": "beta", "status": 200, "ms": 118, "error": ""},
]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"servedModel": "gpt"}, "acme was asked first, and answered."),
        ({"servedModel": "spare"}, "spare answered in the place of gpt: by a map of names, or since whoever"),
        ({"servedModel": "small", "alias": "cheap"}, "small answered behind that."),
        ({"attempts": PASSED_OVER}, "acme had failed a moment before, so it was not its turn."),
    ],
)
def test_what_nobody_wrote_down_of_a_way_is_not_made_up(page: Page, told: dict[str, str], words: str) -> None:
    """A model behind an alias stands in for none, and who was not asked is in no line of time."""

    def another(route: Any) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, json={**reply.json(), **told})

    page.route("**/api/admin/requests/req_000001", another)
    page.goto("/admin.html#/requests/req_000001")
    way = page.get_by_role("region", name="Way")
    expect(way).to_contain_text(words)
    expect(way).not_to_contain_text("first choice")
    expect(way).not_to_contain_text("stood in")
    lines = page.get_by_role("list", name="Attempts in the order of time").get_by_role("listitem")
    expect(lines.filter(has_text="200 after 118 ms")).to_be_visible()
    expect(lines.filter(has_text="no answer")).to_have_count(0)


def test_a_call_that_was_refused_asked_nobody(page: Page) -> None:
    page.goto("/admin.html#/requests/req_refused")
    expect(page.get_by_role("region", name="Way")).to_contain_text("refused here, before any provider was asked")
    expect(page.get_by_role("main")).to_contain_text("No provider was asked, so nothing was used.")


def test_a_call_there_is_not_says_why_it_may_be_missing(page: Page, expecting: Callable[[str], None]) -> None:
    expecting("status of 404")
    page.goto("/admin.html#/requests/req_never")
    expect(page.get_by_role("main")).to_contain_text("no call with the request id 'req_never'")
    page.get_by_role("link", name="All requests").click()
    expect(rows(page)).to_have_count(50)
