"""Subjects: members as the directory last gave them, kept in the store, so that single sign-on goes on while iMIS is away (G-R4).

What has aged is used while it is being asked for again, in the background: a slow iMIS holds up nobody who is signed in (G-R5).
One worker asks for a member at a time, by a lease in the store. As long as the directory is quick, its answer is waited for, so that
a login that was disabled counts at once (S49); the first answer that lets us wait is the last that is waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict

from idp.audit import Audit
from idp.clock import Now
from idp.directory import Directory, DirectoryUnavailable, Subject
from idp.secret import digest
from idp.settings import Duration, Settings
from idp.store import Store, Stored, StoreUnavailable

_PATIENCE = 0.25  # seconds that a sign-on waits for a directory that is quick
_LEASE = 30  # seconds in which one worker alone asks for a member; after a failure, until it is tried again
_MOST_AT_ONCE = 8  # background questions of one process, so that sign-ins find room at the directory


class FreshnessSettings(Settings):
    """[freshness]: how old a member's data may be."""

    fresh: Duration = 900
    """From this age on the data are asked for again, in the background. One question answers for `checked`, too: the smaller one counts."""
    checked: Duration = 300
    """From this age on the directory is asked, in the background, whether the login is still good. If not, all its sessions end."""
    stale: Duration = 24 * 3600
    """Up to this age they are used when the membership system does not answer."""
    queries: Duration = 300
    """How often the running server compares iMIS's stored queries (IQAs) with what they were; 0: only `idp check` does."""


class Subjects:
    """Members by id, from the store or, when they have aged, from the directory."""

    def __init__(
        self,
        directory: Directory,
        store: Store,
        settings: FreshnessSettings,
        *,
        audit: Audit,
        now: Now,
        gone: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`gone` is told of a member whom a background look did not find any more: it ends their sessions."""
        self._directory = directory
        self._store = store
        self._settings = settings
        self._audit = audit
        self._now = now
        self._gone = gone
        self._lock = threading.Lock()
        self._asking: dict[str, threading.Event] = {}
        self._late: set[str] = set()

    def remember(self, subject: Subject, *, read: int = 0) -> None:
        """As the directory has the member now, or had them at `read`: then only if nothing younger is known."""
        record = {"subject": asdict(subject), "read": read or self._now()}
        if read:
            self._store.put_new("subject", subject.id, record, expires=self._now() + self._settings.stale)
            return
        self._store.put("subject", subject.id, record, expires=self._now() + self._settings.stale)

    def current(self, subject_id: str, *, max_age: int | None = None) -> Subject | None:
        """The member, or None when the directory no longer has them or has disabled them; at most `max_age` seconds old, if given.

        Raises DirectoryUnavailable when nothing that young is stored, and the directory does not answer.
        """
        stored = self._store.get("subject", subject_id)
        if stored is None or (max_age is not None and self._age(stored) > max_age):
            return self._ask(subject_id)
        if self._age(stored) < min(self._settings.fresh, self._settings.checked):
            return _subject(stored)
        if not self._asked_soon(subject_id, self._age(stored)):
            return _subject(stored)
        found = self._store.get("subject", subject_id)
        return _subject(found) if found else None

    def _age(self, stored: Stored) -> int:
        return int(self._now() - stored.record["read"])

    def _ask(self, subject_id: str) -> Subject | None:
        """Raises DirectoryUnavailable."""
        subject = self._directory.find(subject_id)
        if subject is None or not subject.active:
            self._store.delete("subject", subject_id)
            self._store.delete_where("grace", "subject_id", subject_id)
            self._store.delete_where("token", "subject_id", subject_id)  # also those that outlive the sessions, which end now (S49)
            return None
        self.remember(subject)
        return subject

    def _asked_soon(self, subject_id: str, age: int) -> bool:
        """Asks in the background; whether the store knows the outcome already."""
        lease = f"refresh|{digest(subject_id)[:32]}"
        if self._store.bump("throttle", lease, 1, expires=self._now() + _LEASE) != 1:
            return False  # another request or another worker asks, or has just failed
        done = self._begin(subject_id)
        if done is None:
            self._store.delete("throttle", lease)
            return False
        threading.Thread(target=self._refresh, args=(subject_id, lease, age), daemon=True).start()
        if not self._is_late(subject_id):
            done.wait(_PATIENCE)
        with self._lock:
            if not done.is_set():
                self._late.add(subject_id)
            return done.is_set()

    def _begin(self, subject_id: str) -> threading.Event | None:
        """None when enough is asked already. Where one answer is late, the next is not waited for at all."""
        with self._lock:
            if len(self._asking) >= _MOST_AT_ONCE or subject_id in self._asking:
                return None
            if self._late:
                self._late.add(subject_id)
            self._asking[subject_id] = threading.Event()
            return self._asking[subject_id]

    def _is_late(self, subject_id: str) -> bool:
        with self._lock:
            return subject_id in self._late

    def _refresh(self, subject_id: str, lease: str, age: int) -> None:
        """In a thread of its own. After a failure the lease stays, so that the next try waits until it is over."""
        gone = False
        try:
            gone = self._ask(subject_id) is None
            self._store.delete("throttle", lease)
        except DirectoryUnavailable as error:
            self._audit.record("directory.stale_used", subject=subject_id, age=age, detail=error.received)
        except StoreUnavailable as error:
            self._audit.record("directory.refresh_failed", subject=subject_id, cause=error.cause, detail=error.received)
        finally:
            nobody_waits = self._finish(subject_id)
        if gone and nobody_waits:  # else whoever waited ends the sessions, before it answers
            self._gone(subject_id)

    def _finish(self, subject_id: str) -> bool:
        """Lets go whoever waits; whether nobody does any more."""
        with self._lock:
            late = subject_id in self._late
            self._late.discard(subject_id)
            self._asking.pop(subject_id).set()
            return late


def _subject(stored: Stored) -> Subject:
    fields = stored.record["subject"]
    attributes = {name: tuple(values) for name, values in fields["attributes"].items()}
    return Subject(fields["id"], fields["username"], attributes, fields["active"])
