"""`idp clients add token`, `cookie` and `jsonp`: simple vendors, by one set of options, so that a script may treat them alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from idp.cli.add.client_secret import ClientSecret, read_secret, secret_option
from idp.cli.add.table import Description, description_options, fedcm_option, fedcm_table, given
from idp.cli.client import described, in_a_year
from idp.cli.output import command_options, opened_parts, result, say
from idp.clock import utc_now
from idp.config import Loaded
from idp.parts import Parts
from idp.sso.attribute import today_of
from idp.sso.client import Client


def vendor_command(function: Callable[..., None]) -> click.Command:
    """A command with the options that these have in common."""
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
        description_options,
    ):
        function = option(function)
    return click.command()(command_options(function))


@vendor_command
@fedcm_option
@click.option("--method", type=click.Choice(["post", "get"]), help="How the token travels; post unless the vendor cannot.")
def token(client_id: str, method: str | None, origins: tuple[str, ...], **common: Any) -> None:  # noqa: ARG001  origins are for jsonp
    """Add a vendor that takes a token on its return URL."""
    _add("token", client_id, {"method": method}, **common)


@vendor_command
@click.option("--domain", default="", help="The shared parent domain; else the longest that both share.")
def cookie(client_id: str, domain: str, origins: tuple[str, ...], **common: Any) -> None:  # noqa: ARG001  origins are for jsonp
    """Add a vendor that reads a cookie on a domain it shares with us."""
    _add("cookie", client_id, {"domain": domain}, **common)


@vendor_command
@fedcm_option
@click.option("--expires", type=click.DateTime(["%Y-%m-%d"]), help="The last day on which it may ask; a year from now, if not given.")
def jsonp(client_id: str, origins: tuple[str, ...], expires: datetime | None, return_urls: tuple[str, ...], **common: Any) -> None:
    """Add a page that asks by a script whether somebody is signed in."""
    asking = list(origins) or sorted({_origin(url) for url in return_urls})
    last_day = expires.date() if expires else in_a_year(today_of(utc_now()))
    _add("jsonp", client_id, {"origins": asking, "expires": last_day.isoformat()}, return_urls=return_urls, **common)


def _add(
    protocol: str,
    client_id: str,
    own: dict[str, Any],
    *,
    return_urls: tuple[str, ...],
    logout_url: str,
    secret_file: Path | None,
    description: Description,
    fedcm_origins: tuple[str, ...] = (),
) -> None:
    settings = given(return_urls=list(return_urls), logout_url=logout_url, **own)
    with opened_parts() as (loaded, parts):
        secret = read_secret(secret_file)
        table = description.table(description.values(), protocol, settings, secret.value) | fedcm_table(fedcm_origins)
        announce_vendor(parts, add_checked(loaded, parts, client_id, table), secret)


def add_checked(loaded: Loaded, parts: Parts, client_id: str, table: dict[str, Any]) -> Client:
    """Raises ConfigError for a cookie client with which we share no domain."""
    if "cookie" in table:
        parts.protocols.cookie.check(loaded.read_client(client_id, table))
    return parts.clients.add(client_id, table)


def announce_vendor(parts: Parts, client: Client, secret: ClientSecret) -> None:
    """What the vendor's programmer wants to know."""
    url = parts.config.server.url
    secret.say_added(client.id)
    say(f"send members to: {url}/{client.protocol}/signon?client={client.id}&return=URL   redeem at: {url}/service/redeem")
    addresses = {"signon_url": f"{url}/{client.protocol}/signon", "service_url": f"{url}/service/redeem"}
    result({**described(client), "client_id": client.id, **secret.shown(), **addresses})


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
