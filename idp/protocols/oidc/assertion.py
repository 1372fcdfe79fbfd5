"""Client assertions (RFC 7523): private_key_jwt and client_secret_jwt (OpenID Connect Core §9)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from joserfc.jwk import Key, OctKey

from idp.clock import Now
from idp.protocols.oidc.client_key import ClientKeys
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.jose import SIGNATURES, SKEW, STRONG, JwtRefused, check_times, peek, verify
from idp.secret import digest
from idp.sso.client import Client
from idp.store import Store

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST = 3600  # seconds; nothing has to be remembered for longer (RFC 7523 §3, item 4)
_LONGEST_FAPI = 60  # seconds (S28): what was stolen is of no use a minute later


class Assertions:
    """Which assertions prove a client."""

    def __init__(self, issuer: str, store: Store, keys: ClientKeys, *, now: Now) -> None:
        self.keys = keys
        self._issuer = issuer
        self._store = store
        self._now = now

    def problem(self, client: Client, assertion: str) -> str:
        """Why it is no proof of this client; empty when it is one. It is one once (S28)."""
        settings = settings_of(client)
        algorithms: Collection[str] = STRONG if settings.fapi else SIGNATURES
        by_secret = settings.token_endpoint_auth_method == "client_secret_jwt"  # noqa: S105
        if settings.token_endpoint_auth_signing_alg:
            algorithms = (settings.token_endpoint_auth_signing_alg,)
        try:
            if by_secret:
                claims = verify(assertion, lambda _: _secrets_of(client), algorithms=("HS256",)).claims
            else:
                claims = verify(assertion, lambda header: self.keys.find(client, header), algorithms=algorithms).claims
            self._check(client, claims)
        except JwtRefused as refused:
            return str(refused)
        return ""

    def _check(self, client: Client, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != client.id or claims.get("sub") != client.id:
            raise JwtRefused("its iss and sub are not the client's id")
        if claims.get("aud") not in self._audiences(client):
            # a list is refused, too: whoever is another member of it could use the assertion here (V46, FAPI 2.0 §5.3.2.1)
            raise JwtRefused(f"its aud is not the one text {self._issuer}")
        longest = _LONGEST_FAPI if settings_of(client).fapi else _LONGEST
        expires = check_times(claims, now=self._now, longest=longest)
        name = claims.get("jti")
        if not isinstance(name, str) or not 0 < len(name) <= 256:
            raise JwtRefused("it has no jti of at most 256 characters")
        if not self._store.put_new("replay", digest(f"assertion\n{client.id}\n{name}"), {}, expires=expires + SKEW + 1):
            raise JwtRefused("it was used before")

    def _audiences(self, client: Client) -> tuple[str, ...]:
        """The issuer alone under FAPI 2.0; the token endpoint too for others (RFC 7523 §3, Core §9), as many libraries send that."""
        return (self._issuer,) if settings_of(client).fapi else (self._issuer, f"{self._issuer}/oauth/token")


def issuer_of(assertion: str) -> str:
    """Who the assertion says it is from; nothing is proven by that."""
    try:
        claims = peek(assertion)[1]
    except JwtRefused:
        return ""
    return claims["iss"] if isinstance(claims.get("iss"), str) else ""


def _secrets_of(client: Client) -> Sequence[Key]:
    return [OctKey.import_key(secret.reveal()) for secret in client.shared]
