"""A disk that is full, under the store and under the log: who is signed in stays so, a new sign-in is told why not (F9, F10)."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from idp.store import StoreUnavailable
from tests.bare_browser import BareBrowser
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]
SENTENCE = str(StoreUnavailable("").message)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, workers=1, more=f'[store]\nurl = "sqlite://{tmp_path}/idp.sqlite"\n')
    yield running
    running.stop()


@contextmanager
def full_disk(server: Server) -> Iterator[None]:
    """No process of the server may write to any file: neither to the store's, nor to the log, which its standard error is."""
    processes = [server.process.pid, *server.workers()]
    for pid in processes:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in processes:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def signs_in(server: Server) -> tuple[int, str]:
    """Status and text of what follows the password."""
    browser = BareBrowser(server.port)
    fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', browser.ask("GET", "/login")[2]))
    status, onward, text = browser.ask("POST", "/login", urlencode({**fields, "username": "ada", "password": "demo"}))
    return (status, text) if not onward else browser.ask("GET", "/")[::2]


def test_F9_F10_while_the_disk_is_full_who_is_signed_in_stays_so_and_a_sign_in_says_why_not(server: Server) -> None:
    member = BareBrowser(server.port)
    member.sign_in("/login")
    processes, written = server.workers(), server.log()
    with full_disk(server):
        for _ in range(3):
            assert "You are signed in" in member.again().ask("GET", "/")[2]
            status, text = signs_in(server)
            assert (status, SENTENCE in text, "Reference" in text) == (503, True, True)
        assert server.log() == written, "the disk of the log was full, too"
    assert "You are signed in" in signs_in(server)[1]
    assert "You are signed in" in member.again().ask("GET", "/")[2]
    assert server.workers() == processes, "nothing was restarted"
