"""A database that forgets, stands alone, or keeps another time: real servers, but for a release that we do not have."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from idp.clock import utc_now
from idp.store import StoreUnavailable
from idp.store.choice import open_store
from idp.store.mongo import MongoStore
from idp.store.server import DatabaseServer
from idp.store.sqlite import SqliteStore
from tests.doctor.house import House
from tests.port import free_port


@pytest.fixture
def standalone(mongod: Path, tmp_path: Path) -> Iterator[str]:
    """A MongoDB that was started without a replica set."""
    port, data = free_port(), tmp_path / "alone"
    data.mkdir()
    words = ["--dbpath", f"{data}", "--logpath", f"{data}/log", "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
    small = ["--wiredTigerCacheSizeGB", "0.25", "--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=10MB)"]
    process = subprocess.Popen([mongod, *words, *small], stdout=subprocess.DEVNULL)
    url = f"mongodb://127.0.0.1:{port}/idp"
    _wait_for(url)
    yield url
    process.kill()
    process.wait(10)


def _wait_for(url: str) -> None:
    store = open_store(url, timeout=1000)
    for _ in range(100):
        try:
            store.ping()
            break
        except StoreUnavailable:
            time.sleep(0.1)
    store.close()


def test_U32_a_store_that_forgets_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "take", lambda *_: None)
    assert house.told("store.write") == "what was written did not come back"


def test_U32_a_mongodb_without_a_replica_set_is_named(standalone: str, house: House) -> None:
    house.store.close()
    house.store = open_store(standalone)
    assert "store.standalone" in house.said()


def test_U32_a_replica_set_that_no_member_may_leave_is_named_in_production(house: House, database_url: str) -> None:
    house.store.close()
    house.store = open_store(database_url)
    assert "store.few_members" in house.said(production=True)
    assert not {"store.few_members", "store.standalone", "store.write", "store.clock", "store.old_release"} & house.said()


@pytest.mark.parametrize(("seconds", "serious"), [(10, False), (3600, True)])
def test_F16_clocks_that_differ_are_named(house: House, database_url: str, seconds: int, serious: bool) -> None:
    house.store.close()
    house.store = open_store(database_url, now=lambda: utc_now() + seconds)
    house.later = seconds
    assert [each.serious for each in house.advice() if each.check == "store.clock"] == [serious]


def test_U32_an_old_release_is_named(house: House, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    house.store.close()
    house.store = store = MongoStore(database_url)
    real: DatabaseServer = store.inspect()
    monkeypatch.setattr(store, "inspect", lambda: replace(real, wire_version=13))
    assert "store.old_release" in house.said()
