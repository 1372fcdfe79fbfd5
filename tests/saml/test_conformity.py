"""The table of conformity claims no more than there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
TABLE = (ROOT / "idp" / "protocols" / "saml" / "CONFORMITY.md").read_text(encoding="utf-8")
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines() if re.match(r"\| (?!row)[A-Za-z0-9]", line)]
TESTS = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_that_is_proven_names_tests_that_exist_and_any_other_says_why(row: list[str]) -> None:
    _, state, text = row
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named <= TESTS, named - TESTS
    assert state in ("proven", "in part", "not done")
    assert bool(named) == (state != "not done")
    assert text.rpartition("`")[2] or state == "proven"


@pytest.mark.parametrize(
    ("prefix", "last"),
    [("SDP-G", 4), ("SDP-MD", 12), ("SDP-IDP", 33), ("IIP-G", 3), ("IIP-MD", 12), ("IIP-SSO", 7), ("IIP-IDP", 21)],
)
def test_no_row_of_a_profile_is_left_out(prefix: str, last: int) -> None:
    named = {row[0] for row in ROWS}
    assert {f"{prefix}{number:02d}" for number in range(1, last + 1)} <= named


def test_no_row_stands_there_twice() -> None:
    names = [row[0] for row in ROWS]
    assert len(names) == len(set(names))
