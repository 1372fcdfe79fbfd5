"""Sessions that expire: their clients are told, once, also of what expired while nobody looked."""

from __future__ import annotations

import pytest

from idp.sso.answer import Redirect
from idp.sso.expiry import Expiry
from idp.sso.session import Session, Sessions, SessionSettings
from idp.store import Store

from .conftest import MakeHouse
from .echo import ask, make_client
from .house import BROWSER, Clock, House, at_once

IDLE = SessionSettings().idle


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(make_client("back", tell="back"))


def look(house: House) -> int:
    return Expiry(house.sessions, house.logout, house.store, now=house.now).look()


def told_of(house: House, client_id: str = "back") -> Session:
    session = house.session()
    assert isinstance(house.signon.start(ask(client_id), BROWSER, session), Redirect)
    return session


def test_S45_the_clients_of_a_session_that_expires_by_idleness_are_told_within_two_minutes(house: House) -> None:
    told_of(house)
    house.now.time += IDLE - 1
    assert look(house) == 0
    house.now.time += 121
    assert look(house) == 1
    assert house.letterbox.heard() == ["back"]
    assert house.audit.last["cause"] == "expired"


def test_a_session_that_is_in_use_is_left_alone(house: House) -> None:
    signed = house.sign_in()
    for _ in range(5):
        house.now.time += IDLE - 100
        assert house.sessions.current(signed.cookies.session)
        assert look(house) == 0


def test_an_expired_session_is_told_of_once(house: House) -> None:
    told_of(house)
    house.now.time += IDLE + 120
    assert [look(house), look(house)] == [1, 0]
    house.now.time += 60
    assert look(house) == 0
    assert house.letterbox.heard() == ["back"]


def test_what_expired_while_no_server_ran_is_told_of_afterwards(house: House) -> None:
    look(house)
    told_of(house)
    house.now.time += IDLE + 20 * 3600
    assert look(house) == 1


def test_after_a_day_nothing_of_an_expired_session_is_left(house: House) -> None:
    told_of(house)
    house.now.time += IDLE + 86400
    assert not house.store.list("session")


def test_a_look_within_the_minute_of_an_end_does_not_pass_it_over(house: House) -> None:
    house.now.time += 30 - house.now.time % 60
    told_of(house)
    house.now.time += IDLE - 20
    assert look(house) == 0
    house.now.time += 120
    assert look(house) == 1


def test_one_of_several_servers_looks(house: House) -> None:
    for _ in range(6):
        house.session()
    house.now.time += IDLE + 120
    found = at_once(4, lambda _: look(house))
    assert sorted(map(int, found)) == [0, 0, 0, 6]  # type: ignore[arg-type]


def test_F13_a_client_that_cannot_be_told_keeps_no_other_session_from_being_ended(make_house: MakeHouse) -> None:
    house = make_house(make_client("broken", tell="broken"))
    for _ in range(3):
        told_of(house, "broken")
    house.now.time += IDLE + 120
    assert look(house) == 3
    assert house.sessions.untold(since=0) == []


def test_a_session_that_expired_is_nobody_s_and_opens_nothing(store: Store, now: Clock) -> None:
    sessions = Sessions(store, SessionSettings(), now=now)
    house = House(store, now)
    signed = house.sign_in()
    now.time += IDLE
    assert sessions.current(signed.cookies.session) is None
    assert sessions.pinged(signed.cookies.ping) is None
    assert sessions.get(signed.session.id) is None
    assert sessions.list() == sessions.of_subject("101") == []
    assert house.sign_in(previous=signed.session).session.id != signed.session.id
