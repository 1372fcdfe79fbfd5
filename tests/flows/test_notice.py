"""Logout notices on the real server: kill -9 of everything between the end of a session and the last word about it loses none (F2, F18)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode

import pytest

from tests.bare_browser import BareBrowser
from tests.server import Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]

_PATIENCE = 90  # seconds until what was left is finished: 20 until it counts as left, and two looks of another worker
TOKEN_CLIENT = """
[clients.{id}]
[clients.{id}.token]
return_urls = ["https://{id}.example.org/in"]
logout_url = "http://127.0.0.1:{port}/{id}"
"""


class Vendors:
    """The vendors' server: it hangs, without an answer, until it is told to be well."""

    def __init__(self) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self.tokens: list[str] = []
        self.asked = threading.Event()
        self.well = threading.Event()
        self.gone = threading.Event()
        vendors = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
                vendors.tokens.append(form["logout_token"][0])
                vendors.asked.set()
                if not vendors.well.is_set():
                    vendors.gone.wait(30)
                    return
                vendors.heard.put(self.path.strip("/"))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return None

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.block_on_close = False
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        self.gone.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    made = Vendors()
    yield made
    made.close()


def signed_in(server: Server, *client_ids: str) -> BareBrowser:
    """Ada's browser, in which these applications had an answer."""
    browser = BareBrowser(server.port)
    browser.sign_in("/login")
    for client_id in client_ids:
        status, _, page = browser.ask("GET", f"/token/signon?client={client_id}")
        assert status == 200, page
        assert "token" in page
    return browser


def press_sign_out(browser: BareBrowser) -> None:
    """The answer never comes: the server is killed before."""
    _, _, page = browser.ask("GET", "/logout")
    token = page.partition('name="form_token" value="')[2].partition('"')[0]

    def post() -> None:
        try:
            browser.ask("POST", "/logout", urlencode({"form_token": token}))
        except (OSError, ValueError, EOFError):
            return
        except Exception:  # http.client has many words for a connection that broke
            return

    threading.Thread(target=post, daemon=True).start()


def test_F2_kill_9_of_everything_while_the_applications_are_being_told_loses_no_notice(tmp_path: Path, vendors: Vendors) -> None:
    clients = "".join(TOKEN_CLIENT.format(id=name, port=vendors.port) for name in ("lms", "shop"))
    server = Server(tmp_path, workers=2, more=clients)
    try:
        browser = signed_in(server, "lms", "shop")
        press_sign_out(browser)
        assert vendors.asked.wait(20)
        server.kill()  # its workers and its database go with it
        vendors.well.set()
        server.start()
        assert "You are signed in" not in browser.again().ask("GET", "/")[2], "the end itself was not lost either"
        heard: set[str] = set()
        while heard != {"lms", "shop"}:  # one of them may hear twice
            heard.add(vendors.heard.get(timeout=_PATIENCE))
        assert server.command("notices", "list") == {"notices": []}
    finally:
        server.stop()


def test_F2_F18_what_waits_survives_kill_9_and_is_told_with_a_token_of_its_own_when_the_vendor_is_back(
    tmp_path: Path, vendors: Vendors
) -> None:
    server = Server(tmp_path, workers=2, more=TOKEN_CLIENT.format(id="lms", port=vendors.port))
    try:
        browser = signed_in(server, "lms")
        _, _, page = browser.ask("GET", "/logout")
        token = page.partition('name="form_token" value="')[2].partition('"')[0]
        _, location, _ = browser.ask("POST", "/logout", urlencode({"form_token": token}))
        shown = browser.ask("GET", location.removeprefix(server.url))[2]
        assert "asked, no answer yet; we keep trying until" in shown
        server.kill()
        server.start()
        (notice,) = server.command("notices", "list")["notices"]
        vendors.well.set()
        assert server.command("notices", "retry", notice["id"])["retried"] == [{"id": notice["id"], "outcome": "told"}]
        assert vendors.heard.get(timeout=5) == "lms"
        assert len(set(vendors.tokens)) == len(vendors.tokens) == 2, "each try has its own token"
        shown = browser.again().ask("GET", location.removeprefix(server.url))[2]
        assert "signed out</span>" in shown
    finally:
        server.stop()
