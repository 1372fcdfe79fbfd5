"""A change of key while a server with several workers serves: each worker follows, and nobody starts anything anew."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Server

WORKERS = 3


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path, workers=WORKERS)
    try:
        yield server
    finally:
        server.stop()


def read(server: Server) -> str:
    """By a connection of its own, so that any worker may answer."""
    with urllib.request.urlopen(f"{server.url}/saml/metadata", timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def signers(server: Server, wanted: str) -> set[str]:
    """The certificates that thirty answers are signed with (they come first), once all are the wanted one, or after five seconds."""
    until = time.monotonic() + 5
    while True:
        found = {read(server).partition("<ds:X509Certificate>")[2].partition("<")[0] for _ in range(30)}
        if found == {wanted} or time.monotonic() > until:
            return found
        time.sleep(0.1)


@pytest.mark.long
def test_F19_S38_every_worker_follows_each_step_of_a_change_of_key(server: Server) -> None:
    before = server.command("keys", "rotate", "saml")["keys"]
    old, following = (each["certificate"] for each in before)
    assert all(each in read(server) for each in (old, following)), "the first start prepares a next key"
    server.command("keys", "rotate", "saml", "--activate")
    assert signers(server, following) == {following}
    assert server.command("keys", "rotate", "saml", "--retire")["retired"] == [before[0]["kid"]]
    until = time.monotonic() + 5
    while old in read(server) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(old in read(server) for _ in range(30))
