"""A small built-in directory from a people file, for trials and tests: its passwords may stand there in the clear."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from idp.directory import DirectoryUnavailable, Subject
from idp.directory.credential import ClearPassword, ScryptPassword, fold, hash_password, usable
from idp.directory.people_file import Person, read_people
from idp.errors import ConfigError
from idp.secret import Secret, new_secret


class PeopleDirectory:
    """The people of one file, read again when it has changed. Raises ConfigError at the start if the file cannot be used.

    Later a file that cannot be used is DirectoryUnavailable: its editor finds the reason in the log, and nobody is told "wrong password".
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stranger: ScryptPassword | ClearPassword = hash_password(Secret(new_secret()))
        self._stamp = self._read_stamp()
        self._people = _Index(read_people(path))

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        people = self._current()
        if not usable(username, password):
            return None
        person = people.by_username.get(fold(username))
        matches = self._matches(person, password, hashing=people.hashing)
        if person is None or not matches or person.locked or not person.active:
            return None
        return person.subject()

    def find(self, subject_id: str) -> Subject | None:
        person = self._current().by_id.get(subject_id)
        return person.subject() if person else None

    def find_by_username(self, username: str) -> Subject | None:
        person = self._current().by_username.get(fold(username))
        return person.subject() if person else None

    def check(self) -> str:
        return f"The people file {self._path} has {len(self._current().by_id)} people. It is for trials."

    def _matches(self, person: Person | None, password: Secret, *, hashing: bool) -> bool:
        """The same work whoever is asked for: one scrypt where the file has any hash, none where it has none (S83)."""
        known = person.password if person else None
        if hashing and not isinstance(known, ScryptPassword):
            self._stranger.matches(password)
        return (known or ClearPassword(Secret(new_secret()))).matches(password)

    def _current(self) -> _Index:
        stamp = self._read_stamp()
        with self._lock:
            if stamp != self._stamp:
                try:
                    self._people = _Index(read_people(self._path))
                except ConfigError as error:
                    raise DirectoryUnavailable(error.problems[0]) from None
                self._stamp = stamp
            return self._people

    def _read_stamp(self) -> tuple[int, int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


class _Index:
    """The people by what they are looked up with."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.by_id = {person.id: person for person in people}
        self.by_username = {fold(person.username): person for person in people if person.has_login}
        self.hashing = any(isinstance(person.password, ScryptPassword) for person in people)
