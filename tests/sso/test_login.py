"""The desk: one throttle, one sentence, one way in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from idp.directory import DirectoryUnavailable
from idp.errors import IdpError
from idp.secret import Secret
from idp.sso.login import BadCredentials, LoginDesk, LoginSettings, SignedIn, Throttled
from idp.sso.session import Participant
from idp.store import Store

from .conftest import MakeHouse
from .echo import make_client
from .house import PASSWORD, Clock, House, at_once

WINDOW, TRIES = LoginSettings().window, LoginSettings().tries_per_account


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(make_client("lms"), make_client("wiki", tell="front"))


def refused(house: House, username: str = "ada", password: str = "wrong", **keywords: Any) -> IdpError:
    with pytest.raises((BadCredentials, Throttled)) as caught:
        house.sign_in(username, password, **keywords)
    return caught.value


def lock_out(house: House, username: str = "ada", **keywords: Any) -> None:
    for _ in range(TRIES):
        assert isinstance(refused(house, username, **keywords), BadCredentials)


def test_a_good_login_opens_a_session_remembers_the_member_and_is_taken_down(house: House) -> None:
    signed = house.sign_in()
    assert house.sessions.current(signed.cookies.session) == signed.session
    house.members.is_there = False
    assert house.subjects.current("101") == house.members.by_id["101"], "from the store: the directory is away (G-R4)"
    assert house.audit.of("login.ok") == [{"event": "login.ok", "subject": "101", "session": signed.session.id, "address": "192.0.2.1"}]


@pytest.mark.parametrize("username", ["ada", "nobody", "dora"], ids=["wrong password", "unknown", "disabled"])
def test_S83_wrong_unknown_and_disabled_are_told_the_same(house: House, username: str) -> None:
    password = PASSWORD if username == "dora" else "wrong"
    error = refused(house, username, password)
    assert (type(error), error.cause, error.message, error.status, error.retry_after) == (
        BadCredentials,
        "login.bad_credentials",
        "The user name or the password is not right. Please try again.",
        401,
        None,
    )


def test_S83_wrong_unknown_and_disabled_run_into_the_same_throttle(house: House) -> None:
    said = set()
    for username in ("ada", "nobody", "dora"):
        lock_out(house, username)
        error = refused(house, username)
        said.add((type(error), error.cause, error.message, error.retry_after))
    assert said == {
        (Throttled, "login.account_throttled", "There were too many tries. Please wait 15 minutes, or ask for a new password.", WINDOW)
    }


def test_S82_after_five_tries_the_directory_is_not_asked_any_more_right_password_or_not(house: House) -> None:
    lock_out(house)
    assert isinstance(refused(house, password=PASSWORD), Throttled)
    assert len(house.members.tries) == TRIES


def test_S82_the_throttle_ends_by_itself_however_often_it_is_run_into(house: House, now: Clock) -> None:
    lock_out(house)
    now.time += WINDOW - 10
    for _ in range(20):
        error = refused(house)
    assert (error.retry_after, error.message) == (10, "There were too many tries. Please wait 1 minute, or ask for a new password.")
    now.time += 10
    assert house.sign_in()


def test_S82_a_good_login_forgets_the_wrong_ones(house: House) -> None:
    for _ in range(3):
        for _ in range(TRIES - 1):
            refused(house)
        assert house.sign_in()


def test_S82_others_are_not_kept_out(house: House) -> None:
    lock_out(house)
    assert house.sign_in("ben")


def test_S82_a_try_is_counted_before_it_is_made_so_that_parallel_ones_cannot_pass_together(either_store: Store, now: Clock) -> None:
    house = House(either_store, now)
    results = at_once(16, lambda _: house.sign_in("ada", "wrong"))
    assert sorted(type(result).__name__ for result in results) == ["BadCredentials"] * TRIES + ["Throttled"] * (16 - TRIES)
    assert len(house.members.tries) == TRIES


@pytest.mark.parametrize("spelling", ["ADA", " ada ", "ａｄａ", "a\u200bda", "a\u00adda", "adá", "ada\u0301", "\x00ada"])
def test_S82_another_spelling_of_an_account_has_no_tries_of_its_own(house: House, spelling: str) -> None:
    """The database under iMIS ignores case, width, and characters without weight."""
    lock_out(house)
    assert isinstance(refused(house, spelling), Throttled)


def test_S82_an_address_has_its_own_count_and_good_logins_are_not_in_it(make_house: MakeHouse) -> None:
    house = make_house(login=LoginSettings(tries_per_address=3))
    for number in range(3):
        house.sign_in("ben")
        refused(house, f"guess{number}")
    error = refused(house, "ada", PASSWORD)
    assert (type(error), error.cause) == (Throttled, "login.address_throttled")
    assert house.sign_in("ada", address="192.0.2.2")


def test_S82_an_address_that_is_turned_away_uses_up_nobodys_tries(make_house: MakeHouse) -> None:
    """Or one machine could lock out every member."""
    house = make_house(login=LoginSettings(tries_per_address=3))
    for number in range(3 + 2 * TRIES):
        refused(house, "ada" if number >= 3 else f"guess{number}")
    assert house.sign_in("ada", address="192.0.2.2")


def test_S82_the_addresses_of_one_ipv6_network_are_one(make_house: MakeHouse) -> None:
    house = make_house(login=LoginSettings(tries_per_address=3))
    for number in range(3):
        refused(house, f"guess{number}", address=f"2001:db8:1:2::{number + 1:x}")
    assert isinstance(refused(house, "ada", address="2001:db8:1:2:ffff::1"), Throttled)
    assert isinstance(refused(house, "ada", address="2001:db8:1:3::1"), BadCredentials)


def test_F13_an_outage_of_the_directory_uses_up_no_tries(house: House) -> None:
    house.members.is_there = False
    for _ in range(TRIES + 1):
        with pytest.raises(DirectoryUnavailable):
            house.sign_in()
    house.members.is_there = True
    assert house.sign_in()
    assert len(house.members.tries) == TRIES + 2, "one question for each try"


@pytest.mark.parametrize(
    ("username", "password"), [("", PASSWORD), ("  ", PASSWORD), ("ada", ""), ("a" * 257, PASSWORD), ("ada", "p" * 1025)]
)
def test_what_can_be_nobodys_is_not_asked_of_the_directory(house: House, username: str, password: str) -> None:
    assert isinstance(refused(house, username, password), BadCredentials)
    assert house.members.tries == []


def test_where_members_sign_in_at_iMIS_alone_no_password_opens_a_session_whoever_brings_it(house: House, store: Store) -> None:
    """SAML's ECP brings one, too."""
    parts: dict[str, Any] = {"sessions": house.sessions, "subjects": house.subjects, "logout": house.logout}
    shared: dict[str, Any] = {"store": store, "audit": house.audit, "now": house.now}
    desk = LoginDesk(LoginSettings(), directory=house.members, passwords=False, **parts, **shared)
    with pytest.raises(BadCredentials):
        desk.sign_in("ada", Secret(PASSWORD), address="192.0.2.1", previous=None)
    assert house.members.tries == []


def test_the_same_member_again_renews_the_session(house: House) -> None:
    first = house.sign_in()
    second = house.sign_in(previous=first.session)
    assert second.session.id == first.session.id
    assert second.ended is None
    assert house.sessions.current(first.cookies.session) is None


def test_another_member_ends_the_first_ones_session_and_its_clients_are_told(house: House) -> None:
    ada = house.sign_in()
    house.sessions.join(ada.session.id, Participant("lms", "echo"))
    house.sessions.join(ada.session.id, Participant("wiki", "echo"))
    ben = house.sign_in("ben", previous=house.live(ada.session), onward="https://login.example/signon/1")
    assert house.sessions.current(ada.cookies.session) is None
    assert house.letterbox.heard() == ["lms"]
    assert ben.session.participants == ()
    assert ben.ended is not None
    assert ben.ended.next is not None, "the browser must still visit the wiki, or it stays signed in there as Ada"
    assert (ben.ended.next.client_id, ben.ended.onward) == ("wiki", "https://login.example/signon/1")
    assert house.audit.of("logout.ended")[0]["cause"] == "another_member"


def test_a_wrong_password_ends_nobodys_session(house: House) -> None:
    ada = house.sign_in()
    with pytest.raises(BadCredentials):
        house.sign_in("ben", "wrong", previous=ada.session)
    assert house.sessions.current(ada.cookies.session)


def test_G_S10_neither_password_nor_cookie_is_in_an_event_an_error_or_a_record(house: House, store: Store) -> None:
    canary = "canary-7f3a-password"
    errors = [refused(house, "ada", canary) for _ in range(TRIES + 1)]
    house.members.is_there = False
    with pytest.raises(DirectoryUnavailable) as caught:
        house.sign_in("ben", canary)
    house.members.is_there = True
    signed = house.sign_in("ben")
    assert isinstance(signed, SignedIn)
    kinds = ("session", "subject", "throttle", "pending", "logout")
    seen = f"{house.audit.lines} {[(vars(e), e) for e in (*errors, caught.value)]} {signed} " + json.dumps(
        [[each.key, each.record] for kind in kinds for each in store.list(kind)]
    )
    secrets = [cookie.reveal().partition(".")[2] for cookie in (signed.cookies.session, signed.cookies.ping)]
    assert not [secret for secret in (canary, PASSWORD, *secrets) if secret in seen]
