"""Accounts: what members do for themselves about passwords and user names. Links, limits, and one answer for everybody.

Nothing here tells a stranger who exists (S83): what a form asks for is looked up in the background, and what comes of it goes by
mail, to the address that the directory has. A link is good once, for twenty minutes, and only while the account is as it was (S84).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from idp.audit import Audit
from idp.clock import Now
from idp.directory import AccountRefused, Accounts, Directory, DirectoryUnavailable, NewPerson, Subject
from idp.errors import BadRequest, IdpError
from idp.secret import Secret, digest
from idp.settings import Duration, Settings
from idp.sso.account_letter import LinkKind, account_state, is_address, own_address
from idp.sso.letter import Order, Outbox
from idp.sso.login import BadCredentials, LoginDesk, Throttled
from idp.sso.logout import Logout
from idp.sso.password import PasswordRules
from idp.sso.session import Session, Sessions
from idp.sso.throttle import counter, network, spelling
from idp.store import Store
from idp.store.reading import read_as

_LONGEST_NAME = 60
_LONGEST_WHO = 254  # of an e-mail address or a user name
Made = TypeVar("Made")


class AccountSettings(Settings):
    """[account]: pages where members help themselves. An address in [login] goes before the page of the same purpose."""

    mode: Literal["linked", "hosted"] = "linked"
    """"linked": the addresses in [login] alone. "hosted": our own pages; they want [mail], and a directory that can set passwords."""
    create: bool = True
    """Whether visitors may make an account on the hosted pages."""
    link_life: Duration = 1200
    """How long a link in a mail is good; S84 asks for 10 to 30 minutes."""
    shortest_password: int = 15
    """Characters of a new password; what iMIS wants besides is said in [directory]."""
    window: Duration = 3600
    """What is asked for is counted in stretches of this length."""
    requests_per_address: int = 60
    """Requests of one network address in a window."""
    mails_per_recipient: int = 3
    """Mails to one address in a window; more are not sent, and nobody is told."""


@dataclass(frozen=True)
class Link:
    """What a link in a mail stands for. `state` is the account as it was; a confirmation has a person in place of a subject."""

    kind: LinkKind
    subject_id: str
    state: str
    expires: int
    person: NewPerson | None = None


class LinkGone(BadRequest):
    """The link was used before, is too old, or its account has changed."""

    def __init__(self) -> None:
        super().__init__("account.link_gone", "This link was used before, or is too old. Please ask for a new one.")


class NotAPerson(IdpError):
    """A field of the form is missing or no name or address."""

    status = 422

    def __init__(self) -> None:
        super().__init__("account.form_incomplete", "Please fill in your names and a complete e-mail address.")


class AccountDesk:
    """What the account pages do."""

    def __init__(
        self,
        settings: AccountSettings,
        *,
        rules: PasswordRules,
        house: str,
        accounts: Accounts,
        directory: Directory,
        login: LoginDesk,
        sessions: Sessions,
        logout: Logout,
        outbox: Outbox,
        store: Store,
        audit: Audit,
        now: Now,
    ) -> None:
        self.rules = rules
        self._settings = settings
        self._house = house
        self._accounts = accounts
        self._directory = directory
        self._login = login
        self._sessions = sessions
        self._logout = logout
        self._outbox = outbox
        self._store = store
        self._audit = audit
        self._now = now

    def ask_reset(self, who: str, *, address: str) -> None:
        """Mails a link for each account of that e-mail address, or for the one of that user name. Raises Throttled."""
        self._ask("account.reset_asked", "reset", who, address)

    def ask_usernames(self, email: str, *, address: str) -> None:
        """Mails all user names of that e-mail address (S85). Raises Throttled."""
        self._ask("account.usernames_asked", "usernames", email, address)

    def ask_account(self, person: NewPerson, *, address: str) -> None:
        """Mails a link that proves the address; who has an account already is told so, in the mail. Raises NotAPerson, Throttled."""
        names = (person.first_name.strip(), person.last_name.strip())
        if not all(names) or max(map(len, names)) > _LONGEST_NAME or not is_address(person.email):
            raise NotAPerson
        self._ask("account.creation_asked", "confirm", person.email, address, first_name=names[0], last_name=names[1])

    def look(self, kind: LinkKind, token: str) -> Link:
        """What the link stands for; looking does not use it up, for programs that read mail look, too. Raises LinkGone."""
        stored = self._store.get("link", digest(token))
        if stored is None or stored.record["kind"] != kind:
            raise LinkGone
        return _link(stored.record, stored.expires or 0)

    def reset(self, token: str, password: Secret, *, end_sessions: bool) -> Subject:
        """Sets the password of the link's account. Raises LinkGone, PasswordRefused, AccountRefused, DirectoryUnavailable."""
        subject = self._subject_of(self.look("reset", token))
        self.rules.check(password, words=self._words(subject))
        self._spend(token, lambda: self._accounts.set_password(subject, password))
        self._store.delete_where("link", "subject_id", subject.id)
        if end_sessions:
            self._logout.end_all_of(subject.id, reason="password_reset")
        self._changed("account.password_reset", subject)
        return subject

    def change(self, session: Session, old: Secret, new: Secret, *, end_others: bool, address: str) -> None:
        """Raises BadCredentials, Throttled, PasswordRefused, AccountRefused, DirectoryUnavailable."""
        subject = self._login.verify(session.username, old, address=address)
        if subject.id != session.subject_id:
            raise BadCredentials
        self.rules.check(new, words=self._words(subject))
        self._accounts.set_password(subject, new)
        self._store.delete_where("link", "subject_id", subject.id)
        for other in self._sessions.of_subject(subject.id) if end_others else []:
            if other.id != session.id:
                self._logout.end(other.id, reason="password_changed")
        self._changed("account.password_changed", subject)

    def create(self, token: str, username: str, password: Secret, *, address: str) -> Subject:
        """Makes the account of a confirmed address. Raises LinkGone, Throttled, PasswordRefused, AccountRefused, DirectoryUnavailable."""
        link = self.look("confirm", token)
        assert link.person is not None
        self._admit(address)  # a taken user name is told here, so not often
        words = (username, link.person.first_name, link.person.last_name, link.person.email.partition("@")[0], self._house)
        self.rules.check(password, words=words)
        person = link.person
        if self._accounts.find_by_email(person.email):  # a second link, or staff, was quicker
            raise AccountRefused("account.exists", "There is an account for this address by now: please sign in.")
        subject = self._spend(token, lambda: self._accounts.create_account(person, username.strip(), password))
        self._audit.record("account.created", subject=subject.id, address=address)
        return subject

    def _ask(self, event: str, what: str, who: str, address: str, **values: str) -> None:
        """The same steps whoever is asked for; the rest in the background."""
        who = who.strip()[:_LONGEST_WHO]
        self._admit(address)
        self._audit.record(event, recipient=counter("recipient", spelling(who)), address=address)
        if self._may_mail(who):
            self._outbox.put(Order(what, {"who": who, **values}))

    def _admit(self, address: str) -> None:
        key = counter("account.address", network(address))
        if self._store.bump("throttle", key, 1, expires=self._now() + self._settings.window) > self._settings.requests_per_address:
            self._audit.record("account.throttled", cause="account.address_throttled", counter=key)
            stored = self._store.get("throttle", key)
            wait = stored.expires - self._now() if stored and stored.expires else self._settings.window
            raise Throttled("account.address_throttled", max(1, wait))

    def _may_mail(self, who: str) -> bool:
        key = counter("account.mail", spelling(who))
        allowed = self._store.bump("throttle", key, 1, expires=self._now() + self._settings.window) <= self._settings.mails_per_recipient
        if not allowed:
            self._audit.record("account.throttled", cause="account.recipient_throttled", counter=key)
        return allowed

    def _subject_of(self, link: Link) -> Subject:
        subject = self._directory.find(link.subject_id)
        if subject is None or not subject.active or account_state(subject) != link.state:
            raise LinkGone
        return subject

    def _spend(self, token: str, act: Callable[[], Made]) -> Made:
        """One of many gets it; what the directory would not do may be tried again with the same link."""
        stored = self._store.take("link", digest(token))
        if stored is None:
            raise LinkGone
        try:
            return act()
        except (AccountRefused, DirectoryUnavailable):
            self._store.put("link", digest(token), stored.record, expires=stored.expires)
            raise

    def _changed(self, event: str, subject: Subject) -> None:
        """S89: the owner is told, in case it was somebody else."""
        self._audit.record(event, subject=subject.id)
        self._store.delete("throttle", counter("account", spelling(subject.username)))  # the tries with the old one are forgiven
        if is_address(own_address(subject)):
            self._outbox.put(Order("changed", {"who": own_address(subject), "username": subject.username}))

    def _words(self, subject: Subject) -> tuple[str, ...]:
        names = (value for name in ("first_name", "last_name") for value in subject.attributes.get(name, ()))
        return (subject.username, self._house, own_address(subject).partition("@")[0], *names)


def _link(record: Mapping[str, Any], expires: int) -> Link:
    person = read_as(NewPerson, record["person"]) if record["person"] else None
    return Link(record["kind"], record["subject_id"], record["state"], expires, person)
