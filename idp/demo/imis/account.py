"""Writes of the simulated iMIS: Person and User by POST, UpdatePassword, the password rule (facts on iMIS, 5.2, 5.3 and 5.7)."""

from __future__ import annotations

import re
from typing import Any

from flask import Response, request

from idp.demo.imis.answer import Dialect, invalid, reply
from idp.demo.imis.association import Association
from idp.demo.imis.contact import ContactWriter
from idp.demo.imis.settings import SimulatorSettings


class AccountDesk:
    """Makes contacts and logins, which last as long as the simulator runs."""

    def __init__(self, settings: SimulatorSettings, association: Association, dialect: Dialect, writer: ContactWriter) -> None:
        self._settings = settings
        self._association = association
        self._dialect = dialect
        self._writer = writer

    def create(self, entity: str) -> Response:
        """POST of Person, Party and User: 201 with what was made (4.6, SEEN)."""
        body = request.get_json(silent=True)
        if not isinstance(body, dict) or "$type" not in body:  # still required on many writes (4.1, SEEN)
            return invalid("The request has no $type.")
        if entity in ("person", "party"):
            return self._create_person(body)
        return self._create_user(body) if entity == "user" else self._dialect.no_service(entity)

    def update_password(self, arguments: list[str]) -> Response:
        """Parameters and answer are UNKNOWN (5.2): the proposal's."""
        if len(arguments) != 2:
            return invalid("ArgumentFault: wrong number of parameters.")
        person = self._association.by_username(arguments[0])
        if person is None:
            return self._dialect.executed(None, "NotFound")
        if not re.match(self._settings.password_rule, arguments[1]):
            return invalid(self._settings.password_rule_text)
        self._association.set_password(person.id, arguments[1])
        return self._dialect.executed(True)

    def _create_person(self, body: dict[str, Any]) -> Response:
        name = body.get("PersonName")
        given = name if isinstance(name, dict) else {}
        if not given.get("LastName"):
            return invalid("Last name is required.")
        found = {"first_name": given.get("FirstName"), "last_name": given.get("LastName"), "email": body.get("Email")}
        person = self._association.add({key: (str(value),) for key, value in found.items() if value})
        return reply(self._writer.party(person), 201)

    def _create_user(self, body: dict[str, Any]) -> Response:
        username, person_id = str(body.get("UserName", "")), str(body.get("UserId", ""))
        person = self._association.by_id(person_id)
        if person is None or not username:
            return invalid("A user needs a name and a contact.")
        if person.has_login or self._association.by_username(username):
            return invalid("DuplicateProviderUserKey")
        return reply(self._writer.user(self._association.set_login(person.id, username)), 201)
