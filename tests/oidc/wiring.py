"""A small association for the tests of OpenID Connect: real parts over a real SQLite store, two members, and a relying party's words."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flask import Blueprint, Flask, Response
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet
from pydantic import ValidationError
from werkzeug.test import TestResponse

from idp import config
from idp.directory import Subject
from idp.errors import ConfigError
from idp.keys import KeyRing
from idp.protocols.oidc.grant.views import grant_pages
from idp.protocols.oidc.protocol import OidcProtocol
from idp.protocols.oidc.registration.views import registration_pages
from idp.protocols.oidc.settings import OidcServerSettings, OidcSettings
from idp.protocols.oidc.views import oidc_pages
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
from idp.store import Record, Store
from idp.store.sqlite import SqliteStore
from idp.web.browser import Browser
from idp.web.consent import consent_pages
from idp.web.gateway import Gateway
from idp.web.home import home_pages
from idp.web.login import login_pages
from idp.web.logout import logout_pages
from idp.web.outbound import OutboundFailed
from idp.web.page import protect
from idp.web.refusal import install
from idp.web.settings import ServerSettings
from tests.standin import Clock, Events, Letterbox, Members
from tests.visitor import Visitor as Browsing
from tests.visitor import posted as posted

URL = "https://login.assoc.example"
CALLBACK = "https://rp.example.org/cb"
SIGNED_OUT = "https://rp.example.org/bye"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ANNE = Subject(
    "0471",
    "anne",
    {
        "imis_id": ("0471",),
        "username": ("anne",),
        "email": ("anne@assoc.example",),
        "full_name": ("Anne Example",),
        "first_name": ("Anne",),
        "last_name": ("Example",),
        "informal_name": ("Annie",),
        "phone": ("+1 555 0100",),
        "roles": ("Board",),
        "committees": ("Ethics", "Finance"),
        "member_type": ("REG",),
    },
)
BERT = Subject("0472", "bert", {"username": ("bert",), "email": ("bert@assoc.example",)})


def make_client(client_id: str = "rp", *, release: Any = None, secret: str | None = None, consent: str = "", **settings: Any) -> Client:
    """A client whose secret is `<id>-secret`, and which returns to CALLBACK."""
    read = OidcSettings(**{"redirect_uris": (CALLBACK,), **settings})
    secrets = () if read.public else (digest(secret or f"{client_id}-secret"),)
    return Client(client_id, f"The {client_id}", "oidc", read, read_release(release), secrets=secrets, asks_consent=consent == "ask")


def read_table(client_id: str, table: Record) -> Client:
    """A stored client: as the configuration reads it where it is whole, else with the settings of a test."""
    if "oidc" not in table:
        return make_client(client_id, **table)
    try:
        return config.make_client(client_id, config.ClientTable.model_validate(table), table, source="store")
    except ValidationError as error:
        raise ConfigError([f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]) from None


class World:
    """Everything that runs, and short words for what tests do with it."""

    def __init__(
        self,
        folder: Path,
        clients: Sequence[Client],
        *,
        url: str = URL,
        store: Store | None = None,
        server: Mapping[str, Any] | None = None,
        oidc: OidcServerSettings | None = None,
    ) -> None:
        self.url = url
        self.server = ServerSettings(url=url, **(server or {}))
        self.now = Clock()
        self.audit = Events()
        self.members = Members(ANNE, BERT)
        self.letterbox = Letterbox()
        self.web = Web()
        self.store: Store = store or SqliteStore(folder / "store.sqlite", now=self.now)
        self.keys = KeyRing(folder / "keys")
        self.keys.create_if_empty(now=self.now)
        self.clients = Clients(clients, store=self.store, read=read_table, audit=self.audit)
        self.sessions = Sessions(self.store, SessionSettings(), now=self.now)
        self.subjects = Subjects(self.members, self.store, FreshnessSettings(), audit=self.audit, now=self.now)
        self.protocol = OidcProtocol(
            url,
            clients=self.clients,
            keys=self.keys,
            store=self.store,
            sessions=self.sessions,
            codes=Tickets(self.store, self.sessions, kind="code", life=60, now=self.now),
            subjects=self.subjects,
            gone=lambda subject_id: self.logout.end_all_of(subject_id, reason="subject_gone"),
            fetch=self.web.get,
            audit=self.audit,
            now=self.now,
            server=oidc or OidcServerSettings(),
            certificates=bool(self.server.certificate_header),
        )
        self.app = self._app()

    def _app(self) -> Flask:
        server = self.server
        shared: dict[str, Any] = {"store": self.store, "audit": self.audit, "now": self.now}
        protocols: dict[str, ClientProtocol] = {"oidc": self.protocol}
        self.logout = Logout(sessions=self.sessions, protocols=protocols, messenger=self.letterbox, **shared)
        parts: dict[str, Any] = {"sessions": self.sessions, "subjects": self.subjects, "logout": self.logout}
        signon = SignOn(clients=self.clients, protocols=protocols, **parts, **shared)
        browser = Browser(self.sessions, secure=server.secure)
        gateway = Gateway(server, browser=browser, signon=signon, logout=self.logout, clients=self.clients, audit=self.audit)
        desk = LoginDesk(LoginSettings(), directory=self.members, **parts, **shared)
        app = Flask("idp.web", static_url_path="/static")
        app.jinja_env.globals["server"] = server
        install(app, self.audit)
        pages: tuple[Blueprint, ...] = (
            home_pages(gateway),
            login_pages(gateway, desk, LoginSettings()),
            logout_pages(gateway),
            oidc_pages(gateway, self.protocol),
        )
        pages = *pages, grant_pages(gateway, self.protocol), consent_pages(gateway), registration_pages(gateway, self.protocol)
        for each in pages:
            app.register_blueprint(each)

        @app.after_request
        def finish(response: Response) -> Response:
            browser.apply(response)
            return protect(response, secure=server.secure)

        return app

    def browser(self) -> Visitor:
        return Visitor(self)

    def signed_in(self, username: str = "anne") -> Visitor:
        """A browser in which that member has signed in."""
        visitor = Visitor(self)
        visitor.sign_in("/login", username)
        return visitor

    def machine(self) -> FlaskClient:
        """A server that calls; it keeps no cookies."""
        return self.app.test_client(use_cookies=False)

    def exchange(self, code: str, *, client: str = "rp", secret: str | None = None, **fields: str | None) -> TestResponse:
        """The token request, with the secret in the header; None leaves a field out."""
        own = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        form = {name: value for name, value in {**own, **fields}.items() if value is not None}
        return self.machine().post("/oauth/token", base_url=self.url, data=form, auth=(client, secret or f"{client}-secret"))

    def userinfo(self, access_token: str) -> TestResponse:
        return self.machine().get("/oauth/userinfo", base_url=self.url, headers={"Authorization": f"Bearer {access_token}"})

    def verified(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of a JWT of ours, verified by a library that is not ours, with the keys that we publish."""
        keys = KeySet.import_key_set(self.machine().get("/oauth/jwks", base_url=self.url).get_json())
        decoded = jwt.decode(token, keys, algorithms=["RS256"])
        return dict(decoded.header), dict(decoded.claims)


class Web:
    """What lies at vendors' addresses; `asked` is every address that our server fetched."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []

    def get(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.pages:
            raise OutboundFailed("outbound.status", "The other server said no.", received=url)
        return self.pages[url]


class Visitor(Browsing):
    """A browser that a relying party sends here."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.world = world

    def ask(self, **changes: str | None) -> TestResponse:
        """An authorization request of `rp`; None leaves a parameter out."""
        return self.get(f"/oauth/authorize?{urlencode(asked(**changes))}")

    def code(self, **changes: str | None) -> str:
        response = self.ask(**changes)
        told = answer(response)
        assert "code" in told, (response.status_code, told or response.text)
        return told["code"]

    def tokens(self, *, client: str = "rp", **changes: str | None) -> dict[str, Any]:
        response = self.world.exchange(self.code(client_id=client, **changes), client=client)
        assert response.status_code == 200, response.text
        tokens: dict[str, Any] = response.get_json()
        return tokens


def asked(**changes: str | None) -> dict[str, str]:
    own = {
        "response_type": "code",
        "client_id": "rp",
        "redirect_uri": CALLBACK,
        "scope": "openid profile email",
        "state": "a state",
        "nonce": "a nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    }
    return {name: value for name, value in {**own, **changes}.items() if value is not None}


def answer(response: TestResponse) -> dict[str, str]:
    """What the redirect tells the client."""
    return {name: values[0] for name, values in parse_qs(urlsplit(response.location or "").query).items()}


def unsigned(token: str, *, header: Mapping[str, Any], **claims: Any) -> str:
    """The JWT with another header and changed claims, without a signature."""
    own = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return ".".join(packed(part) for part in (header, {**own, **claims})) + "."


def packed(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
