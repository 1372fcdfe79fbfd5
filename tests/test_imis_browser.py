"""Sign-in at iMIS itself: the SSO page, the refresh token it posts, guests, and the order of several directories."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.demo.imis import SimulatorSettings
from idp.directory import DirectoryUnavailable, TicketExchange
from idp.directory.choice import open_directory, ticket_exchange_of
from idp.directory.imis_rest import ImisRestDirectory
from idp.secret import Secret
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import DEMO, Clock, SimulatedImis, rest_settings, simulated_imis

CALLBACK = "https://login.example.org/imis/callback"
CLIENT = {"client_id": "idp", "client_secret": DEMO}


def running(**changes: Any) -> contextlib.AbstractContextManager[SimulatedImis]:
    return simulated_imis(settings=SimulatorSettings(login_redirect_urls=(("idp", CALLBACK),), **changes), now=Clock())


@pytest.fixture
def imis() -> Iterator[SimulatedImis]:
    with running() as found:
        yield found


@contextlib.contextmanager
def exchanging(imis: SimulatedImis, folder: Path, **changes: Any) -> Iterator[TicketExchange]:
    clock = Clock()
    settings = rest_settings(imis.url, **{**CLIENT, **changes})
    with contextlib.closing(SqliteStore(folder / "store.sqlite", now=clock)) as store:
        found = ticket_exchange_of(open_directory(settings, store=store, now=clock), settings)
        assert found is not None
        yield found


def signed_in(imis: SimulatedImis, username: str) -> str:
    answer = imis.browse("POST", "/SignIn", form={"username": username, "password": "demo"})
    return answer.headers["Set-Cookie"].split(";")[0]


def posted(page: str) -> Secret:
    """The one value that the page posts, and to where."""
    assert f'action="{CALLBACK}"' in page
    assert len(re.findall("<input", page.partition("</form>")[0])) == 1
    return Secret(html.unescape(re.findall('name=refresh_token value="([^"]+)"', page)[0]))


def test_a_member_who_signed_in_at_imis_is_known_by_what_it_posts(imis: SimulatedImis, tmp_path: Path) -> None:
    page = imis.browse("GET", "/idp.aspx", cookie=signed_in(imis, "ada"))
    with exchanging(imis, tmp_path) as door:
        found = door.exchange(posted(page.text))
        assert found is not None
        assert (found.id, found.username, found.attributes["email"]) == ("1001", "ada", ("ada@mail.example",))
        assert isinstance(door, ImisRestDirectory)
        assert found == door.find("1001") == door.authenticate("ada", DEMO), "the same person, whichever way they came"


def test_a_visitor_is_sent_to_sign_in_first(imis: SimulatedImis) -> None:
    answer = imis.browse("GET", "/idp.aspx")
    assert answer.status == 302
    assert answer.headers["Location"] == "/SignIn?LoginRedirect=true&returnurl=%2Fidp.aspx"


def test_a_guests_token_is_nobodys(tmp_path: Path) -> None:
    for name in ("GUEST", "Visitor-of-another-name"):
        with running(guest_mode=True, guest_name=name) as imis, exchanging(imis, tmp_path) as door:
            assert door.exchange(posted(imis.browse("GET", "/idp.aspx").text)) is None


def test_a_token_is_good_once_even_if_imis_would_take_it_again(imis: SimulatedImis, tmp_path: Path) -> None:
    token = posted(imis.browse("GET", "/SSO/idp", cookie=signed_in(imis, "ada")).text)
    with exchanging(imis, tmp_path) as first, exchanging(imis, tmp_path) as second:
        assert first.exchange(token) is not None
        assert second.exchange(token) is None
        assert first.exchange(token) is None


@pytest.mark.parametrize("token", ["", "unknown", "a b", "ü", "x" * 9000, "\r\n"])
def test_a_token_that_imis_never_gave_is_nobodys(imis: SimulatedImis, tmp_path: Path, token: str) -> None:
    with exchanging(imis, tmp_path) as door:
        assert door.exchange(Secret(token)) is None


def test_a_wrong_client_secret_is_our_fault_and_not_the_members(imis: SimulatedImis, tmp_path: Path) -> None:
    with exchanging(imis, tmp_path, client_secret=Secret("wrong")) as door, pytest.raises(DirectoryUnavailable) as caught:
        door.exchange(Secret("any"))
    assert "client_id and client_secret" in caught.value.received


@pytest.mark.parametrize("body", ["{}", "[]", '{"access_token":"x"}', '{"access_token":"x","userName":""}', '{"userName":"ada"}'])
def test_F12_a_broken_answer_signs_nobody_in(imis: SimulatedImis, tmp_path: Path, body: str) -> None:
    imis.order("raw", path="/token", body=body)
    with exchanging(imis, tmp_path) as door, pytest.raises(DirectoryUnavailable):
        door.exchange(Secret("any"))


@pytest.mark.parametrize("username", ["idp-service", "IDP-Service"])
def test_the_service_account_does_not_sign_in_this_way(imis: SimulatedImis, tmp_path: Path, username: str) -> None:
    page = imis.browse("GET", "/idp.aspx", cookie=signed_in(imis, username))
    with exchanging(imis, tmp_path) as door:
        assert door.exchange(posted(page.text)) is None


def test_a_disabled_login_does_not_sign_in_this_way(imis: SimulatedImis, tmp_path: Path) -> None:
    page = imis.browse("GET", "/idp.aspx", cookie=signed_in(imis, "ada"))
    imis.change("1001", active=False)
    with exchanging(imis, tmp_path) as door:
        assert door.exchange(posted(page.text)) is None


def test_without_a_client_application_there_is_no_exchange(imis: SimulatedImis, tmp_path: Path) -> None:
    clock = Clock()
    settings = rest_settings(imis.url)
    with contextlib.closing(SqliteStore(tmp_path / "store.sqlite", now=clock)) as store:
        assert ticket_exchange_of(open_directory(settings, store=store, now=clock), settings) is None


def test_imis_signs_out_and_goes_where_it_is_told(imis: SimulatedImis) -> None:
    cookie = signed_in(imis, "ada")
    path = "/AsiCommon/Controls/Shared/FormsAuthentication"
    status = f"{path}/LoginStatusRedirect.aspx?LURL=/SignIn&RETURL=/back&QKEY=7"
    assert imis.browse("GET", status, cookie=cookie).headers["Location"] == "/back?ID=1001&QKEY=7"
    assert imis.browse("GET", f"{path}/logout.aspx?returnurl=/done", cookie=cookie).headers["Location"] == "/done"
    assert imis.browse("GET", status, cookie=cookie).headers["Location"] == "/SignIn"


def test_pages_have_the_two_hidden_fields(imis: SimulatedImis) -> None:
    page = imis.browse("GET", "/ForgotPassword.aspx", cookie=signed_in(imis, "ada")).text
    assert "__RequestVerificationToken" in page
    assert '"loggedInPartyId": "1001"' in html.unescape(page)


def test_password_grant_knows_members_with_the_role_and_nobody_else(imis: SimulatedImis, tmp_path: Path) -> None:
    imis.change("1001", attributes={"roles": ["Member", "RemoteService"]})
    clock = Clock()
    with contextlib.closing(SqliteStore(tmp_path / "store.sqlite", now=clock)) as store:
        directory = open_directory(rest_settings(imis.url, check="password_grant"), store=store, now=clock)
        ada = directory.authenticate("ada", DEMO)
        assert ada is not None
        assert ada.id == "1001"
        assert directory.authenticate("ada", Secret("wrong")) is None
        assert directory.authenticate("ben", DEMO) is None, "no RemoteService"
        assert directory.authenticate("idp-service", DEMO) is None
        imis.order("raw", path="/token", status=400, body='{"error":"server_error"}')
        with pytest.raises(DirectoryUnavailable):
            directory.authenticate("ada", DEMO)
    assert imis.password_checks("ada") == 2
