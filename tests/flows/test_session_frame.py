"""Session Management 1.0 in a real browser: a client's page asks our frame, and not our server, whether the member is still there."""

from __future__ import annotations

import shutil
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Flask
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from werkzeug.serving import WSGIRequestHandler, make_server

from idp.demo.host import Hosts
from idp.keys import KeyRing
from tests.fedcm.association import EVIL, LMS, LOGIN, PORTAL
from tests.flows.sites import make_certificate
from tests.flows.test_browser import _OPTIONS, chromium
from tests.oidc.wiring import World, asked, make_client
from tests.standin import PASSWORD
from tests.waiting import wait_for

__all__ = ["chromium"]
pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

_PAGE = f"""<!doctype html><title>A page</title><link rel=icon href=data:,>
<iframe id=op hidden src="{LOGIN}/oauth/session"></iframe>
<script>
const op = document.getElementById("op");
const loaded = new Promise((give) => op.addEventListener("load", give));
window.ask = async (message, target) => {{
  await loaded;
  return new Promise((give) => {{
    addEventListener("message", (event) => give([event.origin, event.data]), {{once: true}});
    op.contentWindow.postMessage(message, target || "{LOGIN}");
    setTimeout(() => give(["", "nothing"]), 3000);
  }});
}};
</script>"""
_STRANGER = f"""<!doctype html><title>A stranger</title><script>
addEventListener("message", (event) => {{
  if (event.origin === "{LOGIN}") parent.postMessage("stranger heard " + event.data, "*");
  else parent.frames[0].postMessage(event.data, "{LOGIN}");
}});
</script>"""
_ASK = "const [message, done] = arguments; window.ask(message).then(done);"
_ASK_BY_A_STRANGER = f"""
const [message, done] = arguments;
const frame = document.createElement("iframe");
frame.src = "{EVIL}/";
frame.onload = () => frame.contentWindow.postMessage(message, "*");
addEventListener("message", (event) => event.origin === "{EVIL}" && done([event.origin, event.data]));
window.ask("hello").then(() => document.body.append(frame));
"""


class Watcher:
    """A member at a browser, and pages of a client that watch."""

    def __init__(self, browser: Chrome) -> None:
        self.browser = browser

    def enters(self, site: str) -> str:
        """Signs in where she is asked, and comes to the client's page; the state that it is told."""
        query = urlencode(asked(redirect_uri=f"{site}/cb", prompt=None))
        self.browser.get(f"{LOGIN}/oauth/authorize?{query}")
        if self.browser.find_elements(By.NAME, "password"):
            self.browser.find_element(By.NAME, "username").send_keys("anne")
            self.browser.find_element(By.NAME, "password").send_keys(PASSWORD)
            self.browser.find_element(By.CSS_SELECTOR, "button.primary").click()
        self.waits_for("the client's page", lambda: self.browser.current_url.startswith(f"{site}/cb?"))
        told = dict(pair.split("=", 1) for pair in urlsplit(self.browser.current_url).query.split("&"))
        return told["session_state"]

    def asks(self, message: object, script: str = _ASK) -> list[str]:
        """Who answers, and what."""
        found: list[str] = self.browser.execute_async_script(script, message)
        return found

    def signs_out_in_another_tab(self) -> None:
        page = self.browser.current_window_handle
        self.browser.switch_to.new_window("tab")
        self.browser.get(f"{LOGIN}/logout")
        self.browser.find_element(By.CSS_SELECTOR, "form[action='/logout'] button").click()
        self.waits_for("the end", lambda: "signed out" in self.browser.page_source)
        self.browser.switch_to.window(page)

    def waits_for(self, what: str, condition: Callable[[], bool]) -> None:
        wait_for(self.browser, what, condition)


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        return None


@contextmanager
def watching(driver: Path, folder: Path, *, blocked: bool) -> Iterator[Watcher]:
    """A browser with a fresh profile; `blocked` withholds cookies from frames on other sites' pages."""
    KeyRing(folder / "keys").create()
    client = make_client(session_management=True, redirect_uris=(f"{PORTAL}/cb", f"{LMS}/cb"))
    world = World(folder, [client], url=LOGIN)
    certificate = folder / "certificate.pem"
    spki = make_certificate(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names = {LOGIN: world.app, PORTAL: site(_PAGE), LMS: site(_PAGE), EVIL: site(_STRANGER, "/framing", _PAGE)}
    hosts = Hosts({str(urlsplit(url).hostname): app for url, app in names.items()})
    server = make_server("127.0.0.1", 0, hosts, threaded=True, ssl_context=context, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    options = ChromeOptions()
    rules = f"--host-resolver-rules=MAP *.test:443 127.0.0.1:{server.server_port}"
    for option in (*_OPTIONS, rules, f"--ignore-certificate-errors-spki-list={spki}", f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(option)
    prefs = {"profile.cookie_controls_mode": int(blocked), "profile.block_third_party_cookies": blocked}
    options.add_experimental_option("prefs", prefs)
    browser = Chrome(options=options, service=Service(str(driver)))
    try:
        yield Watcher(browser)
    finally:
        browser.quit()
        server.shutdown()
        server.server_close()
        thread.join()
        world.store.close()
        shutil.rmtree(folder / "profile", ignore_errors=True)


def site(page: str, other: str = "/other", other_page: str = "") -> Flask:
    app = Flask("site")
    app.add_url_rule("/", "start", lambda: page)
    app.add_url_rule("/cb", "callback", lambda: page)
    app.add_url_rule(other, "other", lambda: other_page)
    return app


@pytest.fixture(params=[False, True], ids=["cookies-of-other-sites-allowed", "blocked"])
def blocked(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def watcher(chromium: Path, tmp_path: Path, blocked: bool) -> Iterator[Watcher]:
    with watching(chromium, tmp_path, blocked=blocked) as watcher:
        yield watcher


def test_oidcc_session_management_a_page_of_our_site_sees_the_sign_out_in_another_tab(watcher: Watcher) -> None:
    message = f"rp {watcher.enters(PORTAL)}"
    assert watcher.asks(message) == [LOGIN, "unchanged"]
    watcher.signs_out_in_another_tab()
    assert watcher.asks(message) == [LOGIN, "changed"]


def test_a_page_of_another_site_sees_it_where_frames_have_cookies_and_else_hears_error(watcher: Watcher, blocked: bool) -> None:
    """Not "changed": the page would ask our server again, and again."""
    message = f"rp {watcher.enters(LMS)}"
    assert watcher.asks(message) == [LOGIN, "error" if blocked else "unchanged"]
    watcher.signs_out_in_another_tab()
    assert watcher.asks(message) == [LOGIN, "error" if blocked else "changed"]


@pytest.mark.parametrize("blocked", [False], indirect=False)
def test_S105_a_stranger_hears_error_and_cannot_hold_the_frame(watcher: Watcher) -> None:
    message = f"rp {watcher.enters(PORTAL)}"
    for garbage in ("", "rp", "rp x.y", f"{message} ", {"rp": 1}, None):
        assert watcher.asks(garbage) == [LOGIN, "error"]
    assert watcher.asks(f"two {message.partition(' ')[2]}") == [LOGIN, "changed"], "another client's state is none of this page's"
    assert watcher.asks(message, _ASK_BY_A_STRANGER) == [EVIL, "stranger heard error"]
    watcher.browser.get(f"{EVIL}/framing")
    assert watcher.asks(message) == ["", "nothing"]
