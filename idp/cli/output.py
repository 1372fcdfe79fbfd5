"""What all commands share: --config, --json, how results and errors are printed, and how the parts are opened."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn, ParamSpec, TypeVar

import click

from idp.config import Loaded, find_config, load
from idp.errors import ConfigError, IdpError
from idp.parts import Parts, build_parts
from idp.store.choice import open_store, running_store

P = ParamSpec("P")
R = TypeVar("R")


def _keep_config(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value:
        context.find_root().meta["idp.config"] = value


config_option = click.option(
    "--config", metavar="FILE", expose_value=False, callback=_keep_config, help="The configuration file; else IDP_CONFIG, else ./idp.toml."
)


def command_options(function: Callable[P, R]) -> Callable[P, R]:
    """Gives a command --config and --json, and turns an IdpError into a clear message and exit status 1 (2 for the configuration)."""

    @click.option(
        "--json", "as_json", is_flag=True, expose_value=False, callback=_keep_json, help="Print one JSON object as the last line."
    )
    @config_option
    @functools.wraps(function)
    def wrapped(*args: P.args, **options: P.kwargs) -> R:
        try:
            return function(*args, **options)
        except IdpError as error:
            _fail(error)

    return wrapped


def _keep_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.find_root().meta["idp.json"] = value


def _fail(error: IdpError) -> NoReturn:
    if wants_json():
        click.echo(json.dumps({"error": error.cause, "message": error.message}))
    for line in error.problems if isinstance(error, ConfigError) else [error.message]:
        click.echo(f"idp: {line}", err=True)
    sys.exit(2 if isinstance(error, ConfigError) else 1)


def wants_json() -> bool:
    """Whether a program reads what this command prints."""
    return bool(click.get_current_context().find_root().meta.get("idp.json"))


def say(text: str) -> None:
    """A line for people; silent with --json."""
    if not wants_json():
        click.echo(text)


def result(value: dict[str, Any]) -> None:
    """The JSON object that ends a command with --json."""
    if wants_json():
        click.echo(json.dumps(value, ensure_ascii=False))


def load_config() -> Loaded:
    """The configuration of this call. Raises ConfigError."""
    return load(find_config(click.get_current_context().find_root().meta.get("idp.config")))


@contextmanager
def opened_parts() -> Iterator[tuple[Loaded, Parts]]:
    """Everything below HTTP, on the store that a running server uses, or on one started for the length of the command."""
    loaded = load_config()
    with running_store(loaded.config.store, production=loaded.config.server.production) as choice:
        store = open_store(choice.url, timeout=loaded.config.store.timeout)
        try:
            yield loaded, build_parts(loaded, store)
        finally:
            store.close()
