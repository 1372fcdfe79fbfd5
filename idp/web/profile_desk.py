"""The desk behind every face of the web service: a token, a handle or a member's id becomes a profile, or a refusal. No HTTP here.

What is given is chosen by the client's release and by the session; nothing that the vendor says can widen it (S98, S41).
"""

from __future__ import annotations

from dataclasses import replace

from idp.audit import Audit
from idp.clock import Now
from idp.directory import Subject
from idp.secret import Secret, digest, new_secret
from idp.sso.client import Client
from idp.sso.entry import objection_to_grant
from idp.sso.logout import Logout
from idp.sso.protocol import Grant
from idp.sso.session import Session, Sessions
from idp.sso.subject import Subjects
from idp.sso.ticket import Ticket, Tickets
from idp.store import Store
from idp.web.admission import ServiceError
from idp.web.profile import Profile, make_profile


class ProfileDesk:
    """One for all faces of the service."""

    def __init__(
        self, *, tickets: Tickets, sessions: Sessions, subjects: Subjects, logout: Logout, store: Store, audit: Audit, now: Now
    ) -> None:
        self._tickets = tickets
        self._sessions = sessions
        self._subjects = subjects
        self._logout = logout
        self._store = store
        self._audit = audit
        self._now = now

    def redeem(self, client: Client, token: Secret, *, sent_to: str = "", keep: bool = False) -> Profile:
        """The member of a token, which is spent. With `sent_to`, the page on which the token arrived is compared; with `keep`, the
        profile has a handle. Raises TicketRefused, ServiceError."""
        ticket = self._tickets.redeem(token, client.id)
        _check_return(ticket, sent_to)
        profile = self._profile(client, ticket.session, self._subject(client, ticket.session), how="token")
        return replace(profile, handle=self._handle(client, ticket.session)) if keep else profile

    def again(self, client: Client, handle: Secret) -> Profile:
        """The member of a handle, as they are now. Raises ServiceError: when the session has ended, that says so."""
        stored = self._store.get("handle", digest(handle.reveal()))
        if stored is None or stored.record["client_id"] != client.id:
            raise ServiceError("handle.unknown", "This handle is not known, or its time is over.", status=404)
        session = self._sessions.get(stored.record["session_id"])
        if session is None or client.part_in(session) is None:
            raise ServiceError("handle.session_ended", "The member has signed out, or the session's time is over.", status=410)
        return self._asked_again(client, session, how="handle")

    def of_member(self, client: Client, subject_id: str) -> Profile | None:
        """A member who is signed in at this client now, by id; None for all others: an id is no proof of anything. Raises ServiceError."""
        session = self._session(client, subject_id)
        return self._asked_again(client, session, how="id") if session else None

    def token_for(self, client: Client, subject_id: str) -> Secret | None:
        """A fresh token of a member who is signed in at this client now; None for all others. Raises ServiceError."""
        session = self._session(client, subject_id)
        if session is None:
            return None
        self._check_entry(client, session, self._subject(client, session))
        return self._tickets.issue(client.id, session, {"return": client.settings.pages[0]})

    def may_enter(self, client: Client, subject_id: str) -> bool | None:
        """Whether the client's rules still let in a member who is signed in at this client now; None for all others: who is signed in
        elsewhere, or not welcome here, is no business of this client's."""
        session = self._session(client, subject_id)
        return None if session is None else not self._is_barred(client, session, self._subject(client, session))

    def _session(self, client: Client, subject_id: str) -> Session | None:
        live = [each for each in self._sessions.of_subject(subject_id) if client.part_in(each)]
        return max(live, key=lambda session: session.auth_time, default=None)

    def _asked_again(self, client: Client, session: Session, *, how: str) -> Profile:
        """A member may have lapsed since the sign-on, so the rules are asked again."""
        subject = self._subject(client, session)
        self._check_entry(client, session, subject)
        return self._profile(client, session, subject, how=how)

    def _subject(self, client: Client, session: Session) -> Subject:
        subject = self._subjects.current(session.subject_id, max_age=client.max_age)
        if subject is None:
            self._logout.end(session.id, reason="subject_gone")  # V51
            raise ServiceError("subject.gone", "The member's account was closed or disabled.")
        return subject

    def _check_entry(self, client: Client, session: Session, subject: Subject) -> None:
        if self._is_barred(client, session, subject):
            raise ServiceError("entry.denied", "This member may not enter the application.", status=403)

    def _is_barred(self, client: Client, session: Session, subject: Subject) -> bool:
        grant = Grant(client, session, subject, client.release.apply(subject, self._now))
        return objection_to_grant(grant, now=self._now()) is not None

    def _profile(self, client: Client, session: Session, subject: Subject, *, how: str) -> Profile:
        profile = make_profile(session, subject, client.release, self._now)
        told = {"client": client.id, "subject": subject.id, "session": session.id, "by": how}
        self._audit.record("service.redeemed", released=sorted(profile.attributes), **told)
        return profile

    def _handle(self, client: Client, session: Session) -> Secret:
        handle = new_secret()
        record = {"client_id": client.id, "session_id": session.id}
        self._store.put("handle", digest(handle), record, expires=session.ends + 86400)  # for a day more it says that it has ended
        return Secret(handle)


def _check_return(ticket: Ticket, given: str) -> None:
    """A vendor that says on which of its pages the token arrived has that compared with where it was sent (S94)."""
    if given and given != ticket.data["return"]:
        raise ServiceError("ticket.other_return", "This token was sent to another address.")
