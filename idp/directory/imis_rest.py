"""Cloud iMIS (EMS) as a directory: ValidateUser through a service account, then the contact's data, all by REST.

The plan is in facts on iMIS 2.4, 4 and 5: an ordinary member cannot have a token of their own (2.1), so a service account asks for them.
One sign-in is one password check, whatever happens: iMIS counts the tries and locks after five (F13).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from idp.clock import Now
from idp.directory import DirectoryUnavailable, Drift, LineState, NewPerson, Subject
from idp.directory.bulkhead import Bulkhead
from idp.directory.credential import fold, usable
from idp.directory.deadline import Deadline
from idp.directory.imis_account import ImisAccounts
from idp.directory.imis_api import ImisApi
from idp.directory.imis_browser import BrowserDoor
from idp.directory.imis_contact import ContactReader
from idp.directory.imis_fields import plain
from idp.directory.imis_soap import MembershipService
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret
from idp.store import Store


class ImisRestDirectory:
    """One iMIS. Threads may share it; workers share its token through the store."""

    def __init__(self, settings: ImisRestSettings, *, store: Store, now: Now) -> None:
        self._settings = settings
        self._api = ImisApi(settings, store=store, now=now)
        self._contacts = ContactReader(settings, self._api, roles=settings.read_roles, store=store, now=now)
        self._accounts = ImisAccounts(settings, self._api, self._contacts)
        self._service = MembershipService(settings, now=now) if settings.login_cookie else None
        self._door = BrowserDoor(settings, self._api, self._service, self._contacts.by_username, store=store, now=now)
        self._bulkhead = Bulkhead(
            settings.max_concurrent, waiting=settings.max_waiting, seconds=settings.wait_timeout, late=self._api.is_late
        )

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        if not usable(username, password):
            return None
        name = username.strip()
        with self._operation() as deadline:
            if fold(name) == fold(self._settings.service_username):
                self._read_nothing(deadline)
                return None
            if not self._validate(name, password, deadline):
                return None
            subject = self._contacts.by_username(name, deadline)
        if subject is None:
            raise DirectoryUnavailable("GET /api/User: 0 logins of a name whose password iMIS accepts")
        return subject if subject.active else None

    def find(self, subject_id: str) -> Subject | None:
        with self._operation() as deadline:
            return self._contacts.by_id(subject_id, deadline)

    def check(self) -> str:
        with self._operation() as deadline:
            roles = self._contacts.roles(self._settings.service_username, deadline)
            drift = "".join(f" ATTENTION: {problem.sentence}." for problem in self._contacts.drift(deadline))
        known = f"{self._settings.service_username} has the roles {', '.join(roles) or 'none'}"
        return f"iMIS at {self._settings.base} answers; {known}.{drift}"

    def lines(self) -> dict[str, LineState]:
        return {"REST": self._api.state, **({"SOAP": self._service.state} if self._service else {})}

    def drift(self) -> list[Drift]:
        with self._operation() as deadline:
            return self._contacts.drift(deadline)

    def find_by_email(self, email: str) -> list[Subject]:
        with self._operation() as deadline:
            return self._accounts.find_by_email(email, deadline)

    def find_by_username(self, username: str) -> Subject | None:
        """The service account is nobody's."""
        name = username.strip()
        if not usable(name, Secret("x")) or fold(name) == fold(self._settings.service_username):
            return None
        with self._operation() as deadline:
            return self._contacts.by_username(name, deadline)

    def create_account(self, person: NewPerson, username: str, password: Secret) -> Subject:
        with self._operation() as deadline:
            return self._accounts.create_account(person, username, password, deadline)

    def set_password(self, subject: Subject, password: Secret) -> None:
        with self._operation() as deadline:
            self._accounts.set_password(subject, password, deadline)

    def exchange(self, refresh_token: Secret) -> Subject | None:
        with self._operation() as deadline:
            return self._door.exchange(refresh_token, deadline)

    def subject_of_cookie(self, login_cookie: Secret) -> Subject | None:
        with self._operation() as deadline:
            return self._door.subject_of_cookie(login_cookie, deadline)

    @contextmanager
    def _operation(self) -> Iterator[Deadline]:
        """A turn, and the time that everything may take together."""
        with self._bulkhead.slot():
            yield Deadline(self._settings.operation_timeout)

    def _read_nothing(self, deadline: Deadline) -> None:
        """The service account is asked nothing about: wrong passwords typed by a stranger would lock it, and everybody out with it.

        A call that changes nothing takes about as long as ValidateUser, so that its name is not given away (S83).
        """
        next(self._api.list("User", {"UserName": "", "limit": "1"}, deadline), None)

    def _validate(self, username: str, password: Secret, deadline: Deadline) -> bool:
        """The one password check. Only an answer that says so clearly is "wrong password" (F12)."""
        if self._settings.check == "password_grant":
            return self._grants(username, password, deadline)
        given = {"{username}": username, "{password}": password.reveal()}
        arguments = [given.get(each, each) if isinstance(each, str) else each for each in self._settings.validate_user_arguments]
        result, message = self._api.execute("UserSecurity", "ValidateUser", arguments, deadline, harmless=False)
        result = plain(result)
        if isinstance(result, bool):
            return result
        if result is None and message == "NotFound":  # 4.5: HTTP 200 all the same
            return False
        raise DirectoryUnavailable("ValidateUser of UserSecurity: neither true nor false")

    def _grants(self, username: str, password: Secret, deadline: Deadline) -> bool:
        """The password grant (2.1). Its token is thrown away; the text of a refusal is never looked at (2.2)."""
        form = {"grant_type": "password", "username": username, "password": password.reveal()}
        reply = self._api.grant(form, deadline)
        body = reply.body if isinstance(reply.body, dict) else {}
        if reply.status == 200 and body.get("access_token"):
            return True
        if reply.status == 400 and body.get("error") == "invalid_grant":
            return False
        raise DirectoryUnavailable(f"POST /token: status {reply.status}, neither a token nor invalid_grant")
