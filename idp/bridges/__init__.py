"""Bridges: the usual settings of one vendor product each, as data. What a bridge says stands under what the client's own table says.

Each file has a header ([bridge]: product, document, confidence) and the tables of a client. `confidence` is SEEN (read in
the vendor's document), GK (general knowledge, not looked up: check it) or UNKNOWN.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from idp.errors import ConfigError


def bridge_names() -> list[str]:
    """The names that `bridge = "..."` and `--bridge` take."""
    return sorted(entry.name.removesuffix(".toml") for entry in files(__name__).iterdir() if entry.name.endswith(".toml"))


def read_bridge(name: str) -> dict[str, Any]:
    """The whole file of a bridge. Raises ConfigError with the names there are."""
    if name not in bridge_names():
        raise ConfigError([f'there is no bridge "{name}"; there are: {", ".join(bridge_names())}'])
    return tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))


def bridge_table(name: str) -> dict[str, Any]:
    """The client settings of a bridge, without its header."""
    return {key: value for key, value in read_bridge(name).items() if key != "bridge"}
