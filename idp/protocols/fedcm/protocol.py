"""What the browser asks (FedCM, W3C) as requests of the client's own protocol, and what it is told. No HTTP here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from idp.directory import Subject
from idp.errors import BadRequest, IdpError, Refusal
from idp.keys import KeyRing
from idp.protocols.fedcm.settings import FedcmSettings
from idp.sso.client import Client, Clients
from idp.sso.protocol import SignOnRequest
from idp.sso.session import Session
from idp.sso.subject import Subjects

Reader = Callable[[Mapping[str, str], str, str], tuple[SignOnRequest, Refusal | None]]
"""A client's own way to read a request: parameters of the page, client id, the page's origin. Raises BadRequest."""

CONFIG, ACCOUNTS, METADATA = "/fedcm/config.json", "/fedcm/accounts", "/fedcm/client-metadata"
ASSERTION, DISCONNECT, CONTINUE = "/fedcm/assertion", "/fedcm/disconnect", "/fedcm/continue"
WELL_KNOWN = "/.well-known/web-identity"
_LONGEST = 8000


def well_known_of(url: str, login_path: str) -> dict[str, Any]:
    """The web-identity file for the server at `url`: what FedCM wants as soon as there is a client_metadata_endpoint."""
    return {"provider_urls": [url + CONFIG], "accounts_endpoint": url + ACCOUNTS, "login_url": url + login_path}


class FedcmRefused(IdpError):
    """No, as the browser is told it; `code` is OAuth's. The page reads it if it is one of the client's (S111)."""

    def __init__(self, code: str, cause: str, message: str, *, status: int = 403, received: str = "", client_id: str = "") -> None:
        super().__init__(cause, message, status=status, received=received, client_id=client_id)
        self.code = code


@dataclass(frozen=True)
class Asker:
    """A page of a client, known by its origin. It says nothing of who is signed in."""

    client: Client
    origin: str


class FedcmProtocol:
    """The identity provider of the FedCM specification, over the protocols that `readers` has."""

    def __init__(
        self,
        *,
        url: str,
        name: str,
        login_path: str,
        clients: Clients,
        subjects: Subjects,
        keys: KeyRing,
        readers: Mapping[str, Reader],
    ) -> None:
        self._url = url
        self._name = name
        self._login_path = login_path
        self._clients = clients
        self._subjects = subjects
        self._keys = keys
        self._readers = readers

    def well_known(self) -> dict[str, Any]:
        """The file at the registrable domain, which is often another host than ours; both are made here, so that they agree (S114)."""
        return well_known_of(self._url, self._login_path)

    def config(self) -> dict[str, Any]:
        return {
            "accounts_endpoint": self._url + ACCOUNTS,
            "client_metadata_endpoint": self._url + METADATA,
            "id_assertion_endpoint": self._url + ASSERTION,
            "disconnect_endpoint": self._url + DISCONNECT,
            "login_url": self._url + self._login_path,
            "branding": {"name": self._name},
        }

    def accounts(self, session: Session) -> list[dict[str, Any]]:
        """The one account there is, for the browser's eyes; none when the member is gone. Raises Unavailable."""
        subject = self._subjects.current(session.subject_id)
        return [self._account(subject)] if subject else []

    def _account(self, subject: Subject) -> dict[str, Any]:
        first = {name: values[0] for name, values in subject.attributes.items() if values}
        shown = {"name": first.get("full_name", subject.username), "given_name": first.get("first_name"), "email": first.get("email")}
        return {"id": self.account_id(subject.id), **{name: text for name, text in shown.items() if text}}

    def account_id(self, subject_id: str) -> str:
        """The browser's name for the account: it tells no page anything."""
        return self._keys.pairwise("fedcm", subject_id)

    def metadata(self, asker: Asker) -> dict[str, str]:
        """Links that the browser shows."""
        settings: FedcmSettings = asker.client.fedcm
        links = {"privacy_policy_url": settings.privacy_url, "terms_of_service_url": settings.terms_url}
        return {name: url for name, url in links.items() if url}

    def asker(self, client_id: str, origin: str) -> Asker:
        """Who asks; found out before any session is looked at, so that a page of nobody's learns nothing (S108). Raises FedcmRefused."""
        settings = self._settings_of(client_id)
        client = self._clients.get(client_id)
        if client is None or settings is None or origin not in settings.origins:
            message = "This page may not ask for members."
            raise FedcmRefused("unauthorized_client", "fedcm.origin_not_registered", message, received=origin, client_id=client_id[:128])
        return Asker(client, origin)

    def check_account(self, session: Session, account_id: str) -> None:
        """The account that was chosen is the one that is signed in (S109). Raises FedcmRefused."""
        if account_id != self.account_id(session.subject_id):
            raise FedcmRefused("access_denied", "fedcm.account_other", "Somebody else is signed in now.")

    def read(self, asker: Asker, parameters: str) -> tuple[SignOnRequest, Refusal | None]:
        """The page's `params`, a JSON object of texts, as a request of the client's own protocol. Raises FedcmRefused."""
        client = asker.client
        try:
            asked, refusal = self._readers[client.protocol](_texts(parameters), client.id, asker.origin)
        except BadRequest as error:
            told: dict[str, Any] = {"status": error.status, "received": error.received, "client_id": client.id}
            raise FedcmRefused("invalid_request", error.cause, error.message, **told) from None
        return replace(asked, hand_over=True), refusal

    def frame_origins(self, client_id: str) -> tuple[str, ...]:
        """Pages that may hold our frame, which greets (S105); none for a client that may not ask."""
        settings = self._settings_of(client_id)
        return settings.origins if settings else ()

    def greets(self, client_id: str) -> bool:
        settings = self._settings_of(client_id)
        return settings is not None and settings.greet

    def _settings_of(self, client_id: str) -> FedcmSettings | None:
        client = self._clients.get(client_id)
        settings: FedcmSettings | None = client.fedcm if client and client.protocol in self._readers else None
        return settings


def _texts(parameters: str) -> dict[str, str]:
    """Raises FedcmRefused."""
    try:
        given = json.loads(parameters or "{}") if len(parameters) <= _LONGEST else None
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise FedcmRefused("invalid_request", "fedcm.params_unreadable", "params is not an object of texts.", status=400)
    return given
