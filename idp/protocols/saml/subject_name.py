"""Persistent identifiers, kept: what an application once knew a member by stays, even when our secret is lost or changed (Core 8.3.7).

The first value is computed, so that two workers that meet a member at once agree; from then on the stored one counts.
"""

from __future__ import annotations

from collections.abc import Callable

from idp.secret import digest
from idp.store import Store

Pairwise = Callable[[str, str], str]
"""From an entity ID and a subject's id to the member's identifier there: stable, lower-case base32, and no way back (IIP-IDP21)."""


class SubjectNames:
    """The identifiers of one store. `holder` is the application's entity ID, or that of an affiliation that shares identifiers."""

    def __init__(self, store: Store, *, pairwise: Pairwise) -> None:
        self._store = store
        self._pairwise = pairwise

    def find(self, holder: str, subject_id: str) -> str | None:
        """The member's identifier, if one was ever established."""
        stored = self._store.get("subject_name", _key(holder, subject_id))
        return str(stored.record["name"]) if stored else None

    def establish(self, holder: str, subject_id: str) -> str:
        """The member's identifier, which exists from now on."""
        found = self.find(holder, subject_id)
        if found is not None:
            return found
        name = self._pairwise(holder, subject_id)
        record = {"subject_id": subject_id, "holder": holder, "name": name}
        if self._store.put_new("subject_name", _key(holder, subject_id), record, expires=None):
            return name
        return self.find(holder, subject_id) or name

    def would_be(self, holder: str, subject_id: str) -> str:
        """What `establish` would answer, without establishing it."""
        return self.find(holder, subject_id) or self._pairwise(holder, subject_id)

    def remember(self, holder: str, subject_id: str, *, name: str, expires: int) -> None:
        """Keeps a transient identifier for as long as the application may ask about it; a transient one is never given again."""
        record = {"subject_id": subject_id, "holder": holder, "name": name}
        self._store.put("subject_name", _key(holder, name), record, expires=expires)

    def subject_of(self, holder: str, name: str) -> str | None:
        """Whose identifier it is."""
        found = (each.record for each in self._store.find("subject_name", "name", name))
        return next((str(each["subject_id"]) for each in found if each["holder"] == holder), None)


def _key(holder: str, name: str) -> str:
    return digest(f"{len(holder)}|{holder}|{name}")
