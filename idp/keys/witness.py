"""Witnesses: every worker says which keys it publishes, so that none signs with a key that another worker does not show yet.

That holds a change back where the instances' folders turn out not to be the same, or a network folder is slow to show what is new.
"""

from __future__ import annotations

import socket
from collections.abc import Collection
from dataclasses import asdict, dataclass

from idp.clock import Now
from idp.keys.key import Use
from idp.secret import new_id
from idp.store import Store
from idp.store.reading import read_as


@dataclass(frozen=True)
class Witness:
    """The kids that one worker published for one use when it was last heard of."""

    use: str
    host: str
    kids: tuple[str, ...]


class Witnesses:
    """Speaks for this process, and hears all. `seconds` is how long a word counts: a worker that ended is not waited for any longer."""

    def __init__(self, store: Store, *, seconds: int, now: Now) -> None:
        self._store = store
        self._seconds = seconds
        self._now = now
        self._id = new_id()

    def testify(self, use: Use, kids: Collection[str]) -> None:
        record = {**asdict(Witness(use, socket.gethostname(), ())), "kids": list(kids)}
        self._store.put("key_witness", f"{self._id}:{use}", record, expires=self._now() + self._seconds)

    def without(self, use: Use, kid: str) -> list[str]:
        """The hosts of workers that do not publish the key."""
        heard = [read_as(Witness, each.record) for each in self._store.list("key_witness")]
        return sorted({each.host for each in heard if each.use == use and kid not in each.kids})
