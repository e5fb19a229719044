"""A browser window that is watched: what went wrong in it, what leaves it, how wide it is, what axe says of it.

Everything a page must never do is a complaint: an error on the console, an exception nobody caught, a breach of the
Content-Security-Policy, a request to another host, a document without the policy, a dialog of the browser's own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from support.proxy import PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import (
        Browser,
        ConsoleMessage,
        Dialog,
        Locator,
        Page,
        Request,
        Response,
        ViewportSize,
        WebError,
    )

AXE = Path(__file__).with_name("node_modules") / "axe-core" / "axe.min.js"
POLICY = ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'")
PATIENCE_MS = 10_000
WIDE: ViewportSize = {"width": 1280, "height": 800}
NARROW: ViewportSize = {"width": 375, "height": 667}
SERIOUS = ("serious", "critical")

# The names a hostile or careless person gives to things. Shown as text they are harmless.
HOSTILE = "<img src=x onerror=alert(1)>\"'&amp;"

REPORT_BREACHES = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`breach of ${event.effectiveDirective} by ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""

RUN_AXE = """
async (rules) => {
  const only = rules.length ? { runOnly: { type: "rule", values: rules } } : {};
  const { violations } = await axe.run(document, { resultTypes: ["violations"], ...only });
  return violations.map(({ id, impact, nodes }) => [impact, id, nodes.map((each) => `${each.target} ${each.html}`)]);
}
"""

# As a browser that was told to keep nothing.
WITHOUT_STORAGE = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });
"""

# Pastes or drops a file on an element: what is done ("paste" or "drop"), the bytes in base64, the name, the type.
HAND_OVER = """
(target, [type, data, name, media]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const given = new DataTransfer();
  given.items.add(new File([bytes], name, { type: media ?? "image/png" }));
  const options = { bubbles: true, cancelable: true };
  if (type === "paste") target.dispatchEvent(new ClipboardEvent("paste", { ...options, clipboardData: given }));
  else for (const each of ["dragover", "drop"]) target.dispatchEvent(new DragEvent(each, { ...options, dataTransfer: given }));
}
"""

# What sticks out to the right, the innermost first; what scrolls by itself or is hidden may hold as much as it likes.
STICKING_OUT = """
() => {
  const page = document.scrollingElement;
  if (page.scrollWidth <= innerWidth) return [];
  const wide = [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > innerWidth + 1);
  const inner = wide.filter((each) => !wide.some((other) => other !== each && each.contains(other)));
  return [`${page.scrollWidth} px in a window of ${innerWidth}`, ...inner.map((each) => each.outerHTML.slice(0, 160))];
}
"""


class Watch:
    """A new browser context on the server at `origin`, all of whose pages are watched. `state` is what it remembers of
    an earlier one, `options` are those of Playwright's contexts."""

    def __init__(self, browser: Browser, origin: str, state: Any = None, **options: Any) -> None:
        given = {"base_url": origin, "reduced_motion": "reduce", "locale": "en-GB", **options}
        context = browser.new_context(storage_state=state, **given)
        context.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.origin = origin
        self._expected: list[re.Pattern[str]] = []
        context.add_init_script(REPORT_BREACHES)
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("response", self._response)
        context.on("dialog", self._dialog)
        self.context = context

    def expect(self, pattern: str) -> None:
        """A complaint that this test brings about on purpose, such as the status of a refused request."""
        self._expected.append(re.compile(pattern))

    def forget(self) -> None:
        """Begin anew: the window is used by another test."""
        self.complaints.clear()
        self._expected.clear()

    def settle(self) -> list[str]:
        """What there is to complain about in the end."""
        for page in self.context.pages:
            page.evaluate("0")  # whatever the browser has told before this has been heard after it
        return [each for each in self.complaints if not any(one.search(each) for one in self._expected)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text} ({message.location['url']})")

    def _error(self, error: WebError) -> None:
        self.complaints.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        where = urlsplit(request.url)
        if where.scheme not in ("data", "blob") and f"{where.scheme}://{where.netloc}" != self.origin:
            self.complaints.append(f"a request to another host: {request.url}")

    def _response(self, response: Response) -> None:
        headers = response.headers
        if response.request.resource_type != "document" or not headers.get("content-type", "").startswith("text/html"):
            return
        policy = headers.get("content-security-policy", "")
        missing = [each for each in POLICY if each not in policy]
        if missing or "unsafe" in policy:
            self.complaints.append(f"the policy of {response.url} is {policy!r}")

    def _dialog(self, dialog: Dialog) -> None:
        """Nobody here calls alert(); the question before an unsaved page is left is answered with yes."""
        if dialog.type != "beforeunload":
            self.complaints.append(f"the browser's own {dialog.type}: {dialog.message}")
        dialog.accept()


def sign_in(page: Page, username: str = "admin", password: str = PASSWORD) -> None:
    """Through the first page, as a person does."""
    page.goto("/")
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def result(page: Page) -> Locator:
    """Where a panel of the playground shows what came."""
    return page.get_by_role("region", name="Result").filter(visible=True)


def axe(page: Page, *rules: str) -> list[str]:
    """The serious and critical findings of axe-core, all rules or these; one line for each place."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    found: list[Any] = page.evaluate(RUN_AXE, list(rules))
    return [f"{rule}: {place}"[:300] for impact, rule, places in found if impact in SERIOUS for place in places]


def sticking_out(page: Page) -> list[str]:
    """What makes the page scroll sideways; nothing, if it does not."""
    return list(page.evaluate(STICKING_OUT))


def focused(page: Page) -> str:
    """The name of what has the focus: its aria-label, its label, or its text."""
    return str(
        page.evaluate(
            "() => { const at = document.activeElement; return at.getAttribute('aria-label')"
            " ?? at.labels?.[0]?.textContent ?? at.textContent; }"
        )
    ).strip()
