"""Raced tokens on the real server: of 200 who bring one token at once, to four worker processes, one wins. Every time."""

from __future__ import annotations

import base64
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier, local

import pytest
import requests

from tests.server import ROUNDS, Server

TAKERS = 200
MORE = """
[service]
calls_per_minute = 1000000
[clients.lms]
secret = { file = "secret" }
[clients.lms.token]
return_urls = ["http://lms.localhost:9/sso"]
"""

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("race")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "secret").write_text("lms-secret")
    running = Server(tmp_path, workers=4, more=MORE)
    yield running
    running.stop()


def tokens(server: Server) -> Iterator[str]:
    """One member's tokens, a fresh one each time."""
    with requests.Session() as browser:
        page = browser.get(f"{server.url}/login", timeout=20).text
        form_token = re.search(r'name="form_token" value="([^"]*)"', page)
        assert form_token
        browser.post(f"{server.url}/login", data={"username": "ada", "password": "demo", "form_token": form_token[1]}, timeout=20)
        while True:
            found = re.search(r'name="token" value="([^"]*)"', browser.get(f"{server.url}/token/signon?client=lms", timeout=20).text)
            assert found
            yield found[1]


def test_S16_S94_of_200_who_redeem_one_token_at_once_one_wins(server: Server) -> None:
    barrier, own = Barrier(TAKERS), local()
    connections: list[HTTPConnection] = []
    headers = {
        "Authorization": f"Basic {base64.b64encode(b'lms:lms-secret').decode()}",
        "Content-Type": "application/x-www-form-urlencoded",
    }

    def redeem(token: str) -> int:
        if not hasattr(own, "connection"):
            own.connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
            connections.append(own.connection)
        barrier.wait()
        own.connection.request("POST", "/service/redeem", f"token={token}", headers)
        answer = own.connection.getresponse()
        answer.read()
        return int(answer.status)

    fresh = tokens(server)
    with ThreadPoolExecutor(TAKERS) as pool:
        for _ in range(ROUNDS):
            assert Counter(pool.map(redeem, [next(fresh)] * TAKERS)) == {200: 1, 400: TAKERS - 1}
    fresh.close()
    for connection in connections:
        connection.close()
