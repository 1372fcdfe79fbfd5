"""kill -9, again and again: of a worker, of the server, of everything with its database. Nobody is signed out (F1, F2)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.bare_browser import BareBrowser
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]

ROUNDS = int(os.environ.get("KILL_ROUNDS", "3"))
"""KILL_ROUNDS=50 takes ten minutes."""
SESSIONS = int(os.environ.get("KILL_SESSIONS", "200"))
FRESH = SESSIONS // 10
"""As many browsers sign in anew in each round, the last of them at the moment before."""


def a_worker(server: Server) -> None:
    """The others go on, and it is replaced."""
    os.kill(server.workers()[0], signal.SIGKILL)


def the_server(server: Server) -> None:
    server.kill()
    server.start()


def everything(server: Server) -> None:
    """The database, too, so that it has no time to end in good order."""
    for process in [server.process.pid, *server.children()]:
        os.kill(process, signal.SIGKILL)
    server.process.wait(10)
    server.start()


DEEDS = (a_worker, the_server, everything)


def signed_in(server: Server) -> BareBrowser:
    browser = BareBrowser(server.port)
    browser.sign_in("/login")
    return browser


def test_F1_F2_kill_9_loses_no_session(tmp_path: Path) -> None:
    server = Server(tmp_path, workers=2)
    lost: dict[str, int] = {}
    looked = 0
    try:
        browsers = [signed_in(server) for _ in range(SESSIONS - FRESH)]
        for number in range(ROUNDS):
            fresh = [signed_in(server) for _ in range(FRESH)]
            browsers = [*browsers[-(SESSIONS - FRESH) :], *fresh]
            deed = DEEDS[number % len(DEEDS)]
            deed(server)
            pages = [browser.again().retry_once("GET", "/")[2] for browser in browsers]
            gone = sum("You are signed in" not in page for page in pages)
            looked += len(pages)
            lost[deed.__name__] = lost.get(deed.__name__, 0) + gone
        print(f"{ROUNDS} rounds, {looked} looks at {SESSIONS} sessions, lost: {lost}")
        assert not any(lost.values())
    finally:
        server.stop()
