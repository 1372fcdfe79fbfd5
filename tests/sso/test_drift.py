"""The drift alarm of the running server: each change is told once, before a sign-in fails, and a warning stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from idp.directory import Directory, DirectoryUnavailable, Drift, Subject
from idp.directory.choice import open_directory
from idp.keys import KeyRing
from idp.secret import Secret
from idp.sso.drift import DriftWatch
from idp.store.sqlite import SqliteStore
from idp.web.home import health_pages
from tests.simulated_imis import SimulatedImis, rest_settings, simulated_imis
from tests.standin import Clock, Events, Members

GONE = Drift("directory.iqa_column_gone", "the IQA $/Sso/Profile has no column Chapter")
PROMPTS = Drift("directory.iqa_prompts", "the IQA $/Sso/Profile has 2 prompts, and parameters has 1")


class Drifting(Members):
    """A directory in which something has changed."""

    def __init__(self) -> None:
        super().__init__(Subject("101", "ada"))
        self.found: list[Drift] = []
        self.looks = 0
        self.is_there = True

    def drift(self) -> list[Drift]:
        self.looks += 1
        if not self.is_there:
            raise DirectoryUnavailable("it is switched off")
        return self.found


class Watched:
    """Two workers over one store."""

    def __init__(self, store: SqliteStore, now: Clock, directory: Directory, *, every: int = 300) -> None:
        self.now = now
        self.audit = Events()
        self.first, self.second = (DriftWatch(directory, store, every=every, audit=self.audit, now=now) for _ in range(2))

    def pass_time(self, seconds: int = 300) -> None:
        self.now.seconds += seconds
        for worker in (self.first, self.second):
            worker.look()

    def told(self) -> list[tuple[str, str]]:
        return [(line["event"], line["cause"]) for line in self.audit.lines]


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, now: Clock) -> SqliteStore:
    return SqliteStore(tmp_path / "store.sqlite", now=now)


@pytest.fixture
def directory() -> Drifting:
    return Drifting()


@pytest.fixture
def watched(store: SqliteStore, now: Clock, directory: Drifting) -> Watched:
    return Watched(store, now, directory)


def test_a_change_is_told_once_and_once_more_when_it_is_over(watched: Watched, directory: Drifting) -> None:
    directory.found = [GONE]
    for _ in range(3):
        watched.pass_time()
    assert watched.told() == [("directory.drift", "directory.iqa_column_gone")]
    assert watched.audit.last["detail"] == GONE.sentence
    directory.found = [GONE, PROMPTS]
    watched.pass_time()
    assert watched.told()[1:] == [("directory.drift", "directory.iqa_prompts")]
    directory.found = []
    for _ in range(3):
        watched.pass_time()
    assert watched.told()[2:] == [("directory.drift_over", "directory.iqa_column_gone"), ("directory.drift_over", "directory.iqa_prompts")]


def test_one_worker_of_all_looks_in_each_period(watched: Watched, directory: Drifting) -> None:
    for _ in range(10):
        watched.pass_time(60)
    assert directory.looks == 2


def test_every_worker_knows_what_one_has_found(watched: Watched, directory: Drifting) -> None:
    directory.found = [GONE]
    watched.pass_time()
    assert watched.first.causes() == watched.second.causes() == ["directory.iqa_column_gone"]


def test_while_imis_does_not_answer_what_is_known_stays_known(watched: Watched, directory: Drifting) -> None:
    directory.found = [GONE]
    watched.pass_time()
    directory.is_there = False
    watched.pass_time()
    assert watched.first.causes() == ["directory.iqa_column_gone"]
    assert len(watched.told()) == 1


def test_it_can_be_switched_off(store: SqliteStore, now: Clock, directory: Drifting) -> None:
    Watched(store, now, directory, every=0).pass_time()
    assert directory.looks == 0


def test_a_directory_without_queries_has_no_drift(store: SqliteStore, now: Clock) -> None:
    watched = Watched(store, now, Members())
    watched.pass_time()
    assert watched.told() == []


def test_drift_is_a_warning_and_the_server_stays_ready(watched: Watched, directory: Drifting, store: SqliteStore, tmp_path: Path) -> None:
    directory.found = [GONE]
    watched.pass_time()
    ring = KeyRing(tmp_path / "keys")
    ring.create_if_empty(common_name="login.assoc.example")
    app = Flask(__name__)
    app.register_blueprint(health_pages(store, ring, watched.first.causes))
    answer = app.test_client().get("/readyz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok", "problems": [], "warnings": ["directory.iqa_column_gone"]})


@pytest.fixture
def imis() -> Iterator[SimulatedImis]:
    with simulated_imis(now=Clock()) as found:
        yield found


def test_a_column_that_vanishes_in_imis_is_told_while_sign_ins_still_work(imis: SimulatedImis, store: SqliteStore, now: Clock) -> None:
    directory = open_directory(rest_settings(imis.url, iqa=[{"path": "$/Sso/Profile", "id_column": "iMIS Id"}]), store=store, now=now)
    watched = Watched(store, now, directory)
    watched.pass_time()
    assert watched.told() == []
    imis.change_query("$/Sso/Profile", "Chapter")
    watched.pass_time()
    assert watched.told() == [("directory.drift", "directory.iqa_column_gone")]
    assert directory.authenticate("ada", Secret("demo")) is not None
