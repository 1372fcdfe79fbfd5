"""Stand-ins for what a test does not want for real: a clock that stands still, a directory of a few members, an audit and a
messenger that remember."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from idp.directory import Subject
from idp.secret import Secret
from idp.sso.notice import BackChannel, Outcome

PASSWORD = "correct horse"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000

    def __call__(self) -> int:
        return self.seconds


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
