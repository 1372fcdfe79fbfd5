"""The member's own desk: which applications there are for them, what those got, where they are signed in; and how to end it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from idp.audit import Audit
from idp.clock import Now
from idp.directory import Subject
from idp.errors import Unavailable
from idp.sso.attribute import today_of
from idp.sso.client import Client, Clients
from idp.sso.consent import Consents, Discloses
from idp.sso.disclosure import Disclosure, Disclosures
from idp.sso.entry import objection_to
from idp.sso.logout import Logout
from idp.sso.protocol import ClientProtocol, Launches
from idp.sso.session import Session, Sessions
from idp.sso.sign_in_log import SignIn, SignInLog
from idp.sso.subject import Subjects


@dataclass(frozen=True)
class Application:
    """`url` is where the member begins; empty for nowhere. `last` is what it last got, with the values of today in `values`; names without
    a value are those that the member's record has none for now. `severable` when there is something to take back."""

    client: Client
    url: str
    last: Disclosure | None
    values: Mapping[str, tuple[str, ...]]
    severable: bool


@dataclass(frozen=True)
class Device:
    """A live session; `sign_in` is its latest, None where nothing is known of it. `here` is the browser that asks."""

    session: Session
    sign_in: SignIn | None
    here: bool


class MemberDesk:
    """For a member who is signed in."""

    def __init__(
        self,
        *,
        clients: Clients,
        protocols: Mapping[str, ClientProtocol],
        subjects: Subjects,
        sessions: Sessions,
        logout: Logout,
        consents: Consents,
        disclosures: Disclosures,
        sign_ins: SignInLog,
        audit: Audit,
        now: Now,
    ) -> None:
        self._clients = clients
        self._protocols = protocols
        self._subjects = subjects
        self._sessions = sessions
        self._logout = logout
        self._consents = consents
        self._disclosures = disclosures
        self._sign_ins = sign_ins
        self._audit = audit
        self._now = now

    def applications(self, session: Session) -> list[Application] | None:
        """By name: those that the member can begin with, and those that have got something. None when the login turns out to be disabled:
        then all sessions of it have just been ended (S49). Raises StoreUnavailable."""
        try:
            subject = self._subjects.current(session.subject_id)
        except Unavailable:
            subject = None  # the membership system is away and nothing is remembered: the page does without values then
        else:
            if subject is None:
                self._logout.end_all_of(session.subject_id, reason="subject_gone")
                return None
        got = self._disclosures.of_subject(session.subject_id)
        agreed = self._consents.of_subject(session.subject_id)
        listed = self._clients.snapshot().clients
        elsewhere = {client_id: client for client_id in got if client_id not in listed and (client := self._clients.get(client_id))}
        found = [
            self._application(client, subject, got.get(client.id), agreed=any(each.is_for(client) for each in agreed))
            for client in {**listed, **elsewhere}.values()
        ]
        return sorted((each for each in found if each.url or each.last), key=lambda each: each.client.name.casefold())

    def devices(self, session: Session) -> list[Device]:
        """This browser first, then the latest used. Raises StoreUnavailable."""
        sign_ins = self._sign_ins.of_subject(session.subject_id)
        latest = {each.session_id: each for each in reversed(sign_ins)}
        found = [Device(each, latest.get(each.id), each.id == session.id) for each in self._sessions.of_subject(session.subject_id)]
        return sorted(found, key=lambda each: (not each.here, -each.session.last_seen))

    def sign_ins(self, session: Session, *, most: int = 10) -> Sequence[SignIn]:
        """The latest first. Raises StoreUnavailable."""
        return self._sign_ins.of_subject(session.subject_id)[:most]

    def end(self, session: Session, other_id: str) -> bool:
        """Signs the member out of another of their own browsers (S74); False when it is not theirs, or has ended."""
        if other_id not in {each.id for each in self._sessions.of_subject(session.subject_id)}:
            return False
        return self._logout.end(other_id, reason="member_elsewhere") is not None

    def end_others(self, session: Session) -> int:
        """Signs the member out of all other browsers; how many there were."""
        others = [each.id for each in self._sessions.of_subject(session.subject_id) if each.id != session.id]
        return sum(self._logout.end(each, reason="member_elsewhere") is not None for each in others)

    def disconnect(self, session: Session, client_id: str) -> None:
        """Takes back what the member agreed to, and the tokens that the application has; what it got before, it has."""
        client = self._clients.get(client_id)
        self._consents.revoke(session.subject_id, client_id)
        protocol: object = self._protocols.get(client.protocol) if client else None
        if isinstance(protocol, Discloses):
            protocol.withdraw(session.subject_id, client_id)
        self._disclosures.forget(session.subject_id, client_id)
        self._audit.record("member.disconnected", client=client_id, subject=session.subject_id, session=session.id)

    def _application(self, client: Client, subject: Subject | None, last: Disclosure | None, *, agreed: bool) -> Application:
        protocol: object = self._protocols.get(client.protocol)
        url = client.url or (protocol.launch_url(client) if isinstance(protocol, Launches) else "")
        if subject and objection_to(subject, client.entry, today=today_of(self._now())):
            url = ""
        released = client.release.apply(subject, self._now) if subject and last else {}
        values = {name: released.get(name, ()) for name in last.names} if last else {}
        return Application(client, url, last, values, agreed or (last is not None and isinstance(protocol, Discloses)))
