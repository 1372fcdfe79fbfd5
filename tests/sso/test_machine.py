"""The session machine over the whole application in this process, with a clock that the machine moves (idp/sso/README.md).

MACHINE_STEPS=50000 makes a long run of about that many steps; MACHINE_SHRINK=1 looks for the shortest way to a failure, for minutes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from idp.app import Parts, build_parts, create_app_of
from idp.config import load
from idp.keys import KeyRing
from idp.sso.expiry import Expiry
from idp.sso.notice import BackChannel, Outcome
from idp.store.sqlite import SqliteStore
from tests.machine.rules import SessionMachine
from tests.machine.world import MEMBERS, SECRET, Reply, clients_table, people_table
from tests.standin import Clock, Events

URL = "https://login.example.org"
STEPS = int(os.environ.get("MACHINE_STEPS", "1200"))
SHRINK = "MACHINE_SHRINK" in os.environ
LONGEST = 40  # steps of one machine
CONFIG = f"""
[server]
url = "{URL}"
[directory]
kind = "people"
people = "people.toml"
[login]
tries_per_account = 1000000
tries_per_address = 1000000
[service]
calls_per_minute = 1000000
"""


class InProcess:
    """A `World`: the application as `create_app` wires it. Notices are kept in place of being sent."""

    exact = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.told: Counter[tuple[str, str]] = Counter()
        digest = hashlib.sha256(SECRET.encode()).hexdigest()
        (folder / "idp.toml").write_text(CONFIG + clients_table(digest, "https://notices.example.org"))
        (folder / "people.toml").write_text(people_table(frozenset()))
        loaded = load(folder / "idp.toml", {})
        KeyRing(loaded.config.keys.folder).create_if_empty()
        self.store = SqliteStore(folder / "store.sqlite", now=self.clock)
        self.parts: Parts = build_parts(loaded, self.store, audit=Events(), now=self.clock)
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
        self.parts.logout.end_all_of(str(101 + MEMBERS.index(name)), reason="operator")

    def notices(self) -> Counter[tuple[str, str]]:
        return Counter(self.told)

    def forget(self) -> None:
        """Makes room for the next run."""
        self.set_disabled(frozenset())
        for name in MEMBERS:
            self.end_all_of(name)
        self.clock.seconds += 2 * 86400
        self.store.sweep()
        self.look_for_expired()
        self.clock.seconds += 60

    def _deliver(self, notices: Sequence[BackChannel], *, within: float) -> list[Outcome]:
        for notice in notices:
            payload = notice.fields["logout_token"].split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            assert notice.url.endswith(f"/{claims['aud']}")
            self.told[claims["aud"], claims["sid"]] += 1
        return [Outcome(True)] * len(notices)


@pytest.fixture
def world() -> Iterator[InProcess]:
    """In memory, where there is a folder for that: the store flushes every write to the disk."""
    with TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        made = InProcess(Path(folder))
        yield made
        made.store.close()


def test_S48_S91_V26_V35_V54_V61_F28_whatever_happens_in_any_order_the_invariants_hold(world: InProcess) -> None:
    class Machine(SessionMachine):
        met: ClassVar[Counter[str]] = Counter()

        def make_world(self) -> InProcess:
            world.forget()
            return world

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=max(1, STEPS // LONGEST),
            stateful_step_count=LONGEST,
            deadline=None,
            database=None,
            phases=[Phase.generate, *([Phase.shrink] if SHRINK else [])],
            derandomize="MACHINE_STEPS" not in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(Machine.met.most_common()))
    assert Machine.met["a step"] > STEPS // 3
