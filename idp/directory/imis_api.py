"""Authorised calls to iMIS's REST interface: with the service token, and again once if iMIS says that it is no longer good (2.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from idp.clock import Now
from idp.directory import DirectoryUnavailable, LineState
from idp.directory.deadline import Deadline, TooLate
from idp.directory.imis_fields import plain, read_page
from idp.directory.imis_http import Call, ImisHttp, Reply
from idp.directory.imis_refusal import refusal
from idp.directory.imis_token import ServiceToken
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret
from idp.store import Store

_REFUSED = (400, 409)  # 4.6: validation, conflict
_MOST_PAGES = 50  # of 100 entries: nobody is in 5,000 groups
_PARAMETER_TYPES = {bool: "System.Boolean", int: "System.Int32", str: "System.String"}
_OBJECTS = "System.Collections.ObjectModel.Collection`1[[System.Object, mscorlib]], mscorlib"
_STRINGS = "System.Collections.ObjectModel.Collection`1[[System.String, mscorlib]], mscorlib"


class ImisApi:
    """Reads, lists and operations. Every method raises DirectoryUnavailable for whatever is not a plain answer."""

    def __init__(self, settings: ImisRestSettings, *, store: Store, now: Now) -> None:
        self._http = ImisHttp(settings, now=now)
        self._token_path = settings.token_path
        self._token = ServiceToken(settings, self._http, store=store, now=now)

    @property
    def state(self) -> LineState:
        """Of the line to iMIS."""
        return self._http.state

    def is_late(self) -> bool:
        """Whether iMIS leaves questions unanswered just now."""
        return self._http.is_late()

    def read(self, entity: str, key: str, deadline: Deadline) -> dict[str, Any] | None:
        """One record, or None if iMIS has none of that key (404). `key` is one that cannot be anything but a path segment."""
        call = Call(f"GET /api/{entity}/ID", "GET", f"/api/{entity}/{key}")
        reply = self._ask(call, deadline, harmless=True)
        if reply.status == 404:
            return None
        if not isinstance(reply.body, dict):
            raise DirectoryUnavailable(f"{call.what}: an answer that is not a record")
        return reply.body

    def list(self, entity: str, query: Mapping[str, str], deadline: Deadline) -> Iterator[dict[str, Any]]:
        """All records of a list, over its pages (4.2). A 404 is an empty list: some finds answer so."""
        call = Call(f"GET /api/{entity}", "GET", f"/api/{entity}", query=query)
        reply = self._ask(call, deadline, harmless=True)
        if reply.status != 404:
            yield from self._pages(call, [*query.items()], reply, deadline)

    def query(self, entity: str, query: Sequence[tuple[str, str]], deadline: Deadline) -> Sequence[dict[str, Any]] | None:
        """All rows of an IQA (5.5); None if `entity` (Query or IQA) is not there, or has none of that path."""
        call = Call(f"GET /api/{entity}", "GET", f"/api/{entity}", query=query)
        reply = self._ask(call, deadline, harmless=True, also=(400, 405))
        return [*self._pages(call, query, reply, deadline)] if 200 <= reply.status < 300 else None

    def _pages(self, call: Call, query: Sequence[tuple[str, str]], reply: Reply, deadline: Deadline) -> Iterator[dict[str, Any]]:
        """The first page and those after it, until HasNext is false, NextOffset is 0 or a page is empty (4.2)."""
        for _ in range(_MOST_PAGES):
            page = read_page(reply.body, call.what)
            yield from page.items
            if page.next_offset is None:
                return
            further = Call(call.what, "GET", call.path, query=[*query, ("offset", str(page.next_offset))])
            reply = self._ask(further, deadline, harmless=True)
        raise DirectoryUnavailable(f"{call.what}: a list without an end")

    def create(self, entity: str, record: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """Makes a record and gives it as iMIS has it (5.3). Asked once. Raises AccountRefused with iMIS's reasons (4.6)."""
        call = Call(f"POST /api/{entity}", "POST", f"/api/{entity}", json=record)
        reply = self._ask(call, deadline, harmless=False, also=_REFUSED)
        if reply.status in _REFUSED:
            raise refusal(reply.body)
        if not isinstance(reply.body, dict) or reply.status == 404:
            raise DirectoryUnavailable(f"{call.what}: an answer that is not a record")
        return reply.body

    def change(self, entity: str, operation: str, arguments: Sequence[str | bool | int], deadline: Deadline) -> None:
        """An operation that changes something, asked once. Raises AccountRefused if iMIS says that it did not do it."""
        call = Call(f"{operation} of {entity}", "POST", f"/api/{entity}/_execute", json=_request(entity, operation, arguments))
        reply = self._ask(call, deadline, harmless=False, also=_REFUSED)
        if reply.status in _REFUSED:
            raise refusal(reply.body)
        if reply.status == 404 or not isinstance(reply.body, dict):
            raise DirectoryUnavailable(f"{call.what}: status {reply.status} without an answer to it")
        message = reply.body.get("Message")
        if plain(reply.body.get("IsSuccessStatusCode")) is False or plain(reply.body.get("Result")) is False or message == "NotFound":
            raise refusal(message)

    def grant(self, form: Mapping[str, str], deadline: Deadline) -> Reply:
        """Asks the token endpoint once, for a member: 200 with a body, or 400 and 401 with the error (2.2)."""
        call = Call("POST /token", "POST", self._token_path, form=form)
        reply = self._http.send(call, token=None, deadline=deadline)
        if reply.status not in (200, 400, 401):
            raise DirectoryUnavailable(f"{call.what}: status {reply.status}")
        return reply

    def execute(
        self, entity: str, operation: str, arguments: Sequence[str | bool | int], deadline: Deadline, *, harmless: bool
    ) -> tuple[Any, str]:
        """Result and message of an operation (4.5). Only a `harmless` one is asked a second time when no answer came (F13)."""
        call = Call(f"{operation} of {entity}", "POST", f"/api/{entity}/_execute", json=_request(entity, operation, arguments))
        reply = self._ask(call, deadline, harmless=harmless)
        if reply.status == 404 or not isinstance(reply.body, dict):
            raise DirectoryUnavailable(f"{call.what}: status {reply.status} without an answer to it")
        message = reply.body.get("Message")
        return reply.body.get("Result"), message if isinstance(message, str) else ""

    def relationships(self, party_id: str, group_class: str, deadline: Deadline) -> Sequence[dict[str, Any]]:
        """Memberships in groups of one class (5.6: the request is SEEN; that the list is in Result is INFERRED)."""
        request = {
            "$type": "Asi.Soa.Membership.DataContracts.FindRelationshipsRequest, Asi.Contracts",
            "EntityTypeName": "GroupMember",
            "OperationName": "FindRelationships",
            "PartyId": party_id,
            "GroupClassIdFilter": [group_class],
            "IncludeInactive": False,
        }
        call = Call("FindRelationships of GroupMember", "POST", "/api/GroupMember/_execute", json=request)
        reply = self._ask(call, deadline, harmless=True)
        body = reply.body if isinstance(reply.body, dict) else {}
        if body.get("Result") is None and body.get("Message") == "NotFound":  # 4.5
            return []
        return read_page(body.get("Result"), call.what).items

    def _ask(self, call: Call, deadline: Deadline, *, harmless: bool, also: tuple[int, ...] = ()) -> Reply:
        """With a token that iMIS accepts: on 401 it is renewed once, as nothing was done under the old one. `also`: further answers."""
        token = self._token.get(deadline)
        reply = self._send(call, token, deadline, harmless=harmless)
        if reply.status == 401:
            token = self._token.get(deadline, rejected=token)
            reply = self._http.send(call, token=token, deadline=deadline)
        if 200 <= reply.status < 300 or reply.status == 404 or reply.status in also:
            return reply
        if reply.status in (401, 403):
            raise DirectoryUnavailable(f"{call.what}: not allowed to the service account ({reply.status}): has it the role SysAdmin?")
        raise DirectoryUnavailable(f"{call.what}: status {reply.status}")

    def _send(self, call: Call, token: Secret, deadline: Deadline, *, harmless: bool) -> Reply:
        """One retry when something else came than an answer, for what may be asked twice (reliability rules, 5.2)."""
        try:
            return self._http.send(call, token=token, deadline=deadline)
        except DirectoryUnavailable as error:
            if not harmless or isinstance(error, TooLate):
                raise
            return self._http.send(call, token=token, deadline=deadline)


def _request(entity: str, operation: str, arguments: Sequence[str | bool | int]) -> dict[str, Any]:
    """The newer documented form, with the types of the arguments (4.5)."""
    types = [_PARAMETER_TYPES[type(argument)] for argument in arguments]
    typed = [{"$type": name, "$value": argument} for name, argument in zip(types, arguments, strict=True)]
    return {
        "$type": "Asi.Soa.Core.DataContracts.GenericExecuteRequest, Asi.Contracts",
        "OperationName": operation,
        "EntityTypeName": entity,
        "Parameters": {"$type": _OBJECTS, "$values": typed},
        "ParameterTypeName": {"$type": _STRINGS, "$values": types},
        "UseJson": False,
    }
