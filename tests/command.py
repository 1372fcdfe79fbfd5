"""The `idp` command over a small house in a folder, and what its last line says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from idp.cli import main
from tests.server import SP_METADATA

CONFIG = """
[server]
url = "http://127.0.0.1:8089"
[directory]
kind = "people"
people = "people.toml"
[store]
url = "sqlite:///{folder}/store.sqlite3"
"""
PEOPLE = '[[people]]\nid = "101"\nusername = "ada"\npassword = "demo"\nemail = "ada@example.org"\n'

Run = Callable[..., Result]


def furnish(folder: Path, more: str = "", *, people: str = PEOPLE) -> Path:
    """The folder, with idp.toml (and `more` at its end), people.toml and sp.xml."""
    (folder / "idp.toml").write_text(CONFIG.replace("{folder}", str(folder)) + more)
    (folder / "people.toml").write_text(people)
    (folder / "sp.xml").write_text(SP_METADATA)
    return folder


def command_in(folder: Path) -> Run:
    """`idp WORDS... --config FOLDER/idp.toml`."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--config", str(folder / "idp.toml")])

    return run


def last(result: Result, *, status: int = 0) -> dict[str, Any]:
    """The JSON that ends a command with --json."""
    assert result.exit_code == status, result.output
    value: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return value
