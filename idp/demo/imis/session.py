"""Who is signed in to the simulated iMIS's web site: the values of the cookie `Login` (facts on iMIS, 3.6)."""

from __future__ import annotations

import threading

from idp.secret import new_secret

COOKIE = "Login"


class LoginSessions:
    """Cookie value -> contact. Requests come in many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: dict[str, str] = {}

    def begin(self, person_id: str) -> str:
        value = new_secret()
        with self._lock:
            self._holders[value] = person_id
        return value

    def holder(self, value: str | None) -> str | None:
        return self._holders.get(value or "")

    def end(self, value: str | None) -> None:
        with self._lock:
            self._holders.pop(value or "", None)
