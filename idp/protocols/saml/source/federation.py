"""Federations whose members may all ask us: each is a client, though nobody has named it, and only the one that asks is read.

A federation with an aggregate has it on the shelf. One that is asked by MDQ is asked when a member of it comes: by one thread of a
worker at a time, for a few seconds, and not more than so often in a minute, for strangers choose the names.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from idp.audit import Audit
from idp.clock import Now
from idp.errors import Unavailable
from idp.protocols.saml.entity import MetadataProblem, ServiceProvider
from idp.protocols.saml.settings import FederationSettings, SamlServerSettings
from idp.protocols.saml.source.intake import Fetch, Intake
from idp.protocols.saml.source.library import read_copy
from idp.protocols.saml.source.shelf import Copy, Shelf, member_key
from idp.protocols.saml.source.validity import is_over, next_try
from idp.sso.client import Client
from idp.sso.release import read_release
from idp.store import Store
from idp.web.outbound import OutboundFailed, OutboundRefused

_LOOK_AGAIN = 2.0  # seconds for which a member is taken as it was
_MOST_HELD = 256
_LONGEST_ID = 1024
_MDQ_SECONDS = 4.0
_MDQ_UNKNOWN = 60  # seconds for which an answer of no holds
_MDQ_MINUTE = 60  # questions a minute to one federation


@dataclass(frozen=True)
class Member:
    """A service provider of a federation, as a client."""

    client: Client
    provider: ServiceProvider


@dataclass(frozen=True)
class _Held:
    looked: float
    copy: Copy
    around: int | None
    member: Member


class Federations:
    """Finds members of the federations that are open to all their members. Threads may share it."""

    def __init__(self, settings: SamlServerSettings, store: Store, *, fetch: Fetch, audit: Audit, now: Now) -> None:
        self._open: Mapping[str, FederationSettings] = {
            name: each for name, each in settings.federation.items() if each.members == "all"
        }  # fmt: skip
        self._store = store
        self._shelf = Shelf(store, now=now)
        self._intake = Intake(settings, shelf=self._shelf, fetch=fetch, audit=audit, now=now)
        self._audit = audit
        self._now = now
        self._asking = threading.Lock()
        self._held: dict[str, _Held] = {}

    def client(self, client_id: str) -> Client | None:
        """The member with this client id, if it is there already; nobody is asked."""
        member = self.find_by_id(client_id)
        return member.client if member else None

    def find(self, entity_id: str) -> Member | None:
        """The member with this entity ID, of the first federation that has it. Raises Unavailable while somebody else asks for it."""
        if len(entity_id) > _LONGEST_ID:
            return None
        for name, federation in self._open.items():
            key = member_key(name, entity_id)
            if held := self._fresh(key):
                return held
            copy = self._shelf.copy(key)
            if federation.mdq:
                copy = self._ask(name, federation, entity_id, copy)
            if member := self._member(name, key, copy):
                return member
        return None

    def find_by_id(self, client_id: str) -> Member | None:
        """As `client`, with what the metadata say."""
        name = client_id.partition(".")[0]
        if name not in self._open:
            return None
        return self._fresh(client_id) or self._member(name, client_id, self._shelf.copy(client_id))

    def _fresh(self, key: str) -> Member | None:
        held = self._held.get(key)
        return held.member if held and time.monotonic() - held.looked < _LOOK_AGAIN else None

    def _member(self, name: str, key: str, copy: Copy | None) -> Member | None:
        if copy is None:
            return None
        held, around = self._held.get(key), self._around(name)
        known = held is not None and (held.copy, held.around) == (copy, around)
        member = held.member if held and known else self._read(name, key, copy, around)
        if member is not None:
            if len(self._held) >= _MOST_HELD:
                self._held.clear()
            self._held[key] = _Held(time.monotonic(), copy, around, member)
        return member

    def _read(self, name: str, key: str, copy: Copy, around: int | None) -> Member | None:
        federation = self._open[name]
        settings = federation.member(name, copy.entity_id)
        try:
            provider = read_copy(settings, copy, around=around)
        except MetadataProblem as error:
            self._audit.record("saml.metadata_unreadable", client=key, entity=copy.entity_id, cause=error.cause, detail=error.message)
            return None
        title = provider.display_name or copy.entity_id
        settings = settings.at_home(provider.home)
        return Member(Client(key, title, "saml", settings, read_release(federation.release), source="federation"), provider)

    def _around(self, name: str) -> int | None:
        """Until when the whole aggregate is valid."""
        return None if self._open[name].mdq else self._shelf.note(f"federation:{name}").valid_until

    def _ask(self, name: str, federation: FederationSettings, entity_id: str, copy: Copy | None) -> Copy | None:
        """The copy that is there while it is fresh; else a new one; else the old one, for as long as it is valid."""
        now = self._now()
        if copy is not None and copy.due is not None and copy.due > now:
            return copy
        try:
            return self._ask_now(name, federation, entity_id, copy)
        except (MetadataProblem, OutboundFailed, OutboundRefused) as error:
            self._audit.record("saml.mdq_failed", federation=name, entity=entity_id, cause=error.cause, received=error.received)
        if copy is None or is_over(copy.valid_until, now=now):
            return None
        self._shelf.keep(member_key(name, entity_id), replace(copy, due=next_try(0, usual=federation.refresh, now=now)))
        return copy

    def _ask_now(self, name: str, federation: FederationSettings, entity_id: str, copy: Copy | None) -> Copy | None:
        """Whoever writes down that it asks, asks; the line also holds the answer of no for a minute."""
        key = f"asked:{member_key(name, entity_id)}"
        if not self._store.put_new("metadata", key, {}, expires=self._now() + _MDQ_UNKNOWN):
            return copy
        if not self._asking.acquire(blocking=False):
            self._store.delete("metadata", key)
            return copy or _busy()
        try:
            minute = self._now() // 60
            if self._store.bump("throttle", f"mdq.{name}.{minute}", 1, expires=(minute + 2) * 60) > _MDQ_MINUTE:
                return copy
            return self._intake.take_member(name, federation, entity_id, seconds=_MDQ_SECONDS)
        finally:
            self._asking.release()


def _busy() -> Copy:
    raise Unavailable("saml.metadata_being_fetched", "We are just asking who that application is. Please try again in a few seconds.")
