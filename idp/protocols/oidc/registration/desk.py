"""Registration over HTTP (RFC 7591, RFC 7592). Off, unless the association turns it on and hands out initial access tokens (S125).

A client that registered itself gets codes and refresh tokens, the basic attributes, and asks each member (`consent = "ask"`): more is
the association's to give. Of its secret and of its registration access token SHA-256 is kept.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from idp.audit import Audit
from idp.clock import Now
from idp.errors import ConfigError, IdpError
from idp.keys import KeyRing
from idp.protocols.oidc.caller import Caller
from idp.protocols.oidc.client_key import Fetch
from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.registration.document import CODE, UNDERSTOOD, Registration, RegistrationRefused, read_registration
from idp.protocols.oidc.settings import OidcServerSettings
from idp.protocols.oidc.signing import SIGNED, algorithms_of
from idp.secret import Secret, digest, new_secret
from idp.sso.client import Client, Clients
from idp.store import Store

_OURS = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


class RegistrationDesk:
    """Registers clients, and lets each of them read, change and remove itself."""

    def __init__(
        self,
        url: str,
        settings: OidcServerSettings,
        *,
        clients: Clients,
        keys: KeyRing,
        store: Store,
        fetch: Fetch,
        audit: Audit,
        now: Now,
        certificates: bool,
    ) -> None:
        """`certificates`: whether a proxy tells us of TLS client certificates."""
        self._url = url
        self._settings = settings
        self._clients = clients
        self._keys = keys
        self._store = store
        self._fetch = fetch
        self._audit = audit
        self._now = now
        self._certificates = certificates

    def register(self, body: str, caller: Caller) -> dict[str, Any]:
        """A new client (RFC 7591 §3). Raises OAuthError."""
        self._check_initial(caller)
        document = _object(body)
        client_id, secret, token = f"dyn-{secrets.token_hex(12)}", new_secret(), new_secret()
        client = self._stored(client_id, document, secret, is_new=True)
        record = {"token": digest(token), "document": _understood(document), "issued": self._now()}
        self._store.put("registration", client_id, record, expires=None)
        self._audit.record("client.registered", client=client_id, redirect_uris=list(settings_of(client).redirect_uris))
        return self._told(client, record, token, secret)

    def read(self, client_id: str, caller: Caller) -> dict[str, Any]:
        """RFC 7592 §2.1. Raises OAuthError."""
        client, record, token = self._own(client_id, caller)
        return self._told(client, record, token)

    def update(self, client_id: str, body: str, caller: Caller) -> dict[str, Any]:
        """RFC 7592 §2.2: the new document takes the place of the old one. Raises OAuthError."""
        client, record, token = self._own(client_id, caller)
        document = _object(body)
        sent = document.get("client_secret")
        if document.get("client_id") != client_id or any(name in document for name in _OURS):
            raise _bad("document", "an update has the client_id, and none of what we set ourselves (RFC 7592 2.2)")
        if sent is not None and not (isinstance(sent, str) and client.accepts(Secret(sent))):
            raise _bad("client_secret", "is not the client's own")
        told = settings_of(client).needs_secret  # otherwise its own was never told, and it would have none to move to
        secret = "" if told else new_secret()
        changed = self._stored(client_id, document, secret, known=client.secrets if told else ())
        record = {**record, "document": _understood(document)}
        self._store.put("registration", client_id, record, expires=None)
        self._audit.record("client.updated", client=client_id, redirect_uris=list(settings_of(changed).redirect_uris))
        return self._told(changed, record, token, secret)

    def remove(self, client_id: str, caller: Caller) -> None:
        """RFC 7592 §2.3: the client is gone, and its tokens open nothing any more. Raises OAuthError."""
        self._own(client_id, caller)
        self._store.delete("registration", client_id)
        self._clients.remove(client_id)
        self._audit.record("client.unregistered", client=client_id)

    def _stored(
        self, client_id: str, document: Mapping[str, Any], secret: str, *, is_new: bool = False, known: tuple[str, ...] = ()
    ) -> Client:
        try:
            registration = read_registration(document)
            self._check_sector(registration)
            self._check_signable(registration)
            self._check_provable(registration)
            table = {
                "name": registration.name[:100] or client_id,
                "url": registration.url,
                "consent": "ask",
                "secret_sha256": list(known) or [digest(secret)],
                "oidc": {**registration.settings, **self._policy(registration)},
            }
            return self._clients.add(client_id, table) if is_new else self._clients.change(client_id, table)
        except RegistrationRefused as refused:
            raise _bad(refused.member, refused.message.partition(": ")[2]) from None
        except ConfigError as error:
            problem = error.message.replace(f"clients.{client_id}.", "").removeprefix("oidc.")
            raise _bad("redirect_uris" if problem.startswith("redirect_uris") else "document", problem[:300]) from None

    def _policy(self, registration: Registration) -> dict[str, Any]:
        """A public client needs PKCE in any case."""
        may_do_without = not self._settings.registration_pkce and not registration.settings.get("public")
        return {"require_pkce": False} if may_do_without else {}

    def _check_sector(self, registration: Registration) -> None:
        """OpenID Connect Core §8.1: the sector's own list has every redirect URI of the client."""
        uri, listed = registration.settings.get("sector_identifier_uri"), None
        if not uri:
            return
        if urlsplit(uri).scheme != "https":
            raise RegistrationRefused("sector_identifier_uri", "must begin with https://")
        try:
            listed = json.loads(self._fetch(uri))
        except (IdpError, ValueError, RecursionError):
            raise RegistrationRefused("sector_identifier_uri", "could not be fetched, or is no JSON") from None
        if not isinstance(listed, list) or not set(registration.settings["redirect_uris"]) <= {
            each for each in listed if isinstance(each, str)
        }:
            raise RegistrationRefused("sector_identifier_uri", "its list lacks a redirect URI of the client")

    def _check_signable(self, registration: Registration) -> None:
        able = algorithms_of(self._keys)
        for member in SIGNED:
            if registration.settings.get(member, "RS256") not in able:
                raise RegistrationRefused(member, f"is none of {', '.join(able)}")

    def _check_provable(self, registration: Registration) -> None:
        """Without a proxy that tells us of certificates, nobody could ever show one."""
        method = str(registration.settings.get("token_endpoint_auth_method", ""))
        if "tls_client_auth" in method and not self._certificates:
            raise RegistrationRefused("token_endpoint_auth_method", f"{method} is not offered here")
        if registration.settings.get("tls_client_certificate_bound_access_tokens") and not self._certificates:
            raise RegistrationRefused("tls_client_certificate_bound_access_tokens", "is not offered here")

    def _check_initial(self, caller: Caller) -> None:
        token = Secret(_bearer(caller))
        if not self._settings.registration or not any([token.matches(each) for each in self._settings.registration_tokens_sha256]):  # noqa: C419
            raise _no_entry()

    def _own(self, client_id: str, caller: Caller) -> tuple[Client, Mapping[str, Any], str]:
        """The client, if the token is its own (RFC 7592 §2). One sentence for every way to fail."""
        token = _bearer(caller)
        stored = self._store.get("registration", client_id) if self._settings.registration else None
        client = self._clients.get(client_id) if stored else None
        if stored is None or client is None or not Secret(token).matches(stored.record["token"]):
            raise _no_entry()
        return client, stored.record, token

    def _told(self, client: Client, record: Mapping[str, Any], token: str, secret: str = "") -> dict[str, Any]:
        """RFC 7591 §3.2.1, RFC 7592 §3. A secret is told when it is made, and never again: we do not have it."""
        settings = settings_of(client)
        method = "none" if settings.public else settings.token_endpoint_auth_method.replace("any_secret", "client_secret_basic")
        told = {
            "grant_types": [CODE],
            "response_types": ["code"],
            "subject_type": settings.subject_type,
            "id_token_signed_response_alg": settings.id_token_signed_response_alg,
            **record["document"],
            "scope": " ".join(settings.scopes),
            "token_endpoint_auth_method": method,
            "client_id": client.id,
            "client_id_issued_at": record["issued"],
            "registration_access_token": token,
            "registration_client_uri": f"{self._url}/oauth/register/{client.id}",
        }
        return told | ({"client_secret": secret, "client_secret_expires_at": 0} if secret and settings.needs_secret else {})


def _object(body: str) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise _bad("document", "a registration is one JSON object")
    return document


def _understood(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name in UNDERSTOOD and value is not None}


def _bearer(caller: Caller) -> str:
    scheme, _, token = caller.authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _no_entry() -> OAuthError:
    message = "The access token does not allow this."
    return OAuthError("invalid_token", "registration_token", message, status=401, scheme="Bearer")


def _bad(member: str, problem: str) -> OAuthError:
    """RFC 7591 §3.2.2."""
    error = "invalid_redirect_uri" if member == "redirect_uris" else "invalid_client_metadata"
    return OAuthError(error, f"registration.{member}", f"{member}: {problem}")
