"""`idp clients add oidc`: a client by its options, or by one registration document."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from idp.cli.add.client_secret import ClientSecret, read_secret, secret_option
from idp.cli.add.table import Description, description_options, fedcm_option, fedcm_table, given, id_of
from idp.cli.client import described
from idp.cli.output import command_options, opened_parts, result, say
from idp.errors import ConfigError
from idp.parts import Parts
from idp.protocols.oidc.registration.document import Registration, read_registration
from idp.protocols.oidc.signing import signing_problems
from idp.sso.client import Client


@click.command()
@click.option("--id", "client_id", help="The client_id; else one is made.")
@click.option(
    "--redirect-uri", "redirect_uris", multiple=True, metavar="URL", help="Where codes may go; compared exactly. May be repeated."
)
@click.option("--public", is_flag=True, help="A client without a secret (single page or native): PKCE alone.")
@click.option("--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True, metavar="URL")
@click.option("--backchannel-logout-uri", metavar="URL")
@click.option("--frontchannel-logout-uri", metavar="URL")
@click.option("--registration", type=click.Path(path_type=Path), metavar="FILE.json", help="All of it from one RFC 7591 document.")
@fedcm_option
@secret_option
@description_options
@command_options
def oidc(
    client_id: str | None,
    redirect_uris: tuple[str, ...],
    public: bool,
    post_logout_redirect_uris: tuple[str, ...],
    backchannel_logout_uri: str | None,
    frontchannel_logout_uri: str | None,
    registration: Path | None,
    fedcm_origins: tuple[str, ...],
    secret_file: Path | None,
    description: Description,
) -> None:
    """Add an OpenID Connect or OAuth 2.0 client."""
    document = read_registration(_read_json(registration)) if registration else Registration()
    for note in document.notes:
        say(note)
    settings = dict(document.settings) | given(
        redirect_uris=list(redirect_uris),
        public=public,
        post_logout_redirect_uris=list(post_logout_redirect_uris),
        backchannel_logout_uri=backchannel_logout_uri,
        frontchannel_logout_uri=frontchannel_logout_uri,
    )
    if not settings.get("redirect_uris"):
        raise click.UsageError("Give --redirect-uri URL, or --registration FILE.json.")
    client_id = client_id or id_of(str(settings["redirect_uris"][0]))
    description = replace(description, name=description.name or document.name)
    with opened_parts() as (loaded, parts):
        secret = ClientSecret() if settings.get("public") else read_secret(secret_file)
        table = (
            description.table(description.values(), "oidc", settings, secret.value) | given(url=document.url) | fedcm_table(fedcm_origins)
        )
        if problems := signing_problems([loaded.read_client(client_id, table)], parts.keys):
            raise ConfigError(problems)
        announce_oidc(parts, parts.clients.add(client_id, table), secret)


def announce_oidc(parts: Parts, client: Client, secret: ClientSecret) -> None:
    """What whoever sets up this client wants to know."""
    url = parts.config.server.url
    secret.say_added(client.id)
    say(f"issuer: {url}   discovery: {url}/.well-known/openid-configuration")
    addresses = {"issuer": url, "discovery": f"{url}/.well-known/openid-configuration"}
    result({**described(client), "client_id": client.id, **secret.shown(), **addresses})


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError([f"--registration {file}: {type(error).__name__}"]) from None
    if not isinstance(document, dict):
        raise ConfigError([f"--registration {file}: not a JSON object"])
    return document
