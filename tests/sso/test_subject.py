"""How old a member's data may be, and that nobody who is signed in waits for a slow directory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from idp.directory import DirectoryUnavailable, Subject
from idp.secret import Secret
from idp.sso.subject import FreshnessSettings, Subjects
from idp.store import Store

from .conftest import MakeHouse
from .echo import ask, make_client
from .house import ADA, BEN, BROWSER, Clock, Events, at_once, url_of


class SlowDirectory:
    """A `Directory` that answers when it is let."""

    def __init__(self) -> None:
        self.by_id = {ADA.id: ADA, BEN.id: BEN}
        self.answers = threading.Event()
        self.asked: list[str] = []

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        raise NotImplementedError

    def find(self, subject_id: str) -> Subject | None:
        self.asked.append(subject_id)
        if not self.answers.wait(10):
            raise DirectoryUnavailable("it slept")
        return self.by_id.get(subject_id)

    def check(self) -> str:
        return "slow"


class Scene:
    """Subjects over a slow directory, Ada remembered."""

    def __init__(self, store: Store, now: Clock) -> None:
        self.directory = SlowDirectory()
        self.audit = Events()
        self.gone: list[str] = []
        self.now = now
        self.subjects = Subjects(self.directory, store, FreshnessSettings(), audit=self.audit, now=now, gone=self.gone.append)
        self.subjects.remember(ADA)
        self.subjects.remember(BEN)


@pytest.fixture
def scene(store: Store, now: Clock) -> Scene:
    return Scene(store, now)


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it becomes true; for what another thread does."""
    for _ in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_up_to_five_minutes_nobody_is_asked(scene: Scene) -> None:
    scene.now.time += 299
    assert scene.subjects.current("101") == ADA
    assert scene.directory.asked == []


def test_G_R5_an_answer_does_not_wait_for_a_slow_directory(scene: Scene) -> None:
    scene.now.time += 300
    assert scene.subjects.current("101") == ADA, "from the store, while the directory is still thinking"
    assert not scene.directory.answers.is_set()
    assert scene.subjects.current("101") == ADA
    scene.directory.answers.set()


def test_at_most_one_question_for_a_member_is_under_way(scene: Scene) -> None:
    scene.now.time += 300
    at_once(8, lambda _: scene.subjects.current("101"))
    assert soon(lambda: bool(scene.directory.asked))
    assert scene.directory.asked == ["101"]
    scene.directory.answers.set()


def test_workers_do_not_stampede(scene: Scene, store: Store, now: Clock) -> None:
    other = Subjects(scene.directory, store, FreshnessSettings(), audit=scene.audit, now=now)
    now.time += 300
    scene.subjects.current("101")
    other.current("101")
    assert soon(lambda: bool(scene.directory.asked))
    assert scene.directory.asked == ["101"], "the lease is in the store, which all workers share"
    scene.directory.answers.set()


def test_a_quick_directory_is_believed_at_once(scene: Scene) -> None:
    scene.directory.answers.set()
    scene.directory.by_id["101"] = Subject("101", "ada", {"email": ("new@assoc.example",)})
    scene.now.time += 300
    assert scene.subjects.current("101") == scene.directory.by_id["101"]


def test_S49_a_slow_answer_that_a_member_is_gone_ends_their_sessions_when_it_comes(scene: Scene) -> None:
    del scene.directory.by_id["101"]
    scene.now.time += 300
    assert scene.subjects.current("101") == ADA
    assert scene.gone == []
    scene.directory.answers.set()
    assert soon(lambda: scene.gone == ["101"])


def test_S49_a_disabled_login_is_gone_for_whoever_asks_next(scene: Scene) -> None:
    scene.directory.by_id["101"] = Subject("101", "ada", ADA.attributes, active=False)
    scene.directory.answers.set()
    scene.now.time += 300
    assert scene.subjects.current("101") is None
    assert scene.gone == [], "whoever asked ends the sessions before it answers"


def test_a_clients_max_age_waits_for_the_directory(scene: Scene) -> None:
    scene.directory.by_id["101"] = Subject("101", "ada", {"email": ("new@assoc.example",)})
    scene.now.time += 61
    threading.Timer(0.4, scene.directory.answers.set).start()
    found = scene.subjects.current("101", max_age=60)
    assert found is not None
    assert found.attributes == {"email": ("new@assoc.example",)}


def test_a_clients_max_age_says_no_rather_than_use_what_is_older(make_house: MakeHouse, now: Clock) -> None:
    house = make_house(make_client("lms", max_age=60), make_client("shop"))
    session = house.session()
    house.members.is_there = False
    now.time += 61
    with pytest.raises(DirectoryUnavailable):
        house.signon.start(ask("lms"), BROWSER, session)
    assert "shop.example" in url_of(house.signon.start(ask("shop"), BROWSER, session))


def test_after_a_failure_the_next_try_waits_half_a_minute(make_house: MakeHouse, now: Clock) -> None:
    house = make_house(make_client("lms"))
    session = house.session()
    house.members.is_there = False
    now.time += 300
    for _ in range(3):
        house.signon.start(ask("lms"), BROWSER, session)
    assert len(house.audit.of("directory.stale_used")) == 1
    now.time += 30
    house.signon.start(ask("lms"), BROWSER, session)
    assert len(house.audit.of("directory.stale_used")) == 2
