"""Grace: signing in while the membership system is away, for associations that want it (S92). Off unless they say so.

After a good login a slow, salted verifier of the password is kept for some days. It is asked only when the directory does not answer.
Such a session has a context of its own, and applications turn it away unless they are told to let it in.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from idp.clock import Now
from idp.directory import Subject
from idp.directory.credential import ScryptPassword, fold, read_hash
from idp.secret import Secret, digest
from idp.settings import Settings
from idp.store import Store

_COST, _BLOCK, _LANES = 2**16, 8, 1  # scrypt: 64 MB and some 200 ms for each try
_DAY = 86400


class GraceSettings(Settings):
    """[grace]: signing in while the membership system is away."""

    days: int = 0
    """For so many days after a good login its password is good here while the membership system does not answer; 0: never.
    It keeps a salted scrypt hash of members' passwords. Whoever changes the password elsewhere should know that the old one lives on here
    for that time, during outages, until it is tried once while the membership system answers."""


@dataclass(frozen=True)
class Verified:
    """A member whose password is right. `read`, in seconds since 1970, is when the directory said so; 0: just now."""

    subject: Subject
    read: int


class Grace:
    """The verifiers, by user name."""

    def __init__(self, settings: GraceSettings, store: Store, *, now: Now) -> None:
        self._settings = settings
        self._store = store
        self._now = now

    @property
    def on(self) -> bool:
        return self._settings.days > 0

    def remember(self, username: str, password: Secret, subject: Subject) -> None:
        """After a login that the directory itself has approved."""
        if not self.on:
            return
        record = {"verifier": str(_slow(password)), "subject_id": subject.id, "subject": asdict(subject), "read": self._now()}
        self._store.put("grace", _key(username), record, expires=self._now() + self._settings.days * _DAY)

    def refuted(self, username: str, password: Secret) -> None:
        """The directory refuses the password: a verifier that would take it is out of date."""
        stored = self._store.get("grace", _key(username)) if self.on else None
        if stored and read_hash(stored.record["verifier"]).matches(password):
            self._store.delete("grace", stored.key)

    def verify(self, username: str, password: Secret) -> Verified | None:
        """Who it is, without the directory; the same work whether or not somebody has that name (S83)."""
        if not self.on:
            return None
        stored = self._store.get("grace", _key(username))
        if stored is None:
            _slow(password)
            return None
        if not read_hash(stored.record["verifier"]).matches(password):
            return None
        return Verified(_subject(stored.record["subject"]), stored.record["read"])


def _key(username: str) -> str:
    return digest(fold(username))


def _slow(password: Secret) -> ScryptPassword:
    salt = secrets.token_bytes(16)
    text = password.reveal().encode("utf-8", "surrogatepass")
    key = hashlib.scrypt(text, salt=salt, n=_COST, r=_BLOCK, p=_LANES, maxmem=256 * 1024 * 1024, dklen=32)
    return ScryptPassword(_COST, _BLOCK, _LANES, salt, key)


def _subject(fields: Mapping[str, Any]) -> Subject:
    attributes = {name: tuple(values) for name, values in fields["attributes"].items()}
    return Subject(fields["id"], fields["username"], attributes, fields["active"])
