"""The session machine over the whole application in this process, with a clock that the machine moves (idp/sso/README.md).

MACHINE_STEPS=50000 makes a long run of that many steps, each run another one; MACHINE_SEED=7 makes it one certain run, which says its
seed. MACHINE_SHRINK=1 looks for the shortest way to a failure, for minutes.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar, TypeVar, cast

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from idp.app import create_app_of
from idp.config import load
from idp.keys import KeyRing
from idp.parts import Parts, build_parts
from idp.secret import new_id
from idp.sso.expiry import Expiry
from idp.sso.notice import BackChannel, Outcome
from idp.store import Store
from idp.store.sqlite import SqliteStore
from tests.machine.interleaved import InterleavedStore
from tests.machine.race import RaceMachine
from tests.machine.world import MEMBERS, SECRET, Reply, clients_table, people_table
from tests.standin import Clock, Events

Result = TypeVar("Result")
URL = "https://login.example.org"
STEPS = int(os.environ.get("MACHINE_STEPS", "2500"))
SEED = int(os.environ.get("MACHINE_SEED", "0"))
SHRINK = "MACHINE_SHRINK" in os.environ
LONGEST = 40  # rules of one machine; a story is one rule, and several steps
AT_ONCE = 25  # machines until it is looked at how many steps that were
# what a background look at the directory finds comes when it comes; each answer asks the directory (max_age = 0)
CONFIG = f"""
[server]
url = "{URL}"
[directory]
kind = "people"
people = "people.toml"
[login]
tries_per_account = 1000000
tries_per_address = 1000000
[freshness]
fresh = 86400
checked = 86400
[service]
calls_per_minute = 1000000
"""


class InProcess:
    """A `RaceWorld`: the application as `create_app` wires it. Notices are kept in place of being sent."""

    exact = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.told: Counter[tuple[str, str]] = Counter()
        self.dead: frozenset[str] = frozenset()
        digest = hashlib.sha256(SECRET.encode()).hexdigest()
        (folder / "idp.toml").write_text(CONFIG + clients_table(digest, "https://notices.example.org"))
        (folder / "people.toml").write_text(people_table(frozenset()))
        loaded = load(folder / "idp.toml", {})
        KeyRing(loaded.config.keys.folder).create_if_empty()
        self.store = SqliteStore(folder / "store.sqlite", now=self.clock)
        self.interleaved = InterleavedStore(self.store)
        self.events = Events()
        self.parts: Parts = build_parts(loaded, cast(Store, self.interleaved), audit=self.events, now=self.clock)
        setattr(self.parts.outbound, "deliver", self._deliver)  # noqa: B010  mypy minds an assignment
        self.visitor = create_app_of(self.parts).test_client(use_cookies=False)

    def ask(self, method: str, path: str, fields: dict[str, str], headers: dict[str, str]) -> Reply:
        response = self.visitor.open(path, method=method, base_url=URL, data=fields or None, headers=headers, buffered=True)
        assert response.status_code < 500, f"{method} {path}: {response.text[:500]}"
        location = response.headers.get("Location", "")
        return Reply(response.status_code, location, response.text, tuple(response.headers.getlist("Set-Cookie")))

    def now(self) -> int:
        return self.clock()

    def pass_time(self, seconds: int) -> None:
        self.clock.seconds += seconds

    def look_for_expired(self) -> None:
        Expiry(self.parts.sessions, self.parts.logout, self.store, now=self.clock).look()

    def set_disabled(self, names: frozenset[str]) -> None:
        written = self.folder / "people.new"
        written.write_text(people_table(names))
        written.replace(self.folder / "people.toml")

    def end_all_of(self, name: str) -> None:
        self.parts.logout.end_all_of(id_of(name), reason="operator")

    def notices(self) -> Counter[tuple[str, str]]:
        return Counter(self.told)

    def set_dead(self, clients: frozenset[str]) -> None:
        self.dead = clients

    def tell_what_is_due(self) -> None:
        self.parts.logout.notices.settle()

    def retry(self, notice_id: str) -> str | None:
        return self.parts.logout.notices.retry(notice_id)

    def drop(self, notice_id: str) -> bool:
        return self.parts.logout.notices.drop(notice_id)

    def waiting(self) -> dict[str, int]:
        return {each.id: each.due for each in self.parts.logout.notices.list()}

    def leave_untold(self, session_id: str) -> bool:
        note = {"run_id": new_id(), "reason": "member", "beginning": None, "onward": ""}
        return self.parts.sessions.take(session_id, note) is not None

    def finish_left(self) -> int:
        return self.parts.logout.finish_left()

    def interleave(self, one: Callable[[], Result], other: Callable[[], Result], *, writes: int) -> list[Result]:
        return self.interleaved.interleave(one, other, writes=writes)

    def forget(self) -> None:
        """Makes room for the next run."""
        self.set_disabled(frozenset())
        self.set_dead(frozenset())
        self.clock.seconds += 60
        for name in MEMBERS:
            self.end_all_of(name)
        self.finish_left()
        self.clock.seconds += 60  # what came to its end at this very second is found when its minute is over
        self.look_for_expired()
        for notice_id in self.waiting():
            self.drop(notice_id)
        for name in MEMBERS:
            self.store.delete_where("sign_in", "subject_id", id_of(name))
        self.store.sweep()
        self.told.clear()
        self.events.lines.clear()
        self.clock.seconds += 60

    def _deliver(self, notices: Sequence[BackChannel], *, within: float) -> list[Outcome]:
        return [self._take(notice) for notice in notices]

    def _take(self, notice: BackChannel) -> Outcome:
        payload = notice.fields["logout_token"].split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert notice.url.endswith(f"/{claims['aud']}")
        if claims["aud"] in self.dead:
            return Outcome(False, "outbound.connection")
        self.told[claims["aud"], claims["sid"]] += 1
        return Outcome(True)


@pytest.fixture
def world() -> Iterator[InProcess]:
    """In memory, where there is a folder for that: the store flushes every write to the disk."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        made = InProcess(Path(folder))
        yield made
        made.store.close()


def test_S48_S91_V26_V35_V54_V61_F28_whatever_happens_in_any_order_the_invariants_hold(world: InProcess) -> None:
    met: Counter[str] = Counter()
    first = SEED or (secrets.randbelow(10**6) if "MACHINE_STEPS" in os.environ else 1)
    begun = time.monotonic()
    for number in itertools.count(first):
        if met["a step"] >= STEPS:
            break
        run_state_machine_as_test(
            seed(number)(machine_over(world, met)),
            settings=settings(
                max_examples=AT_ONCE,
                stateful_step_count=LONGEST,
                deadline=None,
                database=None,
                phases=[Phase.generate, *([Phase.shrink] if SHRINK else [])],
                suppress_health_check=list(HealthCheck),
            ),
        )
        print(f"seed {number}: {met['a step']} steps in {time.monotonic() - begun:.0f} s", flush=True)
    print(dict(met.most_common()))


def id_of(name: str) -> str:
    return str(101 + MEMBERS.index(name))


def machine_over(world: InProcess, counter: Counter[str]) -> type[RaceMachine]:
    class Machine(RaceMachine):
        met: ClassVar[Counter[str]] = counter

        def make_world(self) -> InProcess:
            world.forget()
            return world

    return Machine
