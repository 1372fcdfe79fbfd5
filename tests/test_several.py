"""Several directories in order: who is asked, whose id it is, and what one that is down means."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from idp.directory import AccountRefused, DirectoryUnavailable, NewPerson, Subject
from idp.directory.choice import DirectorySettings
from idp.directory.several import NamedDirectory, SeveralAccounts, SeveralDirectories
from idp.secret import Secret

GOOD = Secret("good")


@dataclass
class Listed:
    """A directory of names, all with one password; `asked` are the names that were tried."""

    names: tuple[str, ...]
    down: bool = False
    asked: list[str] = field(default_factory=list)

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        self.asked.append(username)
        return self.find(username) if password == GOOD else self._answer(None)

    def find(self, subject_id: str) -> Subject | None:
        return self._answer(Subject(subject_id, subject_id) if subject_id in self.names else None)

    def check(self) -> str:
        self._answer(None)
        return f"{len(self.names)} people."

    def _answer(self, found: Subject | None) -> Subject | None:
        if self.down:
            raise DirectoryUnavailable("it sleeps")
        return found


def pair(members: Listed, staff: Listed, *patterns: str) -> SeveralDirectories:
    return SeveralDirectories([NamedDirectory("members", members), NamedDirectory("staff", staff, "staff:", patterns)])


def test_S39_one_name_in_two_directories_is_two_people() -> None:
    both = pair(Listed(("ada",)), Listed(("ada", "dora")))
    ada, staff = both.authenticate("ada", GOOD), both.find("staff:ada")
    assert ada is not None
    assert staff is not None
    assert (ada.id, staff.id) == ("ada", "staff:ada")
    assert both.find("ada") == ada
    assert (ada.attributes["directory"], staff.attributes["directory"]) == (("members",), ("staff",))


def test_the_next_is_asked_when_the_first_does_not_know_the_password() -> None:
    dora = pair(Listed(("ada",)), Listed(("dora",))).authenticate("dora", GOOD)
    assert dora is not None
    assert dora.id == "staff:dora"
    assert pair(Listed(("ada",)), Listed(("dora",))).authenticate("dora", Secret("bad")) is None


def test_a_name_with_a_pattern_is_asked_in_its_directory_alone() -> None:
    members, staff = Listed(()), Listed(())
    both = pair(members, staff, "*@staff.example.org")
    for name in ("DORA@Staff.Example.Org", "ada"):
        assert both.authenticate(name, GOOD) is None
    assert (members.asked, staff.asked) == (["ada"], ["DORA@Staff.Example.Org"])


def test_F12_one_that_is_down_is_never_a_wrong_password_and_hinders_no_other() -> None:
    both = pair(Listed(("ada",), down=True), Listed(("dora",)))
    assert both.authenticate("dora", GOOD) is not None
    assert both.find("staff:dora") is not None
    for ask in (lambda: both.authenticate("ada", GOOD), lambda: both.find("ada"), both.check):
        with pytest.raises(DirectoryUnavailable) as caught:
            ask()
        assert caught.value.received == "members: it sleeps"


def test_S39_an_id_that_looks_like_anothers_is_nobodys() -> None:
    both = pair(Listed(("staff:dora",)), Listed(("dora",)))
    with pytest.raises(DirectoryUnavailable):
        both.authenticate("staff:dora", GOOD)
    found = both.find("staff:dora")
    assert found is not None
    assert found.attributes["directory"] == ("staff",)


def test_check_names_each() -> None:
    assert pair(Listed(("a",)), Listed(())).check() == "members: 1 people. staff: 0 people."


@dataclass
class Making(Listed):
    """One that makes accounts, too."""

    changed: list[Subject] = field(default_factory=list)

    def find_by_username(self, username: str) -> Subject | None:
        return Subject(username, username) if username in self.names else None

    def find_by_email(self, email: str) -> list[Subject]:
        return [Subject(name, name) for name in self.names if email == f"{name}@mail.example"]

    def create_account(self, person: NewPerson, username: str, password: Secret) -> Subject:
        return Subject(username, username)

    def set_password(self, subject: Subject, password: Secret) -> None:
        self.changed.append(subject)


def test_accounts_are_made_in_the_one_directory_that_can_and_carry_its_prefix() -> None:
    staff = Making(("dora",))
    named = NamedDirectory("staff", staff, "staff:")
    both = SeveralDirectories([NamedDirectory("members", Listed(("ada",)), only_names=("a*",)), named])
    accounts = SeveralAccounts(both, named, staff)
    (dora,) = accounts.find_by_email("dora@mail.example")
    assert dora == both.find("staff:dora")
    assert accounts.create_account(NewPerson("E", "L", "e@mail.example"), "eve", GOOD).id == "staff:eve"
    accounts.set_password(dora, GOOD)
    assert [each.id for each in staff.changed] == ["dora"]
    ada = both.find("ada")
    assert ada is not None
    with pytest.raises(AccountRefused):
        accounts.set_password(ada, GOOD)
    with pytest.raises(AccountRefused):
        accounts.create_account(NewPerson("A", "B", "a@mail.example"), "anna", GOOD)


PEOPLE: dict[str, Any] = {"kind": "people", "people": Path("people.toml")}


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "several"},
        {"kind": "several", "named": {"a": PEOPLE, "b": PEOPLE}},
        {"kind": "several", "named": {"a": {**PEOPLE, "prefix": "A:"}, "b": {**PEOPLE, "prefix": "a:"}}},
        {"kind": "several", "named": {"a": {**PEOPLE, "prefix": "no colon"}}},
        {"kind": "several", "named": {"a": {"kind": "several"}}},
        {"kind": "several", "named": {"a": {"kind": "imis-rest"}}},
        {**PEOPLE, "named": {"a": PEOPLE}},
    ],
)
def test_names_and_prefixes_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        DirectorySettings.model_validate(wrong)


def test_a_people_file_among_several_is_for_trials_too() -> None:
    assert DirectorySettings.model_validate({"kind": "several", "named": {"a": PEOPLE}}).for_trials
