"""Inbound JWTs: client assertions, request objects, DPoP proofs. joserfc verifies; here stands what it may accept.

Each caller names its algorithms, so that no public key is ever taken for a MAC's (S35); a header cannot bring a key (S36)
unless the caller, as DPoP does, hands in that very key; `crit` and `b64` are refused, because nothing here understands an extension.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey, import_key

from idp.clock import Now

SIGNATURES = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""Algorithms with a public key that are taken from clients; `EdDSA` is RFC 8037's name, `Ed25519` RFC 9864's."""
STRONG = ("PS256", "ES256", "EdDSA", "Ed25519")
"""Those of the FAPI 2.0 Security Profile §5.4.1."""
LONGEST = 16_384  # characters (S35)
SKEW = 10  # seconds that another clock may be ahead (S32)
_MOST_TRIES = 4
_CURVES = {"ES256": "P-256", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


class JwtRefused(Exception):
    """The text says what is wrong, in words that may be told: nothing of the token stands in it."""


@dataclass(frozen=True)
class Jwt:
    """A JWT whose signature is good. What it says has not been looked at."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


class _Registry(jws.JWSRegistry):
    """Room for a DPoP header with an RSA key in it."""

    max_header_length = 8192
    max_payload_length = LONGEST

    def get_alg(self, name: str) -> Any:
        """Only what `verify` let through; joserfc's own warns of EdDSA, because RFC 9864 gave it another name."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


def verify(token: str, find_keys: Callable[[Mapping[str, Any]], Sequence[Key]], *, algorithms: Collection[str], type: str = "") -> Jwt:
    """The JWT, after one of the keys that `find_keys` gives for its header has verified it. With `type` its `typ` must be that one.

    Raises JwtRefused.
    """
    header, claims = peek(token)
    algorithm = str(header.get("alg"))
    if algorithm not in algorithms:
        raise JwtRefused(f"its alg is none of {', '.join(algorithms)}")
    if "crit" in header or "b64" in header:
        raise JwtRefused("it has a crit or b64 header, which nothing here understands")
    if type and str(header.get("typ", "")).lower().removeprefix("application/") != type:
        raise JwtRefused(f"its typ is not {type}")
    fitting = [key for key in find_keys(header) if fits(key, algorithm)][:_MOST_TRIES]
    if not fitting:
        raise JwtRefused("no key of the client fits its kid and alg")
    if not any(_is_signed(token, key, algorithm) for key in fitting):
        raise JwtRefused("its signature does not verify")
    return Jwt(header, claims)


def peek(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, unverified: to learn whose key to try. Raises JwtRefused."""
    if len(token) > LONGEST or token.count(".") != 2 or not token.isascii():
        raise JwtRefused("it is no JWS in compact form of at most 16 KB")
    try:
        content = jws.extract_compact(token.encode(), registry=_Registry(strict_check_header=False))
        claims = json.loads(content.payload or b"")
        header = content.headers()
    except (JoseError, ValueError, RecursionError, TypeError, AttributeError):
        raise JwtRefused("it cannot be read") from None
    if not isinstance(claims, dict) or not isinstance(header, dict):
        raise JwtRefused("it is no JSON object")
    return header, claims


def read_keys(document: object) -> tuple[Key, ...]:
    """The public keys of a JWK set that can verify for us or that we can encrypt to; what is of another kind, too weak or broken is
    left out. Raises JwtRefused when it is no JWK set."""
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list) or len(entries) > 50:
        raise JwtRefused("it is no JWK set of at most 50 keys")
    return tuple(key for entry in entries if (key := read_key(entry)))


def read_key(entry: object) -> Key | None:
    """One public key; None when it is not of a kind that is used here. A private or symmetric one is never taken."""
    if not isinstance(entry, dict) or entry.get("kty") not in ("RSA", "EC", "OKP") or "d" in entry:
        return None
    try:
        if entry["kty"] == "RSA" and len(str(entry.get("n"))) < 342:  # 2048 bits in base64url; joserfc would only warn
            return None
        return import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def fits(key: Key, algorithm: str) -> bool:
    """Whether the key is one for this signature algorithm, by its kind and by what it says of itself."""
    if key.get("use", "sig") != "sig" or key.get("alg", algorithm) != algorithm:
        return False
    if algorithm.startswith("HS"):
        return isinstance(key, OctKey)
    if algorithm[:2] in ("RS", "PS"):
        return isinstance(key, RSAKey)
    return isinstance(key, ECKey | OKPKey) and key.get("crv") == _CURVES.get(algorithm)


def check_times(claims: Mapping[str, Any], *, now: Now, longest: int) -> int:
    """When the JWT ends: `exp` is there, not over and at most `longest` seconds away; `nbf` and `iat` lie no more than SKEW ahead (S32).

    Raises JwtRefused.
    """
    times = {name: claims.get(name) for name in ("exp", "nbf", "iat")}
    if any(value is not None and (isinstance(value, bool) or not isinstance(value, int | float)) for value in times.values()):
        raise JwtRefused("one of exp, nbf and iat is not a number")
    expires, moment = times["exp"], now()
    if expires is None:
        raise JwtRefused("it has no exp")
    if expires <= moment - SKEW:
        raise JwtRefused("it has expired")
    if expires > moment + longest + SKEW:
        raise JwtRefused(f"its exp is more than {longest} seconds away")
    if max(times["nbf"] or 0, times["iat"] or 0) > moment + SKEW:
        raise JwtRefused("its nbf or iat lies in the future")
    return int(expires)


def _is_signed(token: str, key: Key, algorithm: str) -> bool:
    registry = _Registry(algorithms=[algorithm], strict_check_header=False)
    try:
        jws.deserialize_compact(token, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        return False
    return True
