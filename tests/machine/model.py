"""What must be true of sign-on, session and logout, as a few plain records: no store, no HTTP, no secret. See idp/sso/README.md."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from .world import ABSOLUTE, IDLE, TOLD

_TOUCH = 60
_SKEW = 10


@dataclass
class Sitting:
    """A session. `cookie` is the one value that is good; `login` counts the logins of the whole run, `names` are those
    by which clients know it."""

    id: str
    member: str
    cookie: str
    login: int
    since: int
    seen: int
    ends: int
    clients: set[str] = field(default_factory=set)
    names: dict[str, str] = field(default_factory=dict)
    ended: bool = False
    told: bool = False
    proven: bool = False

    @property
    def expires(self) -> int:
        return min(self.ends, self.seen + IDLE)

    def lives(self, now: int) -> bool:
        return not self.ended and now < self.expires

    def touch(self, now: int) -> None:
        if now - self.seen >= _TOUCH:
            self.seen = now


@dataclass
class Waiting:
    """A request that waits. `owner` is the browser's number; `at_login` the login that was there, or None if it was not looked at."""

    id: str
    client: str
    kind: str
    owner: int
    asked: int
    at_login: int | None
    over: bool = False

    def wants_login(self, session: Sitting | None) -> bool:
        if self.at_login is None:
            return False
        if session is None or session.login == self.at_login:
            return True
        return self.kind == "fresh" and session.since < self.asked - _SKEW


@dataclass
class Family:
    """What came of one code: the access tokens with their ends, the refresh tokens in order."""

    session: Sitting
    client: str
    ends: int
    access: list[tuple[str, int]] = field(default_factory=list)
    refresh: list[str] = field(default_factory=list)
    revoked: bool = False


@dataclass
class Issued:
    """A code or a ticket."""

    secret: str
    client: str
    session: Sitting
    until: int
    spent: bool = False
    family: Family | None = None


@dataclass
class Handle:
    secret: str
    client: str
    session: Sitting


@dataclass
class Form:
    """A sign-in form that is open somewhere."""

    owner: int
    token: str
    request: str


@dataclass
class Model:
    """Everything that happened in one run."""

    sittings: list[Sitting] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    issued: list[Issued] = field(default_factory=list)
    handles: list[Handle] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    hints: list[tuple[str, Sitting]] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    due: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What has ended for whom: client and session."""
    disabled: frozenset[str] = frozenset()
    logins: int = 0

    def of_cookie(self, cookie: str, now: int) -> Sitting | None:
        return next((each for each in self.sittings if cookie and each.cookie == cookie and each.lives(now)), None)

    def end(self, session: Sitting, *, besides: str = "") -> None:
        """It has ended, and each of its clients is told once, but for the one that began."""
        if session.told:
            return
        session.ended = session.told = True
        self.due.update((client, session.id) for client in session.clients & TOLD if client != besides)

    def end_all_of(self, member: str, now: int) -> None:
        for session in self.sittings:
            if session.member == member and session.lives(now):
                self.end(session)

    def sign_in(self, member: str, cookie: str, before: Sitting | None, now: int) -> Sitting:
        """The member's own session is renewed; another's is ended."""
        self.logins += 1
        if before and before.member != member:
            self.end(before)
            before = None
        session = before or Sitting(cookie.partition(".")[0], member, "", 0, 0, 0, 0)
        if before is None:
            self.sittings.append(session)
        session.cookie, session.login, session.since, session.seen, session.ends = cookie, self.logins, now, now, now + ABSOLUTE
        self.cookies.append(cookie)
        return session

    def found(self, request_id: str, owner: int) -> Waiting | None:
        """The request, if it is still waiting and is that browser's."""
        return next((each for each in self.waiting if (each.id, each.owner, each.over) == (request_id, owner, False)), None)
