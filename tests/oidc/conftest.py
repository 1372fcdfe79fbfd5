from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.keys import KeyRing
from idp.sso.client import Client

from .wiring import World, make_client

MakeWorld = Callable[..., World]


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One key ring for all: each test gets a copy, because a new key takes a tenth of a second."""
    folder = tmp_path_factory.mktemp("ring") / "keys"
    KeyRing(folder).create()
    return folder


@pytest.fixture
def make_world(tmp_path: Path, key_folder: Path) -> Iterator[MakeWorld]:
    """Worlds with the given clients, over one store and one key ring in a folder of the test's own."""
    made: list[World] = []
    shutil.copytree(key_folder, tmp_path / "keys")

    def make(*clients: Client, **keywords: Any) -> World:
        made.append(World(tmp_path, clients, **keywords))
        return made[-1]

    yield make
    for world in made:
        world.store.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """One client `rp` with a secret, PKCE and an all too usual release."""
    return make_world(make_client())
