"""Who has fetched our metadata, and with which keys in them: what a change of key has to wait for.

What can be known: each application has an address of its own, /saml/metadata/ID, and who fetches there shows that it follows. Those
who fetch the address for all are kept by network address and program; to which application they belong is for a person to say.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass

from idp.clock import Now
from idp.protocols.saml.document import printable
from idp.secret import digest
from idp.sso.client import Client
from idp.store import Store, StoreUnavailable
from idp.store.reading import read_as

_KEPT = 400 * 86400
_NOTE_AGAIN = 3600  # seconds; the same reader of the same keys is written down no more often
_PLACES = 512  # for readers of the address for all: whoever makes up names for himself fills no more than these


@dataclass(frozen=True)
class Reading:
    """One reader's last visit; `client_id` is empty at the address for all."""

    client_id: str
    address: str
    agent: str
    at: int
    kids: tuple[str, ...]


@dataclass(frozen=True)
class Follower:
    """How far an application is with a key: `fetched` is when it fetched metadata with it at its own address, None where nothing is
    known; `named_key` is the one key of ours that signs for it, where its settings name one."""

    client_id: str
    name: str
    fetched: int | None
    named_key: str = ""

    def waits_for(self, kid: str) -> bool:
        """Whether nothing shows that it knows the key, and it will need it."""
        return self.fetched is None and self.named_key in ("", kid)


class Readers:
    """The visits, in the store. Noting one costs nothing but a look into a table, save once an hour for each reader."""

    def __init__(self, store: Store, *, now: Now) -> None:
        self._store = store
        self._now = now
        self._lock = threading.Lock()
        self._noted: dict[str, tuple[tuple[str, ...], int]] = {}

    def note(self, client_id: str, *, address: str, agent: str, kids: tuple[str, ...]) -> None:
        """A visit. A store that is away is passed over: metadata are served without it."""
        key = f"client {client_id}" if client_id else f"place {int(digest(f'{address} {agent}')[:8], 16) % _PLACES}"
        if not self._is_news(key, kids):
            return
        reading = Reading(client_id, address, printable(agent)[:200], self._now(), kids)
        with suppress(StoreUnavailable):
            self._store.put("metadata_reader", key, asdict(reading), expires=self._now() + _KEPT)

    def of_key(self, kid: str) -> list[Reading]:
        """Who has fetched metadata that show the key, the latest first."""
        found = [read_as(Reading, each.record, kids=tuple(each.record["kids"])) for each in self._store.list("metadata_reader")]
        return sorted((each for each in found if kid in each.kids), key=lambda each: -each.at)

    def followers(self, clients: Iterable[Client], kid: str) -> list[Follower]:
        """Each of the applications, and whether it has the key."""
        fetched = {each.client_id: each.at for each in self.of_key(kid)}
        return [Follower(each.id, each.name, fetched.get(each.id), each.settings.signing_key) for each in clients]

    def _is_news(self, key: str, kids: tuple[str, ...]) -> bool:
        now = self._now()
        with self._lock:
            seen = self._noted.get(key)
            if seen is not None and seen[0] == kids and 0 <= now - seen[1] < _NOTE_AGAIN:
                return False
            self._noted[key] = (kids, now)
            return True
