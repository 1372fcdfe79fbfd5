"""The name of a session for one client, and another for each (SAML's SessionIndex, OpenID Connect's `sid`), so that two clients that
compare notes learn nothing.

It is the session's own id, encrypted by a key for that client (AES-SIV, RFC 5297: deterministic and authenticated). So a message
that comes without cookies finds its session, nothing more is stored, and nobody can make one up.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from idp.keys import KeyRing


class SessionNames:
    """Names sessions for the clients of one protocol, and finds them again."""

    def __init__(self, keys: KeyRing, *, protocol: str) -> None:
        self._keys = keys
        self._protocol = protocol

    def name(self, session_id: str, client_id: str) -> str:
        """At most 256 characters (SDP-G02), the same for the same session and client; begins with a letter."""
        sealed = self._cipher(client_id).encrypt(session_id.encode(), None)
        return "s" + base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def session_id(self, name: str, client_id: str) -> str:
        """The session that is meant; what is no name of ours is taken as it is: sessions of an older version were named by their id."""
        padded = name[1:] + "=" * (-len(name[1:]) % 4)
        try:
            return self._cipher(client_id).decrypt(base64.b64decode(padded, altchars=b"-_", validate=True), None).decode()
        except (InvalidTag, ValueError, binascii.Error):
            return name

    def _cipher(self, client_id: str) -> AESSIV:
        return AESSIV(hashlib.sha256(self._keys.pairwise(self._protocol, "session index", client_id).encode()).digest())
