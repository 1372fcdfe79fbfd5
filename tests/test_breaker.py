"""The circuit breaker before iMIS has the figures of the reliability rules (5.2)."""

from __future__ import annotations

import threading

import pytest

from idp.directory import DirectoryUnavailable
from idp.directory.breaker import Breaker
from tests.sso.house import at_once
from tests.standin import Clock


class Line:
    """Calls through a breaker; how many came through is `asked`."""

    def __init__(self) -> None:
        self.now = Clock()
        self.breaker = Breaker(now=self.now)
        self.asked = 0

    def call(self, *, good: bool) -> None:
        with self.breaker.watched():
            self.asked += 1
            if not good:
                raise DirectoryUnavailable("status 500")

    def fail(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(DirectoryUnavailable):
                self.call(good=False)

    def open(self) -> None:
        self.fail(10)
        self.asked = 0


@pytest.fixture
def line() -> Line:
    return Line()


def test_5_2_it_opens_at_half_of_ten_calls(line: Line) -> None:
    for _ in range(5):
        line.call(good=True)
    line.fail(5)
    with pytest.raises(DirectoryUnavailable) as caught:
        line.call(good=True)
    assert (line.asked, caught.value.received, caught.value.retry_after) == (10, "not asked, after many failures: status 500", 15)


def test_5_2_nine_failures_are_too_few_to_judge(line: Line) -> None:
    line.fail(9)
    line.call(good=True)
    assert line.asked == 10


def test_5_2_less_than_half_is_borne(line: Line) -> None:
    for _ in range(11):
        line.call(good=True)
    line.fail(10)
    line.call(good=True)


def test_a_good_call_never_opens_it(line: Line) -> None:
    line.fail(9)
    for _ in range(5):
        line.call(good=True)


def test_5_2_failures_are_forgotten_after_thirty_seconds(line: Line) -> None:
    line.fail(9)
    line.now.seconds += 30
    line.fail(9)
    line.call(good=True)


def test_5_2_after_fifteen_seconds_a_good_try_closes_it(line: Line) -> None:
    line.open()
    line.now.seconds += 14
    with pytest.raises(DirectoryUnavailable):
        line.call(good=True)
    line.now.seconds += 1
    line.call(good=True)
    line.fail(8)
    line.call(good=True)
    assert line.asked == 10


def test_5_2_a_bad_try_opens_it_for_fifteen_seconds_more(line: Line) -> None:
    line.open()
    line.now.seconds += 15
    line.fail(1)
    line.now.seconds += 14
    line.fail(1)
    assert line.asked == 1


def test_5_2_of_many_at_once_one_tries(line: Line) -> None:
    line.open()
    line.now.seconds += 15
    others_are_done = threading.Barrier(20)

    def act(_: int) -> None:
        try:
            with line.breaker.watched():
                line.asked += 1
                others_are_done.wait(30)
        except DirectoryUnavailable:
            others_are_done.wait(30)
            raise

    found = at_once(20, act)
    assert (line.asked, sum(each is None for each in found)) == (1, 1)


def test_calls_run_side_by_side(line: Line) -> None:
    side_by_side = threading.Barrier(4)

    def act(_: int) -> None:
        with line.breaker.watched():
            side_by_side.wait(30)

    assert at_once(4, act) == [None] * 4


def test_5_2_it_says_how_it_stands(line: Line) -> None:
    said = [line.breaker.state]
    line.open()
    said.append(line.breaker.state)
    line.now.seconds += 15
    said.append(line.breaker.state)
    line.call(good=True)
    assert [*said, line.breaker.state] == ["closed", "open", "half open", "closed"]
