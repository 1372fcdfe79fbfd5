"""The session machine against `idp run`: four workers, the embedded MongoDB, notices over HTTP, and requests that race.

MACHINE_STEPS=5000 makes a long run of about that many steps. Time passes by itself here, so nothing expires: that is for
tests/sso/test_machine.py.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import ClassVar, TypeVar
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from tests.conformance.association import Vendors
from tests.machine.rules import BROWSERS, CLIENTS, secret_in
from tests.machine.story import StoryMachine
from tests.machine.world import SECRET, Reply, clients_table, form_token, people_table, session_named_in, sign_on_path
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("machine")]

STEPS = int(os.environ.get("MACHINE_STEPS", "100"))
LONGEST = 25
AT_ONCE = 6
Result = TypeVar("Result")


class Running:
    """A `World`: the server as a process of its own."""

    exact = False

    def __init__(self, folder: Path) -> None:
        self.vendors = Vendors()
        digest = hashlib.sha256(SECRET.encode()).hexdigest()
        more = "[service]\ncalls_per_minute = 1000000\n" + clients_table(digest, self.vendors.url)
        self.server = Server(folder, workers=4, more=more)
        self.set_disabled(frozenset())

    def ask(self, method: str, path: str, fields: dict[str, str], headers: dict[str, str]) -> Reply:
        """Each on a connection of its own, so that any worker may get it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        sent = {**headers, **({"Content-Type": "application/x-www-form-urlencoded"} if fields else {})}
        connection.request(method, path, urlencode(fields) if fields else None, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        assert answer.status < 500, f"{method} {path}: {text[:500]}"
        return Reply(answer.status, answer.headers.get("Location", ""), text, tuple(answer.headers.get_all("Set-Cookie") or []))

    def now(self) -> int:
        return int(time.time())

    def pass_time(self, seconds: int) -> None:
        time.sleep(1 - time.time() % 1)

    def look_for_expired(self) -> None:
        """Nothing expires within a test."""

    def set_disabled(self, names: frozenset[str]) -> None:
        written = self.server.folder / "people.new"
        written.write_text(people_table(names))
        written.replace(self.server.folder / "people.toml")

    def end_all_of(self, name: str) -> None:
        self.server.command("sessions", "end", "--user", name)

    def notices(self) -> Counter[tuple[str, str]]:
        return Counter((client, session_named_in(fields["logout_token"][0])) for client, fields in list(self.vendors.notices))

    def close(self) -> None:
        self.server.stop()
        self.vendors.close()


class RacingMachine(StoryMachine):
    """With steps that several requests take at once."""

    met: ClassVar[Counter[str]] = Counter()
    running: Running

    def make_world(self) -> Running:
        self.running.set_disabled(frozenset())
        self.running.server.command("sessions", "end", "--all")
        return self.running

    def at_once(self, act: Callable[[int], Result]) -> list[Result]:
        ready = Barrier(AT_ONCE)

        def one(number: int) -> Result:
            ready.wait()
            return act(number)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(one, range(AT_ONCE)))

    def cookie_of(self, browser: int) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.jars[browser].cookies.items())}

    @precondition(lambda self: any(not each.spent for each in self.model.issued))
    @rule()
    def several_redeem_one_code(self) -> None:
        issued = next(each for each in reversed(self.model.issued) if not each.spent)
        if self.is_gone(issued.session) or abs(issued.until - self.now) <= 2:
            return
        good = issued.session.lives(self.now) and self.now < issued.until
        replies = self.at_once(lambda _: self.redeem(issued.secret, issued.client, keep=False))
        assert sum(reply.status == 200 for reply in replies) == int(good), "I14: of many who redeem at once, one wins"
        issued.spent = True
        self.met["a race to redeem"] += 1
        self.step()

    @precondition(lambda self: any(not each.over for each in self.model.waiting))
    @rule()
    def several_tabs_finish_one_request(self) -> None:
        waiting = next(each for each in reversed(self.model.waiting) if not each.over)
        session = self.session_of(waiting.owner)
        if session is None or self.is_gone(session) or waiting.at_login is None or waiting.wants_login(session, self.now):
            return
        sent = self.cookie_of(waiting.owner)
        replies = self.at_once(lambda _: self.world.ask("GET", f"/signon/{waiting.id}", {}, sent))
        answers = [reply for reply in replies if secret_in(reply)]
        assert len(answers) == 1, "I7: of many tabs that finish one request, one gets the answer"
        waiting.over = True
        self.answered(waiting.owner, waiting.client, waiting.kind, session, answers[0])
        self.met["a race to finish"] += 1
        self.step()

    @rule(browser=BROWSERS, client=CLIENTS)
    def a_client_asks_while_the_member_signs_out_twice(self, browser: int, client: str) -> None:
        session = self.session_of(browser)
        if session is None or self.is_gone(session):
            return
        token = form_token(self.jars[browser].ask("GET", "/logout").text)
        sent = self.cookie_of(browser)
        path, asked = sign_on_path(client, "passive")

        def act(number: int) -> Reply:
            if number < 2:
                return self.world.ask("POST", "/logout", {"form_token": token}, sent)
            return self.world.ask("GET", f"{path}?{urlencode(asked)}", {}, sent)

        secrets = [secret_in(reply) for reply in self.at_once(act)[2:]]
        if any(secrets):
            session.clients.add(client)
        self.model.end(session)
        for secret in filter(None, secrets):
            assert self.redeem(secret, client, keep=False).status >= 400, "I2: what left in the last moment is dead, too"
        self.met["a race with a sign-out" + (" that an answer won" if any(secrets) else "")] += 1
        self.look_who_is_there(browser)
        self.step()

    def step(self) -> None:
        """A notice may come a moment after the page."""
        for _ in range(100):
            if self.told().total() >= self.model.due.total():
                break
            time.sleep(0.05)
        super().step()


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    made = Running(tmp_path)
    yield made
    made.close()


def test_S48_S91_F28_whatever_happens_on_four_workers_at_once_the_invariants_hold(running: Running) -> None:
    class Machine(RacingMachine):
        pass

    Machine.running = running
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=max(1, STEPS // LONGEST),
            stateful_step_count=LONGEST,
            deadline=None,
            database=None,
            derandomize="MACHINE_STEPS" not in os.environ,
            phases=[Phase.generate],  # what a race did cannot be made smaller
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(dict(Machine.met.most_common()))
    assert Machine.met["a step"]
