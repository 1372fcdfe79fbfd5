"""TokenRequest: one call of the token endpoint by a client that has proven itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.parameter import Parameters
from idp.sso.client import Client


@dataclass(frozen=True)
class TokenRequest:
    """`confirmation` is the key that the tokens are to be bound to (RFC 7800 `cnf`); empty for bearer tokens."""

    client: Client
    form: Parameters
    confirmation: Mapping[str, str] = field(default_factory=dict)

    def needed(self, name: str) -> str:
        """The parameter's value. Raises OAuthError when it is missing."""
        value = self.form.get(name)
        if not value:
            raise OAuthError("invalid_request", f"{name}_missing", f"The parameter {name} is missing.", client_id=self.client.id)
        return value

    def refusal(self, error: str, cause: str, message: str) -> OAuthError:
        """What the client is told."""
        return OAuthError(error, cause, message, client_id=self.client.id)


GrantType = Callable[[TokenRequest], dict[str, Any]]
"""One grant: the token answer as JSON. Raises OAuthError."""
