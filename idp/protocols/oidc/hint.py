"""id_token_hint: an ID token of ours that comes back. Its signature is always verified, its expiry never matters (S43, V42).

pyop would take one with `alg: none`, or fail on a good one; so it never sees a hint.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from idp.clock import Now
from idp.keys import KeyRing

_COMPACT = re.compile(r"([A-Za-z0-9_-]{2,1024})\.([A-Za-z0-9_-]{2,14000})\.([A-Za-z0-9_-]{2,1024})")  # 16 KB at most (S35)
_SKEW = 60  # seconds that `iat` may lie ahead (S32)


@dataclass(frozen=True)
class Hint:
    """Who was told of whom, and in which session."""

    client_id: str
    subject_id: str
    session_id: str


def read_hint(token: str, *, issuer: str, keys: KeyRing, now: Now) -> Hint | None:
    """The ID token's content; None when it is not one that we signed."""
    parts = _COMPACT.fullmatch(token)
    if parts is None or not _is_signed_by_us(parts[1], parts[2], parts[3], keys):
        return None
    claims = _object(parts[2])
    texts = [claims.get(name) for name in ("aud", "sub", "sid")]
    issued = claims.get("iat")
    if claims.get("iss") != issuer or not isinstance(issued, int) or issued > now() + _SKEW:
        return None
    return Hint(*map(str, texts)) if all(isinstance(text, str) and text for text in texts) else None


def _is_signed_by_us(header: str, payload: str, signature: str, keys: KeyRing) -> bool:
    """One algorithm, our own keys by `kid`, the type of an ID token (S35, S37); `jwk`, `jku` and `x5u` are not looked at (S36)."""
    fields = _object(header)
    if fields.get("alg") != "RS256" or fields.get("typ") != "JWT" or "crit" in fields:
        return False
    key = keys.by_kid(str(fields.get("kid")))
    if key is None:
        return False
    try:
        key.private.public_key().verify(_decoded(signature), f"{header}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def _object(part: str) -> Mapping[str, Any]:
    """The JSON object of one part; empty when it is none."""
    try:
        value = json.loads(_decoded(part))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
