"""/statusz: what an operator looks for first when members call. Who may read it, and the rest, is in test_operator.py."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from idp.app import create_app_of
from idp.config import load
from idp.directory import DirectoryUnavailable
from idp.keys import KeyRing
from idp.parts import Parts, build_parts
from idp.sso.session import Participant, Session
from idp.store import Store
from idp.store.mongo import MongoStore
from idp.store.sqlite import SqliteStore
from tests.port import free_port

CONFIG = """
[server]
url = "https://login.example.org"
[operators]
networks = ["127.0.0.1"]
{keys}
[directory]
kind = "several"
[directory.named.members]
kind = "imis-rest"
site_url = "http://127.0.0.1:{port}"
allow_http = true
service_username = "sso"
service_password = {{ file = "word" }}
[directory.named.staff]
prefix = "staff:"
kind = "imis-soap"
site_url = "http://127.0.0.1:{port}"
allow_http = true
"""


class Service:
    """Ours, before an iMIS that is not there."""

    def __init__(self, folder: Path, *, keys: str = "", store: Store | None = None) -> None:
        (folder / "word").write_text("a password")
        (folder / "idp.toml").write_text(CONFIG.format(port=free_port(), keys=keys))
        loaded = load(folder / "idp.toml", {})
        self.ring = KeyRing(loaded.config.keys.folder)
        self.ring.create_if_empty()
        self.store = store or SqliteStore(folder / "store.sqlite")
        self.parts: Parts = build_parts(loaded, self.store)
        self.app: Flask = create_app_of(self.parts)

    def page(self) -> str:
        return self._read("/statusz")

    def figures(self) -> str:
        return self._read("/metrics")

    def _read(self, path: str) -> str:
        return self.app.test_client().get(path, base_url="https://login.example.org").text

    def let_it_fail(self, times: int = 10) -> None:
        for _ in range(times):
            with contextlib.suppress(DirectoryUnavailable):
                self.parts.directory.find("101")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    yield made
    made.store.close()


def test_5_2_the_page_tells_of_each_directory_whether_its_breaker_is_open(service: Service) -> None:
    before = service.page()
    assert "All is well" in before
    assert before.count("circuit breaker of this worker: closed") == 2
    service.let_it_fail()
    page = service.page()
    assert "Something is wrong" in page
    assert "directory.unavailable" in page
    for line in ('<span>members: REST</span><span class="state">circuit breaker of this worker: open', "<span>staff: SOAP</span>"):
        assert line in page
    assert page.count("circuit breaker of this worker: closed") == 1
    assert 'idp_directory_open{line="members: REST"} 1.0' in service.figures()
    assert 'idp_directory_open{line="staff: SOAP"} 0.0' in service.figures()


def test_the_page_tells_how_many_logout_notices_wait(service: Service) -> None:
    now = service.parts.now()
    session = Session("s1", "101", "ada", auth_time=now, login_id="l", ends=now + 60, last_seen=now)
    service.parts.logout.notices.put(session, Participant("lms", "token"), run_id="r", cause="http.500")
    assert '<span>logout notices that wait</span><span class="state">1</span>' in service.page()


def test_F7_without_a_store_the_page_still_tells_of_directory_and_keys(tmp_path: Path) -> None:
    service = Service(tmp_path, store=MongoStore("mongodb://127.0.0.1:1/", timeout=200))
    page = service.page()
    for text in ("store.unavailable", "does not answer", "circuit breaker of this worker: closed", service.ring.current.kid):
        assert text in page
    service.store.close()


def test_the_page_tells_when_keys_will_change_and_how(tmp_path: Path) -> None:
    by_hand = Service(tmp_path)
    by_hand.ring.publish()
    assert "No calendar changes keys" in by_hand.page()
    by_hand.store.close()
    by_itself = Service(tmp_path, keys='[keys]\ncalendar = ["oidc"]\ncurrent_life = "90d"')
    due = by_itself.ring.current.since + 90 * 86400
    kid = by_itself.ring.publish().kid
    page = by_itself.page()
    assert f"oidc: activate <code>{kid}</code> (rsa)" in page
    (line,) = [each for each in by_itself.figures().splitlines() if each.startswith("idp_key_change_seconds")]
    assert float(line.rpartition(" ")[2]) == due
    by_itself.store.close()
