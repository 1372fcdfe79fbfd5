"""Expiry: what nobody ended ends all the same, and its clients are told (facts: other providers stay silent when a session expires).

Every server looks once a minute; by a lease in the store one of them does it. It goes through the stretches of time that have passed
since the last look, so that also what expired while no server ran is told of, for a day.
"""

from __future__ import annotations

from idp.clock import Now
from idp.sso.logout import Logout
from idp.sso.session import DUE, Sessions
from idp.store import Store

_LEASE = "lease|expiry"
_LEASE_LIFE = 50  # seconds; less than the minute between two looks
_SEEN = "expiry.seen"
_BACK = 86400 // DUE  # stretches to look back at most; older records are gone
_MOST_AT_ONCE = 1000  # what one question to the store finds


class Expiry:
    """Looks for sessions that have expired."""

    def __init__(self, sessions: Sessions, logout: Logout, store: Store, *, now: Now) -> None:
        self._sessions = sessions
        self._logout = logout
        self._store = store
        self._now = now

    def look(self) -> int:
        """Ends what has expired since the last look; how many sessions. Raises StoreUnavailable."""
        if self._store.bump("throttle", _LEASE, 1, expires=self._now() + _LEASE_LIFE) != 1:
            return 0
        last = self._now() // DUE - 1  # the stretch that has wholly passed
        ended = 0
        for stretch in range(self._begin(last), last + 1):
            ended += self._end_all(stretch)
            self._store.put("setting", _SEEN, {"stretch": stretch}, expires=None)
        return ended

    def _begin(self, last: int) -> int:
        stored = self._store.get("setting", _SEEN)
        return max(stored.record["stretch"] + 1 if stored else 0, last - _BACK)

    def _end_all(self, stretch: int) -> int:
        """A session that somebody else ends meanwhile is not there to be ended twice."""
        ended = 0
        while found := self._sessions.expired(stretch):
            ended += sum(self._logout.end(session_id, reason="expired") is not None for session_id in found)
            if len(found) < _MOST_AT_ONCE:
                break
        return ended
