"""When who looks again at which metadata. Any number of workers and commands may ask; a lease in the store lets one of them look."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from idp.audit import Audit
from idp.clock import Now
from idp.errors import IdpError
from idp.protocols.saml.entity import MetadataProblem
from idp.protocols.saml.settings import FederationSettings, SamlServerSettings, SamlSettings
from idp.protocols.saml.source.change import differences
from idp.protocols.saml.source.intake import Fetch, Intake, Outcome
from idp.protocols.saml.source.library import read_copy
from idp.protocols.saml.source.shelf import Note, Shelf, client_key, digest_of, member_key, staged_key
from idp.protocols.saml.source.validity import Validity, check_validity, next_look, next_try
from idp.sso.client import Client, Clients
from idp.store import Store
from idp.web.outbound import OutboundFailed, OutboundRefused

_CLIENT_LEASE = 60
_LEASE_MARGIN = 120
_BEGIN_EVERY = 30

Look = Callable[[Note], tuple[Outcome, Note]]


@dataclass(frozen=True)
class Source:
    """Something to look at: `key` names it in notes, `terms` is what it is asked for, `usual` how often, `lease` how long that may take."""

    key: str
    terms: str
    usual: int
    lease: int
    look: Look


class Refresher:
    """Knows every source of the configuration and of the store."""

    def __init__(
        self, settings: SamlServerSettings, *, clients: Clients, store: Store, fetch: Fetch, audit: Audit, now: Now
    ) -> None:  # fmt: skip
        self._settings = settings
        self._clients = clients
        self._shelf = Shelf(store, now=now)
        self._intake = Intake(settings, shelf=self._shelf, fetch=fetch, audit=audit, now=now)
        self._audit = audit
        self._now = now
        self._known_due: dict[str, tuple[str, int]] = {}

    def sources(self) -> list[Source]:
        """Federations first: clients may wait for them."""
        named = [client for client in self._clients.snapshot().of("saml") if _settings(client).source == "federation"]
        found = [self._aggregate(name, each, named) for name, each in self._settings.federation.items() if not each.mdq]
        for client in named:
            federation = self._settings.federation.get(_settings(client).federation)
            if federation is not None and federation.mdq:
                found.append(self._member(client, federation))
        return found + [self._client(each) for each in self._clients.snapshot().of("saml") if _settings(each).source == "url"]

    def due(self) -> list[Source]:
        """Those that want to be looked at. The store is asked only about sources whose time, as far as we know, has come."""
        return [source for source in self.sources() if self._is_due(source)]

    def refresh(self, source: Source, *, whenever: bool = False) -> Outcome:
        """Looks, if it is due or `whenever` says so, and if nobody else does. Raises StoreUnavailable."""
        with self._shelf.lease(source.key, seconds=source.lease) as won:
            if not won:
                return Outcome("busy", ("somebody else is looking at it just now",))
            note = self._note(source)
            if note.due > self._now() and not whenever:
                return Outcome("not due")
            try:
                outcome, note = source.look(note)
            except (MetadataProblem, OutboundFailed, OutboundRefused) as error:
                outcome, note = self._failed(source, note, error)
            self._shelf.write_note(source.key, note)
            return outcome

    def refresh_due(self) -> list[tuple[str, Outcome]]:
        """Looks at all that is due, one after the other."""
        return [(source.key, self.refresh(source)) for source in self.due()]

    def may_begin(self) -> bool:
        """Whether nobody has begun to look in the last half minute: a process is not started for nothing."""
        return self._shelf.first_time("refresh", until=self._now() + _BEGIN_EVERY)

    def note(self, source: Source) -> Note:
        """What is known about it."""
        return self._note(source)

    def changes(self, client_id: str) -> tuple[str, ...]:
        """What the staged metadata of a client would change; empty if none wait. Raises MetadataProblem."""
        client = self._url_client(client_id)
        staged = self._shelf.copy(staged_key(client_id))
        current = self._shelf.copy(client_key(client_id))
        if staged is None or current is None:
            return ()
        return tuple(differences(read_copy(client.settings, current), read_copy(client.settings, staged)))

    def accept(self, client_id: str) -> tuple[str, ...]:
        """Puts the staged metadata in force; what that changed. Raises IdpError when none wait, or they are good no more."""
        lines = self.changes(client_id)
        client = self._url_client(client_id)
        staged = self._shelf.take(staged_key(client_id))
        if staged is None:
            raise IdpError("saml.nothing_staged", f"No changed metadata of {client_id} wait to be accepted.", status=404)
        provider = read_copy(client.settings, staged)
        check_validity(provider.valid_until, longest=_settings(client).metadata_validity, now=self._now())
        self._shelf.keep(client_key(client_id), staged)
        self._shelf.moved()
        self._audit.record("saml.metadata_accepted", client=client_id, changes=lines)
        return lines

    def is_staged(self, client_id: str) -> bool:
        return self._shelf.copy(staged_key(client_id)) is not None

    def _aggregate(self, name: str, federation: FederationSettings, named: Iterable[Client]) -> Source:
        interested = {
            member_key(name, _settings(client).entity_id): client for client in named if _settings(client).federation == name
        }  # fmt: skip
        terms = _terms(federation.url, str(federation.file), *federation.certificate, str(federation.validity))
        return Source(
            f"federation:{name}",
            terms,
            federation.refresh,
            federation.timeout + _LEASE_MARGIN,
            lambda note: self._intake.take_aggregate(name, federation, note, interested),
        )

    def _member(self, client: Client, federation: FederationSettings) -> Source:
        settings = _settings(client)

        def look(note: Note) -> tuple[Outcome, Note]:
            copy = self._intake.take_member(settings.federation, federation, settings.entity_id, seconds=federation.timeout)
            self._shelf.moved()
            due = copy.due or next_look(Validity(copy.valid_until), usual=federation.refresh, now=self._now())
            return Outcome("applied"), replace(
                note, looked=self._now(), due=due, valid_until=copy.valid_until, failures=0, cause="", message="", entities=1
            )

        terms = _terms(federation.mdq, settings.entity_id, *federation.certificate, str(federation.validity))
        return Source(f"member:{client.id}", terms, federation.refresh, federation.timeout + _LEASE_MARGIN, look)

    def _client(self, client: Client) -> Source:
        settings = _settings(client)
        terms = _terms(settings.metadata_url, settings.metadata_certificate or "", settings.entity_id, str(settings.metadata_validity))
        usual = self._settings.metadata_refresh
        return Source(f"client:{client.id}", terms, usual, _CLIENT_LEASE, lambda note: self._intake.take_client(client, note))

    def _is_due(self, source: Source) -> bool:
        terms, due = self._known_due.get(source.key, ("", 0))
        if terms != source.terms or due <= self._now():
            due = self._note(source).due
            self._known_due[source.key] = (source.terms, due)
        return due <= self._now()

    def _note(self, source: Source) -> Note:
        """What was learned under other terms counts no more."""
        note = self._shelf.note(source.key)
        return note if note.terms == source.terms else Note(terms=source.terms, valid_until=note.valid_until, entities=note.entities)

    def _failed(self, source: Source, note: Note, error: IdpError) -> tuple[Outcome, Note]:
        self._audit.record(
            "saml.metadata_refresh_failed", source=source.key, cause=error.cause, detail=error.message, received=error.received
        )
        due = next_try(note.failures, usual=source.usual, now=self._now())
        kept = replace(note, looked=self._now(), due=due, failures=note.failures + 1, cause=error.cause, message=error.message)
        detail = f"{error.message} ({error.received})" if error.received else error.message
        return Outcome("refused", (detail,)), kept

    def _url_client(self, client_id: str) -> Client:
        client = self._clients.get(client_id)
        if client is None:
            raise IdpError("clients.unknown", f"There is no client {client_id}.", status=404)
        if client.protocol != "saml" or _settings(client).source != "url":
            raise IdpError("saml.no_metadata_url", f"The metadata of {client_id} do not come from an address (metadata_url).")
        return client


def _settings(client: Client) -> SamlSettings:
    settings: SamlSettings = client.settings
    return settings


def _terms(*parts: str) -> str:
    return digest_of("\n".join(parts).encode())[:16]
