"""The table of modules claims no more than there is, and leaves none out."""

from __future__ import annotations

import pytest

from tests.conformity import TESTS, check_names, check_row, rows_of

ROWS = [[row[0].partition("`")[0], *row[1:]] for row in rows_of("oidc/CONFORMITY.md")]
MODULES = [name for name, _, _ in ROWS if name.startswith("oidcc-")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_module_that_is_proven_names_tests_that_exist_and_any_other_says_why(row: list[str]) -> None:
    check_row(row)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_module_and_its_test_have_one_name(row: list[str]) -> None:
    name, state, text = row
    own = name.replace("-", "_")
    assert state == "not done" or any(f"`test_{prefix}{own}`" in text for prefix in ("", "fapi2_"))


def test_no_module_is_left_out() -> None:
    check_names(ROWS)
    assert (len(MODULES), len(ROWS) - len(MODULES)) == (77, 55)
    listed = " ".join(text for _, _, text in ROWS)
    assert not [name for name in TESTS if name.startswith(("test_oidcc_", "test_fapi2_")) and f"`{name}`" not in listed]
