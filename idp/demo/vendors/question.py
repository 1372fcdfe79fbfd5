"""Questions that a vendor has asked and that wait for their answer; each may be answered once."""

from __future__ import annotations

import threading

from idp.secret import new_secret

_MOST = 1000  # questions that are never answered must not fill the memory


class Questions:
    """RelayState -> the id of the message it went with. A POST from another site comes without our cookie, so this cannot lie in it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, str] = {}

    def prepare(self) -> str:
        """A fresh RelayState."""
        return new_secret()

    def asked(self, relay: str, message_id: str) -> None:
        with self._lock:
            while len(self._waiting) >= _MOST:
                del self._waiting[next(iter(self._waiting))]
            self._waiting[relay] = message_id

    def take(self, relay: str) -> str | None:
        """The message's id; None when nothing waits under that RelayState, or it was answered before."""
        with self._lock:
            return self._waiting.pop(relay, None)
