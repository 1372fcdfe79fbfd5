"""Steps that need a clock that is moved by hand, and workers whose own rounds are made by hand: ends to the second, requests that say how
old a login may be, servers that do not answer, workers that are killed."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .model import Notice, Waiting
from .rules import BROWSERS, CLIENTS, PICKS, pick
from .story import WHO, StoryMachine
from .world import MAX_AGE, OIDC, TOLD, TimedWorld

SECONDS = st.sampled_from([0, 1, 9, 10, 11, 12, MAX_AGE, MAX_AGE + 1, 59, 60, 61])


class TimedMachine(StoryMachine):
    """The machine for a `TimedWorld`."""

    world: TimedWorld

    @rule(browser=BROWSERS, client=CLIENTS, member=WHO, before=SECONDS, cookieless=st.booleans(), after=SECONDS)
    def a_fresh_request_meets_an_old_login(self, browser: int, client: str, member: str, before: int, cookieless: bool, after: int) -> None:
        """Also where the request came without the session's cookie, so that the login that was there is not known."""
        if self.is_signed_in(browser, member) is None:
            return
        self.world.pass_time(before)
        waiting = self.asks_without_session(browser, client, "fresh") if cookieless else self.asks(browser, client, "fresh", False)
        if waiting is None:
            return
        self.world.pass_time(after)
        self.goes_on(browser, waiting)
        self.met["a fresh request without the session's cookie" if cookieless else "a fresh request"] += 1
        self.signs_in(browser, waiting, member)
        self.goes_on(browser, waiting)

    @rule(browser=BROWSERS, client=st.sampled_from(OIDC), member=WHO, before=SECONDS, cookieless=st.booleans(), after=SECONDS)
    def a_request_says_how_old_a_login_may_be(
        self, browser: int, client: str, member: str, before: int, cookieless: bool, after: int
    ) -> None:
        if self.is_signed_in(browser, member) is None:
            return
        self.world.pass_time(before)
        waiting = self.asks_without_session(browser, client, "recent") if cookieless else self.asks(browser, client, "recent", False)
        self.met["a request for a recent login" + ("" if waiting else " that was one")] += 1
        if waiting is None:
            return
        self.world.pass_time(after)
        self.goes_on(browser, waiting)
        self.signs_in(browser, waiting, member)
        self.world.pass_time(before)
        self.goes_on(browser, waiting)

    def asks_without_session(self, browser: int, client: str, kind: str) -> Waiting | None:
        """A browser that does not send it, as with a link from a site of another origin; the other cookies are there."""
        jar = self.jars[browser]
        held = {name: jar.cookies.pop(name) for name in list(jar.cookies) if name.endswith("idp_session")}
        waiting = self.asks(browser, client, kind, False)
        jar.cookies |= held
        return waiting

    @precondition(lambda self: self.model.sittings)
    @rule(number=PICKS, late=st.sampled_from([-1, 0, 1]), look=st.booleans())
    def a_session_comes_to_its_end(self, number: int, late: int, look: bool) -> None:
        """To the second."""
        session = pick(self.model.sittings, number)
        if session is None or not session.lives(self.now):
            return
        self.world.pass_time(max(0, session.expires + late - self.now))
        assert (self.greeted(session.cookie) != "") == session.lives(self.now), "I2: until the second it ends, and no longer"
        if session.lives(self.now):
            session.touch(self.now)
        self.met["a session at its end"] += 1
        if look:
            self.the_server_looks_for_expired()
        self.step()

    @rule(seconds=st.sampled_from([0, 1, 49, 50, 60]))
    def the_server_looks_for_expired_ones_again(self, seconds: int) -> None:
        """Not more often than it should, and nobody is told twice."""
        self.world.pass_time(seconds)
        self.the_server_looks_for_expired()
        self.step()

    @precondition(lambda self: self.model.issued)
    @rule(late=st.sampled_from([-1, 0, 1]))
    def a_code_or_ticket_is_redeemed_at_the_last_moment(self, late: int) -> None:
        issued = next((each for each in reversed(self.model.issued) if not each.spent and self.now < each.until - 1), None)
        if issued is None:
            return
        self.world.pass_time(issued.until + late - self.now)
        self.redeemed(issued, issued.client, keep=False)
        self.met["a code or ticket at the last moment"] += 1
        self.step()

    @rule(client=st.sampled_from(sorted(TOLD)))
    def a_clients_server_goes_away_or_comes_back(self, client: str) -> None:
        self.model.dead ^= {client}
        self.world.set_dead(self.model.dead)
        self.step()

    @rule(browser=BROWSERS, clients=st.tuples(CLIENTS, CLIENTS), member=WHO, dead=st.sampled_from(sorted(TOLD)), seconds=st.integers(0, 3))
    def a_client_is_away_while_a_session_ends(self, browser: int, clients: tuple[str, str], member: str, dead: str, seconds: int) -> None:
        """It is told when it comes back, once."""
        for client in (*clients, dead):
            self.is_answered(browser, client, member)
        if dead not in self.model.dead:
            self.a_clients_server_goes_away_or_comes_back(client=dead)
        self.a_member_signs_out(browser=browser, twice=False)
        self.the_queue_goes_on(seconds=(0, 59, 60, 240)[seconds])
        self.a_clients_server_goes_away_or_comes_back(client=dead)
        self.the_queue_goes_on(seconds=180)

    @precondition(lambda self: self.model.notices)
    @rule(seconds=st.sampled_from([0, 30, 59, 60, 61, 180, 600, 3600]))
    def the_queue_goes_on(self, seconds: int) -> None:
        self.world.pass_time(seconds)
        self.world.tell_what_is_due()
        self.met["a notice that was heard later"] += self.model.tell_what_is_due()
        self.step()

    @precondition(lambda self: self.model.notices)
    @rule(number=PICKS, give_up=st.booleans())
    def an_operator_retries_a_notice_or_gives_it_up(self, number: int, give_up: bool) -> None:
        notice = pick(self.model.notices, number)
        if notice is None:
            return
        waits = self.now < notice.until
        if give_up:
            self.model.notices.remove(notice)
            assert self.world.drop(notice.id) == waits
        else:
            self.retried(notice, waits)
        self.met["a notice in an operator's hand"] += 1
        self.step()

    def retried(self, notice: Notice, waits: bool) -> None:
        cause = self.world.retry(notice.id)
        if not waits:
            assert cause is None
            return
        self.model.rests.pop(notice.client, None)
        heard = self.model.tell_again(notice)
        assert cause is not None
        assert (cause == "") == heard

    @precondition(lambda self: self.model.sittings)
    @rule(number=PICKS, seconds=st.sampled_from([0, 19, 20, 21]))
    def a_worker_is_killed_while_it_ends_a_session(self, number: int, seconds: int) -> None:
        """Nothing of it works from that moment on; another worker tells its clients."""
        session = pick(self.model.sittings, number)
        if session is None or not session.lives(self.now):
            return
        assert self.world.leave_untold(session.id)
        session.ended, session.left = True, self.now
        self.step()
        assert not self.world.leave_untold(session.id), "I20: of all who end a session one wins"
        self.what_was_left_is_finished(seconds=seconds)

    @precondition(lambda self: any(each.left is not None for each in self.model.sittings))
    @rule(seconds=st.sampled_from([0, 1, 20]))
    def what_was_left_is_finished(self, seconds: int) -> None:
        self.world.pass_time(seconds)
        found = self.model.finish_left()
        assert self.world.finish_left() == found, "I19: what a killed worker left is finished, once"
        self.met["an ending that was left"] += found
        self.step()

    def step(self) -> None:
        super().step()
        waits = {each.id: each.due for each in self.model.notices if self.now < each.until}
        found = self.world.waiting()
        assert found == waits, f"I19: what was not heard waits for its next try: {found}, not {waits}"
