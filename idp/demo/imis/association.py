"""The association behind the simulated iMIS: its people as they are now, and their logins with tries and locks."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from idp.clock import Now
from idp.demo.imis.settings import SimulatorSettings
from idp.directory import Attributes
from idp.directory.credential import ClearPassword, fold
from idp.directory.people_file import Person, read_people
from idp.secret import Secret

Verdict = Literal["right", "wrong", "unknown", "locked", "disabled"]


@dataclass(frozen=True)
class Group:
    """A group and somebody in it (5.6)."""

    id: str
    name: str
    person: Person
    active: bool


class Association:
    """People and logins. Requests come in many threads."""

    def __init__(self, people_file: Path, settings: SimulatorSettings, *, now: Now) -> None:
        self._settings = settings
        self._now = now
        self._lock = threading.Lock()
        self._people = {person.id: person for person in read_people(people_file)}
        self._bad_tries: defaultdict[str, deque[int]] = defaultdict(deque)
        self._locked_until: dict[str, int | None] = {person.id: None for person in self._people.values() if person.locked}
        self.password_checks: Counter[str] = Counter()
        """Password checks by user name in lower case, of ValidateUser and the password grant."""

    def people(self) -> list[Person]:
        return list(self._people.values())

    def by_id(self, person_id: str) -> Person | None:
        """Case is no matter: paths are compared so (2.1)."""
        return next((person for person in self.people() if person.id.casefold() == person_id.casefold()), None)

    def by_username(self, username: str) -> Person | None:
        """User names are case-insensitive (5.1, INFERRED)."""
        return next((person for person in self.people() if person.has_login and fold(person.username) == fold(username)), None)

    def check_password(self, username: str, password: str) -> Verdict:
        """Tries a password, and counts the try. The right one does not open a lock."""
        with self._lock:
            self.password_checks[fold(username)] += 1
            person = self.by_username(username)
            if person is None or person.password is None:
                return "unknown"
            if self._is_locked(person.id):
                return "locked"
            if not person.password.matches(Secret(password)):
                self._note_bad_try(person.id)
                return "wrong"
            self._bad_tries.pop(person.id, None)
            return "right" if person.active else "disabled"

    def unlock(self, person_id: str) -> None:
        with self._lock:
            self._locked_until.pop(person_id, None)
            self._bad_tries.pop(person_id, None)

    def change(self, person: Person, *, active: bool | None, locked: bool | None, attributes: dict[str, Any]) -> Person:
        """What staff may do to a contact: disable it, lock it, change its data. An empty list of values removes an attribute."""
        values = {name: (value,) if isinstance(value, str) else tuple(value) for name, value in attributes.items()}
        merged = {name: value for name, value in {**person.attributes, **values}.items() if value}
        changed = replace(person, attributes=merged, active=person.active if active is None else active)
        with self._lock:
            self._people[person.id] = changed
            if locked:
                self._locked_until[person.id] = None
        if locked is False:
            self.unlock(person.id)
        return changed

    def add(self, attributes: Attributes) -> Person:
        """A new contact without a login; its id is the next free number."""
        with self._lock:
            number = 1 + max((int(known) for known in self._people if known.isascii() and known.isdigit()), default=0)
            person = Person(str(number), attributes=attributes)
            self._people[person.id] = person
        return person

    def set_login(self, person_id: str, username: str) -> Person:
        """A login, which has no password yet (5.2: no password is sent with it, SEEN)."""
        with self._lock:
            person = replace(self._people[person_id], username=username)
            self._people[person_id] = person
        return person

    def set_password(self, person_id: str, password: str) -> None:
        with self._lock:
            self._people[person_id] = replace(self._people[person_id], password=ClearPassword(Secret(password)))

    def groups(self) -> list[Group]:
        """Every membership of a committee, past ones too (`former_committees`)."""
        return [
            Group(group_id(name), name, person, active)
            for person in self.people()
            for attribute, active in (("committees", True), ("former_committees", False))
            for name in person.attributes.get(attribute, ())
        ]

    def _is_locked(self, person_id: str) -> bool:
        if person_id not in self._locked_until:
            return False
        until = self._locked_until[person_id]
        return until is None or until > self._now()

    def _note_bad_try(self, person_id: str) -> None:
        tries = self._bad_tries[person_id]
        tries.append(self._now())
        while tries[0] <= self._now() - self._settings.attempt_window:
            tries.popleft()
        if len(tries) >= self._settings.bad_attempts:
            self._locked_until[person_id] = self._now() + self._settings.lock_seconds if self._settings.lock_seconds else None
            tries.clear()


def group_id(name: str) -> str:
    """A code such as EDUCATION_COMMITTEE (5.6: GUID or code)."""
    return "_".join("".join(letter if letter.isalnum() else " " for letter in name).upper().split())
