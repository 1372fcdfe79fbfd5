"""New sign-ins while iMIS hangs: those who come first wait as long as iMIS may take, all after them soon get a page that says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from idp.directory import DirectoryUnavailable
from idp.directory.bulkhead import Bulkhead
from idp.directory.choice import open_directory
from idp.directory.deadline import TooLate
from idp.directory.patience import Patience
from idp.directory.settings import ImisRestSettings
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import DEMO, Clock, SimulatedImis, rest_settings, simulated_imis


class Watch:
    """A patience of 8 s, or 2 s, over a clock that stands still."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.patience = Patience(usual=8, short=2, clock=lambda: self.seconds)

    def limit(self, what: str = "ValidateUser") -> float:
        with self.patience.question(what) as seconds:
            return seconds

    def wait_in_vain(self, what: str = "ValidateUser") -> float:
        try:
            with self.patience.question(what) as seconds:
                self.seconds += seconds
                raise TooLate("no answer in time")
        except TooLate:
            return seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_an_imis_that_answers_may_take_its_time(watch: Watch) -> None:
    assert [watch.limit(), watch.limit()] == [8, 8]


def test_a_question_that_is_open_for_long_shortens_the_next(watch: Watch) -> None:
    with watch.patience.question("ValidateUser"):
        watch.seconds += 1.9
        assert not watch.patience.is_late()
        watch.seconds += 0.1
        assert watch.patience.is_late()
        assert watch.wait_in_vain() == 2


def test_after_a_question_in_vain_the_next_are_short_for_a_while(watch: Watch) -> None:
    assert watch.wait_in_vain() == 8
    assert watch.wait_in_vain() == 2
    watch.seconds += 28
    assert watch.wait_in_vain() == 8


def test_an_answer_makes_it_patient_again(watch: Watch) -> None:
    watch.wait_in_vain()
    assert watch.limit() == 2
    assert watch.limit() == 8


def test_a_slow_question_beside_answered_ones_shortens_nothing(watch: Watch) -> None:
    with watch.patience.question("IQA"):
        watch.seconds += 1
        watch.limit("IQA")
        watch.seconds += 5
        assert watch.limit("IQA") == 8


def test_each_kind_of_question_is_judged_by_itself(watch: Watch) -> None:
    watch.wait_in_vain("IQA")
    watch.limit("User")
    assert (watch.limit("ValidateUser"), watch.limit("IQA")) == (8, 2)


def test_where_nothing_at_all_is_answered_every_kind_is_late(watch: Watch) -> None:
    watch.wait_in_vain("User")
    assert watch.limit("ValidateUser") == 2


def test_the_times_leave_a_page_in_under_three_seconds() -> None:
    settings = ImisRestSettings()
    assert settings.connect_timeout < 3, "iMIS is off: the one call that fails"
    assert settings.late_timeout < 3, "iMIS hangs: the one call that fails"
    assert settings.call_timeout == 8, "as the facts say"


def test_nobody_waits_for_a_turn_while_imis_is_late() -> None:
    late = threading.Event()
    bulkhead = Bulkhead(1, waiting=1, seconds=60, late=late.is_set)
    with bulkhead.slot(), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(lambda: bulkhead.slot().__enter__())
        late.set()
        with pytest.raises(DirectoryUnavailable):
            waiting.result(30)


@pytest.fixture
def imis() -> Iterator[SimulatedImis]:
    with simulated_imis(now=Clock()) as found:
        yield found


def test_G_R5_a_sign_in_that_begins_while_another_hangs_ends_before_it(imis: SimulatedImis, tmp_path: Path) -> None:
    clock = Clock()
    settings = rest_settings(imis.url, call_timeout=60, late_timeout=0.2, operation_timeout=60)
    directory = open_directory(settings, store=SqliteStore(tmp_path / "store.sqlite", now=clock), now=clock)
    assert directory.authenticate("ada", DEMO) is not None
    imis.order("slow", seconds=60, path="/api/usersecurity")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(directory.authenticate, "ada", DEMO)
        while imis.requests("POST /api/usersecurity/_execute") < 3:
            pass
        threading.Event().wait(0.3)
        with pytest.raises(DirectoryUnavailable):
            directory.authenticate("ben", DEMO)
        assert not first.done()
        imis.order("none")
        assert first.result(30) is not None, "who was waiting signs in after all"


def test_what_took_too_long_is_not_asked_again(imis: SimulatedImis, tmp_path: Path) -> None:
    clock = Clock()
    settings = rest_settings(imis.url, call_timeout=0.5, operation_timeout=60)
    directory = open_directory(settings, store=SqliteStore(tmp_path / "store.sqlite", now=clock), now=clock)
    assert directory.find("1001") is not None
    before = imis.requests("GET /api/user/1001")
    imis.order("slow", seconds=60, path="/api/user/1001")
    with pytest.raises(DirectoryUnavailable):
        directory.find("1001")
    assert imis.requests("GET /api/user/1001") == before + 1
