"""How long an answer of iMIS is waited for: the usual time; less while iMIS leaves such questions unanswered, so that whoever comes then
soon gets a page that says so (issue: under 3 s), and not after the whole time each.

Each kind of question is judged by itself: where one IQA hangs, passwords are checked as ever. All of them together are a kind, too, so
that the looks at members who are signed in, which nobody waits for, notice it for those who sign in. Like the breaker it holds no truth.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from idp.directory.deadline import TooLate

_ANY = ""  # the kind that all are of
_REMEMBERED = 30  # seconds after a question that was waited for in vain


@dataclass
class _Kind:
    """What is known of one kind of question; moments of the monotonic clock."""

    open: list[float] = field(default_factory=list)
    answered: float = float("-inf")
    in_vain: float = float("-inf")


class Patience:
    """`usual` and `short` are seconds; a kind is late when its oldest question has been open for `short` and none was answered since."""

    def __init__(self, *, usual: float, short: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._usual = usual
        self._short = min(short, usual)
        self._clock = clock
        self._lock = threading.Lock()
        self._kinds: dict[str, _Kind] = {}

    @contextmanager
    def question(self, what: str) -> Iterator[float]:
        """Around one question; gives the seconds that it may take. TooLate after the usual time makes the kind late for a while."""
        with self._lock:
            kinds = [self._kinds.setdefault(name, _Kind()) for name in (_ANY, what)]
            seconds = self._short if any(self._is_late(kind) for kind in kinds) else self._usual
            begun = self._clock()
            for kind in kinds:
                kind.open.append(begun)
        in_vain = False
        try:
            yield seconds
        except TooLate:
            in_vain = True
            raise
        finally:
            with self._lock:
                for kind in kinds:
                    self._close(kind, begun, in_vain=in_vain, usual=seconds == self._usual)

    def is_late(self) -> bool:
        """Whether any kind is."""
        with self._lock:
            return any(self._is_late(kind) for kind in self._kinds.values())

    def _close(self, kind: _Kind, begun: float, *, in_vain: bool, usual: bool) -> None:
        kind.open.remove(begun)
        if not in_vain:
            kind.answered = self._clock()
        elif usual:  # not after the short time: else it would never again be seen that iMIS is only slow
            kind.in_vain = self._clock()

    def _is_late(self, kind: _Kind) -> bool:
        now = self._clock()
        oldest = min(kind.open, default=now)
        hangs = oldest <= now - self._short and kind.answered < oldest
        return hangs or (kind.in_vain > kind.answered and now - kind.in_vain < _REMEMBERED)
