"""Tables of conformity: what a row must be, wherever its table stands."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
TESTS = {name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)}
"""The names of all tests there are."""


def rows_of(table: str) -> list[list[str]]:
    """Name, state and reason of each row of `idp/protocols/<table>`; the heads of its tables, which begin so, are none."""
    text = (ROOT / "idp" / "protocols" / table).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if re.match(r"\| (?!row|module)`?[A-Za-z0-9]", line)]
    return [
        [cell.strip().strip("`") if number == 0 else cell.strip() for number, cell in enumerate(line.strip("|").split("|"))]
        for line in lines
    ]


def check_row(row: list[str]) -> None:
    """What is proven names tests that exist, and anything else says why."""
    _, state, text = row
    named = set(re.findall(r"`(test_\w+)`", text))
    assert named <= TESTS, named - TESTS
    assert state in ("proven", "in part", "not done")
    assert bool(named) == (state != "not done")
    assert text.rpartition("`")[2] or state == "proven"


def check_names(rows: list[list[str]]) -> None:
    """No row stands there twice."""
    names = [row[0] for row in rows]
    assert len(names) == len(set(names))
