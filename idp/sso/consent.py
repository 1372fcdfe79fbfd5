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
from idp.sso.client import Client
from idp.sso.protocol import Grant, SignOnRequest
from idp.store import Store, Stored
from idp.store.reading import read_as

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
    incarnation: str = ""

    def is_for(self, client: Client) -> bool:
        """Whether it was given to this client, and not to one that had its id before."""
        return (self.client_id, self.incarnation) == (client.id, client.incarnation)


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

    def covers(self, subject_id: str, client: Client, things: Collection[str]) -> bool:
        """Whether the member has agreed to all of these."""
        before = self._before(subject_id, client)
        return before is not None and set(things) <= before.things

    def give(self, subject_id: str, client: Client, things: Collection[str]) -> None:
        """The member agrees; what was agreed to before holds on."""
        before = self._before(subject_id, client)
        every = {*things, *(before.things if before else ())}
        record = {"subject_id": subject_id, "client_id": client.id, "things": sorted(every), "given": self._now()}
        record |= {"incarnation": client.incarnation} if client.incarnation else {}
        self._store.put("consent", _key(subject_id, client.id), record, expires=self._now() + LIFE)

    def of_subject(self, subject_id: str) -> list[Consent]:
        return [_consent(stored) for stored in self._store.find("consent", "subject_id", subject_id)]

    def _before(self, subject_id: str, client: Client) -> Consent | None:
        stored = self._store.get("consent", _key(subject_id, client.id))
        consent = _consent(stored) if stored else None
        return consent if consent and consent.is_for(client) else None

    def revoke(self, subject_id: str, client_id: str) -> bool:
        """Whether there was an answer to take back."""
        return self._store.delete("consent", _key(subject_id, client_id))


def _consent(stored: Stored) -> Consent:
    return read_as(Consent, stored.record, things=frozenset(stored.record["things"]), until=stored.expires or 0)


def _key(subject_id: str, client_id: str) -> str:
    return digest(f"{len(subject_id)}\n{subject_id}\n{client_id}")
