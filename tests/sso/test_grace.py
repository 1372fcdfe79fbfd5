"""Signing in while the directory is away: off unless it is asked for, marked, and refused by clients unless they say otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from idp.directory import DirectoryUnavailable
from idp.secret import Secret
from idp.sso.answer import Page
from idp.sso.grace import Grace, GraceSettings
from idp.sso.login import BadCredentials, LoginDesk, LoginSettings, SignedIn, Throttled
from idp.sso.session import GRACE, PASSWORD
from idp.store import Store

from .conftest import MakeHouse
from .echo import ask, make_client
from .house import BROWSER, Clock, House, url_of
from .house import PASSWORD as WORD

DAY = 86400
SignIn = Callable[..., SignedIn]


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(make_client("lms"), make_client("news", grace=True))


def desk(house: House, store: Store, now: Clock) -> LoginDesk:
    parts: dict[str, Any] = {"directory": house.members, "sessions": house.sessions, "subjects": house.subjects, "logout": house.logout}
    grace = Grace(GraceSettings(days=3), store, now=now)
    return LoginDesk(LoginSettings(), **parts, store=store, audit=house.audit, now=now, grace=grace)


@pytest.fixture
def sign_in(house: House, store: Store, now: Clock) -> SignIn:
    """A desk with three days of grace, at which Ada has signed in; the directory is away since."""
    made = desk(house, store, now)

    def sign_in(name: str = "ada", word: str = WORD) -> SignedIn:
        return made.sign_in(name, Secret(word), address="192.0.2.1", previous=None)

    assert sign_in().session.context == PASSWORD
    house.members.is_there = False
    return sign_in


def test_it_is_off_by_default(house: House, store: Store) -> None:
    house.sign_in()
    assert store.list("grace") == []
    house.members.is_there = False
    with pytest.raises(DirectoryUnavailable):
        house.sign_in()


def test_G_R4_a_password_that_was_good_lately_signs_in_during_an_outage(sign_in: SignIn, house: House) -> None:
    session = sign_in().session
    assert (session.subject_id, session.context) == ("101", GRACE)
    assert house.audit.of("login.grace")[0]["session"] == session.id


def test_a_client_takes_such_a_session_only_if_it_is_told_to(sign_in: SignIn, house: House) -> None:
    session = sign_in().session
    refused = house.signon.start(ask("lms"), BROWSER, session)
    assert isinstance(refused, Page)
    assert refused.values["objection"].cause == "entry.grace"
    assert "news.example" in url_of(house.signon.start(ask("news"), BROWSER, session))


def test_it_works_when_the_members_data_have_gone_stale(sign_in: SignIn, house: House, now: Clock) -> None:
    now.time += 2 * DAY
    assert "news.example" in url_of(house.signon.start(ask("news"), BROWSER, sign_in().session))


def test_it_ends_after_its_days(sign_in: SignIn, now: Clock) -> None:
    now.time += 3 * DAY
    with pytest.raises(DirectoryUnavailable):
        sign_in()


@pytest.mark.parametrize("name", ["ada", "ben", "nobody"])
def test_S83_a_wrong_password_and_an_unknown_name_are_told_the_same(sign_in: SignIn, name: str) -> None:
    with pytest.raises(DirectoryUnavailable):
        sign_in(name, "wrong")


def test_S82_guesses_during_an_outage_count(sign_in: SignIn) -> None:
    for _ in range(5):
        with pytest.raises(DirectoryUnavailable):
            sign_in("ada", "wrong")
    with pytest.raises(Throttled):
        sign_in("ada", WORD)


def test_S92_the_password_is_kept_only_as_a_slow_salted_hash(sign_in: SignIn, store: Store) -> None:
    (kept,) = store.list("grace")
    assert kept.record["verifier"].startswith("scrypt$65536$8$1$")
    assert WORD not in repr(kept)
    assert "ada" not in kept.key


def test_an_old_password_that_the_directory_refuses_is_forgotten(sign_in: SignIn, house: House, store: Store) -> None:
    house.members.is_there = True
    house.members.authenticate = lambda username, password: None  # type: ignore[method-assign]
    with pytest.raises(BadCredentials):
        sign_in("ada", "a slip of the finger")
    assert len(store.list("grace")) == 1, "a slip says nothing of the password that is known"
    with pytest.raises(BadCredentials):
        sign_in()
    assert store.list("grace") == []


def test_S49_who_is_gone_from_the_directory_has_no_grace(sign_in: SignIn, house: House, store: Store, now: Clock) -> None:
    session = sign_in().session
    house.members.is_there = True
    del house.members.by_id["101"]
    now.time += 300
    house.signon.start(ask("news"), BROWSER, session)
    assert store.list("grace") == []


def test_S90_a_password_is_never_changed_on_the_word_of_a_verifier(sign_in: SignIn, house: House, store: Store, now: Clock) -> None:
    with pytest.raises(DirectoryUnavailable):
        desk(house, store, now).verify("ada", Secret(WORD), address="192.0.2.1")
