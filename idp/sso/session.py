"""Session: one sign-in of one member in one browser, and the list of clients that were told of it.

The published id (`sid`, the stem of SAML's SessionIndex) proves nothing; the cookie carries a second, secret part, of
which the store keeps SHA-256. A new login of the same member keeps the id, so that clients can still be told of its
end, and changes the secret (S72). What has expired, by idleness or by age, is gone when it is asked for; its record stays for
a while, so that its clients can be told (`expiry.py`). So does the record of one that was ended: that it has ended and that its
clients are still to be told is one write, which no kill -9 can tear in two (`logout.py`).
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from idp.clock import Now
from idp.directory import Subject
from idp.secret import Secret, digest, new_id, new_secret
from idp.settings import Duration, Settings
from idp.store import Store, Stored
from idp.store.reading import read_as

PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"  # noqa: S105  a name, not a password
"""The authentication context of a password over TLS: SAML's class reference, and our `acr`."""

GRACE = "urn:imis-idp:ac:classes:grace"
"""The authentication context of a password that the membership system could not be asked about."""


_KEPT = 86400  # seconds for which an expired session waits for its clients to be told; longer no outage of ours should last
DUE = 60  # seconds; ends are looked for by the stretch of this length in which they fall
_UNTOLD, _TOLD = "untold", "told"  # what stands in the place of a stretch when somebody has ended the session


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
    incarnation: str = ""
    """Which client of that id: `Client.incarnation`."""


@dataclass(frozen=True)
class Session:
    """Times are seconds since 1970. `login_id` names the login itself: a new one has another, within the same second and session too.
    Without `dated`, `auth_time` is when iMIS vouched for the member, who may have typed the password there long before."""

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
    dated: bool = True

    def participant(self, client_id: str) -> Participant | None:
        return next((each for each in self.participants if each.client_id == client_id), None)


@dataclass(frozen=True)
class SessionCookies:
    """The values a browser gets at login: the session's own, one that is good only to ask "is she signed in?" across sites, and one
    that is good only for what the browser itself asks on behalf of other sites (FedCM)."""

    session: Secret
    ping: Secret
    fedcm: Secret


@dataclass(frozen=True)
class Ended:
    """A session that somebody has ended, with what they noted about it. `told` when its clients were told, or their notices wait."""

    session: Session
    note: Mapping[str, Any]
    told: bool


class Sessions:
    """The sessions in the store."""

    def __init__(self, store: Store, settings: SessionSettings, *, now: Now) -> None:
        self._store = store
        self._settings = settings
        self._now = now

    def open(
        self, subject: Subject, previous: Session | None = None, *, context: str = PASSWORD, dated: bool = True
    ) -> tuple[Session, SessionCookies]:
        """A session after a good login. With `previous`, a live session of the same member, it is that one renewed."""
        session_secret, ping_secret, fedcm_secret = new_secret(), new_secret(), new_secret()
        secrets = {"secret": digest(session_secret), "ping": digest(ping_secret), "fedcm": digest(fedcm_secret)}
        begun = replace(self._begun(subject, context), dated=dated)
        session = self._renewed(previous.id, begun, secrets) if previous else None
        if session is None:
            session = begun
            self._store.put("session", session.id, self._record(session) | secrets, expires=self._expires(session) + _KEPT)
        named = [Secret(f"{session.id}.{secret}") for secret in (session_secret, ping_secret, fedcm_secret)]
        return session, SessionCookies(*named)

    def _renewed(self, session_id: str, begun: Session, secrets: dict[str, str]) -> Session | None:
        """Only while it lives, and as it is now: what has ended stays ended, and who joined meanwhile is told of the end, too."""
        while stored := self._live(session_id):
            if stored.record["subject_id"] != begun.subject_id:
                return None
            session = replace(begun, id=session_id, participants=_session(stored).participants)
            record = self._record(session) | secrets
            if self._store.change("session", session_id, record, revision=stored.revision, expires=self._expires(session) + _KEPT):
                return session
        return None

    def _begun(self, subject: Subject, context: str) -> Session:
        now = self._now()
        ends = now + self._settings.absolute
        return Session(new_id(), subject.id, subject.username, auth_time=now, login_id=new_id(), ends=ends, last_seen=now, context=context)

    def current(self, cookie: Secret) -> Session | None:
        """The live session of a session cookie; using it puts off the end by idleness."""
        stored = self._by_cookie(cookie, "secret")
        return self._touched(stored) if stored else None

    def pinged(self, cookie: Secret) -> Session | None:
        """The live session of a ping cookie. Being asked after is not use: idleness runs on."""
        stored = self._by_cookie(cookie, "ping")
        return _session(stored) if stored else None

    def federated(self, cookie: Secret, *, used: bool = False) -> Session | None:
        """The live session of a FedCM cookie. Any page can have the browser ask who is here: only a sign-on is use."""
        stored = self._by_cookie(cookie, "fedcm")
        if stored is None:
            return None
        return self._touched(stored) if used else _session(stored)

    def new_fedcm_cookie(self, session_id: str) -> Secret | None:
        """Another FedCM cookie, for a browser that has none; the one before is void. None when the session has ended."""
        secret = new_secret()
        while stored := self._live(session_id):
            session = _session(stored)
            record = stored.record | {"fedcm": digest(secret)}
            if self._store.change("session", session_id, record, revision=stored.revision, expires=self._expires(session) + _KEPT):
                return Secret(f"{session_id}.{secret}")
        return None

    def get(self, session_id: str) -> Session | None:
        """The live session of that id, for what was issued in it; no proof of who asks."""
        stored = self._live(session_id)
        return _session(stored) if stored else None

    def join(self, session_id: str, participant: Participant) -> bool:
        """Adds the client, or brings its state up to date. False when the session has ended meanwhile: then no answer may leave."""
        while stored := self._live(session_id):
            session = _session(stored)
            if session.participant(participant.client_id) == participant:
                return True
            others = tuple(each for each in session.participants if each.client_id != participant.client_id)
            if self._change(stored, replace(session, participants=(*others, participant))):
                return True
        return False

    def leave(self, session_id: str, client_id: str) -> None:
        """Takes a client off the list, after it said that it ended its own session alone."""
        while stored := self._live(session_id):
            session = _session(stored)
            others = tuple(each for each in session.participants if each.client_id != client_id)
            if self._change(stored, replace(session, participants=others)):
                return

    def take(self, session_id: str, note: Mapping[str, Any] | None = None) -> Session | None:
        """Ends the session, be it live or expired: of all who ask for that, one gets it (S47). The record stays as `untold`, with the
        note, until `told` is called: whoever is killed in between leaves it for `untold` to find."""
        while stored := self._store.get("session", session_id):
            if "ended" in stored.record:
                return None
            ended = {"note": dict(note or {}), "at": self._now(), "last_seen": stored.record["last_seen"]}
            # nobody was ever seen in it: so also a server of an older version takes it for dead
            record = stored.record | {"due": _UNTOLD, "last_seen": 0, "ended": ended}
            if self._store.change("session", session_id, record, revision=stored.revision, expires=self._now() + _KEPT):
                return _session(stored)
        return None

    def told(self, session_id: str, *, until: int) -> None:
        """Its clients know, or their notices wait. Until then, in seconds since 1970, its browser may still ask what became of it."""
        while stored := self._store.get("session", session_id):
            record = stored.record | {"due": _TOLD}
            if self._store.change("session", session_id, record, revision=stored.revision, expires=until):
                return

    def untold(self, *, since: int) -> builtins.list[Ended]:
        """Sessions that were ended so many seconds ago or earlier, by somebody who never came to telling. Each is found by one caller,
        who has that long to do it."""
        found = [each for each in self._store.find("session", "due", _UNTOLD) if each.record["ended"]["at"] <= self._now() - since]
        return [_ended(each) for each in found if self._taken_over(each)]

    def ended(self, cookie: Secret) -> Ended | None:
        """The session of a session cookie, if somebody has ended it and it is still remembered."""
        session_id = _id_in(cookie)
        stored = self._with_secret(self._store.get("session", session_id), cookie, "secret") if session_id else None
        return _ended(stored) if stored and "ended" in stored.record else None

    def over(self, session_id: str) -> Ended | None:
        """The session of that id, if somebody has ended it and it is still remembered."""
        stored = self._store.get("session", session_id)
        return _ended(stored) if stored and "ended" in stored.record else None

    def _taken_over(self, stored: Stored) -> bool:
        record = stored.record | {"ended": stored.record["ended"] | {"at": self._now()}}
        return self._store.change("session", stored.key, record, revision=stored.revision, expires=stored.expires)

    def of_subject(self, subject_id: str) -> list[Session]:
        return [_session(stored) for stored in self._store.find("session", "subject_id", subject_id) if self._is_live(stored)]

    def expired(self, stretch: int) -> builtins.list[str]:
        """Ids of sessions that came to their end in that stretch of DUE seconds since 1970, and were not ended by anybody."""
        found = self._store.find("session", "due", str(stretch))
        return [stored.key for stored in found if not self._is_live(stored)]

    def list(self) -> builtins.list[Session]:
        return [_session(stored) for stored in self._store.list("session") if self._is_live(stored)]

    def _live(self, session_id: str) -> Stored | None:
        stored = self._store.get("session", session_id)
        return stored if stored and self._is_live(stored) else None

    def _is_live(self, stored: Stored) -> bool:
        return bool(min(stored.record["ends"], stored.record["last_seen"] + self._settings.idle) > self._now())

    def _record(self, session: Session) -> dict[str, Any]:
        return asdict(session) | {"due": str(self._expires(session) // DUE)}

    def _by_cookie(self, cookie: Secret, field_name: str) -> Stored | None:
        session_id = _id_in(cookie)
        return self._with_secret(self._live(session_id), cookie, field_name) if session_id else None

    def _with_secret(self, stored: Stored | None, cookie: Secret, field_name: str) -> Stored | None:
        secret = Secret(cookie.reveal().partition(".")[2])
        return stored if stored and secret and secret.matches(stored.record.get(field_name, "")) else None

    def _touched(self, stored: Stored) -> Session:
        session = _session(stored)
        if self._now() - session.last_seen < min(60, self._settings.idle // 10):
            return session  # a write for every request would buy nothing
        seen = replace(session, last_seen=self._now())
        self._change(stored, seen)  # when another request was quicker, it has touched the session
        return seen

    def _change(self, stored: Stored, session: Session) -> bool:
        record = stored.record | self._record(session)
        return self._store.change("session", session.id, record, revision=stored.revision, expires=self._expires(session) + _KEPT)

    def _expires(self, session: Session) -> int:
        return min(session.ends, session.last_seen + self._settings.idle)


def _id_in(cookie: Secret) -> str:
    """The session's id; empty where this is no cookie of ours."""
    session_id, _, secret = cookie.reveal().partition(".")
    return session_id if secret and len(cookie.reveal()) <= 200 else ""


def _ended(stored: Stored) -> Ended:
    ended = stored.record["ended"]
    session = replace(_session(stored), last_seen=ended["last_seen"])
    return Ended(session, ended["note"], told=stored.record["due"] == _TOLD)


def _session(stored: Stored) -> Session:
    participants = tuple(read_as(Participant, each) for each in stored.record["participants"])
    return read_as(Session, stored.record, methods=tuple(stored.record["methods"]), participants=participants)
