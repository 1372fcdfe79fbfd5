"""The database stops answering, is killed or slow, under a running server: pages say so, and all goes on by itself afterwards (F7, F8).

A replica set's own fail-over is test_replica_set.py; here there is one database and nobody to take over.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pymongo import MongoClient

from idp.store import StoreUnavailable
from idp.store.embedded import EmbeddedMongod
from tests.bare_browser import REDIRECT_URI, BareBrowser, Relying
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]
SENTENCE = StoreUnavailable("").message
CONFIG = '[store]\nurl = "{uri}"\ntimeout = 1000\n'
COMMANDS = ["find", "insert", "update", "findAndModify", "delete"]


@dataclass
class Outage:
    """A server over a database that a test may take away."""

    database: EmbeddedMongod
    server: Server

    def stop(self) -> None:
        """It hears everything and answers nothing."""
        os.kill(self.database.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.database.pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(self.database.pid, signal.SIGKILL)

    def begin_again(self) -> None:
        """On the same folder."""
        self.database.start()

    @contextmanager
    def slow(self, milliseconds: int) -> Iterator[None]:
        """Every command of ours takes so long."""
        point = {"failCommands": COMMANDS, "blockConnection": True, "blockTimeMS": milliseconds, "appName": "idp"}
        with MongoClient[dict[str, Any]](self.database.uri) as client:
            client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=point)
            yield
            client.admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.fixture(scope="module")
def outage(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outage]:
    with EmbeddedMongod(tmp_path_factory.mktemp("database"), parameters={"enableTestCommands": "1"}) as database:
        server = Server(tmp_path_factory.mktemp("server"), workers=2, more=CONFIG.format(uri=database.uri))
        yield Outage(database, server)
        server.stop()


WAYS: dict[str, tuple[Callable[[Outage], None], Callable[[Outage], None]]] = {
    "silent": (Outage.stop, Outage.go_on),
    "killed": (Outage.kill, Outage.begin_again),
}


def readiness(server: Server) -> tuple[int, list[str]]:
    status, _, text = BareBrowser(server.port).ask("GET", "/readyz")
    return status, json.loads(text)["problems"]


def until(condition: Callable[[], bool], seconds: float = 60) -> float:
    """Seconds until it came true."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.05)
    return time.monotonic() - begun


def page(browser: BareBrowser, server: Server, path: str, form: str = "") -> tuple[int, str | None, str]:
    """Status, Retry-After and text."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    headers = {**browser.cookie_header, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST" if form else "GET", path, form or None, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, answer.headers["Retry-After"], text


@pytest.mark.parametrize("way", WAYS)
def test_F7_without_the_database_pages_say_so_and_all_goes_on_when_it_is_back(outage: Outage, way: str) -> None:
    take_away, bring_back = WAYS[way]
    server = outage.server
    processes = {server.process.pid, *server.workers()}
    member = BareBrowser(server.port)
    member.sign_in("/login")
    visitor, stranger = BareBrowser(server.port), BareBrowser(server.port)
    fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', visitor.ask("GET", "/login")[2]))
    form = urlencode({**fields, "username": "ada", "password": "demo"})
    asks = Relying(member, "x").authorize_path()
    take_away(outage)
    try:
        until(lambda: readiness(server) == (503, ["store.unavailable"]))
        assert page(visitor, server, "/livez")[0] == 200
        asked = ((member, "/login", ""), (member, "/", ""), (member, asks, ""), (visitor, "/login", form), (stranger, "/login", ""))
        for browser, path, body in asked:
            status, retry_after, text = page(browser, server, path, body)
            assert (status, SENTENCE in text, "Reference" in text) == (503, True, True), path
            assert ("Try again" in text) != ('name="password"' in text), f"{path}: a way on, without the back button"
            assert retry_after is not None
            assert 0 < int(retry_after) <= 120
    finally:
        bring_back(outage)
    seconds = until(lambda: readiness(server) == (200, []))
    print(f"{way}: ready again {seconds:.1f} s after the database")
    assert "You are signed in" in member.again().ask("GET", "/")[2]
    status, retry_after, text = page(stranger, server, "/login")
    assert (status, retry_after, SENTENCE in text) == (200, None, False)
    late = BareBrowser(server.port)
    late.sign_in("/login")
    assert "You are signed in" in late.ask("GET", "/")[2]
    assert {server.process.pid, *server.workers()} == processes, "nothing was restarted"


def test_F8_while_the_database_takes_too_long_everybody_is_told_so_and_no_request_is_kept_behind_it(outage: Outage) -> None:
    """Each command takes twice the deadline of a verb, for three times as many visitors as may wait."""
    server = outage.server
    processes = {server.process.pid, *server.workers()}
    members = [BareBrowser(server.port) for _ in range(8)]
    for member in members:
        member.sign_in("/login")
    with outage.slow(2000), ThreadPoolExecutor(160) as pool:
        came = list(pool.map(lambda number: page(members[number % 8], server, "/"), range(160)))
        assert page(members[0], server, "/livez")[0] == 200
    assert {status for status, _, _ in came} == {503}
    assert all(retry_after is not None and "Reference" in text for _, retry_after, text in came)
    shed = sum(SENTENCE not in text for _, _, text in came)
    print(f"slow: {len(came) - shed} were told of the database, {shed} that too many come at once")
    assert all("You are signed in" in member.again().ask("GET", "/")[2] for member in members)
    assert {server.process.pid, *server.workers()} == processes, "nothing was restarted"


def test_F7_an_application_that_asks_meanwhile_is_told_to_come_back(outage: Outage) -> None:
    """A machine reads the status and Retry-After."""
    secret = str(outage.server.command("clients", "add", "oidc", "--id", "rp", "--redirect-uri", REDIRECT_URI)["client_secret"])
    relying = Relying(BareBrowser(outage.server.port), secret)
    outage.stop()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", outage.server.port, timeout=30)
        body = "grant_type=authorization_code&code=x&redirect_uri=https://rp.example.org/cb"
        headers = {**relying.credentials, "Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/oauth/token", body, headers)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Retry-After"] is not None) == (503, True)
        connection.close()
    finally:
        outage.go_on()
    until(lambda: readiness(outage.server) == (200, []))
