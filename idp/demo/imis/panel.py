"""/_simulator: the panel of the simulated iMIS, plainly not iMIS. It takes and gives JSON; a page of another site cannot post to it.

GET  /_simulator/                 faults, counters, people
POST /_simulator/fault            {"mode": "slow", "seconds": 10, "path": "/api/usersecurity"}; {"mode": "none"} ends it
POST /_simulator/purge            what "Purge System Cache" does: all tokens die
POST /_simulator/people/ID        {"active": false, "locked": true, "attributes": {"email": "new@mail.example", "roles": ["A", "B"]}}
POST /_simulator/query            {"path": "$/Sso/Profile", "column": "Chapter"}: the column is gone; with "type": it has another type
POST /_simulator/reset            counters to zero, no fault
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Literal

from flask import Blueprint, Flask, Response, request

from idp.demo.imis.answer import Json, reply
from idp.demo.imis.association import Association
from idp.demo.imis.fault import Fault, Faults
from idp.demo.imis.query import Queries
from idp.demo.imis.token import Tokens
from idp.settings import Settings


class Change(Settings):
    """What to change of a person."""

    active: bool | None = None
    locked: bool | None = None
    attributes: dict[str, str | list[str]] | None = None


class Column(Settings):
    """What to change of a stored query: the type of a column, or without a type, its being there."""

    path: str
    column: str
    type: Literal["", "text", "int", "date"] = ""


class Panel:
    """Orders faults, changes people, counts requests."""

    def __init__(self, association: Association, tokens: Tokens, faults: Faults, queries: Queries) -> None:
        self._queries = queries
        self._association = association
        self._tokens = tokens
        self._faults = faults
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()

    def attach(self, app: Flask) -> None:
        app.before_request(self._count)
        app.register_blueprint(self._pages())

    def _pages(self) -> Blueprint:
        blueprint = Blueprint("panel", __name__, url_prefix="/_simulator")
        blueprint.before_request(self._json_only)
        blueprint.add_url_rule("/", "show", self.show)
        blueprint.add_url_rule("/fault", "fault", self.fault, methods=["POST"])
        blueprint.add_url_rule("/purge", "purge", self.purge, methods=["POST"])
        blueprint.add_url_rule("/people/<person_id>", "change", self.change, methods=["POST"])
        blueprint.add_url_rule("/query", "query", self.query, methods=["POST"])
        blueprint.add_url_rule("/reset", "reset", self.reset, methods=["POST"])
        return blueprint

    def show(self) -> Response:
        people: Json = {person.id: {"username": person.username, "active": person.active} for person in self._association.people()}
        counters = {
            "requests": dict(self._requests),
            "password_checks": dict(self._association.password_checks),
            "tokens_issued": dict(self._tokens.issued),
        }
        return reply({**counters, "fault": self._faults.ordered.model_dump(), "people": people})

    def fault(self) -> Response:
        try:
            self._faults.order(Fault.model_validate(request.get_json()))
        except ValueError as problem:
            return reply({"problem": str(problem)}, 400)
        return self.show()

    def purge(self) -> Response:
        self._tokens.purge()
        return self.show()

    def change(self, person_id: str) -> Response:
        person = self._association.by_id(person_id)
        if person is None:
            return reply({"problem": "there is no such person"}, 404)
        try:
            wanted = Change.model_validate(request.get_json())
        except ValueError as problem:
            return reply({"problem": str(problem)}, 400)
        self._association.change(person, active=wanted.active, locked=wanted.locked, attributes=wanted.attributes or {})
        return self.show()

    def query(self) -> Response:
        try:
            wanted = Column.model_validate(request.get_json())
        except ValueError as problem:
            return reply({"problem": str(problem)}, 400)
        if not self._queries.retype(wanted.path, wanted.column, wanted.type):
            return reply({"problem": "there is no such query"}, 404)
        return self.show()

    def reset(self) -> Response:
        for counter in (self._requests, self._association.password_checks, self._tokens.issued):
            counter.clear()
        self._faults.order(Fault(mode="none"))
        return self.show()

    def _count(self) -> None:
        if not request.path.startswith("/_simulator"):
            with self._lock:
                self._requests[f"{request.method} {request.path}"] += 1

    def _json_only(self) -> Response | None:
        """A form of another site cannot send this type without asking first."""
        if request.method == "POST" and request.mimetype != "application/json":
            return reply({"problem": "send JSON"}, 415)
        return None
