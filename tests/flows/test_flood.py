"""The real server before hostile or too many connections: those who behave are still served (F23)."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.bare_browser import BareBrowser
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]
MANY = 400


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"), workers=1)
    yield running
    running.stop()


def connected(server: Server, crowd: ExitStack, sent: bytes) -> socket.socket:
    connection = crowd.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=60))
    connection.sendall(sent)
    return connection


def signs_in(server: Server) -> bool:
    browser = BareBrowser(server.port)
    browser.sign_in("/login")
    return "You are signed in" in browser.ask("GET", "/")[2]


def test_F23_members_sign_in_while_hundreds_of_connections_send_no_end_of_headers(server: Server) -> None:
    with ExitStack() as crowd:
        for _ in range(MANY):
            connected(server, crowd, b"GET /login HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert signs_in(server)


def test_F23_who_never_ends_the_headers_is_cut_off(server: Server) -> None:
    with ExitStack() as crowd:
        slow = connected(server, crowd, b"GET /login HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        begun = time.monotonic()
        while slow.recv(4096):
            pass
        assert time.monotonic() - begun < 45  # the socket's own timeout would have failed the test


def test_F23_members_sign_in_while_bodies_trickle_in(server: Server) -> None:
    """A body that does not come holds a thread, and there are more threads than places."""
    with ExitStack() as crowd:
        for _ in range(24):
            connected(
                server,
                crowd,
                b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 900\r\n\r\na",
            )
        assert signs_in(server)


@pytest.mark.parametrize("headers", [b"X-Big: " + b"x" * 200_000, b"\r\n".join(b"X-%d: y" % n for n in range(5000))], ids=["large", "many"])
def test_F23_headers_without_measure_are_refused(server: Server, headers: bytes) -> None:
    with ExitStack() as crowd:
        connection = connected(server, crowd, b"GET /login HTTP/1.1\r\nHost: x\r\n")
        try:
            connection.sendall(headers + b"\r\n\r\n")
            answer = connection.recv(100)
        except ConnectionError:
            answer = b""
    assert answer[9:12] in (b"400", b"413", b"431", b"")
    assert signs_in(server)


def test_F23_a_body_without_measure_is_refused_before_it_is_read(server: Server) -> None:
    with ExitStack() as crowd:
        head = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99999999999\r\n\r\na"
        connection = connected(server, crowd, head)
        assert connection.recv(100)[9:12] == b"413"
