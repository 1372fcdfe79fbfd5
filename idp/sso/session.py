"""Session: one sign-in of one member in one browser, and the list of clients that were told of it.

The published id (`sid`, the stem of SAML's SessionIndex) proves nothing; the cookie carries a second, secret part, of
which the store keeps SHA-256. A new login of the same member keeps the id, so that clients can still be told of its
end, and changes the secret (S72). What has expired, by idleness or by age, is gone when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from idp.clock import Now
from idp.directory import Subject
from idp.secret import Secret, digest, new_id, new_secret
from idp.settings import Duration, Settings
from idp.store import Store, Stored

PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"  # noqa: S105  a name, not a password
"""The authentication context of a password over TLS: SAML's class reference, and our `acr`."""

GRACE = "urn:imis-idp:ac:classes:grace"
"""The authentication context of a password that the membership system could not be asked about."""


class SessionSettings(Settings):
    """[session]: how long a sign-in lasts (S73)."""

    idle: Duration = 3600
    """Ends after this long without use."""
    absolute: Duration = 12 * 3600
    """Ends after this long in any case."""


@dataclass(frozen=True)
class Participant:
    """A client that got an answer in a session, with what its protocol needs to tell it of the end."""

    client_id: str
    protocol: str
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Session:
    """Times are seconds since 1970. `login_id` names the login itself: a new one has another, within the same second and session too."""

    id: str
    subject_id: str
    username: str
    auth_time: int
    login_id: str
    ends: int
    last_seen: int
    context: str = PASSWORD
    methods: tuple[str, ...] = ("pwd",)
    participants: tuple[Participant, ...] = ()

    def participant(self, client_id: str) -> Participant | None:
        return next((each for each in self.participants if each.client_id == client_id), None)


@dataclass(frozen=True)
class SessionCookies:
    """The two values a browser gets at login: the session's own, and one that is good only to ask "is she signed in?" across sites."""

    session: Secret
    ping: Secret


class Sessions:
    """The sessions in the store."""

    def __init__(self, store: Store, settings: SessionSettings, *, now: Now) -> None:
        self._store = store
        self._settings = settings
        self._now = now

    def open(self, subject: Subject, previous: Session | None = None, *, context: str = PASSWORD) -> tuple[Session, SessionCookies]:
        """A session after a good login. With `previous`, a live session of the same member, it is that one renewed."""
        session_secret, ping_secret = new_secret(), new_secret()
        secrets = {"secret": digest(session_secret), "ping": digest(ping_secret)}
        session = self._renewed(previous.id, subject, secrets, context) if previous else None
        if session is None:
            session = self._begun(new_id(), subject, context)
            self._store.put("session", session.id, _record(session) | secrets, expires=self._expires(session))
        return session, SessionCookies(Secret(f"{session.id}.{session_secret}"), Secret(f"{session.id}.{ping_secret}"))

    def _renewed(self, session_id: str, subject: Subject, secrets: dict[str, str], context: str) -> Session | None:
        """Only while it lives, and as it is now: what has ended stays ended, and who joined meanwhile is told of the end, too."""
        while stored := self._store.get("session", session_id):
            if stored.record["subject_id"] != subject.id:
                return None
            session = replace(self._begun(session_id, subject, context), participants=_session(stored).participants)
            record = _record(session) | secrets
            if self._store.change("session", session_id, record, revision=stored.revision, expires=self._expires(session)):
                return session
        return None

    def _begun(self, session_id: str, subject: Subject, context: str) -> Session:
        now = self._now()
        ends = now + self._settings.absolute
        return Session(
            session_id, subject.id, subject.username, auth_time=now, login_id=new_id(), ends=ends, last_seen=now, context=context
        )

    def current(self, cookie: Secret) -> Session | None:
        """The live session of a session cookie; using it puts off the end by idleness."""
        stored = self._by_cookie(cookie, "secret")
        return self._touched(stored) if stored else None

    def pinged(self, cookie: Secret) -> Session | None:
        """The live session of a ping cookie. Being asked after is not use: idleness runs on."""
        stored = self._by_cookie(cookie, "ping")
        return _session(stored) if stored else None

    def get(self, session_id: str) -> Session | None:
        """The live session of that id, for what was issued in it; no proof of who asks."""
        stored = self._store.get("session", session_id)
        return _session(stored) if stored else None

    def join(self, session_id: str, participant: Participant) -> bool:
        """Adds the client, or brings its state up to date. False when the session has ended meanwhile: then no answer may leave."""
        while stored := self._store.get("session", session_id):
            session = _session(stored)
            if session.participant(participant.client_id) == participant:
                return True
            others = tuple(each for each in session.participants if each.client_id != participant.client_id)
            if self._change(stored, replace(session, participants=(*others, participant))):
                return True
        return False

    def leave(self, session_id: str, client_id: str) -> None:
        """Takes a client off the list, after it said that it ended its own session alone."""
        while stored := self._store.get("session", session_id):
            session = _session(stored)
            others = tuple(each for each in session.participants if each.client_id != client_id)
            if self._change(stored, replace(session, participants=others)):
                return

    def take(self, session_id: str) -> Session | None:
        """Ends the session: of all who ask for that, one gets it (S47)."""
        stored = self._store.take("session", session_id)
        return _session(stored) if stored else None

    def of_subject(self, subject_id: str) -> list[Session]:
        return [_session(stored) for stored in self._store.find("session", "subject_id", subject_id)]

    def list(self) -> list[Session]:
        return [_session(stored) for stored in self._store.list("session")]

    def _by_cookie(self, cookie: Secret, field_name: str) -> Stored | None:
        session_id, _, secret = cookie.reveal().partition(".")
        if not secret or len(cookie.reveal()) > 200:
            return None
        stored = self._store.get("session", session_id)
        return stored if stored and Secret(secret).matches(stored.record[field_name]) else None

    def _touched(self, stored: Stored) -> Session:
        session = _session(stored)
        if self._now() - session.last_seen < min(60, self._settings.idle // 10):
            return session  # a write for every request would buy nothing
        seen = replace(session, last_seen=self._now())
        self._change(stored, seen)  # when another request was quicker, it has touched the session
        return seen

    def _change(self, stored: Stored, session: Session) -> bool:
        record = stored.record | _record(session)
        return self._store.change("session", session.id, record, revision=stored.revision, expires=self._expires(session))

    def _expires(self, session: Session) -> int:
        return min(session.ends, session.last_seen + self._settings.idle)


def _record(session: Session) -> dict[str, Any]:
    return asdict(session)


def _session(stored: Stored) -> Session:
    fields = {name: value for name, value in stored.record.items() if name not in ("secret", "ping")}
    participants = tuple(Participant(**each) for each in fields.pop("participants"))
    return Session(**{**fields, "methods": tuple(fields["methods"]), "participants": participants})
