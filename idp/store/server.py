"""What a database server says of itself, for whoever looks after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class DatabaseServer:
    """`members` hold data, arbiters do not; `clock` is in seconds since 1970; `wire_version` tells the release (17: MongoDB 6.0)."""

    replica_set: str
    members: int
    clock: int
    wire_version: int


@runtime_checkable
class Inspectable(Protocol):
    """An ability of stores that are a server of their own."""

    def inspect(self) -> DatabaseServer:
        """Raises StoreUnavailable."""
