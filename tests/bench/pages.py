"""Measure the pages: `python tests/bench/pages.py`. Prints bytes, requests and times of every page in a real browser.

Each page is opened in a fresh browser window (cold), then once more in the same one (warm), against a server on this
machine with a few records. Needs Playwright and Chromium, as tests/browser does. The exit status is 1 when a page is too
heavy; times are never a reason.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import build
from support.proxy import PASSWORD, Proxy

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MOST_BYTES = 150_000
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
ADMIN = ("overview", "start", "providers", "models", "keys", "users", "playground", "docs", "settings")
PAGES = (
    "/",
    *(f"/admin.html#/{screen}" for screen in ADMIN),
    "/user.html",
    "/user.html#/playground",
    "/user.html#/docs",
    "/chat.html",
)

# Interactive: the heading is there, nothing loads any more, and a frame has been drawn since, so that input is answered.
WATCH = """
globalThis.interactive = new Promise((done) => {
  const look = () => {
    const isThere = document.readyState === "complete" && document.querySelector("h1");
    if (!isThere || document.querySelector(".loading, main [aria-busy=true]")) requestAnimationFrame(look);
    else requestAnimationFrame(() => setTimeout(() => done(performance.now())));
  };
  requestAnimationFrame(look);
});
"""
READ = """
async () => {
  const interactiveMs = await interactive;
  const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
  const parts = all.map((each) => ({ path: new URL(each.name).pathname, bytes: each.decodedBodySize, sent: each.transferSize }));
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return { interactiveMs, paintMs: paint?.startTime ?? NaN, parts };
}
"""


@dataclass(frozen=True, slots=True)
class Visit:
    """One opening of a page. `bytes` are those of its files, uncompressed and each once; data of the API is not counted."""

    bytes: int
    sent_bytes: int
    requests: int
    paint_ms: float
    interactive_ms: float


def visited(page: Page) -> Visit:
    told: dict[str, Any] = page.evaluate(READ)
    parts = told["parts"]
    files = {
        each["path"]: each["bytes"] for each in parts if not each["path"].startswith(("/api/", "/v1/", "/openapi"))
    }
    sent = sum(each["sent"] for each in parts)
    return Visit(sum(files.values()), sent, len(parts), told["paintMs"], told["interactiveMs"])


def measure(browser: Browser, base_url: str, path: str, state: Any, rounds: int) -> tuple[Visit, Visit]:
    """The medians of opening a page cold and warm."""
    cold, warm = [], []
    for _ in range(rounds):
        context = browser.new_context(base_url=base_url, storage_state=None if path == "/" else state)
        for visits in (cold, warm):
            page = context.new_page()
            page.add_init_script(WATCH)
            page.goto(path)
            visits.append(visited(page))
            page.close()
        context.close()
    return median(cold), median(warm)


def median(visits: list[Visit]) -> Visit:
    def of(name: str) -> float:
        return statistics.median(getattr(each, name) for each in visits)

    return Visit(int(of("bytes")), int(of("sent_bytes")), int(of("requests")), of("paint_ms"), of("interactive_ms"))


def signed_in(proxy: Proxy) -> Any:
    token = proxy.post("/api/admin/login", {"username": "admin", "password": PASSWORD}).json["token"]
    return {"cookies": [{"name": "ipin_session", "value": token, "domain": "127.0.0.1", "path": "/"}], "origins": []}


def report(found: dict[str, tuple[Visit, Visit]]) -> bool:
    """Prints the table; whether every page is light enough."""
    print(
        f"{'page':28} {'bytes':>8} {'requests':>9} {'paint ms':>9} {'ready ms':>9} | {'warm: sent':>10} {'ready ms':>9}"
    )
    for path, (cold, warm) in found.items():
        mark = "  too heavy" if cold.bytes > MOST_BYTES else ""
        print(
            f"{path:28} {cold.bytes:8} {cold.requests:9} {cold.paint_ms:9.0f} {cold.interactive_ms:9.0f} |"
            f" {warm.sent_bytes:10} {warm.interactive_ms:9.0f}{mark}"
        )
    return all(cold.bytes <= MOST_BYTES for cold, _ in found.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3, help="how often each page is opened; medians are shown (3)")
    args = parser.parse_args()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sys.exit("This needs Playwright: make browser, then .venv/bin/python tests/bench/pages.py")
    models = [build.model(f"model-{number}") for number in range(40)]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        providers = [build.provider("http://127.0.0.1:9/v1")]
        proxy = Proxy.start(Path(folder), providers=providers, models=models)
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            state = signed_in(proxy)
            measure(browser, proxy.base_url, "/", state, 1)  # the browser's own beginnings
            found = {path: measure(browser, proxy.base_url, path, state, args.rounds) for path in PAGES}
            browser.close()
        finally:
            proxy.stop()
    return 0 if report(found) else 1


if __name__ == "__main__":
    sys.exit(main())
