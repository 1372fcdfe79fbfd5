"""When each client last had an answer: for operators, who ask which applications are still used. Kept to the minute, not to the second."""

from __future__ import annotations

from collections.abc import Mapping

from idp.clock import Now
from idp.store import Store, StoreUnavailable

_EVERY = 60  # seconds: a write for each sign-on would buy nothing
_KEPT = 3 * 365 * 86400
_KEY = "last_signon:"


class LastSignOns:
    """Hears of sign-ons as the audit log does. What it keeps in memory only spares writes."""

    def __init__(self, store: Store, *, now: Now) -> None:
        self._store = store
        self._now = now
        self._noted: dict[str, int] = {}

    def hear(self, event: str, fields: Mapping[str, object]) -> None:
        """No trouble with the store stops a sign-on for this."""
        client_id, now = str(fields.get("client", "")), self._now()
        if event != "signon.ok" or now - self._noted.get(client_id, 0) < _EVERY:
            return
        self._noted[client_id] = now
        try:
            self._store.put("setting", f"{_KEY}{client_id}", {"at": now}, expires=now + _KEPT)
        except StoreUnavailable:
            del self._noted[client_id]

    def of(self, client_id: str) -> int | None:
        """Seconds since 1970; None when nobody has for three years. Raises StoreUnavailable."""
        stored = self._store.get("setting", f"{_KEY}{client_id}")
        return int(stored.record["at"]) if stored else None
