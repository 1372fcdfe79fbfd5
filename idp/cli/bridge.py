"""`idp bridges`: which vendor products have usual settings here, and how sure each of them is."""

from __future__ import annotations

import json
from typing import Any

import click

from idp.bridges import Bridge, bridge_names, read_bridge
from idp.cli.output import command_options, result, say

_SURENESS = {
    "SEEN": "read in the vendor's document",
    "GK": "general knowledge, not looked up: check it",
    "UNKNOWN": "not known to us: ask the vendor",
}


@click.group()
def bridges() -> None:
    """Vendor products whose usual settings are known (presets)."""


@bridges.command("list")
@command_options
def list_bridges() -> None:
    """List them."""
    known = [read_bridge(name) for name in bridge_names()]
    for bridge in known:
        say(f"{bridge.name:28} {bridge.protocol:6} {bridge.header.category:11} {bridge.header.confidence:8} {bridge.header.product}")
    result({"bridges": [described(bridge) for bridge in known]})


@bridges.command()
@click.argument("name")
@command_options
def show(name: str) -> None:
    """Show one: what it sets, how sure each setting is, and what has to be told."""
    bridge = read_bridge(name)
    header = bridge.header
    say(f"{bridge.name}: {header.product} ({bridge.protocol}, {header.category})")
    say(f"source: {header.document or 'none'}")
    say(f"confidence: {header.confidence} ({_SURENESS[header.confidence]})")
    for text in (header.notes, command_of(bridge)):
        say(f"\n{text}") if text else None
    say("\nsettings:")
    for setting, (value, mark) in bridge.settings().items():
        say(f"  {mark:8} {setting} = {json.dumps(value, ensure_ascii=False)}")
    say("\nasks for:") if header.placeholders else None
    for key, placeholder in header.placeholders.items():
        say(f"  {key}: {placeholder.prompt}, such as {placeholder.example}")
    result(described(bridge))


def described(bridge: Bridge) -> dict[str, Any]:
    """The bridge for --json."""
    header = bridge.header
    return {
        "name": bridge.name,
        "protocol": bridge.protocol,
        **header.model_dump(mode="json", exclude={"marks"}),
        "needs": bridge.needs,
        "settings": {name: {"value": value, "confidence": mark} for name, (value, mark) in bridge.settings().items()},
    }


def command_of(bridge: Bridge) -> str:
    """The command that adds such a client."""
    values = "".join(f" --set {key}={placeholder.example}" for key, placeholder in bridge.header.placeholders.items())
    match bridge.needs:
        case "metadata":
            return f"idp clients add --bridge {bridge.name}{values} --metadata FILE|URL"
        case "":
            return f"idp clients add --bridge {bridge.name}{values}"
        case setting:
            option = setting.removesuffix("s").replace("_", "-")
            return f"idp clients add {bridge.protocol} --bridge {bridge.name}{values} --{option} URL"
