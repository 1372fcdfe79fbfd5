"""How many calls a client may make in a minute: counted in the store for all processes, but not with every call.

A process takes a block of calls off the store's count at once, and gives them out by itself. What it has not used when the minute is over
is lost, so a client never makes more calls than it may; with several processes it may be told to wait a little before the last.
"""

from __future__ import annotations

import threading

from idp.clock import Now
from idp.secret import digest
from idp.store import Store

MINUTE = 60
_BLOCKS = 100  # into which a minute's calls are cut; a small number of calls is counted one by one


class Allowance:
    """The calls of all clients in this process. Several threads may ask at once."""

    def __init__(self, store: Store, *, most: int, now: Now) -> None:
        self._store = store
        self._most = most
        self._block = max(1, most // _BLOCKS)
        self._now = now
        self._lock = threading.Lock()
        self._minute = 0
        self._left: dict[str, int] = {}
        self._used_up: set[str] = set()

    def take(self, client_id: str) -> bool:
        """Whether the client may make this call."""
        minute = self._now() // MINUTE
        with self._lock:
            self._turn_to(minute)
            if self._left.get(client_id, 0) > 0:
                self._left[client_id] -= 1
                return True
            if client_id in self._used_up:
                return False
        return self._take_block(client_id, minute)

    def wait(self) -> int:
        """Seconds until the next minute begins."""
        return MINUTE - self._now() % MINUTE

    def _turn_to(self, minute: int) -> None:
        if minute != self._minute:
            self._minute, self._left, self._used_up = minute, {}, set()

    def _take_block(self, client_id: str, minute: int) -> bool:
        """The first of it for this call. The store is asked without the lock: a slow one holds up no other client."""
        counter = f"service.calls|{digest(client_id)[:32]}"
        count = self._store.bump("throttle", counter, self._block, expires=(minute + 1) * MINUTE)
        taken = min(self._block, self._most - (count - self._block))
        with self._lock:
            self._turn_to(minute)
            if taken > 0:
                self._left[client_id] = self._left.get(client_id, 0) + taken - 1
            else:
                self._used_up.add(client_id)
        return taken > 0
