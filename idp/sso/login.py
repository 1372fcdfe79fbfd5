"""Credentials -> session. Every way to sign in with a password comes through here, with one throttle and one audit trail (S90)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from idp.audit import Audit
from idp.clock import Now
from idp.directory import Directory, DirectoryUnavailable, Subject
from idp.errors import IdpError
from idp.secret import Secret, digest
from idp.settings import Duration, Settings
from idp.sso.logout import Logout, Run
from idp.sso.session import Session, SessionCookies, Sessions
from idp.sso.subject import Subjects
from idp.store import Store


class LoginSettings(Settings):
    """[login]: how many wrong passwords may be tried, and where members get help."""

    window: Duration = 900
    """Wrong tries are counted in stretches of this length; nothing is locked for longer (S82)."""
    tries_per_account: int = 5
    """Tries per account and window. iMIS itself locks an account after 5 in its own window."""
    tries_per_address: int = 100
    """Wrong tries per network address and window: a whole office may share one."""
    forgot_password_url: str = ""
    """Where a member asks for a new password."""
    forgot_username_url: str = ""
    """Where a member asks for the user name."""
    create_account_url: str = ""
    """Where a visitor makes an account."""
    help_text: str = ""
    """A sentence under the form, such as a telephone number."""


class BadCredentials(IdpError):
    """Name or password is wrong, or the login is disabled: one sentence for all, so that no account can be guessed (S83)."""

    status = 401

    def __init__(self) -> None:
        super().__init__("login.bad_credentials", "The user name or the password is not right. Please try again.")


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
    ) -> None:
        self._settings = settings
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
        Raises BadCredentials, Throttled, DirectoryUnavailable.
        """
        subject = self._check(username, password, address)
        ended = None
        if previous is not None and previous.subject_id != subject.id:
            ended = self._logout.end(previous.id, reason="another_member", onward=onward)
        session, cookies = self._sessions.open(subject, previous)
        self._subjects.remember(subject)
        self._audit.record("login.ok", subject=subject.id, session=session.id, address=address)
        return SignedIn(session, cookies, ended)

    def _check(self, username: str, password: Secret, address: str) -> Subject:
        name = username.strip()
        if not name or not password or len(name) > 256 or len(password.reveal()) > 1024:
            raise BadCredentials
        account, network = _counter("account", _spelling(name)), _counter("address", _network(address))
        # the address first: one that is turned away must not use up other people's tries
        self._admit(network, self._settings.tries_per_address, "login.address_throttled")
        self._admit(account, self._settings.tries_per_account, "login.account_throttled")
        try:
            subject = self._directory.authenticate(name, password)
        except DirectoryUnavailable:
            self._forgive(account)  # nothing was learnt from it; after an outage nobody shall find the door locked
            self._forgive(network)
            raise
        if subject is None or not subject.active:
            self._audit.record("login.failed", cause="login.bad_credentials", account=account, address=address)
            raise BadCredentials
        self._store.delete("throttle", account)
        self._forgive(network)
        return subject

    def _admit(self, counter: str, limit: int, cause: str) -> None:
        """Counts the try before it is made, so that parallel tries cannot pass together."""
        if self._store.bump("throttle", counter, 1, expires=self._window_end()) > limit:
            self._audit.record("login.throttled", cause=cause, counter=counter)
            stored = self._store.get("throttle", counter)
            wait = stored.expires - self._now() if stored and stored.expires else self._settings.window
            raise Throttled(cause, max(1, wait))

    def _forgive(self, counter: str) -> None:
        self._store.bump("throttle", counter, -1, expires=self._window_end())

    def _window_end(self) -> int:
        return self._now() + self._settings.window


def _counter(kind: str, who: str) -> str:
    return f"{kind}|{digest(who)[:32]}"


def _spelling(name: str) -> str:
    """Coarser than any directory compares: the database under iMIS ignores case, width and characters without weight, and maybe accents.
    Two people may share a counter; one account must not have several."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return "".join(character for character in folded if unicodedata.category(character)[0] not in "CM")


def _network(address: str) -> str:
    """Whoever has one IPv6 address has the 2^64 around it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    return parsed.exploded[:19] if isinstance(parsed, IPv6Address) else address
