"""Gives each client the service provider that its metadata describe, wherever these are kept."""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from dataclasses import replace

from idp.audit import Audit
from idp.clock import Now
from idp.protocols.saml.entity import MetadataProblem, ServiceProvider
from idp.protocols.saml.settings import SamlServerSettings, SamlSettings
from idp.protocols.saml.source.folder import Folder
from idp.protocols.saml.source.shelf import Copy, Shelf, client_key, member_key
from idp.protocols.saml.source.validity import check_end
from idp.sso.client import Client
from idp.store import Store, StoreUnavailable

Stamp = Hashable
"""Changes when the metadata of a client have."""


class Library:
    """Reads what is here already; fetching is the refresher's."""

    def __init__(self, settings: SamlServerSettings, store: Store, *, audit: Audit, now: Now) -> None:
        self._shelf = Shelf(store, now=now)
        self._folder = Folder(settings.metadata_folder, audit=audit)
        self._now = now
        self._version = -1

    def stamps(self, clients: list[Client]) -> dict[str, Stamp]:
        """For each client; the store and the folder are asked at most once, and only if a client has to do with them."""
        sources = {client.id: _settings(client).source for client in clients}
        if {"url", "federation"} & set(sources.values()):
            with suppress(StoreUnavailable):  # then what was known goes on
                self._version = self._shelf.version()
        dropped = tuple(self._folder.look().stamps.items()) if "folder" in sources.values() else ()
        by_source: dict[str, Stamp] = {"url": self._version, "federation": self._version, "folder": dropped}
        return {
            client.id: by_source[source] if source in by_source else _file_stamp(client)
            for client in clients
            if (source := sources[client.id])
        }

    def folder_problems(self) -> list[str]:
        """A sentence for each file of the folder that cannot be used."""
        return [f"metadata folder: {sentence}" for sentence in self._folder.look().problems.values()]

    def read(self, client: Client) -> ServiceProvider:
        """What is in force. Raises MetadataProblem, StoreUnavailable."""
        settings = _settings(client)
        provider = self._provider(client, settings)
        check_end(provider.valid_until, longest=settings.metadata_validity, now=self._now())
        return provider

    def _provider(self, client: Client, settings: SamlSettings) -> ServiceProvider:
        if settings.source == "url":
            return read_copy(settings, self._shelf.copy(client_key(client.id)))
        if settings.source == "federation":
            copy = self._shelf.copy(member_key(settings.federation, settings.entity_id))
            return read_copy(settings, copy, around=self._shelf.note(f"federation:{settings.federation}").valid_until)
        if settings.source == "folder":
            raw = self._folder.find(settings.entity_id)
            if raw is None:
                raise awaited("No file of the metadata folder describes the application yet.", settings.entity_id)
            return settings.read(raw)
        return settings.provider()


def read_copy(settings: SamlSettings, copy: Copy | None, *, around: int | None = None) -> ServiceProvider:
    """The service provider of a copy. A federation's was verified before it came to the shelf; `around` is until when all of it is valid.
    Raises MetadataProblem."""
    if copy is None:
        raise awaited("The application's metadata have not been fetched yet.", settings.entity_id or settings.metadata_url)
    provider = settings.read(copy.xml.encode(), entity_id=copy.entity_id)
    ends = [each for each in (provider.valid_until, copy.valid_until, around) if each is not None]
    return replace(provider, valid_until=min(ends, default=None))


def awaited(message: str, what: str) -> MetadataProblem:
    return MetadataProblem("awaited", message, expected=what)


def _settings(client: Client) -> SamlSettings:
    settings: SamlSettings = client.settings
    return settings


def _file_stamp(client: Client) -> Stamp:
    path = _settings(client).metadata
    try:
        status = path.stat() if path else None
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size) if status else None
