"""Keys that change by themselves: published, activated and dropped in their time, by one of all workers, and never too early."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from idp import keys as module
from idp.config import load
from idp.keys import KeyRing, KeySettings, Use
from idp.keys.calendar import Calendar
from idp.keys.folder import locked
from idp.parts import build_parts
from idp.store import Store
from idp.store.sqlite import SqliteStore
from idp.worker import key_calendar
from tests.server import PEOPLE
from tests.standin import Clock, Events

DAY = 86400
SIGNS, SHOWN, KEPT = 90 * DAY, 7 * DAY, 30 * DAY


class House:
    """A key folder, and as many workers as one likes over it."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.folder = folder / "keys"
        self.store: Store = SqliteStore(folder / "store.sqlite3", now=self.clock)
        self.audit = Events()
        self.waiting: Sequence[str] = ()
        self.named: set[str] = set()
        self.ring = KeyRing(self.folder, now=self.clock)
        self.ring.create()

    def worker(self, *uses: Use, folder: Path | None = None, store: Store | None = None, **lives: int) -> Calendar:
        """`lives` in place of the defaults."""
        settings = KeySettings(folder=folder or self.folder, calendar=uses or ("oidc",), **lives)
        ring = KeyRing(settings.folder, retired_life=settings.retired_life, now=self.clock)
        return Calendar(
            settings,
            store or self.store,
            rings={"oidc": ring, "saml": ring.of("saml")},
            common_name="login.example.org",
            named=lambda: self.named,
            waiting=lambda _: self.waiting,
            audit=self.audit,
            now=self.clock,
        )

    def states(self, use: Use = "oidc") -> list[str]:
        return [key.state for key in self.ring.of(use).every]

    def told(self) -> list[str]:
        return [line["event"] for line in self.audit.lines]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(module, "_LOOK_AGAIN", 0.0)  # in place of waiting for a second
    house = House(tmp_path)
    yield house
    house.store.close()


def steps(calendar: Calendar) -> list[str]:
    return [change.step for change in calendar.look()]


def test_F19_S38_a_key_is_published_at_once_signs_in_its_time_and_is_dropped_after_it(house: House) -> None:
    calendar, first = house.worker(), house.ring.current.kid
    assert steps(calendar) == ["publish"]
    second = house.ring.every[1].kid
    house.clock.seconds += SIGNS - 1
    assert steps(calendar) == []
    house.clock.seconds += 1
    assert steps(calendar) == ["activate", "publish"]
    assert house.ring.current.kid == second
    assert house.states() == ["current", "next", "retired"]
    house.clock.seconds += KEPT - 1
    assert steps(calendar) == []
    house.clock.seconds += 1
    assert steps(calendar) == ["retire"]
    assert house.ring.of("saml").current.kid == first, "SAML signs with it still"
    assert len(list(house.folder.glob("*.pem"))) == 3


def test_a_key_that_was_published_late_is_shown_for_its_time_before_it_signs(house: House) -> None:
    house.clock.seconds += 2 * SIGNS
    calendar = house.worker()
    assert steps(calendar) == ["publish"]
    house.clock.seconds += SHOWN - 1
    assert steps(calendar) == []
    house.clock.seconds += 1
    assert steps(calendar)[0] == "activate"


def test_where_nothing_has_a_life_a_key_is_still_shown_for_as_long_as_workers_look_away(house: House) -> None:
    calendar = house.worker(current_life=0, next_life=0)
    assert steps(calendar) == ["publish"]
    house.clock.seconds += 1
    assert steps(calendar) == []
    house.clock.seconds += 1
    assert "activate" in steps(calendar)


def test_each_step_is_an_event_with_its_key_and_the_term_of_who_led(house: House) -> None:
    house.worker().look()
    house.clock.seconds += SIGNS
    house.worker().look()
    kids = [key.kid for key in house.ring.every]
    assert house.told() == ["keys.published", "keys.activated", "keys.published"]
    assert house.audit.lines[1] == {"event": "keys.activated", "use": "oidc", "kind": "rsa", "kid": kids[0], "by": "calendar", "term": 2}


def test_off_by_default_it_does_nothing(house: House, tmp_path: Path) -> None:
    (tmp_path / "people.toml").write_text(PEOPLE)
    (tmp_path / "idp.toml").write_text(
        '[server]\nurl = "https://login.example.org"\n[directory]\nkind = "people"\npeople = "people.toml"\n'
    )
    house.clock.seconds += 10 * SIGNS
    assert key_calendar(build_parts(load(tmp_path / "idp.toml"), house.store, audit=house.audit, now=house.clock)).look() == []
    assert house.states() == ["current"]
    assert house.store.list("lease") == []


def test_the_durations_and_uses_come_from_the_configuration(house: House, tmp_path: Path) -> None:
    (tmp_path / "people.toml").write_text(PEOPLE)
    (tmp_path / "idp.toml").write_text(
        '[server]\nurl = "https://login.example.org"\n[directory]\nkind = "people"\npeople = "people.toml"\n'
        '[keys]\ncalendar = ["oidc"]\ncurrent_life = "20s"\nnext_life = "10s"\n'
    )
    calendar = key_calendar(build_parts(load(tmp_path / "idp.toml"), house.store, audit=house.audit, now=house.clock))
    assert (steps(calendar), calendar.pause) == (["publish"], 2.5)
    house.clock.seconds += 20
    assert steps(calendar) == ["activate", "publish"]
    assert house.states("saml") == ["current"]


def test_every_kind_that_signs_has_its_own_calendar_and_no_other_kind_has_one(house: House) -> None:
    house.ring.publish("p-256")
    house.ring.activate("p-256")
    house.ring.publish("ed25519")
    calendar = house.worker()
    assert steps(calendar) == ["publish", "publish"]
    house.clock.seconds += SIGNS
    assert sorted(change.kind for change in calendar.look() if change.step == "activate") == ["p-256", "rsa"]


def test_what_an_operator_does_by_hand_is_where_the_calendar_goes_on(house: House) -> None:
    calendar = house.worker()
    calendar.look()
    house.clock.seconds += SIGNS - 5
    house.ring.activate()
    house.clock.seconds += 10
    assert steps(calendar) == ["publish"]
    assert house.clock() - house.ring.current.since == 10


def test_a_retired_key_that_a_client_names_keeps_its_file(house: House) -> None:
    calendar = house.worker("oidc", "saml")
    named = house.ring.current.kid
    house.named = {named}
    calendar.look()
    house.clock.seconds += SIGNS
    calendar.look()
    house.clock.seconds += KEPT
    assert steps(calendar) == ["retire", "retire"]
    assert named not in [key.kid for key in house.ring.every]
    assert house.ring.named(named).kid == named


def test_only_the_retired_key_whose_time_is_over_is_dropped(house: House) -> None:
    calendar = house.worker(current_life=KEPT - DAY)
    for _ in range(2):
        calendar.look()
        house.clock.seconds += KEPT - DAY
    assert "activate" in steps(calendar)
    house.clock.seconds += DAY
    assert steps(calendar) == ["retire"]
    assert house.states() == ["current", "next", "retired"]


def test_of_two_workers_one_leads_and_the_other_follows_when_it_is_gone(house: House) -> None:
    first, second = house.worker(), house.worker()
    assert steps(first) == ["publish"]
    house.clock.seconds += SIGNS
    first.look()
    assert steps(second) == []
    house.clock.seconds += SIGNS
    assert "activate" in steps(second)
    assert {line["term"] for line in house.audit.lines} == {1, 2}


class Paused:
    """A store whose caller is stopped right before the store is asked for the lease the second time in a look."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked = 0
        self.meanwhile: Callable[[], object] = lambda: None

    def __getattr__(self, verb: str) -> object:
        method = getattr(self._store, verb)

        def ask(kind: str, *arguments: object, **keywords: object) -> object:
            if (verb, kind) == ("get", "lease"):
                self.asked += 1
                if self.asked == 2:
                    self.meanwhile()
            return method(kind, *arguments, **keywords)

        return ask


def test_F19_a_leader_that_was_paused_before_it_wrote_writes_nothing(house: House) -> None:
    """The other one leads by then; the folder's lock, which the paused one holds, is not waited for."""
    paused = Paused(house.store)
    old, new = house.worker(store=paused), house.worker()  # type: ignore[arg-type]  # it hands on whatever it is asked
    done: list[list[str]] = []

    def pause() -> None:
        house.clock.seconds += DAY
        done.append(steps(new))

    paused.meanwhile = pause
    assert steps(old) == []
    assert done == [[]]
    assert house.states() == ["current"]
    assert steps(new) == ["publish"]
    assert house.told() == ["keys.published"]


def test_F19_of_sixteen_workers_that_look_at_once_one_takes_each_step(house: House) -> None:
    barrier = threading.Barrier(16)

    def look(worker: Calendar) -> None:
        barrier.wait()
        worker.look()

    workers = [house.worker() for _ in range(16)]
    with ThreadPoolExecutor(16) as threads:
        for _ in range(4):
            list(threads.map(look, workers))
            house.clock.seconds += SIGNS
        list(threads.map(look, workers))
    assert house.told().count("keys.activated") == len({line["kid"] for line in house.audit.of("keys.activated")})
    assert house.states().count("current") == 1
    assert house.states().count("next") == 1


def test_who_finds_the_folder_locked_comes_again(house: House) -> None:
    calendar = house.worker()
    with locked(house.folder):
        assert steps(calendar) == []
    assert steps(calendar) == ["publish"]


def test_G_R7_no_key_signs_that_another_worker_does_not_publish(house: House, tmp_path: Path) -> None:
    """The other instance has a copy of the folder in place of the folder itself."""
    (tmp_path / "copy").mkdir(mode=0o700)
    for file in house.folder.iterdir():
        (tmp_path / "copy" / file.name).write_bytes(file.read_bytes())
        (tmp_path / "copy" / file.name).chmod(0o600)
    here, there = house.worker(), house.worker(folder=tmp_path / "copy")
    here.look()
    house.clock.seconds += SIGNS - 60
    for _ in range(15):
        here.look()
        there.look()
        house.clock.seconds += 60
    assert "keys.activated" not in house.told()
    assert [line["cause"] for line in house.audit.of("keys.calendar_waits")] == ["keys.folder_differs"], "once, not every minute"
    house.clock.seconds += 3600
    assert steps(here) == ["activate", "publish"], "the other instance is gone"


def test_saml_waits_until_every_application_has_fetched_the_next_key(house: House) -> None:
    calendar = house.worker("saml")
    house.waiting = ["lms"]
    calendar.look()
    house.clock.seconds += SIGNS
    assert steps(calendar) == []
    house.clock.seconds += 600
    for _ in range(2):
        calendar.look()
    assert [line["clients"] for line in house.audit.of("keys.calendar_waits")] == [["lms"]]
    house.waiting = ()
    assert steps(calendar) == ["activate", "publish"]
    assert house.states("oidc") == ["current"]
