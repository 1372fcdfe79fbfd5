"""What will end, or has ended: certificates of service providers, their metadata, and looks that failed. Said ahead of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from idp.audit import Audit
from idp.clock import Now
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.provider import Known
from idp.protocols.saml.source.refresh import Refresher
from idp.protocols.saml.source.shelf import Shelf
from idp.protocols.saml.source.validity import is_over
from idp.store import Store

_DAY = 86400
_AHEAD = (7, 30, 60)
"""Days before the end of a certificate on which the log says so."""
_METADATA_AHEAD = 7
_EVERY = _DAY
_SAID_FOR = 90 * _DAY


@dataclass(frozen=True)
class Ending:
    """Something that ends, or has ended. `grave` stops members now; `days` are left, below 0 when it is over."""

    client_id: str
    what: str
    days: int
    sentence: str
    grave: bool = False


def endings(known: Iterable[Known], *, now: int) -> list[Ending]:
    """Of all clients, the most urgent first."""
    found = [ending for each in known for ending in (*_certificates(each, now), *_metadata(each, now))]
    return sorted(found, key=lambda ending: (not ending.grave, ending.days, ending.client_id))


class Herald:
    """Says in the audit log what will end: once a day somebody looks, and each ending is said 60, 30 and 7 days ahead, once."""

    def __init__(self, store: Store, *, audit: Audit, now: Now) -> None:
        self._shelf = Shelf(store, now=now)
        self._audit = audit
        self._now = now

    def tell(self, known: Iterable[Known]) -> None:
        """Raises StoreUnavailable."""
        now = self._now()
        if not self._shelf.first_time("endings", until=now + _EVERY):
            return
        for ending in endings(known, now=now):
            step = next((days for days in _AHEAD if ending.days <= days), _AHEAD[-1])
            if ending.days < 0 or self._shelf.first_time(f"{ending.client_id}:{ending.what}:{step}", until=now + _SAID_FOR):
                self._audit.record("saml.ending", client=ending.client_id, what=ending.what, days=ending.days, detail=ending.sentence)


def source_warnings(refresher: Refresher, *, now: int) -> list[str]:
    """A sentence for each source that could not be looked at, or is out of date, or has changes that wait."""
    found = []
    for source in refresher.sources():
        kind, _, name = source.key.partition(":")
        note = refresher.note(source)
        if note.failures:
            found.append(f"metadata of {name}: {note.message} ({note.cause}, {note.failures} times; the last good copy is in force)")
        elif not note.looked:
            found.append(f"metadata of {name} have not been fetched yet: idp clients refresh {name}")
        if is_over(note.valid_until, now=now):
            found.append(f"metadata of {name} have expired on {write_time(note.valid_until or 0)}")
        if kind == "client" and refresher.is_staged(name):
            found.append(f"changed metadata of {name} wait for you: idp clients diff {name}, then idp clients accept {name}")
        found += [f"metadata of {name}: {warning}" for warning in note.warnings]
    return found


def _certificates(known: Known, now: int) -> Iterator[Ending]:
    for each in known.provider.certificates:
        days = (each.ends - now) // _DAY
        if days <= max(_AHEAD):
            use = {"signing": "signatures", "encryption": "encryption"}.get(each.use, "signatures and encryption")
            ends = "ended" if days < 0 else "ends"
            sentence = f"{known.client.id}: its certificate for {use} {ends} on {_date(each.ends)} ({_left(days)}); its key goes on working"
            yield Ending(known.client.id, f"certificate {each.fingerprint[:16]}", days, sentence)


def _metadata(known: Known, now: int) -> Iterator[Ending]:
    until = known.provider.valid_until
    if until is None:
        return
    days = (until - now) // _DAY
    refused = known.settings.expired_metadata == "refuse"
    if is_over(until, now=now):
        becomes = "members cannot sign in there" if refused else "they are still used"
        yield Ending(
            known.client.id, "metadata", days, f"{known.client.id}: its metadata expired on {_date(until)}; {becomes}", grave=refused
        )
    elif days <= _METADATA_AHEAD and known.settings.source in ("file", "text", "folder"):
        sentence = f"{known.client.id}: its metadata expire on {_date(until)} ({_left(days)}); ask for new ones"
        yield Ending(known.client.id, "metadata", days, sentence)


def _date(seconds: int) -> str:
    return write_time(seconds)[:10]


def _left(days: int) -> str:
    if days < 0:
        return f"{-days} days ago"
    return "today" if days == 0 else f"in {days} days"
