"""Queue: errands that wait in the store, so that none is lost when a worker or the whole server is killed.

Of all workers one wins an errand, for as long as a lease; if it is killed, another takes it up after that, at worst a second time. What
fails is put off, longer and longer, until it expires. Letters (`letter.py`) and logout notices (`notice_queue.py`) wait like this.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from idp.audit import Audit
from idp.clock import Now
from idp.errors import IdpError
from idp.store import Record, Store, Stored, StoreUnavailable

LOOK_AGAIN = 15
"""Seconds between two looks at what others have left, and at what is due again."""


class Hopeless(IdpError):
    """No other try will help."""


@dataclass(frozen=True)
class Pace:
    """How fast errands are run; in seconds, but `pause`, which is in thousandths and random up to that."""

    lease: int
    first_wait: int
    longest_wait: int
    at_once: int = 1
    pause: int = 0

    def wait_after(self, tries: int) -> int:
        """Three times as long after each failure."""
        return min(self.first_wait * int(3 ** (tries - 1)), self.longest_wait)


class Queue:
    """Errands of one kind of record. `carry` runs one: it may note in the record what is done, and raises whatever it likes when it
    failed, Hopeless when that is for good. The audit gets `EVENTS.failed` and `EVENTS.given_up`, with what `label` says of the record."""

    def __init__(
        self,
        store: Store,
        kind: str,
        *,
        carry: Callable[[Record], None],
        pace: Pace,
        events: str,
        audit: Audit,
        now: Now,
        label: Callable[[Record], Mapping[str, object]] = lambda _: {},
    ) -> None:
        self._store = store
        self._kind = kind
        self._errand = carry
        self._pace = pace
        self._events = events
        self._audit = audit
        self._now = now
        self._label = label
        self._turn = threading.Lock()
        self._woken = threading.Event()

    def put(self, key: str, record: Record, *, expires: int, tries: int = 0) -> None:
        """When it returns, the errand survives kill -9. After so many `tries` it waits for its turn. Raises StoreUnavailable."""
        due = self._now() + (self._pace.wait_after(tries) if tries else 0)
        self._store.put(self._kind, key, {**record, "due": due, "tries": tries}, expires=expires)
        if not tries:
            self._woken.set()

    def begin(self, first: Callable[[], object] = lambda: None) -> None:
        """Starts the thread of this process: for what it puts itself, and for what others have left. Once, after the fork. `first` is
        called before each look at what others have left."""
        threading.Thread(target=self._work, args=(first,), daemon=True).start()

    def settle(self) -> None:
        """Runs all that is due, and comes back: for commands and tests."""
        while self.deliver():
            pass

    def deliver(self) -> int:
        """Runs what is due and no other worker carries; how many errands were tried. Raises StoreUnavailable."""
        with self._turn:
            due = [stored for stored in self._store.list(self._kind) if stored.record["due"] <= self._now()]
            if self._pace.at_once == 1:
                return sum(self.carry(stored) for stored in due)
            with ThreadPoolExecutor(self._pace.at_once) as pool:
                return sum(pool.map(self.carry, due))

    def carry(self, stored: Stored) -> bool:
        """Runs one, due or not. False when another worker was quicker."""
        record = {**stored.record, "due": self._now() + self._pace.lease, "tries": stored.record["tries"] + 1}
        if not self._store.change(self._kind, stored.key, record, revision=stored.revision, expires=stored.expires):
            return False
        try:
            self._errand(record)
        except Hopeless as error:
            self._audit.record(f"{self._events}.given_up", cause=error.cause, **self._label(record))
        except Exception as error:  # its text may hold an address
            detail = error.received if isinstance(error, IdpError) else ""
            self._audit.record(f"{self._events}.failed", cause=self._cause(error), detail=detail, **self._label(record))
            self._put_off(stored, {**record, "cause": self._cause(error)})
            return True
        self._store.delete(self._kind, stored.key)
        return True

    def _work(self, first: Callable[[], object]) -> None:
        while True:
            woken = self._woken.wait(LOOK_AGAIN)
            self._woken.clear()
            time.sleep(secrets.randbelow(self._pace.pause + 1) / 1000)
            try:
                if woken:
                    self.deliver()
                elif self._is_my_turn():
                    first()
                    self.deliver()
            except StoreUnavailable as error:
                self._audit.record(f"{self._events}.failed", cause=error.cause, detail=error.received)

    def _is_my_turn(self) -> bool:
        """One worker's look is enough for all."""
        return self._store.bump("throttle", f"lease|{self._kind}", 1, expires=self._now() + LOOK_AGAIN - 5) == 1

    def _put_off(self, stored: Stored, record: Record) -> None:
        due = self._now() + self._pace.wait_after(record["tries"])
        if stored.expires is not None and due >= stored.expires:
            self._audit.record(f"{self._events}.given_up", cause=f"{self._events}.too_late", **self._label(record))
        self._store.change(self._kind, stored.key, {**record, "due": due}, revision=stored.revision + 1, expires=stored.expires)

    def _cause(self, error: Exception) -> str:
        return error.cause if isinstance(error, IdpError) else f"{self._events}.{type(error).__name__}"
