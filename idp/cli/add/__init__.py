"""`idp clients add`: an application by its protocol, or a vendor's product by its bridge alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import click

from idp.bridges import Bridge, read_bridge
from idp.cli.add.client_secret import ClientSecret, read_secret, secret_option
from idp.cli.add.oidc import announce_oidc, oidc
from idp.cli.add.saml import announce_saml, read_metadata, saml
from idp.cli.add.table import Description, description_options
from idp.cli.add.vendor import add_checked, announce_vendor, cookie, jsonp, token
from idp.cli.bridge import command_of
from idp.cli.output import command_options, opened_parts, wants_json
from idp.parts import Parts
from idp.sso.client import Client

_ANNOUNCE: Mapping[str, Callable[[Parts, Client, ClientSecret], None]] = {
    "saml": announce_saml,
    "oidc": announce_oidc,
    "token": announce_vendor,
    "cookie": announce_vendor,
    "jsonp": announce_vendor,
}


@click.group(invoke_without_command=True)
@click.option("--id", "client_id", default="", help="A short id; else the bridge's name.")
@click.option("--metadata", "source", default="", metavar="FILE|URL", help="The service provider's metadata, for a bridge that needs them.")
@secret_option
@description_options
@command_options
@click.pass_context
def add(context: click.Context, client_id: str, source: str, secret_file: Path | None, description: Description) -> None:
    """Add an application: saml, oidc, token, cookie or jsonp; or a vendor's product by --bridge NAME alone."""
    if context.invoked_subcommand:
        if any((client_id, source, secret_file)) or description != Description():
            raise click.UsageError(f"Options stand after the protocol: idp clients add {context.invoked_subcommand} --...")
        return
    if not description.bridge:
        raise click.UsageError("Say how it asks (saml, oidc, token, cookie or jsonp), or which product it is (--bridge NAME).")
    _add_product(read_bridge(description.bridge), client_id, source, secret_file=secret_file, description=description)


for command in (saml, oidc, token, cookie, jsonp):
    add.add_command(command)


def _add_product(product: Bridge, client_id: str, source: str, *, secret_file: Path | None, description: Description) -> None:
    if product.needs and not (product.needs == "metadata" and source):
        raise click.UsageError(f"This bridge does not know where the application takes answers. Give it: {command_of(product)}")
    values = _asked_for(product, description.values())
    with opened_parts() as (loaded, parts):
        secret = ClientSecret() if product.protocol == "saml" else read_secret(secret_file)
        settings = {"metadata_xml": read_metadata(source, parts)} if source else {}
        description = replace(description, name=description.name or product.header.product)
        table = description.table(values, product.protocol, settings, secret.value)
        client = add_checked(loaded, parts, client_id or product.name, table)
        _ANNOUNCE[client.protocol](parts, client, secret)


def _asked_for(bridge: Bridge, given: dict[str, str]) -> dict[str, str]:
    """What the bridge has to be told; a person at a terminal is asked for the rest."""
    if wants_json() or not _is_a_person():
        return given
    told = dict(given)
    for key, placeholder in bridge.missing(given).items():
        told[key] = click.prompt(f"{placeholder.prompt[:1].upper()}{placeholder.prompt[1:]} (such as {placeholder.example})")
    return told


def _is_a_person() -> bool:
    return sys.stdin.isatty()
