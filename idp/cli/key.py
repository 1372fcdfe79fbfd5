"""`idp keys` and `idp metadata`: our signing keys, and what we publish of ourselves."""

from __future__ import annotations

import click

from idp.cli.output import command_options, load_config, opened_parts, result, say
from idp.keys import KeyRing, SigningKey


@click.group()
def keys() -> None:
    """Signing keys."""


@keys.command()
@command_options
def create() -> None:
    """Make the first signing key."""
    loaded = load_config()
    key = KeyRing(loaded.config.keys.folder).create(bits=loaded.config.keys.rsa_bits, common_name=_common_name(loaded.config.server.url))
    say(f"made signing key {key.kid}")
    result({"key": _described(key)})


@keys.command("list")
@command_options
def list_keys() -> None:
    """List the keys that are published."""
    published = KeyRing(load_config().config.keys.folder).published
    for key in published:
        say(f"{key.state:8} {key.kid}  RSA-{key.private.key_size}  certificate until {key.certificate.not_valid_after_utc:%Y-%m-%d}")
    result({"keys": [_described(key) for key in published]})


@keys.command()
@command_options
def rotate() -> None:
    """Make the next key current; the old one stays published, and another next one is prepared."""
    loaded = load_config()
    key = KeyRing(loaded.config.keys.folder).rotate(bits=loaded.config.keys.rsa_bits, common_name=_common_name(loaded.config.server.url))
    say(f"{key.kid} signs now; running workers follow within a second")
    result({"key": _described(key)})


@click.command()
@command_options
def metadata() -> None:
    """Print our SAML metadata, as /saml/metadata serves it."""
    with opened_parts() as (_, parts):
        saml = parts.protocols.saml
        document = saml.metadata().decode()
        say(document)
        result({"entity_id": saml.entity_id, "metadata": document})


def _common_name(url: str) -> str:
    return url.partition("//")[2]


def _described(key: SigningKey) -> dict[str, object]:
    return {
        "kid": key.kid,
        "state": key.state,
        "bits": key.private.key_size,
        "created": key.created,
        "not_after": key.certificate.not_valid_after_utc.isoformat(),
        "certificate": key.certificate_base64,
    }
