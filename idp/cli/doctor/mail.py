"""Mail: whether letters would leave."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Mapping

from idp.cli.doctor.advice import Found, Look, Patient
from idp.errors import ConfigError
from idp.web.mail import check_letters, mail_session
from idp.web.settings import is_loopback

_LONG_QUEUE = 100


def waiting(patient: Patient) -> Iterator[Found]:
    if patient.parts is not None and len(patient.parts.store.list("letter", limit=_LONG_QUEUE)) == _LONG_QUEUE:
        yield Found(f"{_LONG_QUEUE} letters or more wait to be mailed", "look for mail.failed in the log, and at [mail]")


def unreachable(patient: Patient) -> Iterator[Found]:
    """It says no word of a letter. The server's own text is not told: it may repeat a password."""
    mail = patient.config.mail
    if mail.host:
        try:
            with mail_session(mail):
                return
        except (smtplib.SMTPException, OSError) as error:
            detail = f"the mail server {mail.host}:{mail.port} does not let us in ({type(error).__name__})"
            yield Found(
                detail, "look at [mail] host, port, starttls, username and password", serious=patient.config.account.mode == "hosted"
            )


def in_clear(patient: Patient) -> Iterator[Found]:
    mail = patient.config.mail
    if mail.host and not mail.starttls and not is_loopback(mail.host):
        yield Found("links that set passwords travel to the mail server in the clear", "set [mail] starttls = true")


def templates(patient: Patient) -> Iterator[Found]:
    """The server would not start."""
    try:
        check_letters(patient.config.mail.templates)
    except ConfigError as error:
        for problem in error.problems:
            yield Found(problem, "set the association's own letter right, or take it away: ours then serves", serious=True)


LOOKS: Mapping[str, Look] = {
    "mail.waiting": waiting,
    "mail.unreachable": unreachable,
    "mail.in_clear": in_clear,
    "mail.templates": templates,
}
