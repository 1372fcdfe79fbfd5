"""iMIS 2017 and older, hosted or on-premise: passwords by the membership web service, attributes by REST where that is set up.

Without REST a member is a user name and roles (facts on iMIS, 7.2). With it everything but roles is read as from cloud iMIS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from idp.clock import Now
from idp.directory import DirectoryUnavailable, Drift, LineState, LoginLocked, PasswordExpired, Subject
from idp.directory.bulkhead import Bulkhead
from idp.directory.credential import fold, usable
from idp.directory.deadline import Deadline
from idp.directory.imis_api import ImisApi
from idp.directory.imis_browser import BrowserDoor
from idp.directory.imis_contact import ContactReader
from idp.directory.imis_fields import role_names
from idp.directory.imis_soap import MembershipService
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret, digest
from idp.store import Store, StoreUnavailable

_WORD = re.compile(r"[A-Za-z]{1,40}")


class ImisSoapDirectory:
    """One iMIS with a membership web service. Threads may share it."""

    def __init__(self, settings: ImisRestSettings, *, store: Store, now: Now) -> None:
        self._settings = settings
        self._store = store
        self._now = now
        self._service = MembershipService(settings, now=now)
        self._api = ImisApi(settings, store=store, now=now) if settings.service_username else None
        self._contacts = ContactReader(settings, self._api, roles=False, store=store, now=now) if self._api else None
        self._door = BrowserDoor(settings, self._api, self._service, self._by_username, store=store, now=now)
        self._bulkhead = Bulkhead(
            settings.max_concurrent, waiting=settings.max_waiting, seconds=settings.wait_timeout, late=self._service.is_late
        )

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        if not usable(username, password) or not _writable(username, password):
            return None
        name = username.strip()
        with self._operation() as deadline:
            if self._settings.service_username and fold(name) == fold(self._settings.service_username):
                self._service.described(deadline)
                return None  # asked nothing about: wrong passwords typed by a stranger would lock it
            if not self._validate(name, password, deadline):
                return None
            subject = self._subject(name, deadline)
            if subject is None:
                raise DirectoryUnavailable("GET /api/User: 0 logins of a name whose password iMIS accepts")
            roles = self._roles(name, password, deadline) if subject.active and self._settings.read_roles else ()
        self._remember(subject, roles)
        return _with_roles(subject, roles) if subject.active else None

    def find(self, subject_id: str) -> Subject | None:
        with self._operation() as deadline:
            if self._contacts is None:
                return self._remembered(subject_id)
            subject = self._contacts.by_id(subject_id, deadline)
        return self._known(subject) if subject else None

    def find_by_username(self, username: str) -> Subject | None:
        """Without REST only those who have signed in are known. The service account is nobody's."""
        name = username.strip()
        if not usable(name, Secret("x")) or fold(name) == fold(self._settings.service_username):
            return None
        if self._contacts is None:
            return self._remembered(fold(name))
        with self._operation() as deadline:
            return self._by_username(name, deadline)

    def _by_username(self, username: str, deadline: Deadline) -> Subject | None:
        """Whoever iMIS says is signed in under this name, with the roles of their last sign-in here."""
        subject = self._subject(username, deadline)
        return self._known(subject) if subject else None

    def check(self) -> str:
        with self._operation() as deadline:
            operations = self._service.described(deadline)
            if self._settings.soap_check not in operations:
                raise DirectoryUnavailable(f"the membership service has no {self._settings.soap_check}")
            drift: list[Drift] = []
            if self._contacts is not None:
                self._contacts.login(self._settings.service_username, deadline)  # so that REST is known to answer
                drift = self._contacts.drift(deadline)
        extent = "attributes by REST" if self._contacts else "user names and roles only, since service_username is not set"
        warnings = "".join(f" ATTENTION: {problem.sentence}." for problem in drift)
        return f"The membership service at {self._settings.site_url} answers; {extent}.{warnings}"

    def lines(self) -> dict[str, LineState]:
        return {"SOAP": self._service.state, **({"REST": self._api.state} if self._api else {})}

    def drift(self) -> list[Drift]:
        if self._contacts is None:
            return []
        with self._operation() as deadline:
            return self._contacts.drift(deadline)

    def exchange(self, refresh_token: Secret) -> Subject | None:
        with self._operation() as deadline:
            return self._door.exchange(refresh_token, deadline)

    def subject_of_cookie(self, login_cookie: Secret) -> Subject | None:
        with self._operation() as deadline:
            return self._door.subject_of_cookie(login_cookie, deadline)

    @contextmanager
    def _operation(self) -> Iterator[Deadline]:
        with self._bulkhead.slot():
            yield Deadline(self._settings.operation_timeout)

    def _subject(self, username: str, deadline: Deadline) -> Subject | None:
        """Without REST the user name is all there is, and so it is the id: in one spelling, however it is typed."""
        if self._contacts is not None:
            return self._contacts.by_username(username, deadline)
        return _bare(fold(username))

    def _validate(self, username: str, password: Secret, deadline: Deadline) -> bool:
        """The one password check (F13). Of LoginUser only Succeeded is success; its other words are UNKNOWN (12 row 7)."""
        operation = self._settings.soap_check
        arguments = {"username": username, "password": password.reveal()}
        if operation == "LoginUser":
            arguments |= {"staffUser": "false"}
        found = self._service.call(operation, arguments, deadline)
        answer = found[0] if found and len(found) == 1 else ""
        if operation == "LoginUser" and _WORD.fullmatch(answer):
            return self._succeeded(answer)
        if operation == "ValidateUser" and answer.lower() in ("true", "false", "1", "0"):
            return answer.lower() in ("true", "1")
        raise DirectoryUnavailable(f"{operation} of the membership service: neither yes nor no")

    def _succeeded(self, answer: str) -> bool:
        """Raises SignInBarred."""
        if answer in self._settings.locked_answers:
            raise LoginLocked
        if answer in self._settings.expired_answers:
            raise PasswordExpired
        return answer == "Succeeded"

    def _roles(self, username: str, password: Secret, deadline: Deadline) -> tuple[str, ...]:
        """Asked with the password that has just been right: no try is lost. GUIDs among them are dropped (7.2)."""
        arguments = {"loginAsUser": username, "loginPassword": password.reveal()}
        return role_names(self._service.call("GetRolesWithLogin", arguments, deadline) or [], "GetRolesWithLogin")

    def _key(self, subject_id: str) -> str:
        return f"imis_member:{digest(f'{self._settings.site_url} {subject_id}')[:32]}"

    def _remember(self, subject: Subject, roles: tuple[str, ...]) -> None:
        try:
            expires = self._now() + self._settings.remember_roles
            self._store.put("setting", self._key(subject.id), {"id": subject.id, "roles": list(roles)}, expires=expires)
        except StoreUnavailable:
            return  # the sign-in itself will say so if it needs the store

    def _recalled(self, subject_id: str) -> tuple[str, ...] | None:
        """The roles of the last sign-in; None if nobody of that id is remembered."""
        try:
            stored = self._store.get("setting", self._key(subject_id))
        except StoreUnavailable as error:
            raise DirectoryUnavailable(f"the store, where roles are remembered: {error.received}") from None
        return tuple(str(role) for role in stored.record["roles"]) if stored and stored.record["id"] == subject_id else None

    def _known(self, subject: Subject) -> Subject:
        return _with_roles(subject, self._recalled(subject.id) or ()) if subject.active else subject

    def _remembered(self, subject_id: str) -> Subject | None:
        """Without REST nobody can be looked up: whoever has signed in is taken to be there still."""
        if not usable(subject_id, Secret("x")):
            return None
        roles = self._recalled(subject_id)
        return _with_roles(_bare(subject_id), roles) if roles is not None else None


def _bare(name: str) -> Subject:
    return Subject(name, name, {"username": (name,)})


def _with_roles(subject: Subject, roles: tuple[str, ...]) -> Subject:
    return replace(subject, attributes={**subject.attributes, "roles": roles}) if roles else subject


def _writable(username: str, password: Secret) -> bool:
    """Whether XML can carry both (XML 1.0, 2.2); nobody's password in iMIS has what it cannot."""
    texts = f"{username}{password.reveal()}"
    return not any((character < " " and character not in "\t\r\n") or character in "\ufffe\uffff" for character in texts)
