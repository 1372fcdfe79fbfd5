"""iMIS's JSON dialect (facts on iMIS, section 4): `$type` first, `$values`, nulls left out, the paging envelope, errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flask import Response

from idp.demo.imis.settings import SimulatorSettings

Json = dict[str, Any]
_MEMBERSHIP = "Asi.Soa.Membership.DataContracts"
_CORE = "Asi.Soa.Core.DataContracts"
_DENIED = "Authorization has been denied for this request."


class Dialect:
    """Writes objects as the build does that the settings describe."""

    def __init__(self, settings: SimulatorSettings) -> None:
        self._settings = settings

    def record(self, name: str, /, **members: Any) -> Json:
        """An object of the membership contracts; null members are absent (4.1, SEEN)."""
        return self._object(f"{_MEMBERSHIP}.{name}, Asi.Contracts", members)

    def collection(self, name: str, items: Sequence[Any]) -> Json | list[Any]:
        """A collection of the membership contracts; a bare array in builds before 20.2.46 (4.1, SEEN)."""
        return self.sequence(f"{_MEMBERSHIP}.{name}, Asi.Contracts", items)

    def sequence(self, type_name: str, items: Sequence[Any]) -> Json | list[Any]:
        return list(items) if self._settings.bare_arrays else {"$type": type_name, "$values": list(items)}

    def bag(self, members: Json) -> Json | list[Any]:
        """A property bag. A null has an entry without Value (4.1, SEEN)."""
        kind = f"{_CORE}.GenericPropertyData"
        entries = [self._object(f"{kind}, Asi.Contracts", {"Name": name, "Value": scalar(value)}) for name, value in members.items()]
        return self.sequence(f"{kind}Collection, Asi.Contracts", entries)

    def entity(self, name: str, key: str, members: Json) -> Json:
        """A business object, such as CsContact (5.4)."""
        texts = self.sequence("System.Collections.ObjectModel.Collection`1[[System.String, mscorlib]], mscorlib", [key])
        identity = self._object(f"{_CORE}.IdentityData, Asi.Contracts", {"EntityTypeName": name, "IdentityElements": texts})
        return self._object(
            f"{_CORE}.GenericEntityData, Asi.Contracts",
            {
                "EntityTypeName": name,
                "PrimaryParentEntityTypeName": "Party",
                "Identity": identity,
                "PrimaryParentIdentity": {**identity, "EntityTypeName": "Party"},
                "Properties": self.bag(members),
            },
        )

    def page(self, item_type: str, items: Sequence[Json], *, limit: str | None, offset: str | None) -> Response:
        """One page of a list (4.2, SEEN). What is no number counts as not given (INFERRED)."""
        size = min(_number(limit) or self._settings.page_limit, self._settings.page_maximum)
        start = _number(offset)
        shown = list(items[start : start + size])
        more = start + size < len(items)
        inner = f"[[{_MEMBERSHIP}.{item_type}, Asi.Contracts]]"
        return reply(
            {
                "$type": f"{_CORE}.PagedResult`1{inner}, Asi.Contracts",
                "Items": self.sequence(f"System.Collections.Generic.List`1{inner}, mscorlib", shown),
                "Offset": start,
                "Limit": size,
                "Count": len(shown),
                "TotalCount": len(items),
                "NextPageLink": None,
                "HasNext": more,
                "NextOffset": start + size if more else 0,
            }
        )

    def executed(self, result: Any, message: str | None = None) -> Response:
        """The answer of _execute (4.5). Not found is 200 as well: Result null, Message "NotFound" (SEEN)."""
        if isinstance(result, bool) and self._settings.typed_results:
            result = scalar(result)
        return reply({"$type": self._settings.execute_type, "Result": result, "IsSuccessStatusCode": True, "Message": message})

    def not_allowed(self) -> Response:
        return denied(self._settings.not_allowed_status)

    def no_service(self, name: str) -> Response:
        return http_error(self._settings.unknown_service_status, f"There is no service defined for {name}")

    def _object(self, type_name: str, members: Json) -> Json:
        kept = {name: value for name, value in members.items() if value is not None}
        if not self._settings.false_members:
            kept = {name: value for name, value in kept.items() if value is not False}
        return {"$type": type_name, **kept}


def scalar(value: Any) -> Any:
    """Strings bare, other scalars with their .NET type (4.1, SEEN). Texts of the form of a date are DateTimes."""
    names = {bool: "System.Boolean", int: "System.Int32"}
    if type(value) in names:
        return {"$type": names[type(value)], "$value": value}
    if isinstance(value, str) and value.endswith("T00:00:00"):
        return {"$type": "System.DateTime", "$value": value}
    return value


def reply(body: Any, status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json; charset=utf-8")


def http_error(status: int, message: str) -> Response:
    return reply({"$type": "System.Web.Http.HttpError, System.Web.Http", "Message": message}, status)


def denied(status: int = 401) -> Response:
    """No token, an old one, or not enough rights: one text for all (2.4 and 4.6, SEEN)."""
    return http_error(status, _DENIED)


def not_found() -> Response:
    """4.6: the status is SEEN, the body is not (INFERRED)."""
    return http_error(404, "The requested resource was not found.")


def invalid(message: str) -> Response:
    """A validation error (4.6, SEEN)."""
    error = {"$type": f"{_CORE}.ValidationResultData, Asi.Contracts", "Message": message}
    errors = {"$type": f"{_CORE}.ValidationResultDataCollection, Asi.Contracts", "$values": [error]}
    return reply({"$type": f"{_CORE}.ValidationResultsData, Asi.Contracts", "Errors": errors}, 400)


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0
