"""Reads a people file: TOML, for trials and tests. Every problem is reported at once, with its entry and line.

    [[people]]
    id = "00101"                # text, so that leading zeros count; the user name, if it is not given
    username = "ada"            # without username and password: a contact without a login
    password = "demo"           # in the clear, for trials only; or password_hash = "scrypt$..."
    active = true               # false: the login is disabled
    locked = false              # true: no password is accepted
    first_name = "Ada"          # every other key is an attribute: text or list of texts

`[people.ada]` may stand in place of `[[people]]` with `username = "ada"`.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from idp.directory import Attributes, Subject
from idp.directory.credential import ClearPassword, StoredPassword, fold, read_hash
from idp.errors import ConfigError
from idp.secret import Secret

_OWN_KEYS = frozenset({"id", "username", "password", "password_hash", "active", "locked"})
_NO_DATE = "0001-01-01"  # how .NET, and so iMIS, writes a date that is not there
_HEADER = re.compile(r"^\s*\[\[\s*people\s*\]\]")


@dataclass(frozen=True)
class Person:
    """One entry of a people file. `attributes` are as written: a date may be 0001-01-01."""

    id: str
    username: str = ""
    password: StoredPassword | None = field(default=None, repr=False)
    attributes: Attributes = field(default_factory=dict)
    active: bool = True
    locked: bool = False

    @property
    def has_login(self) -> bool:
        return bool(self.username)

    def subject(self) -> Subject:
        """The person as the directory shows them. Without a login, or with a disabled one, not active: no session may live on (S49)."""
        kept = {name: values for name, values in self.attributes.items() if values != (_NO_DATE,)}
        full_name = " ".join(value for name in ("first_name", "last_name") for value in kept.get(name, ()))
        if full_name:
            kept.setdefault("full_name", (full_name,))
        kept["imis_id"] = (self.id,)
        if self.username:
            kept["username"] = (self.username,)
        return Subject(self.id, self.username, kept, active=self.active and self.has_login)


class _Problem(ValueError):
    """What is wrong with one entry; never a password."""


@dataclass(frozen=True)
class _Entry:
    """A table of the file and where it stands."""

    place: str
    table: Any
    username: str = ""


def read_people(path: Path) -> tuple[Person, ...]:
    """Everybody in the file. Raises ConfigError with all problems."""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        raise ConfigError([f"The people file {path} cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"The people file {path} is not UTF-8."]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([f"The people file {path} is not TOML: {error}."]) from None
    people: list[tuple[str, Person]] = []
    problems: list[str] = []
    for entry in _entries(document, text):
        try:
            people.append((entry.place, _read_person(entry)))
        except _Problem as problem:
            problems.append(f"{path}, {entry.place}: {problem}.")
    problems += [f"{path}: {clash}." for clash in _clashes(people)]
    if not people and not problems:
        problems.append(f"{path}: there is no [[people]] in it.")
    if problems:
        raise ConfigError(problems)
    return tuple(person for _, person in people)


def _entries(document: Mapping[str, Any], text: str) -> Iterator[_Entry]:
    people = document.get("people", [])
    if isinstance(people, dict):
        for name, table in people.items():
            yield _Entry(f"[people.{name}]", table, name)
        return
    lines = [number for number, line in enumerate(text.splitlines(), start=1) if _HEADER.match(line)]
    known = isinstance(people, list) and len(lines) == len(people)  # otherwise a header stands inside a longer text
    for index, table in enumerate(people if isinstance(people, list) else [people]):
        yield _Entry(f"entry {index + 1} (line {lines[index]})" if known else f"entry {index + 1}", table)


def _read_person(entry: _Entry) -> Person:
    table = entry.table
    if not isinstance(table, dict):
        raise _Problem("a person is a table, as in [[people]]")
    attributes = {name: values for name, value in table.items() if name not in _OWN_KEYS if (values := _texts(name, value))}
    if "imis_id" in attributes:
        raise _Problem("imis_id is filled in from id: write id")
    person = _with_login(Person(id="", attributes=attributes), entry)
    person = replace(person, id=_text(table, "id") or person.username)
    if not person.id:
        raise _Problem("a person needs an id or a username")
    return replace(person, active=_flag(table, "active", True), locked=_flag(table, "locked", False))


def _with_login(person: Person, entry: _Entry) -> Person:
    username = _text(entry.table, "username") or entry.username
    password = _password(entry.table)
    if password and not username:
        raise _Problem("a password without a username")
    if password is None and _text(entry.table, "username"):
        raise _Problem("a username without a password; leave both out for a contact without a login")
    return replace(person, username=username if password else "", password=password, id=username)


def _password(table: Mapping[str, Any]) -> StoredPassword | None:
    if "password" in table and "password_hash" in table:
        raise _Problem("password and password_hash: give one of them")
    if "password_hash" in table:
        try:
            return read_hash(_text(table, "password_hash"))
        except ValueError as error:
            raise _Problem(str(error)) from None
    clear = table.get("password")
    if clear is None:
        return None
    if not isinstance(clear, str) or not clear:
        raise _Problem("a password is a text that is not empty")
    return ClearPassword(Secret(clear))


def _text(table: Mapping[str, Any], name: str) -> str:
    value = table.get(name, "")
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise _Problem(f"{name} is a text")
    return str(value).strip()


def _flag(table: Mapping[str, Any], name: str, otherwise: bool) -> bool:
    value = table.get(name, otherwise)
    if not isinstance(value, bool):
        raise _Problem(f"{name} is true or false")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    """The values of an attribute as texts; an empty text is no value."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(each, (dict, list)) for each in values):
        raise _Problem(f"{name} is a text or a list of texts")
    return tuple(text for each in values if (text := _one_text(each)))


def _one_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value)


def _clashes(people: list[tuple[str, Person]]) -> Iterator[str]:
    """Two people of one id, or of one user name in any case (S39): each pair with both places."""
    for what in ("id", "user name"):
        seen: dict[str, tuple[str, str]] = {}
        for place, person in people:
            value = person.id if what == "id" else person.username
            if value and fold(value) in seen:
                other_place, other = seen[fold(value)]
                yield f'two people have the {what} "{other}": {other_place} and {place}'
            elif value:
                seen[fold(value)] = (place, value)
