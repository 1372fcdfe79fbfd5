"""Logout token: the signed word to a vendor's server that a session has ended, as OpenID Connect Back-Channel Logout 1.0 §2.4 writes it.

Vendors without OpenID get the same token, so that any JWT library and our published keys suffice to check it.
"""

from __future__ import annotations

from idp.clock import Now
from idp.keys import KeyRing
from idp.secret import new_id
from idp.sso.answer import SharedCookie
from idp.sso.notice import BackChannel
from idp.sso.session import Session

_LIFE = 120  # S45
_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class LogoutTokens:
    """Signs logout tokens in the issuer's name with the current key."""

    def __init__(self, keys: KeyRing, *, issuer: str, now: Now) -> None:
        self._keys = keys
        self._issuer = issuer
        self._now = now

    def notice(self, url: str, *, client_id: str, session: Session, cookie: SharedCookie | None = None) -> BackChannel:
        """The notice that takes a fresh token to the client's URL (§2.5)."""
        return BackChannel(url, {"logout_token": self.token(client_id, session)}, cookie)

    def token(self, client_id: str, session: Session) -> str:
        """A JWT with `typ` logout+jwt; no nonce, so that it never passes for an ID Token (S45)."""
        now = self._now()
        claims = {
            "iss": self._issuer,
            "aud": client_id,
            "iat": now,
            "exp": now + _LIFE,
            "jti": new_id(),
            "sub": session.subject_id,
            "sid": session.id,
            "events": {_EVENT: {}},
        }
        return self._keys.current.jwt(claims, type="logout+jwt")
