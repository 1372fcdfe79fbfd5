from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.store.sqlite import SqliteStore
from tests.sso.echo import make_client
from tests.sso.house import Clock, House

from .site import Site

MakeSite = Callable[..., Site]


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[MakeSite]:
    """Sites whose house has the given clients; `lms` and `wiki`, which is told by a visit, if none are given."""
    stores: list[SqliteStore] = []

    def make(*clients: Any, **keywords: Any) -> Site:
        now = Clock()
        stores.append(SqliteStore(tmp_path / f"{len(stores)}.sqlite", now=now))
        known = clients or (make_client("lms", url="https://lms.example/"), make_client("wiki", tell="front"))
        return Site(House(stores[-1], now, known, login=keywords.get("login")), **keywords)

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()
