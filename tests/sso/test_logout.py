"""Logout: end first, then tell everybody, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from idp.secret import Secret
from idp.sso.answer import Redirect
from idp.sso.logout import Beginning, Row, Run
from idp.sso.session import Session
from idp.sso.ticket import TicketRefused
from idp.store import Store, StoreUnavailable

from .conftest import MakeHouse
from .echo import COOKIE, ask, make_client
from .house import BROWSER, Clock, House, at_once

WAYS = ("back", "both", "front", "frame", "cookie", "never", "broken")


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(*[make_client(way, tell=way) for way in WAYS], make_client("front2", tell="front"))


def signed_in(house: House, *client_ids: str) -> Session:
    """A session that these clients were told of."""
    session = house.session()
    for client_id in client_ids:
        assert isinstance(house.signon.start(ask(client_id), BROWSER, session), Redirect)
    return session


def end(house: House, session: Session, **keywords: Any) -> Run:
    run = house.logout.end(session.id, reason="test", **keywords)
    assert run is not None
    return run


def states(run: Run | None) -> dict[str, str]:
    assert run is not None
    return {row.client_id: row.state for row in run.rows}


def stored(house: House, run: Run) -> Run:
    found = house.logout.run(run.id)
    assert found is not None
    return found


def test_every_client_is_told_in_its_own_way_and_nothing_is_called_done_that_is_not_proven(house: House) -> None:
    run = end(house, signed_in(house, *WAYS))
    assert states(run) == {
        "back": "done",
        "both": "done",
        "front": "waiting",
        "frame": "asked",
        "cookie": "cleared",
        "never": "untold",
        "broken": "untold",
    }
    assert house.letterbox.heard() == ["back", "both"]
    assert [url.partition("?")[0] for url in run.frames] == ["https://frame.example/out"]
    assert run.cookies == (COOKIE, COOKIE)
    assert not run.complete
    assert stored(house, run) == run


def test_one_event_says_who_ended_what_and_who_heard(house: House) -> None:
    session = signed_in(house, "back", "never")
    end(house, session)
    assert house.audit.of("logout.ended") == [
        {
            "event": "logout.ended",
            "cause": "test",
            "subject": "101",
            "session": session.id,
            "began": "",
            "clients": {"back": "done", "never": "untold"},
        }
    ]


def test_G_S10_a_client_whose_settings_broke_holds_nobody_up_and_its_error_is_not_logged(house: House) -> None:
    end(house, signed_in(house, "broken", "back"))
    assert house.letterbox.heard() == ["back"]
    assert house.audit.of("logout.notice_failed") == [{"event": "logout.notice_failed", "client": "broken", "cause": "LookupError"}]


def test_a_client_that_was_removed_holds_nobody_up(house: House) -> None:
    house.clients.add("passing", {"tell": "back"})
    session = signed_in(house, "passing", "back")
    house.clients.remove("passing")
    assert states(end(house, session)) == {"passing": "untold", "back": "done"}


def test_a_client_that_has_got_a_removed_ones_id_is_told_only_of_its_own_members(house: House) -> None:
    house.clients.add("passing", {"tell": "back"})
    session = signed_in(house, "passing", "back")
    house.clients.remove("passing")
    house.clients.add("passing", {"tell": "back"})
    assert states(end(house, session)) == {"passing": "untold", "back": "done"}
    assert states(end(house, signed_in(house, "passing"))) == {"passing": "done"}


def test_S47_a_dead_client_is_said_to_be_one(house: House) -> None:
    session = signed_in(house, "back")
    house.letterbox.dead.add("https://back.example/out")
    run = end(house, session)
    assert states(run) == {"back": "failed"}
    assert not run.complete
    assert house.sessions.get(session.id) is None


def test_a_session_of_no_clients_ends_completely(house: House) -> None:
    run = end(house, house.session())
    assert (run.rows, run.complete) == ((), True)


def test_a_session_that_has_ended_is_not_ended_again(house: House) -> None:
    session = signed_in(house, "back")
    end(house, session)
    assert house.logout.end(session.id, reason="test") is None
    assert house.letterbox.heard() == ["back"]


def test_the_client_that_began_is_answered_and_not_told(house: House) -> None:
    run = end(house, signed_in(house, "back", "both"), beginning=Beginning("echo", "back", {"return": "https://back.example/bye"}))
    assert house.letterbox.heard() == ["both"]
    assert house.logout.answer(run) == Redirect("https://back.example/bye?complete=true")
    assert house.logout.answer(stored(house, run)) == house.logout.answer(run)


def test_the_client_that_began_learns_that_another_was_not_reached(house: House) -> None:
    house.letterbox.dead.add("https://both.example/out")
    run = end(house, signed_in(house, "back", "both"), beginning=Beginning("echo", "back", {"return": "https://back.example/bye"}))
    assert house.logout.answer(run) == Redirect("https://back.example/bye?complete=false")


def test_a_member_who_began_here_stays_here_and_a_logout_on_the_way_goes_onward(house: House) -> None:
    assert house.logout.answer(end(house, house.session())) is None
    run = end(house, house.session(), onward="https://login.example/signon/1")
    assert house.logout.answer(stored(house, run)) == Redirect("https://login.example/signon/1")


def test_S49_all_sessions_of_a_member_end_together(house: House) -> None:
    signed_in(house, "back")
    signed_in(house, "both")
    assert house.logout.end_all_of("101", reason="disabled") == 2
    assert house.letterbox.heard() == ["back", "both"]
    assert house.logout.end_all_of("101", reason="disabled") == 0


def test_S47_clients_are_told_even_when_the_store_fails_after_the_session_was_taken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it could not delete is dead all the same, since whoever redeems it asks for the session."""
    session = signed_in(house, "back")

    def fail(kind: str, field: str, value: str) -> int:
        raise StoreUnavailable("it is switched off")

    monkeypatch.setattr(house.store, "delete_where", fail)
    assert states(end(house, session)) == {"back": "done"}
    assert house.audit.of("logout.issued_left")


class TestVisits:
    """Clients that the browser goes to, one after the other."""

    def test_the_browser_visits_each_and_each_says_what_became_of_it(self, house: House) -> None:
        session = signed_in(house, "front", "front2")
        run = end(house, session)
        first = run.next
        assert first is not None
        assert first.url == f"https://front.example/out?sid={session.id}"
        assert house.logout.visited(run, first)
        second = stored(house, run).next
        assert second is not None
        assert second.client_id == "front2"
        house.logout.visited(run, second)
        assert stored(house, run).next is None
        assert states(house.logout.replied(first.reply_to, "front", done=True)) == {"front": "done", "front2": "asked"}
        last = house.logout.replied(second.reply_to, "front2", done=False)
        assert states(last) == {"front": "done", "front2": "failed"}
        assert last is not None
        assert not last.complete

    def test_a_dead_client_is_not_visited_twice(self, house: House) -> None:
        run = end(house, signed_in(house, "front"))
        row = run.rows[0]
        assert house.logout.visited(run, row)
        assert not house.logout.visited(run, row)
        assert states(stored(house, run)) == {"front": "asked"}

    def test_of_sixteen_tabs_one_visits_a_client(self, either_store: Store, now: Clock) -> None:
        house = House(either_store, now, [make_client("front", tell="front"), make_client("frame", tell="frame")])
        run = end(house, signed_in(house, "front", "frame"))
        assert sorted(map(bool, at_once(16, lambda _: house.logout.visited(run, run.rows[0])))) == [False] * 15 + [True]
        assert sorted(map(bool, at_once(16, lambda _: house.logout.take_frames(run)))) == [False] * 15 + [True]

    def test_a_visit_that_is_late_does_not_undo_the_answer(self, house: House) -> None:
        run = end(house, signed_in(house, "front"))
        house.logout.replied(run.rows[0].reply_to, "front", done=True)
        assert not house.logout.visited(run, run.rows[0])
        assert states(stored(house, run)) == {"front": "done"}

    def test_F33_an_answer_that_comes_twice_changes_nothing_and_the_browser_goes_on(self, house: House) -> None:
        run = end(house, signed_in(house, "front", "front2"))
        reply_to = run.rows[0].reply_to
        house.logout.replied(reply_to, "front", done=True)
        again = house.logout.replied(reply_to, "front", done=False)
        assert again is not None
        assert (again.id, states(again)) == (run.id, {"front": "done", "front2": "waiting"})

    def test_nobody_answers_for_another_and_the_right_one_still_can(self, house: House) -> None:
        run = end(house, signed_in(house, "front"))
        reply_to = run.rows[0].reply_to
        assert house.logout.replied(reply_to, "front2", done=True) is None
        assert house.logout.replied("never-asked", "front", done=True) is None
        assert states(house.logout.replied(reply_to, "front", done=True)) == {"front": "done"}

    def test_an_answer_to_the_runs_own_id_finds_nothing_and_breaks_nothing(self, house: House) -> None:
        run = end(house, signed_in(house, "front"))
        assert house.logout.replied(run.id, "front", done=True) is None
        assert stored(house, run) == run
        assert house.logout.run(run.rows[0].reply_to) is None

    def test_one_client_among_several_without_a_reply_is_marked_alone(self, make_house: MakeHouse) -> None:
        house = make_house(*[make_client(name, tell="mute") for name in ("one", "two")], make_client("back"))
        run = end(house, signed_in(house, "one", "two", "back"))
        house.logout.visited(run, run.rows[1])
        assert states(stored(house, run)) == {"one": "waiting", "two": "asked", "back": "done"}

    @pytest.mark.parametrize(("client_id", "hours"), [("frame", 1), ("front", 12)])
    def test_a_run_is_forgotten_after_an_hour_or_when_the_clients_left_to_visit_have_forgotten_the_member(
        self, house: House, now: Clock, client_id: str, hours: int
    ) -> None:
        run = end(house, signed_in(house, client_id))
        now.time += hours * 3600 - 1
        assert house.logout.run(run.id) == run
        now.time += 1
        assert house.logout.run(run.id) is None
        assert house.logout.replied(run.rows[0].reply_to, "front", done=True) is None
        assert not house.logout.visited(run, run.rows[0])

    def test_a_run_belongs_to_one_browser_for_good(self, house: House) -> None:
        """It names the clients and what the member is called there; a client that answers learns its id."""
        run = end(house, signed_in(house, "front"))
        assert not run.belongs_to("")
        house.logout.bind(run, "mine")
        house.logout.bind(run, "somebody else's")
        assert stored(house, run).belongs_to("mine")
        assert not stored(house, run).belongs_to("somebody else's")
        assert not stored(house, run).belongs_to("")
        assert "mine" not in str(house.store.list("logout"))


def test_F28_whoever_got_an_answer_is_told_once_and_nobody_else_is(either_store: Store, now: Clock) -> None:
    """Fourteen sign-ons, and two who end the session, all at the same moment."""
    house = House(either_store, now, [make_client(f"c{number}") for number in range(14)])
    for _ in range(3):
        session = house.session()
        house.letterbox.notices.clear()

        def act(number: int, session: Session = session) -> object:
            if number >= 14:
                return house.logout.end(session.id, reason="test")
            return house.signon.start(ask(f"c{number}"), BROWSER, session)

        results = at_once(16, act)
        answered = [f"c{number}" for number, answer in enumerate(results[:14]) if isinstance(answer, Redirect)]
        assert house.letterbox.heard() == sorted(answered)
        (run,) = [result for result in results[14:] if isinstance(result, Run)]
        assert sorted(states(run)) == sorted(answered)
        for answer in results[:14]:
            if isinstance(answer, Redirect):
                ticket = Secret(parse_qs(urlsplit(answer.url).query)["ticket"][0])
                with pytest.raises(TicketRefused):
                    house.tickets.redeem(ticket, urlsplit(answer.url).netloc.removesuffix(".example"))


def test_S47_of_sixteen_who_end_one_session_one_tells_the_clients(either_store: Store, now: Clock) -> None:
    house = House(either_store, now, [make_client("lms"), make_client("wiki", tell="front")])
    session = signed_in(house, "lms", "wiki")
    runs = [run for run in at_once(16, lambda _: house.logout.end(session.id, reason="test")) if run is not None]
    assert len(runs) == 1
    assert house.letterbox.heard() == ["lms"]
    assert len(house.audit.of("logout.ended")) == 1


def test_a_logout_is_complete_when_everybody_has_proven_it() -> None:
    run = Run("r", (Row("a", "done"), Row("b", "asked")))
    assert not run.complete
    assert replace(run, rows=(Row("a", "done"),)).complete


def test_what_iMIS_keeps_is_no_matter_of_the_clients_and_the_page_tells_it() -> None:
    run = Run("r", (Row("a", "done"), Row("@imis", "untold")))
    assert (run.heard, run.complete) == (True, False)
    assert not Run("r", (Row("a", "asked"), Row("@imis", "done"))).heard
