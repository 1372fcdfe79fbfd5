"""The token answer (RFC 6749 §5.1, Core §3.1.3.3): an access token of one family, and what goes with it."""

from __future__ import annotations

from typing import Any

from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.grant.access_token import Issued
from idp.protocols.oidc.grant.request import TokenRequest
from idp.protocols.oidc.grant.settings import Resource


def token_answer(issued: Issued, scope: tuple[str, ...], **more: str) -> dict[str, Any]:
    """What is empty of `more` is left out."""
    told = {"access_token": issued.value, "token_type": issued.type, "expires_in": issued.life, "scope": " ".join(scope)}
    return {**told, **{name: value for name, value in more.items() if value}}


def narrowed_scope(request: TokenRequest, granted: tuple[str, ...]) -> tuple[str, ...]:
    """What this call asks of what was granted, all of it if it does not say; never more (S25, RFC 6749 §6). Raises OAuthError."""
    asked = tuple(dict.fromkeys(request.form.get("scope").split()))
    if set(asked) - set(granted):
        raise request.refusal("invalid_scope", "scope_widened", "More scope is asked for than was granted.")
    return asked or granted


def still_allowed(request: TokenRequest, granted: tuple[str, ...]) -> tuple[str, ...]:
    """What was granted, less what was taken from the client since (S25). Raises OAuthError when that was all."""
    allowed = settings_of(request.client).allowed_scopes
    left = tuple(scope for scope in granted if scope in allowed)
    if granted and not left:
        raise request.refusal("invalid_scope", "scope_taken", "The application may not have any more what was granted.")
    return left


def narrowed_resources(request: TokenRequest, granted: tuple[Resource, ...]) -> tuple[Resource, ...]:
    """RFC 8707 §2.2: one or some of the resources that were granted. Raises OAuthError."""
    asked = tuple(dict.fromkeys(request.form.every("resource")))
    if set(asked) - set(granted):
        raise request.refusal("invalid_target", "resource_not_granted", "A token is asked for a resource that was not granted.")
    return asked or granted
