"""A bulkhead: however slow iMIS is, only so many of our threads wait for it (G-R5)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from idp.directory import DirectoryUnavailable


class Bulkhead:
    """`slots` may work at once, `waiting` more wait for `seconds`; whoever comes then is turned away at once."""

    def __init__(self, slots: int, *, waiting: int, seconds: float) -> None:
        self._places = threading.BoundedSemaphore(slots + waiting)
        self._slots = threading.BoundedSemaphore(slots)
        self._seconds = seconds

    @contextmanager
    def slot(self) -> Iterator[None]:
        """A slot for as long as the block runs. Raises DirectoryUnavailable if none is to be had."""
        if not self._places.acquire(blocking=False):
            raise DirectoryUnavailable("too many sign-ins wait for iMIS already", retry_after=5)
        try:
            if not self._slots.acquire(timeout=self._seconds):
                raise DirectoryUnavailable("iMIS is busy with earlier sign-ins", retry_after=5)
            try:
                yield
            finally:
                self._slots.release()
        finally:
            self._places.release()
