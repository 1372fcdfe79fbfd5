"""Which directory: read from [directory], opened once."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from idp.clock import Now
from idp.directory import Directory
from idp.directory.imis_rest import ImisRestDirectory
from idp.directory.people import PeopleDirectory
from idp.directory.settings import ImisRestSettings
from idp.settings import PathSetting, Settings
from idp.store import Store


class _Kind(Settings):
    """What stands first in the section."""

    kind: Literal["people", "imis-rest"]
    """"imis-rest": cloud iMIS (EMS), with the settings below. "people": a TOML file, for trials."""
    people: PathSetting | None = None
    """The file of kind "people". Passwords stand in it in the clear: for trials only."""


class DirectorySettings(ImisRestSettings, _Kind):
    """[directory]: who people are. Flat, so that the environment can give each key."""

    @model_validator(mode="after")
    def _complete(self) -> DirectorySettings:
        problems = self.problems() if self.kind == "imis-rest" else [] if self.people else ["people is missing: name the file"]
        if problems:
            raise ValueError(f'with kind = "{self.kind}": {"; ".join(problems)}')
        return self


def open_directory(settings: DirectorySettings, *, store: Store, now: Now) -> Directory:
    """The directory that the settings name. Raises ConfigError if a people file cannot be used."""
    if settings.kind == "people":
        assert settings.people is not None  # _complete saw to it
        return PeopleDirectory(settings.people)
    return ImisRestDirectory(settings, store=store, now=now)
