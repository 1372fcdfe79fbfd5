"""What all tests may share: one private mongod for each test process, with a database of its own for each test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp.store.embedded import EmbeddedMongod, find_mongod, why_not_runnable


@pytest.fixture(scope="session")
def mongod() -> Path:
    """A mongod that runs here. Without one, tests that need it are skipped; where CI is set they fail."""
    program = find_mongod()
    reason = why_not_runnable(program)
    if reason and os.environ.get("CI"):
        pytest.fail(f"no MongoDB to test with: {reason}")
    if program is None or reason:
        pytest.skip(f"no MongoDB to test with: {reason}")
    return program


@pytest.fixture(scope="session")
def mongod_url(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server. Its TTL monitor sleeps, or it would remove what a test with a frozen clock takes for alive."""
    with EmbeddedMongod(tmp_path_factory.mktemp("mongod"), parameters={"ttlMonitorEnabled": "false"}) as server:
        yield server.uri


@pytest.fixture
def database_url(mongod_url: str) -> str:
    """The same server, with a database that no other test uses."""
    return mongod_url.replace("/?", f"/test-{secrets.token_hex(6)}?")
