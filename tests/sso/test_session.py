"""Sessions: what proves one, how long it lives, and that nothing happens to it by halves."""

from __future__ import annotations

import json

import pytest

from idp.secret import Secret
from idp.settings import Settings
from idp.sso.session import Participant, Session, Sessions, SessionSettings
from idp.store import INDEXED, Store

from .house import ADA, BEN, NOON, Clock, at_once

IDLE, ABSOLUTE = 3600, 12 * 3600


@pytest.fixture
def sessions(store: Store, now: Clock) -> Sessions:
    return Sessions(store, SessionSettings(), now=now)


def everything_in(store: Store) -> str:
    return json.dumps([[stored.key, stored.record] for kind in INDEXED for stored in store.list(kind)])


def test_a_session_is_found_by_its_cookie(sessions: Sessions) -> None:
    session, cookies = sessions.open(ADA)
    assert sessions.current(cookies.session) == session
    assert (session.subject_id, session.username, session.auth_time, session.participants) == ("101", "ada", NOON, ())


def test_S71_the_cookies_secret_has_256_bits_and_is_not_in_the_store(sessions: Sessions, store: Store) -> None:
    session, cookies = sessions.open(ADA)
    for cookie in (cookies.session, cookies.ping):
        published, _, secret = cookie.reveal().partition(".")
        assert published == session.id
        assert len(secret) == 43  # 256 bits in base64url
        assert secret not in everything_in(store)
        assert secret not in repr(cookies)


@pytest.mark.parametrize(
    "cookie",
    ["", ".", "x", "{id}", "{id}.", "{id}.wrong", ".{secret}", "{id}.{secret}x", "{id}.{secret}" + "x" * 200, "{id}.\ud800", "\0.{secret}"],
)
def test_S71_nothing_but_the_whole_cookie_proves_a_session(sessions: Sessions, cookie: str) -> None:
    session, cookies = sessions.open(ADA)
    secret = cookies.session.reveal().partition(".")[2]
    assert sessions.current(Secret(cookie.format(id=session.id, secret=secret))) is None


def test_the_published_id_alone_finds_what_was_issued_and_proves_nothing(sessions: Sessions) -> None:
    session, _ = sessions.open(ADA)
    assert sessions.get(session.id) == session
    assert sessions.current(Secret(session.id)) is None


def test_the_ping_cookie_answers_one_question_and_is_no_session_cookie(sessions: Sessions) -> None:
    session, cookies = sessions.open(ADA)
    assert sessions.pinged(cookies.ping) == session
    assert sessions.current(cookies.ping) is None
    assert sessions.pinged(cookies.session) is None


def test_S72_a_new_login_keeps_the_id_for_the_clients_and_changes_the_secret_for_the_browser(sessions: Sessions, now: Clock) -> None:
    first, old = sessions.open(ADA)
    sessions.join(first.id, Participant("lms", "echo", {"a": 1}))
    now.time += 100
    second, new = sessions.open(ADA, first)
    assert second.id == first.id
    assert second.login_id != first.login_id
    assert second.auth_time == NOON + 100
    assert second.participant("lms") == Participant("lms", "echo", {"a": 1})
    assert sessions.current(old.session) is None
    assert sessions.pinged(old.ping) is None
    assert sessions.current(new.session) == second


def test_another_members_login_never_continues_a_session(sessions: Sessions) -> None:
    first, old = sessions.open(ADA)
    second, _ = sessions.open(BEN, first)
    assert second.id != first.id
    assert sessions.current(old.session) == first


def test_F28_a_new_login_does_not_revive_a_session_that_has_ended_meanwhile(sessions: Sessions) -> None:
    """Its clients were told; whatever was issued in it must stay dead."""
    first, _ = sessions.open(ADA)
    sessions.take(first.id)
    second, _ = sessions.open(ADA, first)
    assert second.id != first.id
    assert sessions.get(first.id) is None


def test_F28_a_client_that_joined_while_the_password_was_checked_is_not_forgotten(sessions: Sessions) -> None:
    first, _ = sessions.open(ADA)  # as the sign-in page read it, before the client joined in another tab
    assert sessions.join(first.id, Participant("lms", "echo"))
    second, _ = sessions.open(ADA, first)
    assert second.participant("lms")


def test_S73_it_ends_after_an_hour_without_use_and_use_puts_that_off(sessions: Sessions, now: Clock) -> None:
    session, cookies = sessions.open(ADA)
    now.time += IDLE - 1
    assert sessions.current(cookies.session)
    now.time += IDLE - 1
    assert sessions.current(cookies.session)
    now.time += IDLE
    assert sessions.current(cookies.session) is None
    assert sessions.get(session.id) is None
    assert sessions.take(session.id), "its clients are still to be told"
    assert sessions.take(session.id) is None


def test_S73_it_ends_after_twelve_hours_however_busy(sessions: Sessions, now: Clock) -> None:
    _, cookies = sessions.open(ADA)
    for _ in range(ABSOLUTE // 1800 - 1):
        now.time += 1800
        assert sessions.current(cookies.session)
    now.time += 1800
    assert sessions.current(cookies.session) is None


def test_being_asked_after_is_not_use(sessions: Sessions, now: Clock) -> None:
    _, cookies = sessions.open(ADA)
    for _ in range(3):
        now.time += 1000
        assert sessions.pinged(cookies.ping)
    now.time += 600
    assert sessions.pinged(cookies.ping) is None


def test_use_within_a_minute_costs_no_write(sessions: Sessions, store: Store, now: Clock) -> None:
    session, cookies = sessions.open(ADA)
    now.time += 59
    sessions.current(cookies.session)
    stored = store.get("session", session.id)
    assert stored is not None
    assert stored.revision == 1
    now.time += 1
    sessions.current(cookies.session)
    assert store.get("session", session.id) != stored


def test_joining_again_with_the_same_state_costs_no_write_and_a_new_state_replaces_the_old(sessions: Sessions, store: Store) -> None:
    session, _ = sessions.open(ADA)
    sessions.join(session.id, Participant("lms", "echo", {"index": ["1"]}))
    before = store.get("session", session.id)
    assert sessions.join(session.id, Participant("lms", "echo", {"index": ["1"]}))
    assert store.get("session", session.id) == before
    assert sessions.join(session.id, Participant("lms", "echo", {"index": ["2"]}))
    found = sessions.get(session.id)
    assert found is not None
    assert found.participants == (Participant("lms", "echo", {"index": ["2"]}),)


def test_a_client_that_leaves_is_off_the_list(sessions: Sessions) -> None:
    session, _ = sessions.open(ADA)
    sessions.join(session.id, Participant("lms", "echo"))
    sessions.join(session.id, Participant("shop", "echo"))
    sessions.leave(session.id, "lms")
    found = sessions.get(session.id)
    assert found is not None
    assert [each.client_id for each in found.participants] == ["shop"]


def test_nobody_joins_or_leaves_a_session_that_has_ended(sessions: Sessions) -> None:
    session, _ = sessions.open(ADA)
    sessions.take(session.id)
    assert not sessions.join(session.id, Participant("lms", "echo"))
    sessions.leave(session.id, "lms")
    assert sessions.get(session.id) is None


def test_S74_all_sessions_of_a_member_are_found(sessions: Sessions) -> None:
    mine = {sessions.open(ADA)[0].id, sessions.open(ADA)[0].id}
    other, _ = sessions.open(BEN)
    assert {session.id for session in sessions.of_subject("101")} == mine
    assert {session.id for session in sessions.list()} == {*mine, other.id}


def test_a_setting_below_zero_is_refused() -> None:
    assert issubclass(SessionSettings, Settings)
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        SessionSettings(idle=-1)


class TestRaces:
    """On MongoDB and on SQLite."""

    @pytest.fixture
    def sessions(self, either_store: Store, now: Clock) -> Sessions:
        return Sessions(either_store, SessionSettings(), now=now)

    def test_sixteen_clients_that_join_at_once_are_all_on_the_list(self, sessions: Sessions) -> None:
        session, _ = sessions.open(ADA)
        assert at_once(16, lambda number: sessions.join(session.id, Participant(f"c{number}", "echo"))) == [True] * 16
        found = sessions.get(session.id)
        assert found is not None
        assert {each.client_id for each in found.participants} == {f"c{number}" for number in range(16)}

    def test_S47_of_sixteen_who_end_a_session_one_gets_it(self, sessions: Sessions) -> None:
        session, _ = sessions.open(ADA)
        taken = [each for each in at_once(16, lambda _: sessions.take(session.id)) if each is not None]
        assert taken == [session]

    def test_F28_who_joined_is_on_the_list_of_whoever_ended_it_and_who_is_not_did_not_join(self, sessions: Sessions) -> None:
        for _ in range(5):
            session, _ = sessions.open(ADA)

            def act(number: int, session: Session = session) -> object:
                return sessions.take(session.id) if number == 0 else sessions.join(session.id, Participant(f"c{number}", "echo"))

            taken, *joined = at_once(8, act)
            assert isinstance(taken, Session)
            assert {each.client_id for each in taken.participants} == {f"c{number}" for number, yes in enumerate(joined, start=1) if yes}
            assert all(isinstance(yes, bool) for yes in joined)
            assert sessions.get(session.id) is None

    def test_F28_using_a_session_while_it_ends_does_not_bring_it_back(self, sessions: Sessions, now: Clock) -> None:
        for _ in range(5):
            session, cookies = sessions.open(ADA)
            now.time += 120  # so that use writes

            def act(number: int, session: Session = session, cookie: Secret = cookies.session) -> object:
                if number == 0:
                    return sessions.take(session.id)
                return sessions.open(ADA, session) if number == 1 else sessions.current(cookie)

            taken, renewed, *_ = at_once(6, act)
            assert isinstance(taken, Session)
            assert isinstance(renewed, tuple)
            assert sessions.get(session.id) is None, "the id has ended, whoever came first"
