"""iMIS's page as the sign-in page of a real server, with several workers and its own database."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from urllib.parse import urlencode, urlsplit

import pytest

from idp.clock import utc_now
from idp.demo.imis import SimulatorSettings
from tests.bare_browser import BareBrowser
from tests.server import Server
from tests.simulated_imis import SERVICE, SimulatedImis, simulated_imis

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]

_LOGOUT = "/AsiCommon/Controls/Shared/FormsAuthentication/logout.aspx?returnurl={return}"
_VENDOR = """
[clients.lms.token]
return_urls = ["https://lms.example.com/back"]
method = "get"
"""


@pytest.fixture(scope="module")
def imis() -> Iterator[SimulatedImis]:
    with simulated_imis(settings=SimulatorSettings(login_redirect_urls=(("idp", "https://anywhere.example/"),)), now=utc_now) as running:
        yield running


@pytest.fixture(scope="module")
def server(imis: SimulatedImis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The environment goes over the file's directory."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "imis").write_text("demo")
    keys = {"kind": "imis-rest", "site_url": imis.url, "allow_http": "true", "service_username": SERVICE, "client_id": "idp"}
    keys |= {"service_password": '{ file = "imis" }', "client_secret": '{ file = "imis" }', "sign_in": "imis-redirect"}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in {**keys, "logout_url": imis.url + _LOGOUT}.items():
            environment.setenv(f"IDP_DIRECTORY_{name.upper()}", value)
        running = Server(folder, workers=3, more=_VENDOR)
    yield running
    running.stop()


class Person:
    """A bare browser, and its cookie of iMIS."""

    def __init__(self, server: Server, imis: SimulatedImis) -> None:
        self.browser = BareBrowser(server.port)
        self.imis = imis
        signed_in = imis.browse("POST", "/SignIn", form={"username": "ada", "password": "demo"})
        self.cookie = signed_in.headers["Set-Cookie"].split(";")[0]

    def begins(self) -> str:
        """At a vendor, to where the browser is sent."""
        _, location, _ = self.browser.ask("GET", "/token/signon?client=lms")
        return self.browser.ask("GET", _path(location))[1]

    def ticket(self) -> str:
        return unescape(re.findall('refresh_token value="([^"]+)"', self.imis.browse("GET", "/idp.aspx", cookie=self.cookie).text)[0])

    def enters(self, ticket: str) -> tuple[int, str, str]:
        """As our page posts it on."""
        fields = {"refresh_token": ticket, "posted_by": "imis"}
        return self.browser.ask("POST", "/imis/enter", urlencode(fields), {"Sec-Fetch-Site": "same-origin"})


def _path(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def test_by_imis_into_a_vendor_and_out_of_both(server: Server, imis: SimulatedImis) -> None:
    person = Person(server, imis)
    assert person.begins() == f"{imis.url}/idp.aspx"
    page = BareBrowser(server.port).ask("POST", "/imis/callback", urlencode({"refresh_token": person.ticket()}), {"Origin": imis.url})
    assert page[0] == 200
    fields = {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page[2])}
    status, onward, _ = person.browser.ask("POST", "/imis/enter", urlencode(fields), {"Sec-Fetch-Site": "same-origin"})
    assert status == 303
    assert person.browser.ask("GET", _path(onward))[1].startswith("https://lms.example.com/back?")
    token = re.findall(r'name="form_token" value="([^"]*)"', person.browser.ask("GET", "/logout")[2])[0]
    _, run, _ = person.browser.ask("POST", "/logout", urlencode({"form_token": token}))
    _, visit, _ = person.browser.ask("GET", _path(run))
    assert visit.startswith(f"{imis.url}/AsiCommon/")
    back = imis.browse("GET", visit.removeprefix(imis.url), cookie=person.cookie).headers["Location"]
    assert person.browser.ask("GET", _path(back))[1] == run
    assert "signed out</span>" in person.browser.ask("GET", _path(run))[2]
    assert "refresh_token" not in imis.browse("GET", "/idp.aspx", cookie=person.cookie).text


def test_S80_of_20_browsers_that_show_one_ticket_at_once_one_is_signed_in(server: Server, imis: SimulatedImis) -> None:
    people = [Person(server, imis) for _ in range(20)]
    for person in people:
        person.begins()
    ticket = people[0].ticket()
    with ThreadPoolExecutor(20) as pool:
        statuses = list(pool.map(lambda person: person.enters(ticket)[0], people))
    assert sorted(set(statuses)) == [303, 401]
    assert statuses.count(303) == 1


def test_whoever_tries_the_callback_gets_a_200_without_a_cookie(server: Server) -> None:
    for method in ("GET", "POST"):
        probe = BareBrowser(server.port)
        assert probe.ask(method, "/imis/callback")[0] == 200
        assert probe.cookie_values() == []


def test_S80_a_ticket_posted_in_a_browser_that_was_not_at_imis_signs_nobody_in(server: Server, imis: SimulatedImis) -> None:
    person = Person(server, imis)
    status, _, page = person.enters(person.ticket())
    assert (status, "Is this you?" in page) == (200, True)
    assert "You are signed in" not in person.browser.ask("GET", "/")[2]


def test_F12_while_imis_is_down_a_new_sign_in_gets_a_page_and_those_who_are_in_go_on(server: Server, imis: SimulatedImis) -> None:
    inside, outside = Person(server, imis), Person(server, imis)
    inside.begins()
    inside.enters(inside.ticket())
    outside.begins()
    ticket = outside.ticket()
    imis.order("status", path="/token", status=503)
    try:
        status, _, page = outside.enters(ticket)
        assert (status, "does not answer" in page) == (503, True)
        _, location, _ = inside.browser.ask("GET", "/token/signon?client=lms")
        assert location.startswith("https://lms.example.com/back?")
    finally:
        imis.order("none")


def test_G_S10_no_ticket_stands_in_the_log(server: Server, imis: SimulatedImis) -> None:
    person = Person(server, imis)
    person.begins()
    tickets = [person.ticket(), "canary-made-up-ticket"]
    for ticket in tickets:
        person.enters(ticket)
    log = server.log()
    assert "imis.unnamed" in log
    assert not [ticket for ticket in tickets if ticket in log]
