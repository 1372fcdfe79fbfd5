"""Subjects: members as the directory last gave them, kept in the store, so that single sign-on goes on while iMIS is away (G-R4)."""

from __future__ import annotations

from dataclasses import asdict

from idp.audit import Audit
from idp.clock import Now
from idp.directory import Directory, DirectoryUnavailable, Subject
from idp.settings import Duration, Settings
from idp.store import Store, Stored


class FreshnessSettings(Settings):
    """[freshness]: how old a member's data may be."""

    fresh: Duration = 900
    """Up to this age the stored data are used as they are."""
    stale: Duration = 24 * 3600
    """Up to this age they are used when the membership system does not answer."""


class Subjects:
    """Members by id, from the store or, when they have aged, from the directory."""

    def __init__(self, directory: Directory, store: Store, settings: FreshnessSettings, *, audit: Audit, now: Now) -> None:
        self._directory = directory
        self._store = store
        self._settings = settings
        self._audit = audit
        self._now = now

    def remember(self, subject: Subject) -> None:
        record = {"subject": asdict(subject), "read": self._now()}
        self._store.put("subject", subject.id, record, expires=self._now() + self._settings.stale)

    def current(self, subject_id: str) -> Subject | None:
        """The member, or None when the directory no longer has them or has disabled them. Raises DirectoryUnavailable."""
        stored = self._store.get("subject", subject_id)
        if stored and self._now() - stored.record["read"] < self._settings.fresh:
            return _subject(stored)
        try:
            subject = self._directory.find(subject_id)
        except DirectoryUnavailable as error:
            if stored is None:
                raise
            self._audit.record("directory.stale_used", subject=subject_id, age=self._now() - stored.record["read"], detail=error.received)
            return _subject(stored)
        if subject is None or not subject.active:
            self._store.delete("subject", subject_id)
            return None
        self.remember(subject)
        return subject


def _subject(stored: Stored) -> Subject:
    fields = stored.record["subject"]
    attributes = {name: tuple(values) for name, values in fields["attributes"].items()}
    return Subject(fields["id"], fields["username"], attributes, fields["active"])
