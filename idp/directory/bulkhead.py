"""A bulkhead: however slow iMIS is, only so many of our threads wait for it (G-R5)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from idp.directory import DirectoryUnavailable

_LOOK_AGAIN = 0.25  # seconds


class Bulkhead:
    """`slots` may work at once, `waiting` more wait for `seconds`; whoever comes then is turned away at once.

    While iMIS is `late`, nobody waits for a turn: those who have one will have no answer to give room for."""

    def __init__(self, slots: int, *, waiting: int, seconds: float, late: Callable[[], bool] = lambda: False) -> None:
        self._places = threading.BoundedSemaphore(slots + waiting)
        self._slots = threading.BoundedSemaphore(slots)
        self._seconds = seconds
        self._late = late

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A slot for as long as the block runs. Raises DirectoryUnavailable if none is to be had."""
        if not self._places.acquire(blocking=False):
            raise DirectoryUnavailable("too many sign-ins wait for iMIS already", retry_after=5)
        try:
            if not self._has_turn():
                raise DirectoryUnavailable("iMIS is busy with earlier sign-ins", retry_after=5)
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._places.release()

    def _has_turn(self) -> bool:
        ending = time.monotonic() + self._seconds
        while not self._slots.acquire(timeout=min(_LOOK_AGAIN, max(0.0, ending - time.monotonic()))):
            if time.monotonic() >= ending or self._late():
                return False
        return True
