"""`idp sessions`: who is signed in, and the operator's way to end it. It goes through the same function as every logout."""

from __future__ import annotations

import click

from idp.cli.output import command_options, opened_parts, result, say
from idp.errors import IdpError
from idp.parts import Parts
from idp.sso.session import Session


@click.group()
def sessions() -> None:
    """Members' sessions."""


@sessions.command("list")
@click.option("--user", help="Only of this user name.")
@command_options
def list_sessions(user: str | None) -> None:
    """List the sessions that are live."""
    with opened_parts() as (_, parts):
        found = _of_user(parts, user) if user else parts.sessions.list()
        for session in found:
            clients = ", ".join(each.client_id for each in session.participants) or "no application yet"
            say(f"{session.id}  {session.username}  {clients}")
        result({"sessions": [_described(session) for session in found]})


@sessions.command()
@click.argument("session_id", required=False)
@click.option("--user", help="End all sessions of this user name.")
@click.option("--all", "everyone", is_flag=True, help="End all sessions there are.")
@command_options
def end(session_id: str | None, user: str | None, everyone: bool) -> None:
    """End one session by its id, all of one user, or all."""
    if sum(map(bool, (session_id, user, everyone))) != 1:
        raise click.UsageError("Give one of: a session id, --user NAME, --all.")
    with opened_parts() as (_, parts):
        chosen = [session_id] if session_id else [session.id for session in (_of_user(parts, user) if user else parts.sessions.list())]
        runs = {each: parts.logout.end(each, reason="operator") for each in chosen}
        ended = {each: run for each, run in runs.items() if run is not None}
        if session_id and not ended:
            raise IdpError("sessions.unknown", f"There is no live session {session_id}.", status=404)
        say(f"ended {len(ended)} session{'' if len(ended) == 1 else 's'}")
        result({"ended": [{"session": each, "clients": {row.client_id: row.state for row in run.rows}} for each, run in ended.items()]})


def _of_user(parts: Parts, user: str | None) -> list[Session]:
    wanted = (user or "").casefold()
    return [session for session in parts.sessions.list() if session.username.casefold() == wanted]


def _described(session: Session) -> dict[str, object]:
    return {
        "id": session.id,
        "subject": session.subject_id,
        "username": session.username,
        "auth_time": session.auth_time,
        "last_seen": session.last_seen,
        "ends": session.ends,
        "clients": [each.client_id for each in session.participants],
    }
