"""Who may enter a client: rules over the member's record. The member is told why not; the client is told no, and nothing of the member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from idp.directory import Subject
from idp.errors import AccessDenied
from idp.sso.attribute import read_date, today_of
from idp.sso.protocol import Grant
from idp.sso.session import GRACE
from idp.sso.settings import EntrySettings


@dataclass(frozen=True)
class Objection:
    """Why a member may not enter: a cause for the log, a sentence for the member. `renew` says that paying would help;
    `missing` are the attributes that the client cannot do without, for staff."""

    cause: str
    sentence: str
    renew: bool = False
    missing: tuple[str, ...] = ()


class EntryDenied(AccessDenied):
    """What the client is told, whatever the reason was (S126)."""

    def __init__(self) -> None:
        super().__init__("entry.denied", "This member may not enter the application.")


def objection_to_grant(grant: Grant, *, now: int) -> Objection | None:
    """The first reason why this member, in this session, may not enter this client at `now` (seconds since 1970)."""
    if grant.session.context == GRACE and not grant.client.grace:
        return ungraced()
    objection = objection_to(grant.subject, grant.client.entry, today=today_of(now))
    missing = grant.client.release.missing(grant.attributes)
    return objection or (lacking(missing) if missing else None)


def objection_to(subject: Subject, settings: EntrySettings, *, today: date) -> Objection | None:
    """The first rule that the member does not meet; None when all are met, or for staff."""
    if _one_of(subject, "roles", settings.staff):
        return None
    if settings.active and not _one_of(subject, "status", settings.statuses):
        return Objection("entry.not_active", "Your membership is not active at the moment.", renew=True)
    if settings.paid_through_grace is not None and not _has_paid(subject, today - timedelta(days=settings.paid_through_grace)):
        return Objection("entry.lapsed", "Your membership has lapsed: your record shows no payment for the current period.", renew=True)
    if settings.member_types and not _one_of(subject, "member_type", settings.member_types):
        return Objection("entry.member_type", "This application is not part of your kind of membership.")
    if settings.groups and not _one_of(subject, "committees", settings.groups):
        return Objection("entry.groups", "This application is for members of certain groups or committees.")
    if settings.roles and not _one_of(subject, "roles", settings.roles):
        return Objection("entry.roles", "This application is for people with a certain role.")
    return None


def lacking(missing: Sequence[str]) -> Objection:
    """The member's record has nothing for what the client requires."""
    sentence = "Your record lacks something that this application cannot do without."
    return Objection("release.required_missing", sentence, missing=tuple(missing))


def ungraced() -> Objection:
    """The session began while the membership system was away, and the client does not take such ones."""
    sentence = "The membership system does not answer at the moment, and this application waits until it does. Please sign in again later."
    return Objection("entry.grace", sentence)


def _one_of(subject: Subject, attribute: str, wanted: Sequence[str]) -> bool:
    """Names in iMIS's database ignore case."""
    names = {name.casefold() for name in wanted}
    return any(value.casefold() in names for value in subject.attributes.get(attribute, ()))


def _has_paid(subject: Subject, until: date) -> bool:
    days = (read_date(text) for text in subject.attributes.get("paid_through", ()))
    return any(day >= until for day in days if day)
