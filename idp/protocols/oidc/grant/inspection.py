"""Introspection (RFC 7662, signed: RFC 9701) and revocation (RFC 7009) of access and refresh tokens."""

from __future__ import annotations

from typing import Any

from idp.clock import Now
from idp.keys import KeyRing
from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.gate import oidc_client, settings_of
from idp.protocols.oidc.grant.access_token import AccessTokens, Exists, Token
from idp.protocols.oidc.grant.refresh_token import Lasting, RefreshTokens
from idp.protocols.oidc.provider import subject_for
from idp.protocols.oidc.signing import Signer
from idp.sso.client import Client, Clients
from idp.sso.session import Sessions


class Inspection:
    """What clients may learn of tokens, and how they take them back."""

    def __init__(
        self,
        issuer: str,
        tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        *,
        clients: Clients,
        sessions: Sessions,
        exists: Exists,
        keys: KeyRing,
        signer: Signer,
        now: Now,
    ) -> None:
        self._issuer = issuer
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens
        self._clients = clients
        self._sessions = sessions
        self._exists = exists
        self._keys = keys
        self._signer = signer
        self._now = now

    def describe(self, value: str, client: Client) -> dict[str, Any]:
        """A client with a secret learns of its own tokens, a resource server of those for its resources; of all others, that they are not
        active (S31, RFC 7662 §2.2). Raises OAuthError."""
        if settings_of(client).public:
            message = "Introspection is for clients with a secret."
            raise OAuthError("invalid_client", "client_authentication", message, status=401, scheme="Basic", client_id=client.id)
        if token := self._tokens.find(value):
            return self._of_access_token(token) if self._may_know(client, token) else {"active": False}
        lasting = self._refresh_tokens.find(value)
        if lasting is None or lasting.client_id != client.id or not self._is_live(lasting):
            return {"active": False}
        return self._of_refresh_token(lasting, client)

    def _is_live(self, lasting: Lasting) -> bool:
        """Its session is there, or, of one that outlives the session, its member (S48, S49). Raises Unavailable."""
        if lasting.session_id:
            return self._sessions.get(lasting.session_id) is not None
        return self._exists(lasting.subject_id)

    def signed(self, described: dict[str, Any], client: Client) -> str:
        """The same as a JWT that can be shown to others (RFC 9701 §5)."""
        claims = {"iss": self._issuer, "aud": client.id, "iat": self._now(), "token_introspection": described}
        return self._signer.for_introspection(client, claims)

    def revoke(self, value: str, client: Client) -> None:
        """The client's own token is gone; of a refresh token the whole family, with the access tokens (RFC 7009 §2.1)."""
        if self._tokens.revoke(value, client.id):
            return
        lasting = self._refresh_tokens.find(value)
        if lasting is not None and lasting.client_id == client.id:
            self._refresh_tokens.drop(lasting.family)

    def _may_know(self, client: Client, token: Token) -> bool:
        return token.access.client_id == client.id or bool(set(token.access.resources) & set(settings_of(client).tokens.introspects))

    def _of_access_token(self, token: Token) -> dict[str, Any]:
        access = token.access
        owner = oidc_client(self._clients, access.client_id)
        if owner is None:  # removed since
            return {"active": False}
        audience = access.resources or (self._issuer,)
        told: dict[str, Any] = {
            "active": True,
            "token_type": "DPoP" if "jkt" in access.confirmation else "Bearer",
            "client_id": owner.id,
            "sub": subject_for(owner, access.subject_id, self._keys) if access.subject_id else owner.id,
            "scope": " ".join(access.scope),
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "iss": self._issuer,
            "iat": token.issued,
            "exp": token.expires,
            "jti": token.key,
        }
        told |= {"act": dict(access.actor)} if access.actor else {}
        return told | ({"cnf": dict(access.confirmation)} if access.confirmation else {})

    def _of_refresh_token(self, lasting: Lasting, client: Client) -> dict[str, Any]:
        return {
            "active": True,
            "client_id": client.id,
            "sub": subject_for(client, lasting.subject_id, self._keys),
            "scope": " ".join(lasting.scope),
            "iss": self._issuer,
            "exp": lasting.ends,
        }
