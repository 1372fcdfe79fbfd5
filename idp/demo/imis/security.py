"""The operations of User and UserSecurity: POST /api/{Entity}/_execute (facts on iMIS, 4.5 and 5.2)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from flask import Response, request

from idp.demo.imis.account import AccountDesk
from idp.demo.imis.answer import Dialect, invalid
from idp.demo.imis.association import Association
from idp.demo.imis.contact import ContactWriter
from idp.demo.imis.query import Queries
from idp.demo.imis.settings import SimulatorSettings
from idp.directory.people_file import Person

Arguments = list[str]
_NOT_FOUND = "NotFound"


class Operations:
    """What can be executed, by entity and operation."""

    def __init__(
        self,
        settings: SimulatorSettings,
        association: Association,
        dialect: Dialect,
        writer: ContactWriter,
        desk: AccountDesk,
        queries: Queries,
    ) -> None:
        self._settings = settings
        self._association = association
        self._dialect = dialect
        self._writer = writer
        self._table: dict[str, dict[str, Callable[[Arguments], Response]]] = {
            "user": {"findbyusername": self._find_user},
            "usersecurity": {
                "validateuser": self._validate_user,
                "getuserroles": self._get_user_roles,
                "findbyname": self._find_user,
                "unlockuser": self._unlock_user,
                "updatepassword": desk.update_password,
            },
            "querydefinition": {"findbypath": queries.definition},
        }
        if settings.generation == "2017":
            del self._table["usersecurity"]  # 5.2, SEEN

    def execute(self, entity: str, caller: Person) -> Response:
        if entity not in self._table:
            return self._dialect.no_service(entity)
        if entity == "usersecurity" and self._settings.admin_role not in caller.attributes.get("roles", ()):
            return self._dialect.not_allowed()  # 5.2: others get 401 (SEEN)
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            return invalid("The request is not a GenericExecuteRequest.")
        operation = self._table[entity].get(str(body.get("OperationName", "")).lower())
        if operation is None:
            return invalid("OperationNotSupportedFault: the operation is not supported.")  # the name is SEEN (4.6), the form is not
        return operation(_arguments(body.get("Parameters")))

    def _find_user(self, arguments: Arguments) -> Response:
        """FindByUserName of User (SEEN); FindByName of UserSecurity is taken to answer alike (its shape is UNKNOWN)."""
        person = self._named(arguments)
        return self._dialect.executed(self._writer.user(person)) if person else self._dialect.executed(None, _NOT_FOUND)

    def _validate_user(self, arguments: Arguments) -> Response:
        """True or false, one counted try; for an unknown name false as well (5.2: parameters and answer are UNKNOWN)."""
        places = self._settings.validate_user_arguments
        given = dict(zip(places, arguments, strict=False))
        if len(arguments) != len(places):
            return invalid("ArgumentFault: wrong number of parameters.")
        verdict = self._association.check_password(given["username"], given["password"])
        return self._dialect.executed(verdict == "right" or (verdict == "disabled" and self._settings.disabled_validates))

    def _get_user_roles(self, arguments: Arguments) -> Response:
        person = self._named(arguments)
        if person is None:
            return self._dialect.executed(None, _NOT_FOUND)
        names = list(person.attributes.get("roles", ()))
        if self._settings.guid_roles:
            names.insert(0, str(uuid.uuid5(uuid.NAMESPACE_OID, f"role of {person.id}")))
        roles = [self._dialect.record("User.RoleData", RoleKey=_key(name), RoleName=name, Description=name) for name in names]
        return self._dialect.executed(self._dialect.collection("User.RoleDataCollection", roles))

    def _unlock_user(self, arguments: Arguments) -> Response:
        person = self._named(arguments)
        if person is None:
            return self._dialect.executed(None, _NOT_FOUND)
        self._association.unlock(person.id)
        return self._dialect.executed(True)

    def _named(self, arguments: Arguments) -> Person | None:
        return self._association.by_username(arguments[0]) if arguments else None


def _arguments(parameters: Any) -> Arguments:
    """Positional, typed or bare, wrapped or not: the documents show all of these (4.5)."""
    listed = parameters.get("$values", []) if isinstance(parameters, dict) else parameters
    bare = (each.get("$value") if isinstance(each, dict) else each for each in (listed if isinstance(listed, list) else []))
    return [each if isinstance(each, str) else str(each) for each in bare]


def _key(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"role {name}"))
