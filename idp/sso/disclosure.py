"""Disclosures: what each client last got of each member, for the member's own page.

Only the names of the attributes are kept, for as long as a session lasts and 30 days more. Their values are personal data that lie in
iMIS: to keep each value that was ever sent would make a second, ageing copy of the member. The page shows the values of today.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from idp.clock import Now
from idp.secret import digest
from idp.store import Store, StoreUnavailable

_KEPT = 30 * 86400
_EVERY = 3600  # seconds: who uses an application all day costs a write an hour
_MOST_NOTED = 10_000


@dataclass(frozen=True)
class Disclosure:
    """`names` are the client's names for what its answer could hold; `at` is in seconds since 1970, right to the hour."""

    client_id: str
    names: tuple[str, ...]
    at: int


class Disclosures:
    """Hears of sign-ons as the audit log does. What it keeps in memory only spares writes."""

    def __init__(self, store: Store, *, session_life: int, now: Now) -> None:
        """`session_life` is in seconds: the longest that a session lasts."""
        self._store = store
        self._life = session_life + _KEPT
        self._now = now
        self._noted: dict[str, tuple[list[str], int]] = {}

    def hear(self, event: str, fields: Mapping[str, object]) -> None:
        """No trouble with the store stops a sign-on for this."""
        released = fields.get("released", [])
        if event != "signon.ok" or not isinstance(released, list):
            return
        subject_id, client_id = str(fields["subject"]), str(fields["client"])
        key, names, now = _key(subject_id, client_id), sorted(map(str, released)), self._now()
        noted = self._noted.get(key)
        if noted and noted[0] == names and now - noted[1] < _EVERY:
            return
        record = {"subject_id": subject_id, "client_id": client_id, "names": names, "at": now}
        try:
            self._store.put("disclosure", key, record, expires=now + self._life)
        except StoreUnavailable:
            return
        if len(self._noted) >= _MOST_NOTED:
            self._noted.clear()
        self._noted[key] = (names, now)

    def of_subject(self, subject_id: str) -> dict[str, Disclosure]:
        """By client id. Raises StoreUnavailable."""
        found = [stored.record for stored in self._store.find("disclosure", "subject_id", subject_id)]
        return {each["client_id"]: Disclosure(each["client_id"], tuple(each["names"]), each["at"]) for each in found}

    def forget(self, subject_id: str, client_id: str) -> None:
        """Another worker may still think that it has noted it: then the next sign-on within the hour is not seen."""
        self._noted.pop(_key(subject_id, client_id), None)
        self._store.delete("disclosure", _key(subject_id, client_id))


def _key(subject_id: str, client_id: str) -> str:
    return digest(f"{len(subject_id)}\n{subject_id}\n{client_id}")
