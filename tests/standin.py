"""Stand-ins for what a test does not want for real: a clock that stands still, a directory of a few members, an audit and a
messenger that remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from idp.directory import Subject
from idp.secret import Secret
from idp.sso.notice import BackChannel, Outcome
from idp.store import Store

PASSWORD = "correct horse"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000

    def __call__(self) -> int:
        return self.seconds


class Counted:
    """A store that writes down what is asked of it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[str] = []

    def __getattr__(self, verb: str) -> Any:
        method = getattr(self._store, verb)

        def count(kind: str = "", *arguments: Any, **keywords: Any) -> Any:
            if kind and kind not in ("setting", "client"):  # the clients are looked at once a second, whatever happens
                self.asked.append(f"{verb} {kind}")
            return method(*((kind,) if kind else ()), *arguments, **keywords)

        return count

    def since(self) -> list[str]:
        asked, self.asked = self.asked, []
        return asked


class Members:
    """A `Directory` of the members it is given; all have one password."""

    def __init__(self, *subjects: Subject) -> None:
        self.by_id = {subject.id: subject for subject in subjects}

    def authenticate(self, username: str, password: Secret) -> Subject | None:
        found = next((subject for subject in self.by_id.values() if subject.username == username), None)
        return found if password.reveal() == PASSWORD else None

    def find(self, subject_id: str) -> Subject | None:
        return self.by_id.get(subject_id)

    def check(self) -> str:
        return "It is a table."


class Events:
    """An `Audit` that remembers."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def record(self, event: str, **fields: object) -> None:
        self.lines.append({"event": event, **fields})

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]

    @property
    def last(self) -> dict[str, Any]:
        return self.lines[-1]


class Letterbox:
    """A `Messenger` that keeps what it should carry; `reachable` is what every vendor answers."""

    def __init__(self) -> None:
        self.notices: list[BackChannel] = []
        self.reachable = True

    def deliver(self, notices: Sequence[BackChannel], *, within: float) -> list[Outcome]:
        self.notices += notices
        return [Outcome(self.reachable, "" if self.reachable else "outbound.connection")] * len(notices)
