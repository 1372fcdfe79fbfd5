"""Messages that would cost much, on every way in: each is refused, and in little memory. `python -m tests.bench.bomb` has the times."""

from __future__ import annotations

import pytest

from tests.bench.bomb import DOCUMENTS, MOST_MB, in_a_process_of_its_own

Result = tuple[str, float, int, str]


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return in_a_process_of_its_own()


def test_V22_no_bomb_is_taken_by_any_way_in(results: list[Result]) -> None:
    assert len(results) > 5 * len(DOCUMENTS)
    assert [name for name, _, _, cause in results if not cause.startswith("saml.")] == []


def test_V22_no_bomb_takes_more_than_64_MB(results: list[Result]) -> None:
    assert [(name, grown) for name, _, grown, _ in results if grown > MOST_MB] == []


def test_the_memory_that_is_measured_is_the_bomb_s(results: list[Result]) -> None:
    """Else nothing would be seen behind the memory in which the bombs were made."""
    assert any(grown > 0 for _, _, grown, _ in results)
