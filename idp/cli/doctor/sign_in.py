"""How members sign in, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from idp.cli.doctor.advice import DAY, MONTH, Found, Look, Patient


def idle(patient: Patient) -> Iterator[Found]:
    session = patient.config.session
    if session.idle > session.absolute:
        yield Found("a session ends by age before it can end by idleness", "set [session] idle below absolute")


def long(patient: Patient) -> Iterator[Found]:
    if patient.config.session.absolute > MONTH * DAY:
        yield Found("a sign-in lasts longer than 30 days (NIST SP 800-63B)", 'set [session] absolute = "12h" or so')


def tries(patient: Patient) -> Iterator[Found]:
    if patient.config.login.tries_per_account > 100:
        yield Found("more than 100 wrong passwords may be tried (S82)", "set [login] tries_per_account = 5")


def grace(patient: Patient) -> Iterator[Found]:
    if patient.config.grace.days > MONTH:
        detail = f"a password that was changed elsewhere may be good here for {patient.config.grace.days} days, while iMIS does not answer"
        yield Found(detail, "set [grace] days = 7 or so")


def no_accounts(patient: Patient) -> Iterator[Found]:
    """The server would not start."""
    if patient.parts is not None and patient.config.account.mode == "hosted" and patient.parts.accounts is None:
        detail = f'our own account pages are on, and a directory of kind "{patient.config.directory.kind}" cannot set passwords'
        yield Found(detail, 'set [account] mode = "linked", or use a directory of kind "imis-rest"', serious=True)


LOOKS: Mapping[str, Look] = {
    "session.idle": idle,
    "session.long": long,
    "login.tries": tries,
    "grace.long": grace,
    "account.impossible": no_accounts,
}
