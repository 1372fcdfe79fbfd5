"""The drift alarm: iMIS's stored queries are looked at while the server runs, so that staff hear of a change before a sign-in fails.

One worker of all looks in each period, by a lease in the store, where its findings lie for the health page of every worker. The log hears
of each change once, and once more when it is over.
"""

from __future__ import annotations

from idp.audit import Audit
from idp.clock import Now
from idp.directory import Directory, DirectoryUnavailable, Drift, DriftReader
from idp.store import Store, StoreUnavailable

_LEASE = "drift:lease"
_FOUND = "drift:found"


class DriftWatch:
    """Looks every `every` seconds; 0: never."""

    def __init__(self, directory: Directory, store: Store, *, every: int, audit: Audit, now: Now) -> None:
        self._reader = directory if isinstance(directory, DriftReader) else None
        self._store = store
        self._every = every
        self._audit = audit
        self._now = now

    def look(self) -> None:
        """Looks if it is time, and no other worker does. While iMIS does not answer, what is known stays known. Raises StoreUnavailable."""
        if self._reader is None or not self._every:
            return
        if self._store.put_new("setting", _LEASE, {}, expires=self._now() + self._every):
            try:
                self._note(set(self._reader.drift()))
            except DirectoryUnavailable:
                return  # that has alarms of its own

    def known(self) -> set[Drift]:
        """What the last look found. Raises StoreUnavailable."""
        stored = self._store.get("setting", _FOUND) if self._reader and self._every else None
        return {Drift(each["cause"], each["sentence"]) for each in stored.record["found"]} if stored else set()

    def causes(self) -> list[str]:
        """Their stable ids, each once, for the health page: it says nothing of what is inside."""
        try:
            return sorted({drift.cause for drift in self.known()})
        except StoreUnavailable:
            return []  # the page says that already

    def _note(self, found: set[Drift]) -> None:
        before = self.known()
        for event, drifts in (("directory.drift", found - before), ("directory.drift_over", before - found)):
            for drift in sorted(drifts, key=lambda each: (each.cause, each.sentence)):
                self._audit.record(event, cause=drift.cause, detail=drift.sentence)
        if found != before:
            record = {"found": [{"cause": drift.cause, "sentence": drift.sentence} for drift in found]}
            self._store.put("setting", _FOUND, record, expires=None)
