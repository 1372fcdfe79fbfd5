"""Consent: what a member has agreed that an application may see (S14). For most applications the association has agreed when it
registered them; those with `consent = "ask"`, and those that ask for it themselves, show a page, and the answer is remembered.

An answer holds for a member, an application and the things that were shown. When the application wants more than that, or a year has
passed, the page comes again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from idp.clock import Now
from idp.errors import Refusal
from idp.secret import digest
from idp.sso.protocol import Grant, SignOnRequest
from idp.store import Store

LIFE = 365 * 86400  # seconds


class ConsentRequired(Refusal):
    """The member would have to agree first, and the client forbade to ask."""

    def __init__(self) -> None:
        super().__init__("consent.required", "The member has not agreed yet, and the application asked not to show a page.")


@dataclass(frozen=True)
class Consent:
    """`things` are names of attributes and of scopes. Times are seconds since 1970."""

    client_id: str
    things: frozenset[str]
    given: int
    until: int


@runtime_checkable
class Discloses(Protocol):
    """A protocol whose answer has less than all that is released, or lasts longer than itself."""

    def discloses(self, request: SignOnRequest, grant: Grant) -> Collection[str]:
        """The names of what this request's answer would open."""

    def withdraw(self, subject_id: str, client_id: str) -> None:
        """Takes back what was issued to the client about the member."""


class Consents:
    """The answers in the store."""

    def __init__(self, store: Store, *, now: Now) -> None:
        self._store = store
        self._now = now

    def covers(self, subject_id: str, client_id: str, things: Collection[str]) -> bool:
        """Whether the member has agreed to all of these."""
        stored = self._store.get("consent", _key(subject_id, client_id))
        return stored is not None and set(things) <= set(stored.record["things"])

    def give(self, subject_id: str, client_id: str, things: Collection[str]) -> None:
        """The member agrees; what was agreed to before holds on."""
        key = _key(subject_id, client_id)
        stored = self._store.get("consent", key)
        before = stored.record["things"] if stored else ()
        record = {"subject_id": subject_id, "client_id": client_id, "things": sorted({*before, *things}), "given": self._now()}
        self._store.put("consent", key, record, expires=self._now() + LIFE)

    def of_subject(self, subject_id: str) -> list[Consent]:
        found = self._store.find("consent", "subject_id", subject_id)
        return [
            Consent(each.record["client_id"], frozenset(each.record["things"]), each.record["given"], each.expires or 0) for each in found
        ]

    def revoke(self, subject_id: str, client_id: str) -> bool:
        """Whether there was an answer to take back."""
        return self._store.delete("consent", _key(subject_id, client_id))


def _key(subject_id: str, client_id: str) -> str:
    return digest(f"{len(subject_id)}\n{subject_id}\n{client_id}")
