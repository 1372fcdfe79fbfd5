"""Stored queries of the simulated iMIS: /api/Query, /api/IQA and their definitions (facts on iMIS, 5.5)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, request

from idp.demo.imis.answer import Dialect, Json, invalid, not_found
from idp.demo.imis.association import Association
from idp.demo.imis.contact import full_name, one, uniform_id
from idp.directory.credential import fold
from idp.directory.people_file import Person

_TYPES = {"int": "System.Int32", "date": "System.DateTime", "text": "System.String"}


@dataclass(frozen=True)
class StoredQuery:
    """A query with one prompt, the user name. A row per value of the attribute `each`, or one row."""

    path: str
    columns: Mapping[str, tuple[str, str]]
    """Alias -> attribute and type (text, int, date)."""
    each: str = ""


STORED = (
    StoredQuery(
        "$/Sso/Profile",
        {
            "iMIS Id": ("id", "text"),
            "Chapter": ("chapter", "text"),
            "Member Type": ("member_type", "text"),
            "Paid Through": ("paid_through", "date"),
            "CE Credits": ("ce_credits", "int"),
        },
    ),
    StoredQuery("$/Sso/Committees", {"iMIS Id": ("id", "text"), "Committee": ("committees", "text")}, each="committees"),
    StoredQuery("$/OAuth2/userInfo", {"sub": ("guid", "text"), "username": ("username", "text"), "email": ("email", "text")}),
)


class Queries:
    """The queries as they are now: the panel may take a column away."""

    def __init__(self, association: Association, dialect: Dialect) -> None:
        self._association = association
        self._dialect = dialect
        self._stored = {fold(query.path): query for query in STORED}

    def retype(self, path: str, column: str, kind: str) -> bool:
        """A change of an administrator's: a column of another type, or without a type, no such column any more."""
        query = self._stored.get(fold(path))
        if query is None:
            return False
        columns = {alias: given for alias, given in query.columns.items() if alias != column}
        if kind:
            columns[column] = (query.columns.get(column, ("", ""))[0], kind)
        self._stored[fold(path)] = replace(query, columns=columns)
        return True

    def answer(self, *, flat: bool) -> Response:
        """Rows: flat objects of /api/Query, property bags of /api/IQA. Every prompt must be given (SEEN)."""
        asked = {name.lower(): value for name, value in request.args.items()}
        prompts = [value for name, values in request.args.lists() if name.lower() == "parameter" for value in values]
        query = self._stored.get(fold(asked.get("queryname", asked.get("querypath", ""))))
        if query is None:
            return not_found()
        if len(prompts) != 1:
            return invalid("In IQA query, parameters must be Parameter Equal")  # SEEN; when exactly is not
        person = self._association.by_username(prompts[0])
        rows = self._rows(query, person) if person else []
        shape = self._flat if flat else self._bag
        shown = [shape(number, row) for number, row in enumerate(rows, start=1)]
        return self._dialect.page("GenericEntityData", shown, limit=asked.get("limit"), offset=asked.get("offset"))

    def parameters(self) -> Response:
        """QueryParameterDefinition?QueryPath=... (5.5, SEEN as a call)."""
        asked = {name.lower(): value for name, value in request.args.items()}
        query = self._stored.get(fold(asked.get("querypath", "")))
        return self._dialect.page("QueryParameterDefinitionData", [_PROMPT] if query else [], limit=None, offset=None)

    def definition(self, arguments: list[str]) -> Response:
        """FindByPath of QueryDefinition (5.5, SEEN)."""
        query = self._stored.get(fold(arguments[0] if arguments else ""))
        if query is None:
            return self._dialect.executed(None, "NotFound")
        columns = [
            {"Name": attribute, "Alias": alias, "DataTypeName": _TYPES[kind], "DisplayOrder": order}
            for order, (alias, (attribute, kind)) in enumerate(query.columns.items())
        ]
        return self._dialect.executed(
            {
                "$type": "Asi.Soa.Core.DataContracts.IqaQueryDefinitionData, Asi.Contracts",
                "Path": query.path,
                "Parameters": self._dialect.sequence("IqaParameterCollection", [_PROMPT]),
                "Properties": self._dialect.sequence("IqaPropertyCollection", columns),
            }
        )

    def _rows(self, query: StoredQuery, person: Person) -> list[Json]:
        if not query.each:
            return [_row(query, person, "")]
        return [_row(query, person, value) for value in person.attributes.get(query.each, ())]

    def _flat(self, _: int, row: Json) -> Json:
        return {"$type": "System.Dynamic.ExpandoObject, System.Core", **row}

    def _bag(self, number: int, row: Json) -> Json:
        kind = "Asi.Soa.Core.DataContracts.GenericEntityData, Asi.Contracts"
        return {"$type": kind, "EntityTypeName": "9", "Properties": self._dialect.bag({"ResultRow": str(number), **row})}


_PROMPT: Json = {"PropertyName": "UserName", "Prompt": "User name", "Operation": "Equal", "AllowMultiple": False}


def _row(query: StoredQuery, person: Person, value: str) -> Json:
    """The row without its nulls (4.1)."""
    cells = {alias: value if name == query.each else _cell(person, name, kind) for alias, (name, kind) in query.columns.items()}
    return {alias: cell for alias, cell in cells.items() if cell is not None}


def _cell(person: Person, name: str, kind: str) -> Any:
    own = {"id": person.id, "username": person.username, "guid": uniform_id(person), "full_name": full_name(person)}
    found = own.get(name) or one(person, name)
    if found is None or kind == "text":
        return found
    if kind == "date":
        return f"{datetime.date.fromisoformat(found).isoformat()}T00:00:00"
    return int(found) if found.isdigit() else None
