"""Notices that were not acknowledged: none is lost when a worker is killed, one worker wins each try, each try has a message of its own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from idp.sso.answer import Redirect
from idp.sso.logout import Beginning, Run
from idp.sso.notice import BackChannel, Outcome
from idp.sso.notice_queue import LIFE
from idp.sso.session import Session, Sessions, SessionSettings
from idp.store import Store, StoreUnavailable

from .conftest import MakeHouse
from .echo import ask, make_client
from .house import BROWSER, Clock, House, at_once

LMS_OUT = "https://lms.example/out"


class Killed(BaseException):
    """kill -9: nothing after it is done."""


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(make_client("lms"), make_client("shop"), make_client("wiki", tell="front"))


def signed_in(house: House, *client_ids: str) -> Session:
    session = house.session()
    for client_id in client_ids:
        assert isinstance(house.signon.start(ask(client_id), BROWSER, session), Redirect)
    return session


def end(house: House, session: Session, beginning: Beginning | None = None) -> Run:
    run = house.logout.end(session.id, reason="test", beginning=beginning)
    assert run is not None
    return run


def pass_time(house: House, seconds: int) -> None:
    house.now.time += seconds
    house.logout.notices.settle()


def dead(house: House, *client_ids: str) -> None:
    house.letterbox.dead = {f"https://{client_id}.example/out" for client_id in client_ids}


def state(house: House, run: Run, client_id: str) -> str:
    found = house.logout.run(run.id)
    assert found is not None
    return next(row.state for row in found.rows if row.client_id == client_id)


class TestTryingAgain:
    def test_F18_a_server_that_was_dead_is_told_when_it_is_back_and_the_page_says_so(self, house: House) -> None:
        dead(house, "lms")
        run = end(house, signed_in(house, "lms", "shop"))
        (row,) = [row for row in run.rows if row.client_id == "lms"]
        assert (row.state, row.until) == ("failed", house.now() + LIFE)
        dead(house)
        house.letterbox.notices.clear()
        pass_time(house, 59)
        assert house.letterbox.heard() == []
        pass_time(house, 1)
        assert house.letterbox.heard() == ["lms"]
        assert state(house, run, "lms") == "done"
        assert house.logout.notices.list() == []

    def test_it_is_tried_ever_more_slowly_and_for_three_days(self, house: House) -> None:
        dead(house, "lms")
        session = signed_in(house, "lms")
        begun = house.now()
        end(house, session)
        tried = []
        for _ in range(LIFE // 60 + 60):
            house.letterbox.notices.clear()
            pass_time(house, 60)
            tried += [(house.now() - begun) // 60] * len(house.letterbox.notices)
        assert tried == [1, 4, 13, 40, 121, 364, 1093, 2533, 3973]
        assert house.logout.notices.list() == []
        assert house.audit.last["event"] == "notice.given_up"
        assert house.audit.last["cause"] == "notice.too_late"

    def test_S45_each_try_makes_its_own_message_and_none_waits_in_the_store(self, house: House) -> None:
        dead(house, "lms")
        end(house, signed_in(house, "lms"))
        made = len(house.echo.asked_to_tell)
        assert LMS_OUT not in str(house.store.list("notice"))
        pass_time(house, 60)
        pass_time(house, 180)
        assert len(house.echo.asked_to_tell) == made + 2

    def test_a_server_that_does_not_answer_is_asked_once_for_all_that_waits(self, house: House) -> None:
        dead(house, "lms")
        for _ in range(5):
            end(house, signed_in(house, "lms"))
        assert len(house.letterbox.notices) == 1, "who signs out a moment later does not wait for it again"
        assert len(house.logout.notices.list()) == 5
        dead(house)
        pass_time(house, 60)
        assert house.letterbox.heard() == ["lms"] * 6
        assert house.logout.notices.list() == []

    def test_an_answer_that_comes_too_late_is_no_answer_and_no_failure_either(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(house.letterbox, "deliver", lambda notices, within: [Outcome(False, "outbound.timeout")])
        run = end(house, signed_in(house, "lms"))
        assert [(row.state, bool(row.until)) for row in run.rows] == [("asked", True)]

    def test_the_client_that_began_is_told_of_nothing_later_either(self, house: House) -> None:
        dead(house, "lms", "shop")
        end(house, signed_in(house, "lms", "shop"), Beginning("echo", "lms", {"return": "https://lms.example/bye"}))
        assert [each.client_id for each in house.logout.notices.list()] == ["shop"]

    def test_of_many_workers_one_tries(self, either_store: Store, now: Clock) -> None:
        house = House(either_store, now, [make_client("lms")])
        dead(house, "lms")
        end(house, signed_in(house, "lms"))
        dead(house)
        house.letterbox.notices.clear()
        now.time += 60
        workers = [House(either_store, now, [make_client("lms")]) for _ in range(8)]
        at_once(8, lambda number: workers[number].logout.notices.settle())
        assert sum(len(each.letterbox.notices) for each in workers) == 1


class TestClientsThatGo:
    def test_a_client_that_was_removed_drops_its_notices_at_once(self, house: House) -> None:
        house.clients.add("passing", {"tell": "back"})
        dead(house, "passing", "lms")
        end(house, signed_in(house, "passing", "lms"))
        house.clients.remove("passing")
        assert [each.client_id for each in house.logout.notices.list()] == ["lms"]

    def test_a_client_that_was_taken_out_of_the_file_is_given_up_at_the_next_try(self, house: House, make_house: MakeHouse) -> None:
        dead(house, "lms", "shop")
        end(house, signed_in(house, "lms", "shop"))
        later = make_house(make_client("shop"))
        pass_time(later, 60)
        assert later.logout.notices.list() == []
        assert later.letterbox.heard() == ["shop"]
        assert [(line["client"], line["cause"]) for line in later.audit.of("notice.given_up")] == [("lms", "notice.client_gone")]

    def test_a_client_that_takes_no_notices_any_more_is_given_up(self, house: House, make_house: MakeHouse) -> None:
        dead(house, "lms")
        end(house, signed_in(house, "lms"))
        later = make_house(make_client("lms", tell="never"))
        pass_time(later, 60)
        assert [line["cause"] for line in later.audit.of("notice.given_up")] == ["notice.no_address"]

    def test_a_client_whose_settings_broke_is_tried_again_for_they_may_be_mended(self, house: House, make_house: MakeHouse) -> None:
        dead(house, "lms")
        end(house, signed_in(house, "lms"))
        broken = make_house(make_client("lms", tell="broken"))
        pass_time(broken, 60)
        assert [each.tries for each in broken.logout.notices.list()] == [2]
        assert "hunter2" not in str(broken.audit.lines)


class TestOperators:
    def test_they_see_what_waits_and_why(self, house: House) -> None:
        dead(house, "lms")
        session = signed_in(house, "lms")
        end(house, session)
        (waiting,) = house.logout.notices.list()
        assert (waiting.client_id, waiting.session_id, waiting.subject_id) == ("lms", session.id, "101")
        assert (waiting.tries, waiting.due, waiting.until) == (1, house.now() + 60, house.now() + LIFE)
        assert waiting.cause == "outbound.connection"

    def test_they_try_one_at_once(self, house: House) -> None:
        dead(house, "lms")
        end(house, signed_in(house, "lms"))
        (waiting,) = house.logout.notices.list()
        assert house.logout.notices.retry(waiting.id) == "outbound.connection"
        dead(house)
        assert house.logout.notices.retry(waiting.id) == ""
        assert house.logout.notices.retry(waiting.id) is None
        assert house.logout.notices.list() == []

    def test_they_drop_one(self, house: House) -> None:
        dead(house, "lms", "shop")
        end(house, signed_in(house, "lms", "shop"))
        first, second = house.logout.notices.list()
        assert house.logout.notices.drop(first.id)
        assert not house.logout.notices.drop(first.id)
        assert house.logout.notices.list() == [second]


class TestKilled:
    """kill -9 between the end of a session and the last word about it."""

    def killed_while_telling(self, house: House, session: Session, beginning: Beginning | None = None) -> None:
        def die(notices: Sequence[BackChannel], *, within: float) -> list[Outcome]:
            raise Killed

        house.letterbox.deliver, kept = die, house.letterbox.deliver  # type: ignore[method-assign]
        with pytest.raises(Killed):
            house.logout.end(session.id, reason="test", beginning=beginning)
        house.letterbox.deliver = kept  # type: ignore[method-assign]

    def test_F2_the_session_is_over_and_its_clients_are_told_by_whoever_lives(self, house: House) -> None:
        session = signed_in(house, "lms", "shop")
        self.killed_while_telling(house, session)
        assert house.sessions.get(session.id) is None
        assert house.logout.finish_left() == 0, "its worker may still be at it"
        house.now.time += 20
        assert house.logout.finish_left() == 1
        assert house.letterbox.heard() == ["lms", "shop"]
        house.now.time += 20
        assert house.logout.finish_left() == 0

    @pytest.mark.parametrize("kind", ["ticket", "notice", "logout", "session"])
    def test_F2_wherever_it_dies_nobody_is_forgotten(self, house: House, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
        """At each write: of what was issued, of the notices that wait, of the run, of the last word."""
        session = signed_in(house, "lms", "shop")
        dead(house, "shop")
        verbs = {name: getattr(house.store, name) for name in ("put", "delete_where", "change")}
        ended = False

        def dying(name: str) -> object:
            def act(of: str, *arguments: object, **keywords: object) -> object:
                nonlocal ended
                if of == kind and (kind != "session" or ended):
                    raise Killed
                ended = ended or of == "session"
                return verbs[name](of, *arguments, **keywords)

            return act

        for name in verbs:
            monkeypatch.setattr(house.store, name, dying(name))
        with pytest.raises(Killed):
            house.logout.end(session.id, reason="test")
        monkeypatch.undo()
        dead(house)
        house.letterbox.notices.clear()
        house.now.time += 60
        assert house.logout.finish_left() == 1
        house.logout.notices.settle()
        assert {"lms", "shop"} <= set(house.letterbox.heard())

    def test_F2_one_worker_takes_it_up(self, either_store: Store, now: Clock) -> None:
        house = House(either_store, now, [make_client("lms")])
        self.killed_while_telling(house, signed_in(house, "lms"))
        now.time += 20
        workers = [House(either_store, now, [make_client("lms")]) for _ in range(6)]
        found = at_once(6, lambda number: workers[number].logout.finish_left())
        assert sorted(map(int, found)) == [0, 0, 0, 0, 0, 1]  # type: ignore[arg-type]

    def test_F2_the_client_that_began_is_not_told_by_whoever_takes_it_up(self, house: House) -> None:
        beginning = Beginning("echo", "lms", {"return": "https://lms.example/bye"})
        self.killed_while_telling(house, signed_in(house, "lms", "shop"), beginning)
        house.now.time += 20
        house.logout.finish_left()
        assert house.letterbox.heard() == ["shop"]

    def test_F2_the_browser_finds_its_run_with_the_visits_that_are_left(self, house: House) -> None:
        signed = house.sign_in()
        for client_id in ("lms", "wiki"):
            house.signon.start(ask(client_id), BROWSER, signed.session)
        self.killed_while_telling(house, signed.session)
        ended = house.sessions.ended(signed.cookies.session)
        assert ended is not None
        assert not ended.told
        assert house.logout.take_up(ended) is None
        house.now.time += 20
        house.logout.finish_left()
        ended = house.sessions.ended(signed.cookies.session)
        assert ended is not None
        run = house.logout.take_up(ended)
        assert run is not None
        assert [(row.client_id, row.state) for row in run.rows] == [("lms", "done"), ("wiki", "waiting")]

    def test_a_store_that_fails_while_notices_are_kept_leaves_the_promise(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        dead(house, "lms")
        session = signed_in(house, "lms")
        put = house.store.put

        def failing(kind: str, *arguments: object, **keywords: object) -> None:
            if kind == "notice":
                raise StoreUnavailable("it is switched off")
            put(kind, *arguments, **keywords)  # type: ignore[arg-type]

        monkeypatch.setattr(house.store, "put", failing)
        with pytest.raises(StoreUnavailable):
            house.logout.end(session.id, reason="test")
        monkeypatch.undo()
        dead(house)
        house.now.time += 30
        assert house.logout.finish_left() == 1
        assert state(house, _only_run(house), "lms") == "done"


class TestTakingUp:
    """The browser comes back with the cookie of a session that has ended."""

    def test_the_messages_of_visits_that_are_left_are_made_anew(self, house: House) -> None:
        run = end(house, signed_in(house, "wiki"))
        assert house.logout.refreshed(run) == run
        made = len(house.echo.asked_to_tell)
        house.now.time += 600
        later = house.logout.refreshed(run)
        assert len(house.echo.asked_to_tell) == made + 1
        assert later.next is not None
        assert house.logout.replied(later.next.reply_to, "wiki", done=True) is not None

    def test_nothing_but_the_whole_cookie_finds_it(self, store: Store, now: Clock) -> None:
        sessions = Sessions(store, SessionSettings(), now=now)
        house = House(store, now)
        signed, other = house.sign_in(), house.sign_in()
        assert sessions.ended(signed.cookies.session) is None
        house.logout.end(signed.session.id, reason="test")
        assert sessions.ended(signed.cookies.session) is not None
        assert sessions.ended(signed.cookies.ping) is None
        assert sessions.ended(other.cookies.session) is None


def test_what_an_application_was_told_of_our_session_s_end_is_said_where_nothing_else_is_known(make_house: MakeHouse) -> None:
    house = make_house(make_client("deaf", tell="never"), make_client("cookie", tell="cookie"))
    first = end(house, signed_in(house, "deaf", "cookie"))
    assert [row.until for row in first.rows] == [0, 0]
    house.echo.bounds_sessions = True  # type: ignore[attr-defined]
    session = signed_in(house, "deaf", "cookie")
    assert [row.until for row in end(house, session).rows] == [session.ends, session.ends]


def _only_run(house: House) -> Run:
    (run,) = [found for stored in house.store.list("logout") if (found := house.logout.run(stored.key)) is not None]
    return run
