"""`idp keys` and `idp metadata`: our signing keys, and what we publish of ourselves."""

from __future__ import annotations

import click

from idp.cli.output import command_options, load_config, opened_parts, result, say
from idp.cli.rotation import described, making, ring_of, rotate
from idp.keys import USES, EdwardsKey, EveryKey, KeyRing, SigningKey


@click.group()
def keys() -> None:
    """Signing keys."""


@keys.command()
@command_options
def create() -> None:
    """Make the first signing key, and prepare the next one."""
    loaded = load_config()
    ring, how = KeyRing(loaded.config.keys.folder), making(loaded)
    key = ring.create(**how)
    following = ring.publish(uses=USES, **how)
    say(f"made signing key {key.kid}; {following.kid} is published beside it and will be the next")
    result({"key": described(key), "next": described(following)})


@keys.command("list")
@command_options
def list_keys() -> None:
    """List the keys that are published, for SAML and for tokens."""
    rings = [ring_of(load_config(), use) for use in USES]
    published: list[tuple[str, EveryKey]] = [(ring.use, key) for ring in rings for key in ring.every]
    for use, key in published:
        size = "Ed25519" if isinstance(key, EdwardsKey) else f"{'RSA' if isinstance(key, SigningKey) else 'P'}-{key.size}"
        say(f"{use:5} {key.state:8} {key.kid}  {size}  certificate until {key.certificate.not_valid_after_utc:%Y-%m-%d}")
    result({"keys": [{"use": use, **described(key)} for use, key in published]})


keys.add_command(rotate)


@click.command()
@click.option("--client", metavar="ID", default="", help="As /saml/metadata/ID serves it to that application.")
@command_options
def metadata(client: str) -> None:
    """Print our SAML metadata, as /saml/metadata serves it."""
    with opened_parts() as (_, parts):
        saml = parts.protocols.saml
        document = saml.metadata(client).decode()
        say(document)
        result({"entity_id": saml.entity_id, "metadata": document})
