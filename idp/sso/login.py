"""Credentials -> session. Every way to sign in with a password comes through here, with one throttle and one audit trail (S90)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from idp.audit import Audit
from idp.clock import Now
from idp.directory import Directory, DirectoryUnavailable, SignInBarred, Subject
from idp.errors import IdpError, Unavailable
from idp.secret import Secret
from idp.settings import Duration, Settings
from idp.sso.grace import Grace, GraceSettings, Verified
from idp.sso.logout import Logout, Run
from idp.sso.session import GRACE, PASSWORD, Session, SessionCookies, Sessions
from idp.sso.subject import Subjects
from idp.sso.throttle import counter, network, spelling
from idp.store import Store

_AWAY = "The membership system does not answer at the moment. Please try again in a few minutes."


class LoginSettings(Settings):
    """[login]: how many wrong passwords may be tried, and where members get help."""

    window: Duration = 900
    """Wrong tries are counted in stretches of this length; nothing is locked for longer (S82)."""
    tries_per_account: int = 5
    """Tries per account and window. iMIS itself locks an account after 5 in its own window."""
    tries_per_address: int = 100
    """Wrong tries per network address and window: a whole office may share one."""
    forgot_password_url: str = ""
    """Where a member asks for a new password. {return}, here and in the next three, stands for the way back."""
    change_password_url: str = ""
    """Where a member who is signed in sets another password."""
    forgot_username_url: str = ""
    """Where a member asks for the user name."""
    create_account_url: str = ""
    """Where a visitor makes an account."""
    renew_url: str = ""
    """Where a lapsed member renews: linked where an application is for paying members alone."""
    help_text: str = ""
    """A sentence under the form, such as a telephone number."""


class BadCredentials(IdpError):
    """Name or password is wrong, or the login is disabled: one sentence for all, so that no account can be guessed (S83)."""

    status = 401

    def __init__(self) -> None:
        super().__init__("login.bad_credentials", "The user name or the password is not right. Please try again.")


class Unnamed(IdpError):
    """iMIS names nobody: its ticket is a guest's, is refused, has expired or was used before; or there is no cookie that it knows.
    Which of them it is, iMIS does not tell (facts on iMIS, 2.2 and 3.3)."""

    status = 401

    def __init__(self) -> None:
        message = "We were not told who you are. The sign-in was not finished, or it took too long. Please try again."
        super().__init__("imis.unnamed", message)


class Throttled(IdpError):
    """Too many tries; nothing was asked of the directory."""

    status = 429

    def __init__(self, cause: str, wait: int) -> None:
        minutes = max(1, -(-wait // 60))
        super().__init__(
            cause,
            f"There were too many tries. Please wait {minutes} minute{'s' if minutes > 1 else ''}, or ask for a new password.",
            retry_after=wait,
        )


@dataclass(frozen=True)
class SignedIn:
    """A good login. `ended` is the logout of another member's session that was in this browser: it may still have clients to visit."""

    session: Session
    cookies: SessionCookies
    ended: Run | None = None


class LoginDesk:
    """Checks a password, and opens the session."""

    def __init__(
        self,
        settings: LoginSettings,
        *,
        directory: Directory,
        sessions: Sessions,
        subjects: Subjects,
        logout: Logout,
        store: Store,
        audit: Audit,
        now: Now,
        grace: Grace | None = None,
        passwords: bool = True,
    ) -> None:
        """`passwords` is False where members sign in at iMIS alone: then none that is shown here opens a session."""
        self._passwords = passwords
        self._settings = settings
        self._grace = grace or Grace(GraceSettings(), store, now=now)
        self._directory = directory
        self._sessions = sessions
        self._subjects = subjects
        self._logout = logout
        self._store = store
        self._audit = audit
        self._now = now

    def sign_in(self, username: str, password: Secret, *, address: str, previous: Session | None, onward: str = "") -> SignedIn:
        """A new session, or `previous` renewed when it is the same member's; another member's is ended first, and its clients told.

        Where that logout has to take the browser to clients, it then goes on to `onward`, a URL of ours.
        Raises BadCredentials, SignInBarred, Throttled, DirectoryUnavailable.
        """
        if not self._passwords:
            raise BadCredentials
        known = self._check(username, password, address, self._grace)
        signed = self._open(known.subject, previous, onward, context=GRACE if known.read else PASSWORD)
        self._subjects.remember(known.subject, read=known.read)
        event = "login.grace" if known.read else "login.ok"
        self._audit.record(event, subject=known.subject.id, session=signed.session.id, address=address)
        return signed

    def recognise(self, whose: Callable[[Secret], Subject | None], proof: Secret, *, address: str) -> Subject:
        """Who signed in at iMIS itself, by what the browser brings from there. Wrong ones count for the network address alone.

        Raises Unnamed, Throttled, Unavailable.
        """
        origin = counter("address", network(address))
        self._admit(origin, self._settings.tries_per_address, "login.address_throttled")
        try:
            subject = whose(proof)
        except DirectoryUnavailable as error:
            self._forgive(origin)
            raise Unavailable(error.cause, _AWAY, received=error.received, retry_after=error.retry_after) from None
        if subject is None or not subject.active:
            self._audit.record("login.failed", cause="imis.unnamed", address=address)
            raise Unnamed
        self._forgive(origin)
        return subject

    def admit(self, subject: Subject, *, address: str, previous: Session | None, onward: str, dated: bool) -> SignedIn:
        """A session for a member whom iMIS named, as in `sign_in`. `dated`: whether the password was typed just now."""
        signed = self._open(subject, previous, onward, context=PASSWORD, dated=dated)
        self._subjects.remember(subject)
        self._audit.record("login.ok", subject=subject.id, session=signed.session.id, address=address, at="imis")
        return signed

    def _open(self, subject: Subject, previous: Session | None, onward: str, *, context: str, dated: bool = True) -> SignedIn:
        ended = None
        if previous is not None and previous.subject_id != subject.id:
            ended = self._logout.end(previous.id, reason="another_member", onward=onward)
        session, cookies = self._sessions.open(subject, previous, context=context, dated=dated)
        return SignedIn(session, cookies, ended)

    def verify(self, username: str, password: Secret, *, address: str) -> Subject:
        """Whose password it is, for a member who is signed in and proves it once more; under the same limits as a login.

        Raises BadCredentials, SignInBarred, Throttled, DirectoryUnavailable.
        """
        return self._check(username, password, address, None).subject

    def _check(self, username: str, password: Secret, address: str, grace: Grace | None) -> Verified:
        """By the directory; or, where it is away and `grace` is on, as it once was: then `read` says when."""
        name = username.strip()
        if not name or not password or len(name) > 256 or len(password.reveal()) > 1024:
            raise BadCredentials
        account, origin = counter("account", spelling(name)), counter("address", network(address))
        # the address first: one that is turned away must not use up other people's tries
        self._admit(origin, self._settings.tries_per_address, "login.address_throttled")
        self._admit(account, self._settings.tries_per_account, "login.account_throttled")
        try:
            subject = self._directory.authenticate(name, password)
        except SignInBarred as error:  # it counts as a try, for iMIS may have counted it
            self._grace.refuted(name, password)
            self._audit.record("login.failed", cause=error.cause, account=account, address=address)
            raise
        except DirectoryUnavailable:
            known = grace.verify(name, password) if grace else None
            if not known and self._grace.on:
                raise  # it may have been a guess, and counts
            self._forgive(account)  # nothing was learnt from it; after an outage nobody shall find the door locked
            self._forgive(origin)
            if not known:
                raise
            return known
        if subject is None or not subject.active:
            self._grace.refuted(name, password)
            self._audit.record("login.failed", cause="login.bad_credentials", account=account, address=address)
            raise BadCredentials
        self._grace.remember(name, password, subject)
        self._store.delete("throttle", account)
        self._forgive(origin)
        return Verified(subject, 0)

    def _admit(self, key: str, limit: int, cause: str) -> None:
        """Counts the try before it is made, so that parallel tries cannot pass together."""
        if self._store.bump("throttle", key, 1, expires=self._window_end()) > limit:
            self._audit.record("login.throttled", cause=cause, counter=key)
            stored = self._store.get("throttle", key)
            wait = stored.expires - self._now() if stored and stored.expires else self._settings.window
            raise Throttled(cause, max(1, wait))

    def _forgive(self, key: str) -> None:
        self._store.bump("throttle", key, -1, expires=self._window_end())

    def _window_end(self) -> int:
        return self._now() + self._settings.window
