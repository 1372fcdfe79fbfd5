"""The table of a new application, as it would stand in idp.toml: what may be said of each, however it asks."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from idp.secret import Secret, digest

R = TypeVar("R")


@dataclass(frozen=True)
class Description:
    """What --name, --bridge, --set and --release say."""

    name: str = ""
    bridge: str = ""
    pairs: tuple[str, ...] = ()
    release: str | None = None

    def values(self) -> dict[str, str]:
        """What --set says. Raises UsageError for what is no KEY=VALUE."""
        if wrong := [pair for pair in self.pairs if not all(pair.partition("="))]:
            raise click.UsageError(f"--set {wrong[0]}: it is KEY=VALUE, such as host=learn.example.org")
        return {key: value for key, _, value in (pair.partition("=") for pair in self.pairs)}

    def table(self, values: dict[str, str], protocol: str, settings: dict[str, Any], secret: Secret | None = None) -> dict[str, Any]:
        """The whole table; `values` is what the bridge has been told."""
        table = given(name=self.name, bridge=self.bridge, bridge_values=values)
        if self.release is not None:
            table["release"] = [part.strip() for part in self.release.split(",") if part.strip()]
        if secret is not None:
            table["secret_sha256"] = [digest(secret.reveal())]
        return {**table, protocol: settings}


def description_options(function: Callable[..., R]) -> Callable[..., R]:
    """--name, --bridge, --set for what the bridge asks, and --release: handed on as one `description`."""

    @click.option("--name", default="", help="The name that members read.")
    @click.option("--bridge", default="", metavar="NAME", help="A vendor product whose usual settings to start from.")
    @click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="What the bridge asks for. May be repeated.")
    @click.option("--release", metavar="A,B,C", help="Attributes it may see: names, or ours=theirs, with commas.")
    @functools.wraps(function)
    def wrapped(*args: Any, name: str, bridge: str, values: tuple[str, ...], release: str | None, **options: Any) -> R:
        return function(*args, description=Description(name, bridge, values, release), **options)

    return wrapped


fedcm_option = click.option(
    "--fedcm-origin",
    "fedcm_origins",
    multiple=True,
    metavar="ORIGIN",
    help="A page's origin that may ask by the browser's own hand (FedCM). May be repeated.",
)


def fedcm_table(origins: tuple[str, ...]) -> dict[str, Any]:
    """[clients.ID.fedcm]; nothing for who names no page."""
    return {"fedcm": {"origins": list(origins)}} if origins else {}


def given(**settings: Any) -> dict[str, Any]:
    """Those that were given."""
    return {key: value for key, value in settings.items() if value}


def id_of(address: str) -> str:
    """A short id from a URL or URN: its host, or what is readable of it."""
    text = urlsplit(address).hostname or address
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:64] or "client"
