"""The real server, with several workers and the real store: what it promises about processes, races and restarts."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.bare_browser import REDIRECT_URI, BareBrowser, Relying, saml_path
from tests.process import is_alive
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("server"), workers=4)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def secret(server: Server) -> str:
    server.command("clients", "add", "saml", "--metadata", str(server.folder / "sp.xml"), "--id", "lms")
    added = server.command("clients", "add", "oidc", "--id", "rp", "--redirect-uri", REDIRECT_URI)
    time.sleep(2)  # the promise: running workers know a new client within two seconds
    return str(added["client_secret"])


def test_clients_added_by_the_command_are_known_to_every_running_worker_within_two_seconds(server: Server, secret: str) -> None:
    for _ in range(20):  # new connections fall on all of the four workers
        status, _, _ = BareBrowser(server.port).ask("GET", Relying(BareBrowser(server.port), secret).authorize_path())
        assert status == 302


def test_one_login_serves_saml_and_openid_connect(server: Server, secret: str) -> None:
    browser = BareBrowser(server.port)
    _, location, _ = browser.ask("GET", saml_path(server.url))
    assert "SAMLResponse" in browser.sign_in(location)
    relying = Relying(browser, secret)
    relying.finish(browser.ask("GET", relying.authorize_path())[1])


def test_S16_of_200_parallel_exchanges_of_one_code_over_4_workers_one_wins(server: Server, secret: str) -> None:
    browser = BareBrowser(server.port)
    relying = Relying(browser, secret)
    location = browser.sign_in(browser.ask("GET", relying.authorize_path())[1])
    body = urlencode(relying.exchange(parse_qs(urlsplit(location).query)["code"][0]))
    basic = base64.b64encode(f"rp:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    statuses: list[int] = []
    ready = threading.Barrier(200)

    def exchange() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.connect()
        ready.wait()
        connection.request("POST", "/oauth/token", body, headers)
        statuses.append(connection.getresponse().status)
        connection.close()

    threads = [threading.Thread(target=exchange) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(statuses)) == [200, 400]
    assert statuses.count(200) == 1


def test_an_operator_ends_a_session_while_the_server_runs(server: Server, secret: str) -> None:
    browser = BareBrowser(server.port)
    browser.sign_in("/login")
    before = server.command("sessions", "list", "--user", "ADA")["sessions"]
    assert before
    server.command("sessions", "end", "--user", "ada")
    assert server.command("sessions", "list", "--user", "ada") == {"sessions": []}
    assert "You are signed in" not in browser.ask("GET", "/")[2]


def test_G_S10_no_password_code_token_or_cookie_stands_in_the_log(server: Server, secret: str) -> None:
    browser = BareBrowser(server.port)
    relying = Relying(browser, secret)
    location = browser.sign_in(browser.ask("GET", relying.authorize_path())[1])
    relying.finish(location)
    code = parse_qs(urlsplit(location).query)["code"][0]
    log = server.log()
    assert '"event": "signon.ok"' in log
    for canary in (code, secret, *browser.cookie_values(), *relying.tokens):
        assert canary not in log


def test_F3_sigterm_lets_the_request_in_flight_finish_and_exits_0(tmp_path: Path) -> None:
    server = Server(tmp_path, workers=2)
    children = server.children()
    browser = BareBrowser(server.port)
    browser.sign_in("/login")
    assert server.stop() == 0
    assert not [pid for pid in children if is_alive(pid)], "no worker and no database outlives the server"


def test_F1_a_killed_worker_is_replaced_and_nobody_is_signed_out(tmp_path: Path) -> None:
    server = Server(tmp_path, workers=2)
    try:
        browser = BareBrowser(server.port)
        browser.sign_in("/login")
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 20
        while len(now := set(server.workers()) - {before[0]}) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(now) == 2
        assert "You are signed in" in browser.again().retry_once("GET", "/")[2]
    finally:
        server.kill()  # who has just been started may not hear a SIGTERM yet, and is waited for


def test_when_the_main_process_is_killed_no_process_stays_behind(tmp_path: Path) -> None:
    server = Server(tmp_path, workers=2)
    children = server.children()
    assert len(children) >= 2
    server.kill()
    deadline = time.monotonic() + 20
    while any(is_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in children if is_alive(pid)]


def test_health_says_alive_and_ready(server: Server) -> None:
    browser = BareBrowser(server.port)
    assert browser.ask("GET", "/livez")[0] == 200
    status, _, text = browser.ask("GET", "/readyz")
    assert (status, json.loads(text)["status"]) == (200, "ok")
