"""Copies of metadata in the store, where every worker finds them, and the notes about who looked when.

Kind `entity` holds copies, each under a key that says whose it is; `metadata` holds the notes and leases. Copies change in whole
records: whoever reads meanwhile has the one or the other.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from idp.clock import Now
from idp.secret import new_id
from idp.store import Store
from idp.store.reading import read_as

_VERSION = "metadata.version"
_FOR_EVER = 2**40


@dataclass(frozen=True)
class Copy:
    """One entity's metadata. Times in seconds since 1970; `due` is when a copy that nobody watches over wants to be looked at again."""

    entity_id: str
    xml: str
    taken: int
    valid_until: int | None = None
    due: int | None = None
    published: int | None = None


@dataclass(frozen=True)
class Note:
    """What is known of a source since it was last looked at. `terms` says what it was asked for: with other terms nothing here counts.
    `published` and `ends` are those of the edition in force, by which an older one is known."""

    terms: str = ""
    due: int = 0
    looked: int = 0
    etag: str = ""
    modified: str = ""
    valid_until: int | None = None
    entities: int = 0
    failures: int = 0
    cause: str = ""
    message: str = ""
    warnings: tuple[str, ...] = field(default_factory=tuple)
    published: int | None = None
    ends: int | None = None


class Shelf:
    """Reads and writes copies and notes. Every verb may raise StoreUnavailable."""

    def __init__(self, store: Store, *, now: Now) -> None:
        self._store = store
        self._now = now

    def version(self) -> int:
        """Rises with each change of what is in force."""
        stored = self._store.get("setting", _VERSION)
        return int(stored.record["count"]) if stored else 0

    def moved(self) -> None:
        self._store.bump("setting", _VERSION, 1, expires=_FOR_EVER)

    def copy(self, key: str) -> Copy | None:
        stored = self._store.get("entity", key)
        return read_as(Copy, stored.record) if stored else None

    def keep(self, key: str, copy: Copy) -> None:
        self._store.put("entity", key, asdict(copy), expires=None)

    def drop(self, key: str) -> bool:
        return self._store.delete("entity", key)

    def take(self, key: str) -> Copy | None:
        """The copy, which is then gone: of two that accept it, one does."""
        stored = self._store.take("entity", key)
        return read_as(Copy, stored.record) if stored else None

    def note(self, source: str) -> Note:
        stored = self._store.get("metadata", f"note:{source}")
        return read_as(Note, stored.record, warnings=tuple(stored.record["warnings"])) if stored else Note()

    def write_note(self, source: str, note: Note) -> None:
        self._store.put("metadata", f"note:{source}", {**asdict(note), "warnings": list(note.warnings)}, expires=None)

    def register(self, source: str) -> dict[str, str]:
        """Key -> digest of every copy that a federation has here; an empty digest stands for one that may be half written."""
        stored = self._store.get("metadata", f"register:{source}")
        return dict(stored.record) if stored else {}

    def write_register(self, source: str, register: Mapping[str, str]) -> None:
        record: dict[str, Any] = dict(register)
        self._store.put("metadata", f"register:{source}", record, expires=None)

    def first_time(self, what: str, *, until: int) -> bool:
        """Whether nobody has said so before `until`."""
        return self._store.put_new("metadata", f"said:{what}", {}, expires=until)

    @contextmanager
    def lease(self, source: str, *, seconds: int) -> Iterator[bool]:
        """Whether the source is ours for so long: of all workers and commands one gets it. It is given back at the end."""
        key, holder = f"lease:{source}", new_id()
        won = self._store.put_new("metadata", key, {"holder": holder}, expires=self._now() + seconds)
        try:
            yield won
        finally:
            stored = self._store.get("metadata", key) if won else None
            if stored is not None and stored.record["holder"] == holder:
                self._store.delete("metadata", key)


def member_key(federation: str, entity_id: str) -> str:
    """The key of a federation's copy, which is also the id of that client."""
    digest = base64.b32encode(hashlib.sha256(entity_id.encode("utf-8", "surrogatepass")).digest()).decode().lower()
    return f"{federation}.{digest[:32]}"


def client_key(client_id: str) -> str:
    """The key of the copy in force of a client's metadata_url."""
    return f"client:{client_id}"


def staged_key(client_id: str) -> str:
    """The key of the copy that waits to be accepted."""
    return f"staged:{client_id}"


def digest_of(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
