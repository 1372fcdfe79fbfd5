"""Ticket: a reference handed through the browser that its client redeems once, soon, from its own server.

A SAML artifact, an authorization code, a token vendor's token are all tickets. The store keeps SHA-256 of it. It is spent
in one atomic step (S16): of any number of redeemers the one wins who is first to put its `spent` record there. That record
stays for a day, so that a replay is seen for what it is (S17).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from idp.clock import Now
from idp.errors import BadRequest
from idp.secret import Secret, digest, new_id, new_secret
from idp.sso.session import Session, Sessions
from idp.store import Store

_REMEMBER_SPENT = 86400


@dataclass(frozen=True)
class Ticket:
    """What a redeemed ticket stood for. `family` names everything that comes from it; `data` is the protocol's own."""

    client_id: str
    session: Session
    family: str
    data: Mapping[str, Any]


class TicketRefused(BadRequest):
    """The ticket is not good; `family` is set when it was good once and is being replayed."""

    def __init__(self, cause: str, message: str, *, family: str = "") -> None:
        super().__init__(cause, message)
        self.family = family


class Tickets:
    """Tickets of one kind of record, `ticket` or `code`, that live `life` seconds."""

    def __init__(self, store: Store, sessions: Sessions, *, kind: Literal["ticket", "code"], life: int, now: Now) -> None:
        self._store = store
        self._sessions = sessions
        self._kind = kind
        self._life = life
        self._now = now

    def issue(self, client_id: str, session: Session, data: Mapping[str, Any], *, family: str = "") -> Secret:
        """A new ticket, bound to client and session (S19, S94); of a family that has begun already, if one is given."""
        ticket = new_secret()
        record = {"client_id": client_id, "session_id": session.id, "family": family or new_id(), "data": dict(data)}
        self._store.put(self._kind, digest(ticket), record, expires=self._now() + self._life)
        return Secret(ticket)

    def redeem(self, ticket: Secret, client_id: str) -> Ticket:
        """What the ticket stood for; it is spent, whatever comes next. Raises TicketRefused.

        A ticket that another client brings is spent too: it has leaked (V39).
        """
        key = digest(ticket.reveal())
        stored = self._store.get(self._kind, key)
        if stored is None:
            raise self._unknown(key)
        if not self._store.put_new("spent", key, {"family": stored.record["family"]}, expires=self._now() + _REMEMBER_SPENT):
            raise self._unknown(key)
        record = stored.record
        if record["client_id"] != client_id:
            raise TicketRefused("ticket.other_client", "This token was issued to another client.")
        session = self._sessions.get(record["session_id"])
        if session is None:
            raise TicketRefused("ticket.session_ended", "The member has signed out since this token was issued.")
        return Ticket(client_id, session, record["family"], record["data"])

    def _unknown(self, key: str) -> TicketRefused:
        spent = self._store.get("spent", key)
        if spent:
            return TicketRefused("ticket.replayed", "This token was used before.", family=spent.record["family"])
        return TicketRefused("ticket.unknown", "This token is not known, or its time is over.")
