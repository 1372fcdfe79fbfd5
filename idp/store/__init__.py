"""Where sessions, tickets and codes wait: the interface. `mongo` and `sqlite` implement it, `embedded` starts a private mongod.

Rules that every implementation keeps and `tests/conformance/test_store.py` proves:

- each verb is one atomic operation of the database; of any number of callers one wins;
- what has expired is gone at once, whether or not a sweeper has run (facts: the TTL monitor lags by a minute);
- a write that was acknowledged survives `kill -9`;
- keys that are secrets are given as their SHA-256: the caller does that, the store never sees the secret;
- a record is a JSON object (text keys; text, int, float, bool, None, lists and objects), copied in and copied out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from idp.errors import Unavailable

Record = dict[str, Any]

INDEXED: Mapping[str, tuple[str, ...]] = {
    "client": (),
    "code": ("session_id",),
    "consent": ("subject_id",),
    "disclosure": ("subject_id",),
    "document": (),
    "entity": (),
    "entrance": (),
    "grace": ("subject_id",),
    "handle": (),
    "key_witness": (),
    "lease": (),
    "letter": (),
    "link": ("subject_id",),
    "logout": (),
    "metadata": (),
    "metadata_reader": (),
    "notice": ("client_id",),
    "pending": ("browser",),
    "pushed": (),
    "registration": (),
    "replay": (),
    "session": ("subject_id", "due"),
    "setting": (),
    "sign_in": ("subject_id",),
    "spent": (),
    "subject": (),
    "subject_name": ("name", "subject_id"),
    "throttle": (),
    "ticket": ("session_id",),
    "token": ("session_id", "family", "subject_id"),
}
"""Every kind of record there is, and the top-level text fields by which `find` and `delete_where` may look for it."""


@dataclass(frozen=True)
class Stored:
    """One record as it was read: `revision` rises by one with every change, `expires` is in seconds since 1970 or None for ever."""

    key: str
    record: Record
    revision: int
    expires: int | None


class StoreUnavailable(Unavailable):
    """The database did not answer within its deadline; nothing is known about the write."""

    def __init__(self, cause: str) -> None:
        super().__init__(
            "store.unavailable",
            "The sign-in service cannot reach its database at the moment. Please try again in a minute.",
            received=cause,
        )


class Store(Protocol):
    """The verbs. `kind` must stand in INDEXED (KeyError otherwise). `expires` is in seconds since 1970; None means for ever."""

    def put(self, kind: str, key: str, record: Record, *, expires: int | None) -> None:
        """Writes the record whether or not the key was there."""

    def put_new(self, kind: str, key: str, record: Record, *, expires: int | None) -> bool:
        """Writes only if no live record has the key; False if one has."""

    def get(self, kind: str, key: str) -> Stored | None:
        """The live record, or None."""

    def take(self, kind: str, key: str) -> Stored | None:
        """Removes and returns the live record; of many callers at once exactly one gets it."""

    def change(self, kind: str, key: str, record: Record, *, revision: int, expires: int | None) -> bool:
        """Replaces the live record if it still has `revision`; False if it has moved on or gone."""

    def bump(self, kind: str, key: str, by: int, *, expires: int) -> int:
        """Adds to the counter `count` of a record, which begins at 0 and then expires at `expires`; returns the new count.

        The expiry of a counter that is already there stays as it is.
        """

    def find(self, kind: str, field: str, value: str, *, limit: int = 1000) -> list[Stored]:
        """Live records whose indexed field has the value, in no order."""

    def list(self, kind: str, *, limit: int = 10_000) -> list[Stored]:
        """Live records of a kind, by key."""

    def delete(self, kind: str, key: str) -> bool:
        """Removes the record; whether a live one was there."""

    def delete_where(self, kind: str, field: str, value: str) -> int:
        """Removes all records whose indexed field has the value; how many live ones there were."""

    def sweep(self) -> int:
        """Removes what has expired, where the database does not do it by itself; how many were removed."""

    def ping(self, *, patience: int | None = None) -> str:
        """A short name of what answers, such as `mongodb 6.0`. `patience` in milliseconds, if it is shorter than the store's own
        deadline. Raises StoreUnavailable."""

    def close(self) -> None:
        """Lets the connection go; the store is not used after that."""
