"""What must be true of sign-on, session and logout, as a few plain records: no store, no HTTP, no secret. See idp/sso/README.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from .world import ABSOLUTE, IDLE, MAX_AGE, TOLD

_TOUCH = 60
_SKEW = 10
_JUST_NOW = 60
_DAY = 86400  # a waiting request, and a session nobody has told of yet, are kept for one
_LOOK = 50  # seconds in which one look for expired sessions is enough
_STRETCH = 60
_REST = 30
_LEFT_AFTER = 20
_NOTICE_LIFE = 3 * _DAY


@dataclass
class Sitting:
    """A session. `cookie` is the one value that is good; `login` counts the logins of the whole run, `names` are those
    by which clients know it. `left` is when a worker ended it and was killed before it told anybody."""

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
    left: int | None = None
    proven: bool = False

    @property
    def expires(self) -> int:
        return min(self.ends, self.seen + IDLE)

    @property
    def told(self) -> bool:
        return self.ended and self.left is None

    def lives(self, now: int) -> bool:
        return not self.ended and now < self.expires

    def will_do(self, kind: str, now: int) -> bool:
        """Whether a request of this kind is answered without a new login."""
        return kind != "fresh" and (kind != "recent" or now - self.since <= MAX_AGE)

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

    def wants_login(self, session: Sitting | None, now: int) -> bool:
        if self.at_login is None:
            return False
        if session is None or session.login == self.at_login:
            return True
        if self.kind == "recent":
            return now - session.since > _JUST_NOW
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
class Notice:
    """What a client's server did not take, and is told again."""

    client: str
    session: Sitting
    tries: int
    due: int
    until: int

    @property
    def id(self) -> str:
        return f"{self.session.id}~{self.client}"


@dataclass
class Model:
    """Everything that happened in one run."""

    now: Callable[[], int]
    sittings: list[Sitting] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    issued: list[Issued] = field(default_factory=list)
    handles: list[Handle] = field(default_factory=list)
    families: list[Family] = field(default_factory=list)
    forms: list[Form] = field(default_factory=list)
    hints: list[tuple[str, Sitting]] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    due: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Who must have heard of what by now: client and session."""
    notices: list[Notice] = field(default_factory=list)
    dead: frozenset[str] = frozenset()
    """Clients whose servers do not answer."""
    rests: dict[str, int] = field(default_factory=dict)
    """Until when a server is left alone that did not answer."""
    look_again: int = 0
    disabled: frozenset[str] = frozenset()
    logins: int = 0

    def of_cookie(self, cookie: str, now: int) -> Sitting | None:
        return next((each for each in self.sittings if cookie and each.cookie == cookie and each.lives(now)), None)

    def end(self, session: Sitting, *, besides: str = "") -> None:
        """It has ended, and each of its clients is told once, but for the one that began."""
        if session.ended:
            return
        session.ended = True
        self.tell(session, besides=besides)

    def tell(self, session: Sitting, *, besides: str = "") -> None:
        """At once, or by a notice that waits. A server that is known not to answer is not asked."""
        session.left = None
        for client in session.clients & TOLD - {besides}:
            if not self.heard(client, session):
                now = self.now()
                self.notices.append(Notice(client, session, 1, now + 60, now + _NOTICE_LIFE))

    def heard(self, client: str, session: Sitting) -> bool:
        """Whether a client's server takes it now."""
        now = self.now()
        if now < self.rests.get(client, 0):
            return False
        self.rests.pop(client, None)
        if client in self.dead:
            self.rests[client] = now + _REST
            return False
        self.due[client, session.id] += 1
        return True

    def tell_again(self, notice: Notice) -> bool:
        """One more try; three times as long until the next."""
        notice.tries += 1
        if self.heard(notice.client, notice.session):
            self.notices.remove(notice)
            return True
        notice.due = self.now() + min(60 * 3 ** (notice.tries - 1), _DAY)
        return False

    def tell_what_is_due(self) -> int:
        """How many heard."""
        self.notices = [each for each in self.notices if self.now() < each.until]
        due = [each for each in self.notices if each.due <= self.now()]
        return sum([self.tell_again(each) for each in due])

    def look_for_expired(self) -> int:
        """Ends what came to its end in a minute that is over; how many. Whom nobody looked for within a day is forgotten."""
        now = self.now()
        if now < self.look_again:
            return 0
        self.look_again = now + _LOOK
        over = [each for each in self.sittings if not each.ended and each.expires // _STRETCH < now // _STRETCH]
        for session in over:
            if now < session.expires + _DAY:
                self.end(session)
        return len(over)

    def finish_left(self) -> int:
        """Tells whom killed workers did not; how many sessions."""
        now = self.now()
        found = [each for each in self.sittings if each.left is not None and each.left + _LEFT_AFTER <= now < each.left + _DAY]
        for session in found:
            self.tell(session)
        return len(found)

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
        found = next((each for each in self.waiting if (each.id, each.owner, each.over) == (request_id, owner, False)), None)
        return found if found and self.now() < found.asked + _DAY else None
