"""The house stays as style says: standard library only, imports point down, rooms stay small, promises are documented."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "ipin_proxy"
SOURCES = [ROOT / "server.py", *sorted(PACKAGE.rglob("*.py"))]

# From the roof down. A room may import rooms of its own floor and of those below; handlers and dialects have a rule more.
FLOORS = (
    ("server",),
    ("start",),
    ("dispatch",),
    ("routes",),
    ("handlers",),
    ("relay", "openapi"),
    ("app",),
    ("dialects", "media", ""),  # and the parts: whatever is not named here
    ("call", "records", "errors", "config", "columns", "converters", "descriptors", "envfile", "guestlist"),
    ("web",),
)
PARTS = next(number for number, rooms in enumerate(FLOORS) if "dialects" in rooms)
# Dialects meet in the hub; these are none of it, and know nothing of each other.
TONGUES = {"anthropic", "ollama", "chutes", "demo"}

# Where a vendor may be named: in its wire format, in the table of presets, and where a key is recognised by its shape.
VENDORS = re.compile(
    r"openrouter|anthropic|\bclaude|groq|chutes|gemini|vertex|mistral|deepseek|cohere|perplexity|fireworks"
    r"|together\.ai|cerebras|hugging ?face|ollama|lm.?studio|vllm|litellm|azure|bedrock|\bxai\b|\bgrok\b|moonshot|qwen",
    re.IGNORECASE,
)
VENDORS_ALLOWED = ("ipin_proxy/dialects/", "ipin_proxy/presets.py", "ipin_proxy/logs.py")
VENDOR_WORDS_ALLOWED = {
    "records": {"anthropic", "ollama", "chutes"},  # the dialects a provider's `type` can name
    "meter": {"x_groq", "x-litellm-response-cost"},  # a member and a header on the wire that hold usage
}
PRINTING = ("server", "start")  # what a person at a terminal reads

MAX_MODULE_LINES = 500
MAX_FUNCTION_LINES = 70


def name_of(path: Path) -> str:
    """web/head.py → web.head, handlers/__init__.py → handlers, server.py → server."""
    parts = (
        (path.relative_to(PACKAGE) if path.is_relative_to(PACKAGE) else path.relative_to(ROOT)).with_suffix("").parts
    )
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in SOURCES if path.exists()}


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree(path)))


def absolute(node: ast.ImportFrom, module: str, path: Path) -> str:
    """The full name of what a `from … import` names, relative or not."""
    if not node.level:
        return node.module or ""
    package = ["ipin_proxy", *(module.split(".") if module else [])]
    if path.name != "__init__.py":
        package.pop()
    base = package[: len(package) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


@cache
def imports(module: str, *, at_run_time: bool = False) -> list[tuple[str, int]]:
    """Every module that `module` imports, anywhere in it, with the line; `from . import x` names x if x is a module."""
    path = MODULES[module]
    for_types = {
        inner for node in nodes(path) if at_run_time and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }  # fmt: skip
    found: list[tuple[str, int]] = []
    for node in nodes(path):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = absolute(node, module, path)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append((inner if inner.removeprefix("ipin_proxy.") in MODULES else base, node.lineno))
    return found


def inside(name: str) -> str | None:
    """The name of one of our modules, without the package; None for anything else."""
    if name in ("ipin_proxy", "server"):
        return name.removeprefix("ipin_proxy")
    return name.removeprefix("ipin_proxy.") if name.startswith("ipin_proxy.") else None


def floor(module: str) -> int:
    first = module.split(".")[0]
    return next((number for number, rooms in enumerate(FLOORS) if first and first in rooms), PARTS)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in nodes(path):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node


# ---- the rooms -----------------------------------------------------------------------------------------------------


def test_the_house_stands() -> None:
    assert {"server", "dispatch", "routes", "app", "relay", "config", "errors", "handlers", "dialects"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_only_the_standard_library_is_imported(module: str) -> None:
    foreign = [
        f"{name} (line {line})"
        for name, line in imports(module)
        if inside(name) is None and name.split(".")[0] not in sys.stdlib_module_names
    ]
    assert foreign == []


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    upwards = []
    for name, line in imports(module, at_run_time=True):
        target = inside(name)
        if not target or target == module:
            continue
        if floor(target) < floor(module):
            upwards.append(f"line {line}: {module} (floor {floor(module)}) imports {target} (floor {floor(target)})")
    assert upwards == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("handlers.")])
def test_handlers_do_not_import_each_other(module: str) -> None:
    assert [name for name, _ in imports(module) if name.startswith("ipin_proxy.handlers")] == []


@pytest.mark.parametrize("module", [name for name in MODULES if name.startswith("dialects.")])
def test_dialects_share_only_the_hub(module: str) -> None:
    others = {name.removeprefix("ipin_proxy.dialects.") for name, _ in imports(module)}
    assert others & TONGUES == set()


@pytest.mark.parametrize("module", [name for name in MODULES if name == "web" or name.startswith("web.")])
def test_web_knows_nothing_of_the_house(module: str) -> None:
    assert [name for name, _ in imports(module) if (inside(name) or "web").split(".")[0] != "web"] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_room_says_what_it_is_for(module: str) -> None:
    docstring = ast.get_docstring(tree(MODULES[module]))
    assert docstring and len(docstring) > 30 and re.search(r"[.:;]$", docstring.split("\n\n")[0])


@pytest.mark.parametrize("module", MODULES)
def test_rooms_and_functions_stay_small(module: str) -> None:
    path = MODULES[module]
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_MODULE_LINES, "look for the second noun hiding in it"
    sizes = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions(path)}
    assert {name: size for name, size in sizes.items() if size > MAX_FUNCTION_LINES} == {}


def test_the_map_names_every_room_and_none_that_is_gone() -> None:
    names = re.findall(r"[\w*]+\.py", (ROOT / "ARCHITECTURE.md").read_text().split("```")[1])
    rooms = {path.name for path in (*PACKAGE.glob("[!_]*.py"), *(PACKAGE / "dialects").glob("[!_]*.py"))}
    assert {room for room in rooms if not any(fnmatch(room, name) for name in names)} == set()
    assert {name for name in names if not any(fnmatch(path.name, name) for path in SOURCES)} == set()


def test_there_is_no_room_for_leftovers() -> None:
    assert [name for name in MODULES if re.search(r"(^|\.)(utils?|helpers?|common|misc)$", name)] == []


@pytest.mark.parametrize("module", MODULES)
def test_vendors_are_named_only_where_they_live(module: str) -> None:
    """In code: names, texts and imports. A comment may say whose oddity is served."""
    path = MODULES[module]
    if path.relative_to(ROOT).as_posix().startswith(VENDORS_ALLOWED):
        return
    docstrings = {
        id(node.body[0].value)
        for node in nodes(path)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    named = []
    for node in nodes(path):
        words = []
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            words = [node.value]
        elif isinstance(node, ast.Name):
            words = [node.id]
        elif isinstance(node, ast.Attribute):
            words = [node.attr]
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            words = [node.name]
        words = [word for word in words if VENDORS.search(word) and word not in VENDOR_WORDS_ALLOWED.get(module, ())]
        named += [f"line {node.lineno}: {word}" for word in words]
    assert named == []


def test_only_the_front_door_prints_and_reads_the_environment() -> None:
    found = []
    for module, path in MODULES.items():
        for node in nodes(path):
            if isinstance(node, ast.Name) and (
                node.id in ("eval", "exec") or (node.id == "print" and module not in PRINTING)
            ):
                found.append(f"{module}:{node.lineno} {node.id}")
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("environ", "getenv")
                and ast.unparse(node) in ("os.environ", "os.getenv")
                and module not in PRINTING
            ):
                found.append(f"{module}:{node.lineno} {ast.unparse(node)}")
    assert found == []


# ---- the papers ----------------------------------------------------------------------------------------------------


def our_texts() -> list[Path]:
    """What we wrote: no caches, no installed packages, nobody's own settings."""
    kinds = {
        ".py",
        ".md",
        ".toml",
        ".yml",
        ".yaml",
        ".js",
        ".mjs",
        ".html",
        ".css",
        ".json",
        ".service",
        ".example",
        "",
    }
    files = [path for path in ROOT.iterdir() if path.is_file() and path.name != ".env"]
    for folder in ("ipin_proxy", "tests", "static", "deploy", ".ci"):
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    return [path for path in files if path.suffix in kinds and not is_made(path)]


def is_made(path: Path) -> bool:
    folders = path.relative_to(ROOT).parts[:-1]
    return any(name in ("node_modules", "__pycache__") or (name.startswith(".") and name != ".ci") for name in folders)


def test_nothing_is_left_for_later() -> None:
    word = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
    left = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in our_texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if word.search(line)
    ]
    assert left == []


def test_no_path_of_a_developers_machine() -> None:
    private = re.compile(
        r"/(?:work|root|Users)/[A-Za-z.]|/home/[a-z]+/|[A-Z]:\\Users\\|\.pyenv/versions/[0-9]|/tmp/[a-z]+_?jobs"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in our_texts()
        if path != Path(__file__)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if private.search(line)
    ]
    assert found == []


def test_there_are_no_dependencies() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert re.search(r"^dependencies = \[\]$", text, re.MULTILINE)
    assert not (ROOT / "requirements.txt").exists()


def test_the_version_is_said_once() -> None:
    from ipin_proxy import __version__

    assert f'\nversion = "{__version__}"\n' in (ROOT / "pyproject.toml").read_text()


def test_every_setting_is_in_the_readme() -> None:
    from ipin_proxy.config import SETTINGS

    readme = (ROOT / "README.md").read_text()
    assert [line.name for line in SETTINGS if f"`{line.name}`" not in readme] == []


def test_every_route_is_in_the_readme() -> None:
    """As `METHOD /path`, or the path beside other methods; `{id...}` may be written `{id}`."""
    from ipin_proxy.routes import ROUTES

    readme = (ROOT / "README.md").read_text().replace("...}", "}")
    missing = [
        f"{route.method} {route.pattern}"
        for route in ROUTES
        if not any(
            re.search(rf"{re.escape(route.pattern.replace('...}', '}'))}(?![\w/{{-])", line) and route.method in line
            for line in readme.splitlines()
        )
    ]
    assert missing == []
