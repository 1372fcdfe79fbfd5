"""The token endpoint (RFC 6749 §3.2): who asks, whether they may use that grant (S26), and the grant's own file does the rest.

Beside pyop, whose dispatch knows two grants and whose answer has no room for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from idp.protocols.oidc.caller import Caller
from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.grant.request import GrantType, TokenRequest
from idp.protocols.oidc.parameter import Parameters, read_parameters
from idp.sso.client import Client

Authenticate = Callable[[Parameters, Caller], Client]
"""The client that has proven itself. Raises OAuthError."""
Check = Callable[[Client], None]
"""That what the client will get can be made at all. Raises IdpError."""
Confirm = Callable[[Client, Caller], Mapping[str, str]]
"""The key that this call proves to hold, as a `cnf` claim; empty for bearer tokens. Raises OAuthError."""


class TokenEndpoint:
    """Dispatches by `grant_type`."""

    def __init__(self, authenticate: Authenticate, grants: Mapping[str, GrantType], *, check: Check, confirm: Confirm) -> None:
        self._authenticate = authenticate
        self._check = check
        self._grants = grants
        self._confirm = confirm

    def answer(self, body: str, caller: Caller) -> dict[str, Any]:
        """The token answer. Raises OAuthError."""
        form = read_parameters(body)
        client = self._authenticate(form, caller)
        grant = self._grant(client, form)
        self._check(client)
        return grant(TokenRequest(client, form, self._confirm(client, caller)))

    def _grant(self, client: Client, form: Parameters) -> GrantType:
        name = form.get("grant_type")
        if not name:
            raise OAuthError("invalid_request", "grant_type_missing", "The parameter grant_type is missing.", client_id=client.id)
        if name not in self._grants:
            message = f"There is no such grant_type here; there are {', '.join(self._grants)}."
            raise OAuthError("unsupported_grant_type", "grant_type", message, client_id=client.id)
        if name not in settings_of(client).grant_types:
            message = f"This application may not use the grant_type {name}."
            raise OAuthError("unauthorized_client", "grant_type_not_granted", message, client_id=client.id)
        return self._grants[name]
