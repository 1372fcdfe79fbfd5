"""Lease: of all processes over one store, one leads for as long as it says so again in time.

Each turn is one conditional write, so of any number that try one wins, and who was paused while another took over finds that out
at its next word: it asks `hold` once more right before it acts. Clocks that differ make a change of leader late or early, never double.
A lease runs out by its `until`; its record stays, so that terms only rise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from idp.clock import Now
from idp.secret import new_id
from idp.store import Store
from idp.store.reading import read_as


@dataclass(frozen=True)
class Hold:
    """Who leads, until when (seconds since 1970), and the how manieth leader that is."""

    holder: str
    until: int
    term: int = 1


class Lease:
    """One process's share in the lease of that name. `seconds` is for how long a word holds."""

    def __init__(self, store: Store, name: str, *, seconds: int, now: Now) -> None:
        self._store = store
        self._name = name
        self._seconds = seconds
        self._now = now
        self._holder = new_id()

    def hold(self) -> Hold | None:
        """Takes the lease where it is free, keeps it where it is ours; None where another leads."""
        stored = self._store.get("lease", self._name)
        if stored is None:
            first = Hold(self._holder, self._now() + self._seconds)
            return first if self._store.put_new("lease", self._name, asdict(first), expires=None) else None
        held = read_as(Hold, stored.record)
        if held.holder != self._holder and held.until > self._now():
            return None
        term = held.term if held.holder == self._holder else held.term + 1
        renewed = Hold(self._holder, self._now() + self._seconds, term)
        won = self._store.change("lease", self._name, asdict(renewed), revision=stored.revision, expires=None)
        return renewed if won else None
