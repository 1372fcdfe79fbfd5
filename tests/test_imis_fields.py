"""iMIS's JSON dialect, read: the shapes that builds and documents show for one and the same thing (facts on iMIS, 4 and 5)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from idp.directory import DirectoryUnavailable
from idp.directory.imis_fields import date, group_names, party_attributes, properties, read_page, role_names, text

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["$type", "$value", "$values", "Name", "Value", "Items"]), inner)
    ),
    max_leaves=12,
)
PARTY_MEMBERS = ["Name", "PersonName", "Emails", "Phones", "PrimaryOrganization", "Status", "AdditionalAttributes", "UniformId", "Email"]


def bag(**members: Any) -> Any:
    return {"$type": "...Collection", "$values": [{"$type": "...Data", "Name": name, "Value": value} for name, value in members.items()]}


def test_both_row_shapes_read_alike() -> None:
    """4.1, 5.5: a property bag of /api/IQA, a flat object of /api/Query."""
    in_bag: Any = {"$type": "GenericEntityData", "Properties": bag(City="Oslo", Age={"$type": "System.Int32", "$value": 7}, Gone=None)}
    bare = {"$type": "GenericEntityData", "Properties": in_bag["Properties"]["$values"]}
    flat = {"$type": "System.Dynamic.ExpandoObject, System.Core", "City": "Oslo", "Age": 7, "Gone": None}
    assert properties(in_bag) == properties(bare) == properties(flat) == {"City": "Oslo", "Age": 7}


def test_a_property_without_a_value_is_absent() -> None:
    assert properties({"Properties": [{"Name": "Fax"}, {"Value": "lost"}, 5]}) == {}


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("2019-03-07T00:00:00", "2019-03-07"),
        ("2019-03-07T23:59:59.123", "2019-03-07"),
        ("2019-03-07", "2019-03-07"),
        ({"$type": "System.DateTime", "$value": "2019-03-07T00:00:00"}, "2019-03-07"),
        ("0001-01-01T00:00:00", ""),
        ("0001-01-01", ""),
        ("3/7/2019", ""),
        ("2019-03-071", ""),
        ("٢٠١٩-٠٣-٠٧", ""),
        ("", ""),
        (None, ""),
        (20190307, ""),
    ],
)
def test_a_date_is_ten_characters_or_absent(value: Any, read: str) -> None:
    assert date(value) == read


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("00101", "00101"),
        (101, "101"),
        ({"$type": "System.Int32", "$value": 101}, "101"),
        ({"$type": "System.Boolean", "$value": False}, "false"),
        ("  Ada  ", "Ada"),
        ("A\x00d\x1fa\x7f\x85", "Ada"),
        ("Ada\r\nMarlowe", "Ada  Marlowe"),
        ("half \ud800 a pair \ufffe", "half  a pair"),
        ("👩🏽‍🚀 שלום", "👩🏽‍🚀 שלום"),
        ({"$type": "x"}, ""),
        (["Ada"], ""),
        (None, ""),
    ],
)
def test_a_text_keeps_its_zeros_and_loses_what_xml_cannot_carry(value: Any, read: str) -> None:
    assert text(value) == read


def test_roles_of_every_shape_are_names_without_guids_or_doubles() -> None:
    guid = "87EAD15E-B188-42E8-AE48-E9B8C2B24C94"
    roles = [
        {"RoleName": "SysAdmin"},
        {"RoleName": guid},
        {"RoleName": f"{{{guid.lower()}}}"},
        {"RoleName": "SysAdmin"},
        "Staff",
        guid,
        {},
        5,
    ]
    assert role_names({"$values": roles}, "") == role_names(roles, "") == ("SysAdmin", "Staff", "5")


def test_a_role_that_only_resembles_a_guid_stays() -> None:
    assert role_names(["Deadbeef Club", "87EAD15E"], "") == ("Deadbeef Club", "87EAD15E")


@pytest.mark.parametrize("active", [False, None, "true", 1, {"$value": False}, "absent"])
def test_a_membership_that_is_not_said_to_be_active_is_none(active: Any) -> None:
    member = {"Group": {"Name": "Board"}, "Party": {"PartyId": "1"}, "IsActive": active}
    if active == "absent":
        del member["IsActive"]
    assert group_names([member], "1") == ()


@pytest.mark.parametrize("party", [{"PartyId": "2"}, {}, None, {"PartyId": "01"}])
def test_a_membership_of_somebody_else_is_passed_over(party: Any) -> None:
    assert group_names([{"Group": {"Name": "Board"}, "Party": party, "IsActive": True}], "1") == ()


def test_a_membership_may_be_typed() -> None:
    active = {"$type": "System.Boolean", "$value": True}
    assert group_names([{"Group": {"Name": "Board"}, "Party": {"PartyId": "1"}, "IsActive": active}] * 2, "1") == ("Board",)


def test_the_primary_email_is_the_one_that_is_marked_so() -> None:
    home, work, main = ({"Address": f"{kind}@x.example", "EmailType": kind} for kind in ("Home", "Work", "_Primary"))
    found = [
        party_attributes({"Emails": emails, "Email": "other@x.example"}, {})["email"]
        for emails in ([home, main], [home, {**work, "IsPrimary": True}, main], {"$values": [home, work]}, [{}, "no", home], [])
    ]
    assert [address for (address,) in found] == [
        "_Primary@x.example",
        "Work@x.example",
        "Home@x.example",
        "Home@x.example",
        "other@x.example",
    ]


def test_more_attributes_are_named_by_us() -> None:
    party = {"AdditionalAttributes": bag(Chapter="North", Points={"$type": "System.Int32", "$value": 7}, Since="2019-03-07T00:00:00")}
    found = party_attributes(party, {"chapter": "Chapter", "points": "Points", "since": "Since", "absent": "Nothing"})
    assert found == {"chapter": ("North",), "points": ("7",), "since": ("2019-03-07",)}


@pytest.mark.parametrize(
    "envelope", [{"HasNext": True, "NextOffset": 0}, {"HasNext": False, "NextOffset": 2}, {"NextOffset": 2}, {"HasNext": True}]
)
def test_a_list_ends_where_any_sign_says_so(envelope: dict[str, Any]) -> None:
    """4.2: HasNext false, NextOffset 0, or nothing on the page."""
    assert read_page({"Items": {"$values": [{}]}, **envelope}, "").next_offset is None
    assert read_page({"Items": {"$values": []}, "HasNext": True, "NextOffset": 2}, "").next_offset is None


def test_a_list_goes_on_at_its_next_offset() -> None:
    assert read_page({"Items": [{}], "HasNext": True, "NextOffset": 100}, "").next_offset == 100


@pytest.mark.parametrize("body", [None, 5, "x", {}, {"Items": None}, {"Items": {}}, {"Items": 5}, [5], {"Items": [None]}])
def test_F12_what_is_no_list_is_not_an_empty_one(body: Any) -> None:
    with pytest.raises(DirectoryUnavailable):
        read_page(body, "GET /api/User")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(PARTY_MEMBERS), JSON))
def test_no_party_whatever_breaks_the_reader_and_every_value_is_a_text(party: dict[str, Any]) -> None:
    found = party_attributes(party, {"more": "Name"})
    assert all(value and isinstance(value, str) and value.encode() for values in found.values() for value in values)
