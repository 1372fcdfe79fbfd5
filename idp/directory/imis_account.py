"""Makes accounts and sets passwords in cloud iMIS, by the service account (facts on iMIS, 5.2, 5.3 and 5.7).

iMIS makes them in steps: Person, then User, then UpdatePassword. What can be known beforehand is asked first, so that no half of
an account is left: nothing public tells how to take a contact back.
"""

from __future__ import annotations

import re

from idp.directory import AccountRefused, DirectoryUnavailable, NewPerson, Subject
from idp.directory.credential import fold, usable
from idp.directory.deadline import Deadline
from idp.directory.imis_api import ImisApi
from idp.directory.imis_contact import ContactReader, is_contact_id
from idp.directory.imis_fields import contact_id
from idp.directory.imis_refusal import taken
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret

_CONTRACTS = "Asi.Soa.Membership.DataContracts"
_OPERATOR = re.compile(r"[A-Za-z]+:")  # a filter would read it as its operator (4.3)


class ImisAccounts:
    """What a service account with the role SysAdmin may do to others' accounts."""

    def __init__(self, settings: ImisRestSettings, api: ImisApi, contacts: ContactReader) -> None:
        self._settings = settings
        self._api = api
        self._contacts = contacts

    def find_by_email(self, email: str, deadline: Deadline) -> list[Subject]:
        wanted = email.strip()
        if "@" not in wanted or _OPERATOR.match(wanted) or not usable(wanted, Secret("x")):
            return []
        return [subject for subject in self._contacts.by_email(wanted, deadline) if not self._is_service(subject.username)]

    def create_account(self, person: NewPerson, username: str, password: Secret, deadline: Deadline) -> Subject:
        name = username.strip()
        self._check(name, password)
        if self._is_service(name) or self._contacts.login(name, deadline) is not None:
            raise taken()
        subject_id = self._create_person(person, deadline)
        self._api.create("User", {"$type": f"{_CONTRACTS}.UserData, Asi.Contracts", "UserName": name, "UserId": subject_id}, deadline)
        self._write_password(name, password, deadline)
        subject = self._contacts.by_id(subject_id, deadline)
        if subject is None or fold(subject.username) != fold(name):
            raise DirectoryUnavailable("POST /api/User: the account that was made is not there")
        return subject

    def set_password(self, subject: Subject, password: Secret, deadline: Deadline) -> None:
        self._check(subject.username, password)
        if self._is_service(subject.username) or set(self._contacts.roles(subject.username, deadline)) & set(self._settings.no_reset_roles):
            raise AccountRefused(
                "directory.reset_forbidden", "The password of this account can be changed in the membership system only: please ask staff."
            )
        self._write_password(subject.username, password, deadline)
        self._api.change("UserSecurity", "UnlockUser", _fill(self._settings.unlock_user_arguments, subject.username, password), deadline)

    def _create_person(self, person: NewPerson, deadline: Deadline) -> str:
        record = {
            "$type": f"{_CONTRACTS}.PersonData, Asi.Contracts",
            "PersonName": {
                "$type": f"{_CONTRACTS}.PersonNameData, Asi.Contracts",
                "FirstName": person.first_name,
                "LastName": person.last_name,
            },
            "Email": person.email,
        }
        subject_id = contact_id(self._api.create("Person", record, deadline), "Id", "PartyId")
        if not is_contact_id(subject_id):
            raise DirectoryUnavailable("POST /api/Person: an answer without an id")
        return subject_id

    def _write_password(self, username: str, password: Secret, deadline: Deadline) -> None:
        arguments = _fill(self._settings.update_password_arguments, username, password)
        self._api.change("UserSecurity", "UpdatePassword", arguments, deadline)

    def _check(self, username: str, password: Secret) -> None:
        """iMIS's own rule, asked of the password before anything is written (5.7)."""
        if not usable(username, password):
            raise AccountRefused("directory.account_refused", "A user name and a password of sane length are needed.")
        if not re.match(self._settings.password_rule, password.reveal(), re.DOTALL):
            raise AccountRefused("directory.password_refused", f"A password is {self._settings.password_rule_text}.")

    def _is_service(self, username: str) -> bool:
        return fold(username) == fold(self._settings.service_username)


def _fill(template: tuple[str | bool | int, ...], username: str, password: Secret) -> list[str | bool | int]:
    given = {"{username}": username, "{password}": password.reveal()}
    return [given.get(each, each) if isinstance(each, str) else each for each in template]
