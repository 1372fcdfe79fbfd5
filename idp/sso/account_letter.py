"""Letters about accounts: who gets one, and with which link. A link is good once, for a while, and while the account is as it was."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal

from idp.clock import Now
from idp.directory import Accounts, NewPerson, Subject
from idp.directory.credential import fold
from idp.secret import digest, new_secret
from idp.sso.letter import Letter, Order
from idp.store import Store

_ADDRESS = re.compile(r"[^\s@<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+")
LinkKind = Literal["reset", "confirm"]


class AccountLetters:
    """Writes what is ordered. `url` is our public URL, from the configuration alone (S84); `link_life` is in seconds."""

    def __init__(self, accounts: Accounts, store: Store, *, url: str, link_life: int, now: Now) -> None:
        self._accounts = accounts
        self._store = store
        self._url = url
        self._link_life = link_life
        self._now = now

    def write(self, order: Order) -> Iterable[Letter]:
        """No letter for whoever is not known. Raises DirectoryUnavailable, StoreUnavailable."""
        values = order.values
        if order.what == "reset":
            return self._reset(values["who"])
        if order.what == "usernames":
            return self._usernames(values["who"])
        if order.what == "confirm":
            return self._confirm(NewPerson(values["first_name"], values["last_name"], values["who"]))
        return (Letter(values["who"], "changed", {"username": values["username"]}),)

    def _reset(self, who: str) -> Iterable[Letter]:
        found = {subject.id: subject for subject in (*self._by_address(who), *self._by_name(who))}
        for subject in found.values():
            link = self._link("reset", subject.id, account_state(subject), None)
            yield Letter(own_address(subject), "reset", {"username": subject.username, "link": link, **self._life()}, subject.id)

    def _usernames(self, email: str) -> Iterable[Letter]:
        found = self._by_address(email)
        if found:
            yield Letter(own_address(found[0]), "usernames", {"usernames": sorted({subject.username for subject in found})})

    def _confirm(self, person: NewPerson) -> Iterable[Letter]:
        """No name of the form stands in the mail: else anybody could write to anybody in our name."""
        if self._accounts.find_by_email(person.email):
            yield from self._usernames(person.email)
            return
        link = self._link("confirm", "", "", person)
        yield Letter(person.email, "confirm", {"link": link, **self._life()})

    def _by_address(self, email: str) -> list[Subject]:
        """Those whose own address it is in the directory: nothing is ever mailed to an address that only looks like it."""
        if not is_address(email):
            return []
        found = self._accounts.find_by_email(email)
        return [each for each in found if _may_have_mail(each) and own_address(each).casefold() == email.casefold()]

    def _by_name(self, username: str) -> list[Subject]:
        """Whoever signs in with this name; the letter goes to the address that the directory has."""
        subject = self._accounts.find_by_username(username)
        return [subject] if subject and _may_have_mail(subject) and fold(subject.username) == fold(username) else []

    def _link(self, kind: LinkKind, subject_id: str, state: str, person: NewPerson | None) -> str:
        token = new_secret()
        record = {"kind": kind, "subject_id": subject_id, "state": state, "person": asdict(person) if person else None}
        self._store.put("link", digest(token), record, expires=self._now() + self._link_life)
        return f"{self._url}/account/{kind}/{token}"

    def _life(self) -> dict[str, Any]:
        return {"minutes": max(1, self._link_life // 60)}


def is_address(text: str) -> bool:
    """Whether mail could go there."""
    return len(text) <= 254 and text.isascii() and bool(_ADDRESS.fullmatch(text.strip()))


def own_address(subject: Subject) -> str:
    """The address that the directory has; empty if it has none."""
    return next(iter(subject.attributes.get("email", ())), "").strip()


def account_state(subject: Subject) -> str:
    """A link dies when the account it was sent for has another name or address."""
    return digest(f"{subject.id}\n{subject.username}\n{own_address(subject).casefold()}")


def _may_have_mail(subject: Subject) -> bool:
    return subject.active and bool(subject.username) and is_address(own_address(subject))
