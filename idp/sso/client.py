"""Client: an application that may ask for a member. Clients stand in idp.toml, or in the store, where they change without a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from idp.audit import Audit
from idp.errors import IdpError
from idp.secret import Secret, new_id
from idp.sso.release import Release
from idp.sso.session import Participant, Session
from idp.sso.settings import EntrySettings
from idp.store import Record, Store

_LOOK_AGAIN = 1.0  # seconds between two looks at the store's client version: the command promises 2 s
_OLDEST = 10.0  # seconds; after an idle time nobody is answered by what was known before it
_INCARNATION = "client.incarnation|"
_MOST_REMOVED = 100_000  # clients that were ever removed


@dataclass(frozen=True)
class Client:
    """A service provider (SAML), a client (OAuth), a vendor. `settings` is the one protocol's own."""

    id: str
    name: str
    protocol: str
    settings: Any
    release: Release
    secrets: tuple[str, ...] = field(default=(), repr=False)
    """SHA-256 of each live secret."""
    shared: tuple[Secret, ...] = ()
    """Those of them that were given by reference, for what a client proves with the secret itself (client_secret_jwt)."""
    url: str = ""
    source: str = "file"
    table: Mapping[str, Any] = field(default_factory=dict, repr=False)
    entry: EntrySettings = field(default_factory=EntrySettings)
    max_age: int | None = None
    grace: bool = False
    asks_consent: bool = False
    fedcm: Any = None
    """How its pages may ask by the browser's own hand; None where they may not."""
    incarnation: str = ""
    """Another one since a client of this id was removed, so that whoever gets the id next inherits no token, no yes, no session."""

    @property
    def start_url(self) -> str:
        """Where the application begins; whoever goes there is sent here again with a fresh request. Its settings may know it, too."""
        return self.url or str(getattr(self.settings, "start_url", ""))

    def part_in(self, session: Session) -> Participant | None:
        """What it was told in the session; None also where another client was that had the same id."""
        part = session.participant(self.id)
        return part if part and part.incarnation == self.incarnation else None

    def accepts(self, secret: Secret) -> bool:
        """Whether it is one of the client's live secrets, of which only SHA-256 is kept; each is compared in constant time (S27)."""
        return bool(secret) and any([secret.matches(digest) for digest in self.secrets])  # noqa: C419  a list: all of them are compared


@dataclass(frozen=True)
class Snapshot:
    """All clients at one moment; protocols may key what they derive from it by its identity."""

    version: int
    clients: Mapping[str, Client]

    def of(self, protocol: str) -> list[Client]:
        return [client for client in self.clients.values() if client.protocol == protocol]


ReadClient = Callable[[str, Record], Client]
"""Turns the table of a client, as it would stand in idp.toml, into a Client. Raises IdpError with all that is wrong."""


Elsewhere = Callable[[str], Client | None]
"""Finds a client that stands in neither list by its id, such as a member of a federation."""


class Clients:
    """Who may ask. A client of the file cannot be changed or hidden by one of the store, and neither by one from elsewhere."""

    def __init__(
        self, fixed: Iterable[Client], *, store: Store, read: ReadClient, audit: Audit, elsewhere: Elsewhere = lambda _: None
    ) -> None:
        self._fixed = {client.id: client for client in fixed}
        self._store = store
        self._read = read
        self._audit = audit
        self._elsewhere = elsewhere
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._looked = float("-inf")

    def get(self, client_id: str) -> Client | None:
        return self.snapshot().clients.get(client_id) or self._elsewhere(client_id) or self._just_added(client_id)

    def has(self, participant: Participant) -> bool:
        """Whether the client that was told something in a session is still there, and not only one of the same id."""
        client = self.get(participant.client_id)
        return client is not None and client.incarnation == participant.incarnation

    def _just_added(self, client_id: str) -> Client | None:
        """A client that registers itself at one worker goes on with another at once: for an id that nobody knows, look again now."""
        return self._looked_after(time.monotonic()).clients.get(client_id)

    def of_file(self, protocol: str) -> list[Client]:
        """The clients of the configuration file that use the protocol; the store is not asked, so a server starts without it."""
        return [client for client in self._fixed.values() if client.protocol == protocol]

    def snapshot(self) -> Snapshot:
        """The clients of now, at most a second old; in a worker that is looking again, at most `_OLDEST` seconds."""
        snapshot, now = self._snapshot, time.monotonic()
        age = now - self._looked
        if snapshot is not None and (age < _LOOK_AGAIN or (age < _OLDEST and self._lock.locked())):
            return snapshot  # a slow store makes one thread wait for the next snapshot, not all of them (F8)
        return self._looked_after(now)

    def _looked_after(self, moment: float) -> Snapshot:
        """A snapshot that was looked at after that moment, by this thread or by the one that it waited for."""
        with self._lock:
            if self._snapshot is None or self._looked <= moment:
                looked, version = time.monotonic(), self._version()
                if self._snapshot is None or self._snapshot.version != version:
                    self._snapshot = Snapshot(version, self._incarnate({**self._stored(), **self._fixed}))
                self._looked = looked
            return self._snapshot

    def add(self, client_id: str, table: Record) -> Client:
        """Stores a new client after reading it as a running worker would. Raises IdpError when the id is taken or the table is wrong."""
        client = self._read(client_id, table)
        if client_id in self._fixed or not self._store.put_new("client", client_id, table, expires=None):
            message = f"There is a client {client_id} already. To replace it, remove it first: idp clients remove {client_id}"
            raise IdpError("clients.exists", message)
        self._moved()
        return client

    def remove(self, client_id: str) -> None:
        """Raises IdpError when there is none, or when it stands in the file."""
        if client_id in self._fixed:
            raise IdpError("clients.in_file", f"The client {client_id} stands in idp.toml: take it out there.")
        if self._store.get("client", client_id) is None:
            raise IdpError("clients.unknown", f"There is no client {client_id}.", status=404)
        # never forgotten, and first: a crash in between leaves a client whose members sign in once more, not one that can be inherited
        self._store.put("setting", f"{_INCARNATION}{client_id}", {"incarnation": new_id()}, expires=None)
        self._store.delete("client", client_id)
        self._store.delete_where("notice", "client_id", client_id)  # of logouts: another client of that id must not hear of them
        self._moved()

    def change(self, client_id: str, table: Record) -> Client:
        """Puts another table in the place of a stored client's. Raises IdpError when there is none, or the table is wrong."""
        if client_id in self._fixed:
            raise IdpError("clients.in_file", f"The client {client_id} stands in idp.toml: change it there.")
        stored = self._store.get("client", client_id)
        client = self._read(client_id, table)
        if stored is None or not self._store.change("client", client_id, table, revision=stored.revision, expires=None):
            raise IdpError("clients.unknown", f"There is no client {client_id}.", status=404)
        self._moved()
        return client

    def _moved(self) -> None:
        self._store.bump("setting", "clients.version", 1, expires=2**40)
        self._looked = float("-inf")

    def _version(self) -> int:
        stored = self._store.get("setting", "clients.version")
        return int(stored.record["count"]) if stored else 0

    def _incarnate(self, clients: Mapping[str, Client]) -> dict[str, Client]:
        """They stand in records of their own, so that an older version can read the clients (F5)."""
        found = {each.key: each.record for each in self._store.list("setting", limit=_MOST_REMOVED) if each.key.startswith(_INCARNATION)}
        removed = {client_id: record["incarnation"] for client_id in clients if (record := found.get(f"{_INCARNATION}{client_id}"))}
        return {client_id: replace(client, incarnation=removed.get(client_id, "")) for client_id, client in clients.items()}

    def _stored(self) -> dict[str, Client]:
        clients = {}
        for stored in self._store.list("client"):
            try:
                clients[stored.key] = self._read(stored.key, stored.record)
            except IdpError as error:  # one client that a newer version wrote must not stop the others
                self._audit.record("clients.unreadable", client=stored.key, cause=error.cause, detail=error.message)
        return clients
