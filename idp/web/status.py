"""How the service stands at this moment, for operators: one reading of everything, for the page and for Prometheus."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from idp import __version__
from idp.clock import Now
from idp.directory import Directory, LineReader, LineState
from idp.errors import IdpError
from idp.keys import KeyRing, Use
from idp.keys.calendar import Change
from idp.sso.client import Clients
from idp.sso.drift import DriftWatch
from idp.sso.last_signon import LastSignOns
from idp.store import Store
from idp.web.metric import Reading

T = TypeVar("T")
_QUEUES = {"letter": "letters to be mailed", "logout": "logouts under way", "notice": "logout notices that wait"}
_MOST = 1000


@dataclass(frozen=True)
class KeyRow:
    use: str
    kid: str
    state: str
    since: int
    valid_until: int


@dataclass(frozen=True)
class ChangeRow:
    """What the calendar of keys will do, and when."""

    use: str
    step: str
    kind: str
    kid: str
    at: int


@dataclass(frozen=True)
class ClientRow:
    id: str
    name: str
    protocol: str
    source: str
    last_signon: int | None
    metadata_looked: int | None
    """When its metadata were last fetched; None where they are not fetched."""


@dataclass(frozen=True)
class Status:
    """Times are seconds since 1970."""

    at: int
    store: str
    """What answers, such as `mongodb 7.0`; empty if nothing does."""
    problems: tuple[str, ...]
    keys: tuple[KeyRow, ...] = ()
    changes: tuple[ChangeRow, ...] = ()
    lines: Mapping[str, LineState] = field(default_factory=dict)
    """The circuit breakers of the membership system, as the worker sees them that answers."""
    drifts: tuple[str, ...] = ()
    clients: tuple[ClientRow, ...] = ()
    queues: Mapping[str, int] = field(default_factory=dict)
    version: str = __version__
    python: str = platform.python_version()

    def readings(self) -> Iterator[Reading]:
        """The same as gauges. Clients are named as in our configuration, so strangers choose no label."""
        yield "idp_build", "1, with the version.", {"version": self.version, "python": self.python}, 1
        yield "idp_store_up", "Whether the store answers.", {}, bool(self.store)
        yield "idp_problems", "What makes the service less than ready.", {}, len(self.problems)
        yield "idp_drift_warnings", "Changes found in iMIS's stored queries.", {}, len(self.drifts)
        for key in self.keys:
            labels = {"use": key.use, "kid": key.kid, "state": key.state}
            yield "idp_key_valid_until_seconds", "End of the certificate.", labels, key.valid_until
        for change in self.changes:
            labels = {"use": change.use, "step": change.step, "kind": change.kind}
            yield "idp_key_change_seconds", "When the calendar will take the step.", labels, change.at
        for line, state in self.lines.items():
            yield "idp_directory_open", "Whether this worker's circuit breaker is open.", {"line": line}, state != "closed"
        for kind, count in self.queues.items():
            yield "idp_waiting", "What waits in the store.", {"kind": kind}, count
        for client in self.clients:
            if client.last_signon is not None:
                yield "idp_client_last_signon_seconds", "Last answer, to the minute.", {"client": client.id}, client.last_signon
            if client.metadata_looked is not None:
                yield "idp_client_metadata_seconds", "When metadata were last fetched.", {"client": client.id}, client.metadata_looked

    @staticmethod
    def written(seconds: int | None) -> str:
        """A moment for people; a dash for none."""
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC" if seconds else "–"

    @property
    def waiting(self) -> dict[str, int]:
        return {_QUEUES[kind]: count for kind, count in self.queues.items()}


class StatusReader:
    """Reads it all. What does not answer becomes a problem by its cause; the rest is still shown."""

    def __init__(
        self,
        *,
        store: Store,
        keys: Mapping[Use, KeyRing],
        changes: Callable[[], Iterable[tuple[Use, Change]]],
        directory: Directory,
        clients: Clients,
        drift: DriftWatch,
        last_signons: LastSignOns,
        metadata_looked: Callable[[], Mapping[str, int]],
        now: Now,
    ) -> None:
        self._store = store
        self._keys = keys
        self._changes = changes
        self._directory = directory
        self._clients = clients
        self._drift = drift
        self._last_signons = last_signons
        self._metadata_looked = metadata_looked
        self._now = now

    def read(self) -> Status:
        problems: list[str] = []
        store = _or(problems, self._store.ping, "")
        keys: tuple[KeyRow, ...] = _or(problems, self._key_rows, ())
        changes: tuple[ChangeRow, ...] = _or(problems, self._change_rows, ())
        lines = self._directory.lines() if isinstance(self._directory, LineReader) else {}
        problems += sorted({"directory.unavailable" for state in lines.values() if state == "open"})
        if not store:
            return Status(self._now(), "", tuple(problems), keys, changes, lines)
        return Status(
            self._now(),
            store,
            keys=keys,
            changes=changes,
            lines=lines,
            drifts=_or(problems, lambda: tuple(sorted(drift.sentence for drift in self._drift.known())), ()),
            clients=_or(problems, self._client_rows, ()),
            queues=_or(problems, lambda: {kind: len(self._store.list(kind, limit=_MOST)) for kind in _QUEUES}, {}),
            problems=tuple(problems),  # after all that may add to them
        )

    def _key_rows(self) -> tuple[KeyRow, ...]:
        return tuple(row for use, ring in self._keys.items() for row in _rows(use, ring))

    def _change_rows(self) -> tuple[ChangeRow, ...]:
        return tuple(ChangeRow(use, each.step, each.kind, each.kid, each.at) for use, each in self._changes())

    def _client_rows(self) -> tuple[ClientRow, ...]:
        looked = self._metadata_looked()
        known = sorted(self._clients.snapshot().clients.values(), key=lambda client: client.name.casefold())
        return tuple(
            ClientRow(each.id, each.name, each.protocol, each.source, self._last_signons.of(each.id), looked.get(each.id)) for each in known
        )


def _rows(use: str, ring: KeyRing) -> tuple[KeyRow, ...]:
    return tuple(KeyRow(use, key.kid, key.state, key.since, int(key.certificate.not_valid_after_utc.timestamp())) for key in ring.published)


def _or(problems: list[str], read: Callable[[], T], otherwise: T) -> T:
    try:
        return read()
    except IdpError as error:
        problems.append(error.cause)
        return otherwise
