"""Bridges: the usual settings of one vendor product each, as data. What a bridge says stands under what the client's own table says.

Each file has a header ([bridge]: `settings.BridgeSettings`) and the tables of a client. `confidence` is SEEN (read in the
vendor's document), GK (general knowledge, not looked up: check it) or UNKNOWN (ask the vendor); `marks` says it of single
settings. A text may hold {placeholders}, which `bridge_values` of the client fills in. What the client says itself is not
taken from the bridge, so a client that brings metadata needs no placeholder for addresses.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from idp.bridges.settings import BridgeSettings, Mark, PlaceholderSettings, read_header
from idp.errors import ConfigError

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NO_PROTOCOLS = ("release", "entry", "fedcm")
_ADDRESSES_OF_METADATA = ("entity_id", "acs", "slo", "certificate")
_COMES_FIRST = {"saml": ("acs", "metadata"), "oidc": ("redirect_uris", "redirect_uris"), "token": ("return_urls", "return_urls")}


@dataclass(frozen=True)
class Bridge:
    """One vendor product. `table` is what would stand in [clients.ID], placeholders and all."""

    name: str
    header: BridgeSettings
    table: Mapping[str, Any]

    @property
    def protocol(self) -> str:
        """The one table of it that says how the application asks."""
        return next(key for key, value in self.table.items() if isinstance(value, Mapping) and key not in _NO_PROTOCOLS)

    @property
    def needs(self) -> str:
        """The setting with the application's addresses that this bridge does not have; empty when it has them all."""
        key, missing = _COMES_FIRST.get(self.protocol, ("", ""))
        return "" if not key or self.table[self.protocol].get(key) else missing

    def settings(self) -> dict[str, tuple[Any, Mark]]:
        """Each setting by its dotted name, with how sure it is."""
        return {name: (value, self.header.marks.get(name, self.header.confidence)) for name, value in _leaves(self.table)}

    def filled(self, own: Mapping[str, Any], values: Mapping[str, str]) -> dict[str, Any]:
        """The client settings that `own` does not give itself. Raises ConfigError when a placeholder in them has no good value."""
        if unknown := sorted(set(values) - set(self.header.placeholders)):
            known = ", ".join(self.header.placeholders) or "nothing"
            raise ConfigError([f"the bridge {self.name} does not ask for {', '.join(unknown)}; it asks for {known}"])
        table = self._without_addresses() if _has_metadata(own) else self.table
        problems: dict[str, None] = {}
        filled = {key: self._fill(value, values, problems) for key, value in _left(table, own).items()}
        if problems:
            raise ConfigError(list(problems))
        return filled

    def missing(self, values: Mapping[str, str]) -> dict[str, PlaceholderSettings]:
        """The placeholders without a value."""
        return {key: placeholder for key, placeholder in self.header.placeholders.items() if key not in values}

    def _without_addresses(self) -> dict[str, Any]:
        saml = {key: value for key, value in self.table.get("saml", {}).items() if key not in _ADDRESSES_OF_METADATA}
        return {**self.table, "saml": saml}

    def _fill(self, value: Any, values: Mapping[str, str], problems: dict[str, None]) -> Any:
        if isinstance(value, str):
            return _PLACEHOLDER.sub(lambda match: self._value(match[1], values, problems), value)
        if isinstance(value, list):
            return [self._fill(each, values, problems) for each in value]
        if isinstance(value, Mapping):
            return {key: self._fill(each, values, problems) for key, each in value.items()}
        return value

    def _value(self, key: str, values: Mapping[str, str], problems: dict[str, None]) -> str:
        placeholder = self.header.placeholders[key]
        value = values.get(key, "")
        if problem := placeholder.problem(value):
            wanted = f"{placeholder.prompt}, {problem}, such as {placeholder.example}"
            problems[f"the bridge {self.name} wants {key}: {wanted} (--set {key}=..., or bridge_values in idp.toml)"] = None
        return value


def bridge_names() -> list[str]:
    """The names that `bridge = "..."` and `--bridge` take."""
    return sorted(entry.name.removesuffix(".toml") for entry in files(__name__).iterdir() if entry.name.endswith(".toml"))


def read_bridge(name: str) -> Bridge:
    """One bridge. Raises ConfigError, with the names there are."""
    if name not in bridge_names():
        raise ConfigError([f'there is no bridge "{name}"; there are: {", ".join(bridge_names())}'])
    table = tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))
    header = read_header(name, table.pop("bridge", {}))
    return Bridge(name, header, table)


def bridge_table(name: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """What the bridge gives to a client whose own table is `own`. Raises ConfigError."""
    values = own.get("bridge_values")
    given = {key: value for key, value in values.items() if isinstance(value, str)} if isinstance(values, Mapping) else {}
    return read_bridge(name).filled(own, given)


def _has_metadata(own: Mapping[str, Any]) -> bool:
    saml = own.get("saml")
    return isinstance(saml, Mapping) and ("metadata" in saml or "metadata_xml" in saml)


def _left(below: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What of `below` is not given by `own`; tables go key by key."""
    left = {}
    for key, value in below.items():
        if isinstance(value, Mapping) and isinstance(own.get(key), Mapping):
            left[key] = _left(value, own[key])
        elif key not in own:
            left[key] = value
    return left


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
