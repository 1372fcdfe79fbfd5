"""`idp clients refresh`, `diff`, `accept`: metadata that come from an address or a federation, and what becomes of their changes."""

from __future__ import annotations

import os

import click

from idp.cli.output import command_options, opened_parts, result, say
from idp.errors import IdpError
from idp.worker import die_with_parent

_POLITE = 10  # for the scheduler: members come first


@click.command()
@click.argument("names", nargs=-1, metavar="[CLIENT|FEDERATION]...")
@click.option("--due", is_flag=True, help="Only what is due by its own schedule; the server calls it so.")
@command_options
def refresh(names: tuple[str, ...], due: bool) -> None:
    """Fetch metadata now: of all applications and federations that have an address, or of some."""
    if due:
        die_with_parent()
        os.nice(_POLITE)
    with opened_parts() as (_, parts):
        sources = parts.refresher.due() if due else parts.refresher.sources()
        chosen = [source for source in sources if not names or source.key.partition(":")[2] in names]
        unknown = set(names) - {source.key.partition(":")[2] for source in chosen}
        if unknown and not due:
            raise IdpError("saml.source_unknown", f"Nothing is fetched for {', '.join(sorted(unknown))}.", status=404)
        looked = []
        for source in chosen:
            outcome = parts.refresher.refresh(source, whenever=not due)
            say(f"{source.key}: {outcome.state}")
            for line in outcome.lines:
                say(f"  {line}")
            looked.append({"source": source.key, "state": outcome.state, "lines": list(outcome.lines)})
        result({"refreshed": looked})
        click.get_current_context().exit(1 if any(each["state"] == "refused" for each in looked) else 0)


@click.command()
@click.argument("client_id")
@command_options
def diff(client_id: str) -> None:
    """Show what new metadata of an application would change; nothing is changed yet."""
    with opened_parts() as (_, parts):
        lines = parts.refresher.changes(client_id)
        for line in lines:
            say(line)
        if not lines:
            say(f"No changed metadata of {client_id} wait.")
        result({"id": client_id, "changes": list(lines)})


@click.command()
@click.argument("client_id")
@command_options
def accept(client_id: str) -> None:
    """Put the changed metadata of an application in force."""
    with opened_parts() as (_, parts):
        lines = parts.refresher.accept(client_id)
        for line in lines:
            say(line)
        say(f"The metadata of {client_id} are in force.")
        result({"id": client_id, "accepted": list(lines)})
