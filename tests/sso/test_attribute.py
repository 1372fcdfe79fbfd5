"""Attributes that are made by rules: their types, their spelling, and what they become in JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from idp.directory import Subject
from idp.sso.attribute import json_value, read_date
from idp.sso.release import read_release
from idp.sso.settings import AttributeSettings

NOON = 1_783_000_000  # 2026-07-02
ADA = Subject(
    "101",
    "ada",
    {
        "first_name": ("ada",),
        "last_name": ("EXAMPLE",),
        "email": ("Ada@Assoc.example",),
        "paid_through": ("2026-07-02",),
        "join_date": ("2019-03-07T00:00:00",),
        "member_type": ("REG",),
        "committees": ("Ethics", "Finance"),
        "credits": ("12.50",),
        "points": ("007",),
        "opted_in": ("Yes",),
    },
)


def made(name: str = "x", subject: Subject = ADA, **table: Any) -> Any:
    """What JSON has for the attribute; None when it is left out."""
    release = read_release({name: AttributeSettings.model_validate({key.rstrip("_"): value for key, value in table.items()})})
    released = release.apply(subject, lambda: NOON)
    return json_value(release.kind(name), released[name]) if name in released else None


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ({"from": "email"}, "Ada@Assoc.example"),
        ({"from": "mail", "rule": "lower"}, "ada@assoc.example"),
        ({"from": "first_name", "rule": "upper"}, "ADA"),
        ({"from": ["first_name", "last_name"], "rule": "join"}, "ada EXAMPLE"),
        ({"from": "last_name", "rule": "title"}, "Example"),
        ({"from": "committees", "rule": "join", "separator": "; "}, "Ethics; Finance"),
        ({"from": "member_type", "rule": "map", "values": {"REG": "Member", "*": "Guest"}}, "Member"),
        ({"from": "member_type", "rule": "map", "values": {"STU": "Student", "*": "Guest"}}, "Guest"),
        ({"from": "member_type", "rule": "map", "values": {"STU": "Student"}}, None),
        ({"from": "paid_through", "rule": "after_today"}, True),
        ({"from": "paid_through", "rule": "before_today"}, False),
        ({"from": "join_date", "rule": "after_today"}, False),
        ({"from": "join_date", "rule": "after_today", "grace": 36500}, True),
        ({"from": "gone", "rule": "after_today", "type": "boolean"}, False),
        ({"from": "committees", "rule": "has", "any_of": ["finance"]}, True),
        ({"from": "committees", "rule": "has", "any_of": ["Board"]}, False),
        ({"from": "phone", "rule": "present"}, False),
        ({"from": "join_date", "type": "date"}, "2019-03-07"),
        ({"from": "credits", "type": "number"}, 12.5),
        ({"from": "points", "type": "number"}, 7),
        ({"from": "email", "type": "number"}, None),
        ({"from": "opted_in", "type": "boolean"}, True),
        ({"from": "email", "type": "list"}, ["Ada@Assoc.example"]),
        ({"from": "committees", "type": "text"}, "Ethics"),
        ({"from": "committees"}, ["Ethics", "Finance"]),
        ({"from": "gone", "default": 0, "type": "number"}, 0),
        ({"from": "gone", "default": False, "type": "boolean"}, False),
        ({"from": "email", "default": "none@assoc.example"}, "Ada@Assoc.example"),
    ],
)
def test_a_rule_makes_one_value_of_a_known_type(table: dict[str, Any], expected: Any) -> None:
    value = made(**table)
    assert value == expected
    assert type(value) is type(expected)


def test_SAML_gets_the_same_value_as_text_in_one_spelling() -> None:
    release = read_release({"member": AttributeSettings.model_validate({"from": "paid_through", "rule": "after_today"})})
    assert release.apply(ADA, lambda: NOON) == {"member": ("true",)}


def test_a_day_is_paid_for_until_it_is_over() -> None:
    release = read_release({"member": AttributeSettings.model_validate({"from": "paid_through", "rule": "after_today"})})
    assert release.apply(ADA, lambda: NOON + 86400) == {"member": ("false",)}


def test_a_table_mixes_names_and_rules() -> None:
    release = read_release({"email": "mail", "member_type": AttributeSettings(required=True)})
    assert release.apply(ADA, lambda: NOON) == {"mail": ("Ada@Assoc.example",), "member_type": ("REG",)}
    assert release.holds("email")
    assert release.holds("member_type")


def test_groups_stay_a_list_however_many_there_are() -> None:
    assert made("groups", subject=Subject("1", "x", {"committees": ("Ethics",)})) == ["Ethics"]


@pytest.mark.parametrize(
    "table", [{"rule": "map"}, {"rule": "has"}, {"rule": "after_today", "type": "number"}, {"rule": "eval"}, {"code": "1"}, {"type": "xml"}]
)
def test_a_rule_that_cannot_work_is_refused_when_the_configuration_is_read(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AttributeSettings.model_validate(table)


@given(st.text(max_size=40), st.sampled_from(["text", "number", "date", "boolean", "list"]))
def test_whatever_a_directory_holds_a_typed_attribute_is_right_or_absent(text: str, kind: str) -> None:
    value = made(subject=Subject("1", "x", {"x": (text,)}), type=kind)
    kinds = {"text": str, "number": (int, float), "date": str, "boolean": bool, "list": list}
    assert value is None or isinstance(value, kinds[kind])


@pytest.mark.parametrize("text", ["", "x", "0001-01-01", "2026-02-30", "9" * 300])
def test_what_is_no_date_is_none(text: str) -> None:
    assert read_date(text) is None
