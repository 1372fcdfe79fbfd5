"""The house in good order, on a machine in good order."""

from __future__ import annotations

import resource
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.doctor.house import House, furnished


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Whatever machine the tests run on; and nobody outside it is called."""
    connect = socket.create_connection

    def only_here(address: tuple[str, int], *arguments: Any, **options: Any) -> socket.socket:
        if address[0] not in ("127.0.0.1", "localhost"):
            raise ConnectionRefusedError(address[0])
        return connect(address, *arguments, **options)

    monkeypatch.setattr(socket, "create_connection", only_here)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65536, 65536))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**40))
    house = furnished(tmp_path)
    yield house
    house.store.close()
