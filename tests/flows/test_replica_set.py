"""Two instances of ours over a replica set of three: fail-over, an outage, and a rolling restart (F3, F4, F6, F7)."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from idp.store import StoreUnavailable
from tests.bare_browser import REDIRECT_URI, BareBrowser, Relying, saml_path
from tests.flows.replica import Balanced, ReplicaSet, SecondInstance
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]
SENTENCE = str(StoreUnavailable("").message)


@pytest.fixture(scope="module")
def replicas(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    running = ReplicaSet(mongod, tmp_path_factory.mktemp("replicas"))
    yield running
    running.kill_all()


@pytest.fixture(scope="module")
def first(replicas: ReplicaSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(tmp_path_factory.mktemp("instances"), workers=1, more=f'[store]\nurl = "{replicas.url}"\n')
    yield running
    running.stop()


@pytest.fixture(scope="module")
def second(first: Server) -> Iterator[SecondInstance]:
    running = SecondInstance(first)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def secret(first: Server) -> str:
    first.command("clients", "add", "saml", "--metadata", str(first.folder / "sp.xml"), "--id", "lms")
    added = first.command("clients", "add", "oidc", "--id", "rp", "--redirect-uri", REDIRECT_URI)
    time.sleep(2)  # the promise: running workers know a new client within two seconds
    return str(added["client_secret"])


class Crowd:
    """Threads that do a thing again and again until they are told to stop. `gap` is the longest time without a success."""

    def __init__(self, deed: Callable[[], None], *, size: int = 3) -> None:
        self.done: list[float] = []
        self.failed: list[str] = []
        self._deed = deed
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._work) for _ in range(size)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._over.is_set():
            try:
                self._deed()
            except Exception as error:
                self.failed.append(f"{type(error).__name__}: {str(error)[:200]}")
            else:
                self.done.append(time.monotonic())

    @property
    def gap(self) -> float:
        moments = sorted(self.done)
        return max(later - earlier for earlier, later in pairwise(moments))

    def wait_for(self, more: int) -> None:
        """Until so many more successes were had."""
        goal, ending = len(self.done) + more, time.monotonic() + 40
        while len(self.done) < goal and time.monotonic() < ending:
            time.sleep(0.05)
        assert len(self.done) >= goal, self.failed[-3:]


def status_of(server: Server, path: str) -> tuple[int, str]:
    status, _, text = BareBrowser(server.port).ask("GET", path)
    return status, text


def until(condition: Callable[[], bool], seconds: float = 30) -> float:
    """Seconds until it came true."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds
        time.sleep(0.05)
    return time.monotonic() - begun


def test_F4_a_login_begun_on_one_instance_finishes_on_the_other(first: Server, second: SecondInstance, secret: str) -> None:
    browser = Balanced([first.port, second.port])
    assert "SAMLResponse" in browser.sign_in(browser.ask("GET", saml_path(first.url))[1])
    relying = Relying(browser, secret)
    relying.finish(browser.ask("GET", relying.authorize_path())[1])


def test_F6_when_the_primary_is_killed_no_session_is_lost_and_no_code_is_spent_twice(
    replicas: ReplicaSet, first: Server, second: SecondInstance, secret: str
) -> None:
    browsers = [Balanced([first.port, second.port]) for _ in range(20)]
    for browser in browsers:
        browser.sign_in("/login")
    winners: list[int] = []
    turn = threading.local()

    def spend_one_code_twice() -> None:
        if not hasattr(turn, "browser"):
            turn.browser = Balanced([first.port, second.port])
            turn.browser.sign_in("/login")
        winners.append(spend_twice(turn.browser, secret, [first.port, second.port]))
        assert winners[-1] == 1

    with Crowd(spend_one_code_twice) as crowd:
        crowd.wait_for(20)
        replicas.kill(replicas.primary())
        crowd.wait_for(20)
    replicas.start()
    print(f"codes {len(winners)}, failures {crowd.failed}, longest gap {crowd.gap:.1f} s")
    assert max(winners) == 1
    assert sum("You are signed in" in browser.ask("GET", "/")[2] for browser in browsers) == 20


def spend_twice(browser: BareBrowser, secret: str, ports: list[int]) -> int:
    """How often one code could be exchanged by two requests at once, one to each instance."""
    relying = Relying(browser, secret)
    location = browser.ask("GET", relying.authorize_path())[1]
    body = urlencode(relying.exchange(parse_qs(urlsplit(location).query)["code"][0]))
    basic = base64.b64encode(f"rp:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    statuses: list[int] = []

    def exchange(port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/oauth/token", body, headers)
        statuses.append(connection.getresponse().status)
        connection.close()

    threads = [threading.Thread(target=exchange, args=(port,)) for port in ports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses.count(200)


def test_F7_while_the_store_is_gone_we_say_so_and_go_on_by_ourselves_when_it_is_back(
    replicas: ReplicaSet, first: Server, secret: str
) -> None:
    browser = BareBrowser(first.port)
    browser.sign_in("/login")
    process = first.process.pid
    replicas.kill_all()
    try:
        until(lambda: status_of(first, "/readyz")[0] == 503)
        assert status_of(first, "/livez")[0] == 200
        assert json.loads(status_of(first, "/readyz")[1])["problems"] == ["store.unavailable"]
        for path in ("/login", "/"):
            status, _, text = browser.again().ask("GET", path)
            assert (status, "This did not work" in text, "Reference" in text) == (503, True, True)
            assert SENTENCE in text
    finally:
        replicas.start()
    replicas.primary()
    print(f"ready again {until(lambda: status_of(first, '/readyz')[0] == 200):.1f} s after the store")
    assert "You are signed in" in browser.again().ask("GET", "/")[2]
    assert first.process.pid == process


def test_F3_F4_a_rolling_restart_fails_no_request(replicas: ReplicaSet, first: Server, second: SecondInstance, secret: str) -> None:
    replicas.primary()

    def sign_on() -> None:
        browser = Balanced([first.port, second.port])
        assert "SAMLResponse" in browser.sign_in(browser.ask("GET", saml_path(first.url))[1])

    with Crowd(sign_on) as crowd:
        for instance in (first, second):
            crowd.wait_for(10)
            assert instance.stop() == 0
            crowd.wait_for(10)
            instance.start()
        crowd.wait_for(10)
    print(f"{len(crowd.done)} sign-ons, longest gap {crowd.gap:.1f} s")
    assert crowd.failed == []
