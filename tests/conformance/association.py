"""A whole association in one process: the application as `create_app` wires it, one client of each protocol, a directory from a
file, a real SQLite store, and a vendors' server that takes logout notices over HTTP."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp.app import create_app_of
from idp.config import load
from idp.parts import build_parts
from idp.store.sqlite import SqliteStore
from tests.standin import PASSWORD, Events

URL = "https://login.example.org"
SECRET = "the vendor's own secret"
HOSTILE = '</saml:AttributeValue><script>alert("1")</script>&]]>\'"'

CONFIG = """
[server]
url = "{url}"
name = "Example Association"
[directory]
kind = "people"
people = "people.toml"
[outbound]
allow_private = true

[clients.saml]
name = "Learning <center>"
release = ["email", "title=Job", "committees"]
[clients.saml.saml]
entity_id = "https://lms.example.com/metadata"
acs = "https://lms.example.com/acs"
slo = "https://lms.example.com/slo"
certificate = "sp.pem"
[clients.oidc]
name = "Community"
release = ["email", "title=Job", "committees"]
secret = {{ file = "secret" }}
[clients.oidc.oidc]
redirect_uris = ["https://community.example.com/cb"]
backchannel_logout_uri = "{vendors}/oidc"
[clients.token]
name = "Events"
release = ["email", "title=Job", "committees"]
secret = {{ file = "secret" }}
[clients.token.token]
return_urls = ["https://events.example.com/sso"]
logout_url = "{vendors}/token"
[clients.cookie]
name = "Website"
release = ["email", "title=Job", "committees"]
secret = {{ file = "secret" }}
[clients.cookie.cookie]
return_urls = ["https://www.example.org/back"]
logout_url = "{vendors}/cookie"
[clients.jsonp]
name = "Journal"
release = ["email", "title=Job", "committees"]
secret = {{ file = "secret" }}
[clients.jsonp.jsonp]
origins = ["https://journal.example.com"]
expires = 2099-12-31
return_urls = ["https://journal.example.com/page"]
logout_url = "{vendors}/jsonp"
"""
PEOPLE = f"""
[[people]]
id = "0471"
username = "anne"
password = "{PASSWORD}"
email = "anne@example.org"
title = '''{HOSTILE}'''
committees = ["Ethics", "Finance"]
member_type = "REG"
"""


class Vendors:
    """The vendors' servers, as far as logout notices go."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, dict[str, list[str]]]] = []
        vendors = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                vendors.notices.append((self.path.strip("/"), parse_qs(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return None

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def of(self, client_id: str) -> list[dict[str, list[str]]]:
        return [fields for path, fields in self.notices if path == client_id]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Association:
    """What tests do with it, in short words. `browser` is one browser; `another()` opens a second."""

    def __init__(self, folder: Path, vendors: Vendors, sp_certificate: str) -> None:
        (folder / "idp.toml").write_text(CONFIG.format(url=URL, vendors=vendors.url))
        (folder / "people.toml").write_text(PEOPLE)
        (folder / "secret").write_text(SECRET)
        (folder / "sp.pem").write_text(sp_certificate)
        self.vendors = vendors
        self.audit = Events()
        self.store = SqliteStore(folder / "store.sqlite3")
        self.parts = build_parts(load(folder / "idp.toml", {}), self.store, audit=self.audit)
        self.parts.keys.create_if_empty()
        self.app = create_app_of(self.parts)
        self.browser = self.another()

    def another(self) -> FlaskClient:
        return self.app.test_client()

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.browser.get(path, base_url=URL, **options)

    def post(self, path: str, data: dict[str, str], **options: Any) -> TestResponse:
        return self.browser.post(path, base_url=URL, data=data, **options)

    def sign_in(self, response: TestResponse) -> TestResponse:
        """From the redirect to the sign-in page to what the client gets."""
        page = self.get(local(response.location))
        fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', page.text))
        done = self.post("/login", {**fields, "username": "anne", "password": PASSWORD})
        assert done.status_code == 303, done.text
        return self.get(local(done.location))

    def sign_out(self) -> TestResponse:
        """By the member's own button; the page after it, or where it sends the browser."""
        page = self.get("/logout")
        token = re.search(r'name="form_token" value="([^"]*)"', page.text)
        assert token, page.text
        done = self.post("/logout", {"form_token": token[1]})
        return self.get(local(done.location))


@contextmanager
def association(folder: Path, sp_certificate: str) -> Iterator[Association]:
    vendors = Vendors()
    built = Association(folder, vendors, sp_certificate)
    try:
        yield built
    finally:
        vendors.close()
        built.store.close()


def local(location: str) -> str:
    parts = urlsplit(location)
    assert f"{parts.scheme}://{parts.netloc}" == URL, location
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def asks_for_login(response: TestResponse) -> bool:
    return response.status_code in (302, 303) and urlsplit(response.location).path == "/login" and response.location.startswith(URL)


def posted_form(response: TestResponse) -> tuple[str, dict[str, str]]:
    """The address and the fields of an auto-post page."""
    action = re.search(r'<form method="post" action="([^"]*)"', response.text)
    assert action, response.text
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', response.text)
    return unescape(action[1]), {name: unescape(value) for name, value in fields}
