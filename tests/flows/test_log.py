"""The log after everything a member can do: no password, cookie, code, token, ticket, assertion or link in it, and a whole chain."""

from __future__ import annotations

import html
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

import pytest
import requests

from idp.audit.chain import Verification
from idp.demo.address import LOOPBACK
from idp.demo.resolver import stay_on_this_machine
from idp.demo.vendors import VENDORS
from idp.keys import KeyRing
from idp.parts import audit_key
from tests.flows.test_account import Visitor
from tests.flows.town import Town

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("demo")]

WRONG = "canary wrong password 1"
WEAK = "canary"
NEW = "canary new password 1927"
_PUBLIC = {"RelayState", "request", "client", "next", "state", "SigAlg", "method"}
"""Fields that are no secret: RelayState and state are the vendor's own."""


class Watched:
    """A browser that follows redirects, sends the forms that send themselves, and notes every secret that passes through it."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.secrets: set[str] = set()
        self.pages: list[str] = []

    def go(self, url: str, form: dict[str, str] | None = None) -> requests.Response:
        """The page at which it comes to rest."""
        for _ in range(20):
            answer = self.session.request("POST" if form else "GET", url, data=form, timeout=20, allow_redirects=False)
            self._note(answer)
            onward = answer.headers.get("Location")
            posting = re.search(r'<form[^>]*method="post"[^>]*action="([^"]+)"', answer.text)
            if onward:
                url, form = urljoin(url, onward), None
            elif posting and ("SAMLRe" in answer.text or "document.forms" in answer.text):
                url, form = urljoin(url, html.unescape(posting[1])), hidden(answer.text)
            else:
                return answer
        raise AssertionError(f"it goes round and round at {url}")

    def fill(self, url: str, **fields: str) -> requests.Response:
        """Sends the form on a page."""
        page = self.go(url)
        action = re.search(r'<form[^>]*method="post"[^>]*action="([^"]+)"', page.text)
        assert action, page.text
        return self.go(urljoin(page.url, html.unescape(action[1])), {**hidden(page.text), **fields})

    def _note(self, answer: requests.Response) -> None:
        self.pages.append(answer.text)
        values = {cookie.value for cookie in self.session.cookies}
        values |= {part for value in values if value for part in value.split(".")[1:]}
        values |= {value for name, value in hidden(answer.text).items() if name not in _PUBLIC}
        asked = parse_qsl(urlsplit(answer.headers.get("Location", "")).query)
        values |= {value for name, value in asked if name in ("code", "token", "ticket", "SAMLResponse", "SAMLRequest", "Signature")}
        self.secrets |= {value for value in values if value and len(value) > 15}


def hidden(page: str) -> dict[str, str]:
    return {name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(Path(tmp_path_factory.mktemp("town")) / "data")
    town.start()
    yield town
    town.stop()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names under .localhost, for the length of a test."""
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(variable, "*")
    stay_on_this_machine()


def service_log(town: Town) -> str:
    return "\n".join(file.read_text() for file in (town.folder / "log").glob("*.log") if file.name != "vendors.log")


def a_members_life(town: Town) -> tuple[set[str], list[str]]:
    """Wrong password, all six vendors, a lost password, replays, sign-out; every secret of it, and every page."""
    watched = Watched()
    login = f"{town.addresses.idp}/login"
    watched.fill(login, username="ada", password=WRONG)
    watched.fill(login, username="ada", password="demo")
    for vendor in VENDORS:
        watched.go(f"{town.addresses.of(vendor.host)}/sign-in")
        assert watched.session.get(f"{town.addresses.of(vendor.host)}/whoami", timeout=5).ok
    watched.go(f"{town.addresses.idp}/jsonp/ping?client=journal&callback=x")
    visitor = Visitor(town)
    visitor.fill("/account/forgot-password", email="carla@mail.example")
    link = visitor.link("Set a new password")
    watched.secrets.add(dict(parse_qsl(urlsplit(link).query)).get("link") or link.rpartition("/")[2])
    watched.fill(f"{town.addresses.idp}{link}", new_password=WEAK, again=WEAK)
    watched.fill(f"{town.addresses.idp}{link}", new_password=NEW, again=NEW)
    for path in ("/saml/sso?SAMLRequest={}", "/oauth/authorize?request={}", "/token/signon?client=store&token={}", "/signon/{}"):
        for secret in sorted(watched.secrets)[:5]:
            watched.go(town.addresses.idp + path.format(quote(secret)))
    watched.fill(f"{town.addresses.idp}/logout")
    return watched.secrets, watched.pages


def test_G_S10_no_secret_of_a_members_life_stands_in_the_log_and_its_chain_is_whole(town: Town, names: None) -> None:
    secrets, pages = a_members_life(town)
    assert len(secrets) > 20
    kept = {text for file in (town.folder / "secrets").iterdir() if len(text := file.read_text().strip()) > 15}
    log = service_log(town)
    for event in ("login.ok", "login.failed", "signon.ok", "logout.ended"):
        assert f'"event": "{event}"' in log
    assert [line for line in log.splitlines() for canary in (WRONG, NEW, "canary", *secrets, *kept) if canary in line] == []
    assert [page for page in pages for canary in (WRONG, NEW, *kept) if canary in page] == []
    assert_whole(town, log)


def assert_whole(town: Town, log: str) -> None:
    """Every event names the request that caused it, and the chains fit the deployment's key."""
    events = [json.loads(line) for line in log.splitlines() if '"event"' in line]
    nameless = {event["event"].partition(".")[0] for event in events if "request" not in event}
    assert not nameless & {"login", "signon", "request"}, "what a request caused names it"

    reading = Verification(audit_key(KeyRing(town.folder / "keys")))
    assert [*reading.read("log", log.splitlines())] == []
    assert reading.events > 10


def test_the_answer_names_the_request_as_the_log_does(town: Town) -> None:
    answer = requests.get(
        f"http://{LOOPBACK}:{town.addresses.idp_port}/nowhere", headers={"X-Request-ID": "chosen-by-a-stranger"}, timeout=5
    )
    given = answer.headers["X-Request-ID"]
    assert given != "chosen-by-a-stranger"
    assert f'"request": "{given}"' in service_log(town)
