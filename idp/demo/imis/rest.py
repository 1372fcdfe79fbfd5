"""iMIS's REST resources: lists with filters and pages, single records, operations (facts on iMIS, sections 4 and 5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from flask import Blueprint, Response, g, request

from idp.demo.imis.account import AccountDesk
from idp.demo.imis.answer import Dialect, Json, denied, http_error, invalid, not_found, reply
from idp.demo.imis.association import Association, Group
from idp.demo.imis.contact import ContactWriter, full_name, one, uniform_id, written_date
from idp.demo.imis.query import Queries
from idp.demo.imis.security import Operations
from idp.demo.imis.settings import SimulatorSettings
from idp.demo.imis.token import Tokens
from idp.directory.credential import fold
from idp.directory.people_file import Person

_NO_FILTERS = frozenset({"limit", "offset"})


@dataclass(frozen=True)
class Row:
    """One record of a resource: its key, the properties it can be found by (names in lower case), and how it is written."""

    key: str
    properties: dict[str, str]
    write: Callable[[], Json]


@dataclass(frozen=True)
class Resource:
    """A resource: its type in lists, the properties that may be filtered by (4.3: not every one may), its rows."""

    item_type: str
    filters: frozenset[str]
    rows: Callable[[], list[Row]]
    keys: int = 1


class Rest:
    """/api. Everything needs a bearer token that is alive."""

    def __init__(
        self,
        settings: SimulatorSettings,
        association: Association,
        tokens: Tokens,
        dialect: Dialect,
        writer: ContactWriter,
        queries: Queries,
    ) -> None:
        self._settings = settings
        self._association = association
        self._tokens = tokens
        self._dialect = dialect
        self._writer = writer
        self._queries = queries
        self._desk = AccountDesk(settings, association, dialect, writer)
        self._operations = Operations(settings, association, dialect, writer, self._desk, queries)
        party = frozenset({"partyid", "id", "uniformid", "email", "customertypecode", "firstname", "lastname"})
        self._resources = {
            "user": Resource("UserData", frozenset({"username", "userid"}), self._users),
            "party": Resource("PartyData", party, partial(self._parties, writer.party)),
            "person": Resource("PersonData", party | {"phone"}, partial(self._parties, writer.party)),
            "partysummary": Resource("PartySummaryData", party, partial(self._parties, writer.summary)),
            "cscontact": Resource("GenericEntityData", frozenset({"id"}), partial(self._parties, writer.cs_contact)),
            "group": Resource("GroupData", frozenset({"name", "groupid"}), self._groups),
            "groupmember": Resource("GroupMemberData", frozenset({"partyid", "groupid"}), self._group_members, keys=2),
            "subscription": Resource("SubscriptionData", frozenset({"partyid", "itemid"}), self._subscriptions, keys=2),
        }

    def pages(self) -> Blueprint:
        blueprint = Blueprint("rest", __name__, url_prefix="/api")
        blueprint.before_request(self._authorize)
        blueprint.add_url_rule("/<entity>", "find", self.find)
        blueprint.add_url_rule("/<entity>", "create", self.create, methods=["POST"])
        blueprint.add_url_rule("/<entity>/<key>", "read", self.read)
        blueprint.add_url_rule("/<entity>/_execute", "execute", self.execute, methods=["POST"])
        return blueprint

    def _authorize(self) -> Response | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        holder = self._tokens.holder(token.strip()) if scheme.lower() == "bearer" else None
        g.caller = self._association.by_id(holder) if holder else None
        return None if g.caller else denied()

    def find(self, entity: str) -> Response:
        if entity == "usersecurity":
            return http_error(501, "Operation not implemented")  # 5.2: UserSecurity cannot be listed (SEEN; the status is not in the page)
        if entity in ("query", "iqa") and not (entity == "query" and self._settings.generation == "2017"):
            return self._queries.answer(flat=entity == "query")
        if entity == "queryparameterdefinition":
            return self._queries.parameters()
        resource = self._resources.get(entity)
        if resource is None:
            return self._dialect.no_service(entity)
        asked = {name.lower(): value for name, value in request.args.items()}
        filters = {name: value for name, value in asked.items() if name not in _NO_FILTERS}
        if unknown := filters.keys() - resource.filters:
            return invalid(f"The property {min(unknown)} cannot be filtered by.")  # 4.3: "fails" is SEEN, how is not
        found = [row for row in resource.rows() if all(_matches(row.properties.get(name, ""), value) for name, value in filters.items())]
        if not found and entity == "group" and self._settings.empty_group_status == 404:
            return not_found()
        return self._dialect.page(resource.item_type, [row.write() for row in found], limit=asked.get("limit"), offset=asked.get("offset"))

    def read(self, entity: str, key: str) -> Response:
        resource = self._resources.get(entity)
        if resource is None:
            return self._dialect.no_service(entity)
        if len(key.removeprefix("~").split("|")) != resource.keys:
            return invalid("ArgumentFault: Incorrect number of identity elements.")  # 4.4
        row = next((row for row in resource.rows() if row.key.casefold() == key.removeprefix("~").casefold()), None)
        return reply(row.write()) if row else not_found()

    def execute(self, entity: str) -> Response:
        return self._find_relationships() if entity == "groupmember" else self._operations.execute(entity, g.caller)

    def create(self, entity: str) -> Response:
        if self._settings.admin_role not in g.caller.attributes.get("roles", ()):
            return self._dialect.not_allowed()
        return self._desk.create(entity)

    def _find_relationships(self) -> Response:
        """5.6, SEEN as a request; that the list is in Result is INFERRED. Every group here is of the class COMMITTEE."""
        body = request.get_json(silent=True) or {}
        wanted, classes = str(body.get("PartyId", "")), body.get("GroupClassIdFilter")
        listed = classes.get("$values", []) if isinstance(classes, dict) else classes or ["COMMITTEE"]
        found = [each for each in self._association.groups() if each.person.id == wanted and (each.active or body.get("IncludeInactive"))]
        shown = [self._group_member(each) for each in found] if "COMMITTEE" in listed else []
        return self._dialect.executed(self._dialect.collection("GroupMemberDataCollection", shown))

    def _subscriptions(self) -> list[Row]:
        """5.6: the key is SEEN, the other members are not."""
        return [
            Row(f"{person.id}|{item}", {"partyid": person.id, "itemid": item}, partial(self._subscription, person, item))
            for person in self._association.people()
            for item in person.attributes.get("subscriptions", ())
        ]

    def _subscription(self, person: Person, item: str) -> Json:
        through = written_date(person, "paid_through")
        return self._dialect.record("SubscriptionData", PartyId=person.id, ItemId=item, PaidThrough=through, Status="A")

    def _users(self) -> list[Row]:
        people = [person for person in self._association.people() if person.has_login]
        return [Row(each.id, {"username": each.username, "userid": each.id}, partial(self._writer.user, each)) for each in people]

    def _parties(self, write: Callable[[Person], Json]) -> list[Row]:
        return [Row(person.id, _findable(person), partial(write, person)) for person in self._association.people()]

    def _groups(self) -> list[Row]:
        groups = {group.id: group for group in self._association.groups()}
        return [Row(each.id, {"groupid": each.id, "name": each.name}, partial(self._group, each)) for each in groups.values()]

    def _group_members(self) -> list[Row]:
        return [
            Row(f"{each.id}|{each.person.id}", {"groupid": each.id, "partyid": each.person.id}, partial(self._group_member, each))
            for each in self._association.groups()
        ]

    def _group(self, group: Group) -> Json:
        kind = self._dialect.record("GroupClassData", GroupClassId="COMMITTEE", Name="Committee")  # members of GroupClass: UNKNOWN (5.6)
        return self._dialect.record("GroupData", GroupId=group.id, Name=group.name, GroupClass=kind)

    def _group_member(self, group: Group) -> Json:
        """5.6, SEEN."""
        record = self._dialect.record
        role = record("GroupRoleData", RoleId="member", Name="Member", Description="Member")
        details: Any = [record("GroupMemberDetailData", GroupMemberDetailId=f"{group.id}-1", IsActive=group.active, Role=role)]
        return record(
            "GroupMemberData",
            GroupMemberId=f"{group.id}:{group.person.id}",
            Group=record("GroupSummaryData", GroupId=group.id, Name=group.name),
            Party=self._writer.summary(group.person),
            JoinDate=written_date(group.person, "join_date"),
            IsActive=group.active,
            MembershipDetails=self._dialect.collection("GroupMemberDetailDataCollection", details),
        )


def _findable(person: Person) -> dict[str, str]:
    """What Party and Person may be found by (5.3)."""
    found = {
        "partyid": person.id,
        "id": person.id,
        "uniformid": uniform_id(person),
        "customertypecode": one(person, "member_type"),
        "name": full_name(person),
        "email": one(person, "email"),
        "phone": one(person, "phone"),
        "firstname": one(person, "first_name"),
        "lastname": one(person, "last_name"),
    }
    return {name: value for name, value in found.items() if value}


def _matches(value: str, wanted: str) -> bool:
    """A filter with or without an operator (4.3); contains and startsWith are INFERRED, and so is that case and width are no matter."""
    operator, colon, operand = wanted.partition(":")
    test = _OPERATORS.get(operator.lower()) if colon else None
    return test(fold(value), fold(operand)) if test else fold(value) == fold(wanted)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "eq": lambda value, operand: value == operand,
    "equal": lambda value, operand: value == operand,
    "ne": lambda value, operand: value != operand,
    "gt": lambda value, operand: value > operand,
    "ge": lambda value, operand: value >= operand,
    "lt": lambda value, operand: value < operand,
    "le": lambda value, operand: value <= operand,
    "contains": lambda value, operand: operand in value,
    "startswith": lambda value, operand: value.startswith(operand),
}
