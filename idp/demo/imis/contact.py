"""A person of the association as iMIS writes them: User, Party, PartySummary, CsContact (facts on iMIS, 5.2-5.4)."""

from __future__ import annotations

import uuid
from typing import Any

from idp.demo.imis.answer import Dialect, Json
from idp.demo.imis.settings import SimulatorSettings
from idp.directory import STANDARD_ATTRIBUTES
from idp.directory.people_file import Person

_ELSEWHERE = frozenset({"former_committees", "subscriptions"})  # told by GroupMember and Subscription, not by Party


class ContactWriter:
    """Writes people in one build's dialect."""

    def __init__(self, dialect: Dialect, settings: SimulatorSettings) -> None:
        self._dialect = dialect
        self._settings = settings

    def user(self, person: Person) -> Json:
        """A login. Its Roles are always null (5.2, SEEN), so they are absent."""
        disabled = {self._settings.disabled_field: not person.active}
        return self._dialect.record("UserData", UserId=person.id, UserName=person.username, Party=self.summary(person), **disabled)

    def summary(self, person: Person) -> Json:
        name, address, guid = full_name(person), one(person, "email"), uniform_id(person)
        return self._dialect.record("PartySummaryData", PartyId=person.id, Id=person.id, Name=name, Email=address, UniformId=guid)

    def party(self, person: Person) -> Json:
        """A PersonData, as Party and Person both give it (5.3, SEEN)."""
        record, party = self._dialect.record, self._dialect
        return record(
            "PersonData",
            PersonName=record(
                "PersonNameData",
                NamePrefix=one(person, "prefix"),
                FirstName=one(person, "first_name"),
                MiddleName=one(person, "middle_name"),  # INFERRED
                LastName=one(person, "last_name"),
                NameSuffix=one(person, "suffix"),  # INFERRED
                InformalName=one(person, "informal_name"),
            ),
            PrimaryOrganization=self._organization(person),
            Status=record("PartyStatusData", Description=one(person, "status")) if one(person, "status") else None,  # its $type: INFERRED
            Emails=party.collection("EmailDataCollection", self._emails(person)),
            Phones=party.collection("PhoneDataCollection", self._phones(person)),
            AdditionalAttributes=party.bag(additional(person)),
            PartyId=person.id,
            Id=person.id,
            UniformId=uniform_id(person),
            Name=full_name(person),
        )

    def cs_contact(self, person: Person) -> Json:
        """The business object CsContact (5.4); what RenewMonths holds is made up."""
        members = {"MemberType": one(person, "member_type"), "PaidThrough": written_date(person, "paid_through"), "RenewMonths": 12}
        return self._dialect.entity("CsContact", person.id, members)

    def _organization(self, person: Person) -> Json | None:
        if not one(person, "company") and not one(person, "title"):
            return None
        return self._dialect.record("PrimaryOrganizationInformationData", Name=one(person, "company"), Title=one(person, "title"))

    def _emails(self, person: Person) -> list[Json]:
        """The primary one, after another that must not be taken for it."""
        address = one(person, "email")
        if address is None:
            return []
        other = self._dialect.record("EmailData", Address=f"other-{person.id}@mail.example", EmailType="Home", IsPrimary=False)
        return [other, self._dialect.record("EmailData", Address=address, EmailType="_Primary", IsPrimary=True)]

    def _phones(self, person: Person) -> list[Json]:
        number = one(person, "phone")
        return [self._dialect.record("PhoneData", Number=number, PhoneType="_Work Phone", IsPrimary=True)] if number else []


def one(person: Person, name: str) -> str | None:
    """The attribute's first value; None, and so absent, without one."""
    return next(iter(person.attributes.get(name, ())), None)


def full_name(person: Person) -> str:
    name = " ".join(part for part in (one(person, "first_name"), one(person, "last_name")) if part)
    return one(person, "full_name") or name or person.id


def uniform_id(person: Person) -> str:
    """The contact's GUID (5.1); made from the id if the people file has none."""
    return one(person, "uniform_id") or str(uuid.uuid5(uuid.NAMESPACE_OID, person.id)).upper()


def written_date(person: Person, name: str) -> str | None:
    """2019-03-07T00:00:00, without a zone (4.1, SEEN)."""
    found = one(person, name)
    return f"{found}T00:00:00" if found else None


def additional(person: Person) -> dict[str, Any]:
    """AdditionalAttributes (5.3): CustomerTypeCode first, the dates, then what the people file has beyond our names (Chapter)."""
    known = {"CustomerTypeCode": one(person, "member_type")}
    dates = {"JoinDate": written_date(person, "join_date"), "PaidThruDate": written_date(person, "paid_through")}
    others = {_pascal(name): one(person, name) for name in person.attributes if name not in STANDARD_ATTRIBUTES and name not in _ELSEWHERE}
    return {**known, **dates, **others}


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
