"""A client's calls in a minute, counted by several processes together."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as any_of

from idp.store.sqlite import SqliteStore
from idp.web.allowance import MINUTE, Allowance
from tests.standin import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite", now=clock)
    yield store
    store.close()


@given(most=any_of.integers(0, 450), turns=any_of.lists(any_of.integers(0, 2), max_size=600))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_S97_processes_together_let_no_more_through_than_there_are(store: SqliteStore, clock: Clock, most: int, turns: list[int]) -> None:
    clock.seconds += MINUTE
    processes = [Allowance(store, most=most, now=clock) for _ in range(3)]
    through = sum(processes[turn].take("lms") for turn in turns)
    unused = 2 * (max(1, most // 100) - 1)  # what the other two have taken and not given out
    assert min(len(turns), most - unused) <= through <= most or most < unused


def test_S97_one_process_lets_every_call_through_that_there_is(store: SqliteStore, clock: Clock) -> None:
    allowance = Allowance(store, most=1250, now=clock)  # a hundredth is 12, and 2 are left over
    assert sum(allowance.take("lms") for _ in range(1300)) == 1250


def test_S97_threads_let_no_more_through(store: SqliteStore, clock: Clock) -> None:
    allowance = Allowance(store, most=300, now=clock)
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: allowance.take("lms"), range(500))) == 300


def test_what_was_not_used_is_lost_with_its_minute(store: SqliteStore, clock: Clock) -> None:
    allowance = Allowance(store, most=200, now=clock)
    assert allowance.take("lms")
    clock.seconds += allowance.wait()
    assert sum(allowance.take("lms") for _ in range(300)) == 200


def test_another_client_is_not_held_up(store: SqliteStore, clock: Clock) -> None:
    allowance = Allowance(store, most=1, now=clock)
    assert [allowance.take("lms"), allowance.take("lms"), allowance.take("events")] == [True, False, True]


def test_the_next_minute_begins_at_the_same_time_for_all(store: SqliteStore, clock: Clock) -> None:
    clock.seconds += 59
    assert Allowance(store, most=1, now=clock).wait() == 1
