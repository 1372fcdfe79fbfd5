"""The audit log: one JSON line for each sign-on, refusal and logout, with a stable cause id and the reference shown to the person.

Secrets never come here: callers pass ids and causes, and a `Secret` prints as stars.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Protocol, TextIO

from idp.clock import Now, utc_now


class Audit(Protocol):
    """Takes down one event. `event` is a stable id such as `login.ok`, `signon.refused`, `logout.ended`."""

    def record(self, event: str, **fields: object) -> None: ...


class AuditLog:
    """Writes events as JSON lines to a stream; several threads may write at once.

    A full disk stops no sign-on (F9, F10): what could not be written is counted, and the next line that can be says how many are missing.
    """

    def __init__(self, stream: TextIO | None = None, *, now: Now = utc_now) -> None:
        self._stream = stream or sys.stderr
        self._now = now
        self._lock = threading.Lock()
        self._lost = 0

    def record(self, event: str, **fields: object) -> None:
        kept = {name: value for name, value in fields.items() if value not in ("", None)}
        with self._lock:
            missing = {"lost": self._lost} if self._lost else {}
            line = json.dumps({"time": self._now(), "event": event, **kept, **missing}, ensure_ascii=True, default=str)
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except OSError:
                self._lost += 1
            else:
                self._lost = 0


class NullAudit:
    """Keeps nothing: for tools and tests that do not look at events."""

    def record(self, event: str, **fields: object) -> None:  # noqa: ARG002  that is the point
        return None
