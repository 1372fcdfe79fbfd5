"""A bad day at iMIS, seen by members who are signed in: the real directory over the simulated iMIS."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp.audit import NullAudit
from idp.directory import Subject
from idp.directory.choice import open_directory
from idp.sso.subject import FreshnessSettings, Subjects
from idp.store.sqlite import SqliteStore

from .simulated_imis import DEMO, Clock, SimulatedImis, rest_settings, simulated_imis


class Day:
    """Ada has signed in; then something happens at iMIS."""

    def __init__(self, folder: Path, imis: SimulatedImis, now: Clock) -> None:
        self.imis = imis
        self.now = now
        self.store = SqliteStore(folder / "store.sqlite", now=now)
        directory = open_directory(rest_settings(imis.url), store=self.store, now=now)
        self.gone = threading.Event()
        self.subjects = Subjects(directory, self.store, FreshnessSettings(), audit=NullAudit(), now=now, gone=lambda _: self.gone.set())
        ada = directory.authenticate("ada", DEMO)
        assert ada is not None
        self.ada: Subject = ada
        self.subjects.remember(ada)


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Day]:
    now = Clock()
    with simulated_imis(now=now) as imis:
        made = Day(tmp_path, imis, now)
        yield made
        imis.order("none")
        made.store.close()


def test_G_R5_an_imis_that_takes_thirty_seconds_holds_up_nobody_who_is_signed_in(day: Day) -> None:
    day.imis.order("slow", seconds=30)
    day.now.time += 1000
    begun = time.monotonic()
    for _ in range(20):
        assert day.subjects.current(day.ada.id) == day.ada
    assert time.monotonic() - begun < 8, "twenty sign-ons in less than iMIS takes for one answer"


def test_G_R4_an_imis_that_is_down_is_not_noticed_either(day: Day) -> None:
    day.imis.order("down")
    for _ in range(3):
        day.now.time += 1200
        assert day.subjects.current(day.ada.id) == day.ada


def test_S49_a_login_that_iMIS_disables_is_gone_within_five_minutes(day: Day) -> None:
    day.imis.change(day.ada.id, active=False)
    day.now.time += 299
    assert day.subjects.current(day.ada.id) == day.ada
    day.now.time += 1
    assert day.subjects.current(day.ada.id) is None or day.gone.wait(10)
