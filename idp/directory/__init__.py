"""Who people are. This file is the interface; `imis_rest` asks cloud iMIS, `people` reads a TOML file for trials and tests.

A wrong password is None. DirectoryUnavailable lets the page say "try later", and never mistakes a broken iMIS for a wrong
password (F12); SignInBarred is for an iMIS that says why. No implementation asks twice for one password: iMIS counts the tries (F13).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from idp.errors import IdpError, Unavailable
from idp.secret import Secret

Attributes = Mapping[str, tuple[str, ...]]
"""Our attribute name -> its values. A name without a value is absent, never an empty tuple."""

STANDARD_ATTRIBUTES: Mapping[str, str] = {
    "imis_id": "iMIS ID (PartyId), a text: leading zeros count",
    "username": "name that the member signs in with",
    "email": "primary e-mail address; two people may share one",
    "full_name": "name as iMIS prints it",
    "first_name": "given name",
    "middle_name": "middle name",
    "last_name": "family name",
    "informal_name": "name they like to be called",
    "prefix": "such as Dr.",
    "suffix": "such as Jr.",
    "company": "name of the primary organisation",
    "title": "position there",
    "phone": "primary telephone number",
    "member_type": "iMIS customer type code, such as REG",
    "status": "text of the member's status, such as Active",
    "join_date": "YYYY-MM-DD",
    "paid_through": "YYYY-MM-DD",
    "roles": "iMIS security roles, one value each",
    "committees": "names of the groups the member is in, one value each",
    "uniform_id": "the contact's GUID",
}
"""The names that every directory uses where it has the value; others may come beside them."""


@dataclass(frozen=True)
class Subject:
    """A person: `id` never changes and is never given to another (S39); `active` is False when iMIS has disabled the login."""

    id: str
    username: str
    attributes: Attributes = field(default_factory=dict)
    active: bool = True


class DirectoryUnavailable(Unavailable):
    """iMIS does not answer or answers nonsense; `received` names what came, without any personal data."""

    def __init__(self, received: str, *, retry_after: int | None = None) -> None:
        super().__init__(
            "directory.unavailable",
            "The membership system does not answer at the moment. Your password may well be right: please try again in a few minutes.",
            received=received,
            retry_after=retry_after,
        )


class SignInBarred(IdpError):
    """iMIS says why it takes no sign-in of this login, and staff have told us its words for that: the sentence is for the member."""

    status = 403


class LoginLocked(SignInBarred):
    """There were too many wrong passwords, or staff have locked it."""

    def __init__(self) -> None:
        super().__init__("directory.login_locked", "This login is locked, perhaps after too many wrong passwords.")


class PasswordExpired(SignInBarred):
    """It is right, but too old."""

    def __init__(self) -> None:
        super().__init__("directory.password_expired", "Your password has expired. You need a new one to sign in.")


class Directory(Protocol):
    """What the sign-on sequence needs to know of people."""

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        """The person whose credentials these are, with attributes; None if name or password is wrong, or the login is disabled.

        Raises SignInBarred where iMIS tells that it is locked, or the password too old, and DirectoryUnavailable."""

    def find(self, subject_id: str) -> Subject | None:
        """The person as the directory has them now; None if there is none of that id."""

    def check(self) -> str:
        """A sentence on what answers, for `idp check`. Raises DirectoryUnavailable with what is wrong."""


@dataclass(frozen=True)
class NewPerson:
    """Who wants an account."""

    first_name: str
    last_name: str
    email: str


class AccountRefused(IdpError):
    """The directory will not do it: the user name is taken, the password breaks its rules. The sentence may be shown to the member."""

    status = 422


class Accounts(Protocol):
    """An ability that some directories have besides: to make accounts and set passwords, by a service account that may do so."""

    def find_by_email(self, email: str) -> list[Subject]:
        """Everybody with a login and that primary address; two people may share one. Raises DirectoryUnavailable."""

    def find_by_username(self, username: str) -> Subject | None:
        """Whoever has this login and could have its password set here; None if nobody has. Raises DirectoryUnavailable."""

    def create_account(self, person: NewPerson, username: str, password: Secret) -> Subject:
        """A new contact with a login. Raises AccountRefused, DirectoryUnavailable."""

    def set_password(self, subject: Subject, password: Secret) -> None:
        """A new password for the login, which is unlocked too. Raises AccountRefused, DirectoryUnavailable."""


@runtime_checkable
class NameFinder(Protocol):
    """An ability that some directories have besides: to find a person by the name they sign in with, without their password."""

    def find_by_username(self, username: str) -> Subject | None:
        """Whoever has this login, active or not; None if nobody has. Raises DirectoryUnavailable."""


@dataclass(frozen=True)
class Drift:
    """Something in iMIS that is not as it was, or not as the settings say: `cause` is a stable id, `sentence` is for staff."""

    cause: str
    sentence: str


@runtime_checkable
class DriftReader(Protocol):
    """An ability that some directories have besides: to notice that what attributes come from has changed, before a sign-in fails."""

    def drift(self) -> list[Drift]:
        """Everything that has changed. Raises DirectoryUnavailable."""


LineState = Literal["closed", "open", "half open"]
"""Of a circuit breaker: closed, calls pass; open, none do; half open, the next one tries."""


@runtime_checkable
class LineReader(Protocol):
    """An ability that some directories have besides: to say how the lines to iMIS stand, as this process sees it."""

    def lines(self) -> Mapping[str, LineState]:
        """By name, such as "REST". Asks nobody."""


@runtime_checkable
class TicketExchange(Protocol):
    """An ability that some directories have besides: members sign in at iMIS itself, which then posts a refresh token (imis-redirect)."""

    def exchange(self, refresh_token: Secret) -> Subject | None:
        """Whose token it is; None for a visitor who is not signed in, for a token iMIS refuses, and the second time one is shown.

        Raises DirectoryUnavailable. The caller has bound the post to a browser that it sent to iMIS: the token says who, no more.
        """


@runtime_checkable
class CookieReader(Protocol):
    """An ability that some directories have besides: to tell who is signed in to iMIS by its login cookie (imis-cookie)."""

    def subject_of_cookie(self, login_cookie: Secret) -> Subject | None:
        """Whose login it is, asked of iMIS each time; None if iMIS knows nobody by it. Raises DirectoryUnavailable."""
