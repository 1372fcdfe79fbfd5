"""What a real browser tells us of the page that asks, and what other sites get out of it: the ping, and the link to sign out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from tests.standin import PASSWORD

from .chrome import chrome_with
from .wiring import World, make_client

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

_ASK = """
const [url, policy, done] = arguments;
window.cb = done;
const script = document.createElement("script");
script.referrerPolicy = policy;
script.onerror = () => done("refused");
script.onload = () => done("no answer");
script.src = url;
document.head.append(script);
"""
_FOLLOW = """
const [url, policy] = arguments;
const link = document.createElement("a");
link.referrerPolicy = policy;
link.href = url;
document.body.append(link);
link.click();
"""
_FRAME = """
const [url, done] = arguments;
const frame = document.createElement("iframe");
frame.onload = () => done();
frame.src = url;
document.body.append(frame);
"""


class Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *arguments: object) -> None:
        return None


def page(environ, start_response):
    """Every other site: an empty page."""
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<!doctype html><title>A page</title><link rel=icon href=data:,><body></body>"]


class Watched:
    """The other sites, whose logs somebody reads: every address and every referrer is kept. Each page has an image of the evil site."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.evil = ""

    def __call__(self, environ, start_response):
        self.seen += [environ["PATH_INFO"], environ["QUERY_STRING"], environ.get("HTTP_REFERER", "")]
        start_response("200 OK", [("Content-Type", "text/html")])
        image = f"<img src='{self.evil}/image'>" if environ["PATH_INFO"] != "/image" else ""
        return [f"<!doctype html><title>A page</title><link rel=icon href=data:,><body>{image}</body>".encode()]


def running(app, port: int = 0) -> BaseWSGIServer:
    server = make_server("127.0.0.1", port, app, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Street:
    """Our server, and the sites around it, each with a name of its own."""

    def __init__(self, folder: Path) -> None:
        self.log = Watched()
        self._sites = running(self.log)
        self._ours = running(page)
        self.journal, self.evil = (f"http://{name}.localhost:{self._sites.port}" for name in ("journal", "evil"))
        self.log.evil = self.evil
        self.world = World(
            folder,
            [
                make_client("journal", "jsonp", origins=(self.journal,)),
                make_client("lms", "token", return_urls=(f"{self.journal}/sso",)),
                make_client("old", "token", return_urls=(f"{self.journal}/old",), method="get"),
            ],
            url=f"http://idp.assoc.localhost:{self._ours.port}",
        )
        self._ours.app = self.world.app

    def close(self) -> None:
        for server in (self._sites, self._ours):
            server.shutdown()
            server.server_close()
        self.world.store.close()


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    made = Street(tmp_path)
    yield made
    made.close()


@pytest.fixture
def browser(street: Street, tmp_path: Path) -> Iterator[Chrome]:
    """A browser that keeps cookies from other sites, with Anne signed in."""
    with chrome_with(tmp_path / "profile", {"profile.cookie_controls_mode": 0, "profile.block_third_party_cookies": False}) as chrome:
        chrome.get(f"{street.world.url}/login")
        chrome.find_element(By.NAME, "username").send_keys("anne")
        chrome.find_element(By.NAME, "password").send_keys(PASSWORD)
        chrome.find_element(By.CSS_SELECTOR, "button.primary").click()
        WebDriverWait(chrome, 15, 0.05).until(lambda _: street.world.sessions.list() and chrome.current_url == f"{street.world.url}/")
        yield chrome


def test_S101_the_registered_page_gets_an_answer_and_other_sites_get_none(street: Street, browser: Chrome) -> None:
    url = f"{street.world.url}/jsonp/ping?client=journal&callback=cb"
    told = {}
    for site in (street.journal, street.evil):
        for policy in ("", "unsafe-url", "no-referrer"):
            browser.get(f"{site}/?{street.journal}/")
            told[site, policy] = browser.execute_async_script(_ASK, url, policy)
    assert told[street.journal, ""]["signedIn"] is True
    assert told[street.journal, "unsafe-url"]["signedIn"] is True
    assert {told[street.journal, "no-referrer"], *(told[street.evil, policy] for policy in ("", "unsafe-url", "no-referrer"))} == {
        "refused"
    }
    causes = [line["cause"] for line in street.world.audit.of("request.refused")]
    assert causes == ["jsonp.origin_hidden", "jsonp.origin_not_registered", "jsonp.origin_not_registered", "jsonp.origin_hidden"]


def test_S101_the_registered_page_gets_no_answer_but_by_a_script_element(street: Street, browser: Chrome) -> None:
    url = f"{street.world.url}/jsonp/ping?client=journal&callback=cb"
    browser.get(f"{street.journal}/")
    browser.execute_async_script(_FRAME, url)
    browser.execute_async_script(
        "const [url, done] = arguments; fetch(url, {mode: 'no-cors', credentials: 'include'}).then(done, done)", url
    )
    assert [line["cause"] for line in street.world.audit.of("request.refused")] == ["jsonp.not_a_script"] * 2


def test_S50_V37_the_vendors_link_signs_out_and_other_sites_links_ask_first(street: Street, browser: Chrome) -> None:
    sessions = street.world.sessions
    browser.get(f"{street.journal}/")
    browser.execute_async_script(_ASK, f"{street.world.url}/jsonp/ping?client=journal&callback=cb", "")
    url = f"{street.world.url}/jsonp/logout?client=journal&return={street.journal}/"
    browser.execute_async_script(_FRAME, url)
    for policy in ("", "no-referrer"):
        browser.get(f"{street.evil}/")
        browser.execute_script(_FOLLOW, url, policy)
        WebDriverWait(browser, 15, 0.05).until(lambda chrome: chrome.current_url == f"{street.world.url}/logout")
    assert len(sessions.list()) == 1
    browser.get(f"{street.journal}/in")
    browser.execute_script(_FOLLOW, url, "")
    WebDriverWait(browser, 15, 0.05).until(lambda chrome: chrome.current_url == f"{street.journal}/")
    assert sessions.list() == []


_FETCH = """
const [url, mode, done] = arguments;
fetch(url, {mode, credentials: "include"})
  .then(answer => answer.type === "opaque" ? "opaque " + answer.status : answer.json())
  .then(done, () => done("refused"));
"""


def test_S104_the_registered_page_gets_an_answer_by_fetch_and_other_sites_get_none(street: Street, browser: Chrome) -> None:
    url = f"{street.world.url}/jsonp/fetch?client=journal"
    told = {}
    for site in (street.journal, street.evil):
        browser.get(f"{site}/")
        told[site] = [browser.execute_async_script(_FETCH, url, mode) for mode in ("cors", "no-cors")]
    assert told[street.journal][0]["signedIn"] is True
    assert told[street.evil][0] == "refused"
    assert not any(isinstance(answer, dict) for answer in (*told[street.evil], told[street.journal][1]))
    assert len(street.world.store.list("ticket")) == 1  # a page that could not read the answer had none made for it


def test_S95_no_address_and_no_referrer_has_a_token_unless_the_vendor_wants_it_in_its_address(street: Street, browser: Chrome) -> None:
    browser.get(f"{street.world.url}/token/signon?client=lms")
    WebDriverWait(browser, 15, 0.05).until(lambda chrome: chrome.current_url == f"{street.journal}/sso" and "/image" in street.log.seen)
    assert {each.partition("=")[0] for each in street.log.seen} == {"", "/sso", "/image", f"{street.journal}/"}
    street.log.seen.clear()
    browser.get(f"{street.world.url}/token/signon?client=old")
    WebDriverWait(browser, 15, 0.05).until(lambda chrome: "/old?token=" in chrome.current_url and "/image" in street.log.seen)
    referrers = street.log.seen[2::3]
    assert set(referrers) == {"", f"{street.journal}/"}  # of our page nothing, of the vendor's page its origin, which is the browser's rule
