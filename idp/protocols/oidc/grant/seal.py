"""A text that only whoever shows a certain token can read: how the successor of a refresh token waits for a retry.

The store keeps hashes of tokens alone. Within the replay window the successor must be handed out again, so it is kept encrypted
under the token that it replaced, which the store does not know. Whoever reads the store alone learns neither. It could be derived from
the old token instead; but then everybody who ever saw an old token could compute the new one.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idp.secret import new_id

_NONCE = bytes(12)  # every seal has a salt and so a key of its own, which is used this once


def seal(text: str, *, under: str) -> str:
    """`text` encrypted under a token of full entropy."""
    salt = new_id()
    return f"{salt}.{base64.urlsafe_b64encode(AESGCM(_key(salt, under)).encrypt(_NONCE, text.encode(), None)).decode()}"


def unseal(sealed: str, *, under: str) -> str | None:
    """The text; None when it is another token's."""
    salt, _, encrypted = sealed.partition(".")
    try:
        return AESGCM(_key(salt, under)).decrypt(_NONCE, base64.urlsafe_b64decode(encrypted), None).decode()
    except (InvalidTag, ValueError):
        return None


def _key(salt: str, token: str) -> bytes:
    return hashlib.sha256(f"refresh successor|{salt}|{token}".encode("utf-8", "surrogatepass")).digest()
