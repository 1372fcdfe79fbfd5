"""A small association for the tests of token, cookie and JSONP vendors: real parts over a real SQLite store, a directory of two members."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask, Response
from werkzeug.test import TestResponse

from idp.directory import Subject
from idp.keys import KeyRing
from idp.protocols.cookie.protocol import CookieProtocol
from idp.protocols.cookie.settings import CookieSettings
from idp.protocols.cookie.views import cookie_pages
from idp.protocols.jsonp.protocol import JsonpProtocol
from idp.protocols.jsonp.settings import JsonpSettings
from idp.protocols.jsonp.views import jsonp_pages
from idp.protocols.token.protocol import TokenProtocol
from idp.protocols.token.settings import TokenSettings
from idp.protocols.token.views import token_pages
from idp.secret import digest
from idp.sso.client import Client, Clients
from idp.sso.login import LoginDesk, LoginSettings
from idp.sso.logout import Logout
from idp.sso.protocol import ClientProtocol
from idp.sso.release import read_release
from idp.sso.session import Sessions, SessionSettings
from idp.sso.signon import SignOn
from idp.sso.subject import FreshnessSettings, Subjects
from idp.sso.ticket import Tickets
from idp.store.sqlite import SqliteStore
from idp.web.admission import Admission, ServiceSettings
from idp.web.ats.views import ats_pages
from idp.web.browser import Browser
from idp.web.gateway import Gateway
from idp.web.home import home_pages
from idp.web.login import login_pages
from idp.web.logout import logout_pages
from idp.web.page import protect
from idp.web.profile_desk import ProfileDesk
from idp.web.refusal import install
from idp.web.service import service_pages
from idp.web.settings import ServerSettings
from tests.standin import Clock, Events, Letterbox, Members
from tests.visitor import Visitor
from tests.visitor import form_token as form_token
from tests.visitor import posted as posted

URL = "https://login.assoc.example"
ANNE = Subject(
    "4711",
    "anne",
    {
        "imis_id": ("4711",),
        "username": ("anne",),
        "email": ("anne@assoc.example",),
        "full_name": ("Anne Example",),
        "first_name": ("Anne",),
        "last_name": ("Example",),
        "roles": ("Board",),
        "committees": ("Ethics", "Finance"),
        "member_type": ("REG",),
    },
)
BERT = Subject("4712", "bert", {"username": ("bert",), "email": ("bert@assoc.example",)})
SETTINGS = {"token": TokenSettings, "cookie": CookieSettings, "jsonp": JsonpSettings}


def make_client(client_id: str, protocol: str, *, release: Any = None, url: str = "", source: str = "file", **settings: Any) -> Client:
    """A client whose secret is `<id>-secret`."""
    if protocol == "jsonp":
        settings.setdefault("expires", date(2027, 12, 31))
    return Client(
        client_id,
        f"The {client_id}",
        protocol,
        SETTINGS[protocol](**settings),
        read_release(release),
        secrets=(digest(f"{client_id}-secret"),),
        url=url,
        source=source,
    )


class World:
    """Everything that runs, and short words for what tests do with it."""

    def __init__(
        self, folder: Path, clients: Sequence[Client], *, url: str = URL, service: ServiceSettings | None = None, store: Any = None
    ) -> None:
        self.url = url
        self.now = Clock()
        self.audit = Events()
        self.members = Members(ANNE, BERT)
        self.letterbox = Letterbox()
        self.store = store or SqliteStore(folder / "store.sqlite", now=self.now)
        self.keys = KeyRing(folder / "keys")
        self.keys.create_if_empty(now=self.now)
        self.clients = Clients(clients, store=self.store, read=lambda client_id, table: make_client(client_id, **table), audit=self.audit)
        self.sessions = Sessions(self.store, SessionSettings(), now=self.now)
        self.tickets = Tickets(self.store, self.sessions, kind="ticket", life=30, now=self.now)
        self.app = self._app(service or ServiceSettings())

    def _app(self, service: ServiceSettings) -> Flask:
        server = ServerSettings(url=self.url, trusted_proxies=("127.0.0.1",))
        shared: dict[str, Any] = {"store": self.store, "audit": self.audit, "now": self.now}
        subjects = Subjects(self.members, self.store, FreshnessSettings(), audit=self.audit, now=self.now)
        protocols: dict[str, ClientProtocol] = {}
        self.logout = Logout(sessions=self.sessions, protocols=protocols, messenger=self.letterbox, **shared)
        parts: dict[str, Any] = {"url": self.url, "clients": self.clients, "keys": self.keys, "tickets": self.tickets, "now": self.now}
        token, cookie, jsonp = TokenProtocol(**parts), CookieProtocol(**parts), JsonpProtocol(**parts)
        protocols |= {"token": token, "cookie": cookie, "jsonp": jsonp}
        signon = SignOn(clients=self.clients, sessions=self.sessions, subjects=subjects, protocols=protocols, logout=self.logout, **shared)
        browser = Browser(self.sessions, secure=server.secure)
        gateway = Gateway(server, browser=browser, signon=signon, logout=self.logout, clients=self.clients, audit=self.audit)
        self.desk = ProfileDesk(tickets=self.tickets, sessions=self.sessions, subjects=subjects, logout=self.logout, **shared)
        desk = LoginDesk(LoginSettings(), directory=self.members, sessions=self.sessions, subjects=subjects, logout=self.logout, **shared)
        admission = Admission(gateway, service, store=self.store, now=self.now)
        app = Flask("idp.web", static_url_path="/static")
        app.jinja_env.globals["server"] = server
        install(app, self.audit)
        for pages in (
            home_pages(gateway),
            login_pages(gateway, desk, LoginSettings()),
            logout_pages(gateway),
            token_pages(gateway, token),
            cookie_pages(gateway, cookie),
            jsonp_pages(gateway, jsonp),
            service_pages(gateway, admission, self.desk),
            ats_pages(gateway, admission, self.desk, {"token": token, "cookie": cookie, "jsonp": jsonp}),
        ):
            app.register_blueprint(pages)

        @app.after_request
        def finish(response: Response) -> Response:
            browser.apply(response)
            return protect(response, secure=server.secure)

        return app

    def browser(self) -> Visitor:
        return Visitor(self)

    def signed_in(self) -> Visitor:
        """A browser in which Anne has signed in."""
        visitor = Visitor(self)
        visitor.sign_in()
        return visitor

    def redeem(
        self,
        token: str,
        client_id: str,
        *,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        query: str = "",
        **fields: str,
    ) -> TestResponse:
        """A vendor's server calls; it keeps no cookies."""
        auth = (client_id, f"{client_id}-secret" if secret is None else secret)
        body: dict[str, Any] = {"json": json} if json is not None else {"data": {"token": token, **fields}}
        server = self.app.test_client(use_cookies=False)
        return server.post(f"/service/redeem{query}", base_url=self.url, auth=auth, headers=headers, **body)


def query_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
