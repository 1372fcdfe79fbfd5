"""An association with the whole application over a real store, and applications that may ask by FedCM."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.test import TestResponse

from idp.app import create_app_of
from idp.config import load
from idp.parts import build_parts
from idp.secret import digest
from idp.store.sqlite import SqliteStore
from tests.standin import Clock, Events

LOGIN, LMS, JOURNAL, EVIL, PORTAL = (
    f"https://{name}" for name in ("login.assoc.test", "www.lms.test", "www.journal.test", "www.evil.test", "portal.assoc.test")
)
SECRET = "a-secret-of-the-vendor"
CONFIG = f"""
[server]
url = "{LOGIN}"
name = "Example Association"
[directory]
kind = "people"
people = "people.toml"
[login]
tries_per_address = 100000
tries_per_account = 100000
[clients.lms]
name = "Learning Center"
release = ["full_name", "email"]
secret_sha256 = ["{digest(SECRET)}"]
[clients.lms.token]
return_urls = ["{LMS}/signed-in"]
[clients.lms.fedcm]
origins = ["{LMS}"]
greet = true
privacy_url = "{LMS}/privacy"
[clients.journal]
secret_sha256 = ["{digest(SECRET)}"]
[clients.journal.jsonp]
origins = ["{JOURNAL}"]
expires = 2099-12-31
[clients.journal.fedcm]
origins = ["{JOURNAL}"]
[clients.portal]
secret_sha256 = ["{digest(SECRET)}"]
[clients.portal.jsonp]
origins = ["{PORTAL}"]
expires = 2099-12-31
[clients.shy]
consent = "ask"
release = ["full_name"]
secret_sha256 = ["{digest(SECRET)}"]
[clients.shy.token]
return_urls = ["{LMS}/shy"]
[clients.shy.fedcm]
origins = ["{LMS}"]
[clients.closed.entry]
member_types = ["BOARD"]
[clients.closed]
secret_sha256 = ["{digest(SECRET)}"]
[clients.closed.token]
return_urls = ["{LMS}/closed"]
[clients.closed.fedcm]
origins = ["{LMS}"]
[clients.community]
release = ["full_name", "email"]
secret_sha256 = ["{digest(SECRET)}"]
[clients.community.oidc]
redirect_uris = ["{LMS}/callback"]
[clients.community.fedcm]
origins = ["{LMS}"]
"""
PEOPLE = """
[[people]]
id = "101"
username = "ada"
password = "demo"
email = "ada@example.org"
full_name = "Ada Marlowe"
first_name = "Ada"
last_name = "Marlowe"
member_type = "REG"
"""


class Association:
    """The application, and the parts below it."""

    def __init__(self, folder: Path, *, now: Clock | None = None) -> None:
        (folder / "idp.toml").write_text(CONFIG)
        (folder / "people.toml").write_text(PEOPLE)
        self.audit = Events()
        clock: dict[str, Any] = {"now": now} if now else {}
        self.store = SqliteStore(folder / "store.sqlite", **clock)
        self.parts = build_parts(load(folder / "idp.toml", {}), self.store, audit=self.audit, **clock)
        self.parts.keys.create_if_empty()
        self.app: Flask = create_app_of(self.parts)


class Browser:
    """A browser with Ada signed in, or not; what it asks by itself comes with the FedCM cookie alone, as browsers have it."""

    def __init__(self, association: Association) -> None:
        self.association = association
        self.http = association.app.test_client()

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.http.get(path, base_url=LOGIN, headers=headers)

    def signs_in(self) -> TestResponse:
        page = self.get("/login").text
        token = re.search(r'name="form_token" value="([^"]*)"', page)
        assert token
        fields = {"username": "ada", "password": "demo", "form_token": token[1]}
        return self.http.post("/login", base_url=LOGIN, data=fields)

    def cookie(self, name: str) -> str:
        found = self.http.get_cookie(name, domain="login.assoc.test")
        return found.value if found else ""

    def asks(
        self, path: str, *, origin: str = "", cookie: str = "__Host-idp_fedcm", dest: str = "webidentity", **form: str
    ) -> TestResponse:
        """A request of the browser's own, with that one cookie."""
        headers = {"Sec-Fetch-Dest": dest, "Sec-Fetch-Site": "cross-site"} | ({"Origin": origin} if origin else {})
        if value := self.cookie(cookie):
            headers["Cookie"] = f"{cookie}={value}"
        bare = self.association.app.test_client(use_cookies=False)
        return bare.open(path, method="POST" if form else "GET", base_url=LOGIN, headers=headers, data=form or None)

    def account_id(self) -> str:
        return str((self.asks("/fedcm/accounts").json or {})["accounts"][0]["id"])

    def is_asserted(self, client_id: str = "lms", origin: str = LMS, **form: str) -> TestResponse:
        given = {"client_id": client_id, "params": "{}", **form}
        given.setdefault("account_id", self.account_id())
        return self.asks("/fedcm/assertion", origin=origin, **given)
