"""The calendar of signing keys: the next is published, signs when its time has come, and is dropped some time after it was replaced.

Every worker looks at it, one of all instances acts (by a lease in the store). What is to be done is read from the ring itself under the
folder's lock, and the lease is asked for once more before the ring is written: so a leader that was paused does nothing twice, and what
an operator does by hand meanwhile is simply where the calendar goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from idp.audit import Audit
from idp.clock import Now
from idp.keys import KeyRing, KeySettings
from idp.keys.folder import Entry, Standing, locked, new_entry, read_ring, remove_file, write_ring
from idp.keys.key import Kind, Use
from idp.keys.rollover import activated, standing_in, without_retired
from idp.keys.witness import Witnesses
from idp.store import Store
from idp.store.lease import Hold, Lease

Step = Literal["publish", "activate", "retire"]
EVENTS: Mapping[Step, str] = {"publish": "keys.published", "activate": "keys.activated", "retire": "keys.retired"}
_SEEN_BY_ALL = 2  # seconds in which every worker of one machine has looked at the ring
_LONGEST_PAUSE = 60
_SHORTEST_PAUSE = 0.5
_UNTOLD = 600  # seconds by which a change may be late before it is said why


@dataclass(frozen=True)
class Change:
    """A step, and when it is due (seconds since 1970). `kid` is empty of a key that is yet to be made."""

    step: Step
    kind: Kind
    kid: str
    at: int


def changes(entries: Sequence[Entry], use: Use, settings: KeySettings) -> list[Change]:
    """What the calendar will do to the ring as it stands, the first first. It follows the kinds of key that sign already."""
    found = []
    for entry in entries:
        standing = entry.standings.get(use)
        if standing is None:
            continue
        if standing.state == "current":
            found.append(_after(entries, use, entry.kind, standing.since, settings))
        elif standing.state == "retired":
            found.append(Change("retire", entry.kind, entry.kid, standing.since + settings.retired_life))
    return sorted(found, key=lambda change: change.at)


def _after(entries: Sequence[Entry], use: Use, kind: Kind, since: int, settings: KeySettings) -> Change:
    """A next key is published all the time: then a change in a hurry finds vendors prepared."""
    following = standing_in(entries, "next", use, kind)
    if following is None:
        return Change("publish", kind, "", since)
    known = following.standings[use].since + max(settings.next_life, _SEEN_BY_ALL)
    return Change("activate", kind, following.kid, max(known, since + settings.current_life))


class Calendar:
    """Changes the keys of one folder by themselves, for the uses that [keys] calendar names.

    `rings` are those that this process serves by; `named` gives the keys that clients' settings name; `waiting` the applications that
    have not fetched a SAML key.
    """

    def __init__(
        self,
        settings: KeySettings,
        store: Store,
        *,
        rings: Mapping[Use, KeyRing],
        common_name: str,
        named: Callable[[], Collection[str]],
        waiting: Callable[[str], Sequence[str]],
        audit: Audit,
        now: Now,
    ) -> None:
        shortest = min(settings.current_life, settings.next_life, settings.retired_life)
        self.pause = min(max(shortest / 4, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        """Seconds between two looks."""
        word = 5 + int(3 * self.pause)
        self._settings = settings
        self._rings = {use: rings[use] for use in settings.calendar}
        self._common_name = common_name
        self._named = named
        self._waiting = waiting
        self._audit = audit
        self._now = now
        self._lease = Lease(store, "keys", seconds=word, now=now)
        self._witnesses = Witnesses(store, seconds=word, now=now)
        self._said: dict[str, str] = {}

    def begin(self) -> None:
        """Looks again and again, in a thread of its own; not at all where the calendar is off."""
        if self._rings:
            threading.Thread(target=self._run, name="key-calendar", daemon=True).start()

    def look(self) -> list[Change]:
        """Says what this process publishes and, if it leads, takes the steps that are due; those. Raises KeyProblem, StoreUnavailable."""
        for use, ring in self._rings.items():
            self._witnesses.testify(use, [key.kid for key in ring.every])
        if not self._rings or self._lease.hold() is None:
            return []
        return [change for use in self._rings for change in self._take_all(use)]

    def _run(self) -> None:
        while True:
            try:
                self.look()
                self._said.pop("", None)
            except Exception as error:  # the next look may fare better
                cause = str(getattr(error, "cause", type(error).__name__))
                self._tell_once("", cause, partial(self._audit.record, "server.duty_failed", cause=cause))
            time.sleep(self.pause)

    def _take_all(self, use: Use) -> list[Change]:
        taken = []
        while change := self._take_next(use):
            taken.append(change)
        return taken

    def _take_next(self, use: Use) -> Change | None:
        """The next step that is due and may be taken, done and told. Who finds the folder locked comes again later: a process that was
        paused may hold it."""
        with locked(self._settings.folder, wait=False) as ours:
            entries = read_ring(self._settings.folder) if ours else ()
            due = (each for each in changes(entries, use, self._settings) if each.at <= self._now())
            chosen = next((each for each in due if self._may(use, each)), None)
            if chosen is None or (hold := self._lease.hold()) is None:
                return None
            kid = self._take(entries, use, chosen)
        self._tell(use, chosen, kid, hold)
        return chosen

    def _may(self, use: Use, change: Change) -> bool:
        if change.step != "activate":
            return True
        unseen = self._witnesses.without(use, change.kid)
        waiting = self._waiting(change.kid) if use == "saml" and not unseen else ()
        if (unseen or waiting) and self._now() - change.at >= _UNTOLD:
            cause = "keys.folder_differs" if unseen else "keys.applications_waiting"
            fields = {"use": use, "kid": change.kid, "cause": cause, "hosts": unseen, "clients": list(waiting)}
            self._tell_once(change.kid, cause, partial(self._audit.record, "keys.calendar_waits", **fields))
        return not unseen and not waiting

    def _take(self, entries: Sequence[Entry], use: Use, change: Change) -> str:
        """The key that was made, moved or dropped."""
        folder, now = self._settings.folder, self._now()
        if change.step == "publish":
            standings = {use: Standing("next", now)}
            bits = self._settings.rsa_bits
            made = new_entry(folder, change.kind, standings, bits=bits, common_name=self._common_name, created=now)
            write_ring(folder, [*entries, made])
            return made.kid
        if change.step == "activate":
            following = next(each for each in entries if each.kid == change.kid)
            write_ring(folder, activated(entries, following, use, now=now))
            return change.kid
        left, gone = without_retired(entries, use, keep=self._named(), kids={change.kid})
        write_ring(folder, left)
        for each in gone:
            remove_file(folder, each.kid)
        return change.kid

    def _tell(self, use: Use, change: Change, kid: str, hold: Hold) -> None:
        self._audit.record(EVENTS[change.step], use=use, kind=change.kind, kid=kid, by="calendar", term=hold.term)

    def _tell_once(self, about: str, cause: str, tell: Callable[[], None]) -> None:
        if self._said.get(about) != cause:
            self._said[about] = cause
            tell()
