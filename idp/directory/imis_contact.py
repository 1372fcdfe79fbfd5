"""Reads a contact of iMIS by REST: login, Party, roles, groups, IQAs, as one Subject. Every method raises DirectoryUnavailable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from idp.clock import Now
from idp.directory import Attributes, DirectoryUnavailable, Drift, Subject
from idp.directory.credential import fold
from idp.directory.deadline import Deadline
from idp.directory.imis_api import ImisApi
from idp.directory.imis_fields import (
    contact_attributes,
    contact_id,
    group_names,
    login_disabled,
    party_attributes,
    role_names,
    subscription_names,
    user_name,
)
from idp.directory.imis_iqa import QueryReader
from idp.directory.settings import ImisRestSettings
from idp.store import Store

_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")  # as a path segment it can be nothing but itself
_PAGE = "100"  # entries a page (4.2)
_MOST_SHARERS = 10  # of one e-mail address; each costs several calls


def is_contact_id(text: str) -> bool:
    """Whether it can be an iMIS ID, and nothing else in a path."""
    return _ID.fullmatch(text) is not None


class ContactReader:
    """People as iMIS has them now."""

    def __init__(self, settings: ImisRestSettings, api: ImisApi, *, roles: bool, store: Store, now: Now) -> None:
        self._asks_roles = roles  # GetUserRoles is not there on 2017
        self._settings = settings
        self._api = api
        self._queries = QueryReader(settings, api, store=store, now=now)

    def login(self, username: str, deadline: Deadline) -> dict[str, Any] | None:
        """The login of exactly this name: a filter that iMIS reads otherwise (4.3) must not give another's. None if there is none."""
        logins = self._api.list("User", {"UserName": username}, deadline)
        found = [user for user in logins if fold(user_name(user)) == fold(username)]
        if not found:
            return None
        if len(found) > 1 or not is_contact_id(contact_id(found[0], "UserId")):
            raise DirectoryUnavailable(f"GET /api/User: {len(found)} logins of a name, or one without an id")
        return found[0]

    def by_username(self, username: str, deadline: Deadline) -> Subject | None:
        """Whoever has this login; None if nobody has."""
        user = self.login(username, deadline)
        if user is None:
            return None
        subject = self._subject(contact_id(user, "UserId"), user, deadline)
        if subject is None:
            raise DirectoryUnavailable("GET /api/Party/ID: no contact for a login that exists")
        return subject

    def by_id(self, subject_id: str, deadline: Deadline) -> Subject | None:
        """The contact of this id, with or without a login; None if there is none."""
        if not is_contact_id(subject_id):
            return None
        return self._subject(subject_id, self._api.read("User", subject_id, deadline), deadline)

    def by_email(self, email: str, deadline: Deadline) -> list[Subject]:
        """Everybody with a login whose primary address this is: the answer's address is compared too (4.3)."""
        found = (self.by_id(subject_id, deadline) for subject_id in self._holders(email, deadline))
        return [subject for subject in found if subject is not None and subject.username]

    def roles(self, username: str, deadline: Deadline) -> tuple[str, ...]:
        """User.Roles is always null (5.2), so they are asked for."""
        result, message = self._api.execute("UserSecurity", "GetUserRoles", [username], deadline, harmless=True)
        return () if result is None and message == "NotFound" else role_names(result, "GetUserRoles of UserSecurity")

    def drift(self, deadline: Deadline) -> list[Drift]:
        """What has changed in the IQAs that attributes come from."""
        return self._queries.drift(deadline)

    def _holders(self, email: str, deadline: Deadline) -> Iterator[str]:
        """Ids of the contacts with this primary address."""
        known = 0
        for party in self._api.list("Party", {"Email": email, "limit": _PAGE}, deadline):
            subject_id = contact_id(party, "PartyId", "Id")
            if not is_contact_id(subject_id) or fold(party_attributes(party, {}).get("email", ("",))[0]) != fold(email):
                continue
            known += 1
            if known > _MOST_SHARERS:
                raise DirectoryUnavailable(f"GET /api/Party: more than {_MOST_SHARERS} people share one e-mail address")
            yield subject_id

    def _subject(self, subject_id: str, user: dict[str, Any] | None, deadline: Deadline) -> Subject | None:
        """The contact; None if there is none. Without a login it is there, and not active: nobody could sign in as it (5.2, S49)."""
        party = self._api.read("Party", subject_id, deadline)
        if party is None:
            return None
        _same("Party", subject_id, contact_id(party, "PartyId", "Id"))
        found = dict(party_attributes(party, self._settings.more_attributes))
        username = _login_name(subject_id, user)
        if self._settings.read_contact:
            found = {**self._contact(subject_id, deadline), **found}
        found |= self._lists(subject_id, username, deadline)
        found |= self._queries.attributes(subject_id, username, found.get("uniform_id", ("",))[0], deadline)
        found |= {"imis_id": (subject_id,), **_many("username", (username,) if username else ())}
        active = bool(username) and not login_disabled(user or {}, self._settings.disabled_fields)
        return Subject(subject_id, username, found, active=active)

    def _contact(self, subject_id: str, deadline: Deadline) -> Attributes:
        return contact_attributes(self._api.read("CsContact", subject_id, deadline), self._settings.more_attributes)

    def _lists(self, subject_id: str, username: str, deadline: Deadline) -> dict[str, tuple[str, ...]]:
        """What a member has several of: roles, groups, subscriptions."""
        settings = self._settings
        roles = self.roles(username, deadline) if username and self._asks_roles else ()
        groups = self._own("GroupMember", subject_id, deadline) if settings.read_committees else iter(())
        subscriptions = self._own("Subscription", subject_id, deadline) if settings.read_subscriptions else iter(())
        return {
            **_many("roles", roles),
            **_many("committees", group_names(groups, subject_id)),
            **self._classes(subject_id, deadline),
            **_many("subscriptions", subscription_names(subscriptions, subject_id)),
        }

    def _classes(self, subject_id: str, deadline: Deadline) -> dict[str, tuple[str, ...]]:
        """Names of the groups of each class that is asked for, such as chapters."""
        classes = self._settings.group_classes.items()
        found = {name: group_names(self._api.relationships(subject_id, group, deadline), subject_id) for name, group in classes}
        return {name: groups for name, groups in found.items() if groups and name not in ("imis_id", "username")}

    def _own(self, entity: str, subject_id: str, deadline: Deadline) -> Iterator[dict[str, Any]]:
        return self._api.list(entity, {"PartyId": subject_id, "limit": _PAGE}, deadline)


def _login_name(subject_id: str, user: dict[str, Any] | None) -> str:
    if user is None:
        return ""
    _same("User", subject_id, contact_id(user, "UserId"))
    if not user_name(user):
        raise DirectoryUnavailable("GET /api/User/ID: a login without a name")
    return user_name(user)


def _same(entity: str, asked: str, answered: str) -> None:
    """A mix-up on the way must not sign one member in as another."""
    if answered != asked:
        raise DirectoryUnavailable(f"GET /api/{entity}/ID: an answer for another id")


def _many(name: str, found: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {name: found} if found else {}
