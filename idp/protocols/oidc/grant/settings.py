"""[clients.ID.oidc.tokens]: which tokens a client gets, and how long they live."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from idp.settings import Duration, Settings

CODE = "authorization_code"
REFRESH = "refresh_token"
SERVICE = "client_credentials"
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
GrantName = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "urn:ietf:params:oauth:grant-type:device_code",
    "urn:ietf:params:oauth:grant-type:token-exchange",
]


def _resource(value: str) -> str:
    """RFC 8707 §2: an absolute URI without a fragment."""
    parts = urlsplit(value)
    if not value.isascii() or any(character <= " " for character in value) or not parts.scheme or "#" in value or len(value) > 500:
        raise ValueError("a resource is an absolute URI without a fragment, at most 500 characters (RFC 8707 2)")
    return value


Resource = Annotated[str, AfterValidator(_resource)]


class TokenPolicy(Settings):
    """[clients.ID.oidc.tokens]: the tokens of one client."""

    access_token: Literal["opaque", "jwt"] = "opaque"  # noqa: S105  a format
    """"jwt" is for resource servers that check tokens by themselves (RFC 9068); an opaque one is asked about at /oauth/introspect."""
    access_token_life: Annotated[Duration, Field(ge=30, le=86400)] = 600
    """How long an access token is good. A JWT cannot be called back from whoever checks it alone."""
    refresh_with_session: bool = True
    """Whether a client of the grant refresh_token gets one without asking for offline_access; it ends with the member's session."""
    offline_survives_logout: bool = True
    """Whether a refresh token of offline_access outlives the member's session. It ends in any case when the login is disabled."""
    refresh_idle: Duration = 14 * 86400
    """A refresh token of offline_access ends when it was not used for so long."""
    refresh_absolute: Duration = 90 * 86400
    """A refresh token of offline_access ends after this long in any case (S24)."""
    rotate: bool = True
    """Whether every refresh gives another refresh token. A client without a secret always gets another."""
    replay_window: Annotated[Duration, Field(le=300)] = 30
    """For so long the refresh token used last gives the same successor again: two tabs, a lost answer. 0: used twice is stolen."""
    resources: tuple[Resource, ...] = ()
    """Resources (RFC 8707) that this client may ask tokens for."""
    introspects: tuple[Resource, ...] = ()
    """Resources that this client is the server of: it may ask about other clients' tokens for them."""
    service_scopes: tuple[str, ...] = ()
    """Scopes that client_credentials may give. None of them ever opens a member's data."""
    exchange_from: tuple[str, ...] = ()
    """Clients whose access tokens this one may exchange for its own (RFC 8693)."""

    @model_validator(mode="after")
    def _ends(self) -> TokenPolicy:
        if self.refresh_idle > self.refresh_absolute:
            raise ValueError("refresh_idle is longer than refresh_absolute")
        return self
