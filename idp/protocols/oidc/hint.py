"""id_token_hint: an ID token of ours that comes back. Its signature is always verified, its expiry never matters (S43, V42).

pyop would take one with `alg: none`, or fail on a good one; so it never sees a hint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc.jwk import Key

from idp.clock import Now
from idp.keys import KeyRing
from idp.keys.session_name import SessionNames
from idp.protocols.oidc.jose import JwtRefused, read_key, verify

_SKEW = 60  # seconds that `iat` may lie ahead (S32)
_ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


@dataclass(frozen=True)
class Hint:
    """Who was told of whom, and in which session; `subject` is the member as that client knows them."""

    client_id: str
    subject: str
    session_id: str


def read_hint(token: str, *, issuer: str, keys: KeyRing, now: Now) -> Hint | None:
    """The ID token's content; None when it is not one that we signed. Our own keys verify it, by `kid`, and its type is an ID
    token's (S35, S37); what its header may bring along is not looked at (S36)."""
    try:
        claims = verify(token, lambda header: _own_key(keys, header), algorithms=_ALGORITHMS, type="jwt").claims if token else {}
    except JwtRefused:
        return None
    texts = [claims.get(name) for name in ("aud", "sub", "sid")]
    issued = claims.get("iat")
    if claims.get("iss") != issuer or not isinstance(issued, int) or issued > now() + _SKEW:
        return None
    if not all(isinstance(text, str) and text for text in texts):
        return None
    client_id, subject, name = map(str, texts)
    return Hint(client_id, subject, SessionNames(keys, protocol="oidc").session_id(name, client_id))


def _own_key(keys: KeyRing, header: Mapping[str, Any]) -> Sequence[Key]:
    published = next((each for each in keys.every if each.kid == header.get("kid")), None)
    key = read_key(published.jwk()) if published else None
    return [key] if key else []
