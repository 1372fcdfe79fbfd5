"""The audit log: one JSON line for each sign-on, refusal and logout, with a stable cause id and the reference shown to the person.

Secrets never come here: callers pass ids and causes, and a `Secret` prints as stars. What a person typed comes as a digest; it is keyed
here once more, so that whoever reads the log cannot try names. The lines are chained (`chain.py`).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TextIO

from idp.audit.chain import BEGUN, ENDED, ORIGIN, seal
from idp.clock import Now, utc_now
from idp.errors import IdpError
from idp.log import request_id
from idp.secret import new_id

_TYPED = ("account", "counter", "recipient")
"""Fields that hold a digest of what somebody typed into a form."""


_encode = json.JSONEncoder(ensure_ascii=True, default=str).encode
Listener = Callable[[str, Mapping[str, object]], None]
"""Hears each event with its fields; it raises nothing."""


class Audit(Protocol):
    """Takes down one event. `event` is a stable id such as `login.ok`, `signon.refused`, `logout.ended`."""

    def record(self, event: str, **fields: object) -> None: ...


def typed_label(key: bytes, value: object) -> str:
    """What stands in the log for something that was typed: always the same, and of no use without the key."""
    return seal(key, f"typed {value}")


class AuditLog:
    """Writes events as JSON lines to a stream; several threads may write at once. `key` gives the deployment's key for the chain.

    A full disk stops no sign-on (F9, F10): what could not be written is counted, and the next line that can be begins a new chain and
    says how many are missing. Of a line that failed a part may stand in the file, or it may come later: it is the end of the old chain.
    """

    def __init__(
        self, stream: TextIO | None = None, *, key: Callable[[], bytes] = bytes, now: Now = utc_now, listeners: Sequence[Listener] = ()
    ) -> None:
        self._stream = stream or sys.stderr
        self._read_key = key
        self._now = now
        self._listeners = listeners
        self._lock = threading.Lock()
        self._lost = 0
        self._key = b""
        self._chain = ""
        self._sequence = 0
        self._previous = ORIGIN

    def record(self, event: str, **fields: object) -> None:
        kept = {name: value for name, value in fields.items() if value not in ("", None)}
        with self._lock:
            if self._chain or self._begin():
                self._write(event, {name: typed_label(self._key, value) if name in _TYPED else value for name, value in kept.items()})
            else:
                self._lost += 1
        for hear in self._listeners:
            hear(event, kept)

    def close(self) -> None:
        """Ends the chain plainly: what follows a line that says so was put there by somebody else."""
        with self._lock:
            if self._chain:
                self._write(ENDED, {})
            self._chain = ""

    def _begin(self) -> bool:
        try:
            self._key, how = self._read_key(), {}
        except (IdpError, OSError):
            self._key, how = b"", {"sealed": False}  # no trouble with keys stops an event from being taken down
        missing = {"lost": self._lost} if self._lost else {}
        self._chain, self._sequence, self._previous = new_id(), 0, ORIGIN
        return self._write(BEGUN, {"process": os.getpid(), **how, **missing})

    def _write(self, event: str, fields: dict[str, object]) -> bool:
        """The next line of the chain; when it cannot be written, the chain is over."""
        place = {"chain": self._chain, "seq": self._sequence, "prev": self._previous}
        asked = {"request": request} if (request := request_id()) else {}
        body = _encode({"time": self._now(), "event": event, **fields, **asked, **place})[:-1]
        hashed = seal(self._key, body)
        try:
            self._stream.write(f'{body}, "hash": "{hashed}"}}\n')
            self._stream.flush()
        except OSError:
            self._chain = ""
            self._lost += event != BEGUN
            return False
        self._sequence, self._previous = self._sequence + 1, hashed
        if event == BEGUN:
            self._lost = 0
        return True


class NullAudit:
    """Keeps nothing: for tools and tests that do not look at events."""

    def record(self, event: str, **fields: object) -> None:  # noqa: ARG002  that is the point
        return None
