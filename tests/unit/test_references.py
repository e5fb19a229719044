"""References to secrets: read when they are used, from where they may be and from nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

from ipin_proxy import config
from ipin_proxy.references import resolve_secret

SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz"


def test_a_reference_is_read_when_it_is_used(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": f" {SECRET}\n", "HOME": "/root", "MASTER_API_KEY": "ours", "EMPTY_KEY": ""}
    (tmp_path / "openai").write_text(f"\ufeff{SECRET}\r\n", encoding="utf-8")
    assert resolve_secret(SECRET, environ, tmp_path) == SECRET
    assert resolve_secret("env:OPENAI_API_KEY", environ, tmp_path) == SECRET
    assert resolve_secret("file:openai", environ, tmp_path) == SECRET
    assert resolve_secret(f"file:{tmp_path}/openai", environ, tmp_path) == SECRET
    for nothing in ("env:HOME", "env:MASTER_API_KEY", "env:EMPTY_KEY", "env:MISSING_KEY", "file:missing", ""):
        assert resolve_secret(nothing, environ, tmp_path) is None


def test_a_file_reference_cannot_leave_the_secrets_folder(tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    (secrets / "..data").mkdir(parents=True)
    (secrets / "..data" / "openai").write_text(SECRET)
    (secrets / "openai").symlink_to("..data/openai")  # as Kubernetes mounts them
    (tmp_path / "outside").write_text("outside")
    (secrets / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "secrets-too").write_text("neighbour")
    assert resolve_secret("file:openai", {}, secrets) == SECRET
    for path in ("link", "../outside", str(tmp_path / "outside"), str(tmp_path / "secrets-too"), ".", "..data", "\0"):
        assert resolve_secret(f"file:{path}", {}, secrets) is None


def test_a_file_with_a_setting_of_ours_is_nobodys_key(tmp_path: Path) -> None:
    """Wherever the setting was given, and by whatever name the file is called."""
    (tmp_path / "..data").mkdir()
    for name in ("master", "password", "openai"):
        (tmp_path / "..data" / name).write_text(SECRET)
        (tmp_path / name).symlink_to(f"..data/{name}")
    env_file = tmp_path / ".env"
    env_file.write_text(f"UI_PASSWORD_FILE={tmp_path}/password\n")
    environ = config.load({}, {"MASTER_API_KEY_FILE": f"{tmp_path}/master"}, env_file, {}).environ
    assert resolve_secret("file:openai", environ, tmp_path) == SECRET
    for path in ("master", f"{tmp_path}/master", "..data/master", "password", "..data/password"):
        assert resolve_secret(f"file:{path}", environ, tmp_path) is None


def test_a_secret_file_holds_one_line_of_text(tmp_path: Path) -> None:
    (tmp_path / "two").write_text("one\ntwo\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "huge").write_text("x" * 70_000)
    os.mkfifo(tmp_path / "pipe")
    for name in ("two", "binary", "huge", "pipe"):
        assert resolve_secret(f"file:{name}", {}, tmp_path) is None
