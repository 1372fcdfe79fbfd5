"""What of the store a backup keeps: what nobody could make again. The rest is good for minutes, or is better lost.

Who is signed in is not kept, and neither are tokens: what was ended or taken back after the backup must not live again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from idp.errors import IdpError
from idp.store import Store, Stored
from idp.store.reading import read_as

KEPT = (
    "client",
    "consent",
    "disclosure",
    "entity",
    "metadata",
    "metadata_reader",
    "notice",
    "registration",
    "setting",
    "sign_in",
    "subject",
    "subject_name",
)
LOST = (
    "code",
    "document",
    "entrance",
    "grace",
    "handle",
    "key_witness",
    "lease",
    "letter",
    "link",
    "logout",
    "pending",
    "pushed",
    "replay",
    "session",
    "spent",
    "throttle",
    "ticket",
    "token",
)
"""Every kind stands in one of the two."""

_ALL = 2**31 - 1


class CopyProblem(IdpError):
    """A copy that cannot be read, or would fall upon what is there."""

    def __init__(self, message: str) -> None:
        super().__init__("backup.unusable", message)


def copy_out(store: Store) -> Iterator[str]:
    """A line of JSON for each record that is kept. Raises StoreUnavailable."""
    for kind in KEPT:
        for stored in store.list(kind, limit=_ALL):
            yield json.dumps({"kind": kind, **asdict(stored)})


def copy_in(store: Store, lines: Iterable[str | bytes]) -> dict[str, int]:
    """Writes them all; how many of each kind. What is there besides stays. Raises CopyProblem, StoreUnavailable."""
    written = dict.fromkeys(KEPT, 0)
    for number, line in enumerate(lines, start=1):
        kind, stored = _read(line, number)
        if kind in written:  # else a newer version wrote it, or an older one kept it
            store.put(kind, stored.key, stored.record, expires=stored.expires)
            written[kind] += 1
    return written


def is_empty(store: Store) -> bool:
    """Whether nothing would be written over. Raises StoreUnavailable."""
    return not any(store.list(kind, limit=1) for kind in KEPT)


def _read(line: str | bytes, number: int) -> tuple[str, Stored]:
    try:
        fields = json.loads(line)
        return str(fields["kind"]), read_as(Stored, fields)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CopyProblem(f"Line {number} of the store's copy cannot be read.") from None
