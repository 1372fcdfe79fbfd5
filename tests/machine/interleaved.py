"""A store that lets another request happen right before one of its writes: what a race does by chance, at a place that is chosen.

Before a write is where it matters: whatever was read before it may not be so any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from idp.store import Store

Result = TypeVar("Result")
_READS = ("get", "find", "list", "ping")


class InterleavedStore:
    """Every verb of `Store`, passed on."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left = 0
        self._other: Callable[[], object] | None = None

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self._store, verb)

        def passed_on(*arguments: Any, **keywords: Any) -> Any:
            if verb not in _READS:
                if self._other is not None and self._left == 0:
                    self._let_other()
                self._left -= 1
            return method(*arguments, **keywords)

        return passed_on

    def interleave(self, one: Callable[[], Result], other: Callable[[], Result], *, writes: int) -> list[Result]:
        """What both returned: `other` happened, from its beginning to its end, after so many writes of `one`, or else after it."""
        results: list[Result] = []
        self._left, self._other = writes, lambda: results.append(other())
        results.insert(0, one())
        if self._other is not None:
            self._let_other()
        assert len(results) == 2, "the second request came to no answer"
        return results

    def _let_other(self) -> None:
        """In a thread of its own: there, nothing of the request that is interrupted is known."""
        other, self._other = self._other, None
        assert other is not None
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
