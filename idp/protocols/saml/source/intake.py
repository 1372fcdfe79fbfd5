"""Brings metadata from outside to the shelf: fetched by the guarded door, verified, compared with what is in force, and only then kept.

What fails on the way changes nothing: the last good copy stays in force.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, Protocol
from urllib.parse import quote

from idp.audit import Audit
from idp.clock import Now
from idp.protocols.saml.document import METADATA
from idp.protocols.saml.entity import MetadataProblem, ServiceProvider
from idp.protocols.saml.settings import FederationSettings, SamlServerSettings, SamlSettings
from idp.protocols.saml.source.aggregate import read_entities, read_validity, verify_aggregate
from idp.protocols.saml.source.change import differences
from idp.protocols.saml.source.library import read_copy
from idp.protocols.saml.source.shelf import Copy, Note, Shelf, client_key, digest_of, member_key, staged_key
from idp.protocols.saml.source.validity import Validity, check_edition, check_validity, next_look
from idp.sso.client import Client
from idp.web.outbound import Download

_CLIENT_SECONDS = 20
_MOST_LINES = 50
_MOST_WARNINGS = 20


class Fetch(Protocol):
    """The guarded door: `Outbound.download`."""

    def __call__(
        self, url: str, into: BinaryIO, *, max_bytes: int, seconds: float, etag: str = "", modified: str = ""
    ) -> Download: ...  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of a look: "unchanged", "applied", "staged", "refused", "busy" or "not due"; `lines` say what changed or why."""

    state: str
    lines: tuple[str, ...] = ()


class Intake:
    """Each verb looks once and says what came of it, with the note to keep. Raises MetadataProblem, OutboundRefused, OutboundFailed."""

    def __init__(self, settings: SamlServerSettings, *, shelf: Shelf, fetch: Fetch, audit: Audit, now: Now) -> None:
        self._settings = settings
        self._shelf = shelf
        self._fetch = fetch
        self._audit = audit
        self._now = now

    def take_client(self, client: Client, note: Note) -> tuple[Outcome, Note]:
        """The metadata_url of one application."""
        settings: SamlSettings = client.settings
        usual, now = self._settings.metadata_refresh, self._now()
        body = BytesIO()
        got = self._fetch(
            settings.metadata_url, body, max_bytes=METADATA.size, seconds=_CLIENT_SECONDS, etag=note.etag, modified=note.modified
        )
        if not got.new:
            return Outcome("unchanged"), _good(note, Validity(note.valid_until), usual=usual, now=now)
        raw = body.getvalue()
        current = self._shelf.copy(client_key(client.id))
        provider = settings.read(raw, entity_id=current.entity_id if current else "")
        validity = read_validity(raw)
        check_validity(provider.valid_until, longest=settings.metadata_validity, now=now)
        if settings.metadata_validity is not None:
            check_validity(validity.valid_until, longest=settings.metadata_validity, now=now)  # the root's own (SDP-MD03)
        if settings.metadata_certificate and current is not None and _readable(settings, current):
            check_edition(validity, read_validity(current.xml.encode()), now=now)
        outcome = self._weigh(client, current, provider, Copy(provider.entity_id, raw.decode(), now))
        note = replace(note, etag=got.etag, modified=got.modified, entities=1)
        return outcome, _good(note, replace(validity, valid_until=provider.valid_until), usual=usual, now=now)

    def _weigh(self, client: Client, current: Copy | None, provider: ServiceProvider, fresh: Copy) -> Outcome:
        """In force at once: the first copy, one that changes nothing but times and wording, one that a pinned key has signed."""
        old = _readable(client.settings, current)
        lines = tuple(differences(old, provider)) if old else ()
        if old and lines and not client.settings.metadata_certificate:
            self._shelf.keep(staged_key(client.id), fresh)
            self._audit.record("saml.metadata_staged", client=client.id, changes=lines[:_MOST_LINES])
            return Outcome("staged", lines)
        self._shelf.keep(client_key(client.id), fresh)
        self._shelf.drop(staged_key(client.id))
        self._shelf.moved()
        if lines or not old:
            self._audit.record("saml.metadata_applied", client=client.id, changes=lines[:_MOST_LINES])
        return Outcome("applied" if lines or not old else "unchanged", lines)

    def take_aggregate(self, name: str, federation: FederationSettings, note: Note, named: Mapping[str, Client]) -> tuple[Outcome, Note]:
        """All of a federation. `named` has the clients that want to hear about their own changes, by the key of their copy."""
        with self._received(federation, note) as (got, received), TemporaryFile() as verified:
            now = self._now()
            if not got.new:
                return Outcome("unchanged"), _good(note, Validity(note.valid_until), usual=federation.refresh, now=now)
            validity = verify_aggregate(received, verified, federation.keys())
            check_validity(validity.valid_until, longest=federation.validity, now=now)
            check_edition(validity, Validity(note.ends, published=note.published), now=now)
            edition = _Edition(self._shelf, name, now=now)
            lines, warnings = edition.replace_by(verified, lambda key, copy: self._tell(named.get(key), copy))
        note = replace(note, etag=got.etag, modified=got.modified, entities=edition.size, warnings=warnings)
        note = replace(note, published=validity.published, ends=validity.valid_until)
        self._shelf.write_note(f"federation:{name}", replace(note, valid_until=validity.valid_until))
        self._shelf.moved()
        self._audit.record("saml.federation_applied", federation=name, entities=edition.size, changes=lines, left_out=warnings)
        return Outcome("applied", lines), _good(note, validity, usual=federation.refresh, now=now)

    def take_member(self, name: str, federation: FederationSettings, entity_id: str, *, seconds: float) -> Copy:
        """One entity of a federation that is asked by MDQ; its copy is kept."""
        with TemporaryFile() as received, TemporaryFile() as verified:
            url = f"{federation.mdq.rstrip('/')}/entities/{quote(entity_id, safe='')}"
            self._fetch(url, received, max_bytes=METADATA.size, seconds=min(seconds, federation.timeout))
            validity = verify_aggregate(received, verified, federation.keys())
            check_validity(validity.valid_until, longest=federation.validity, now=self._now())
            found = [each for each in read_entities(verified) if each.entity_id == entity_id]
        if len(found) != 1:
            raise MetadataProblem("entity_unknown", "The federation answered with something else.", expected=entity_id)
        if found[0].problem:
            raise MetadataProblem("unusable", f"The application {found[0].problem}.", received=entity_id)
        now = self._now()
        due = next_look(validity, usual=federation.refresh, now=now)
        ends = [each for each in (validity.valid_until, found[0].valid_until) if each is not None]
        end = min(ends, default=None)
        if held := self._shelf.copy(member_key(name, entity_id)):
            check_edition(replace(validity, valid_until=end), Validity(held.valid_until, published=held.published), now=now)
        copy = Copy(entity_id, found[0].xml.decode(), now, valid_until=end, due=due, published=validity.published)
        self._shelf.keep(member_key(name, entity_id), copy)
        return copy

    @contextmanager
    def _received(self, federation: FederationSettings, note: Note) -> Iterator[tuple[Download, BinaryIO]]:
        if federation.file is not None:
            with _opened(federation.file, federation.max_bytes) as (stamp, file):
                yield Download(stamp != note.etag, stamp), file
            return
        with TemporaryFile() as received:
            limits = {"max_bytes": federation.max_bytes, "seconds": federation.timeout}
            yield self._fetch(federation.url, received, etag=note.etag, modified=note.modified, **limits), received

    def _tell(self, client: Client | None, copy: Copy) -> None:
        """Into the audit log, what changes for an application that a client names."""
        if client is None:
            return
        old = _readable(client.settings, self._shelf.copy(member_key(client.settings.federation, copy.entity_id)))
        new = _readable(client.settings, copy)
        if old and new and (lines := differences(old, new)):
            self._audit.record("saml.metadata_applied", client=client.id, changes=lines[:_MOST_LINES])


class _Edition:
    """One edition of a federation's metadata, on its way to the shelf. What did not change is not written."""

    def __init__(self, shelf: Shelf, name: str, *, now: int) -> None:
        self._shelf = shelf
        self._name = name
        self._now = now
        self.size = 0

    def replace_by(self, verified: BinaryIO, tell: _Tell) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What became of it, and warnings. The document is read twice, so that nothing is written if its last entity is at fault.

        The register first says which copies may be half written: an importer that is killed leaves nothing that the next one misses.
        """
        fresh, warnings = self._digests(verified)
        held = self._shelf.register(self._name)
        changed = {key for key, digest in fresh.items() if held.get(key) != digest}
        gone = held.keys() - fresh.keys()
        self._shelf.write_register(self._name, {**held, **dict.fromkeys(changed, "")})
        for entity in read_entities(verified) if changed else ():
            key = member_key(self._name, entity.entity_id)
            if key in changed:
                copy = Copy(entity.entity_id, entity.xml.decode(), self._now, valid_until=entity.valid_until)
                tell(key, copy)
                self._shelf.keep(key, copy)
        for key in gone:
            self._shelf.drop(key)
        self._shelf.write_register(self._name, fresh)
        self.size = len(fresh)
        return (f"{len(fresh)} applications, {len(changed)} new or changed, {len(gone)} gone",), warnings

    def _digests(self, verified: BinaryIO) -> tuple[dict[str, str], tuple[str, ...]]:
        """Of every service provider that can be used. Which of two descriptions of one is meant nobody can know: neither counts."""
        fresh: dict[str, str] = {}
        problems: dict[str, str] = {}
        for entity in read_entities(verified):
            key, digest = member_key(self._name, entity.entity_id), digest_of(entity.xml + str(entity.valid_until).encode())
            problem = entity.problem or ("is described twice" if fresh.get(key, digest) != digest else "")
            if problem:
                problems[key] = f"{entity.entity_id} {problem} and is left out"
            fresh[key] = digest
        for key in problems:
            del fresh[key]
        if not fresh:
            raise MetadataProblem("no_sp", "The metadata describe no service provider.")
        return fresh, tuple(sorted(problems.values())[:_MOST_WARNINGS])


class _Tell(Protocol):
    def __call__(self, key: str, copy: Copy) -> None: ...


@contextmanager
def _opened(path: Path, max_bytes: int) -> Iterator[tuple[str, BinaryIO]]:
    """A federation's file and a stamp of it. Raises MetadataProblem."""
    try:
        status = path.stat()
        if status.st_size > max_bytes:
            raise MetadataProblem("too_large", f"The metadata file {path} is too large.", expected=f"at most {max_bytes} bytes")
        file = path.open("rb")
    except OSError as error:
        raise MetadataProblem("unreadable", f"The metadata file {path} cannot be read: {error.strerror}.") from None
    with file:
        yield f"{status.st_mtime_ns}-{status.st_size}", file


def _good(note: Note, validity: Validity, *, usual: int, now: int) -> Note:
    """The note after a look that went well."""
    due = next_look(validity, usual=usual, now=now)
    return replace(note, valid_until=validity.valid_until, looked=now, due=due, failures=0, cause="", message="")


def _readable(settings: SamlSettings, copy: Copy | None) -> ServiceProvider | None:
    """None also for a copy that the settings of today refuse: what comes after it changes nothing that was in force."""
    try:
        return read_copy(settings, copy)
    except MetadataProblem:
        return None
