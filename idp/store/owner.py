"""Who runs the private mongod of a data folder. One process owns it; others, such as `idp clients add`, are its guests.

Two lock files decide, since the kernel lets go of a lock whatever becomes of its process: `mongod.lock` is held by the owner, and
`mongod.guests` is shared by the guests, for whom the owner waits a little before it stops. `mongod.json` tells guests the way.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

_LOOK_AGAIN = 0.05  # seconds between two tries for a lock


@dataclass(frozen=True)
class Owner:
    """What the owner tells its guests."""

    uri: str
    socket: str
    pid: int


class Ownership:
    """The right to run the mongod of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None
        os.register_at_fork(after_in_child=self.release)  # a forked worker must not keep the lock of an owner that was killed

    def claim(self) -> bool:
        """Takes the right if nobody has it; whether it is ours."""
        if self._lock is None:
            self._lock = _locked(self._folder / "mongod.lock", fcntl.LOCK_EX, patience=0)
            if self._lock is not None:
                self._forget()  # an owner that was killed left its word behind
        return self._lock is not None

    def announce(self, owner: Owner) -> None:
        """Lets guests in."""
        temporary = self._folder / ".mongod.json"
        with open(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            json.dump(asdict(owner), file)
        temporary.replace(self._folder / "mongod.json")

    def see_guests_off(self, *, patience: float) -> None:
        """Lets no more guests in, and waits that many seconds for those who are there."""
        self._forget()
        guests = _locked(self._folder / "mongod.guests", fcntl.LOCK_EX, patience=patience)
        if guests is not None:
            os.close(guests)

    def release(self) -> None:
        """Gives the right back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _forget(self) -> None:
        (self._folder / "mongod.json").unlink(missing_ok=True)


@contextmanager
def visited(folder: Path) -> Iterator[Owner | None]:
    """The owner whose guest we are meanwhile, or None if none lets us in."""
    guests = _locked(folder / "mongod.guests", fcntl.LOCK_SH, patience=0)
    try:
        owner = announced(folder) if guests is not None else None
        yield owner if owner is not None and answers(owner.socket) else None
    finally:
        if guests is not None:
            os.close(guests)


def announced(folder: Path) -> Owner | None:
    """What the owner has said, if there is one."""
    try:
        return Owner(**json.loads((folder / "mongod.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def answers(path: str) -> bool:
    """Whether somebody listens at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        return connection.connect_ex(path) == 0


def _locked(path: Path, operation: int, *, patience: float) -> int | None:
    """The locked file; close it to unlock. None if others kept it for so many seconds."""
    file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    ending = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= ending:
                os.close(file)
                return None
            time.sleep(_LOOK_AGAIN)
        else:
            return file
