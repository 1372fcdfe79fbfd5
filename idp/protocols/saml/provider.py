"""The service providers among the clients, and the members of open federations, found by entity ID or by client id."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from idp.audit import Audit
from idp.clock import Now
from idp.errors import BadRequest, Unavailable
from idp.protocols.saml.encryption import usable
from idp.protocols.saml.entity import MetadataProblem, ServiceProvider
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.settings import SamlSettings
from idp.protocols.saml.source.federation import Federations, Member
from idp.protocols.saml.source.library import Library, Stamp
from idp.sso.client import Client, Clients, Snapshot

_LOOK_AGAIN = 2.0  # seconds between two looks at the metadata's stamps
_UNREAD = "unread"
"""Stands in for the stamp of metadata that the store did not give out: the next look reads them."""


@dataclass(frozen=True)
class Known:
    """A client with what its metadata say. `stamp` tells whether they have changed since."""

    client: Client
    provider: ServiceProvider
    stamp: Stamp = None

    @property
    def settings(self) -> SamlSettings:
        return _settings(self.client)

    @property
    def must_sign_requests(self) -> bool:
        """Our setting if there is one, else AuthnRequestsSigned (SDP-IDP04)."""
        wanted = self.settings.require_signed_requests
        return self.provider.authn_requests_signed if wanted is None else wanted


@dataclass(frozen=True)
class _Table:
    """What was derived from one snapshot of the clients and one state of the files."""

    snapshot: Snapshot
    stamps: Mapping[str, Stamp]
    by_client: Mapping[str, Known] = field(default_factory=dict)
    by_entity: Mapping[str, Known] = field(default_factory=dict)


class Providers:
    """Reads metadata once, and again when the client or its file has changed; unreadable news leave the last good copy in force."""

    def __init__(self, clients: Clients, *, library: Library, federations: Federations | None, audit: Audit, now: Now) -> None:
        self._clients = clients
        self._library = library
        self._federations = federations
        self._audit = audit
        self._now = now
        self._lock = threading.Lock()
        self._current: _Table | None = None
        self._looked = 0.0

    def by_entity(self, entity_id: str) -> Known:
        """Raises BadRequest when no client has that entity ID, or its metadata must not be used any more."""
        known = self._table().by_entity.get(entity_id)
        if known is None and self._federations is not None:
            known = _as_known(self._federations.find(entity_id))
        if known is None:
            raise BadRequest(
                "saml.provider_unknown",
                "The application that sent you here is not registered with this sign-in service.",
                expected="the entity ID of a registered application",
                received=entity_id,
            )
        self._check_validity(known)
        return known

    def by_client(self, client_id: str) -> Known | None:
        known = self._table().by_client.get(client_id)
        if known is None and self._federations is not None:
            known = _as_known(self._federations.find_by_id(client_id))
        return known

    def all(self) -> list[Known]:
        """Every client whose metadata are here; of federations only those that a client names."""
        return list(self._table().by_client.values())

    def unusable(self) -> list[str]:
        """A sentence for each client to which no member can sign on, with the reason."""
        known = self._table().by_client
        missing = [f"{each.id}: {self._why_missing(each)}" for each in self._clients.snapshot().of("saml") if each.id not in known]
        unsealed = [each.client.id for each in known.values() if each.settings.encrypt and usable(each.provider.encryption_keys) is None]
        return missing + [f"{each}: encrypt is on, and its metadata have no key that we can encrypt for" for each in unsealed]

    def _why_missing(self, client: Client) -> str:
        try:
            self._library.read(client)
        except (MetadataProblem, Unavailable) as error:
            return f"its metadata are not here: {error.message} {error.received}".rstrip()
        return "its metadata have just come"

    def _check_validity(self, known: Known) -> None:
        ends = known.provider.valid_until
        if known.settings.expired_metadata == "refuse" and ends is not None and ends <= self._now():
            raise BadRequest(
                "saml.metadata_expired",
                "What we know about the application is out of date. Its operators have to send new metadata.",
                expected=f"validUntil after {write_time(self._now())}",
                received=write_time(ends),
                client_id=known.client.id,
            )

    def _table(self) -> _Table:
        snapshot, current = self._clients.snapshot(), self._current
        if current is not None and current.snapshot is snapshot and time.monotonic() - self._looked < _LOOK_AGAIN:
            return current
        if current is not None and current.snapshot is snapshot and self._lock.locked():
            return current  # somebody is looking: a slow store holds up one thread, not all of them (F8)
        with self._lock:
            stamps = self._library.stamps(snapshot.of("saml"))
            if self._current is None or self._current.snapshot is not snapshot or self._current.stamps != stamps:
                self._current = self._derive(snapshot, stamps, self._current)
            self._looked = time.monotonic()
            return self._current

    def _derive(self, snapshot: Snapshot, stamps: Mapping[str, Stamp], previous: _Table | None) -> _Table:
        """Clients of the file come first: one of the database cannot take the entity ID of another and so its members' answers."""
        by_client: dict[str, Known] = {}
        by_entity: dict[str, Known] = {}
        unread: dict[str, Stamp] = {}
        for client in sorted(snapshot.of("saml"), key=lambda each: (each.source != "file", each.id)):
            before = previous.by_client.get(client.id) if previous else None
            try:
                known = self._read(client, stamps[client.id], before)
            except Unavailable as error:
                self._audit.record("saml.metadata_unreadable", client=client.id, cause=error.cause, detail=error.message)
                known, unread[client.id] = before, _UNREAD
            if known is None:
                continue
            by_client[client.id] = known
            if by_entity.setdefault(known.provider.entity_id, known) is not known:
                self._audit.record("saml.entity_twice", client=client.id, received=known.provider.entity_id)
        return _Table(snapshot, {**stamps, **unread}, by_client, by_entity)

    def _read(self, client: Client, stamp: Stamp, previous: Known | None) -> Known | None:
        if previous is not None and previous.client.settings == client.settings and previous.stamp == stamp:
            return Known(client, previous.provider, stamp)
        try:
            return Known(client, self._library.read(client), stamp)
        except MetadataProblem as error:
            self._audit.record("saml.metadata_unreadable", client=client.id, cause=error.cause, detail=error.message)
            return Known(client, previous.provider, stamp) if previous else None


@contextmanager
def naming(known: Known) -> Iterator[None]:
    """Puts the client's id into what the gate refuses, for the audit log."""
    try:
        yield
    except BadRequest as error:
        error.client_id = known.client.id
        raise


def _settings(client: Client) -> SamlSettings:
    settings: SamlSettings = client.settings
    return settings


def _as_known(member: Member | None) -> Known | None:
    return Known(member.client, member.provider) if member else None
