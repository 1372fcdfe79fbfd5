"""The lease in the store: of all processes one leads, and who was paused finds that out before it acts."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from idp.store import Store
from idp.store.lease import Lease
from idp.store.sqlite import SqliteStore
from tests.standin import Clock

SECONDS = 30
NOON = 1_800_000_000


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "store.sqlite3", now=clock)
    yield store
    store.close()


def lease(store: Store, clock: Clock) -> Lease:
    return Lease(store, "keys", seconds=SECONDS, now=clock)


def test_while_one_leads_another_does_not(store: Store, clock: Clock) -> None:
    first, second = lease(store, clock), lease(store, clock)
    assert first.hold() is not None
    assert second.hold() is None


def test_who_says_so_again_in_time_goes_on_leading(store: Store, clock: Clock) -> None:
    first, second = lease(store, clock), lease(store, clock)
    for _ in range(3):
        held = first.hold()
        assert held is not None
        assert (held.term, held.until) == (1, clock() + SECONDS)
        clock.seconds += SECONDS - 1
        assert second.hold() is None


def test_a_leader_that_was_paused_finds_another_in_its_place(store: Store, clock: Clock) -> None:
    first, second = lease(store, clock), lease(store, clock)
    assert first.hold() is not None
    clock.seconds += SECONDS
    taken = second.hold()
    assert taken is not None
    assert taken.term == 2
    assert first.hold() is None


class Interrupted:
    """A store whose reader is paused between reading and writing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.meanwhile: Callable[[], object] = lambda: None

    def __getattr__(self, verb: str) -> object:
        if verb in ("change", "put_new"):
            meanwhile, self.meanwhile = self.meanwhile, lambda: None
            meanwhile()
        return getattr(self._store, verb)


@pytest.mark.parametrize("first_ever", [True, False])
def test_a_pause_in_the_middle_of_taking_it_loses_to_who_was_quicker(store: Store, clock: Clock, first_ever: bool) -> None:
    if not first_ever:
        lease(store, clock).hold()
        clock.seconds += SECONDS
    interrupted = Interrupted(store)
    slow, quick = lease(interrupted, clock), lease(store, clock)  # type: ignore[arg-type]  # it hands on whatever it is asked
    won = []
    interrupted.meanwhile = lambda: won.append(quick.hold())
    assert slow.hold() is None
    assert won[0] is not None
    assert quick.hold() is not None


def test_a_term_is_never_given_twice_however_long_nobody_led(store: Store, clock: Clock) -> None:
    lease(store, clock).hold()
    clock.seconds += 1000 * 86400
    store.sweep()
    held = lease(store, clock).hold()
    assert held is not None
    assert held.term == 2


def test_of_sixteen_threads_that_take_a_free_lease_one_leads(store: Store, clock: Clock) -> None:
    barrier = threading.Barrier(16)

    def take(_: int) -> int:
        mine = lease(store, clock)
        barrier.wait()
        held = mine.hold()
        return held.term if held else 0

    with ThreadPoolExecutor(16) as threads:
        for turn in range(10):
            assert sorted(threads.map(take, range(16))) == [0] * 15 + [turn + 1]
            clock.seconds += SECONDS


def _take_in_a_process(path: Path, pipe: Connection) -> None:
    """Says that it is ready, and whenever it is told the time, whether it leads."""
    clock = Clock()
    store = SqliteStore(path, now=clock)
    pipe.send(None)
    while moment := pipe.recv():
        clock.seconds = moment
        held = Lease(store, "keys", seconds=SECONDS, now=clock).hold()
        pipe.send(held.term if held else 0)
    store.close()


def test_of_four_processes_that_take_a_free_lease_one_leads(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    SqliteStore(path).ping()
    context = multiprocessing.get_context("spawn")
    pairs = [context.Pipe() for _ in range(4)]
    processes = [context.Process(target=_take_in_a_process, args=(path, theirs), daemon=True) for _, theirs in pairs]
    for process in processes:
        process.start()
    ours = [each for each, _ in pairs]
    for pipe in ours:
        pipe.recv()
    for turn in range(20):
        for pipe in ours:
            pipe.send(NOON + turn * SECONDS)
        assert sorted(pipe.recv() for pipe in ours) == [0, 0, 0, turn + 1]
    for pipe, process in zip(ours, processes, strict=True):
        pipe.send(0)
        process.join()
