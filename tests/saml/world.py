"""An association with service providers: real parts over a real store, and a browser to walk through them."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask, Response
from lxml import etree
from werkzeug.test import TestResponse

from idp.keys import KeyRing
from idp.protocols.saml.algorithm import PublicKey
from idp.protocols.saml.document import SAML, Element, parse, qualified, schema
from idp.protocols.saml.protocol import SamlProtocol
from idp.protocols.saml.query import read_query, verify_query
from idp.protocols.saml.settings import SamlServerSettings, SamlSettings
from idp.protocols.saml.signature import verify_enveloped
from idp.protocols.saml.source.federation import Federations
from idp.protocols.saml.views import saml_pages
from idp.sso.client import Client, Clients
from idp.sso.login import LoginDesk, LoginSettings
from idp.sso.logout import Logout
from idp.sso.protocol import ClientProtocol
from idp.sso.release import read_release
from idp.sso.session import Sessions, SessionSettings
from idp.sso.signon import SignOn
from idp.sso.subject import FreshnessSettings, Subjects
from idp.store import Record
from idp.store.sqlite import SqliteStore
from idp.web.browser import Browser
from idp.web.gateway import Gateway
from idp.web.home import home_pages
from idp.web.login import login_pages
from idp.web.logout import logout_pages
from idp.web.page import protect
from idp.web.refusal import install
from idp.web.settings import ServerSettings
from tests.simple.wiring import ANNE, BERT
from tests.standin import Clock, Events, Letterbox, Members
from tests.visitor import Visitor, posted

from .wiring import IDP, authn_request, key_of, logout_request, logout_response, metadata, redirect_query


def saml_client(client_id: str = "lms", *, release: Any = None, source: str = "file", **settings: Any) -> Client:
    """A service provider; by default the one of `wiring.metadata`."""
    if not {"metadata", "metadata_xml", "acs"} & set(settings):
        settings["metadata_xml"] = metadata()
    return Client(client_id, f"The {client_id}", "saml", SamlSettings.model_validate(settings), read_release(release), source=source)


def _read_client(client_id: str, table: Record) -> Client:
    return saml_client(client_id, source="store", **table)


class World:
    """Everything that runs."""

    def __init__(
        self, folder: Path, clients: Sequence[Client], settings: SamlServerSettings, *, federations: Federations | None = None
    ) -> None:
        self.url = IDP
        self.now = Clock()
        self.audit = Events()
        self.members = Members(ANNE, BERT)
        self.store = SqliteStore(folder / "store.sqlite", now=self.now)
        self.keys = KeyRing(folder / "keys", use="saml")
        self.keys.create_if_empty(now=self.now)
        elsewhere = {"elsewhere": federations.client} if federations else {}
        self.clients = Clients(clients, store=self.store, read=_read_client, audit=self.audit, **elsewhere)
        self.sessions = Sessions(self.store, SessionSettings(), now=self.now)
        self.saml = SamlProtocol(
            settings,
            url=self.url,
            clients=self.clients,
            sessions=self.sessions,
            keys=self.keys,
            pairwise=self.keys.pairwise,
            store=self.store,
            audit=self.audit,
            now=self.now,
            federations=federations,
            find_subject=lambda subject_id, max_age: self.subjects.current(subject_id, max_age=max_age),
        )
        self.letters = Letterbox()
        self.app = self._app()

    @property
    def public_key(self) -> PublicKey:
        return self.keys.current.private.public_key()

    def _app(self) -> Flask:
        server = ServerSettings(url=self.url)
        shared: dict[str, Any] = {"store": self.store, "audit": self.audit, "now": self.now}
        protocols: dict[str, ClientProtocol] = {"saml": self.saml}
        self.subjects = subjects = Subjects(self.members, self.store, FreshnessSettings(), audit=self.audit, now=self.now)
        logout = Logout(sessions=self.sessions, protocols=protocols, messenger=self.letters, **shared)
        signon = SignOn(clients=self.clients, sessions=self.sessions, subjects=subjects, protocols=protocols, logout=logout, **shared)
        browser = Browser(self.sessions, secure=server.secure)
        gateway = Gateway(server, browser=browser, signon=signon, logout=logout, clients=self.clients, audit=self.audit)
        desk = LoginDesk(LoginSettings(), directory=self.members, sessions=self.sessions, subjects=subjects, logout=logout, **shared)
        app = Flask("idp.web", static_url_path="/static")
        app.jinja_env.globals["server"] = server
        install(app, self.audit)
        for pages in (
            home_pages(gateway),
            login_pages(gateway, desk, LoginSettings()),
            logout_pages(gateway),
            saml_pages(gateway, self.saml, desk),
        ):
            app.register_blueprint(pages)

        @app.after_request
        def finish(response: Response) -> Response:
            browser.apply(response)
            return protect(response, secure=server.secure)

        return app

    def visitor(self) -> Visitor:
        return Visitor(self)

    def signed_in(self) -> Visitor:
        visitor = self.visitor()
        visitor.sign_in()
        return visitor


class Told:
    """What a service provider reads in an answer, after it has verified it as it should."""

    def __init__(self, world: World, response: TestResponse) -> None:
        self.acs, fields = posted(response)
        self.relay_state = fields.get("RelayState", "")
        self.root = parse(base64.b64decode(fields["SAMLResponse"]))
        schema("protocol").check(self.root)
        assertion = self.root.find(qualified(SAML, "Assertion"))
        signed = self.root if assertion is None else parse(_octets(assertion))
        self.assertion = verify_enveloped(signed, [world.public_key])

    @property
    def statuses(self) -> list[str]:
        return [str(each.get("Value")).rpartition(":")[2] for each in self.root.iter("{urn:oasis:names:tc:SAML:2.0:protocol}StatusCode")]

    @property
    def message(self) -> str:
        return str(self.root.findtext(".//{urn:oasis:names:tc:SAML:2.0:protocol}StatusMessage"))

    @property
    def name_id(self) -> Element:
        return self._one("NameID")

    @property
    def session_index(self) -> str:
        return str(self._one("AuthnStatement").get("SessionIndex"))

    @property
    def context(self) -> str:
        return str(self._one("AuthnContextClassRef").text).rpartition(":")[2]

    @property
    def attributes(self) -> dict[str, list[str]]:
        found = self.assertion.iter(qualified(SAML, "Attribute"))
        return {str(each.get("Name")): [str(value.text) for value in each] for each in found}

    def logout_inner(self, *, index: bool = True) -> str:
        """NameID and SessionIndex for a LogoutRequest."""
        name = self.name_id
        text = f'<saml:NameID Format="{name.get("Format")}">{name.text}</saml:NameID>'
        return text + (f"<samlp:SessionIndex>{self.session_index}</samlp:SessionIndex>" if index else "")

    def _one(self, name: str) -> Element:
        found = list(self.assertion.iter(qualified(SAML, name)))
        assert len(found) == 1, name
        return found[0]


def _octets(element: Element) -> bytes:
    octets: bytes = etree.tostring(element, encoding="utf-8", with_tail=False, xml_declaration=False)
    return octets


class Provider:
    """A service provider's half of the conversation, in one visitor's browser."""

    def __init__(self, world: World, visitor: Visitor, *, entity_id: str = "https://lms.example/metadata", key: str = "sp") -> None:
        self.world, self.visitor, self.entity_id, self.key = world, visitor, entity_id, key
        self._number = 0

    def ask(self, inner: str = "", *, relay_state: str = "", **attributes: str) -> TestResponse:
        """An AuthnRequest by Redirect; follows our own redirects, fills in the sign-in page when it comes."""
        query = redirect_query(self._request(inner, **attributes), relay_state=relay_state, key=key_of(self.key))
        return self.follow(self.visitor.get(f"/saml/sso?{query.decode()}"))

    def follow(self, response: TestResponse) -> TestResponse:
        while response.status_code in (302, 303):
            location = response.location
            assert location.startswith(IDP), location
            response = self.visitor.get(location)
            if location.startswith(f"{IDP}/login") and response.status_code == 200:
                response = self.visitor.sign_in(location)
        return response

    def sign_on(self, inner: str = "", **attributes: str) -> Told:
        """An AuthnRequest and what comes of it."""
        return Told(self.world, self.ask(inner, **attributes))

    def _request(self, inner: str, **attributes: str) -> Element:
        return authn_request(inner, identifier=self.next_id(), issuer=self.entity_id, issued=self.world.now(), **attributes)

    def log_out(self, inner: str, *, relay_state: str = "", key: str = "", **attributes: str) -> TestResponse:
        """A LogoutRequest by Redirect."""
        root = logout_request(inner, identifier=self.next_id(), issuer=self.entity_id, issued=self.world.now(), **attributes)
        query = redirect_query(root, relay_state=relay_state, key=key_of(key or self.key))
        return self.visitor.get(f"/saml/slo?{query.decode()}")

    def reply(self, in_response_to: str, code: str = "Success") -> TestResponse:
        """A LogoutResponse by Redirect."""
        root = logout_response(in_response_to, code, identifier=self.next_id(), issuer=self.entity_id, issued=self.world.now())
        query = redirect_query(root, kind="SAMLResponse", key=key_of(self.key))
        return self.visitor.get(f"/saml/slo?{query.decode()}")

    def next_id(self) -> str:
        self._number += 1
        return f"_{re.sub('[^a-z]', '', self.entity_id)}{self._number}"


def message_at(world: World, url: str) -> tuple[str, Element, Mapping[str, str]]:
    """Address, message and parameters of a redirect of ours to a service provider, its signature verified."""
    parts = urlsplit(url)
    query = read_query(parts.query.encode())
    verify_query(query, [world.public_key])
    root = parse(zlib.decompress(base64.b64decode(query.message), -15))
    schema("protocol").check(root)
    return f"{parts.scheme}://{parts.netloc}{parts.path}", root, {name: values[0] for name, values in parse_qs(parts.query).items()}
