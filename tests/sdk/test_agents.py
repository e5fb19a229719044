"""The real coding agents, each in a home of its own and told to keep to itself, through the running server to a scripted provider.

The provider first has them call a tool, and then says that it is done: the tool runs, and the loop ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import build, messages
from support.build import chunk, finish, opening, tool_chunk, usage
from support.proxy import KEY, Proxy
from support.upstream import Script, Seen, Upstream, answer, stream

Json = dict[str, Any]

BIN = Path(__file__).with_name("agents") / "node_modules" / ".bin"
TIMEOUT_S = 120.0
DONE = "All is written."

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")


@pytest.fixture(scope="module")
def running(shared_upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    base = shared_upstream.origin
    proxy = Proxy.start(
        tmp_path_factory.mktemp("agents"),
        providers=[build.provider(base), build.provider(base, "native", type="anthropic")],
        models=[build.model(), build.model("gpt-5.5"), build.model("claude-sonnet-5", "native")],
    )
    yield proxy
    proxy.stop()


def agent(name: str) -> str:
    path = BIN / name
    if not path.exists():
        pytest.skip(f"{name} is not installed: make agents")
    return str(path)


def run(command: list[str], home: Path, **env: str) -> str:
    """What an agent prints, run in `home`/work with an environment of its own."""
    work = home / "work"
    work.mkdir(exist_ok=True)
    given = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "NO_COLOR": "1", **env}
    done = subprocess.run(
        command, cwd=work, env=given, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, check=False
    )
    said = done.stdout.decode()
    assert done.returncode == 0, said + done.stderr.decode()
    return said


def claude(proxy: Proxy, home: Path, model: str, base: str = "") -> str:
    command = [agent("claude"), "-p", "Write the file.", "--model", model, "--allowedTools", "Bash", "--output-format"]
    return run(
        [*command, "text"],
        home,
        ANTHROPIC_BASE_URL=proxy.base_url + base,
        ANTHROPIC_AUTH_TOKEN=KEY,
        CLAUDE_CONFIG_DIR=str(home / ".claude"),
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
        DISABLE_TELEMETRY="1",
        DISABLE_ERROR_REPORTING="1",
        DISABLE_AUTOUPDATER="1",
        CLAUDE_CODE_MAX_RETRIES="1",
    )


def chats(call: list[Json]) -> Any:
    """A provider that chats: the call of a tool, and once that has a result the end."""

    def answers(seen: Seen) -> Script:
        if "/chat/completions" not in seen.path:
            return answer(404, {"detail": "Not Found"})
        if any(message["role"] == "tool" for message in seen.json["messages"]):
            return stream(opening(), chunk(DONE), finish(), usage(20, 5))
        return stream(opening(), *call, finish("tool_calls"), usage(10, 5))

    return answers


def results(upstream: Upstream) -> str:
    """What the tool said, as the provider was told it."""
    told = [message for message in upstream.history[-1].json["messages"] if message["role"] == "tool"]
    return json.dumps(told)


@pytest.mark.parametrize("base", ["", "/acme", "/v1/messages/acme"])
def test_claude_code_on_a_provider_that_chats(proxy: Proxy, upstream: Upstream, tmp_path: Path, base: str) -> None:
    call = json.dumps({"command": "echo written > made.txt && cat made.txt", "description": "Write"})
    upstream.default(chats([tool_chunk(0, name="Bash"), *(tool_chunk(0, each) for each in (call[:9], call[9:]))]))
    assert DONE in claude(proxy, tmp_path, build.PUBLIC_MODEL, base)
    assert (tmp_path / "work" / "made.txt").read_text() == "written\n"
    assert "written" in results(upstream)
    sent = upstream.history[-1].json
    assert sent["messages"][0]["role"] == "system" and "x-anthropic-billing" not in json.dumps(sent)
    assert len(sent["tools"]) > 5


def test_claude_code_on_a_provider_of_its_own_kind(proxy: Proxy, upstream: Upstream, tmp_path: Path) -> None:
    def answers(seen: Seen) -> Script:
        if seen.path != "/v1/messages":
            return answer(404, messages.error("not_found_error", "?"))
        if "tool_result" in json.dumps(seen.json["messages"]):
            return stream(messages.start(), *messages.said(0, DONE), *messages.end(), done=False)
        call = messages.called(0, '{"command": "echo written', ' > made.txt"}', name="Bash")
        return stream(messages.start(), *call, *messages.end("tool_use"), done=False)

    upstream.default(answers)
    assert DONE in claude(proxy, tmp_path, "claude-sonnet-5")
    assert (tmp_path / "work" / "made.txt").read_text() == "written\n"
    assert upstream.history[-1].header("anthropic-beta")


def codex(proxy: Proxy, home: Path, model: str) -> str:
    folder = home / ".codex"
    folder.mkdir()
    (folder / "config.toml").write_text(
        f"""model_provider = "ipin"
model = "{model}"
[model_providers.ipin]
name = "ipin"
base_url = "{proxy.base_url}/v1"
env_key = "IPIN_KEY"
wire_api = "responses"
[analytics]
enabled = false
"""
    )
    command = [agent("codex"), "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return run([*command, "Write the file."], home, CODEX_HOME=str(folder), IPIN_KEY=KEY)


def test_codex_runs_a_command_on_a_provider_that_chats(proxy: Proxy, upstream: Upstream, tmp_path: Path) -> None:
    call = json.dumps({"cmd": "echo written > made.txt && cat made.txt"})
    upstream.default(chats([tool_chunk(0, name="exec_command"), tool_chunk(0, call[:5]), tool_chunk(0, call[5:])]))
    assert DONE in codex(proxy, tmp_path, build.PUBLIC_MODEL)
    assert (tmp_path / "work" / "made.txt").read_text() == "written\n"
    assert "written" in results(upstream)


def test_codex_patches_a_file_on_a_provider_that_chats(proxy: Proxy, upstream: Upstream, tmp_path: Path) -> None:
    patch = '*** Begin Patch\n*** Add File: patched.txt\n+hello "q"\n*** End Patch\n'
    call = json.dumps({"input": patch})
    upstream.default(chats([tool_chunk(0, name="apply_patch"), tool_chunk(0, call[:20]), tool_chunk(0, call[20:])]))
    assert DONE in codex(proxy, tmp_path, "gpt-5.5")
    assert (tmp_path / "work" / "patched.txt").read_text() == 'hello "q"\n'
