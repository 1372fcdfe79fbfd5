"""The accounts of the demo, from people.toml: those to sign in with, and the one by which the sign-in service asks the simulated iMIS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from idp.directory.credential import ClearPassword
from idp.directory.people_file import Person, read_people
from idp.secret import Secret

_SERVICE_ROLE = "RemoteService"  # iMIS gives it to accounts of programs (facts on iMIS 2.1)


@dataclass(frozen=True)
class Account:
    """Somebody to sign in as, and a few words on who they are."""

    username: str
    password: str
    about: str


@dataclass(frozen=True)
class ServiceAccount:
    """The sign-in service's own account in iMIS."""

    username: str
    password: Secret


def read_accounts(people: Path) -> Sequence[Account]:
    """Everybody who has a password, but for the service account. Raises ConfigError."""
    everybody = (person for person in read_people(people) if person.password and not _is_service(person))
    return [Account(person.username, _clear(person).reveal(), _about(person)) for person in everybody]


def service_account(people: Path) -> ServiceAccount:
    """The one with iMIS's role for programs. Raises ConfigError."""
    person = next(person for person in read_people(people) if _is_service(person))
    return ServiceAccount(person.username, _clear(person))


def _is_service(person: Person) -> bool:
    return _SERVICE_ROLE in person.attributes.get("roles", ())


def _clear(person: Person) -> Secret:
    assert isinstance(person.password, ClearPassword)  # the demo's people have theirs in the clear
    return person.password.text


def _about(person: Person) -> str:
    """Such as "Ada Example, Director at Example Labs, Active"; what keeps them from signing in comes last."""
    place = " at ".join(value for name in ("title", "company") for value in person.attributes.get(name, ()))
    notes = ["the login is disabled"] * (not person.active) + ["the login is locked"] * person.locked
    name = person.subject().attributes.get("full_name", (person.username,))[0]
    return ", ".join(part for part in (name, place, *person.attributes.get("status", ()), *notes) if part)
