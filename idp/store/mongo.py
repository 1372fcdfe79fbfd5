"""The store in MongoDB (6.0 or later, a replica set): one collection for each kind, one server command for each verb."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, TypeVar

from bson.codec_options import DatetimeConversion
from bson.datetime_ms import DatetimeMS
from pymongo import IndexModel, MongoClient, ReturnDocument
from pymongo import timeout as driver_timeout
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.server_api import ServerApi

from idp.clock import Now, utc_now
from idp.store import INDEXED, Record, Stored, StoreUnavailable
from idp.store.record import EMPTY, findable_field, pack, plain, text_of, unpack
from idp.store.server import DatabaseServer

Document = dict[str, Any]
Result = TypeVar("Result")
_Found = list[Stored]  # inside the class, `list` is the verb
_BY_KEY = "_id_"  # an index is named, or the planner would weigh the one on `expires` against it
_RELEASES = {17: "6.0", 21: "7.0", 25: "8.0"}  # by wire version: Stable API has no `buildInfo`


@dataclass(frozen=True)
class _Connection:
    client: MongoClient[Document]
    collections: dict[str, Collection[Document]] = field(default_factory=dict)


class MongoStore:
    """The verbs of `Store`. A document is `{_id, record: JSON text, count, index: {field: text}, revision, expires: date or null}`.

    The client is built at first use in each process (a client does not survive a fork) and is shared by its threads.
    `timeout` is the deadline of a verb in milliseconds, with all retries of the driver.
    """

    def __init__(self, uri: str, *, database: str = "idp", now: Now = utc_now, timeout: int = 5000) -> None:
        self._uri = uri
        self.database = database
        self._now = now
        self._timeout = timeout
        self._connections: dict[int, _Connection] = {}  # by process id

    def put(self, kind: str, key: str, record: Record, *, expires: int | None) -> None:
        update = {"$set": _content(kind, record, expires), "$inc": {"revision": 1}}
        with self._answering():
            collection = self._collection(kind)
            _twice(lambda: collection.update_one({"_id": plain(key)}, update, upsert=True))

    def put_new(self, kind: str, key: str, record: Record, *, expires: int | None) -> bool:
        content = _content(kind, record, expires)
        with self._answering():
            collection = self._collection(kind)
            try:
                collection.insert_one({"_id": plain(key), **content, "revision": 1})
            except DuplicateKeyError:
                return self._replace_expired(collection, key, content)
        return True

    def _replace_expired(self, collection: Collection[Document], key: str, content: Document) -> bool:
        """One command again: it matches an expired document, inserts if the TTL monitor was quicker, or meets a live one."""
        expired = {"_id": plain(key), "expires": {"$lte": self._date()}}
        try:
            collection.update_one(expired, {"$set": content, "$inc": {"revision": 1}}, upsert=True, hint=_BY_KEY)
        except DuplicateKeyError:
            return False
        return True

    def get(self, kind: str, key: str) -> Stored | None:
        with self._answering():  # by `_id` alone is the server's fastest way; whether it is live, we see ourselves
            return self._live(self._collection(kind).find_one({"_id": plain(key)}))

    def take(self, kind: str, key: str) -> Stored | None:
        with self._answering():  # an expired document may go as well
            return self._live(self._collection(kind).find_one_and_delete({"_id": plain(key)}))

    def change(self, kind: str, key: str, record: Record, *, revision: int, expires: int | None) -> bool:
        unmoved = {"_id": plain(key), "revision": {"$eq": revision}, **self._alive()}
        update = {"$set": _content(kind, record, expires), "$inc": {"revision": 1}}
        with self._answering():
            return self._collection(kind).update_one(unmoved, update, hint=_BY_KEY).matched_count == 1

    def bump(self, kind: str, key: str, by: int, *, expires: int) -> int:
        update = [{"$set": _bumped(by, self._date(), _date(expires))}]
        with self._answering():
            collection = self._collection(kind)
            after = _twice(
                lambda: collection.find_one_and_update(
                    {"_id": plain(key)}, update, {"count": 1}, upsert=True, return_document=ReturnDocument.AFTER
                )
            )
        return int((after or {})["count"])  # with `upsert` there is always one

    def find(self, kind: str, field: str, value: str, *, limit: int = 1000) -> _Found:
        return self._found(kind, self._having(kind, field, value), _by(field), limit)

    def list(self, kind: str, *, limit: int = 10_000) -> _Found:
        return self._found(kind, self._alive(), _BY_KEY, limit)

    def _found(self, kind: str, matching: Document, index: str, limit: int) -> _Found:
        """In the order of the index."""
        if limit < 1:
            return []  # to MongoDB 0 is no limit
        with self._answering():
            return [_stored(document) for document in self._collection(kind).find(matching, limit=limit, hint=index)]

    def delete(self, kind: str, key: str) -> bool:
        with self._answering():
            return self._collection(kind).delete_one({"_id": plain(key), **self._alive()}, hint=_BY_KEY).deleted_count == 1

    def delete_where(self, kind: str, field: str, value: str) -> int:
        matching = self._having(kind, field, value)
        with self._answering():
            return self._collection(kind).delete_many(matching, hint=_by(field)).deleted_count

    def sweep(self) -> int:
        return 0  # the TTL index does it

    def ping(self, *, patience: int | None = None) -> str:
        with driver_timeout(min(self._timeout, patience or self._timeout) / 1000):
            version = int(self._hello()["maxWireVersion"])
        return f"mongodb {_RELEASES.get(version, f'of wire version {version}')}"

    def inspect(self) -> DatabaseServer:
        """`Inspectable`: what the primary says of itself."""
        said = self._hello()
        data = [*said.get("hosts", ()), *said.get("passives", ())]
        clock = int(said["localTime"].replace(tzinfo=UTC).timestamp())
        return DatabaseServer(said.get("setName", ""), len(data), clock, int(said["maxWireVersion"]))

    def _hello(self) -> Document:
        with self._answering():
            return self._connection().client.admin.command("hello")

    def close(self) -> None:
        connection = self._connections.pop(os.getpid(), None)
        if connection is not None:
            connection.client.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """After a failure the indexes are made sure of again: the database may have been dropped, or restored from a backup."""
        try:
            yield
        except PyMongoError as error:
            if connection := self._connections.get(os.getpid()):
                connection.collections.clear()
            raise StoreUnavailable(_cause(error)) from None  # the driver's own text may quote the URI with its password

    def _connection(self) -> _Connection:
        """This process's own. No lock, since a fork might copy it locked: of two threads one client is used, the other closed."""
        process = os.getpid()
        connection = self._connections.get(process)
        if connection is None:
            built = _Connection(_client(self._uri, self._timeout))
            connection = self._connections.setdefault(process, built)
            if connection is not built:
                built.client.close()
        return connection

    def _collection(self, kind: str) -> Collection[Document]:
        """The kind's collection; its indexes are made sure of once in a process, with one command that mostly finds them there."""
        connection = self._connection()
        collection = connection.collections.get(kind)
        if collection is None:
            collection = connection.client[self.database][kind]
            indexes = [IndexModel(f"index.{name}") for name in INDEXED[kind]]
            collection.create_indexes([IndexModel("expires", expireAfterSeconds=0), *indexes])
            connection.collections[kind] = collection
        return collection

    def _date(self) -> DatetimeMS:
        return DatetimeMS(self._now() * 1000)

    def _alive(self) -> Document:
        return {"expires": {"$not": {"$lte": self._date()}}}  # null is for ever

    def _having(self, kind: str, field: str, value: str) -> Document:
        return {f"index.{findable_field(kind, field)}": plain(value), **self._alive()}

    def _live(self, document: Mapping[str, Any] | None) -> Stored | None:
        stored = _stored(document) if document is not None else None
        return stored if stored and (stored.expires is None or stored.expires > self._now()) else None


def _client(uri: str, timeout: int) -> MongoClient[Document]:
    """Says all that safety rests on, so that no option in the URI weakens it. `timeoutMS` is one deadline, retries included."""
    try:
        return _configured(uri, timeout)
    except (PyMongoError, ValueError, TypeError, KeyError) as error:  # by the part of the URI that is wrong
        raise StoreUnavailable(f"the MongoDB URI cannot be used: {_cause(error)}") from None


def _configured(uri: str, timeout: int) -> MongoClient[Document]:
    return MongoClient(
        uri,
        server_api=ServerApi("1", strict=True, deprecation_errors=True),
        w="majority",
        journal=True,
        readConcernLevel="majority",
        readPreference="primary",  # a secondary may still show a session that was ended
        retryWrites=True,
        retryReads=True,
        timeoutMS=timeout,
        tz_aware=True,
        datetime_conversion=DatetimeConversion.DATETIME_MS,  # as plain milliseconds: no year is out of range
        appname="idp",
    )


def _cause(error: Exception) -> str:
    """What may be logged: failures of the network name hosts only; of the others no text is kept, only name and code."""
    name = type(error).__name__
    if isinstance(error, ConnectionFailure):
        return f"{name}: {str(error)[:200]}"
    if isinstance(error, OperationFailure):
        return f"{name} {error.code} {(error.details or {}).get('codeName', '')}".strip()
    return name


def _twice(command: Callable[[], Result]) -> Result:
    """Two upserts of one new key may collide (facts, section 6); the second try then finds the document."""
    try:
        return command()
    except DuplicateKeyError:
        return command()


def _content(kind: str, record: Record, expires: int | None) -> Document:
    packed = pack(kind, record)
    index = {name: value for name, value in packed.fields.items() if value is not None}
    return {"record": packed.text, "count": packed.count, "index": index, "expires": _date(expires)}


def _by(field: str) -> str:
    """The name that the driver gives the index on a field."""
    return f"index.{field}_1"


def _date(seconds: int | None) -> DatetimeMS | None:
    """A BSON date: the TTL index passes over numbers."""
    return None if seconds is None else DatetimeMS(seconds * 1000)


def _bumped(by: int, now: DatetimeMS, expires: DatetimeMS | None) -> Document:
    """What `bump` sets, as expressions over the document that is there: a missing or expired one begins afresh."""
    missing = {"$eq": [{"$type": "$revision"}, "missing"]}
    expired = {"$and": [{"$eq": [{"$type": "$expires"}, "date"]}, {"$lte": ["$expires", now]}]}
    fresh = {"$or": [missing, expired]}
    return {
        "count": {"$add": [{"$cond": [fresh, 0, {"$ifNull": ["$count", 0]}]}, by]},
        "expires": {"$cond": [fresh, expires, "$expires"]},
        "record": {"$cond": [fresh, EMPTY, "$record"]},
        "index": {"$cond": [fresh, {}, "$index"]},
        "revision": {"$add": [{"$ifNull": ["$revision", 0]}, 1]},
    }


def _stored(document: Mapping[str, Any]) -> Stored:
    expires = document["expires"]
    return Stored(
        text_of(document["_id"]),
        unpack(document["record"], document["count"]),
        document["revision"],
        None if expires is None else int(expires) // 1000,
    )
