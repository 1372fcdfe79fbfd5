"""What a bearer reads here: userinfo (Core §5.3), and the member's data behind `/oauth/me`.

`/oauth/me` gives a vendor's server the data of the token's member, and of nobody else, without the member's password: each scope of
the client's `member_data` opens the attributes that stand there, such as the columns of an IQA. They are read anew each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from idp.clock import Now
from idp.keys import KeyRing
from idp.protocols.oidc.caller import Caller
from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.gate import oidc_client, settings_of
from idp.protocols.oidc.grant.access_token import AccessTokens, Token
from idp.protocols.oidc.grant.login import session_of_access
from idp.protocols.oidc.grant.standing import Standing
from idp.protocols.oidc.parameter import read_parameters
from idp.protocols.oidc.provider import subject_for
from idp.sso.attribute import json_value
from idp.sso.client import Client, Clients
from idp.sso.release import read_release

CheckHolder = Callable[[Client, Mapping[str, str], Caller, str], None]
"""That the caller holds the key that the token is bound to. Raises OAuthError."""


class Resource:
    """Reads for bearers."""

    def __init__(
        self,
        issuer: str,
        tokens: AccessTokens,
        *,
        clients: Clients,
        keys: KeyRing,
        standing: Standing,
        check_holder: CheckHolder,
        now: Now,
    ) -> None:
        self._issuer = issuer
        self._tokens = tokens
        self._clients = clients
        self._keys = keys
        self._standing = standing
        self._check_holder = check_holder
        self._now = now

    def userinfo(self, caller: Caller, body: str) -> tuple[Client, dict[str, Any]]:
        """The claims that were kept with the token, and whose it is. Raises OAuthError."""
        token, client = self._opened(caller, body)
        return client, {**token.access.claims, "sub": subject_for(client, token.access.subject_id, self._keys)}

    def me(self, caller: Caller, body: str) -> dict[str, Any]:
        """The member's data as they are now, as far as the token's scopes open them. Raises OAuthError, DirectoryUnavailable."""
        token, client = self._opened(caller, body)
        granted = settings_of(client).member_data
        tables = [granted[scope] for scope in token.access.scope if scope in granted]
        if not tables:
            raise _forbidden("scope_insufficient", "No scope of this access token opens member data.")
        subject = self._subject(token, client)
        data: dict[str, Any] = {}
        for table in tables:
            release = read_release(table)
            data |= {name: json_value(release.kind(name), values) for name, values in release.apply(subject, self._now).items()}
        return {**data, "sub": subject_for(client, token.access.subject_id, self._keys)}

    def _subject(self, token: Token, client: Client) -> Any:
        try:
            return self._standing.grant(client, session_of_access(token.access)).subject
        except OAuthError as error:
            raise OAuthError("invalid_token", error.cause, error.message, status=401, scheme="Bearer", client_id=client.id) from None

    def _opened(self, caller: Caller, body: str) -> tuple[Token, Client]:
        """A live token for us, of a member. Raises OAuthError."""
        value = bearer(caller.authorization, body)
        token = self._tokens.find(value)
        client = oidc_client(self._clients, token.access.client_id) if token else None
        if token is None or client is None or (token.access.resources and self._issuer not in token.access.resources):
            message = "The access token is not known or not for us, or its time or its session is over."
            raise OAuthError("invalid_token", "token_unknown", message, status=401, scheme="Bearer")
        self._check_holder(client, token.access.confirmation, caller, value)
        if not token.access.subject_id:
            raise _forbidden("token_without_member", "No member stands behind this access token: it reads nothing about one.")
        return token, client


def bearer(authorization: str, body: str) -> str:
    """The token of the header, or of a form body (RFC 6750 §2.1, §2.2); never of the query (§5.3). Raises OAuthError."""
    scheme, _, token = authorization.partition(" ")
    in_body = read_parameters(body).get("access_token")
    if authorization and in_body:
        raise OAuthError("invalid_request", "token_twice", "The access token came in the header and in the body.", scheme="Bearer")
    if scheme.lower() in ("bearer", "dpop") and token.strip():
        return token.strip()
    if in_body and not authorization:
        return in_body
    raise OAuthError("", "token_missing", "An access token is needed: Authorization: Bearer ...", status=401, scheme="Bearer")


def _forbidden(cause: str, message: str) -> OAuthError:
    """RFC 6750 §3.1."""
    return OAuthError("insufficient_scope", cause, message, status=403, scheme="Bearer")
