"""The store in one SQLite file, for one machine where no mongod can run: one table for each kind, one statement for each verb."""

# ruff: noqa: S608  (the names in the SQL come from INDEXED alone; every value is a parameter)

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from idp.clock import Now, utc_now
from idp.store import INDEXED, Record, Stored, StoreUnavailable
from idp.store.record import EMPTY, findable_field, pack, plain, text_of, unpack

_Found = list[Stored]  # inside the class, `list` is the verb
_Row = tuple[Any, ...]
_Rows = list[_Row]
_READ = "key, record, count, revision, expires"
_ALIVE = "(expires IS NULL OR expires > :now)"
_NO_SPACE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
"""The disk is full, or the process may not make a file larger. The statement is undone, as each is a transaction of its own."""


@dataclass(frozen=True)
class _Process:
    """What one process has open. Connections wait here between verbs, so there are never more than threads at work at once."""

    idle: list[sqlite3.Connection] = field(default_factory=list)
    writing: threading.Lock = field(default_factory=threading.Lock)


class SqliteStore:
    """The verbs of `Store`. Every commit is flushed to the disk before it is acknowledged (`synchronous=FULL`).

    Connections belong to the process that opened them and serve one thread at a time. SQLite forbids to carry one over a fork (the
    child would believe that it holds its parent's locks), so they are closed before it; no verb should be under way meanwhile.
    `timeout` is how long a verb waits for others that write, in milliseconds.
    """

    def __init__(self, path: Path, *, now: Now = utc_now, timeout: int = 5000) -> None:
        self._path = path
        self._now = now
        self._timeout = timeout / 1000
        self._processes: dict[int, _Process] = {}  # by process id
        _before_forks(weakref.WeakMethod(self.close))

    def put(self, kind: str, key: str, record: Record, *, expires: int | None) -> None:
        self._write(_STATEMENTS[kind].put, self._parameters(kind, key, record, expires))

    def put_new(self, kind: str, key: str, record: Record, *, expires: int | None) -> bool:
        return bool(self._write(_STATEMENTS[kind].put_new, self._parameters(kind, key, record, expires)))

    def get(self, kind: str, key: str) -> Stored | None:
        return _first(self._read(_STATEMENTS[kind].get, {"key": plain(key), "now": self._now()}))

    def take(self, kind: str, key: str) -> Stored | None:
        return _first(self._write(_STATEMENTS[kind].take, {"key": plain(key), "now": self._now()}))

    def change(self, kind: str, key: str, record: Record, *, revision: int, expires: int | None) -> bool:
        parameters = {**self._parameters(kind, key, record, expires), "revision": revision}
        return bool(self._write(_STATEMENTS[kind].change, parameters))

    def bump(self, kind: str, key: str, by: int, *, expires: int) -> int:
        parameters = {"key": plain(key), "count": by, "expires": expires, "now": self._now()}
        return int(self._write(_STATEMENTS[kind].bump, parameters)[0][0])

    def find(self, kind: str, field: str, value: str, *, limit: int = 1000) -> _Found:
        parameters = {"value": plain(value), "now": self._now(), "limit": max(limit, 0)}
        statement = f'SELECT {_READ} FROM "{kind}" WHERE "{findable_field(kind, field)}" = :value AND {_ALIVE} LIMIT :limit'
        return [_stored(row) for row in self._read(statement, parameters)]

    def list(self, kind: str, *, limit: int = 10_000) -> _Found:
        rows = self._read(_STATEMENTS[kind].list, {"now": self._now(), "limit": max(limit, 0)})
        return [_stored(row) for row in rows]

    def delete(self, kind: str, key: str) -> bool:
        return self.take(kind, key) is not None

    def delete_where(self, kind: str, field: str, value: str) -> int:
        statement = f'DELETE FROM "{kind}" WHERE "{findable_field(kind, field)}" = :value AND {_ALIVE} RETURNING 1'
        return len(self._write(statement, {"value": plain(value), "now": self._now()}))

    def sweep(self) -> int:
        now = {"now": self._now()}
        return sum(len(self._write(f'DELETE FROM "{kind}" WHERE expires <= :now RETURNING 1', now)) for kind in INDEXED)

    def ping(self, *, patience: int | None = None) -> str:  # noqa: ARG002  (a read waits for nobody)
        self._read('SELECT 1 FROM "setting" LIMIT 1', {})
        return f"sqlite {sqlite3.sqlite_version}"

    def close(self) -> None:
        process = self._processes.pop(os.getpid(), _Process())
        while process.idle:
            process.idle.pop().close()

    def _parameters(self, kind: str, key: str, record: Record, expires: int | None) -> dict[str, Any]:
        packed = pack(kind, record)
        return {
            **packed.fields,
            "key": plain(key),
            "record": packed.text,
            "count": packed.count,
            "expires": expires,
            "now": self._now(),
        }

    def _read(self, statement: str, parameters: Mapping[str, Any]) -> _Rows:
        with _answering(), self._connection() as connection:
            return connection.execute(statement, parameters).fetchall()

    def _write(self, statement: str, parameters: Mapping[str, Any]) -> _Rows:
        """Threads queue for a lock, since SQLite's own way to wait is to sleep and look again; it is left for other processes."""
        writing = self._process().writing
        if not writing.acquire(timeout=self._timeout):
            raise StoreUnavailable("other threads have been writing all the time")
        try:
            return self._read(statement, parameters)  # fetched to the end: only then is the statement committed
        finally:
            writing.release()

    def _process(self) -> _Process:
        """This process's own. No lock, since a fork might copy it locked."""
        process = os.getpid()
        return self._processes.get(process) or self._processes.setdefault(process, _Process())

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """One that no other thread has. After a failure it is closed, so the next verb begins with a new one; not while the disk
        is full, when what is stored could still be read through it, but no new one be opened (F9)."""
        idle = self._process().idle
        try:
            connection = idle.pop()
        except IndexError:
            connection = _open(self._path, self._timeout)
        try:
            yield connection
        except BaseException as error:
            if getattr(error, "sqlite_errorcode", None) in _NO_SPACE:
                idle.append(connection)
            else:
                connection.close()
            raise
        idle.append(connection)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreUnavailable(f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}") from None
    except OSError as error:
        raise StoreUnavailable(f"{error.filename}: {error.strerror}") from None


def _before_forks(close: Callable[[], Callable[[], None] | None]) -> None:
    """Has the store closed before each fork, if it is still there."""

    def close_if_there() -> None:
        if method := close():
            method()

    os.register_at_fork(before=close_if_there)


def _open(path: Path, timeout: float) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _create(path)
    connection = sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        with _alone(path):
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            _prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _create(path: Path) -> None:
    """For the owner alone; SQLite gives its other files the same mode. A file that is there must not be opened beside SQLite:
    closing it would drop the locks that this process's connections hold on it (sqlite.org, "How To Corrupt", 2.2)."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One connection at a time prepares the file: the change to WAL does not wait for others, it fails."""
    with open(os.open(f"{path}-lock", os.O_CREAT | os.O_RDWR, 0o600), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _prepare(connection: sqlite3.Connection) -> None:
    """Tables and indexes. Fields stand in columns of their own: `json_extract` cuts a text at its first NUL."""
    present = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
    missing = [statement for kind, fields in INDEXED.items() for statement in _missing(kind, fields, present)]
    if missing:
        for statement in ("BEGIN IMMEDIATE", *missing, "COMMIT"):
            connection.execute(statement)


def _missing(kind: str, fields: tuple[str, ...], present: set[str]) -> Iterator[str]:
    """The statements that make a table whole; a field that an older release did not index yet is filled from the records."""
    if kind not in present:
        columns = "".join(f', "{name}"' for name in fields)
        yield (
            f'CREATE TABLE "{kind}" (key NOT NULL PRIMARY KEY, record TEXT NOT NULL, count INTEGER,'
            f" revision INTEGER NOT NULL, expires INTEGER{columns})"
        )
    for name in ("expires", *fields):
        if f"{kind} by {name}" in present:
            continue
        if kind in present and name != "expires":
            yield f'ALTER TABLE "{kind}" ADD COLUMN "{name}"'
            yield f'UPDATE "{kind}" SET "{name}" = json_extract(record, \'$.{name}\')'
        yield f'CREATE INDEX "{kind} by {name}" ON "{kind}" ("{name}")'


class _Statements:
    """The SQL of one kind. Right of `=` in an update stands what was there before, and `excluded` is what would have been inserted."""

    def __init__(self, kind: str, fields: tuple[str, ...]) -> None:
        content = ("record", "count", "expires", *fields)
        columns = ", ".join(f'"{name}"' for name in ("key", *content))
        values = ", ".join(f":{name}" for name in ("key", *content))
        insert = f'INSERT INTO "{kind}" ({columns}, revision) VALUES ({values}, 1)'
        replace = ", ".join(f'"{name}" = excluded."{name}"' for name in content) + ", revision = revision + 1"
        alter = ", ".join(f'"{name}" = :{name}' for name in content) + ", revision = revision + 1"
        restart = ", ".join(f'"{name}" = iif(expires <= :now, excluded."{name}", "{name}")' for name in content if name != "count")
        self.put = f"{insert} ON CONFLICT (key) DO UPDATE SET {replace}"
        self.put_new = f"{insert} ON CONFLICT (key) DO UPDATE SET {replace} WHERE expires <= :now RETURNING 1"
        self.get = f'SELECT {_READ} FROM "{kind}" WHERE key = :key AND {_ALIVE}'
        self.take = f'DELETE FROM "{kind}" WHERE key = :key AND {_ALIVE} RETURNING {_READ}'
        self.change = f'UPDATE "{kind}" SET {alter} WHERE key = :key AND revision = :revision AND {_ALIVE} RETURNING 1'
        self.bump = (
            f"INSERT INTO \"{kind}\" (key, record, count, expires, revision) VALUES (:key, '{EMPTY}', :count, :expires, 1)"
            f" ON CONFLICT (key) DO UPDATE SET {restart}, revision = revision + 1,"
            " count = iif(expires <= :now, 0, coalesce(count, 0)) + excluded.count RETURNING count"
        )
        self.list = f'SELECT {_READ} FROM "{kind}" WHERE {_ALIVE} ORDER BY key LIMIT :limit'


_STATEMENTS = {kind: _Statements(kind, fields) for kind, fields in INDEXED.items()}


def _first(rows: _Rows) -> Stored | None:
    return _stored(rows[0]) if rows else None


def _stored(row: _Row) -> Stored:
    key, record, count, revision, expires = row
    return Stored(text_of(key), unpack(record, count), revision, expires)
