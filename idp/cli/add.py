"""`idp clients add`: an application by its protocol, or a vendor's product by its bridge."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click

from idp.app import Parts
from idp.bridges import Bridge, read_bridge
from idp.cli.bridge import command_of
from idp.cli.client import described, in_a_year
from idp.cli.output import command_options, opened_parts, result, say, wants_json
from idp.clock import utc_now
from idp.config import Loaded
from idp.errors import ConfigError, IdpError
from idp.protocols.oidc.registration.document import Registration, read_registration
from idp.protocols.oidc.signing import signing_problems
from idp.secret import Secret, digest, new_secret
from idp.sso.attribute import today_of
from idp.sso.client import Client

R = TypeVar("R")
_LONGEST_PASTE = 1_048_577  # one more than metadata may have

release_option = click.option("--release", metavar="A,B,C", help="Attributes it may see: names, or ours=theirs, with commas.")
name_option = click.option("--name", default="", help="The name that members read.")
set_option = click.option("--set", "values", multiple=True, metavar="KEY=VALUE", help="What the bridge asks for. May be repeated.")


def bridge_option(function: Callable[..., R]) -> Callable[..., R]:
    """--bridge, and --set for what it asks."""
    named = click.option("--bridge", default="", metavar="NAME", help="A vendor product whose usual settings to start from.")
    return named(set_option(function))


secret_option = click.option(
    "--secret-file", type=click.Path(path_type=Path), help="A file with the client's secret; else one is made and printed once."
)


@click.group(invoke_without_command=True)
@click.option("--id", "client_id", default="", help="A short id; else the bridge's name.")
@click.option("--metadata", "source", default="", metavar="FILE|URL", help="The service provider's metadata, for a bridge that needs them.")
@secret_option
@name_option
@bridge_option
@release_option
@command_options
@click.pass_context
def add(
    context: click.Context,
    client_id: str,
    source: str,
    secret_file: Path | None,
    name: str,
    bridge: str,
    values: tuple[str, ...],
    release: str | None,
) -> None:
    """Add an application: saml, oidc, token, cookie or jsonp; or a vendor's product by --bridge NAME alone."""
    if context.invoked_subcommand:
        if any((client_id, source, secret_file, name, bridge, values, release)):
            raise click.UsageError(f"Options stand after the protocol: idp clients add {context.invoked_subcommand} --...")
        return
    if not bridge:
        raise click.UsageError("Say how it asks (saml, oidc, token, cookie or jsonp), or which product it is (--bridge NAME).")
    product = read_bridge(bridge)
    if product.needs and not (product.needs == "metadata" and source):
        raise click.UsageError(f"This bridge does not know where the application takes answers. Give it: {command_of(product)}")
    given = _asked_for(product, _values(values))
    with opened_parts() as (loaded, parts):
        secret, made = (None, False) if product.protocol == "saml" else _secret(secret_file)
        settings = {"metadata_xml": _read_metadata(source, parts)} if source else {}
        table = _table(name or product.header.product, bridge, given, release, product.protocol, settings, secret)
        client = _add(loaded, parts, client_id or bridge, table)
        _ANNOUNCE[client.protocol](parts, client, secret if made else None)


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


def _add(loaded: Loaded, parts: Parts, client_id: str, table: dict[str, Any]) -> Client:
    if "cookie" in table:
        parts.protocols.cookie.check(loaded.read_client(client_id, table))  # is there a domain that both share?
    return parts.clients.add(client_id, table)


@add.command()
@click.option("--metadata", "source", default="", metavar="FILE|URL|-", help="The service provider's metadata; - reads what you paste.")
@click.option("--follow", is_flag=True, help="Fetch the metadata at that URL again and again.")
@click.option("--metadata-certificate", type=click.Path(path_type=Path), metavar="FILE", help="What the metadata must be signed with.")
@click.option("--federation", default="", metavar="NAME", help="A [saml.federation] that describes it; with --entity-id.")
@click.option("--entity-id", default="", help="Which service provider, where several are described.")
@click.option("--id", "client_id", help="A short id; else one is made from the entity ID.")
@click.option("--sign", type=click.Choice(["assertion", "response", "both"]), help="What of the answer is signed.")
@click.option("--encrypt", is_flag=True, help="Encrypt assertions to the key in the metadata.")
@click.option("--idp-initiated", is_flag=True, help="Members may start at /saml/start, without a request of the application.")
@name_option
@bridge_option
@release_option
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
    name: str,
    bridge: str,
    values: tuple[str, ...],
    release: str | None,
) -> None:
    """Add a SAML service provider."""
    with opened_parts() as (_, parts):
        settings = _saml_source(parts, source, federation, follow=follow) | _given(entity_id=entity_id)
        if metadata_certificate:
            settings["metadata_certificate"] = _read_metadata(str(metadata_certificate), parts)
        settings |= {key: value for key, value in (("sign", sign), ("encrypt", encrypt), ("idp_initiated", idp_initiated)) if value}
        if "metadata_xml" in settings:
            entity_id = parts.protocols.saml.read_provider(settings["metadata_xml"], entity_id).entity_id
        table = _table(name, bridge, _values(values), release, "saml", settings)
        client = parts.clients.add(client_id or _id_of(entity_id or source), table)
        if follow or federation:
            _fetch_first(parts, client)
        _announce_saml(parts, client, None)


def _saml_source(parts: Parts, source: str, federation: str, *, follow: bool) -> dict[str, Any]:
    if bool(source) == bool(federation):
        raise click.UsageError("Give --metadata FILE, URL or -, or --federation NAME with --entity-id.")
    if federation and federation not in parts.config.saml.federation:
        raise ConfigError([f"--federation {federation}: there is no [saml.federation.{federation}]"])
    if federation:
        return {"federation": federation}
    return {"metadata_url": source} if follow else {"metadata_xml": _read_metadata(source, parts)}


def _fetch_first(parts: Parts, client: Client) -> None:
    """What cannot be fetched is not added: whoever adds it sees why. A federation's may wait for the federation."""
    for source in parts.refresher.sources():
        if source.key in (f"client:{client.id}", f"member:{client.id}"):
            outcome = parts.refresher.refresh(source, whenever=True)
            if outcome.state == "refused":
                parts.clients.remove(client.id)
                raise IdpError("saml.metadata_refused", f"{client.id} was not added: {' '.join(outcome.lines)}")


def _announce_saml(parts: Parts, client: Client, _: Secret | None) -> None:
    protocol, url = parts.protocols.saml, f"{parts.config.server.url}/saml/metadata"
    entity_id = next((each.provider.entity_id for each in protocol.known() if each.client.id == client.id), client.settings.entity_id)
    say(f"added {client.id}: {entity_id}")
    say(f"give the vendor our metadata: {url}")
    result({**described(client), "entity_id": entity_id, "idp_entity_id": protocol.entity_id, "idp_metadata": url})


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
    values: tuple[str, ...],
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
    with opened_parts() as (loaded, parts):
        secret, made = (None, False) if settings.get("public") else _secret(secret_file)
        table = _table(name or document.name, bridge, _values(values), release, "oidc", settings, secret) | _given(url=document.url)
        client_id = client_id or _id_of(str(settings["redirect_uris"][0]))
        if problems := signing_problems([loaded.read_client(client_id, table)], parts.keys):
            raise ConfigError(problems)
        client = parts.clients.add(client_id, table)
        _announce_oidc(parts, client, secret if made else None)


def _announce_oidc(parts: Parts, client: Client, made: Secret | None) -> None:
    url = parts.config.server.url
    _say_added(client, made)
    say(f"issuer: {url}   discovery: {url}/.well-known/openid-configuration")
    addresses = {"issuer": url, "discovery": f"{url}/.well-known/openid-configuration"}
    result({**described(client), "client_id": client.id, **_shown(made), **addresses})


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
    values: tuple[str, ...],
    release: str | None,
) -> None:
    settings = _given(return_urls=list(return_urls), logout_url=logout_url, **own)
    with opened_parts() as (loaded, parts):
        secret, made = _secret(secret_file)
        table = _table(name, bridge, _values(values), release, protocol, settings, secret)
        _announce_vendor(parts, _add(loaded, parts, client_id, table), secret if made else None)


def _announce_vendor(parts: Parts, client: Client, made: Secret | None) -> None:
    url = parts.config.server.url
    _say_added(client, made)
    say(f"send members to: {url}/{client.protocol}/signon?client={client.id}&return=URL   redeem at: {url}/service/redeem")
    addresses = {"signon_url": f"{url}/{client.protocol}/signon", "service_url": f"{url}/service/redeem"}
    result({**described(client), "client_id": client.id, **_shown(made), **addresses})


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
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="The last day on which it may ask; a year from now, if not given.")
def jsonp(client_id: str, origins: tuple[str, ...], expires: datetime | None, return_urls: tuple[str, ...], **common: Any) -> None:
    """Add a page that asks by a script whether somebody is signed in."""
    asking = list(origins) or sorted({_origin(url) for url in return_urls})
    last_day = expires.date() if expires else in_a_year(today_of(utc_now()))
    _add_vendor("jsonp", client_id, {"origins": asking, "expires": last_day.isoformat()}, return_urls=return_urls, **common)


def _table(
    name: str,
    bridge: str,
    values: dict[str, str],
    release: str | None,
    protocol: str,
    settings: dict[str, Any],
    secret: Secret | None = None,
) -> dict[str, Any]:
    """The client as it would stand in idp.toml."""
    table: dict[str, Any] = _given(name=name, bridge=bridge, bridge_values=values)
    if release is not None:
        table["release"] = [part.strip() for part in release.split(",") if part.strip()]
    if secret is not None:
        table["secret_sha256"] = [digest(secret.reveal())]
    return {**table, protocol: settings}


def _values(pairs: tuple[str, ...]) -> dict[str, str]:
    """What --set says."""
    if wrong := [pair for pair in pairs if not all(pair.partition("="))]:
        raise click.UsageError(f"--set {wrong[0]}: it is KEY=VALUE, such as host=learn.example.org")
    return {key: value for key, _, value in (pair.partition("=") for pair in pairs)}


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


def _say_added(client: Client, made: Secret | None) -> None:
    say(f"added {client.id}")
    if made is not None:
        say(f"client_secret: {made.reveal()}   (shown this once)")


def _shown(made: Secret | None) -> dict[str, str]:
    return {} if made is None else {"client_secret": made.reveal()}


def _read_metadata(source: str, parts: Parts) -> str:
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


_ANNOUNCE: Mapping[str, Callable[[Parts, Client, Secret | None], None]] = {
    "saml": _announce_saml,
    "oidc": _announce_oidc,
    "token": _announce_vendor,
    "cookie": _announce_vendor,
    "jsonp": _announce_vendor,
}
