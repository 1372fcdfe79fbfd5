"""[bridge]: what a bridge says of itself, and what it has to be told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from idp.errors import ConfigError
from idp.settings import Settings

Mark = Literal["SEEN", "GK", "UNKNOWN"]
"""How sure a value is: read in the document; general knowledge that nobody looked up; or not known to us, so ask the vendor."""

_SHAPES = {
    "host": re.compile(r"(?=.{1,253}(?::|\Z))[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[1-9][0-9]{0,4})?"),
    "site": re.compile(r"https?://[a-z0-9.-]+(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~-]+)*"),
    "name": re.compile(r"[A-Za-z0-9_-]{1,100}"),
    "text": re.compile(r"[!-~]{1,500}"),
}
_SAID = {
    "host": "a host name: lower case, without https:// and without a slash",
    "site": "an address with https:// and without a slash at the end",
    "name": "letters, digits, _ and - alone",
    "text": "a text without spaces",
}


class PlaceholderSettings(Settings):
    """[bridge.placeholders.KEY]: what only the administrator knows. It stands in the bridge's values as {KEY}."""

    prompt: str = Field(min_length=3)
    """What is asked for, such as "your Canvas host"."""
    example: str = Field(min_length=1)
    """A value that would do."""
    kind: Literal["host", "site", "name", "text"] = "host"
    """A host name; an address with https:// and no slash at the end; a plain word; or any text without spaces."""

    @model_validator(mode="after")
    def _has_a_good_example(self) -> PlaceholderSettings:
        if problem := self.problem(self.example):
            raise ValueError(f"its example {self.example} is not {problem}")
        return self

    def problem(self, value: str) -> str:
        """What the value should have been; empty when it will do."""
        return "" if _SHAPES[self.kind].fullmatch(value) else _SAID[self.kind]


class BridgeSettings(Settings):
    """[bridge]: the header of a bridge's file."""

    product: str = Field(min_length=2)
    """The vendor's product."""
    category: Literal["learning", "community", "web", "events", "publishing", "service", "hub", "framework", "other"] = "other"
    """What it is for."""
    document: str = ""
    """Where the values were read. Empty only when none was."""
    confidence: Mark
    """How sure the values are, if `marks` does not say otherwise of one of them."""
    notes: str = ""
    """What the administrator should know before relying on it."""
    marks: dict[str, Mark] = Field(default_factory=dict)
    """Setting, such as "saml.acs" -> how sure that one is."""
    placeholders: dict[str, PlaceholderSettings] = Field(default_factory=dict)
    """What has to be told."""

    @model_validator(mode="after")
    def _names_its_source(self) -> BridgeSettings:
        if not self.document and (self.confidence == "SEEN" or "SEEN" in self.marks.values()):
            raise ValueError("what was seen was seen somewhere: document is missing")
        return self


def read_header(name: str, table: Mapping[str, Any]) -> BridgeSettings:
    """The header of a bridge's file. Raises ConfigError."""
    try:
        return BridgeSettings.model_validate(table)
    except ValidationError as error:
        raise ConfigError([f"bridge {name}: {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]) from None
