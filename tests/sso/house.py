"""A small association for the tests of the one sequence: real parts over a real store, three members, a clock that stands still."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from idp.directory import DirectoryUnavailable, Subject
from idp.secret import Secret
from idp.sso.answer import Answer, Login, Redirect, Resume
from idp.sso.client import Client, Clients
from idp.sso.login import LoginDesk, LoginSettings, SignedIn
from idp.sso.logout import Logout
from idp.sso.notice import BackChannel, Outcome
from idp.sso.session import Session, Sessions, SessionSettings
from idp.sso.signon import SignOn
from idp.sso.subject import FreshnessSettings, Subjects
from idp.sso.ticket import Tickets
from idp.store import Store
from tests.standin import Events

from .echo import EchoProtocol, make_client

Result = TypeVar("Result")
NOON = 1_800_000_000
PASSWORD = "correct horse battery staple"
ADA = Subject("101", "ada", {"username": ("ada",), "email": ("ada@assoc.example",), "full_name": ("Ada Example",), "phone": ("555-0101",)})
BEN = Subject("102", "ben", {"username": ("ben",), "email": ("ben@assoc.example",)})
DORA = Subject("103", "dora", {"username": ("dora",)}, active=False)
BROWSER = "b" * 43
OTHER_BROWSER = "o" * 43


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> int:
        return self.time


class Members:
    """A `Directory`; all have one password. `tries` counts what it was asked."""

    def __init__(self, *subjects: Subject) -> None:
        self.by_id = {subject.id: subject for subject in subjects}
        self.is_there = True
        self.tries: list[str] = []

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        self.tries.append(username)
        self._answer()
        found = next((subject for subject in self.by_id.values() if subject.username == username.casefold()), None)
        return found if found and password.reveal() == PASSWORD else None

    def find(self, subject_id: str) -> Subject | None:
        self._answer()
        return self.by_id.get(subject_id)

    def check(self) -> str:
        return "It is a table."

    def _answer(self) -> None:
        if not self.is_there:
            raise DirectoryUnavailable("it is switched off")


class Letterbox:
    """A `Messenger` that keeps what it should carry; clients in `dead` do not answer."""

    def __init__(self) -> None:
        self.notices: list[BackChannel] = []
        self.dead: set[str] = set()

    def deliver(self, notices: Sequence[BackChannel], *, within: float) -> list[Outcome]:
        self.notices += notices
        return [Outcome(False, "outbound.connection") if notice.url in self.dead else Outcome(True) for notice in notices]

    def heard(self) -> list[str]:
        """The clients that a notice was carried to, in order."""
        return sorted(notice.url.removeprefix("https://").partition(".")[0] for notice in self.notices)


class House:
    """Everything below HTTP, and short words for what tests do with it."""

    def __init__(self, store: Store, now: Clock, clients: Iterable[Client] = (), *, login: LoginSettings | None = None) -> None:
        self.store = store
        self.now = now
        self.audit = Events()
        self.members = Members(ADA, BEN, DORA)
        self.letterbox = Letterbox()
        shared: dict[str, Any] = {"store": store, "audit": self.audit, "now": now}
        read = lambda client_id, table: make_client(client_id, **table)  # noqa: E731
        self.clients = Clients(clients, store=store, read=read, audit=self.audit)
        self.sessions = Sessions(store, SessionSettings(), now=now)
        self.subjects = Subjects(self.members, store, FreshnessSettings(), audit=self.audit, now=now)
        self.tickets = Tickets(store, self.sessions, kind="ticket", life=30, now=now)
        self.echo = EchoProtocol(self.clients, self.tickets)
        protocols = {"echo": self.echo}
        self.logout = Logout(sessions=self.sessions, protocols=protocols, messenger=self.letterbox, knows=self.clients.has, **shared)
        self.signon = SignOn(
            clients=self.clients, sessions=self.sessions, subjects=self.subjects, protocols=protocols, logout=self.logout, **shared
        )
        self.desk = LoginDesk(
            login or LoginSettings(), directory=self.members, sessions=self.sessions, subjects=self.subjects, logout=self.logout, **shared
        )

    def sign_in(self, username: str = "ada", password: str = PASSWORD, *, previous: Session | None = None, **keywords: Any) -> SignedIn:
        return self.desk.sign_in(username, Secret(password), address=keywords.pop("address", "192.0.2.1"), previous=previous, **keywords)

    def session(self, username: str = "ada") -> Session:
        """A session of a member who has just signed in."""
        return self.sign_in(username).session

    def live(self, session: Session) -> Session:
        """The session as the store has it now."""
        found = self.sessions.get(session.id)
        assert found is not None
        return found


def pending_of(answer: Answer) -> str:
    """The id of the request that waits for a login, or for the browser to come back."""
    assert isinstance(answer, Login | Resume)
    return answer.request_id


def url_of(answer: Answer) -> str:
    assert isinstance(answer, Redirect)
    return answer.url


def at_once(count: int, act: Callable[[int], Result]) -> list[Result | Exception]:
    """What `count` threads got that did it at the same moment."""
    start = threading.Barrier(count)

    def one(number: int) -> Result | Exception:
        start.wait()
        try:
            return act(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
