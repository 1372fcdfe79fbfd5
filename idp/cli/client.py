"""`idp clients`: the applications that may ask. Those added here live in the store; running workers know them within two seconds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from idp.app import Parts
from idp.bridges import bridge_table
from idp.cli.output import command_options, opened_parts, result, say
from idp.errors import ConfigError, IdpError
from idp.protocols.oidc.settings import Registration, read_registration
from idp.secret import Secret, digest, new_secret
from idp.sso.client import Client

release_option = click.option("--release", metavar="A,B,C", help="Attributes it may see: names, or ours=theirs, with commas.")
name_option = click.option("--name", default="", help="The name that members read.")
bridge_option = click.option("--bridge", default="", metavar="NAME", help="A vendor product whose usual settings to start from.")
secret_option = click.option(
    "--secret-file", type=click.Path(path_type=Path), help="A file with the client's secret; else one is made and printed once."
)


@click.group()
def clients() -> None:
    """Applications (service providers, clients, vendors)."""


@clients.group()
def add() -> None:
    """Add an application: saml, oidc, token, cookie or jsonp."""


@add.command()
@click.option("--metadata", "source", required=True, metavar="FILE|URL", help="The service provider's metadata.")
@click.option("--id", "client_id", help="A short id; else one is made from the entity ID.")
@click.option("--sign", type=click.Choice(["assertion", "response", "both"]), help="What of the answer is signed.")
@click.option("--encrypt", is_flag=True, help="Encrypt assertions to the key in the metadata.")
@click.option("--idp-initiated", is_flag=True, help="Members may start at /saml/start, without a request of the application.")
@name_option
@bridge_option
@release_option
@command_options
def saml(
    source: str, client_id: str | None, sign: str | None, encrypt: bool, idp_initiated: bool, name: str, bridge: str, release: str | None
) -> None:
    """Add a SAML service provider."""
    with opened_parts() as (_, parts):
        settings: dict[str, Any] = {"metadata_xml": _read_metadata(source, parts)}
        settings |= {key: value for key, value in (("sign", sign), ("encrypt", encrypt), ("idp_initiated", idp_initiated)) if value}
        protocol = parts.protocols.saml
        provider = protocol.read_provider(settings["metadata_xml"])
        table = _table(name, bridge, release, "saml", settings)
        client = parts.clients.add(client_id or _id_of(provider.entity_id), table)
        say(f"added {client.id}: {provider.entity_id}")
        say(f"give the vendor our metadata: {parts.config.server.url}/saml/metadata")
        result(
            {
                **_described(client),
                "entity_id": provider.entity_id,
                "idp_entity_id": protocol.entity_id,
                "idp_metadata": f"{parts.config.server.url}/saml/metadata",
            }
        )


@add.command()
@click.option("--id", "client_id", help="The client_id; else one is made.")
@click.option(
    "--redirect-uri", "redirect_uris", multiple=True, metavar="URL", help="Where codes may go; compared exactly. May be repeated."
)
@click.option("--public", is_flag=True, help="A client without a secret (single page or native): PKCE alone.")
@click.option("--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True, metavar="URL")
@click.option("--backchannel-logout-uri", metavar="URL")
@click.option("--frontchannel-logout-uri", metavar="URL")
@click.option("--registration", type=click.Path(path_type=Path), metavar="FILE.json", help="All of it from one RFC 7591 document.")
@secret_option
@name_option
@bridge_option
@release_option
@command_options
def oidc(
    client_id: str | None,
    redirect_uris: tuple[str, ...],
    public: bool,
    post_logout_redirect_uris: tuple[str, ...],
    backchannel_logout_uri: str | None,
    frontchannel_logout_uri: str | None,
    registration: Path | None,
    secret_file: Path | None,
    name: str,
    bridge: str,
    release: str | None,
) -> None:
    """Add an OpenID Connect or OAuth 2.0 client."""
    document = read_registration(_read_json(registration)) if registration else Registration()
    settings: dict[str, Any] = dict(document.settings)
    for note in document.notes:
        say(note)
    given = {
        "redirect_uris": list(redirect_uris),
        "public": public,
        "post_logout_redirect_uris": list(post_logout_redirect_uris),
        "backchannel_logout_uri": backchannel_logout_uri,
        "frontchannel_logout_uri": frontchannel_logout_uri,
    }
    settings |= {key: value for key, value in given.items() if value}
    if not settings.get("redirect_uris"):
        raise click.UsageError("Give --redirect-uri URL, or --registration FILE.json.")
    with opened_parts() as (_, parts):
        secret, made = (None, False) if settings.get("public") else _secret(secret_file)
        table = _table(name or document.name, bridge, release, "oidc", settings, secret) | _given(url=document.url)
        client = parts.clients.add(client_id or _id_of(str(settings["redirect_uris"][0])), table)
        url = parts.config.server.url
        _say_added(client, secret, made)
        say(f"issuer: {url}   discovery: {url}/.well-known/openid-configuration")
        shown = {"client_secret": secret.reveal()} if secret and made else {}
        result(
            {**_described(client), "client_id": client.id, **shown, "issuer": url, "discovery": f"{url}/.well-known/openid-configuration"}
        )


def vendor_command(function: Callable[..., None]) -> click.Command:
    """Token, cookie and JSONP vendors are added by one set of options, so that a script may treat them alike."""
    for option in (
        click.option("--id", "client_id", required=True, help="A short id."),
        click.option(
            "--return-url", "return_urls", multiple=True, metavar="URL", help="Where members may go back; one ending in / is a prefix."
        ),
        click.option(
            "--origin", "origins", multiple=True, metavar="ORIGIN", help="A page's origin that may ask by a script; for jsonp alone."
        ),
        click.option("--logout-url", default="", metavar="URL", help="Where the vendor's server takes notice of a logout."),
        secret_option,
        name_option,
        bridge_option,
        release_option,
    ):
        function = option(function)
    return add.command()(command_options(function))


def _add_vendor(
    protocol: str,
    client_id: str,
    own: dict[str, Any],
    *,
    return_urls: tuple[str, ...],
    logout_url: str,
    secret_file: Path | None,
    name: str,
    bridge: str,
    release: str | None,
) -> None:
    settings = _given(return_urls=list(return_urls), logout_url=logout_url, **own)
    with opened_parts() as (loaded, parts):
        secret, made = _secret(secret_file)
        table = _table(name, bridge, release, protocol, settings, secret)
        if protocol == "cookie":
            parts.protocols.cookie.check(loaded.read_client(client_id, table))  # is there a domain that both share?
        client = parts.clients.add(client_id, table)
        url = parts.config.server.url
        _say_added(client, secret, made)
        say(f"send members to: {url}/{protocol}/signon?client={client.id}&return=URL   redeem at: {url}/service/redeem")
        shown = {"client_secret": secret.reveal()} if made else {}
        addresses = {"signon_url": f"{url}/{protocol}/signon", "service_url": f"{url}/service/redeem"}
        result({**_described(client), "client_id": client.id, **shown, **addresses})


@vendor_command
@click.option("--method", type=click.Choice(["post", "get"]), help="How the token travels; post unless the vendor cannot.")
def token(client_id: str, method: str | None, origins: tuple[str, ...], **common: Any) -> None:  # noqa: ARG001  origins are for jsonp
    """Add a vendor that takes a token on its return URL."""
    _add_vendor("token", client_id, {"method": method}, **common)


@vendor_command
@click.option("--domain", default="", help="The shared parent domain; else the longest that both share.")
def cookie(client_id: str, domain: str, origins: tuple[str, ...], **common: Any) -> None:  # noqa: ARG001  origins are for jsonp
    """Add a vendor that reads a cookie on a domain it shares with us."""
    _add_vendor("cookie", client_id, {"domain": domain}, **common)


@vendor_command
def jsonp(client_id: str, origins: tuple[str, ...], return_urls: tuple[str, ...], **common: Any) -> None:
    """Add a page that asks by a script whether somebody is signed in."""
    asking = list(origins) or sorted({_origin(url) for url in return_urls})
    _add_vendor("jsonp", client_id, {"origins": asking}, return_urls=return_urls, **common)


@clients.command("list")
@command_options
def list_clients() -> None:
    """List the applications."""
    with opened_parts() as (_, parts):
        known = sorted(parts.clients.snapshot().clients.values(), key=lambda client: client.id)
        for client in known:
            say(f"{client.id:24} {client.protocol:7} {client.source:6} {client.name}")
        result({"clients": [_described(client) for client in known]})


@clients.command()
@click.argument("client_id")
@command_options
def show(client_id: str) -> None:
    """Show an application's settings, and where each came from."""
    with opened_parts() as (_, parts):
        client = parts.clients.get(client_id)
        if client is None:
            raise IdpError("clients.unknown", f"There is no client {client_id}.", status=404)
        say(f"{client.id} ({client.protocol}, from the {client.source})")
        settings = client.settings.model_dump(mode="json")
        for key, value in settings.items():
            say(f"  {client.protocol}.{key} = {json.dumps(value, ensure_ascii=False)}   [{_origin_of(client, key)}]")
        released = [f"{ours}={theirs}" for ours, theirs in client.release.names.items()]
        released += [f"{name} (made)" for name in client.release.made]
        say(f"  release = {', '.join(released) or 'nothing'}")
        result({**_described(client), "settings": settings, "origins": {key: _origin_of(client, key) for key in settings}})


@clients.command()
@click.argument("client_id")
@command_options
def remove(client_id: str) -> None:
    """Remove an application that was added by this command."""
    with opened_parts() as (_, parts):
        parts.clients.remove(client_id)
        say(f"removed {client_id}")
        result({"removed": client_id})


def _origin_of(client: Client, key: str) -> str:
    """Default, bridge or client: the highest that says something."""
    own = client.table.get(client.protocol, {})
    if key in own:
        return "client"
    bridge = client.table.get("bridge")
    return "bridge" if bridge and key in bridge_table(bridge).get(client.protocol, {}) else "default"


def _table(
    name: str, bridge: str, release: str | None, protocol: str, settings: dict[str, Any], secret: Secret | None = None
) -> dict[str, Any]:
    """The client as it would stand in idp.toml."""
    table: dict[str, Any] = _given(name=name, bridge=bridge)
    if release is not None:
        table["release"] = [part.strip() for part in release.split(",") if part.strip()]
    if secret is not None:
        table["secret_sha256"] = [digest(secret.reveal())]
    return {**table, protocol: settings}


def _given(**settings: Any) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value}


def _secret(file: Path | None) -> tuple[Secret, bool]:
    """The vendor's secret, and whether we made it."""
    if file is None:
        return Secret(new_secret()), True
    try:
        text = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError([f"--secret-file {file}: {error.strerror}"]) from None
    if len(text) < 8:
        raise ConfigError([f"--secret-file {file}: a secret has at least 8 characters"])
    return Secret(text), False


def _say_added(client: Client, secret: Secret | None, made: bool) -> None:
    say(f"added {client.id}")
    if secret is not None and made:
        say(f"client_secret: {secret.reveal()}   (shown this once)")


def _described(client: Client) -> dict[str, Any]:
    return {
        "id": client.id,
        "name": client.name,
        "protocol": client.protocol,
        "source": client.source,
        "release": dict(client.release.names),
        "made": {name: how.model_dump(mode="json", by_alias=True, exclude_defaults=True) for name, how in client.release.made.items()},
        "url": client.url,
    }


def _read_metadata(source: str, parts: Parts) -> str:
    if source.startswith(("https://", "http://")):
        return parts.outbound.get(source).decode("utf-8", errors="replace")
    try:
        return Path(source).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"--metadata {source}: {getattr(error, 'strerror', None) or 'not a UTF-8 text'}"]) from None


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError([f"--registration {file}: {type(error).__name__}"]) from None
    if not isinstance(document, dict):
        raise ConfigError([f"--registration {file}: not a JSON object"])
    return document


def _id_of(address: str) -> str:
    """A short id from a URL or URN: its host, or what is readable of it."""
    text = urlsplit(address).hostname or address
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")[:64] or "client"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
