"""The steps of a change of key, as plain functions over the entries of a ring: publish the next, activate it, retire the old."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from idp.keys.folder import Entry, Standing
from idp.keys.key import Kind, State, Use


def standing_in(entries: Sequence[Entry], state: State, use: Use, kind: Kind) -> Entry | None:
    """The newest entry of that kind that stands so for the use."""
    found = [each for each in entries if each.kind == kind and (standing := each.standings.get(use)) and standing.state == state]
    return max(found, key=lambda each: each.standings[use].since, default=None)


def activated(entries: Sequence[Entry], chosen: Entry, use: Use, *, now: int) -> list[Entry]:
    """`chosen` signs from now on; the one of its kind that signed until now is retired."""
    moved = []
    for entry in entries:
        standing = entry.standings.get(use)
        if entry.kid == chosen.kid:
            entry = _moved(entry, use, Standing("current", now))
        elif entry.kind == chosen.kind and standing is not None and standing.state == "current":
            entry = _moved(entry, use, Standing("retired", now))
        moved.append(entry)
    return moved


def without_retired(
    entries: Sequence[Entry], use: Use, *, keep: Collection[str], kids: Collection[str] | None = None
) -> tuple[list[Entry], list[Entry]]:
    """What stays, and what goes: retired keys (of those `kids`, or all) lose the use, and one without any use goes unless a client names
    it (`keep`)."""
    left = [_dropped(each, use) if _is_retired(each, use) and (kids is None or each.kid in kids) else each for each in entries]
    gone = [each for each in left if not each.standings and each.kid not in keep]
    return [each for each in left if each.standings or each.kid in keep], gone


def _is_retired(entry: Entry, use: Use) -> bool:
    standing = entry.standings.get(use)
    return standing is not None and standing.state == "retired"


def _moved(entry: Entry, use: Use, standing: Standing) -> Entry:
    return replace(entry, standings={**entry.standings, use: standing})


def _dropped(entry: Entry, use: Use) -> Entry:
    return replace(entry, standings={other: standing for other, standing in entry.standings.items() if other != use})
