"""The one sequence: who is answered, who must log in first, and who may finish what."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from idp.directory import DirectoryUnavailable
from idp.errors import BadRequest
from idp.secret import Secret
from idp.sso.answer import Login, Redirect, Resume
from idp.sso.protocol import SignOnRequest
from idp.sso.signon import PendingGone
from idp.sso.ticket import TicketRefused
from idp.store import Store

from .conftest import MakeHouse
from .echo import ask, make_client
from .house import ADA, BROWSER, NOON, OTHER_BROWSER, Clock, House, at_once, pending_of, url_of

DAY = 86400


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(make_client("lms"), make_client("shop", release=["email", "phone"]))


def told(answer: object) -> dict[str, str]:
    """What the client reads in its redirect."""
    assert isinstance(answer, Redirect)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.url).query).items()}


class TestTheAnswer:
    def test_a_live_session_is_answered_and_the_client_joins_it(self, house: House) -> None:
        session = house.session()
        answer = house.signon.start(ask("lms"), BROWSER, session)
        assert url_of(answer).startswith("https://lms.example/back?")
        assert told(answer)["subject"] == "101"
        assert [each.client_id for each in house.live(session).participants] == ["lms"]

    def test_U14_one_event_says_who_got_what(self, house: House) -> None:
        session = house.session()
        house.signon.start(ask("shop"), BROWSER, session)
        assert house.audit.of("signon.ok") == [
            {
                "event": "signon.ok",
                "client": "shop",
                "protocol": "echo",
                "subject": "101",
                "session": session.id,
                "released": ["email", "phone"],
            }
        ]

    def test_S126_the_protocol_sees_what_is_released_and_no_more(self, house: House) -> None:
        house.signon.start(ask("lms"), BROWSER, house.session())
        assert house.echo.grants[0].attributes == {"email": ("ada@assoc.example",)}

    def test_a_protocol_may_refuse_a_member_and_its_client_is_told(self, house: House) -> None:
        session = house.session()
        request = SignOnRequest("echo", "lms", {**ask("lms").state, "unwelcome": True})
        assert told(house.signon.start(request, BROWSER, session))["error"] == "echo.unwelcome"
        assert house.live(session).participants == ()

    def test_a_refusal_has_one_reference_for_the_client_and_the_log(self, house: House) -> None:
        answer = house.signon.start(ask("lms", passive=True), BROWSER, None)
        (event,) = house.audit.of("signon.refused")
        assert told(answer) == {"error": "signon.login_required", "reference": event["reference"]}

    def test_F28_no_answer_leaves_when_the_session_ends_while_it_is_made_and_what_was_made_is_dead(self, house: House) -> None:
        session = house.session()
        house.echo.meanwhile = lambda grant: house.logout.end(grant.session.id, reason="test")
        assert isinstance(house.signon.start(ask("lms"), BROWSER, session), Login)
        assert house.letterbox.heard() == [], "it never got an answer, so there is nothing to tell it"
        assert house.audit.of("signon.ok") == []
        assert house.store.list("ticket") == []

    def test_F28_nor_does_it_to_a_client_that_was_on_the_list_already_and_has_just_been_told_of_the_end(self, house: House) -> None:
        """It would be signed in again, with nobody left to tell it."""
        session = house.session()
        house.signon.start(ask("lms"), BROWSER, session)
        house.echo.meanwhile = lambda grant: house.logout.end(grant.session.id, reason="test")
        assert isinstance(house.signon.start(ask("lms"), BROWSER, house.live(session)), Login)
        assert house.letterbox.heard() == ["lms"]

    def test_F28_a_ticket_made_after_the_session_ended_is_worth_nothing(self, house: House) -> None:
        session = house.session()
        house.logout.end(session.id, reason="test")
        ticket = house.tickets.issue("lms", session, {})
        with pytest.raises(TicketRefused):
            house.tickets.redeem(ticket, "lms")

    def test_S49_V51_a_member_whom_the_directory_disabled_is_signed_out_everywhere(self, house: House, now: Clock) -> None:
        here, elsewhere = house.session(), house.session()
        house.signon.start(ask("lms"), BROWSER, here)
        house.signon.start(ask("shop"), BROWSER, elsewhere)
        del house.members.by_id["101"]
        now.time += 900
        assert isinstance(house.signon.start(ask("lms"), BROWSER, here), Login)
        assert house.sessions.of_subject("101") == []
        assert house.letterbox.heard() == ["lms", "shop"]

    def test_G_R4_a_signed_in_member_notices_nothing_of_an_outage(self, house: House, now: Clock) -> None:
        session = house.session()
        house.members.is_there = False
        now.time += 3000
        assert told(house.signon.start(ask("lms"), BROWSER, session))["subject"] == "101"
        assert house.audit.of("directory.stale_used")[0]["age"] == 3000

    def test_data_that_are_too_old_are_not_used(self, house: House, now: Clock) -> None:
        session = house.session()
        house.members.is_there = False
        now.time += DAY
        with pytest.raises(DirectoryUnavailable):
            house.signon.start(ask("lms"), BROWSER, session)


class TestTheLogin:
    def test_without_a_session_the_request_waits_for_the_login(self, house: House) -> None:
        request_id = pending_of(house.signon.start(ask("lms"), BROWSER, None))
        assert isinstance(house.signon.resume(request_id, BROWSER, None), Login)
        assert told(house.signon.resume(request_id, BROWSER, house.session()))["subject"] == "101"

    @pytest.mark.parametrize("fresh", [{}, {"fresh": True}, {"max_age": 0}])
    def test_S9_what_is_passive_never_shows_the_sign_in_page(self, house: House, fresh: dict[str, int]) -> None:
        session = house.session() if fresh else None
        assert told(house.signon.start(ask("lms", passive=True, **fresh), BROWSER, session))["error"] == "signon.login_required"
        assert house.store.list("pending") == []

    @pytest.mark.parametrize("asked", [{"fresh": True}, {"max_age": 0}], ids=["fresh", "max_age=0"])
    def test_S66_a_fresh_request_is_not_met_by_the_login_that_was_there_within_the_same_second(
        self, house: House, asked: dict[str, int]
    ) -> None:
        session = house.session()
        request_id = pending_of(house.signon.start(ask("lms", **asked), BROWSER, session))
        assert isinstance(house.signon.resume(request_id, BROWSER, session), Login)
        again = house.sign_in(previous=session).session
        assert (again.id, again.auth_time) == (session.id, NOON), "same session, same second, another login"
        assert told(house.signon.resume(request_id, BROWSER, again))["subject"] == "101"

    def test_S66_nor_by_an_old_login_whose_cookie_was_held_back_when_the_request_came(self, house: House, now: Clock) -> None:
        """Whoever sits at the keyboard decides what the browser sends."""
        old = house.session()
        now.time += 60
        request_id = pending_of(house.signon.start(ask("lms", fresh=True), BROWSER, None))
        assert isinstance(house.signon.resume(request_id, BROWSER, old), Login)
        assert told(house.signon.resume(request_id, BROWSER, house.sign_in(previous=old).session))["subject"] == "101"

    def test_F16_a_server_whose_clock_is_ten_seconds_behind_does_not_ask_for_ever(self, house: House, now: Clock) -> None:
        request_id = pending_of(house.signon.start(ask("lms", fresh=True), BROWSER, None))
        now.time -= 10
        assert told(house.signon.resume(request_id, BROWSER, house.session()))["subject"] == "101"

    def test_S9_max_age_counts_to_the_second(self, house: House, now: Clock) -> None:
        session = house.session()
        now.time += 300
        assert isinstance(house.signon.start(ask("lms", max_age=300), BROWSER, session), Redirect)
        assert isinstance(house.signon.start(ask("lms", max_age=299), BROWSER, session), Login)

    def test_S9_a_sign_in_of_which_nobody_knows_when_the_password_was_typed_meets_no_max_age(self, house: House) -> None:
        vouched = house.desk.admit(ADA, address="192.0.2.1", previous=None, onward="", dated=False).session
        assert isinstance(house.signon.start(ask("lms"), BROWSER, vouched), Redirect)
        request_id = pending_of(house.signon.start(ask("lms", max_age=3600), BROWSER, vouched))
        again = house.desk.admit(ADA, address="192.0.2.1", previous=vouched, onward="", dated=False).session
        assert isinstance(house.signon.resume(request_id, BROWSER, again), Login)
        typed = house.desk.admit(ADA, address="192.0.2.1", previous=again, onward="", dated=True).session
        assert isinstance(house.signon.resume(request_id, BROWSER, typed), Redirect)

    def test_S9_a_login_since_the_request_does_not_meet_max_age_for_ever(self, house: House, now: Clock) -> None:
        """Signed in in another tab, and hours later the first tab goes on."""
        request_id = pending_of(house.signon.start(ask("lms", max_age=300), BROWSER, None))
        session = house.session()
        now.time += 3 * 300
        assert isinstance(house.signon.resume(request_id, BROWSER, session), Login)
        assert isinstance(house.signon.resume(request_id, BROWSER, house.sign_in(previous=session).session), Redirect)

    def test_a_max_age_of_a_second_leaves_time_for_the_way_back_from_the_sign_in_page(self, house: House, now: Clock) -> None:
        request_id = pending_of(house.signon.start(ask("lms", max_age=1), BROWSER, None))
        session = house.session()
        now.time += 5
        assert isinstance(house.signon.resume(request_id, BROWSER, session), Redirect)

    def test_the_sign_in_page_and_the_way_back_agree_on_who_must_log_in(self, house: House, now: Clock) -> None:
        """Or each would send the browser to the other, for ever."""
        old = house.session()
        now.time += 100
        new = house.sign_in(previous=old).session
        for request in (ask("lms"), ask("lms", fresh=True), ask("lms", max_age=0), ask("lms", max_age=30)):
            for at_start in (None, old, new):
                answer = house.signon.start(request, BROWSER, at_start)
                if not isinstance(answer, Login):
                    continue
                pending = house.signon.pending(answer.request_id, BROWSER)
                assert pending is not None
                for session in (None, old, new):
                    needs = house.signon.needs_login(pending, session)
                    if needs:
                        assert isinstance(house.signon.resume(answer.request_id, BROWSER, session), Login)
                assert not house.signon.needs_login(pending, house.sign_in(previous=new).session)


class TestWaiting:
    def test_S11_V48_only_the_browser_that_began_a_request_finishes_or_cancels_it(self, house: House) -> None:
        request_id = pending_of(house.signon.start(ask("lms"), BROWSER, None))
        session = house.session()
        assert house.signon.pending(request_id, OTHER_BROWSER) is None
        for browser, held in ((OTHER_BROWSER, ""), (OTHER_BROWSER, OTHER_BROWSER), ("", "")):
            with pytest.raises(PendingGone):
                house.signon.resume(request_id, browser, session, held=held)
            with pytest.raises(PendingGone):
                house.signon.cancel(request_id, browser)
        assert isinstance(house.signon.resume(request_id, BROWSER, session), Redirect)

    def test_S11_a_request_is_answered_once(self, house: House) -> None:
        request_id = pending_of(house.signon.start(ask("lms"), BROWSER, None))
        session = house.session()
        house.signon.resume(request_id, BROWSER, session)
        with pytest.raises(PendingGone):
            house.signon.resume(request_id, BROWSER, session)
        with pytest.raises(PendingGone):
            house.signon.cancel(request_id, BROWSER)

    def test_S11_of_sixteen_tabs_that_resume_one_request_one_gets_the_answer(self, either_store: Store, now: Clock) -> None:
        house = House(either_store, now, [make_client("lms")])
        session = house.session()
        request_id = pending_of(house.signon.start(ask("lms"), BROWSER, None))
        results = at_once(16, lambda _: house.signon.resume(request_id, BROWSER, session))
        assert sorted(type(result).__name__ for result in results) == ["PendingGone"] * 15 + ["Redirect"]
        assert len(house.echo.grants) == 1

    def test_of_a_cancel_and_a_resume_at_once_one_answers(self, house: House) -> None:
        session = house.session()
        for _ in range(5):
            request_id = pending_of(house.signon.start(ask("lms"), BROWSER, None))

            def act(number: int, request_id: str = request_id) -> object:
                return house.signon.cancel(request_id, BROWSER) if number % 2 else house.signon.resume(request_id, BROWSER, session)

            assert sorted(type(result).__name__ for result in at_once(4, act)) == ["PendingGone"] * 3 + ["Redirect"]

    def test_F27_a_request_waits_for_a_day(self, house: House, now: Clock) -> None:
        request_id = pending_of(house.signon.start(ask("lms"), BROWSER, None))
        now.time += DAY - 1
        assert house.signon.pending(request_id, BROWSER)
        now.time += 1
        assert house.signon.pending(request_id, BROWSER) is None

    def test_V26_two_tabs_get_each_its_own_answer(self, house: House) -> None:
        first = pending_of(house.signon.start(SignOnRequest("echo", "lms", {**ask("lms").state, "echo": {"tab": "1"}}), BROWSER, None))
        second = pending_of(house.signon.start(SignOnRequest("echo", "shop", {**ask("shop").state, "echo": {"tab": "2"}}), BROWSER, None))
        session = house.session()
        later, earlier = house.signon.resume(second, BROWSER, session), house.signon.resume(first, BROWSER, session)
        assert url_of(earlier).startswith("https://lms.example/")
        assert url_of(later).startswith("https://shop.example/")
        assert (told(earlier)["tab"], told(later)["tab"]) == ("1", "2")

    def test_V61_cancelling_leaves_the_session_as_it_was(self, house: House) -> None:
        session = house.session()
        request_id = pending_of(house.signon.start(ask("lms", fresh=True), BROWSER, session))
        assert told(house.signon.cancel(request_id, BROWSER))["error"] == "signon.cancelled"
        assert house.live(session) == session
        assert isinstance(house.signon.start(ask("lms"), BROWSER, session), Redirect)

    def test_nothing_is_sent_to_a_client_that_was_removed_while_it_waited(self, house: House) -> None:
        """Its address is no longer known to be good (S2)."""
        house.clients.add("passing", {"tell": "back"})
        requests = [pending_of(house.signon.start(ask("passing"), BROWSER, None)) for _ in range(2)]
        house.clients.remove("passing")
        with pytest.raises(BadRequest) as resumed:
            house.signon.resume(requests[0], BROWSER, house.session())
        with pytest.raises(BadRequest) as cancelled:
            house.signon.cancel(requests[1], BROWSER)
        assert resumed.value.cause == cancelled.value.cause == "client.unknown"

    def test_nor_to_one_that_speaks_another_protocol_now(self, house: House) -> None:
        request = SignOnRequest("saml", "lms", ask("lms").state)
        with pytest.raises(BadRequest) as caught:
            house.signon.start(request, BROWSER, house.session())
        assert caught.value.cause == "client.unknown"

    def test_the_browsers_secret_is_not_in_the_store(self, house: House) -> None:
        house.signon.start(ask("lms"), BROWSER, None)
        assert BROWSER not in str(house.store.list("pending"))


class TestHeld:
    """A cross-site POST comes without our cookies; the request goes round by a GET."""

    HELD = "h" * 43

    def test_it_is_looked_at_when_the_browser_comes_back_with_its_cookies(self, house: House) -> None:
        held = house.signon.hold(ask("lms"), self.HELD)
        assert isinstance(held, Resume)
        assert isinstance(house.signon.resume(held.request_id, BROWSER, house.session(), held=self.HELD), Redirect)

    def test_without_a_session_it_waits_on_as_the_browsers_own(self, house: House) -> None:
        held = house.signon.hold(ask("lms"), self.HELD)
        waiting = pending_of(house.signon.resume(held.request_id, BROWSER, None, held=self.HELD))
        assert isinstance(house.signon.resume(waiting, BROWSER, house.session()), Redirect)

    def test_S66_a_fresh_one_wants_a_login_later_than_the_one_that_is_there(self, house: House) -> None:
        session = house.session()
        held = house.signon.hold(ask("lms", fresh=True), self.HELD)
        waiting = pending_of(house.signon.resume(held.request_id, BROWSER, session, held=self.HELD))
        assert isinstance(house.signon.resume(waiting, BROWSER, session), Login)

    def test_a_passive_one_is_refused_without_a_session(self, house: House) -> None:
        held = house.signon.hold(ask("lms", passive=True), self.HELD)
        assert told(house.signon.resume(held.request_id, BROWSER, None, held=self.HELD))["error"] == "signon.login_required"

    def test_S11_another_browser_does_not_finish_it(self, house: House) -> None:
        held = house.signon.hold(ask("lms"), self.HELD)
        with pytest.raises(PendingGone):
            house.signon.resume(held.request_id, BROWSER, house.session())
        with pytest.raises(PendingGone):
            house.signon.resume(held.request_id, BROWSER, house.session(), held=OTHER_BROWSER)


def test_after_logout_nothing_of_the_session_works(house: House) -> None:
    """G: no code, token, ticket or cookie of a session outlives it."""
    signed = house.sign_in()
    ticket = Secret(told(house.signon.start(ask("lms"), BROWSER, signed.session))["ticket"])
    house.store.put("code", "c", {"session_id": signed.session.id}, expires=NOON + 60)
    house.store.put("token", "t", {"session_id": signed.session.id, "family": "f"}, expires=NOON + 600)
    house.logout.end(signed.session.id, reason="member")
    assert house.sessions.current(signed.cookies.session) is None
    assert house.sessions.pinged(signed.cookies.ping) is None
    assert [house.store.list(kind) for kind in ("ticket", "code", "token")] == [[], [], []]
    assert house.sessions.list() == []
    with pytest.raises(TicketRefused):
        house.tickets.redeem(ticket, "lms")
    assert isinstance(house.signon.start(ask("lms"), BROWSER, signed.session), Login), "a session object read before is no session"
