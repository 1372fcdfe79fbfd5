"""How long metadata may be believed, and how soon they are looked at again (Metadata section 2.1; SDP-MD03, IIP-MD04)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from idp.protocols.saml.entity import MetadataProblem
from idp.protocols.saml.moment import write_time

CLOCK_SKEW = 300
"""Seconds that clocks may be off, in metadata as anywhere (SDP-G01)."""
_SOONEST = 300
_LATEST = 86400
_MOST_FAILURES = 8
_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.\d+)?S)?)?")
_SECONDS = (365 * 86400, 30 * 86400, 86400, 3600, 60, 1)


@dataclass(frozen=True)
class Validity:
    """What the root of metadata says of their age: until when they are valid, for how many seconds a copy is fresh, and when they were
    published (mdrpi:PublicationInfo)."""

    valid_until: int | None = None
    cache_duration: int | None = None
    published: int | None = None


def read_duration(text: str | None) -> int | None:
    """An xs:duration in seconds; None where there is none that can be read, for it is advice."""
    match = _DURATION.fullmatch((text or "").strip()) if text and len(text) < 64 else None
    if match is None or not any(match.groups()):
        return None
    return sum(int(number or 0) * seconds for number, seconds in zip(match.groups(), _SECONDS, strict=True))


def check_validity(valid_until: int | None, *, longest: int | None, now: int) -> None:
    """Raises MetadataProblem for what must not come into force: it has expired, or `check_end` objects."""
    if is_over(valid_until, now=now):
        expected = f"validUntil after {write_time(now)}"
        raise MetadataProblem("expired", "The metadata have expired.", expected=expected, received=_said(valid_until))
    check_end(valid_until, longest=longest, now=now)


def check_end(valid_until: int | None, *, longest: int | None, now: int) -> None:
    """Where `longest` is given, in seconds: raises MetadataProblem for metadata without an end, or with one too far ahead."""
    if longest is None:
        return
    if valid_until is None:
        raise MetadataProblem("no_end", "The metadata do not say how long they are valid.", expected="validUntil")
    if valid_until > now + longest + CLOCK_SKEW:
        expected = f"validUntil before {write_time(now + longest)}"
        raise MetadataProblem("too_long", "The metadata are valid for too long.", expected=expected, received=_said(valid_until))


def check_edition(fresh: Validity, held: Validity, *, now: int) -> None:
    """Raises MetadataProblem for an edition that is older than the one we hold: its signature is genuine, and whoever shows it again would
    bring back keys that were taken out since. By the instants of publication where both have one, else by their ends."""
    if fresh.published is not None and held.published is not None and held.published <= now + CLOCK_SKEW:
        new, old = fresh.published, held.published
    elif fresh.valid_until is not None and held.valid_until is not None:
        new, old = fresh.valid_until, held.valid_until
    else:
        return
    if new < old:
        expected = f"an edition of {_said(old)} or later"
        raise MetadataProblem("older", "The metadata are older than those that are in force.", expected=expected, received=_said(new))


def is_over(valid_until: int | None, *, now: int) -> bool:
    return valid_until is not None and valid_until + CLOCK_SKEW <= now


def next_look(validity: Validity, *, usual: int, now: int) -> int:
    """When to look again: after cacheDuration or as usual, but well before they expire; never sooner than in five minutes."""
    wait = validity.cache_duration if validity.cache_duration is not None else usual
    if validity.valid_until is not None:
        wait = min(wait, (validity.valid_until - now) // 2)
    return now + min(max(wait, _SOONEST), _LATEST)


def next_try(failures: int, *, usual: int, now: int) -> int:
    """When to try again after so many failures in a row: each time twice as long, at most as usual."""
    return now + min(_SOONEST << min(failures, _MOST_FAILURES), max(usual, _SOONEST))


def _said(seconds: int | None) -> str:
    if seconds is None:
        return ""
    try:
        return write_time(seconds)
    except (ValueError, OverflowError, OSError):
        return str(seconds)
