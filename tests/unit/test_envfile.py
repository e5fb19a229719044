"""The `.env` reader: what people write, and what they are told when it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipin_proxy import envfile
from ipin_proxy.errors import ConfigError


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=plain", "plain"),
        ("A = around ", "around"),
        ("export A=shell", "shell"),
        ("  A=indented", "indented"),
        ("A=two words", "two words"),
        ("A=", ""),
        ("A=   # only a comment", ""),
        ("A=value # comment", "value"),
        ("A=pass#word", "pass#word"),
        ("A=#hash", "#hash"),
        ("A=a=b=c", "a=b=c"),
        ("A=$HOME/${B}", "$HOME/${B}"),
        ("A=it's", "it's"),
        ('A="two # words"  # comment', "two # words"),
        (r'A="line\nnext\ttab \"quoted\" \\ \$HOME"', 'line\nnext\ttab "quoted" \\ $HOME'),
        (r'A="C:\data\x"', r"C:\data\x"),
        (r"A='raw \n stays'", r"raw \n stays"),
        (r"A='it\'s'", "it's"),
        ('A=""', ""),
        ("A='ключ 🔑'", "ключ 🔑"),
    ],
)
def test_a_line_is_read_as_it_is_written(line: str, value: str) -> None:
    assert envfile.parse(line) == {"A": value}


def test_comments_empty_lines_and_windows_line_ends_do_not_matter() -> None:
    assert envfile.parse("# head\r\n\r\nA=1\r\n  # more\r\nB=2") == {"A": "1", "B": "2"}


def test_of_two_lines_the_last_wins() -> None:
    assert envfile.parse("A=1\nA=2") == {"A": "2"}


def test_only_a_newline_ends_a_line() -> None:
    assert envfile.parse("A=one\u2028two\x0cthree\nB=2") == {"A": "one\u2028two\x0cthree", "B": "2"}


@pytest.mark.parametrize(
    "line", ["SECRET", "1A=x", "A B=x", "=x", "A-B=x", 'A="open', "A='open", 'A="a" b', "A=nul\0", "exportA"]
)
def test_a_broken_line_is_named_by_number_and_not_repeated(line: str) -> None:
    with pytest.raises(ValueError, match=r"^line 3: ") as raised:
        envfile.parse(f"# first\nOK=1\n{line}\n")
    assert "open" not in str(raised.value) and "SECRET" not in str(raised.value)


def test_the_file_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbfPORT=8080\r\n")
    assert envfile.read(path) == {"PORT": "8080"}


def test_what_cannot_be_read_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    broken, binary = tmp_path / "broken", tmp_path / "binary"
    broken.write_text("A=1\nsomething\n")
    binary.write_bytes(b"A=\xff\n")
    for path, reason in (
        (broken, "line 2"),
        (binary, "UTF-8"),
        (tmp_path, "directory"),
        (tmp_path / "none", "No such file"),
    ):
        with pytest.raises(ConfigError) as raised:
            envfile.read(path)
        message = str(raised.value)
        assert str(path) in message and reason in message and "\n" not in message
