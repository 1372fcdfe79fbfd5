"""The whole demo in a real browser: one sign-in, six vendors written with other people's libraries, one sign-out (U35)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from idp.demo.address import LOOPBACK
from idp.demo.town import PEOPLE
from idp.demo.vendors import EVENTS, JOURNAL, LMS, STORE, VENDORS, Vendor
from idp.directory.people_file import read_people
from tests.flows.town import Town
from tests.waiting import wait_for

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1100,900",
)
_ASKED = "input[name=password]"
_IN, _OUT = "#sign-out", "#sign-in"


class Visitor:
    """Somebody at a browser."""

    def __init__(self, browser: Chrome, town: Town) -> None:
        self.browser = browser
        self.addresses = town.addresses

    def goes_to(self, vendor: Vendor, path: str = "/") -> None:
        self.browser.get(self.addresses.of(vendor.host) + path)

    def presses(self, selector: str) -> None:
        self.browser.find_element(By.CSS_SELECTOR, selector).click()

    def sees(self, selector: str) -> bool:
        return bool(self.browser.find_elements(By.CSS_SELECTOR, selector))

    def is_at(self, origin: str, selector: str) -> bool:
        return self.browser.current_url.startswith(f"{origin}/") and self.sees(selector)

    def waits_for(self, what: str, condition: Callable[[], bool]) -> None:
        wait_for(self.browser, what, condition)

    def asks_to_enter(self, vendor: Vendor) -> None:
        """Presses Sign in on the vendor's page, and comes back in or to the sign-in page. The journal's page may be quicker than she."""
        self.goes_to(vendor)
        if vendor is not JOURNAL:
            self.presses(_OUT)
            site = self.addresses.of(vendor.host)
            self.waits_for("the next page", lambda: self.is_at(site, _IN) or self.is_at(self.addresses.idp, _ASKED))

    def types_password(self, password: str = "demo", *, username: str = "ada") -> None:
        self.browser.find_element(By.NAME, "username").clear()
        self.browser.find_element(By.NAME, "username").send_keys(username)
        self.browser.find_element(By.NAME, "password").send_keys(password)
        self.presses("button.primary")

    def is_in(self, vendor: Vendor) -> None:
        """Waits until the vendor's page greets her."""
        self.waits_for(f"the {vendor.name} to let her in", lambda: self.is_at(self.addresses.of(vendor.host), _IN))

    def signs_in_everywhere(self, username: str = "ada") -> None:
        """One password at the first vendor, none at the others."""
        self.asks_to_enter(LMS)
        self.types_password(username=username)
        self.is_in(LMS)
        for vendor in VENDORS:
            if vendor is not LMS:
                self.asks_to_enter(vendor)
                self.is_in(vendor)

    def presses_sign_out_at(self, vendor: Vendor) -> None:
        """Comes back to the vendor; only events, which has no proof to show, has the sign-in service ask first."""
        self.goes_to(vendor)
        self.presses(_IN)
        if vendor is EVENTS:
            self.confirms_sign_out()
        else:
            self.waits_for("the vendor's page", lambda: self.is_at(self.addresses.of(vendor.host), _OUT))

    def confirms_sign_out(self) -> None:
        self.waits_for("the question", lambda: self.is_at(self.addresses.idp, "form[action='/logout']"))
        self.presses("form[action='/logout'] button")
        self.waits_for("the result", lambda: "You are signed out" in self.heading())

    def heading(self) -> str:
        return " ".join(each.text for each in self.browser.find_elements(By.TAG_NAME, "h1"))

    def is_told_by(self, vendor: Vendor) -> dict[str, Any]:
        """What the vendor's server says of her."""
        self.goes_to(vendor, "/whoami")
        told: dict[str, Any] = json.loads(self.browser.find_element(By.TAG_NAME, "body").text)
        return told

    def is_known_at(self) -> list[str]:
        """The vendors that still take her for signed in."""
        return [vendor.id for vendor in VENDORS if self.is_told_by(vendor)["signed_in"]]


@pytest.fixture(scope="module")
def chromium() -> Path:
    """Chromium's driver. Without one the tests are skipped; where CI is set they fail."""
    found = shutil.which("chromedriver") and shutil.which("chromium")
    if not found and os.environ.get("CI"):
        pytest.fail("there is no chromium and chromedriver to test with")
    if not found:
        pytest.skip("there is no chromium and chromedriver to test with")
    return Path(str(shutil.which("chromedriver")))


@pytest.fixture(scope="module")
def town(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("demo") / "data")
    town.start()
    yield town
    assert town.stop() == 0


@pytest.fixture(scope="module")
def browser(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """It lets sites have their cookies on other sites' pages, without which there is no JSONP."""
    with browsing(chromium, tmp_path_factory.mktemp("browser"), keep_cookies_from_other_sites=False) as browser:
        yield browser


@pytest.fixture
def visitor(browser: Chrome, town: Town) -> Visitor:
    """Somebody whom no site knows yet."""
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    return Visitor(browser, town)


@contextmanager
def browsing(chromium: Path, folder: Path, *, keep_cookies_from_other_sites: bool) -> Iterator[Chrome]:
    options = ChromeOptions()
    for option in (*_OPTIONS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(option)
    mode = {"profile.cookie_controls_mode": int(keep_cookies_from_other_sites)}
    options.add_experimental_option("prefs", {**mode, "profile.block_third_party_cookies": keep_cookies_from_other_sites})
    browser = Chrome(options=options, service=Service(str(chromium)))
    try:
        yield browser
    finally:
        browser.quit()


def test_U35_one_password_opens_all_six_vendors_and_one_sign_out_closes_them(visitor: Visitor) -> None:
    visitor.signs_in_everywhere()
    assert visitor.is_known_at() == [vendor.id for vendor in VENDORS]
    visitor.browser.get(f"{visitor.addresses.idp}/logout")
    visitor.confirms_sign_out()
    states = [each.text for each in visitor.browser.find_elements(By.CSS_SELECTOR, ".rows .state")]
    assert states == ["signed out"] * len(VENDORS)
    assert visitor.is_known_at() == []


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.id)
def test_U35_a_sign_out_that_begins_at_a_vendor_ends_all_others(visitor: Visitor, vendor: Vendor) -> None:
    visitor.signs_in_everywhere()
    visitor.presses_sign_out_at(vendor)
    assert visitor.is_known_at() == []
    visitor.browser.get(f"{visitor.addresses.idp}/login")
    assert visitor.sees(_ASKED)


def test_each_vendor_is_told_what_was_released_to_it_and_no_more(visitor: Visitor) -> None:
    visitor.signs_in_everywhere()
    told = {vendor.id: visitor.is_told_by(vendor) for vendor in VENDORS}
    assert {each["name"] for each in told.values()} == {"Ada Marlowe"}
    assert {vendor: set(each["attributes"]) for vendor, each in told.items()} == {
        "lms": {"displayName", "givenName", "sn", "mail", "memberNumber", "memberType"},
        "community": {"name", "given_name", "family_name", "email", "committees"},
        "events": {"name", "email", "company", "member_type"},
        "store": {"full_name", "email", "member_type", "paid_through"},
        "cms": {"full_name", "roles"},
        "journal": {"full_name", "status"},
    }


@pytest.mark.parametrize("username", ["markup", "maximiliana", "meilin", "layla", "Ελένη", "sean"])
def test_V12_names_with_markup_in_other_scripts_and_of_great_length_arrive_unharmed(visitor: Visitor, username: str) -> None:
    person = next(person for person in read_people(PEOPLE) if person.username == username)
    visitor.signs_in_everywhere(username)
    names = {visitor.is_told_by(vendor)["name"] for vendor in VENDORS}
    assert names == set(person.subject().attributes["full_name"])


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.id)
def test_each_vendor_may_be_the_first_one_where_a_member_signs_in(visitor: Visitor, vendor: Vendor) -> None:
    visitor.goes_to(vendor)
    visitor.presses(_OUT)
    visitor.waits_for("the sign-in page", lambda: visitor.is_at(visitor.addresses.idp, _ASKED))
    visitor.types_password(username="ben")
    visitor.is_in(vendor)
    assert visitor.is_told_by(vendor)["name"] == "Dr. Benjamin Q. Okafor Jr."


def test_S38_a_change_of_our_signing_key_goes_unnoticed_by_every_vendor(visitor: Visitor, town: Town) -> None:
    visitor.signs_in_everywhere()
    before = published_keys(town)
    for _ in range(2):  # by the second time no vendor has seen the new current key before
        subprocess.run([sys.executable, "-m", "idp.cli", "keys", "rotate", "--config", str(town.folder / "idp.toml")], check=True)
    visitor.waits_for("the new key", lambda: published_keys(town)[0] not in before)
    visitor.browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    visitor.signs_in_everywhere()
    visitor.presses_sign_out_at(LMS)
    assert visitor.is_known_at() == []


def published_keys(town: Town) -> list[str]:
    """The ids of the keys, the current one first."""
    answer = requests.get(f"http://{LOOPBACK}:{town.addresses.idp_port}/oauth/jwks", timeout=5)
    return [key["kid"] for key in answer.json()["keys"]]


def test_a_wrong_password_is_said_in_words_and_opens_nothing(visitor: Visitor) -> None:
    visitor.asks_to_enter(LMS)
    visitor.types_password("wrong", username="carla")
    visitor.waits_for("the reason", lambda: visitor.sees("[role=alert]"))
    assert "not right" in visitor.browser.find_element(By.CSS_SELECTOR, "[role=alert]").text
    assert visitor.is_known_at() == []


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.id)
def test_V61_who_cancels_comes_back_to_the_vendor_which_says_so(visitor: Visitor, vendor: Vendor) -> None:
    visitor.goes_to(vendor)
    visitor.presses(_OUT)
    visitor.waits_for("the sign-in page", lambda: visitor.is_at(visitor.addresses.idp, _ASKED))
    visitor.presses("form[action='/login/cancel'] button")
    visitor.waits_for("the vendor's word", lambda: visitor.is_at(visitor.addresses.of(vendor.host), "[role=alert]"))
    assert not visitor.is_told_by(vendor)["signed_in"]


def test_the_bookstores_offers_let_in_without_a_click_who_is_signed_in_elsewhere(visitor: Visitor) -> None:
    visitor.goes_to(STORE, "/offers")
    visitor.waits_for(
        "the script's answer", lambda: "sso" not in visitor.browser.current_url and visitor.sees("[data-sso=sign-in][href*=token]")
    )
    assert not visitor.is_told_by(STORE)["signed_in"]
    visitor.asks_to_enter(LMS)
    visitor.types_password()
    visitor.is_in(LMS)
    visitor.browser.switch_to.new_window("tab")
    visitor.goes_to(STORE, "/offers")
    visitor.is_in(STORE)


def test_the_start_page_leads_to_every_vendor_and_works_without_script(visitor: Visitor) -> None:
    visitor.browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    visitor.browser.get(f"{visitor.addresses.portal}/")
    links = [each.get_attribute("href") for each in visitor.browser.find_elements(By.CSS_SELECTOR, ".cards a")]
    assert links == [f"{visitor.addresses.of(vendor.host)}/" for vendor in VENDORS]
    assert "simulated" in visitor.browser.find_element(By.TAG_NAME, "main").text


def test_the_journal_says_so_where_the_browser_keeps_cookies_from_other_sites(chromium: Path, town: Town, tmp_path: Path) -> None:
    with browsing(chromium, tmp_path, keep_cookies_from_other_sites=True) as browser:
        visitor = Visitor(browser, town)
        visitor.goes_to(JOURNAL)
        visitor.presses(_OUT)
        visitor.waits_for("the sign-in page", lambda: visitor.is_at(visitor.addresses.idp, _ASKED))
        visitor.types_password()
        visitor.waits_for("the reason", lambda: "keeps cookies from other sites" in browser.find_element(By.TAG_NAME, "main").text)
        assert not visitor.is_told_by(JOURNAL)["signed_in"]
        visitor.asks_to_enter(LMS)
        visitor.is_in(LMS)
