"""Sign-ins as the member may look at them: when, with what kind of browser, from which part of the network. Kept for 30 days.

Neither the address nor the browser's full name is kept: they would say more of a member than is needed to recognise one's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from idp.clock import Now
from idp.secret import new_id
from idp.sso.session import Session
from idp.store import Store, StoreUnavailable
from idp.store.reading import read_as

_KEPT = 30 * 86400  # seconds


@dataclass(frozen=True)
class SignIn:
    """`at` is in seconds since 1970; `browser` is such as "Firefox on Windows", `network` such as "203.0.113.*"; both may be empty."""

    session_id: str
    at: int
    browser: str = ""
    network: str = ""


class NotesSignIns(Protocol):
    """Takes down a good sign-in."""

    def note(self, session: Session, *, browser: str, address: str) -> None: ...


class SignInLog:
    """The last sign-ins of every member."""

    def __init__(self, store: Store, *, now: Now) -> None:
        self._store = store
        self._now = now

    def note(self, session: Session, *, browser: str, address: str) -> None:
        """No trouble with the store stops a sign-in for this."""
        sign_in = SignIn(session.id, self._now(), browser, part_of(address))
        record = {**asdict(sign_in), "subject_id": session.subject_id}
        try:
            self._store.put("sign_in", new_id(), record, expires=self._now() + _KEPT)
        except StoreUnavailable:
            return

    def of_subject(self, subject_id: str) -> Sequence[SignIn]:
        """The latest first. Raises StoreUnavailable."""
        found = [read_as(SignIn, stored.record) for stored in self._store.find("sign_in", "subject_id", subject_id)]
        return sorted(found, key=lambda each: -each.at)


class NoSignInLog:
    """Keeps nothing."""

    def note(self, *_: object, **__: object) -> None:
        return None


def part_of(address: str) -> str:
    """The network around an address: 256 of the old ones; of the new ones a whole site. Empty for what is no address."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    if isinstance(parsed, IPv6Address):
        return ":".join(group.lstrip("0") or "0" for group in parsed.exploded.split(":")[:3]) + ":*"
    return str(parsed).rpartition(".")[0] + ".*"
