from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.store import Store
from idp.store.choice import open_store
from idp.store.sqlite import SqliteStore

from .house import Clock, House

MakeHouse = Callable[..., House]


@pytest.fixture
def now() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, now: Clock) -> Iterator[Store]:
    opened = SqliteStore(tmp_path / "store.sqlite", now=now)
    yield opened
    opened.close()


@pytest.fixture(params=["sqlite", "mongodb"])
def either_store(request: pytest.FixtureRequest, tmp_path: Path, now: Clock) -> Iterator[Store]:
    """For races: the one database locks, the other decides on the server."""
    url = f"sqlite://{tmp_path}/store.sqlite" if request.param == "sqlite" else str(request.getfixturevalue("database_url"))
    opened = open_store(url, now)
    yield opened
    opened.close()


@pytest.fixture
def make_house(store: Store, now: Clock) -> MakeHouse:
    """Houses with the given clients over one store."""

    def make(*clients: Any, **keywords: Any) -> House:
        return House(store, now, clients, **keywords)

    return make
