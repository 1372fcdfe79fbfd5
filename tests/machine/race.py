"""Races, each step of the other: a second request happens right before one of the first one's writes, at every place there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import rule

from .model import Sitting
from .rules import BROWSERS, CLIENTS, secret_in
from .story import WHO
from .timed import TimedMachine
from .world import Reply, TimedWorld, form_token, sign_on_path

Result = TypeVar("Result")
WRITES = st.integers(0, 4)


class RaceWorld(TimedWorld, Protocol):
    """One that can do two things at once."""

    def interleave(self, one: Callable[[], Result], other: Callable[[], Result], *, writes: int) -> list[Result]:
        """What both returned; `other` happened after so many writes of `one`."""


class RaceMachine(TimedMachine):
    """The machine for a `RaceWorld`."""

    world: RaceWorld

    @rule(browser=BROWSERS, client=CLIENTS, member=WHO, writes=WRITES)
    def a_code_or_ticket_is_redeemed_by_two_at_once(self, browser: int, client: str, member: str, writes: int) -> None:
        issued = self.is_answered(browser, client, member)
        if issued is None:
            return
        redeem = lambda: self.redeem(issued.secret, client, keep=False)  # noqa: E731
        replies = self.world.interleave(redeem, redeem, writes=writes)
        assert sum(reply.status == 200 for reply in replies) == 1, "I14: of two who redeem at once, one wins"
        issued.spent = True
        self.met["a race to redeem"] += 1
        self.step()

    @rule(browser=BROWSERS, client=CLIENTS, member=WHO, writes=WRITES)
    def a_request_is_finished_by_two_tabs_at_once(self, browser: int, client: str, member: str, writes: int) -> None:
        waiting = self.asks(browser, client, "fresh", False)
        if waiting is None:
            return
        self.signs_in(browser, waiting, member)
        session = self.sitting_in(browser)
        if session is None or self.is_gone(session) or waiting.wants_login(session, self.now):
            return
        sent = self.cookies_of(browser)
        go_on = lambda: self.world.ask("GET", f"/signon/{waiting.id}", {}, sent)  # noqa: E731
        answers = [reply for reply in self.world.interleave(go_on, go_on, writes=writes) if secret_in(reply)]
        assert len(answers) == 1, "I7: of two tabs that finish one request, one gets the answer"
        waiting.over = True
        session.touch(self.now)
        self.answered(browser, client, "fresh", session, answers[0])
        self.met["a race to finish"] += 1
        self.step()

    @rule(browser=BROWSERS, clients=st.tuples(CLIENTS, CLIENTS), member=WHO, writes=WRITES, answer_first=st.booleans())
    def an_answer_is_made_while_the_member_signs_out(
        self, browser: int, clients: tuple[str, str], member: str, writes: int, answer_first: bool
    ) -> None:
        """The answer leaves and its client is told, or it does not leave."""
        session = self.is_there(browser, clients[0], member)
        if session is None:
            return
        sign_out = self.sign_out_of(browser)
        path, asked = sign_on_path(clients[1], "passive")
        sent = self.cookies_of(browser)
        ask = lambda: self.world.ask("GET", f"{path}?{urlencode(asked)}", {}, sent)  # noqa: E731
        replies = self.world.interleave(*((ask, sign_out) if answer_first else (sign_out, ask)), writes=writes)
        secret = secret_in(replies[0] if answer_first else replies[1])
        if secret:
            session.clients.add(clients[1])
        self.model.end(session)
        assert not secret or self.redeem(secret, clients[1], keep=False).status >= 400, "I2: what left in the last moment is dead, too"
        self.met["a race with a sign-out" + (" that an answer won" if secret else "")] += 1
        self.look_who_is_there(browser)
        self.step()

    @rule(browser=BROWSERS, client=CLIENTS, member=WHO, writes=WRITES, operator=st.booleans())
    def a_session_is_ended_by_two_at_once(self, browser: int, client: str, member: str, writes: int, operator: bool) -> None:
        session = self.is_there(browser, client, member)
        if session is None:
            return
        sign_out = self.sign_out_of(browser)
        if operator:
            self.world.interleave(lambda: self.world.end_all_of(session.member), lambda: bool(sign_out()) or None, writes=writes)
            self.model.end_all_of(session.member, self.now)
        else:
            self.world.interleave(sign_out, sign_out, writes=writes)
            self.model.end(session)
        self.met["a race to end"] += 1
        self.look_who_is_there(browser)
        self.step()

    def is_there(self, browser: int, client: str, member: str) -> Sitting | None:
        """Signed in, at a client, not disabled, and seen this moment."""
        self.is_answered(browser, client, member)
        session = self.session_of(browser)
        self.jars[browser].who()
        return None if session is None or self.is_gone(session) else session

    def sign_out_of(self, browser: int) -> Callable[[], Reply]:
        token = form_token(self.jars[browser].ask("GET", "/logout").text)
        sent = self.cookies_of(browser)
        return lambda: self.world.ask("POST", "/logout", {"form_token": token}, sent)

    def cookies_of(self, browser: int) -> dict[str, str]:
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self.jars[browser].cookies.items())}
