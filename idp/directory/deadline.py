"""How long an operation may still take."""

from __future__ import annotations

import time

from idp.directory import DirectoryUnavailable


class TooLate(DirectoryUnavailable):
    """No answer in time: to ask once more would only take as long again."""


class Deadline:
    """A moment of the monotonic clock, so that a changed wall clock shortens nothing."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that remain, more than 0. Raises TooLate if none do."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TooLate(f"no complete answer within {self._seconds:g} s")
        return left

    def within(self, seconds: float) -> Deadline:
        """This deadline, or one in `seconds` if that is sooner."""
        return Deadline(min(seconds, self.left()))

    def sleep(self, seconds: float) -> None:
        """Waits, and raises TooLate if the deadline passes first."""
        time.sleep(min(seconds, self.left()))
        self.left()
