"""What a page weighs, uncompressed, with its style, icons and every script that it or one of its screens may load.

A page is the address a browser opens; the administration and people's own page load their screens one at a time, so each
screen is weighed together with the page around it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).resolve().parents[2] / "static"
MOST_BYTES = 150_000

EAGER = re.compile(r"""^(?:import|export)\b[^;]*?["'](\.[^"']+)["'];""", re.MULTILINE)
LAZY = re.compile(r"""\bimport\(["'](\.[^"']+)["']\)""")
LOADED = re.compile(r"""<(?:script|link)\b[^>]*?(?:src|href)=["']/([^"'#]+)["']""")


def named(pattern: re.Pattern[str], script: Path) -> set[Path]:
    """The scripts that one imports in this way."""
    return {(script.parent / each).resolve() for each in pattern.findall(script.read_text(encoding="utf-8"))}


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


def screens(page: str) -> dict[str, set[Path]]:
    """The screens of a page, each with everything it may load; a page that has none is its own."""
    base, main = around(page)
    kept = re.search(r"^const SCREENS = \{(.*?)^\};", main.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    if kept is None:
        return {page: base | reached({main}, EAGER, LAZY)}
    firsts = {(main.parent / each).resolve() for each in LAZY.findall(kept[1])}
    others = reached(named(LAZY, main) - firsts, EAGER, LAZY)
    return {f"{page} {each.stem}": base | others | reached({each}, EAGER, LAZY) for each in sorted(firsts)}


PAGES = {name: files for page in sorted(STATIC.glob("*.html")) for name, files in screens(page.name).items()}


def test_every_page_and_its_screens_are_weighed() -> None:
    assert {"index.html", "chat.html", "admin.html models", "admin.html playground", "user.html overview"} <= set(PAGES)
    weighed = set().union(*PAGES.values())
    assert [each for each in STATIC.rglob("*") if each.is_file() and each not in weighed] == []


def test_every_script_that_is_imported_is_there() -> None:
    scripts = list(STATIC.rglob("*.js"))
    missing = {each for script in scripts for each in named(EAGER, script) | named(LAZY, script) if not each.is_file()}
    assert missing == set()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stays_light(page: str) -> None:
    sizes = {each.relative_to(STATIC).as_posix(): each.stat().st_size for each in PAGES[page]}
    heaviest = sorted(sizes.items(), key=lambda each: -each[1])[:8]
    assert sum(sizes.values()) <= MOST_BYTES, f"{sum(sizes.values())} bytes, most of them in {heaviest}"
