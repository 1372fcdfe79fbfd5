"""Entrances: which requests of one browser wait while its member signs in at iMIS.

iMIS carries nothing back but a refresh token, or its own cookie (facts on iMIS, 3.3): no state, no way back. So what a browser was
sent for is kept here, under the browser's own secret: what comes back in another browser finds nothing (S80, login CSRF).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from idp.clock import Now
from idp.directory import Subject
from idp.secret import digest, new_id
from idp.store import Store, Stored
from idp.store.reading import read_as

_LIFE = 3600  # seconds that a member may take at iMIS
_HELD_LIFE = 600  # seconds to answer "is this you?"
_MOST = 8  # requests of one browser; the oldest gives way


@dataclass(frozen=True)
class Entrance:
    """A request that waits, or "" where the member came to sign in for no client. `leaving` is the one-time name of the way back from
    iMIS's sign-out, where the sign-in must be a new one; `left` says that the browser has been there."""

    door: str
    request_id: str
    client_id: str
    since: int
    leaving: str = ""
    left: bool = False


class Entrances:
    """By browser: its secret is given, and its digest kept."""

    def __init__(self, store: Store, *, now: Now) -> None:
        self._store = store
        self._now = now

    def depart(self, browser: str, door: str, request_id: str, client_id: str, *, leave: bool) -> Entrance:
        """The browser is being sent to iMIS. A newer request of a client takes the place of its older one: the member began again."""
        entrance = Entrance(door, request_id, client_id, self._now(), leaving=new_id() if leave else "")
        self._change(browser, lambda waiting: [entrance, *(each for each in waiting if each.client_id != client_id)][:_MOST])
        return entrance

    def come_from_exit(self, browser: str, leaving: str) -> Entrance | None:
        """The browser was at iMIS's sign-out; once."""
        found = next((each for each in self._all(browser) if leaving and each.leaving == leaving), None)
        if found is None:
            return None
        gone = replace(found, leaving="", left=True)
        self._change(browser, lambda waiting: [gone if each.leaving == leaving else each for each in waiting])
        return gone

    def waiting(self, browser: str, door: str) -> list[Entrance]:
        """Those for which the browser was sent to this door, the newest first."""
        return [each for each in self._all(browser) if each.door == door]

    def was_sent(self, browser: str, request_id: str) -> bool:
        """Whether the browser was sent to iMIS for this request before: then the member decides, so that nothing goes round."""
        return any(each.request_id == request_id for each in self._all(browser))

    def arrive(self, browser: str, door: str) -> None:
        """The member has signed in: what was new about it is used up, and nobody waits without a request any more."""

        def without_news(waiting: list[Entrance]) -> list[Entrance]:
            others = [each for each in waiting if each.door != door]
            return [*(replace(each, left=False, leaving="") for each in waiting if each.door == door and each.request_id), *others]

        self._change(browser, without_news)

    def hold(self, browser: str, subject: Subject) -> str:
        """Keeps whom iMIS named, while the member is asked whether that is them; the name under which `take` finds it."""
        name = new_id()
        record = {"browser": digest(browser), "subject": asdict(subject)}
        self._store.put("entrance", name, record, expires=self._now() + _HELD_LIFE)
        return name

    def take(self, browser: str, name: str) -> Subject | None:
        """Whom this browser was asked about; once."""
        stored = self._store.get("entrance", name)
        if stored is None or stored.record.get("browser") != digest(browser) or self._store.take("entrance", name) is None:
            return None
        fields = stored.record["subject"]
        attributes = {attribute: tuple(values) for attribute, values in fields["attributes"].items()}
        return Subject(fields["id"], fields["username"], attributes, fields["active"])

    def _all(self, browser: str) -> list[Entrance]:
        return self._living(self._store.get("entrance", digest(browser)))

    def _living(self, stored: Stored | None) -> list[Entrance]:
        found = [read_as(Entrance, each) for each in stored.record["waiting"]] if stored else []
        return [each for each in found if self._now() - each.since < _LIFE]

    def _change(self, browser: str, alter: Callable[[list[Entrance]], list[Entrance]]) -> None:
        key, expires = digest(browser), self._now() + _LIFE
        while True:
            stored = self._store.get("entrance", key)
            record = {"waiting": [asdict(each) for each in alter(self._living(stored))]}
            if stored is None:
                done = self._store.put_new("entrance", key, record, expires=expires)
            else:
                done = self._store.change("entrance", key, record, revision=stored.revision, expires=expires)
            if done:
                return
