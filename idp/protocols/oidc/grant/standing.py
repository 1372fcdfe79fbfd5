"""Standing: whether the member of a token may still enter the client, and what it may see of them now.

Asked before any token is issued and at every look at member data, with the same rules as at sign-on: a login that was disabled, a
membership that has lapsed since count there, too, and, but for the first tokens, data older than the client's `max_age` (S49, V51).
"""

from __future__ import annotations

from collections.abc import Callable

from idp.clock import Now
from idp.directory import Subject
from idp.protocols.oidc.error import OAuthError
from idp.sso.attribute import today_of
from idp.sso.client import Client
from idp.sso.entry import Objection, objection_to, objection_to_grant
from idp.sso.protocol import Grant
from idp.sso.session import Session
from idp.sso.subject import Subjects

Gone = Callable[[str], object]
"""Is told the id of a member whom the directory does not have any more: ends their sessions."""


class Standing:
    """Looks a member up for a client."""

    def __init__(self, subjects: Subjects, *, gone: Gone, now: Now) -> None:
        self._subjects = subjects
        self._gone = gone
        self._now = now

    def exists(self, subject_id: str) -> bool:
        """Whether the directory has the member, with a good login. Raises DirectoryUnavailable."""
        if self._subjects.current(subject_id) is not None:
            return True
        self._gone(subject_id)
        return False

    def check(self, client: Client, session: Session) -> None:
        """Before the first tokens: that the member may still enter, by what is known of them. Their sign-on, a moment ago, has seen to the
        age of that. Raises OAuthError, DirectoryUnavailable."""
        subject = self._there(client, session, self._subjects.current(session.subject_id))
        _check_entry(client, objection_to(subject, client.entry, today=today_of(self._now())))

    def grant(self, client: Client, session: Session) -> Grant:
        """The member as the client may see them now. Raises OAuthError, DirectoryUnavailable."""
        subject = self._there(client, session, self._subjects.current(session.subject_id, max_age=client.max_age))
        grant = Grant(client, session, subject, client.release.apply(subject, self._now))
        _check_entry(client, objection_to_grant(grant, now=self._now()))
        return grant

    def _there(self, client: Client, session: Session, subject: Subject | None) -> Subject:
        if subject is None:
            self._gone(session.subject_id)
            raise OAuthError("invalid_grant", "subject_gone", "The member's account was closed or disabled.", client_id=client.id)
        return subject


def _check_entry(client: Client, objection: Objection | None) -> None:
    """Raises OAuthError."""
    if objection:
        message = "This member may not enter the application any more."
        raise OAuthError("invalid_grant", objection.cause, message, client_id=client.id)
