"""`idp clients add saml`: a service provider, by its metadata."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import click

from idp.cli.add.client_secret import ClientSecret
from idp.cli.add.table import Description, description_options, given, id_of
from idp.cli.client import described
from idp.cli.output import command_options, opened_parts, result, say
from idp.errors import ConfigError, IdpError
from idp.parts import Parts
from idp.sso.client import Client

_LONGEST_PASTE = 1_048_577  # one more than metadata may have


@click.command()
@click.option("--metadata", "source", default="", metavar="FILE|URL|-", help="The service provider's metadata; - reads what you paste.")
@click.option("--follow", is_flag=True, help="Fetch the metadata at that URL again and again.")
@click.option("--metadata-certificate", type=click.Path(path_type=Path), metavar="FILE", help="What the metadata must be signed with.")
@click.option("--federation", default="", metavar="NAME", help="A [saml.federation] that describes it; with --entity-id.")
@click.option("--entity-id", default="", help="Which service provider, where several are described.")
@click.option("--id", "client_id", help="A short id; else one is made from the entity ID.")
@click.option("--sign", type=click.Choice(["assertion", "response", "both"]), help="What of the answer is signed.")
@click.option("--encrypt", is_flag=True, help="Encrypt assertions to the key in the metadata.")
@click.option("--idp-initiated", is_flag=True, help="Members may start at /saml/start, without a request of the application.")
@description_options
@command_options
def saml(
    source: str,
    follow: bool,
    metadata_certificate: Path | None,
    federation: str,
    entity_id: str,
    client_id: str | None,
    sign: str | None,
    encrypt: bool,
    idp_initiated: bool,
    description: Description,
) -> None:
    """Add a SAML service provider."""
    with opened_parts() as (_, parts):
        settings = _source(parts, source, federation, follow=follow) | given(entity_id=entity_id)
        if metadata_certificate:
            settings["metadata_certificate"] = read_metadata(str(metadata_certificate), parts)
        settings |= given(sign=sign, encrypt=encrypt, idp_initiated=idp_initiated)
        if "metadata_xml" in settings:
            entity_id = parts.protocols.saml.read_provider(settings["metadata_xml"], entity_id).entity_id
        table = description.table(description.values(), "saml", settings)
        client = parts.clients.add(client_id or id_of(entity_id or source), table)
        if follow or federation:
            _fetch_first(parts, client)
        announce_saml(parts, client, ClientSecret())


def _source(parts: Parts, source: str, federation: str, *, follow: bool) -> dict[str, Any]:
    if bool(source) == bool(federation):
        raise click.UsageError("Give --metadata FILE, URL or -, or --federation NAME with --entity-id.")
    if federation and federation not in parts.config.saml.federation:
        raise ConfigError([f"--federation {federation}: there is no [saml.federation.{federation}]"])
    if federation:
        return {"federation": federation}
    return {"metadata_url": source} if follow else {"metadata_xml": read_metadata(source, parts)}


def _fetch_first(parts: Parts, client: Client) -> None:
    """What cannot be fetched is not added: whoever adds it sees why. A federation's may wait for the federation."""
    for source in parts.refresher.sources():
        if source.key in (f"client:{client.id}", f"member:{client.id}"):
            outcome = parts.refresher.refresh(source, whenever=True)
            if outcome.state == "refused":
                parts.clients.remove(client.id)
                raise IdpError("saml.metadata_refused", f"{client.id} was not added: {' '.join(outcome.lines)}")


def announce_saml(parts: Parts, client: Client, _: ClientSecret) -> None:
    """What the vendor of this service provider wants to know."""
    protocol, url = parts.protocols.saml, f"{parts.config.server.url}/saml/metadata"
    entity_id = next((each.provider.entity_id for each in protocol.known() if each.client.id == client.id), client.settings.entity_id)
    say(f"added {client.id}: {entity_id}")
    say(f"give the vendor our metadata: {url}")
    result({**described(client), "entity_id": entity_id, "idp_entity_id": protocol.entity_id, "idp_metadata": url})


def read_metadata(source: str, parts: Parts) -> str:
    """What is at the URL, in the file, or pasted (`-`). Raises IdpError."""
    if source.startswith(("https://", "http://")):
        body = io.BytesIO()
        parts.outbound.download(source, body, max_bytes=parts.config.outbound.max_bytes, seconds=parts.config.outbound.timeout)
        return body.getvalue().decode("utf-8", errors="replace")
    if source == "-":
        return sys.stdin.buffer.read(_LONGEST_PASTE).decode("utf-8", errors="replace")
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"--metadata {source}: {getattr(error, 'strerror', None) or 'not a UTF-8 text'}"]) from None
