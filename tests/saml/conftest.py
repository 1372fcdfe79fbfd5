from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.protocols.saml.settings import SamlServerSettings
from idp.sso.client import Client

from .world import World, saml_client

MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[MakeWorld]:
    """Worlds with the given clients; without any, with the one service provider of `wiring.metadata`."""
    made: list[World] = []

    def make(*clients: Client, **settings: Any) -> World:
        made.append(World(tmp_path, clients or (saml_client(),), SamlServerSettings.model_validate(settings)))
        return made[-1]

    yield make
    for world in made:
        world.store.close()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()
