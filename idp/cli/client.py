"""`idp clients`: the applications that may ask. Those added here live in the store; running workers know them within two seconds."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from typing import Any

import click

from idp.bridges import read_bridge
from idp.cli.output import command_options, opened_parts, result, say
from idp.errors import IdpError
from idp.sso.attribute import today_of
from idp.sso.client import Client
from idp.web.check import script_line


@click.group()
def clients() -> None:
    """Applications (service providers, clients, vendors)."""


@clients.command("list")
@command_options
def list_clients() -> None:
    """List the applications."""
    with opened_parts() as (_, parts):
        known = sorted(parts.clients.snapshot().clients.values(), key=lambda client: client.id)
        for client in known:
            say(f"{client.id:24} {client.protocol:7} {client.source:6} {client.name}")
        for client in known:
            if banner := _banner(client, today_of(parts.now())):
                say(f"! {banner}")
        result({"clients": [described(client) for client in known]})


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
        origins = {key: _origin_of(client, key) for key in settings}
        result({**described(client), "settings": settings, "origins": origins, **_for_pages(parts.config.server.url, client)})


@clients.command()
@click.argument("client_id")
@command_options
def remove(client_id: str) -> None:
    """Remove an application that was added by this command."""
    with opened_parts() as (_, parts):
        parts.clients.remove(client_id)
        say(f"removed {client_id}")
        result({"removed": client_id})


@clients.command()
@click.argument("client_id")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day, such as 2027-12-31; a year from now, if not given.")
@command_options
def renew(client_id: str, until: datetime | None) -> None:
    """Let a JSONP page ask for another year, after somebody has looked whether it still needs to."""
    with opened_parts() as (_, parts):
        client = parts.clients.get(client_id)
        if client is None or client.protocol != "jsonp":
            raise IdpError("clients.unknown", f"There is no JSONP client {client_id}.", status=404)
        expires = until.date() if until else in_a_year(today_of(parts.now()))
        renewed = {**client.table["jsonp"], "expires": expires.isoformat()}
        client = parts.clients.change(client_id, {**client.table, "jsonp": renewed})
        say(f"{client_id} may ask until {expires}")
        result(described(client))


def in_a_year(today: date) -> date:
    """How long a JSONP page may ask when nobody says otherwise (S99)."""
    return today + timedelta(days=365)


def _for_pages(url: str, client: Client) -> dict[str, Any]:
    """Which pages may ask by the browser's own hand, and the line to paste into those that ask by our script."""
    shown: dict[str, Any] = {}
    if client.fedcm:
        shown["fedcm"] = client.fedcm.model_dump(mode="json")
        say(f"  fedcm.origins = {', '.join(client.fedcm.origins)}")
    if line := script_line(url, client):
        shown["sso_check"] = line
        say(f"for its pages, to ask whether a member is signed in:\n  {line}")
    return shown


def _banner(client: Client, today: date) -> str:
    """What staff should be reminded of whenever they look: browsers are giving up what JSONP rests on (S99)."""
    if client.protocol != "jsonp":
        return ""
    expires: date = client.settings.expires
    left = (expires - today).days
    when = f"until {expires} ({left} days left)" if left >= 0 else f"no more: its time was over on {expires}"
    where = f"idp clients renew {client.id}" if client.source == "store" else f"expires in [clients.{client.id}.jsonp]"
    return f"{client.id} asks by JSONP, which fewer and fewer browsers let work: {when}. Does its page still need it? Then: {where}"


def _origin_of(client: Client, key: str) -> str:
    """Default, bridge or client: the highest that says something."""
    own = client.table.get(client.protocol, {})
    if key in own:
        return "client"
    bridge = client.table.get("bridge")
    return "bridge" if bridge and key in read_bridge(bridge).table.get(client.protocol, {}) else "default"


def described(client: Client) -> dict[str, Any]:
    return {
        "id": client.id,
        "name": client.name,
        "protocol": client.protocol,
        "source": client.source,
        "release": dict(client.release.names),
        "made": {name: how.model_dump(mode="json", by_alias=True, exclude_defaults=True) for name, how in client.release.made.items()},
        "url": client.url,
        **({"expires": client.settings.expires.isoformat()} if client.protocol == "jsonp" else {}),
    }
