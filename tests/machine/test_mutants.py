"""The list of faults stays true to the source that they are put into."""

from __future__ import annotations

import pytest

from tests.machine.mutants import MUTANTS, PROJECT, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.sentence)
def test_the_place_of_each_fault_is_in_the_source_once(mutant: Mutant) -> None:
    assert mutant.path(PROJECT).read_text().count(mutant.old) == 1
    assert mutant.new != mutant.old
