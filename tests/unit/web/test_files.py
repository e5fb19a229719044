"""A folder over HTTP: types, ETags, and every way out of it that people try. A real server, a folder of this test."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.client import Client

from ipin_proxy.web.files import Files
from ipin_proxy.web.request import Request
from ipin_proxy.web.response import Response
from ipin_proxy.web.server import Limits, Server
from ipin_proxy.web.task import THREAD, Steps

SECRET = b"nobody may read this"


class Service:
    """Answers every path with the file of that name, or 404."""

    def __init__(self, folder: Path) -> None:
        self.files = Files(folder)
        self.failures: list[BaseException] = []

    def handle(self, request: Request) -> Steps:
        yield THREAD
        return self.files.answer(request, request.path.removeprefix("/")) or Response(404)

    def screen(self, request: Request) -> Response | None:
        return None

    def refuse(self, error: Exception, request: Request | None) -> Response:
        return Response(400)

    def failed(self, error: BaseException) -> None:
        self.failures.append(error)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secret.txt").write_bytes(SECRET)
    folder = tmp_path / "static"
    (folder / "js" / "parts").mkdir(parents=True)
    (folder / "index.html").write_text("<!DOCTYPE html><title>Größe</title>")
    (folder / "js" / "main.js").write_text("export const answer = 42;")
    (folder / ".hidden").write_bytes(SECRET)
    return folder


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    service = Service(folder)
    server = Server(("127.0.0.1", 0), service, Limits())
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    client = Client(server.port)
    yield client
    client.close()
    server.shut_down(1)
    thread.join(10)
    assert not thread.is_alive()
    assert service.failures == []


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("page.html", "text/html; charset=utf-8"),
        ("style.CSS", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("icons.svg", "image/svg+xml"),
        ("font.woff2", "font/woff2"),
        ("data.json", "application/json"),
        ("unknown.xyz", "application/octet-stream"),
        ("none", "application/octet-stream"),
    ],
)
def test_a_file_comes_with_its_type(folder: Path, client: Client, name: str, media_type: str) -> None:
    (folder / name).write_bytes(b"some bytes")
    reply = client.get(f"/{name}")
    assert (reply.status, reply.body, reply.header("content-type")) == (200, b"some bytes", media_type)


def test_every_file_keeps_to_itself(client: Client) -> None:
    reply = client.get("/index.html")
    policy = dict(part.split(" ", 1) for part in (reply.header("content-security-policy") or "").split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert not any("unsafe" in sources or "http" in sources or "*" in sources for sources in policy.values())
    assert reply.header("x-content-type-options") == "nosniff"
    assert reply.header("x-frame-options") == "DENY"
    assert reply.header("referrer-policy") == "no-referrer"
    assert reply.header("cross-origin-opener-policy") == "same-origin"
    assert "microphone=(self)" in (reply.header("permissions-policy") or "")
    assert reply.header("cache-control") == "no-cache"


def test_who_has_the_file_already_gets_304(client: Client) -> None:
    etag = client.get("/js/main.js").header("etag") or ""
    assert etag.startswith('"') and etag.endswith('"')
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        reply = client.get("/js/main.js", headers=[("if-none-match", known)])
        assert (reply.status, reply.body, reply.header("etag")) == (304, b"", etag)
        assert reply.header("content-security-policy")
    assert client.get("/js/main.js", headers=[("if-none-match", '"other"')]).status == 200


def test_a_changed_file_counts_at_once_and_the_same_bytes_keep_their_etag(folder: Path, client: Client) -> None:
    file = folder / "js" / "main.js"
    first = client.get("/js/main.js")
    os.utime(file, (1, 1))
    assert client.get("/js/main.js").header("etag") == first.header("etag")
    file.write_text("export const answer = 43;")  # of the same length
    second = client.get("/js/main.js")
    assert second.body == b"export const answer = 43;"
    assert second.header("etag") != first.header("etag")
    file.unlink()
    assert client.get("/js/main.js").status == 404


def test_a_large_file_is_read_whole_each_time(folder: Path, client: Client) -> None:
    large = bytes(range(256)) * 4096
    (folder / "large.bin").write_bytes(large)
    assert [client.get("/large.bin").body for _ in range(2)] == [large, large]


def test_head_says_the_length_and_sends_nothing(client: Client) -> None:
    wire = client.raw(b"HEAD /index.html HTTP/1.1\r\nHost: x\r\n\r\nGET /js/main.js HTTP/1.1\r\nHost: x\r\n\r\n")
    reply = wire.reply("HEAD")
    assert (reply.status, reply.header("content-length")) == (
        200,
        str(len("<!DOCTYPE html><title>Größe</title>".encode())),
    )
    assert wire.reply().body == b"export const answer = 42;"


@pytest.mark.parametrize(
    "target",
    [
        "/../secret.txt",
        "/js/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/js/%2e%2e%2f%2e%2e%2fsecret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/..\\secret.txt",
        "/js\\main.js",
        "/%252e%252e/secret.txt",
        "/js/./main.js",
        "//js/main.js",
        "/js//main.js",
        "/.hidden",
        "/index.html%00.js",
        "/index.html::$DATA",
        "/js",
        "/js/",
        "/js/parts",
        "/index.html/",
        "/" + "a" * 4000,
    ],
)
def test_there_is_no_way_out_of_the_folder_and_no_folder_to_see(client: Client, target: str) -> None:
    reply = client.raw(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()).reply()
    assert reply.status in (400, 404)
    assert reply.body == b""


def test_an_absolute_path_is_none_of_ours(client: Client, tmp_path: Path) -> None:
    for target in (f"/{tmp_path}/secret.txt", f"/%2F{tmp_path}/secret.txt", f"/static/{tmp_path}/secret.txt"):
        assert client.get(target).status == 404


@pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")
def test_links_lead_nowhere_but_inside_and_pipes_do_not_hang(folder: Path, client: Client, tmp_path: Path) -> None:
    (folder / "out.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "same.js").symlink_to(folder / "js" / "main.js")
    os.mkfifo(folder / "pipe")
    for name in ("out.txt", "up/secret.txt", "circle", "pipe"):
        assert client.get(f"/{name}").status == 404
    assert client.get("/same.js").body == b"export const answer = 42;"


def test_the_folder_itself_may_be_a_link_or_missing(folder: Path, tmp_path: Path, client: Client) -> None:
    moved = folder.rename(tmp_path / "elsewhere")
    assert client.get("/index.html").status == 404
    folder.symlink_to(moved)
    assert client.get("/index.html").status == 200
