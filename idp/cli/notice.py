"""`idp notices`: logout notices that an application's server has not acknowledged yet, and what an operator may do about them."""

from __future__ import annotations

import time
from dataclasses import asdict

import click

from idp.cli.output import command_options, opened_parts, result, say
from idp.errors import IdpError
from idp.parts import Parts
from idp.sso.notice_queue import Waiting


@click.group()
def notices() -> None:
    """Logout notices that wait to be told again."""


@notices.command("list")
@click.option("--client", help="Only of this application.")
@command_options
def list_notices(client: str | None) -> None:
    """List what waits, the next first."""
    with opened_parts() as (_, parts):
        found = _chosen(parts, None, client)
        for each in found:
            say(f"{each.id}  {each.client_id}  tried {each.tries} times: {each.cause}")
            say(f"    again at {_time(each.due)}, until {_time(each.until)}")
        if not found:
            say("nothing waits")
        result({"notices": [asdict(each) for each in found]})


@notices.command()
@click.argument("notice_id", required=False)
@click.option("--client", help="All of this application.")
@click.option("--all", "everything", is_flag=True, help="All there are.")
@command_options
def retry(notice_id: str | None, client: str | None, everything: bool) -> None:
    """Try one now, all of an application, or all. What fails goes on waiting."""
    _check_choice(notice_id, client, everything)
    with opened_parts() as (_, parts):
        outcomes = {each.id: parts.logout.notices.retry(each.id) for each in _chosen(parts, notice_id, client)}
        for identifier, cause in outcomes.items():
            say(f"{identifier}  {_outcome(cause)}")
        result({"retried": [{"id": identifier, "outcome": _outcome(cause)} for identifier, cause in outcomes.items()]})


@notices.command()
@click.argument("notice_id", required=False)
@click.option("--client", help="All of this application.")
@click.option("--all", "everything", is_flag=True, help="All there are.")
@command_options
def drop(notice_id: str | None, client: str | None, everything: bool) -> None:
    """Give up one, all of an application, or all: nobody will be told."""
    _check_choice(notice_id, client, everything)
    with opened_parts() as (_, parts):
        dropped = [each.id for each in _chosen(parts, notice_id, client) if parts.logout.notices.drop(each.id)]
        say(f"dropped {len(dropped)} notice{'' if len(dropped) == 1 else 's'}")
        result({"dropped": dropped})


def _check_choice(notice_id: str | None, client: str | None, everything: bool) -> None:
    if sum(map(bool, (notice_id, client, everything))) != 1:
        raise click.UsageError("Give one of: a notice's id, --client ID, --all.")


def _chosen(parts: Parts, notice_id: str | None, client: str | None) -> list[Waiting]:
    """Raises IdpError when there is no notice of that id."""
    waiting = parts.logout.notices.list()
    if notice_id is None:
        return [each for each in waiting if client in (None, each.client_id)]
    found = [each for each in waiting if each.id == notice_id]
    if not found:
        raise IdpError("notices.unknown", f"There is no notice {notice_id}: it was told, given up, or never there.", status=404)
    return found


def _outcome(cause: str | None) -> str:
    """A worker of the running server may be about the same notice at this moment."""
    return "busy" if cause is None else cause or "told"


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
