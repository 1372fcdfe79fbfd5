"""iMIS's own page as the sign-in page, in a real browser: by the ticket that iMIS has it post, and by iMIS's cookie for both (U35)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from idp.demo.vendors import COMMUNITY, EVENTS, LMS, STORE, Vendor
from idp.demo.way import Way, imis_url
from tests.flows.test_browser import Visitor, browsing, chromium  # noqa: F401  a fixture
from tests.flows.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

_PASSWORD = "input[name=password]"
_IN, _OUT = "#sign-out", "#sign-in"


class Member(Visitor):
    """A visitor whose sign-in page is iMIS's."""

    def __init__(self, browser: Chrome, town: Town, way: Way) -> None:
        super().__init__(browser, town)
        self.imis = imis_url(way, town.addresses)

    def is_asked_by_imis(self) -> bool:
        return self.is_at(self.imis, _PASSWORD)

    def presses_sign_in_at(self, vendor: Vendor) -> None:
        self.goes_to(vendor)
        self.presses(_OUT)

    def signs_in_at_imis(self, password: str = "demo", *, username: str = "ada") -> None:
        self.waits_for("iMIS's sign-in page", self.is_asked_by_imis)
        self.browser.find_element(By.NAME, "username").send_keys(username)
        self.browser.find_element(By.NAME, "password").send_keys(password)
        self.presses("form button")

    def is_at_imis_already(self, username: str) -> None:
        """Has signed in on iMIS's site, for no vendor."""
        self.browser.get(f"{self.imis}/SignIn")
        self.signs_in_at_imis(username=username)
        self.waits_for("iMIS to let her in", lambda: not self.is_asked_by_imis())

    def is_known_at_imis(self) -> bool:
        """As iMIS's own pages tell it, in their hidden field."""
        self.browser.get(f"{self.imis}/ForgotPassword.aspx")
        context = self.browser.find_element(By.ID, "__ClientContext").get_attribute("value") or ""
        return '"isAnonymous": false' in context

    def signs_out(self) -> list[str]:
        """By our own page; what it says of each."""
        self.browser.get(f"{self.addresses.idp}/logout")
        self.confirms_sign_out()
        return [each.text for each in self.browser.find_elements(By.CSS_SELECTOR, ".rows .state")]


@pytest.fixture(scope="module", params=["imis-redirect", "imis-cookie"])
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture(scope="module")
def town(chromium: Path, way: Way, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:  # noqa: F811
    town = Town(tmp_path_factory.mktemp("demo") / "data", options=("--sign-in", way))
    town.start()
    yield town
    assert town.stop() == 0


@pytest.fixture(scope="module")
def browser(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:  # noqa: F811
    """One that keeps cookies from other sites, as most do by now."""
    with browsing(chromium, tmp_path_factory.mktemp("browser"), keep_cookies_from_other_sites=True) as browser:
        yield browser


@pytest.fixture
def member(browser: Chrome, town: Town, way: Way) -> Member:
    """Somebody whom no site knows yet."""
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
    return Member(browser, town, way)


def test_one_password_at_imis_opens_the_vendors_and_one_sign_out_closes_them_and_imis(member: Member) -> None:
    member.presses_sign_in_at(LMS)
    member.signs_in_at_imis()
    member.is_in(LMS)
    for vendor in (COMMUNITY, STORE):
        member.presses_sign_in_at(vendor)
        member.is_in(vendor)
    assert member.is_known_at_imis()
    states = member.signs_out()
    assert states == ["signed out"] * 4, "three vendors, and iMIS"
    assert not member.is_known_at_imis()
    assert member.is_known_at() == []
    member.presses_sign_in_at(LMS)
    member.waits_for("iMIS to ask again", member.is_asked_by_imis)


def test_a_sign_out_that_begins_at_a_vendor_goes_by_imis_and_back_to_the_vendor(member: Member) -> None:
    member.presses_sign_in_at(LMS)
    member.signs_in_at_imis()
    member.is_in(LMS)
    member.presses_sign_out_at(LMS)
    assert not member.is_known_at_imis()


def test_who_is_signed_in_at_imis_already_types_nothing(member: Member) -> None:
    member.is_at_imis_already("ben")
    member.presses_sign_in_at(EVENTS)
    member.is_in(EVENTS)
    assert member.is_told_by(EVENTS)["name"] == "Dr. Benjamin Q. Okafor Jr."


def test_a_wrong_password_stays_at_imis_and_the_right_one_goes_on(member: Member) -> None:
    member.presses_sign_in_at(LMS)
    member.signs_in_at_imis("wrong")
    member.waits_for("iMIS's word", lambda: member.sees("[role=alert]"))
    member.signs_in_at_imis()
    member.is_in(LMS)


def test_V26_two_tabs_each_come_to_where_they_wanted(member: Member) -> None:
    member.presses_sign_in_at(LMS)
    first = member.browser.current_window_handle
    member.browser.switch_to.new_window("tab")
    member.presses_sign_in_at(STORE)
    second = member.browser.current_window_handle
    member.browser.switch_to.window(first)
    member.signs_in_at_imis()
    member.waits_for("the choice", lambda: "You are signed in" in member.heading())
    member.browser.find_element(By.LINK_TEXT, LMS.name).click()
    member.is_in(LMS)
    member.browser.switch_to.window(second)
    member.signs_in_at_imis()
    member.is_in(STORE)
    member.browser.close()
    member.browser.switch_to.window(first)


def test_the_back_button_after_the_sign_in_does_no_harm(member: Member) -> None:
    member.presses_sign_in_at(LMS)
    member.signs_in_at_imis()
    member.is_in(LMS)
    member.browser.back()
    member.goes_to(STORE)
    member.presses(_OUT)
    member.is_in(STORE)


def test_who_begins_on_a_page_of_imis_is_asked_once_and_is_in(member: Member, way: Way) -> None:
    member.is_at_imis_already("ada")
    if way == "imis-redirect":
        member.browser.get(f"{member.imis}/imis-idp.aspx")
        member.waits_for("the question", lambda: "Is this you?" in member.heading())
        member.presses("form button.primary")
    else:
        member.browser.get(f"{member.addresses.idp}/login")
    member.waits_for("our start page", lambda: "You are signed in" in member.heading())
