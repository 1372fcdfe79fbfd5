"""Reads iMIS's JSON dialect (facts on iMIS, section 4) and a contact's data (5.2-5.6) into our attributes.

Two measures: where an answer says whether somebody exists, its form must be right, or it is DirectoryUnavailable; where it says what
somebody is called, whatever has not the form we know counts as absent.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from idp.directory import Attributes, DirectoryUnavailable

_GUID = re.compile(r"\{?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\}?", re.IGNORECASE)
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[T ].*)?", re.ASCII)
_NO_DATE = "0001-01-01"  # .NET's way to write a date that is not there (4.1)
_PARTY_PROPERTIES = {"member_type": "CustomerTypeCode", "join_date": "JoinDate", "paid_through": "PaidThruDate"}
_CONTACT_PROPERTIES = {"member_type": "MemberType", "paid_through": "PaidThrough"}
_DATES = frozenset({"join_date", "paid_through"})


@dataclass(frozen=True)
class Page:
    """One page of a list (4.2). `next_offset` is None on the last."""

    items: list[dict[str, Any]]
    next_offset: int | None


def read_page(body: Any, what: str) -> Page:
    """A paged list, or a bare array as before 20.2.46. Raises DirectoryUnavailable if it is neither; `what` names the call."""
    envelope = body if isinstance(body, dict) else {}
    items = values(envelope.get("Items", body))
    if items is None or not all(isinstance(item, dict) for item in items):
        raise DirectoryUnavailable(f"{what}: an answer that is not a list")
    offset = plain(envelope.get("NextOffset"))
    more = bool(items) and plain(envelope.get("HasNext")) is True and isinstance(offset, int) and offset > 0
    return Page(items, offset if more else None)


def plain(value: Any) -> Any:
    """A scalar without its wrapping `{"$type": ..., "$value": ...}` (4.1)."""
    return value["$value"] if isinstance(value, dict) and "$value" in value else value


def values(collection: Any) -> list[Any] | None:
    """The members of a collection, bare or wrapped in `$values` (4.1); None if it is no collection."""
    if isinstance(collection, dict):
        collection = collection.get("$values")
    return collection if isinstance(collection, list) else None


def text(value: Any) -> str:
    """A scalar as a text; empty if it is none. What XML cannot carry is left out: an attribute may go into an assertion."""
    value = plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, (str, int, float)):
        return ""
    kept = (" " if character in "\t\r\n" else character for character in str(value))
    return "".join(character for character in kept if _carried(character)).strip()


def _carried(character: str) -> bool:
    """XML 1.0, 2.2, without control characters: `Cc` are those, `Cs` halves of surrogate pairs; the last two are no characters."""
    return unicodedata.category(character) not in ("Cc", "Cs") and character not in "\ufffe\uffff"


def date(value: Any) -> str:
    """YYYY-MM-DD of a date such as 2019-03-07T00:00:00; empty if there is none."""
    found = _DATE.fullmatch(text(value))
    return found[1] if found and found[1] != _NO_DATE else ""


def text_or_date(value: Any) -> str:
    """A text; dates among further attributes are cut too, if they have iMIS's form (4.1), and the empty one is none."""
    found = text(value)
    return date(found) if re.fullmatch(r"\d{4}-\d{2}-\d{2}T[\d:.]+", found, re.ASCII) else found


def properties(row: Any) -> dict[str, Any]:
    """Name -> value of a row: a property bag (`Properties`, or the collection itself) or a flat object (4.1, 5.5). A null is absent."""
    bag = values(row.get("Properties", row)) if isinstance(row, dict) else values(row)
    if bag is None:
        found = dict(row) if isinstance(row, dict) and "Properties" not in row else {}
    else:
        found = {entry["Name"]: entry.get("Value") for entry in bag if isinstance(entry, dict) and isinstance(entry.get("Name"), str)}
    return {name: plain(value) for name, value in found.items() if not name.startswith("$") and plain(value) is not None}


def contact_id(record: Mapping[str, Any], *names: str) -> str:
    """The iMIS ID in the first of these members that has one: a text, so leading zeros stay (5.1)."""
    return next((found for name in names if (found := text(record.get(name)))), "")


def user_name(user: Mapping[str, Any]) -> str:
    """The name of a login (5.2); empty if it has none."""
    return text(user.get("UserName"))


def login_disabled(user: Mapping[str, Any], names: Iterable[str]) -> bool:
    """Whether one of these members of User is true; a false one may be absent (4.1)."""
    return any(text(user.get(name)).lower() in ("true", "1") for name in names)


def party_attributes(party: Mapping[str, Any], more: Mapping[str, str]) -> Attributes:
    """What Party tells (5.3). `more`: our name -> name among its AdditionalAttributes."""
    name, organization, status = (_object(party.get(member)) for member in ("PersonName", "PrimaryOrganization", "Status"))
    additional = properties(party.get("AdditionalAttributes"))
    first, last = text(name.get("FirstName")), text(name.get("LastName"))
    return present(
        {
            "full_name": text(party.get("Name")) or f"{first} {last}".strip(),
            "first_name": first,
            "middle_name": text(name.get("MiddleName")),
            "last_name": last,
            "informal_name": text(name.get("InformalName")),
            "prefix": text(name.get("NamePrefix")),
            "suffix": text(name.get("NameSuffix")),
            "email": _primary(party.get("Emails"), "Address", "EmailType") or text(party.get("Email")),
            "phone": _primary(party.get("Phones"), "Number", "PhoneType") or text(party.get("Phone")),
            "company": text(organization.get("Name")),
            "title": text(organization.get("Title")),
            "status": text(status.get("Description")),
            "uniform_id": text(party.get("UniformId")),
            **_named(additional, {**_PARTY_PROPERTIES, **more}),
        }
    )


def contact_attributes(contact: Any, more: Mapping[str, str]) -> Attributes:
    """What CsContact tells (5.4)."""
    return present(_named(properties(contact), {**_CONTACT_PROPERTIES, **more}))


def role_names(result: Any, what: str) -> tuple[str, ...]:
    """Names from the Result of GetUserRoles (5.2), without those that look like a GUID (7.2): they mean nothing to a vendor."""
    roles = values(result)
    if roles is None:
        raise DirectoryUnavailable(f"{what}: an answer without roles")
    names = (text(role.get("RoleName") if isinstance(role, dict) else role) for role in roles)
    return tuple(dict.fromkeys(name for name in names if name and not _GUID.fullmatch(name)))


def group_names(members: Iterable[Mapping[str, Any]], party_id: str) -> tuple[str, ...]:
    """Names of the groups that this contact is in now (5.6). A false IsActive may be absent (4.1), so absent counts as false.

    A filter that iMIS does not know may be passed over: another's membership is never taken for theirs.
    """
    own = (member for member in members if contact_id(_object(member.get("Party")), "PartyId", "Id") == party_id)
    current = (_object(member.get("Group")) for member in own if plain(member.get("IsActive")) is True)
    return tuple(dict.fromkeys(name for group in current if (name := text(group.get("Name")))))


def subscription_names(subscriptions: Iterable[Mapping[str, Any]], party_id: str) -> tuple[str, ...]:
    """What the member has subscribed to, of those that say they are theirs (5.6; its members are UNKNOWN, so several are looked at)."""
    own = (each for each in map(properties, subscriptions) if contact_id(each, "PartyId", "ID", "Id") == party_id)
    found = (contact_id(each, "ProductCode", "ItemId", "Name") for each in own if text(each.get("Status")) in ("", "A", "Active"))
    return tuple(dict.fromkeys(name for name in found if name))


def definition_columns(definition: Any) -> dict[str, str]:
    """The columns of an IQA's definition with their types (5.5): by alias, or by name where there is none."""
    found = values(_object(definition).get("Properties"))
    if found is None:
        raise DirectoryUnavailable("FindByPath of QueryDefinition: an answer without columns")
    entries = [entry for entry in found if isinstance(entry, dict)]
    return {name: text(entry.get("DataTypeName")) for entry in entries if (name := text(entry.get("Alias")) or text(entry.get("Name")))}


def parameter_count(definition: Any) -> int:
    """How many prompts an IQA's definition has."""
    return len(values(_object(definition).get("Parameters")) or [])


def present(found: Mapping[str, str]) -> Attributes:
    """One value each; what is empty is absent."""
    return {name: (value,) for name, value in found.items() if value}


def _named(bag: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    return {ours: (date if ours in _DATES else text_or_date)(bag.get(theirs)) for ours, theirs in names.items()}


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _primary(collection: Any, member: str, kind: str) -> str:
    """The value that is marked primary, or the first (5.3)."""
    entries = [entry for entry in values(collection) or [] if isinstance(entry, dict) and text(entry.get(member))]
    marked = [entry for entry in entries if plain(entry.get("IsPrimary")) is True]
    typed = [entry for entry in entries if entry.get(kind) == "_Primary"]
    return next((text(entry[member]) for entry in [*marked, *typed, *entries]), "")
