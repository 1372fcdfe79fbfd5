"""Refresh tokens on the real server: 200 parallel refreshes over 4 workers, one rotation."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.bare_browser import REDIRECT_URI, BareBrowser, Relying
from tests.server import ROUNDS, Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]

CALLERS = 200
CLIENT = """
[clients.{id}]
secret_sha256 = ["{digest}"]
[clients.{id}.oidc]
redirect_uris = ["{uri}"]
grant_types = ["authorization_code", "refresh_token"]
scopes = ["openid", "profile", "offline_access"]
tokens = {{ replay_window = {window} }}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    digest = hashlib.sha256(b"race").hexdigest()
    clients = [CLIENT.format(id=name, digest=digest, uri=REDIRECT_URI, window=window) for name, window in (("rp", 30), ("strict", 0))]
    running = Server(tmp_path_factory.mktemp("race"), workers=4, more="".join(clients))
    yield running
    running.stop()


def post(server: Server, fields: dict[str, str], client: str = "rp") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    return send(connection, fields, client)


def send(connection: http.client.HTTPConnection, fields: dict[str, str], client: str) -> tuple[int, dict[str, Any]]:
    basic = base64.b64encode(f"{client}:race".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/oauth/token", urlencode(fields), headers)
    response = connection.getresponse()
    told = json.loads(response.read())
    connection.close()
    return response.status, told


def at_once(server: Server, fields: dict[str, str], client: str, count: int = CALLERS) -> list[tuple[int, dict[str, Any]]]:
    answers: list[tuple[int, dict[str, Any]]] = []
    ready = threading.Barrier(count)

    def call() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.connect()
        ready.wait()
        answers.append(send(connection, fields, client))

    run_all(call, count)
    return answers


def run_all(call: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def first_token(server: Server, client: str) -> str:
    browser = BareBrowser(server.port)
    relying = Relying(browser, "race")
    path = relying.authorize_path().replace("client_id=rp", f"client_id={client}").replace("scope=", "scope=offline_access+")
    code = parse_qs(urlsplit(browser.sign_in(browser.ask("GET", path)[1])).query)["code"][0]
    status, told = post(server, relying.exchange(code), client)
    assert status == 200, told
    return str(told["refresh_token"])


def test_S23_V40_of_200_parallel_refreshes_over_4_workers_one_rotates(server: Server) -> None:
    """Within the replay window all hear the same successor: there is one, so one of them rotated."""
    token = first_token(server, "rp")
    for _ in range(ROUNDS):
        answers = at_once(server, {"grant_type": "refresh_token", "refresh_token": token}, "rp")
        assert {status for status, _ in answers} == {200}, [told for status, told in answers if status != 200][:1]
        successors = {told["refresh_token"] for _, told in answers}
        assert len(successors) == 1
        assert successors != {token}
        token = successors.pop()


def test_S23_V40_without_a_replay_window_one_of_200_wins_and_the_family_ends(server: Server) -> None:
    for _ in range(ROUNDS):
        token = first_token(server, "strict")
        answers = at_once(server, {"grant_type": "refresh_token", "refresh_token": token}, "strict")
        winners = [told for status, told in answers if status == 200]
        assert len(winners) == 1
        assert {told["error"] for status, told in answers if status != 200} == {"invalid_grant"}
        for won in winners:
            assert post(server, {"grant_type": "refresh_token", "refresh_token": won["refresh_token"]}, "strict")[0] == 400
