"""The code that the pages show for a call is run as it stands: by curl, by Python and by Node with the official SDKs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import build
from support.proxy import KEY, Proxy
from support.script import Script
from support.upstream import Upstream, answer, stream

pytest.importorskip("openai", reason="the openai SDK is not installed: make sdk")
NODE, CURL = shutil.which("node"), shutil.which("curl")
FOLDER = Path(__file__).with_name("node")
SNIPPETS = Path(__file__).resolve().parents[2] / "static" / "js" / "snippets.js"
PRINTED = """
import { snippets } from "./snippets.mjs";
const [operation, given] = JSON.parse(process.argv[2]);
console.log(JSON.stringify(snippets(operation, given).map(({ id, code }) => [id, code])));
"""
RECORDING, SOUND = build.wav(0.5), build.wav(0.1, 24_000)
FILE = "a recording, of Ann's.wav"
SRT = "1\n00:00:00,000 --> 00:00:01,000\nGood morning.\n"
HEARD = answer(200, {"text": "Good morning."})
COMING = stream(
    {"type": "transcript.text.delta", "delta": "Good "},
    {"type": "transcript.text.delta", "delta": "morning."},
    {"type": "transcript.text.done", "text": "Good morning."},
    done=False,
)
# A call as a panel makes it: the operation, the members, the file, what the provider answers, and what is printed.
CALLS: dict[str, tuple[str, dict[str, Any], str, Script, str]] = {
    "json": ("transcription", {"response_format": "json", "temperature": 0}, FILE, HEARD, "Good morning."),
    "srt": (
        "transcription",
        {"response_format": "srt", "language": "en"},
        FILE,
        answer(200, SRT.encode(), headers={"content-type": "text/plain"}),
        "Good morning.",
    ),
    "times": (
        "transcription",
        {"response_format": "verbose_json", "timestamp_granularities": ["segment", "word"]},
        FILE,
        answer(200, {"text": "Good morning.", "language": "en", "duration": 1, "segments": [], "words": []}),
        "Good morning.",
    ),
    "stream": ("transcription", {"response_format": "json", "stream": True}, FILE, COMING, "Good "),
    "translation": ("translation", {"response_format": "json", "prompt": "@Ann; <b>"}, FILE, HEARD, "Good morning."),
    "speech": (
        "speech",
        {"input": "It's me.", "voice": "alloy", "response_format": "wav", "instructions": "Calmly."},
        "",
        answer(200, SOUND, headers={"content-type": "audio/wav"}),
        "",
    ),
    "ocr": ("ocr", {"prompt": "Which room?"}, "page.png", answer(200, build.completion("Room 12")), "Room 12"),
}
MODELS = {"transcription": "hears", "translation": "hears", "speech": "speaks", "ocr": "reads"}
LANGUAGES = ("curl", "python", "javascript")

pytestmark = [
    pytest.mark.skipif(NODE is None or CURL is None, reason="Node and curl are needed"),
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "openai").is_dir(), reason="the openai SDK for Node is not installed: make sdk"
    ),
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, shared_upstream: Upstream) -> Iterator[Proxy]:
    models = [
        build.model("hears", type="transcription"),
        build.model("speaks", type="speech"),
        build.model("reads", type="ocr"),
    ]
    keys = [build.key(KEY)]
    providers = [build.provider(shared_upstream.base_url)]
    proxy = Proxy.start(tmp_path_factory.mktemp("snippets"), providers=providers, models=models, keys=keys)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, str]]:
    """What the page shows for a call: the code by language."""
    folder = tmp_path_factory.mktemp("shown")
    shutil.copy(SNIPPETS, folder / "snippets.mjs")
    (folder / "print.mjs").write_text(PRINTED)

    def shown(operation: str, **given: Any) -> dict[str, str]:
        command = [str(NODE), str(folder / "print.mjs"), json.dumps([operation, given])]
        return dict(json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout))

    return shown


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", CALLS)
def test_the_code_of_a_call_runs_as_it_is_shown(
    running: Proxy,
    upstream: Upstream,
    shown: Callable[..., dict[str, str]],
    tmp_path: Path,
    name: str,
    language: str,
) -> None:
    operation, members, file, reply, printed = CALLS[name]
    body = {"model": MODELS[operation], **members}
    code = shown(operation, base=running.base_url, body=body, file=file, key=KEY)[language]
    for each in (FILE, "page.png"):
        (tmp_path / each).write_bytes(build.PNG if each == "page.png" else RECORDING)
    (tmp_path / "node_modules").symlink_to(FOLDER / "node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    upstream.will(reply)
    assert printed in run(language, code, tmp_path)
    seen = upstream.history[-1]
    if operation == "ocr":
        assert seen.json["messages"][0]["content"][1]["text"] == "Which room?"
    elif operation == "speech":
        assert {member: seen.json[member] for member in members} == members
        assert (tmp_path / "speech.wav").read_bytes() == SOUND
    else:
        assert (seen.field("file").filename, seen.field("file").data) == (FILE, RECORDING)
        sent = [(part.name, part.text) for part in seen.form if part.name not in ("file", "model")]
        assert sorted(sent) == sorted(in_form(members))


def run(language: str, code: str, folder: Path) -> str:
    """What the code prints, run in a folder. Its own failure is the test's."""
    script = folder / ("call.mjs" if language == "javascript" else "call.py")
    script.write_text(code, encoding="utf-8")
    command = {
        "curl": ["sh", "-c", code],
        "python": [sys.executable, str(script)],
        "javascript": [str(NODE), str(script)],
    }[language]
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, f"{code}\n{done.stderr.decode()}"
    return done.stdout.decode()


def in_form(members: dict[str, Any]) -> list[tuple[str, str]]:
    """Members as the fields of a form."""
    found = []
    for name, value in members.items():
        for each in value if isinstance(value, list) else [value]:
            found.append((f"{name}[]" if isinstance(value, list) else name, "true" if each is True else str(each)))
    return found
