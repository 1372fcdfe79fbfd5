"""A new application's secret: read from a file, or made and shown once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from idp.cli.output import say
from idp.errors import ConfigError
from idp.secret import Secret, new_secret

_SHORTEST = 8

secret_option = click.option(
    "--secret-file", type=click.Path(path_type=Path), help="A file with the client's secret; else one is made and printed once."
)


@dataclass(frozen=True)
class ClientSecret:
    """None where the application has no secret; shown only if we made it."""

    value: Secret | None = None
    made: bool = False

    def say_added(self, client_id: str) -> None:
        say(f"added {client_id}")
        for name, value in self.shown().items():
            say(f"{name}: {value}   (shown this once)")

    def shown(self) -> dict[str, str]:
        """What the result tells of it."""
        return {"client_secret": self.value.reveal()} if self.made and self.value else {}


def read_secret(file: Path | None) -> ClientSecret:
    """The one in the file, or a new one. Raises ConfigError."""
    if file is None:
        return ClientSecret(Secret(new_secret()), made=True)
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError([f"--secret-file {file}: {error.strerror}"]) from None
    if len(text) < _SHORTEST:
        raise ConfigError([f"--secret-file {file}: a secret has at least {_SHORTEST} characters"])
    return ClientSecret(Secret(text))
