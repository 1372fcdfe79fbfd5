"""The table of conformity claims no more than there is."""

from __future__ import annotations

import pytest

from tests.conformity import check_names, check_row, rows_of

ROWS = rows_of("saml/CONFORMITY.md")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_that_is_proven_names_tests_that_exist_and_any_other_says_why(row: list[str]) -> None:
    check_row(row)


@pytest.mark.parametrize(
    ("prefix", "last"),
    [("SDP-G", 4), ("SDP-MD", 12), ("SDP-IDP", 33), ("IIP-G", 3), ("IIP-MD", 12), ("IIP-SSO", 7), ("IIP-IDP", 21)],
)
def test_no_row_of_a_profile_is_left_out(prefix: str, last: int) -> None:
    named = {row[0] for row in ROWS}
    assert {f"{prefix}{number:02d}" for number in range(1, last + 1)} <= named


EGOV = (
    *(*range(1, 9), *range(10, 20), 21, 22, *range(30, 34), 40, *range(42, 46), *range(50, 56), 61, 63, 64, 68),
    *(*range(70, 75), 81, *range(110, 114), 117, 118),
)
ROWS_OF = {
    "algorithms": [f"IIP-ALG{number:02d}" for number in (1, 2, 3, 4, 5, 6, 8)] + ["SDP-ALG01", "IIP-EXT01"],
    "eGov": [f"eGov-{number:03d}" for number in EGOV],
    "eGov logout": [f"eGOV-{number}" for number in ("090", "091", "092", "094", "095", "096", "097", "098", "100", "101", "102")],
    "CTK": ["CTK", "SAMLCore", "SAMLProfiles", "SAMLBindings"],
    "saml2test": [f"S2c-{number:02d}" for number in (*range(1, 7), *range(8, 18), 20, 21, 26, 31)],
}


@pytest.mark.parametrize("wanted", ROWS_OF.values(), ids=ROWS_OF)
def test_no_row_of_a_test_kit_or_older_profile_is_left_out(wanted: list[str]) -> None:
    names = " ".join(row[0] for row in ROWS)
    assert [each for each in wanted if each not in names] == []


def test_no_row_stands_there_twice() -> None:
    check_names(ROWS)
