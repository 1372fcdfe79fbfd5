"""The device grant (RFC 8628): a television or a kiosk shows a short code, and the member allows it from their own browser.

The member types the code at /device, reads which application asks, and goes through the same sequence as any other sign-on: so login,
entry rules, release and the list of who is told of a logout are the same. The record of a device is changed in atomic steps only;
tokens go to one poll alone.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from idp.clock import Now
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.grant.answer import narrowed_resources, narrowed_scope
from idp.protocols.oidc.grant.begin import OFFLINE, Beginning, SignedOn
from idp.protocols.oidc.grant.request import TokenRequest
from idp.protocols.oidc.grant.settings import DEVICE
from idp.secret import digest, new_id, new_secret
from idp.sso.session import Session, Sessions
from idp.store import Record, Store, Stored

LIFE = 600  # seconds that a code may be typed in
_REMEMBERED = 600  # seconds after that in which the device still hears that it has expired
_INTERVAL = 5  # seconds between two polls; longer after each one that came too soon (§3.5)
TRIES_WINDOW = 900  # seconds for which wrong codes are counted
_ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # §6.1: no vowels, so that no word comes out
_LENGTH = 8  # 34 bits; tries are counted where the code is typed in


@dataclass(frozen=True)
class Waiting:
    """A device that waits for its member. `key` is where it stands in the store."""

    key: str
    client_id: str
    scope: tuple[str, ...]
    user_code: str


class Devices:
    """Devices under way: what they begin, what their member decides, what they poll for."""

    def __init__(self, issuer: str, beginning: Beginning, *, store: Store, sessions: Sessions, now: Now) -> None:
        self._issuer = issuer
        self._beginning = beginning
        self._store = store
        self._sessions = sessions
        self._now = now

    def begin(self, request: TokenRequest) -> dict[str, Any]:
        """The device authorization answer (§3.2). Raises OAuthError."""
        settings = settings_of(request.client)
        if DEVICE not in settings.grant_types:
            raise request.refusal("unauthorized_client", "grant_type_not_granted", "This application may not use the device grant.")
        usual = tuple(scope for scope in settings.scopes if scope != OFFLINE)
        scope = narrowed_scope(request, settings.allowed_scopes) if request.form.get("scope") else usual
        resources = narrowed_resources(request, settings.tokens.resources) if request.form.every("resource") else ()
        device_code = new_secret()
        key = f"device|{digest(device_code)}"
        record: Record = {
            "client_id": request.client.id,
            "scope": list(scope),
            "resources": list(resources),
            "state": "waiting",
            "interval": _INTERVAL,
            "ends": self._now() + LIFE,
        }
        user_code = self._named(key)
        self._store.put("code", key, {**record, "user_code": user_code}, expires=record["ends"] + _REMEMBERED)
        return {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": f"{self._issuer}/device",
            "verification_uri_complete": f"{self._issuer}/device?user_code={user_code}",
            "expires_in": LIFE,
            "interval": _INTERVAL,
        }

    def _named(self, key: str) -> str:
        """A user code that no other device has now."""
        while True:
            letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
            if self._store.put_new("code", _name_key(letters), {"device": key}, expires=self._now() + LIFE):
                return f"{letters[:4]}-{letters[4:]}"

    def waiting(self, user_code: str) -> Waiting | None:
        """The device that shows this code, in whatever way it was typed."""
        letters = "".join(letter for letter in user_code.upper() if letter in _ALPHABET)
        named = self._store.get("code", _name_key(letters)) if len(letters) == _LENGTH and len(user_code) < 40 else None
        return self.waiting_at(named.record["device"]) if named else None

    def waiting_at(self, key: str) -> Waiting | None:
        """The device by its key, as long as nobody has decided."""
        stored = self._store.get("code", key)
        if stored is None or stored.record["state"] != "waiting" or stored.record["ends"] <= self._now():
            return None
        record = stored.record
        return Waiting(key, record["client_id"], tuple(record["scope"]), record["user_code"])

    def wrong_codes(self, key: str, *, more: int = 0) -> int:
        """How many wrong codes were typed under this counter of late, with `more`."""
        return self._store.bump("throttle", key, more, expires=self._now() + TRIES_WINDOW)

    def allow(self, key: str, session: Session, claims: Mapping[str, Any]) -> bool:
        """The member of this session lets the device in; False when it does not wait any more."""
        return self._decide(key, {"state": "allowed", "session_id": session.id, "family": new_id(), **claims})

    def deny(self, key: str) -> bool:
        """The member does not; False when it does not wait any more."""
        return self._decide(key, {"state": "denied"})

    def _decide(self, key: str, decision: Mapping[str, Any]) -> bool:
        while self.waiting_at(key) and (stored := self._store.get("code", key)):
            if self._change(stored, decision):
                return True
        return False

    def grant(self, request: TokenRequest) -> dict[str, Any]:
        """A poll (§3.4). Raises OAuthError."""
        key = f"device|{digest(request.needed('device_code'))}"
        stored = self._store.get("code", key)
        if stored is None or stored.record["client_id"] != request.client.id:
            raise request.refusal("invalid_grant", "device_unknown", "The device_code is not known.")
        if stored.record["state"] == "denied":
            self._store.delete("code", key)
            raise request.refusal("access_denied", "device_denied", "The member did not allow it.")
        if stored.record["state"] == "allowed":
            return self._tokens(request, key)
        if stored.record["ends"] <= self._now():
            raise request.refusal("expired_token", "device_expired", "The code was not typed in in time.")
        raise self._not_yet(request, stored)

    def _not_yet(self, request: TokenRequest, stored: Stored) -> Exception:
        interval, polled = stored.record["interval"], stored.record.get("polled", 0)
        too_soon = self._now() - polled < interval
        self._change(stored, {"polled": self._now(), "interval": interval + (_INTERVAL if too_soon else 0)})
        if too_soon:
            return request.refusal("slow_down", "device_slow_down", "Asked too soon: wait five seconds longer from now on.")
        return request.refusal("authorization_pending", "device_pending", "The member has not decided yet.")

    def _tokens(self, request: TokenRequest, key: str) -> dict[str, Any]:
        """For one poll alone. Raises OAuthError."""
        taken = self._store.take("code", key)
        session = self._sessions.get(taken.record["session_id"]) if taken else None
        if taken is None or session is None:
            raise request.refusal("invalid_grant", "device_unknown", "The device_code was used before, or the member has signed out.")
        record = taken.record
        signed_on = SignedOn(
            session,
            record["family"],
            tuple(record["scope"]),
            id_token=record["id_token"],
            userinfo=record["userinfo"],
            resources=tuple(record["resources"]),
        )
        return self._beginning.answer(request, signed_on)

    def _change(self, stored: Stored, changes: Mapping[str, Any]) -> bool:
        record = {**stored.record, **changes}
        return self._store.change("code", stored.key, record, revision=stored.revision, expires=stored.expires)


def _name_key(letters: str) -> str:
    return f"user_code|{digest(letters)}"
