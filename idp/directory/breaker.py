"""A circuit breaker: after many failures in a short time nothing is asked for a while, so that nobody waits for what will not come.

Its figures are those of the reliability rules (5.2). It lives in the worker's memory: it holds no truth, only an opinion.

Why our own: pybreaker holds its lock while a call runs, so that one slow answer would hold up all others, and circuitbreaker counts
failures in a row, not their share. interlock-cb judges by their share, but after good calls too, so that the first answers of an iMIS
that has come back can be what opens it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from idp.clock import Now
from idp.directory import DirectoryUnavailable, LineState

_WINDOW = 30  # seconds that are looked back on
_FEWEST = 10  # calls in the window before it is judged
_SHARE = 0.5  # of failures that opens it
_REST = 15  # seconds that it stays open; then one call tries


class Breaker:
    """Closed: calls pass. Open: they are refused at once. Half open: one call passes, and its outcome decides."""

    def __init__(self, *, now: Now) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._outcomes: deque[tuple[int, bool]] = deque()
        self._opened: int | None = None
        self._last_failure = ""

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Around one call, which fails by DirectoryUnavailable. Raises it itself while open."""
        self._admit()
        try:
            yield
        except DirectoryUnavailable as error:
            self._failed(error.received)
            raise
        self._succeeded()

    @property
    def state(self) -> LineState:
        with self._lock:
            if self._opened is None:
                return "closed"
            return "open" if self._opened + _REST > self._now() else "half open"

    def _admit(self) -> None:
        with self._lock:
            if self._opened is None:
                return
            rest = self._opened + _REST - self._now()
            if rest > 0:
                raise DirectoryUnavailable(f"not asked, after many failures: {self._last_failure}", retry_after=rest)
            self._opened = self._now()  # half open: this caller tries, the others go on being refused

    def _succeeded(self) -> None:
        with self._lock:
            if self._opened is not None:
                self._outcomes.clear()
                self._opened = None
            self._note(True)

    def _failed(self, what: str) -> None:
        with self._lock:
            self._last_failure = what
            self._note(False)
            failures = sum(not good for _, good in self._outcomes)
            if len(self._outcomes) >= _FEWEST and failures >= _SHARE * len(self._outcomes):
                self._opened = self._now()

    def _note(self, good: bool) -> None:
        self._outcomes.append((self._now(), good))
        while self._outcomes[0][0] <= self._now() - _WINDOW:
            self._outcomes.popleft()
