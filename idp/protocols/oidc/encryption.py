"""Encryption to a client's own key (RFC 7516), for clients that ask for it: a signed JWT inside a JWE. joserfc does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from idp.protocols.oidc.error import OAuthRefusal
from idp.protocols.oidc.settings import Encryption, KeyAgreement

KEY_ALGORITHMS = get_args(KeyAgreement)
CONTENT_ALGORITHMS = get_args(Encryption)


def encrypted(token: str, keys: Sequence[Key], algorithm: str, encryption: str) -> str:
    """The JWT in a JWE (`cty` JWT, OpenID Connect Core §10.2). Raises OAuthRefusal: it is the client's to mend."""
    key = next((key for key in keys if _fits(key, algorithm)), None)
    if key is None:
        raise OAuthRefusal("invalid_request", "no_encryption_key", f"The application publishes no key for {algorithm}.")
    header = {"alg": algorithm, "enc": encryption, "cty": "JWT"} | ({"kid": key.kid} if key.kid else {})
    try:
        return jwe.encrypt_compact(header, token, key, algorithms=[algorithm, encryption])
    except (JoseError, ValueError) as error:
        message = "The application's key cannot be used."
        raise OAuthRefusal("invalid_request", "encryption", message, received=type(error).__name__) from None


def _fits(key: Key, algorithm: str) -> bool:
    if key.get("use", "enc") != "enc" or key.get("alg", algorithm) != algorithm:
        return False
    if algorithm.startswith("RSA"):
        return isinstance(key, RSAKey)
    return isinstance(key, ECKey) or (isinstance(key, OKPKey) and key.get("crv") == "X25519")
