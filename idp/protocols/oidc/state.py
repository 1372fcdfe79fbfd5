"""Codes and access tokens in the store: what stands in the place of pyop's AuthorizationState and its four stores.

pyop's is read-then-write, so that one code can be exchanged several times at once, and nothing in it expires. Here a code
is a Ticket, taken in one atomic step (S16), and a token dies with its session (S48). Of both only SHA-256 is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyop.access_token import AccessToken

from idp.clock import Now
from idp.protocols.oidc.error import OAuthError
from idp.secret import Secret, digest, new_secret
from idp.sso.session import Sessions
from idp.sso.ticket import Ticket, TicketRefused, Tickets
from idp.store import Store, Stored

TOKEN_LIFE = 600  # seconds (G-S6)
_LONGEST = 200  # characters of an access token


@dataclass(frozen=True)
class Token:
    """A live access token: who may read what of whom, until when (seconds since 1970)."""

    client_id: str
    subject_id: str
    scope: str
    claims: Mapping[str, Any]
    issued: int
    expires: int


class OidcState:
    """The methods that pyop's Provider calls on the paths that we keep, and our own. pyop calling any other fails loudly."""

    stateless = False  # pyop asks for it

    def __init__(self, store: Store, sessions: Sessions, codes: Tickets, *, now: Now) -> None:
        self._store = store
        self._sessions = sessions
        self._codes = codes
        self._now = now

    def create_authorization_code(
        self, authentication_request: Mapping[str, Any], *_: object, extra_id_token_claims: Mapping[str, Any], **__: object
    ) -> str:
        """Called by pyop. `extra_id_token_claims` goes through pyop untouched: it holds the session, and the claims for each place."""
        kept = dict(extra_id_token_claims)
        session = kept.pop("session")
        request = {
            name: authentication_request[name]
            for name in ("redirect_uri", "scope", "nonce", "code_challenge")
            if name in authentication_request
        }
        return self._codes.issue(authentication_request["client_id"], session, request | kept).reveal()

    def redeem_code(self, code: str, client_id: str) -> Ticket:
        """What the code stood for; it is spent, whatever comes next. A replay revokes all that it gave (S17). Raises OAuthError."""
        try:
            return self._codes.redeem(Secret(code), client_id)
        except TicketRefused as refused:
            if refused.family:
                self._revoke_family(refused.family)
            raise OAuthError("invalid_grant", refused.cause, refused.message, client_id=client_id) from None

    def create_access_token(self, ticket: Ticket) -> AccessToken:
        """An opaque token that reads the released claims: its key in the store and a secret. If the code has been replayed
        meanwhile, the token is dead from the start."""
        secret = new_secret()
        record = {
            "secret": digest(secret),
            "session_id": ticket.session.id,
            "family": ticket.family,
            "client_id": ticket.client_id,
            "subject_id": ticket.session.subject_id,
            "scope": " ".join(ticket.data["scope"]),
            "claims": dict(ticket.data["userinfo"]),
            "issued": self._now(),
        }
        self._store.put_new("token", ticket.family, record, expires=self._now() + TOKEN_LIFE)
        return AccessToken(f"{ticket.family}.{secret}", TOKEN_LIFE)

    def _revoke_family(self, family: str) -> None:
        """First something in the token's place, which keeps out one that is just being issued to whoever was quicker."""
        self._store.put("token", family, {"revoked": True}, expires=self._now() + TOKEN_LIFE)
        self._store.delete_where("token", "family", family)

    def find_access_token(self, token: str) -> Token | None:
        """The live token of a live session (S48)."""
        stored = self._stored(token)
        if stored is None or stored.expires is None or self._sessions.get(stored.record["session_id"]) is None:
            return None
        record = stored.record
        return Token(record["client_id"], record["subject_id"], record["scope"], record["claims"], record["issued"], stored.expires)

    def revoke_access_token(self, token: str, client_id: str) -> None:
        """RFC 7009: a token of that client is gone; one of another stays, and nobody is told which it was."""
        stored = self._stored(token)
        if stored is not None and stored.record["client_id"] == client_id:
            self._store.delete("token", stored.key)

    def _stored(self, token: str) -> Stored | None:
        key, _, secret = token.rpartition(".")
        stored = self._store.get("token", key) if key and len(token) < _LONGEST else None
        return stored if stored and Secret(secret).matches(stored.record.get("secret", "")) else None
