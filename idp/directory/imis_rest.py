"""Cloud iMIS (EMS) as a directory: ValidateUser through a service account, then the contact's data, all by REST.

The plan is in facts on iMIS 2.4, 4 and 5: an ordinary member cannot have a token of their own (2.1), so a service account asks for them.
One sign-in is one ValidateUser, whatever happens: iMIS counts the tries and locks after five (F13).
"""

from __future__ import annotations

import re
from typing import Any

from idp.clock import Now
from idp.directory import Attributes, DirectoryUnavailable, Subject
from idp.directory.bulkhead import Bulkhead
from idp.directory.credential import fold, usable
from idp.directory.deadline import Deadline
from idp.directory.imis_api import ImisApi
from idp.directory.imis_fields import (
    contact_attributes,
    contact_id,
    group_names,
    login_disabled,
    party_attributes,
    plain,
    role_names,
    user_name,
)
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret
from idp.store import Store

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")  # as a path segment it can be nothing but itself
_PAGE = "100"  # entries a page (4.2)


class ImisRestDirectory:
    """One iMIS. Threads may share it; workers share its token through the store."""

    def __init__(self, settings: ImisRestSettings, *, store: Store, now: Now) -> None:
        self._settings = settings
        self._api = ImisApi(settings, store=store, now=now)
        self._bulkhead = Bulkhead(settings.max_concurrent, waiting=settings.max_waiting, seconds=settings.wait_timeout)

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        if not usable(username, password):
            return None
        name = username.strip()
        with self._bulkhead.slot():
            deadline = self._deadline()
            if fold(name) == fold(self._settings.service_username):
                self._read_nothing(deadline)
                return None
            if not self._validate(name, password, deadline):
                return None
            user = self._user(name, deadline)
            subject = self._subject(contact_id(user, "UserId"), user, deadline)
        if subject is None:
            raise DirectoryUnavailable("GET /api/Party/ID: no contact for a login that exists")
        return subject if subject.active else None

    def find(self, subject_id: str) -> Subject | None:
        if not _ID.fullmatch(subject_id):
            return None
        with self._bulkhead.slot():
            deadline = self._deadline()
            user = self._api.read("User", subject_id, deadline)
            return self._subject(subject_id, user, deadline)

    def check(self) -> str:
        with self._bulkhead.slot():
            roles = self._roles(self._settings.service_username, self._deadline())
        return f"iMIS at {self._settings.base} answers; {self._settings.service_username} has the roles {', '.join(roles) or 'none'}."

    def _deadline(self) -> Deadline:
        return Deadline(self._settings.operation_timeout)

    def _read_nothing(self, deadline: Deadline) -> None:
        """The service account is asked nothing about: wrong passwords typed by a stranger would lock it, and everybody out with it.

        A call that changes nothing takes about as long as ValidateUser, so that its name is not given away (S83).
        """
        next(self._api.list("User", {"UserName": "", "limit": "1"}, deadline), None)

    def _validate(self, username: str, password: Secret, deadline: Deadline) -> bool:
        """The one password check. Only an answer that says so clearly is "wrong password" (F12)."""
        given = {"{username}": username, "{password}": password.reveal()}
        arguments = [given.get(each, each) if isinstance(each, str) else each for each in self._settings.validate_user_arguments]
        result, message = self._api.execute("UserSecurity", "ValidateUser", arguments, deadline, harmless=False)
        result = plain(result)
        if isinstance(result, bool):
            return result
        if result is None and message == "NotFound":  # 4.5: HTTP 200 all the same
            return False
        raise DirectoryUnavailable("ValidateUser of UserSecurity: neither true nor false")

    def _user(self, username: str, deadline: Deadline) -> dict[str, Any]:
        """The login of exactly this name: a filter that iMIS reads otherwise (4.3) must not give another's."""
        logins = self._api.list("User", {"UserName": username}, deadline)
        found = [user for user in logins if fold(user_name(user)) == fold(username)]
        if len(found) != 1 or not _ID.fullmatch(contact_id(found[0], "UserId")):
            raise DirectoryUnavailable(f"GET /api/User: {len(found)} logins of a name that ValidateUser accepts")
        return found[0]

    def _subject(self, subject_id: str, user: dict[str, Any] | None, deadline: Deadline) -> Subject | None:
        """The contact; None if there is none. Without a login it is there, and not active: nobody could sign in as it (5.2, S49)."""
        party = self._api.read("Party", subject_id, deadline)
        if party is None:
            return None
        self._same("Party", subject_id, contact_id(party, "PartyId", "Id"))
        found = dict(party_attributes(party, self._settings.more_attributes))
        username = self._login_name(subject_id, user)
        if username:
            found |= self._login_attributes(username, deadline)
        if self._settings.read_contact:
            found = {**self._contact(subject_id, deadline), **found}
        if self._settings.read_committees:
            found |= self._committees(subject_id, deadline)
        found["imis_id"] = (subject_id,)
        active = bool(username) and not login_disabled(user or {}, self._settings.disabled_fields)
        return Subject(subject_id, username, found, active=active)

    def _login_name(self, subject_id: str, user: dict[str, Any] | None) -> str:
        if user is None:
            return ""
        self._same("User", subject_id, contact_id(user, "UserId"))
        if not user_name(user):
            raise DirectoryUnavailable("GET /api/User/ID: a login without a name")
        return user_name(user)

    def _login_attributes(self, username: str, deadline: Deadline) -> Attributes:
        roles = self._roles(username, deadline) if self._settings.read_roles else ()
        return {"username": (username,), **_many("roles", roles)}

    def _roles(self, username: str, deadline: Deadline) -> tuple[str, ...]:
        """User.Roles is always null (5.2), so they are asked for."""
        result, message = self._api.execute("UserSecurity", "GetUserRoles", [username], deadline, harmless=True)
        return () if result is None and message == "NotFound" else role_names(result, "GetUserRoles of UserSecurity")

    def _contact(self, subject_id: str, deadline: Deadline) -> Attributes:
        return contact_attributes(self._api.read("CsContact", subject_id, deadline), self._settings.more_attributes)

    def _committees(self, subject_id: str, deadline: Deadline) -> Attributes:
        members = self._api.list("GroupMember", {"PartyId": subject_id, "limit": _PAGE}, deadline)
        return _many("committees", group_names(members, subject_id))

    def _same(self, entity: str, asked: str, answered: str) -> None:
        """A mix-up on the way must not sign one member in as another."""
        if answered != asked:
            raise DirectoryUnavailable(f"GET /api/{entity}/ID: an answer for another id")


def _many(name: str, found: tuple[str, ...]) -> Attributes:
    return {name: found} if found else {}
