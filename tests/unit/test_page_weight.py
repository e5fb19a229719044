"""What a page weighs when it is opened, uncompressed: with its style, its icons and its scripts.

A page is what an address opens. The administration and people's own page load their screens one at a time, so a screen is
weighed together with the page around it; and since a part that is loaded on demand is often demanded at once, the heaviest
of those is weighed with it too.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "static"
MOST_BYTES = 150_000

EAGER = re.compile(r"""^(?:import|export)\s(?:[*{\w][^;"']*?\sfrom\s)?["'](\.[^"']+)["'];""", re.MULTILINE)
LAZY = re.compile(r"""\bimport\(["'](\.[^"']+)["']\)""")
COMMENT = re.compile(r"^\s*(?://|/?\*).*$", re.MULTILINE)
SHEET = re.compile(r"""\bhref: ["']/([^"']+\.css)["']""")
LOADED = re.compile(r"""<(?:script|link)\b[^>]*?(?:src|href)=["']/([^"'#]+)["']""")


def named(pattern: re.Pattern[str], script: Path) -> set[Path]:
    """The scripts that one imports in this way; a stylesheet that it adds to the page comes with it."""
    if script.suffix != ".js":
        return set()
    code = COMMENT.sub("", script.read_text(encoding="utf-8"))
    found = {(script.parent / each).resolve() for each in pattern.findall(code)}
    return found | {STATIC / each for each in SHEET.findall(code)} if pattern is EAGER else found


def reached(start: set[Path], *patterns: re.Pattern[str]) -> set[Path]:
    """These scripts and all they import, and so on."""
    found: set[Path] = set()
    waiting = list(start)
    while waiting:
        script = waiting.pop()
        if script not in found and script.is_file():
            found.add(script)
            waiting += [each for pattern in patterns for each in named(pattern, script)]
    return found


def around(page: str) -> tuple[set[Path], Path]:
    """What every visit to a page loads, and its main script."""
    html = STATIC / page
    loaded = {STATIC / each.replace("favicon.ico", "favicon.svg") for each in LOADED.findall(html.read_text())}
    (main,) = (each for each in loaded if (STATIC / "js") in each.parents)
    return {html, STATIC / "icons.svg", *loaded, *reached({main}, EAGER)}, main


def opened(base: set[Path], script: Path) -> set[Path]:
    """What is loaded once `script` is there, with the heaviest part that it loads on demand."""
    eager = base | reached({script}, EAGER)
    parts = [
        reached({part}, EAGER) - eager for each in eager for part in lazy(each) if each not in base or each == script
    ]
    return eager | max(parts, key=weight, default=set())


def screens(page: str) -> dict[str, set[Path]]:
    """The screens of a page, each with what opening it loads; a page without screens is its own."""
    base, main = around(page)
    if "SCREENS" not in main.read_text(encoding="utf-8"):
        return {page: opened(base, main)}
    return {f"{page} {screen.parent.name}/{screen.stem}": opened(base, screen) for screen in sorted(named(LAZY, main))}


def lazy(script: Path) -> set[Path]:
    return named(LAZY, script)


def weight(files: set[Path]) -> int:
    return sum(each.stat().st_size for each in files if each.is_file())


PAGES = {name: files for page in sorted(STATIC.glob("*.html")) for name, files in screens(page.name).items()}


def test_every_page_and_its_screens_are_weighed() -> None:
    shown = {
        "index.html",
        "chat.html",
        "admin.html admin/models",
        "admin.html admin/playground",
        "user.html docs/screen",
    }
    assert shown <= set(PAGES)


def test_nothing_lies_about_that_no_page_loads() -> None:
    mains = {around(page.name)[1] for page in STATIC.glob("*.html")}
    used = reached(mains, EAGER, LAZY).union(*(around(page.name)[0] for page in STATIC.glob("*.html")))
    assert [each for each in STATIC.rglob("*") if each.is_file() and each not in used] == []


def test_every_script_that_is_imported_is_there() -> None:
    scripts = list(STATIC.rglob("*.js"))
    missing = {each for script in scripts for each in named(EAGER, script) | named(LAZY, script) if not each.is_file()}
    assert missing == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stays_light(page: str) -> None:
    sizes = {each.relative_to(STATIC).as_posix(): each.stat().st_size for each in PAGES[page]}
    heaviest = sorted(sizes.items(), key=lambda each: -each[1])[:8]
    assert sum(sizes.values()) <= MOST_BYTES, f"{sum(sizes.values())} bytes, most of them in {heaviest}"
