"""Every kind of beginning x every kind of ending, in a Chromium that blocks cookies of other sites: each application's own session is
over, or the page says what remains. The outcome stands in deploy/logout.md."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from idp.config import load
from idp.demo.resolver import stay_on_this_machine
from idp.demo.vendors import JOURNAL, VENDORS, Vendor
from idp.parts import Parts, build_parts
from idp.sso.expiry import Expiry
from idp.store.choice import open_store, running_store
from tests.flows.logout_table import check_row
from tests.flows.test_browser import Visitor, browsing, chromium  # noqa: F401  the fixture is found by its name
from tests.flows.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

_ADA = "1001"
_PATIENCE = 30  # seconds for the server to have told everybody
OWN = "our page"
BEGINNINGS = (*VENDORS, None)
"""None is our own page."""
ENDINGS = ("signed out there", "an operator", "expired", "login disabled", "new password elsewhere")


@dataclass
class House:
    """The demo, its database beside the running server, and the one browser."""

    town: Town
    parts: Parts
    visitor: Visitor
    password: str = "demo"

    def url(self, path: str) -> str:
        return f"{self.town.addresses.idp}{path}"


@pytest.fixture(scope="module")
def house(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:  # noqa: F811
    town = Town(tmp_path_factory.mktemp("demo") / "data")
    town.start()
    loaded = load(town.folder / "idp.toml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", socket.getaddrinfo)  # which is put back in the end
        for name in ("NO_PROXY", "no_proxy"):
            patch.setenv(name, "")
        stay_on_this_machine()
        with running_store(loaded.config.store, production=False) as choice:
            store = open_store(choice.url, timeout=loaded.config.store.timeout)
            with browsing(chromium, tmp_path_factory.mktemp("browser"), keep_cookies_from_other_sites=True) as browser:
                yield House(town, build_parts(loaded, store), Visitor(browser, town))
            store.close()
    assert town.stop() == 0


def cookies_at(browser: Chrome, host: str) -> dict[str, str]:
    """What the browser would send there."""
    found = browser.execute_cdp_cmd("Network.getAllCookies", {})["cookies"]
    return {each["name"]: each["value"] for each in found if each["domain"] == host or f".{host}".endswith(f".{each['domain'].strip('.')}")}


def is_in(house: House, vendor: Vendor) -> bool:
    """Whether the vendor's server still takes this browser for signed in."""
    told = requests.get(
        f"{house.town.addresses.of(vendor.host)}/whoami", cookies=cookies_at(house.visitor.browser, vendor.host), timeout=20
    )
    return bool(told.json()["signed_in"])


def known_at(house: House) -> list[Vendor]:
    return [vendor for vendor in VENDORS if is_in(house, vendor)]


def enter(house: House, vendor: Vendor | None) -> None:
    """By the vendor's Sign in, with the password if it is asked for; without a vendor at our own page."""
    visitor = house.visitor
    site = visitor.addresses.of(vendor.host) if vendor else house.url("")
    visitor.browser.get(f"{site}/sign-in" if vendor else f"{site}/login")
    arrived = "#sign-out" if vendor and vendor is not JOURNAL else "main"
    visitor.waits_for("the sign-in page or the site", lambda: visitor.sees("input[name=password]") or visitor.is_at(site, arrived))
    if visitor.sees("input[name=password]"):
        visitor.types_password(house.password)
        visitor.waits_for("the site", lambda: visitor.is_at(site, arrived) and not visitor.sees("input[name=password]"))
    if vendor is JOURNAL:
        ask_for_the_journal(house)


def ask_for_the_journal(house: House) -> None:
    """The page's script may not ask in this browser: cookies of other sites are blocked. So its two requests are made for it."""
    visitor = house.visitor
    visitor.waits_for("the reason", lambda: "keeps cookies from other sites" in visitor.browser.find_element(By.TAG_NAME, "main").text)
    carry(house, [JOURNAL])


def carry(house: House, vendors: Sequence[Vendor]) -> None:
    """Signs in with requests that bear the browser's cookies, which is quicker than the browser, and hands the vendors' cookies to it."""
    with requests.Session() as device:
        for cookie in house.visitor.browser.execute_cdp_cmd("Network.getAllCookies", {})["cookies"]:
            device.cookies.set(cookie["name"], cookie["value"], domain=cookie["domain"], path=cookie["path"])
        for vendor in vendors:
            site = house.town.addresses.of(vendor.host)
            if vendor is JOURNAL:
                answer = device.post(f"{site}/greet", json={"token": token_by_script(house, device)}, timeout=20)
            else:
                answer = posted(device, device.get(f"{site}/sign-in", timeout=20))
            assert answer.status_code == 200, answer.text
        for cookie in device.cookies:
            if cookie.name == "vendor_session":
                url = house.town.addresses.of(cookie.domain)
                house.visitor.browser.execute_cdp_cmd("Network.setCookie", {"name": cookie.name, "value": cookie.value, "url": url})


def posted(device: requests.Session, page: requests.Response) -> requests.Response:
    """What comes of a page that posts itself, else the page."""
    form = re.search(r'<form method="post" action="(http[^"]+)"', page.text)
    if form is None or "/sign-out" in form[1]:
        return page
    fields = {name: unescape(value) for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)}
    return device.post(unescape(form[1]), data=fields, timeout=20)


def token_by_script(house: House, device: requests.Session) -> str:
    ping = house.url(f"/jsonp/ping?{urlencode({'client': JOURNAL.id, 'callback': 'greet'})}")
    asked = device.get(ping, headers={"Referer": f"{house.town.addresses.of(JOURNAL.host)}/"}, timeout=20)
    return str(json.loads(asked.text.partition("greet(")[2].rpartition(")")[0])["token"])


def enter_everywhere(house: House, first: Vendor | None) -> None:
    browser = house.visitor.browser
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    enter(house, first)
    carry(house, [each for each in VENDORS if each is not first])
    assert known_at(house) == list(VENDORS)


def session_id(house: House) -> str:
    return str(max((each for each in house.parts.sessions.list() if each.subject_id == _ADA), key=lambda each: each.auth_time).id)


def sign_out_there(house: House, vendor: Vendor | None) -> None:
    if vendor is not None:
        house.visitor.presses_sign_out_at(vendor)
        return
    house.visitor.browser.get(house.url("/logout"))
    house.visitor.confirms_sign_out()


def by_operator(house: House, _: Vendor | None) -> None:
    """What `idp sessions end` does."""
    assert house.parts.logout.end(session_id(house), reason="operator") is not None


def by_expiry(house: House, _: Vendor | None) -> None:
    """As if nobody had used it for longer than idleness may last."""
    store, sessions, session = house.parts.store, house.parts.sessions, session_id(house)
    stored = store.get("session", session)
    assert stored is not None
    due = int(stored.record["due"]) - 1 - house.parts.config.session.idle // 60
    record = stored.record | {"last_seen": stored.record["last_seen"] - 60 - house.parts.config.session.idle, "due": str(due)}
    assert store.change("session", session, record, revision=stored.revision, expires=stored.expires)
    assert sessions.get(session) is None
    store.put("setting", "expiry.seen", {"stretch": due - 1}, expires=None)
    store.delete("throttle", "lease|expiry")
    Expiry(sessions, house.parts.logout, store, now=house.parts.now).look()


def by_disabling(house: House, vendor: Vendor | None) -> None:
    """The vendor asks next, or our own page is opened, when what we remember of her is two hours old."""
    panel = f"{house.town.addresses.imis}/_simulator/people/{_ADA}"
    requests.post(panel, json={"active": False}, timeout=20).raise_for_status()
    remembered = house.parts.store.get("subject", _ADA)
    assert remembered is not None
    record = remembered.record | {"read": remembered.record["read"] - 7200}
    house.parts.store.put("subject", _ADA, record, expires=remembered.expires)
    visitor = house.visitor
    visitor.browser.get(f"{visitor.addresses.of(vendor.host)}/sign-in" if vendor else house.url("/"))
    visitor.waits_for("the end of her session", lambda: house.parts.sessions.of_subject(_ADA) == [])
    requests.post(panel, json={"active": True}, timeout=20).raise_for_status()


def by_new_password(house: House, _: Vendor | None) -> None:
    """On another device, where she leaves the box ticked that says so."""
    new = f"seven wild geese went south in {time.monotonic_ns()}"
    with requests.Session() as device:

        def send(path: str, **typed: str) -> requests.Response:
            hidden = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', device.get(house.url(path), timeout=20).text))
            return device.post(house.url(path), data={**hidden, **typed}, timeout=20)

        send("/login", username="ada", password=house.password)
        done = send("/account/password", password=house.password, new_password=new, again=new, end_sessions="yes")
    assert "Your password is changed" in done.text
    house.password = new


ACTS: dict[str, Callable[[House, Vendor | None], None]] = dict(
    zip(ENDINGS, (sign_out_there, by_operator, by_expiry, by_disabling, by_new_password), strict=True)
)


def rests(house: House, session: str) -> None:
    """Waits until everybody was told who can be told without the browser."""
    store = house.parts.store
    house.visitor.waits_for("the last notice", lambda: (stored := store.get("session", session)) is None or stored.record["due"] == "told")


def finish(house: House, left: list[Vendor]) -> None:
    """The next page of ours names exactly those who are left, and leads to their end."""
    visitor = house.visitor
    visitor.browser.get(house.url("/login"))
    named = " ".join(each.text for each in visitor.browser.find_elements(By.CSS_SELECTOR, ".notice[role=status] p:first-child"))
    assert [vendor for vendor in VENDORS if vendor.name in named] == left
    if left:
        visitor.presses(".notice a[href='/logout']")
        visitor.waits_for("the result", lambda: "You are signed out" in visitor.heading())
        states = [each.text for each in visitor.browser.find_elements(By.CSS_SELECTOR, ".rows .state")]
        assert set(states) == {"signed out"}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("begun", BEGINNINGS, ids=lambda vendor: vendor.id if vendor else "own-page")
def test_G_U6_wherever_it_begins_and_whatever_ends_it_no_application_stays_open(house: House, begun: Vendor | None, ending: str) -> None:
    enter_everywhere(house, begun)
    session = session_id(house)
    ACTS[ending](house, begun)
    rests(house, session)
    left = known_at(house)
    assert ending != "signed out there" or left == []
    finish(house, left)
    assert known_at(house) == []
    assert house.visitor.sees("input[name=password]") or left, "nobody is signed in here any more"
    words = ["named, ended" if vendor in left else "ended" for vendor in VENDORS]
    check_row(begun.protocol if begun else OWN, ending, words)
    for other in house.parts.sessions.of_subject(_ADA):
        house.parts.logout.end(other.id, reason="operator")
