"""What a client may see of a member, and under which names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from idp.directory import STANDARD_ATTRIBUTES, Subject
from idp.sso.release import ALIASES, BASIC, read_release

EVERYTHING = Subject("101", "ada", {name: (f"her {name}",) for name in STANDARD_ATTRIBUTES})


def test_S126_without_a_release_a_client_learns_who_and_nothing_of_the_membership() -> None:
    assert set(read_release(None).apply(EVERYTHING)) == set(BASIC)
    assert not {"member_type", "roles", "committees", "paid_through", "phone"} & set(BASIC)


def test_an_empty_release_releases_nothing() -> None:
    assert read_release([]).apply(EVERYTHING) == {}
    assert read_release({}).apply(EVERYTHING) == {}


def test_a_vendors_usual_name_means_our_attribute_under_that_name() -> None:
    assert read_release(["mail", "sn"]).apply(EVERYTHING) == {"mail": ("her email",), "sn": ("her last_name",)}


def test_our_name_may_be_given_another() -> None:
    assert read_release(["email = E-Mail"]).apply(EVERYTHING) == {"E-Mail": ("her email",)}


def test_the_attributes_of_a_table_may_go_by_their_usual_names_too() -> None:
    """As in a list: otherwise the same name would release a value there, and silently nothing here."""
    assert read_release({"mail": "urn:oid:0.9.2342.19200300.100.1.3"}).apply(EVERYTHING) == {
        "urn:oid:0.9.2342.19200300.100.1.3": ("her email",)
    }


def test_a_name_with_nothing_behind_the_equals_sign_keeps_its_own() -> None:
    assert read_release(["email="]).apply(EVERYTHING) == {"email": ("her email",)}


def test_what_the_member_lacks_is_left_out() -> None:
    poor = Subject("102", "ben", {"email": (), "phone": ("",), "roles": ("", "Board")})
    assert read_release(["email", "phone", "roles", "title"]).apply(poor) == {"roles": ("Board",)}


def test_several_values_stay_several() -> None:
    subject = Subject("101", "ada", {"committees": ("Ethics", "Finance")})
    assert read_release(["groups"]).apply(subject) == {"groups": ("Ethics", "Finance")}


def test_every_alias_leads_to_a_standard_attribute_and_hides_none() -> None:
    assert set(ALIASES.values()) <= set(STANDARD_ATTRIBUTES)
    assert not set(ALIASES) & set(STANDARD_ATTRIBUTES)


@given(st.lists(st.sampled_from([*STANDARD_ATTRIBUTES, *ALIASES, "shoe_size"]), unique=True))
def test_no_release_ever_shows_more_than_it_names(names: list[str]) -> None:
    released = read_release(names).apply(EVERYTHING)
    assert set(released) <= set(names)
    allowed = {f"her {ALIASES.get(name, name)}" for name in names}
    assert {value for values in released.values() for value in values} <= allowed
