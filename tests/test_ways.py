"""The ways to sign in that the settings describe: the same subject by each, and settings that cannot work are refused."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.demo.imis import SimulatorSettings
from idp.directory import LoginLocked, PasswordExpired, SignInBarred
from idp.directory.choice import DirectorySettings, open_directory, ways_of
from idp.directory.door import Ways
from idp.directory.several import NamedDirectory, SeveralDirectories
from idp.secret import Secret
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import DEMO, PEOPLE, Clock, SimulatedImis, rest_settings, simulated_imis, soap_settings

CLIENT = {"client_id": "idp", "client_secret": DEMO}
REDIRECT = {"sign_in": "imis-redirect", **CLIENT}
COOKIE = {"sign_in": "imis-cookie", "login_cookie": "Login"}
LOGOUT = "https://members.example.org/logout.aspx?returnurl={return}"
MINIMAL: dict[str, Any] = {
    "kind": "imis-rest",
    "site_url": "https://members.example.org",
    "service_username": "s",
    "service_password": Secret("x"),
}
GENERATIONS: dict[str, tuple[SimulatorSettings, Callable[..., DirectorySettings]]] = {
    "ems": (SimulatorSettings(login_redirect_urls=(("idp", "https://x.example/"),)), rest_settings),
    "2017": (SimulatorSettings(generation="2017", login_redirect_urls=(("idp", "https://x.example/"),)), soap_settings),
}


def ways(settings: DirectorySettings, store: SqliteStore) -> Ways:
    return ways_of(open_directory(settings, store=store, now=Clock()), settings)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with contextlib.closing(SqliteStore(tmp_path / "store.sqlite", now=Clock())) as opened:
        yield opened


def cookie(imis: SimulatedImis, username: str) -> Secret:
    answer = imis.browse("POST", "/SignIn", form={"username": username, "password": "demo"})
    return Secret(answer.headers["Set-Cookie"].split(";")[0].partition("=")[2])


def ticket(imis: SimulatedImis, username: str) -> Secret:
    page = imis.browse("GET", "/idp.aspx", cookie=f"Login={cookie(imis, username).reveal()}").text
    return Secret(html.unescape(re.findall('name=refresh_token value="([^"]+)"', page)[0]))


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("username", ["ada", "ben", "zoe", "ελένη"])
def test_S39_a_member_is_the_same_subject_whichever_way_they_came(store: SqliteStore, generation: str, username: str) -> None:
    simulated, make = GENERATIONS[generation]
    with simulated_imis(settings=simulated, now=Clock()) as imis:
        by_form = open_directory(make(imis.url), store=store, now=Clock()).authenticate(username, DEMO)
        (by_ticket,) = ways(make(imis.url, **REDIRECT), store).doors
        (by_cookie,) = ways(make(imis.url, **COOKIE), store).doors
        assert by_form is not None
        assert by_ticket.whose(ticket(imis, username)) == by_form
        assert by_cookie.whose(cookie(imis, username)) == by_form


def test_S39_of_several_directories_the_subject_has_the_prefix_by_every_way(store: SqliteStore) -> None:
    simulated, _ = GENERATIONS["ems"]
    with simulated_imis(settings=simulated, now=Clock()) as imis:
        one = {"kind": "imis-rest", "site_url": imis.url, "allow_http": True, "service_username": "idp-service", "service_password": DEMO}
        named = {
            "members": {**one, **REDIRECT},
            "staff": {**one, **COOKIE, "prefix": "staff:"},
            "trial": {"kind": "people", "people": PEOPLE},
        }
        named["trial"]["prefix"] = "trial:"
        found = ways(DirectorySettings.model_validate({"kind": "several", "named": named}), store)
        members, staff = found.doors
        ada, too = members.whose(ticket(imis, "ada")), staff.whose(cookie(imis, "ada"))
        assert ada is not None
        assert too is not None
        assert (ada.id, too.id) == ("1001", "staff:1001")
        assert (ada.attributes["directory"], too.attributes["directory"]) == (("members",), ("staff",))
        assert found.form, "the people of the file type their password here"


@pytest.mark.parametrize(
    "wrong",
    [
        {"sign_in": "imis-redirect"},
        {"sign_in": "imis-redirect", "client_id": "idp"},
        {"sign_in": "imis-cookie"},
        {**COOKIE, "sign_in_url": "https://members.example.org/SignIn"},
        {"logout_url": "https://members.example.org/logout.aspx"},
        {"logout_url": "/logout.aspx?returnurl={return}"},
        {"logout_url": "javascript:alert(1)//{return}"},
        {"logout_url": "https://{return}"},
        {"logout_url": "https://x@members.example.org/?{return}"},
        {"logout_url": "http://members.example.org/?{return}"},
        {"sign_in": "imis"},
        {"kind": "people", "people": PEOPLE, **REDIRECT},
    ],
)
def test_settings_that_would_strand_a_member_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        DirectorySettings.model_validate({**MINIMAL, **wrong})


def test_the_pages_of_iMIS_have_their_usual_places(store: SqliteStore) -> None:
    (by_ticket,) = ways(DirectorySettings.model_validate({**MINIMAL, **REDIRECT}), store).doors
    (by_cookie,) = ways(DirectorySettings.model_validate({**MINIMAL, **COOKIE}), store).doors
    back = "https://login.example.org/imis/back"
    assert by_ticket.visit(back) == "https://members.example.org/idp.aspx"
    assert by_cookie.visit(back) == (
        "https://members.example.org/AsiCommon/Controls/Shared/FormsAuthentication/Login.aspx"
        "?ReturnUrl=https%3A%2F%2Flogin.example.org%2Fimis%2Fback"
    )


def test_origins_are_written_as_browsers_write_them(store: SqliteStore) -> None:
    given = {"site_url": "https://Members.Example.ORG:443/site", "sign_in_url": "https://www.example.org:8443/sso/idp"}
    (door,) = ways(DirectorySettings.model_validate({**MINIMAL, **REDIRECT, **given}), store).doors
    assert set(door.origins) == {"https://members.example.org", "https://www.example.org:8443"}


def test_imis_is_left_only_where_its_sign_out_is_configured(store: SqliteStore) -> None:
    form = ways(DirectorySettings.model_validate(MINIMAL), store)
    assert (form.exit_of("1"), form.exits, form.form, form.doors) == (None, (), True, ())
    known = ways(DirectorySettings.model_validate({**MINIMAL, "logout_url": LOGOUT}), store)
    (way_out,) = known.exits
    assert known.exit_of("1") == way_out
    assert (
        way_out.visit("https://x.example/?a=b&c")
        == "https://members.example.org/logout.aspx?returnurl=https%3A%2F%2Fx.example%2F%3Fa%3Db%26c"
    )
    unknown = ways(DirectorySettings.model_validate({**MINIMAL, **REDIRECT}), store)
    assert unknown.exits == ()
    assert unknown.exit_of("1") is not None, "iMIS has a sign-in that goes on, and the page says so"


def test_of_several_each_members_own_imis_is_left(store: SqliteStore) -> None:
    members, staff = {**MINIMAL, "logout_url": LOGOUT}, {**MINIMAL, "prefix": "staff:"}
    found = ways(DirectorySettings.model_validate({"kind": "several", "named": {"members": members, "staff": staff}}), store)
    left = found.exit_of("1")
    assert left is not None
    assert left.name == "members"
    assert found.exit_of("staff:1") is None


class Barring:
    """A directory in which everybody is locked, or the password is too old."""

    def __init__(self, error: SignInBarred | None) -> None:
        self.error = error

    def authenticate(self, username: str, password: Secret) -> None:
        if self.error:
            raise self.error

    def find(self, subject_id: str) -> None:
        return None

    def check(self) -> str:
        return "It bars."


def test_what_one_of_several_says_against_a_sign_in_counts_if_no_other_says_yes() -> None:
    both = SeveralDirectories([NamedDirectory("a", Barring(LoginLocked())), NamedDirectory("b", Barring(None), "b:")])
    with pytest.raises(LoginLocked):
        both.authenticate("ada", DEMO)


def test_words_of_LoginUser_that_staff_have_told_us_have_a_meaning_and_others_have_none(store: SqliteStore) -> None:
    simulated = SimulatorSettings(generation="2017", expired_usernames=("ben",))
    told = {"locked_answers": ("LockedOut",), "expired_answers": ("Expired",)}
    with simulated_imis(settings=simulated, now=Clock()) as imis:
        knowing = open_directory(soap_settings(imis.url, soap_check="LoginUser", **told), store=store, now=Clock())
        with pytest.raises(LoginLocked):
            knowing.authenticate("lock", DEMO)
        with pytest.raises(PasswordExpired):
            knowing.authenticate("ben", DEMO)
        assert knowing.authenticate("ben", Secret("wrong")) is None
        unknowing = open_directory(soap_settings(imis.url, soap_check="LoginUser"), store=store, now=Clock())
        assert unknowing.authenticate("lock", DEMO) is None
        assert unknowing.authenticate("ben", DEMO) is None
