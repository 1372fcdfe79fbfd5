"""What every store promises (`idp/store/__init__.py`), asked of MongoDB and of SQLite alike."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pymongo
import pytest

from idp.store import INDEXED, Record, Store, StoreUnavailable
from idp.store.choice import open_store
from idp.store.embedded import EmbeddedMongod
from idp.store.mongo import MongoStore
from idp.store.sqlite import SqliteStore, _open

NOON = 1_700_000_000
SOON = NOON + 60
ODD_TEXTS = [
    "",
    " ",
    "a.b.c",
    "$where",
    '{"$gt": ""}',
    "' OR 1=1 --",
    '"; DROP TABLE code; --',
    "null\0byte",
    "null\0bytes",
    "Łódź 東京 🎉",
    "half a pair \ud800",
    "https://sp.example.org/saml?x=1&y=2",
    "k" * 5000,
]


@dataclass
class Clock:
    """A clock that stands still until it is set."""

    time: int = NOON

    def __call__(self) -> int:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["mongodb", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store."""
    if request.param == "mongodb":
        return str(request.getfixturevalue("database_url"))
    return f"sqlite://{tmp_path}/data/idp.sqlite"


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    opened = open_store(url, clock)
    yield opened
    opened.close()


# One verb at a time


def test_a_record_that_was_put_is_got(store: Store) -> None:
    store.put("code", "k", {"client": "lms"}, expires=SOON)
    got = store.get("code", "k")
    assert got is not None
    assert (got.key, got.record, got.expires) == ("k", {"client": "lms"}, SOON)


def test_what_was_never_put_is_none(store: Store) -> None:
    assert store.get("code", "k") is None
    assert store.take("code", "k") is None
    assert not store.delete("code", "k")
    assert not store.change("code", "k", {}, revision=1, expires=None)


def test_put_replaces_the_record_and_its_expiry(store: Store) -> None:
    store.put("code", "k", {"old": 1, "session_id": "s"}, expires=SOON)
    store.put("code", "k", {"new": 2}, expires=None)
    got = store.get("code", "k")
    assert got is not None
    assert (got.record, got.expires) == ({"new": 2}, None)
    assert store.find("code", "session_id", "s") == []


def test_kinds_do_not_mix(store: Store) -> None:
    store.put("code", "k", {"is": "code"}, expires=None)
    store.put("token", "k", {"is": "token"}, expires=None)
    assert store.take("code", "k") is not None
    assert store.get("token", "k") is not None


def test_every_kind_can_be_written_and_read(store: Store) -> None:
    for kind in INDEXED:
        store.put(kind, "k", {"kind": kind}, expires=None)
    assert [store.list(kind)[0].record["kind"] for kind in INDEXED] == list(INDEXED)


@pytest.mark.parametrize("verb", ["put", "get", "take", "list", "find"])
def test_a_kind_that_does_not_exist_is_a_mistake(store: Store, verb: str) -> None:
    arguments: dict[str, tuple[Any, ...]] = {"put": ("k", {}), "get": ("k",), "take": ("k",), "list": (), "find": ("session_id", "s")}
    with pytest.raises(KeyError):
        getattr(store, verb)("nonsense", *arguments[verb], **({"expires": None} if verb == "put" else {}))


def test_put_new_writes_only_where_nothing_is(store: Store) -> None:
    assert store.put_new("replay", "k", {"first": True}, expires=SOON)
    assert not store.put_new("replay", "k", {"second": True}, expires=SOON)
    assert [each.record for each in store.list("replay")] == [{"first": True}]


def test_S16_take_gives_the_record_once(store: Store) -> None:
    store.put("code", "k", {"client": "lms"}, expires=SOON)
    taken = store.take("code", "k")
    assert taken is not None
    assert taken.record == {"client": "lms"}
    assert store.take("code", "k") is None
    assert store.get("code", "k") is None


def test_change_needs_the_revision_that_was_read(store: Store) -> None:
    store.put("session", "k", {"step": 0}, expires=SOON)
    read = store.get("session", "k")
    assert read is not None
    assert store.change("session", "k", {"step": 1}, revision=read.revision, expires=SOON + 1)
    assert not store.change("session", "k", {"step": 2}, revision=read.revision, expires=SOON)
    after = store.get("session", "k")
    assert after is not None
    assert (after.record, after.revision, after.expires) == ({"step": 1}, read.revision + 1, SOON + 1)


def test_every_write_raises_the_revision_by_one(store: Store) -> None:
    revisions = []
    for write in (lambda: store.put("throttle", "k", {}, expires=SOON), lambda: store.bump("throttle", "k", 1, expires=SOON)) * 2:
        write()
        revisions.append(store.list("throttle")[0].revision)
    assert revisions == list(range(revisions[0], revisions[0] + 4))


def test_a_record_put_again_cannot_be_changed_by_who_read_the_old_one(store: Store) -> None:
    store.put("session", "k", {}, expires=SOON)
    read = store.get("session", "k")
    store.put("session", "k", {"newer": True}, expires=SOON)
    assert read is not None
    assert not store.change("session", "k", {}, revision=read.revision, expires=SOON)


def test_bump_counts_from_nought_and_keeps_the_first_expiry(store: Store) -> None:
    assert [store.bump("throttle", "k", by, expires=SOON + by) for by in (1, 2, -1)] == [1, 3, 2]
    counter = store.get("throttle", "k")
    assert counter is not None
    assert (counter.record, counter.expires) == ({"count": 2}, SOON + 1)


def test_bump_adds_to_the_count_of_a_record_and_leaves_the_rest(store: Store) -> None:
    store.put("token", "k", {"count": 5, "note": "kept", "family": "f"}, expires=None)
    assert store.bump("token", "k", 1, expires=SOON) == 6
    found = store.find("token", "family", "f")
    assert [(each.record, each.expires) for each in found] == [({"count": 6, "note": "kept", "family": "f"}, None)]


def test_an_expired_counter_begins_again(store: Store, clock: Clock) -> None:
    store.put("token", "k", {"count": 5, "note": "gone", "family": "f"}, expires=SOON)
    clock.time = SOON
    assert store.bump("token", "k", 1, expires=SOON + 60) == 1
    assert [(each.record, each.expires) for each in store.list("token")] == [({"count": 1}, SOON + 60)]
    assert store.find("token", "family", "f") == []


def test_a_counter_can_be_put_and_changed_like_any_record(store: Store) -> None:
    store.bump("throttle", "k", 7, expires=SOON)
    counter = store.get("throttle", "k")
    assert counter is not None
    assert store.change("throttle", "k", {"locked": True}, revision=counter.revision, expires=SOON)
    assert [each.record for each in store.list("throttle")] == [{"locked": True}]
    assert store.bump("throttle", "k", 1, expires=SOON) == 1


def test_find_gives_the_records_with_that_value_only(store: Store) -> None:
    for key, session in (("a", "s1"), ("b", "s2"), ("c", "s1"), ("d", None)):
        store.put("code", key, {"session_id": session}, expires=SOON)
    assert sorted(each.key for each in store.find("code", "session_id", "s1")) == ["a", "c"]
    assert len(store.find("code", "session_id", "s1", limit=1)) == 1
    assert store.find("code", "session_id", "s1", limit=0) == []


def test_find_follows_a_change(store: Store) -> None:
    store.put("code", "k", {"session_id": "old"}, expires=SOON)
    read = store.get("code", "k")
    assert read is not None
    store.change("code", "k", {"session_id": "new"}, revision=read.revision, expires=SOON)
    assert store.find("code", "session_id", "old") == []
    assert [each.key for each in store.find("code", "session_id", "new")] == ["k"]


@pytest.mark.parametrize("verb", ["find", "delete_where"])
def test_a_field_that_is_not_indexed_is_a_mistake(store: Store, verb: str) -> None:
    with pytest.raises(KeyError):
        getattr(store, verb)("code", "client", "lms")


def test_list_gives_the_live_records_by_key(store: Store) -> None:
    for key in ("b", "ä", "a", "Z"):
        store.put("client", key, {}, expires=None)
    assert [each.key for each in store.list("client")] == ["Z", "a", "b", "ä"]
    assert [each.key for each in store.list("client", limit=2)] == ["Z", "a"]
    assert store.list("client", limit=0) == []


def test_delete_says_whether_one_was_there(store: Store) -> None:
    store.put("client", "k", {}, expires=None)
    assert store.delete("client", "k")
    assert not store.delete("client", "k")
    assert store.get("client", "k") is None


def test_delete_where_says_how_many(store: Store) -> None:
    for key in "abc":
        store.put("token", key, {"family": "f1"}, expires=None)
    store.put("token", "d", {"family": "f2"}, expires=None)
    assert store.delete_where("token", "family", "f1") == 3
    assert store.delete_where("token", "family", "f1") == 0
    assert [each.key for each in store.list("token")] == ["d"]


def test_ping_names_the_database(store: Store) -> None:
    assert store.ping().split()[0] in ("mongodb", "sqlite")
    assert store.ping().split()[1][0].isdigit()


# Expiry


def test_what_has_expired_is_gone_before_any_sweep(store: Store, clock: Clock) -> None:
    for key in "abc":
        store.put("code", key, {"session_id": "s"}, expires=SOON)
    read = store.get("code", "a")
    assert read is not None
    clock.time = SOON
    assert store.get("code", "a") is None
    assert store.list("code") == []
    assert store.find("code", "session_id", "s") == []
    assert not store.change("code", "a", {}, revision=read.revision, expires=None)
    assert not store.delete("code", "a")
    assert store.take("code", "b") is None
    assert store.delete_where("code", "session_id", "s") == 0


def test_a_record_lives_until_the_second_of_its_expiry(store: Store, clock: Clock) -> None:
    store.put("code", "k", {}, expires=SOON)
    clock.time = SOON - 1
    assert store.take("code", "k") is not None


@pytest.mark.parametrize("expires", [None, 2**40, 253_402_300_800])
def test_for_ever_and_the_far_future_do_not_expire(store: Store, clock: Clock, expires: int | None) -> None:
    store.put("client", "k", {}, expires=expires)
    clock.time = 253_402_300_799  # the last second of the year 9999
    got = store.get("client", "k")
    assert got is not None
    assert got.expires == expires


def test_put_new_succeeds_over_an_expired_record(store: Store, clock: Clock) -> None:
    store.put("replay", "k", {"old": True, "count": 3}, expires=SOON)
    clock.time = SOON
    assert store.put_new("replay", "k", {"new": True}, expires=SOON + 60)
    assert not store.put_new("replay", "k", {"newer": True}, expires=SOON + 60)
    assert [each.record for each in store.list("replay")] == [{"new": True}]


def test_sweep_leaves_what_is_alive(store: Store, clock: Clock) -> None:
    store.put("code", "old", {}, expires=SOON)
    store.put("code", "young", {}, expires=SOON + 1)
    store.put("code", "eternal", {}, expires=None)
    clock.time = SOON
    store.sweep()
    assert [each.key for each in store.list("code")] == ["eternal", "young"]


def test_sweep_of_sqlite_removes_what_has_expired(tmp_path: Path, clock: Clock) -> None:
    store = SqliteStore(tmp_path / "idp.sqlite", now=clock)
    store.put("code", "a", {}, expires=SOON)
    store.put("token", "b", {}, expires=SOON)
    assert store.sweep() == 0
    clock.time = SOON
    assert store.sweep() == 2
    clock.time = NOON
    assert store.get("code", "a") is None
    store.close()


# Records are data


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"text": "", "true": True, "one": 1, "half": 0.5, "none": None, "list": [1, [True, {}]], "object": {"a": {"b": {}}}},
        {"client.id": {"a.b": 1, "": 2, "$set": 3, "nul\0": 4}, "_id": "mine", "record": 1, "expires": 2, "revision": 3, "index": {}},
        {"big": 2**63, "small": -(2**70), "exact": 0.1, "count": 2**80},
        {"count": -(2**63)},
        {"count": True},
        {"count": 1.5},
        {"$ref": "code", "$id": "k", "inner": {"$ref": "code", "$id": "k"}, "$oid": "0"},
        {"東京": "Ünïcode 🎉", "half": "\ud800", "nul": "a\0b"},
        {text: text for text in ODD_TEXTS},
    ],
    ids=lambda record: next(iter(record), "empty")[:20],
)
def test_V58_a_record_comes_back_as_it_was_given(store: Store, record: Record) -> None:
    store.put("session", "put", record, expires=SOON)
    assert store.put_new("session", "new", record, expires=SOON)
    for key in ("put", "new"):
        got = store.get("session", key)
        assert got is not None
        assert json.dumps(got.record, sort_keys=True) == json.dumps(record, sort_keys=True)


@pytest.mark.parametrize("text", ODD_TEXTS, ids=lambda text: ascii(text)[:30])
def test_V58_any_text_is_a_key_and_a_value_to_find_by(store: Store, text: str) -> None:
    store.put("code", text, {"session_id": text}, expires=SOON)
    store.put("code", f"{text}!", {"session_id": f"{text}!"}, expires=SOON)
    got = store.get("code", text)
    assert got is not None
    assert got.key == text
    assert not store.put_new("code", text, {}, expires=SOON)
    assert [each.key for each in store.find("code", "session_id", text)] == [text]
    assert store.delete_where("code", "session_id", text) == 1
    assert [each.key for each in store.list("code")] == [f"{text}!"]
    assert store.bump("throttle", text, 1, expires=SOON) == 1
    assert store.delete("throttle", text)


@pytest.mark.parametrize("operator", [{"$gt": ""}, {"$ne": None}, ["k"], 1, None])
@pytest.mark.parametrize("verb", ["get", "take", "delete", "find", "delete_where"])
def test_V58_an_operator_in_place_of_a_text_is_refused_and_touches_nothing(store: Store, verb: str, operator: object) -> None:
    store.put("code", "k", {"session_id": "s"}, expires=None)
    with pytest.raises(TypeError):
        getattr(store, verb)("code", *(["session_id"] if verb in ("find", "delete_where") else []), operator)
    assert store.get("code", "k") is not None


def test_V58_an_operator_in_an_indexed_field_is_found_by_nothing(store: Store) -> None:
    store.put("token", "k", {"session_id": {"$gt": ""}, "family": ["f"]}, expires=None)
    assert store.find("token", "session_id", "s") == []
    assert store.find("token", "family", "f") == []
    assert store.delete_where("token", "session_id", "") == 0
    got = store.get("token", "k")
    assert got is not None
    assert got.record == {"session_id": {"$gt": ""}, "family": ["f"]}


@pytest.mark.parametrize("record", [{"x": float("nan")}, {"x": object()}, {"x": b"bytes"}])
def test_what_is_not_json_is_refused(store: Store, record: Record) -> None:
    with pytest.raises((TypeError, ValueError)):
        store.put("code", "k", record, expires=None)
    assert store.list("code") == []


def test_records_are_copied_in_and_out(store: Store) -> None:
    given: Record = {"list": [1], "count": 1}
    store.put("code", "k", given, expires=None)
    given["list"].append(2)
    first = store.get("code", "k")
    assert first is not None
    first.record["list"].append(3)
    second = store.get("code", "k")
    assert second is not None
    assert second.record == {"list": [1], "count": 1}


# Many callers at once


def together(number: int, work: Callable[[int], Any]) -> list[Any]:
    """What `work` answers in each of so many threads, which begin at the same moment."""
    barrier = threading.Barrier(number)

    def begin(index: int) -> Any:
        barrier.wait()
        return work(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(begin, range(number)))


@pytest.mark.long
def test_S16_GS4_of_16_threads_that_take_each_of_1000_codes_one_wins(store: Store) -> None:
    codes = [f"code-{number}" for number in range(1000)]
    together(16, lambda index: [store.put_new("code", code, {"code": code}, expires=SOON) for code in codes[index::16]])
    taken = together(16, lambda _: [won.key for code in codes if (won := store.take("code", code))])
    assert Counter(key for keys in taken for key in keys) == dict.fromkeys(codes, 1)


def test_S16_of_16_threads_that_put_new_one_wins(store: Store) -> None:
    won = together(16, lambda index: [store.put_new("replay", str(key), {"by": index}, expires=SOON) for key in range(20)])
    assert [sum(column) for column in zip(*won, strict=True)] == [1] * 20
    assert [won[each.record["by"]][int(each.key)] for each in store.list("replay")] == [True] * 20


def test_S16_of_16_threads_that_put_new_over_an_expired_record_one_wins(store: Store, clock: Clock) -> None:
    together(16, lambda index: [store.put_new("replay", str(key), {}, expires=SOON) for key in range(index, 32, 16)])
    clock.time = SOON
    won = together(16, lambda index: [store.put_new("replay", str(key), {"by": index}, expires=SOON + 60) for key in range(32)])
    assert [sum(column) for column in zip(*won, strict=True)] == [1] * 32


def test_of_16_threads_that_change_one_revision_one_wins(store: Store) -> None:
    store.put("session", "k", {}, expires=SOON)
    read = store.list("session")[0]
    won = together(16, lambda index: store.change("session", "k", {"by": index}, revision=read.revision, expires=SOON))
    assert sum(won) == 1
    assert store.list("session")[0].record == {"by": won.index(True)}


def test_no_change_is_lost_among_threads_that_try_again(store: Store) -> None:
    store.put("session", "k", {"seen": []}, expires=SOON)

    def join(index: int) -> None:
        while True:
            read = store.get("session", "k")
            assert read is not None
            if store.change("session", "k", {"seen": [*read.record["seen"], index]}, revision=read.revision, expires=SOON):
                return

    together(8, join)
    assert sorted(store.list("session")[0].record["seen"]) == list(range(8))


def test_no_bump_is_lost_and_no_count_given_twice(store: Store) -> None:
    counts = together(16, lambda _: [store.bump("throttle", "k", 1, expires=SOON) for _ in range(10)])
    assert sorted(count for each in counts for count in each) == list(range(1, 161))


def test_deletions_at_once_count_each_record_once(store: Store) -> None:
    together(8, lambda index: store.put("token", str(index), {"family": "f"}, expires=SOON))
    assert sum(together(8, lambda _: store.delete_where("token", "family", "f"))) == 8


def test_an_upsert_by_16_threads_leaves_one_record(store: Store) -> None:
    together(16, lambda index: store.put("setting", "k", {"by": index}, expires=None))
    listed = store.list("setting")
    assert len(listed) == 1
    assert listed[0].revision == 16


RACER = """
import sys
from idp.store.choice import open_store
store = open_store(sys.argv[1])
store.get("code", "-")  # connected
print("ready", flush=True)
sys.stdin.readline()
print(*[key for key in map(str, range(100)) if store.take("code", key)], flush=True)
store.close()
"""


@contextlib.contextmanager
def program(source: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Another Python at work, once it has said that it is ready."""
    command = [sys.executable, "-c", source, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def test_S16_GS4_of_4_processes_that_take_each_of_100_codes_one_wins(url: str) -> None:
    store = open_store(url)
    together(4, lambda index: [store.put_new("code", str(key), {}, expires=None) for key in range(index, 100, 4)])
    with contextlib.ExitStack() as stack:
        racers = [stack.enter_context(program(RACER, url)) for _ in range(4)]
        for racer in racers:
            assert racer.stdin is not None
            print("go", file=racer.stdin, flush=True)
        taken = [racer.communicate()[0].split() for racer in racers]
    store.close()
    assert Counter(key for keys in taken for key in keys) == {str(key): 1 for key in range(100)}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_store_that_was_used_before_a_fork_serves_parent_and_child(store: Store) -> None:
    store.put("code", "before", {}, expires=None)
    child = multiprocessing.get_context("fork").Process(target=_take_and_put, args=(store,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert [each.key for each in store.list("code")] == ["after"]


LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_forked_while_a_thread_waits_to_write_does_not_wait_for_that_thread(tmp_path: Path) -> None:
    path = tmp_path / "idp.sqlite"
    store = SqliteStore(path)
    store.put("code", "before", {}, expires=None)
    with program(LOCKER, str(path)):
        thread = threading.Thread(target=partial(store.put, "code", "waiting", {}, expires=None))
        thread.start()
        thread.join(0.1)  # it holds the lock among the threads by now, and waits for the other process
        child = multiprocessing.get_context("fork").Process(target=_take_and_put, args=(store,))
        child.start()
    thread.join()
    child.join(30)
    store.close()
    assert child.exitcode == 0


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_inherits_no_open_sqlite_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "idp.sqlite")
    store.put("code", "k", {}, expires=None)
    child = multiprocessing.get_context("fork").Process(target=_assert_closed, args=(tmp_path,))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert store.get("code", "k") is not None
    store.close()


def _assert_closed(folder: Path) -> None:
    assert not [link for link in Path("/proc/self/fd").iterdir() if link.resolve().is_relative_to(folder)]


def _take_and_put(store: Store) -> None:
    assert store.take("code", "before") is not None
    store.put("code", "after", {}, expires=None)
    store.close()


# Crashes and absences

WRITER = """
import sys
from idp.store.choice import open_store
store = open_store(sys.argv[1])
store.put("setting", "-", {}, expires=None)
print("ready", flush=True)
for number in range(1_000_000):
    store.put_new("replay", str(number), {"number": number}, expires=None)
    print(number, flush=True)
"""


def test_kill_9_of_a_writer_loses_no_acknowledged_write(url: str) -> None:
    with program(WRITER, url) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(150)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += writer.stdout.read().split()
    store = open_store(url)
    present = {each.key for each in store.list("replay")}
    assert store.put_new("replay", "next", {}, expires=None)
    store.close()
    assert set(acknowledged) <= present
    assert len(present - set(acknowledged)) <= 1  # the write that was under way


@pytest.fixture(scope="module")
def server(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongod]:
    """A mongod to maltreat. Its TTL monitor runs every second, and it can be told to fail."""
    parameters = {"ttlMonitorSleepSecs": "1", "enableTestCommands": "1"}
    with EmbeddedMongod(tmp_path_factory.mktemp("maltreated"), parameters=parameters) as started:
        yield started


@contextlib.contextmanager
def failing(server: EmbeddedMongod, times: int, **how: object) -> Iterator[None]:
    """The next so many commands fail at the server."""
    with pymongo.MongoClient[dict[str, Any]](server.uri) as client:
        client.admin.command("configureFailPoint", "failCommand", mode={"times": times}, data=how)
        yield
        client.admin.command("configureFailPoint", "failCommand", mode="off")


@pytest.mark.long
def test_kill_9_of_mongod_loses_no_acknowledged_write_and_the_store_recovers(server: EmbeddedMongod) -> None:
    store = MongoStore(server.uri, database="crash", timeout=1000)
    acknowledged: list[str] = []
    enough = threading.Event()

    def write(index: int) -> None:
        with contextlib.suppress(StoreUnavailable):
            for number in range(1_000_000):
                store.put("session", f"{index}-{number}", {}, expires=None)
                acknowledged.append(f"{index}-{number}")
                if len(acknowledged) == 300:
                    enough.set()

    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write, index) for index in range(4)]
        assert enough.wait(60)
        os.kill(server.pid, signal.SIGKILL)
        for writer in writers:
            writer.result(30)  # the deadline holds: each writer has met StoreUnavailable
    with pytest.raises(StoreUnavailable, match=r"store\.unavailable"):
        store.get("session", "0-0")
    server.start()
    present = {each.key for each in store.list("session")}
    store.close()
    assert set(acknowledged) <= present


def test_the_ttl_index_of_mongodb_removes_what_has_expired(server: EmbeddedMongod) -> None:
    store = MongoStore(server.uri, database="ttl")
    store.put("code", "expired", {}, expires=1)
    store.put("code", "eternal", {}, expires=None)
    with pymongo.MongoClient[dict[str, Any]](server.uri) as client:
        for _ in range(100):
            left = [document["_id"] for document in client["ttl"]["code"].find()]
            if left == ["eternal"]:
                break
            threading.Event().wait(0.1)
    store.close()
    assert left == ["eternal"]


@pytest.mark.parametrize("verb", ["put", "put_new", "take", "change", "bump", "delete"])
def test_S16_a_write_whose_connection_is_cut_once_is_done_once(server: EmbeddedMongod, verb: str) -> None:
    store = MongoStore(server.uri, database="cut")
    key = f"cut {verb}"
    if verb != "put_new":
        store.put("code", key, {"count": 1}, expires=None)
    writes: dict[str, Callable[[], object]] = {
        "put": partial(store.put, "code", key, {}, expires=None),
        "put_new": lambda: store.put_new("code", key, {}, expires=None),
        "take": lambda: store.take("code", key) is not None,
        "change": lambda: store.change("code", key, {}, revision=1, expires=None),
        "bump": lambda: store.bump("code", key, 1, expires=SOON),
        "delete": lambda: store.delete("code", key),
    }
    with failing(server, 1, failCommands=["insert", "update", "findAndModify", "delete"], closeConnection=True):
        answer = writes[verb]()
    left = store.get("code", key)
    store.close()
    assert answer == {"put": None, "bump": 2}.get(verb, True)
    assert (left.revision if left else 0) == {"put_new": 1, "take": 0, "delete": 0}.get(verb, 2)


@pytest.mark.parametrize("verb", ["put", "bump"])
def test_an_upsert_that_collides_with_another_is_tried_again(server: EmbeddedMongod, verb: str) -> None:
    store = MongoStore(server.uri, database="collided")
    key = f"collided {verb}"
    extra = {"keyPattern": {"_id": 1}, "keyValue": {"_id": key}}
    with failing(server, 1, failCommands=["update", "findAndModify"], errorCode=11000, errorExtraInfo=extra):
        if verb == "put":
            store.put("throttle", key, {"count": 1}, expires=None)
        else:
            store.bump("throttle", key, 1, expires=2**40)
    got = store.get("throttle", key)
    store.close()
    assert got is not None
    assert (got.record, got.revision) == ({"count": 1}, 1)


def test_what_mongodb_refuses_is_unavailable_and_named_by_its_code(server: EmbeddedMongod) -> None:
    store = MongoStore(server.uri, database="refused")
    store.put("code", "k", {}, expires=None)
    with failing(server, 1, failCommands=["find"], errorCode=13), pytest.raises(StoreUnavailable) as caught:
        store.get("code", "k")
    store.close()
    assert caught.value.received == "OperationFailure 13 Unauthorized"


def test_a_database_that_was_dropped_under_a_running_store_is_built_anew(server: EmbeddedMongod) -> None:
    store = MongoStore(server.uri, database="dropped")
    store.put("code", "k", {"session_id": "s"}, expires=None)
    with pymongo.MongoClient[dict[str, Any]](server.uri) as client:
        client.drop_database("dropped")
        store.put("code", "k", {"session_id": "s"}, expires=None)
        with contextlib.suppress(StoreUnavailable):
            store.find("code", "session_id", "s")  # the index it names is missing
        assert len(store.find("code", "session_id", "s")) == 1
        assert set(client["dropped"]["code"].index_information()) == {"_id_", "expires_1", "index.session_id_1"}
    store.close()


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://user:hunter2@127.0.0.1:1/",
        "mongodb://user:hunter2@/",
        "mongodb://user:hunter2@127.0.0.1:hunter2/",
        "mongodb://user:hunter2@127.0.0.1:1,user:hunter2@127.0.0.1:2/",
    ],
)
def test_an_unreachable_mongodb_is_unavailable_and_no_secret_is_told(uri: str) -> None:
    store = MongoStore(uri, timeout=200)
    with pytest.raises(StoreUnavailable) as caught:
        store.ping()
    store.close()
    assert caught.value.received
    assert "hunter2" not in f"{caught.value}{caught.value.received}{caught.value.__cause__}"
    assert caught.value.__suppress_context__


def test_F7_a_ping_may_be_less_patient_than_the_store() -> None:
    """A page that only wants to say how things stand keeps nobody waiting."""
    store = MongoStore("mongodb://127.0.0.1:1/", timeout=600_000)
    caught: list[StoreUnavailable] = []

    def ping() -> None:
        try:
            store.ping(patience=100)
        except StoreUnavailable as error:
            caught.append(error)

    thread = threading.Thread(target=ping, daemon=True)
    thread.start()
    thread.join(60)
    assert caught
    store.close()


def test_sqlite_that_another_process_keeps_locked_is_unavailable_until_it_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "idp.sqlite"
    store = SqliteStore(path, timeout=200)
    store.put("code", "k", {}, expires=None)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"store\.unavailable") as caught:
            store.take("code", "k")
        assert "SQLITE_BUSY" in caught.value.received
        assert store.get("code", "k") is not None
        other.execute("ROLLBACK")
    assert store.take("code", "k") is not None
    store.close()


def test_a_sqlite_file_that_cannot_be_used_is_unavailable_until_it_can(tmp_path: Path) -> None:
    path = tmp_path / "idp.sqlite"
    path.write_bytes(b"this is not a database" * 100)
    store = SqliteStore(path)
    with pytest.raises(StoreUnavailable):
        store.ping()
    path.unlink()
    assert store.ping().startswith("sqlite 3.")
    store.close()


def test_a_sqlite_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreUnavailable):
        SqliteStore(tmp_path / "file" / "idp.sqlite").ping()


def test_sqlite_flushes_every_commit_to_the_disk(tmp_path: Path) -> None:
    with contextlib.closing(_open(tmp_path / "idp.sqlite", 1.0)) as connection:
        settings = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]  # 2 is FULL


def test_the_files_of_sqlite_are_for_the_owner_alone(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "data" / "idp.sqlite")
    store.put("code", "k", {}, expires=None)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "data").iterdir()}
    assert modes == dict.fromkeys(["idp.sqlite", "idp.sqlite-wal", "idp.sqlite-shm", "idp.sqlite-lock"], 0o600)
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
    store.close()


def test_a_sqlite_file_of_an_older_release_gains_the_fields_that_are_indexed_now(tmp_path: Path) -> None:
    path = tmp_path / "idp.sqlite"
    store = SqliteStore(path)
    store.put("session", "k", {"subject_id": "ann"}, expires=None)
    store.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute('DROP INDEX "session by subject_id"')
        connection.execute('ALTER TABLE "session" DROP COLUMN "subject_id"')
    store = SqliteStore(path)
    assert [each.key for each in store.find("session", "subject_id", "ann")] == ["k"]
    store.close()
