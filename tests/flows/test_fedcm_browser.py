"""FedCM and sso-check in a real browser, with third-party cookies allowed and blocked; what a stranger's page gets out of either."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from selenium.common.exceptions import NoSuchWindowException, TimeoutException, WebDriverException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from tests.fedcm.association import EVIL, JOURNAL, LMS, LOGIN, SECRET, Association
from tests.flows.sites import Sites
from tests.flows.test_browser import _OPTIONS, chromium
from tests.flows.way_table import check_rows, measure, row_of
from tests.waiting import wait_for

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

_ASK = """
const [login, client, mode, mediation] = arguments;
window.told = null;
const provider = {configURL: login + "/fedcm/config.json", clientId: client, params: {}};
navigator.credentials.get({identity: {providers: [provider], ...(mode && {mode})}, mediation})
  .then((found) => { window.told = {token: found.token}; }, (error) => { window.told = {error: error.name + ": " + error.message}; });
"""
_PRY = """
const [login, done] = arguments;
const fetched = async (path, more) => {
  try { const told = await fetch(login + path, {credentials: "include", ...more}); return [told.type, told.status, await told.text()]; }
  catch (error) { return error.name; }
};
const loaded = (tag, url) => new Promise((give) => {
  const each = document.createElement(tag);
  each.onload = () => give("load");
  each.onerror = () => give("error");
  setTimeout(() => give("nothing"), 3000);
  each.src = url;
  document.body.append(each);
});
window.leak = (told) => { window.leaked = told; };
(async () => done([
  await fetched("/fedcm/accounts"),
  await fetched("/fedcm/accounts", {mode: "no-cors"}),
  await fetched("/fedcm/assertion", {method: "POST", body: new URLSearchParams({client_id: "lms"})}),
  await fetched("/fedcm/assertion", {method: "POST", mode: "no-cors", body: new URLSearchParams({client_id: "lms"})}),
  await fetched("/jsonp/fetch?client=journal"),
  await fetched("/jsonp/fetch?client=journal", {mode: "no-cors"}),
  await fetched("/token/signon?client=lms&passive=1"),
  await fetched("/token/signon?client=lms&passive=1", {mode: "no-cors"}),
  await loaded("script", login + "/jsonp/ping?client=journal&callback=leak"),
  await loaded("script", login + "/fedcm/accounts"),
  await loaded("img", login + "/fedcm/accounts"),
  await loaded("img", login + "/token/signon?client=lms&passive=1"),
  await loaded("iframe", login + "/fedcm/frame?client=lms"),
  window.leaked || "nothing",
]))();
"""


class Visitor:
    """Somebody at a browser, whose dialogs are operated by WebDriver's FedCM commands."""

    def __init__(self, browser: Chrome, sites: Sites) -> None:
        self.browser = browser
        self.sites = sites

    def goes_to(self, url: str) -> None:
        self.browser.get(url)
        self.browser.fedcm.disable_delay()

    def sees(self, kind: str) -> None:
        """The browser's dialog of that type comes."""
        try:
            self.waits_for(f"the dialog {kind}", lambda: self.dialog() == kind)
        except TimeoutException as error:
            page = f"{self.browser.current_url} {self.browser.title!r}; windows {len(self.browser.window_handles)}"
            raise AssertionError(f"{error.msg}: {self.dialog()!r} at {page}; asked {self.since(0)}") from None

    def sees_dialog_or_is_told(self) -> str:
        """The type of the dialog; "" when the page got its answer without one, or before it was seen."""
        self.waits_for("a dialog or the answer", lambda: bool(self.dialog()) or self._told() is not None)
        return self.dialog()

    def dialog(self) -> str:
        """The type of the one that is open; "" when none is."""
        try:
            return self.browser.fedcm.dialog_type
        except WebDriverException:
            return ""

    def asks(self, client: str, *, mode: str = "", mediation: str = "optional") -> None:
        self.browser.execute_script(_ASK, LOGIN, client, mode or None, mediation)

    def told(self) -> dict[str, Any]:
        self.waits_for("the answer", lambda: self._told() is not None)
        found: dict[str, Any] = self._told()
        return found

    def _told(self) -> Any:
        return self.browser.execute_script("return window.told")

    def signs_in(self) -> None:
        self.browser.get(f"{LOGIN}/login")
        self.types_password()
        self.waits_for("the start page", lambda: self.browser.current_url == f"{LOGIN}/")

    def types_password(self) -> None:
        self.browser.find_element(By.NAME, "username").send_keys("ada")
        self.browser.find_element(By.NAME, "password").send_keys("demo")
        self.presses_the_button()

    def presses_the_button(self) -> None:
        """It may be the last thing that happens in a window."""
        with suppress(NoSuchWindowException):
            self.browser.find_element(By.CSS_SELECTOR, "button.primary").click()

    def presses_the_link(self) -> None:
        """As long as a finger does: Chromium hears of the press (the user activation that a dialog needs) and of the request for a
        dialog by two ways, and of the request first when both come at once."""
        link = self.browser.find_element(By.ID, "sign-in")
        ActionChains(self.browser).click_and_hold(link).pause(0.3).release().perform()

    def signs_out(self) -> None:
        self.browser.get(f"{LOGIN}/logout")
        self.browser.find_element(By.CSS_SELECTOR, "form[action='/logout'] button").click()
        self.waits_for("the end", lambda: "signed out" in self.browser.page_source)

    def way_at(self, url: str) -> str:
        """The way by which sso-check learns whether she is signed in, in a tab of its own and without a session at the vendor."""
        self.browser.switch_to.new_window("tab")
        if url == LMS:
            self.browser.get(f"{LMS}/sign-out")
        self.goes_to(f"{url}/")
        self.waits_for("the answer", lambda: self.browser.title.startswith("way:") or " by " in self.state())
        said = self.state() if " by " in self.state() else self.browser.title
        return said.replace("way:", "").rpartition(" by ")[2]

    def signs_in_by_the_link(self, url: str) -> None:
        """Presses the link of a page with sso-check, and chooses the account in the browser's dialog."""
        self.browser.switch_to.new_window("tab")
        if url == LMS:
            self.browser.get(f"{LMS}/sign-out")
        self.goes_to(f"{url}/?ways=fedcm")
        self.waits_for("the first answer", lambda: self.browser.title == "way:link")
        self.presses_the_link()
        self.sees("AccountChooser")
        self.browser.fedcm.select_account(0)
        self.waits_for("the answer", lambda: "fedcm" in f"{self.browser.title} {self.state()}")

    def state(self) -> str:
        """What the learning center's page says."""
        return str(self.browser.execute_script("return (document.getElementById('state') || {}).textContent"))

    def waits_for(self, what: str, condition: Callable[[], bool]) -> None:
        wait_for(self.browser, what, condition)

    def since(self, count: int) -> list[str]:
        """What was asked of /fedcm/ since then."""
        return [f"{method} {path} {status}" for method, path, status, _, _ in self.sites.asked[count:] if path.startswith("/fedcm")]


@contextmanager
def visiting(chromium: Path, tmp_path: Path, *, blocked: bool) -> Iterator[Visitor]:
    """A browser with a fresh profile, and an association with a fresh store."""
    (tmp_path / "association").mkdir()
    association = Association(tmp_path / "association")
    with Sites(association, tmp_path).serving() as sites:
        options = ChromeOptions()
        rules = f"--host-resolver-rules=MAP *.test:443 127.0.0.1:{sites.port}"
        trust = f"--ignore-certificate-errors-spki-list={sites.spki}"
        for option in (*_OPTIONS, rules, trust, f"--user-data-dir={tmp_path / 'profile'}"):
            options.add_argument(option)
        prefs = {"profile.cookie_controls_mode": int(blocked), "profile.block_third_party_cookies": blocked}
        options.add_experimental_option("prefs", prefs)
        options.set_capability("fedcm:accounts", True)
        browser = Chrome(options=options, service=Service(str(chromium)))
        try:
            yield Visitor(browser, sites)
        finally:
            browser.quit()
    association.store.close()


@pytest.fixture
def visitor(chromium: Path, tmp_path: Path) -> Iterator[Visitor]:
    """With cookies of other sites blocked."""
    with visiting(chromium, tmp_path, blocked=True) as visitor:
        yield visitor


@pytest.fixture(params=[False, True], ids=["cookies-of-other-sites-allowed", "blocked"])
def either(request: pytest.FixtureRequest, chromium: Path, tmp_path: Path) -> Iterator[Visitor]:
    with visiting(chromium, tmp_path, blocked=request.param) as visitor:
        yield visitor


def test_S110_a_member_signs_in_by_the_browsers_hand_with_cookies_of_other_sites_blocked(visitor: Visitor) -> None:
    visitor.signs_in()
    visitor.goes_to(f"{LMS}/empty")
    visitor.asks("lms")
    visitor.sees("AccountChooser")
    visitor.browser.fedcm.select_account(0)
    assert redeemed(visitor, "lms", visitor.told()["token"]) == "Ada Marlowe"


def test_S112_who_is_signed_out_signs_in_in_a_window_that_closes_by_itself(visitor: Visitor) -> None:
    visitor.goes_to(f"{LMS}/?ways=fedcm")
    visitor.waits_for("the first answer", lambda: visitor.browser.title == "way:link")
    (page,) = visitor.browser.window_handles
    visitor.presses_the_link()
    visitor.waits_for("the window", lambda: len(visitor.browser.window_handles) == 2)
    visitor.browser.switch_to.window(next(each for each in visitor.browser.window_handles if each != page))
    visitor.waits_for("the sign-in page", lambda: "password" in visitor.browser.page_source)
    visitor.types_password()
    visitor.waits_for("its end", lambda: len(visitor.browser.window_handles) == 1)
    visitor.browser.switch_to.window(page)
    visitor.sees("AccountChooser")
    visitor.browser.fedcm.select_account(0)
    visitor.waits_for("the learning center", lambda: visitor.state() == "Ada Marlowe by fedcm")


def test_S14_consent_is_asked_in_a_window_and_the_page_gets_its_token_then(visitor: Visitor) -> None:
    visitor.signs_in()
    visitor.goes_to(f"{LMS}/empty")
    visitor.asks("shy")
    visitor.sees("AccountChooser")
    page = visitor.browser.current_window_handle
    visitor.browser.fedcm.select_account(0)
    visitor.waits_for("the window", lambda: len(visitor.browser.window_handles) == 2)
    visitor.browser.switch_to.window(next(each for each in visitor.browser.window_handles if each != page))
    visitor.waits_for("the question", lambda: "name" in visitor.browser.page_source)
    visitor.presses_the_button()
    visitor.waits_for("its end", lambda: len(visitor.browser.window_handles) == 1)
    visitor.browser.switch_to.window(page)
    assert redeemed(visitor, "shy", visitor.told()["token"]) == "Ada Marlowe"


def test_S112_after_sign_out_the_browser_does_not_even_ask_us(visitor: Visitor) -> None:
    visitor.signs_in()
    visitor.signs_out()
    visitor.goes_to(f"{LMS}/empty")
    count = len(visitor.sites.asked)
    visitor.asks("lms")
    assert "error" in visitor.told()
    assert visitor.since(count) == []


@pytest.mark.parametrize("mediation", ["silent", "optional"])
def test_S108_a_strangers_page_gets_no_token_and_without_a_click_learns_nothing(either: Visitor, mediation: str) -> None:
    """Where a dialog comes, the answer waits for what the member presses; here she leaves it alone, and then sends it away."""
    signed_out = stranger_is_told(either, mediation)
    either.signs_in()
    signs_in_at_lms(either)
    count = len(either.sites.asked)
    assert stranger_is_told(either, mediation) == signed_out
    assert not [each for each in either.since(count) if "assertion" in each]


def test_S108_a_strangers_page_gets_no_token_even_when_the_member_agrees(either: Visitor) -> None:
    either.signs_in()
    signs_in_at_lms(either)
    either.goes_to(f"{EVIL}/")
    either.asks("lms")
    either.sees("AccountChooser")
    either.browser.fedcm.select_account(0)
    if either.sees_dialog_or_is_told() == "Error":
        either.browser.execute("clickFedcmDialogButton", {"dialogButton": "ErrorGotIt"})
    assert set(either.told()) == {"error"}
    refused = either.sites.association.audit.of("request.refused")[-1]
    assert (refused["cause"], refused["received"]) == ("fedcm.origin_not_registered", EVIL)


def test_S111_a_strangers_page_learns_nothing_by_other_ways_not_even_from_a_status(either: Visitor) -> None:
    either.browser.get(f"{EVIL}/")
    signed_out = either.browser.execute_async_script(_PRY, LOGIN)
    either.signs_in()
    signs_in_at_lms(either)
    either.browser.get(f"{EVIL}/")
    assert either.browser.execute_async_script(_PRY, LOGIN) == signed_out


def stranger_is_told(visitor: Visitor, mediation: str) -> dict[str, Any]:
    """What the stranger's page gets in the name of the learning center, while the member does nothing but close the dialog."""
    visitor.goes_to(f"{EVIL}/")
    visitor.asks("lms", mediation=mediation)
    if visitor.sees_dialog_or_is_told():
        assert visitor.browser.execute_script("return window.told") is None
        visitor.browser.fedcm.dismiss()
    return visitor.told()


def signs_in_at_lms(visitor: Visitor) -> None:
    """By the chooser; from then on the browser knows the learning center."""
    visitor.goes_to(f"{LMS}/empty")
    visitor.asks("lms")
    visitor.sees("AccountChooser")
    visitor.browser.fedcm.select_account(0)
    assert "token" in visitor.told()


def redeemed(visitor: Visitor, client_id: str, token: str) -> str:
    """The name behind the token, as the application's server is told it."""
    server = visitor.sites.association.app.test_client()
    told = server.post("/service/redeem", base_url=LOGIN, data={"token": token}, auth=(client_id, SECRET))
    assert told.json
    return str(told.json["attributes"]["full_name"])


@pytest.mark.parametrize("blocked", [False, True], ids=["cookies-of-other-sites-allowed", "blocked"])
def test_the_table_says_which_way_chromium_takes(chromium: Path, tmp_path: Path, blocked: bool) -> None:
    engine = f"Chromium, cookies of other sites {'blocked' if blocked else 'allowed'}"
    with visiting(chromium, tmp_path, blocked=blocked) as visitor:
        rows = [row_of(engine, "signed out", measure(visitor.way_at))]
        visitor.signs_in()
        rows.append(row_of(engine, "signed in, first visit", measure(visitor.way_at)))
        for url in (LMS, JOURNAL):
            visitor.signs_in_by_the_link(url)
        rows.append(row_of(engine, "signed in, was there by FedCM before", measure(visitor.way_at)))
        rows.append(row_of(engine, "the same, again within ten minutes", measure(visitor.way_at)))
    check_rows(engine, rows)


def test_the_page_greets_by_name_who_signed_in_there_before_and_where_staff_allow_it(visitor: Visitor) -> None:
    visitor.signs_in()
    visitor.signs_in_by_the_link(LMS)
    visitor.browser.get(f"{LMS}/sign-out")
    visitor.goes_to(f"{LMS}/?ways=userinfo")
    visitor.waits_for("the answer", lambda: visitor.browser.title == "way:userinfo")
    assert visitor.browser.execute_script("return document.querySelector('[data-sso=name]').textContent") == "Ada"


def test_S112_when_her_session_has_ended_elsewhere_the_page_is_not_told_that_she_is_here(visitor: Visitor) -> None:
    visitor.signs_in()
    visitor.signs_in_by_the_link(LMS)
    visitor.browser.get(f"{LMS}/sign-out")
    visitor.sites.association.parts.logout.end_all_of("101", reason="operator")
    visitor.goes_to(f"{LMS}/?ways=fedcm userinfo")
    visitor.waits_for("the answer", lambda: visitor.browser.title == "way:link")
