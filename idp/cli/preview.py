"""`idp preview`: what one application would get of one member, and whether it would get them at all. Nothing is sent, nothing is stored."""

from __future__ import annotations

import json
from typing import Any

import click

from idp.cli.output import command_options, opened_parts, result, say
from idp.directory import NameFinder, Subject
from idp.errors import IdpError
from idp.parts import Parts
from idp.protocols.oidc.claim import claims_of
from idp.secret import new_id
from idp.sso.attribute import today_of
from idp.sso.client import Client
from idp.sso.entry import lacking, objection_to
from idp.sso.session import Session
from idp.web.profile import make_profile


@click.command()
@click.option("--client", "client_id", required=True, metavar="ID", help="The application.")
@click.option("--user", required=True, metavar="ID|NAME|EMAIL", help="The member's iMIS ID, user name, or e-mail address.")
@command_options
def preview(client_id: str, user: str) -> None:
    """Show what an application would get of a member."""
    with opened_parts() as (_, parts):
        client = parts.clients.get(client_id)
        if client is None:
            raise IdpError("clients.unknown", f"There is no client {client_id}.", status=404)
        shown = describe(parts, client, find_member(parts, user))
        _print(shown)
        result(shown)


def find_member(parts: Parts, user: str) -> Subject:
    """By iMIS ID; else by user name; else by address, where the directory can look for that. Raises IdpError."""
    subject = parts.directory.find(user) or _by_username(parts, user) or next(iter(_by_address(parts, user)), None)
    if subject is None:
        message = f"Nobody is known by {user}: give the iMIS ID, the user name or the e-mail address."
        raise IdpError("preview.user_unknown", message, status=404)
    return subject


def describe(parts: Parts, client: Client, subject: Subject) -> dict[str, Any]:
    """Source, decision, release, and each rendering of it."""
    released = client.release.apply(subject, parts.now)
    missing = client.release.missing(released)
    objection = objection_to(subject, client.entry, today=today_of(parts.now())) or (lacking(missing) if missing else None)
    session = _sample_session(parts, subject)
    profile = make_profile(session, subject, client.release, parts.now)
    return {
        "client": client.id,
        "protocol": client.protocol,
        "subject": subject.id,
        "active": subject.active,
        "source": {name: list(values) for name, values in subject.attributes.items()},
        "entry": {
            "allowed": subject.active and objection is None,
            "cause": "" if subject.active and objection is None else objection.cause if objection else "subject.disabled",
            "missing": missing,
        },
        "released": {name: list(values) for name, values in released.items()},
        "claims": claims_of(client.release, released),
        "service": profile.as_json(),
        "service_xml": profile.as_xml(),
        "saml": _saml(parts, client, subject, session),
    }


def _saml(parts: Parts, client: Client, subject: Subject, session: Session) -> str:
    """The assertion, unsigned; empty for a client that is no service provider, since names and formats come from its metadata."""
    return parts.protocols.saml.preview(client.id, subject, session).decode() if client.protocol == "saml" else ""


def _by_address(parts: Parts, user: str) -> list[Subject]:
    accounts = parts.accounts
    return accounts.find_by_email(user) if accounts is not None and "@" in user else []


def _by_username(parts: Parts, user: str) -> Subject | None:
    return parts.directory.find_by_username(user) if isinstance(parts.directory, NameFinder) else None


def _sample_session(parts: Parts, subject: Subject) -> Session:
    now = parts.now()
    return Session(new_id(), subject.id, subject.username, auth_time=now, login_id=new_id(), ends=now + 3600, last_seen=now)


def _print(shown: dict[str, Any]) -> None:
    entry = shown["entry"]
    say(f"{shown['client']} ({shown['protocol']}), member {shown['subject']}")
    say("entry: allowed" if entry["allowed"] else f"entry: refused, {entry['cause']} {', '.join(entry['missing'])}".rstrip())
    for title in ("source", "released"):
        say(f"{title}:")
        for name, values in shown[title].items():
            say(f"  {name} = {', '.join(values)}")
    for title in ("claims", "service"):
        say(f"{title}:")
        say(json.dumps(shown[title], ensure_ascii=False, indent=2))
    for title in ("service_xml", "saml"):
        if shown[title]:
            say(f"{title}:\n{shown[title].strip()}")
