from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.sso.client import Client

from .wiring import World

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Worlds with the given clients, over one store in a folder of the test's own."""
    made: list[World] = []

    def make(*clients: Client, **keywords: Any) -> World:
        made.append(World(tmp_path, clients, **keywords))
        return made[-1]

    yield make
    for world in made:
        world.store.close()
