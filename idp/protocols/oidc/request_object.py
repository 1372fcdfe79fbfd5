"""Request objects (RFC 9101): an authorization request that its client signed. Unsigned ones are refused, whatever `alg: none` says.

Only what stands inside counts; what stands beside it in the URL was written by nobody in particular (RFC 9101 §6.3). By reference they
are fetched from addresses that the client registered, through the guarded door, and from no others (S10).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from idp.clock import Now
from idp.errors import IdpError
from idp.protocols.oidc.client_key import ClientKeys, Fetch
from idp.protocols.oidc.error import OAuthRefusal
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.jose import SIGNATURES, STRONG, JwtRefused, check_times, peek, verify
from idp.sso.client import Client

_ABOUT_ITSELF = frozenset({"iss", "aud", "exp", "nbf", "iat", "jti", "sub"})
_LONGEST = 3600  # seconds
_MOST_FIELDS = 100


class RequestObjects:
    """What a client's signed request says."""

    def __init__(self, issuer: str, keys: ClientKeys, fetch: Fetch, *, now: Now) -> None:
        self._issuer = issuer
        self._keys = keys
        self._fetch = fetch
        self._now = now

    def read(self, client: Client, token: str) -> dict[str, str]:
        """The parameters, as they would stand in a query. Raises OAuthRefusal."""
        settings = settings_of(client)
        if settings.jwks is None and not settings.jwks_uri:
            raise _not_supported("request", "This application has registered no key for request objects.")
        algorithms: Collection[str] = STRONG if settings.fapi else SIGNATURES
        if settings.request_object_signing_alg:
            algorithms = (settings.request_object_signing_alg,)
        try:
            if peek(token)[0].get("alg") == "none":
                raise _not_supported("request", "Request objects must be signed.")
            claims = verify(token, lambda header: self._keys.find(client, header), algorithms=algorithms).claims
            self._check(client, claims)
        except JwtRefused as refused:
            raise _invalid(str(refused)) from None
        return {name: _text(value) for name, value in claims.items() if name not in _ABOUT_ITSELF and value is not None}

    def fetch(self, client: Client, uri: str) -> str:
        """The request object at a registered address. Raises OAuthRefusal."""
        if uri not in settings_of(client).request_uris:
            raise _not_supported("request_uri", "This request_uri is not registered for the application.")
        try:
            return self._fetch(uri).decode("ascii").strip()
        except (IdpError, UnicodeDecodeError):
            raise OAuthRefusal("invalid_request_uri", "request_uri_unreachable", "The request_uri could not be fetched.") from None

    def _check(self, client: Client, claims: Mapping[str, Any]) -> None:
        """RFC 9101 §5, §6.3. The members that say who made it for whom may be missing, as OpenID Connect Core §6.1 has it; FAPI has not."""
        strict = settings_of(client).fapi
        if len(claims) > _MOST_FIELDS or "request" in claims or "request_uri" in claims:
            raise JwtRefused("it has a request or request_uri of its own, or too many members")
        if claims.get("client_id", client.id) != client.id:
            raise JwtRefused("its client_id is not the one of the request")
        if claims.get("iss", "" if strict else client.id) != client.id:
            raise JwtRefused("its iss is not the client's id")
        audience = claims.get("aud", "" if strict else self._issuer)
        if self._issuer not in (audience if isinstance(audience, list) else [audience]):
            raise JwtRefused(f"its aud is not {self._issuer}")
        if strict or any(name in claims for name in ("exp", "nbf", "iat")):
            check_times({"exp": self._now() + _LONGEST, **claims} if not strict else claims, now=self._now, longest=_LONGEST)


def _text(value: object) -> str:
    """`claims` is an object and `max_age` a number in a request object (OpenID Connect Core §6.1)."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else json.dumps(value)


def _not_supported(name: str, message: str) -> OAuthRefusal:
    return OAuthRefusal(f"{name}_not_supported", f"{name}_not_supported", message)


def _invalid(problem: str) -> OAuthRefusal:
    return OAuthRefusal("invalid_request_object", "request_object", f"The request object is not good: {problem}.")
