"""Signing keys and their folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from idp.cli.doctor.advice import DAY, Found, Look, Patient
from idp.keys import USES
from idp.keys.calendar import changes
from idp.keys.folder import Entry, read_ring
from idp.protocols.oidc.signing import signing_problems

_SMALLEST = 2048  # bits
_OLDEST = 3 * 365  # days that a key may sign (NIST SP 800-57 part 1, 5.3.6)
_AHEAD = 90  # days
_JWKS_LIFE = 300  # seconds that our own answer allows vendors to keep the key set


def no_next(patient: Patient) -> Iterator[Found]:
    for use in USES:
        if not any(key.state == "next" for key in patient.ring(use).published):
            detail = f"no next key is published for {use}: a change of key would surprise vendors (S38)"
            yield Found(detail, f"run: idp keys rotate {use} --publish")


def ending(patient: Patient) -> Iterator[Found]:
    now = datetime.fromtimestamp(patient.now(), UTC)
    for use in USES:
        days = (patient.ring(use).current.certificate.not_valid_after_utc - now).days
        if days < _AHEAD:
            detail = f"the certificate of the current key for {use} ends in {days} days"
            fix = f"publish the next one now, and tell vendors: idp keys rotate {use} --publish"
            yield Found(detail, fix, serious=days < 0)


def small(patient: Patient) -> Iterator[Found]:
    if patient.config.keys.rsa_bits < _SMALLEST:
        yield Found(f"new keys have {patient.config.keys.rsa_bits} bits (SDP-MD06)", "set [keys] rsa_bits = 2048", serious=True)


def small_current(patient: Patient) -> Iterator[Found]:
    for use in USES:
        if (bits := patient.ring(use).current.size) < _SMALLEST:
            fix = f"set [keys] rsa_bits = 2048, then in three steps: idp keys rotate {use} --publish, --activate, --retire"
            yield Found(f"the key that signs for {use} has {bits} bits (SDP-MD06)", fix, serious=True)


def old(patient: Patient) -> Iterator[Found]:
    for use in USES:
        days = (patient.now() - patient.ring(use).current.since) // DAY
        if days > _OLDEST:
            fix = f"change it in three steps: idp keys rotate {use} --publish, --activate, --retire"
            yield Found(f"the key for {use} has signed for {days} days (NIST SP 800-57)", fix)


def left_over(patient: Patient) -> Iterator[Found]:
    """They are published no more, but whoever finds the file could still sign with it where a vendor pinned the key."""
    named = patient.parts.protocols.saml.named_keys() if patient.parts else ()
    over = patient.now() - patient.config.keys.retired_life - DAY
    for entry in read_ring(patient.config.keys.folder):
        if entry.kid not in named and _is_retired_since(entry, over):
            uses = " and ".join(f"idp keys rotate {use} --retire" for use in entry.standings)
            yield Found(f"the key {entry.kid} was retired long ago, and its file is still here", f"run: {uses}")


def overdue(patient: Patient) -> Iterator[Found]:
    settings = patient.config.keys
    for use in settings.calendar:
        late = [each for each in changes(read_ring(settings.folder), use, settings) if each.at < patient.now() - DAY]
        if late:
            days = (patient.now() - late[0].at) // DAY
            detail = f"the calendar should have taken a step for {use} ({late[0].step}) {days} days ago"
            yield Found(detail, "start the server; if it runs, keys.calendar_waits in its log says whom it waits for")


def pairwise(patient: Patient) -> Iterator[Found]:
    path = patient.config.keys.folder / "pairwise.secret"
    if path.exists() and path.stat().st_mode & 0o077:
        yield Found("the secret behind members' identifiers can be read by others", f"run: chmod 600 {path}", serious=True)


def folder_open(patient: Patient) -> Iterator[Found]:
    folder = patient.config.keys.folder
    if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Found("others may put keys of their own into the key folder", f"run: chmod 700 {folder}", serious=True)


def read_only(patient: Patient) -> Iterator[Found]:
    """The calendar's steps are changes of that folder."""
    settings = patient.config.keys
    if settings.calendar and not os.access(settings.folder, os.W_OK | os.X_OK):
        fix = f"let the server's user write to {settings.folder} (and run idp check as that user), or set [keys] calendar = []"
        yield Found("the calendar is to change keys, and the key folder cannot be written to", fix, serious=True)


def dropped_early(patient: Patient) -> Iterator[Found]:
    if (life := patient.config.keys.retired_life) < DAY:
        detail = f"a replaced key is published for {life} seconds more, and some vendors look at our keys once a day"
        yield Found(detail, "set [keys] retired_life to a day or more (S38)")


def signs_early(patient: Patient) -> Iterator[Found]:
    settings = patient.config.keys
    if settings.calendar and settings.next_life < _JWKS_LIFE:
        detail = f"a new key signs {settings.next_life} seconds after it was published: vendors may keep our key set for {_JWKS_LIFE}"
        yield Found(detail, "set [keys] next_life to a day or more (S38)")


def missing(patient: Patient) -> Iterator[Found]:
    for problem in signing_problems(patient.clients(), patient.ring("oidc")):
        detail, _, fix = problem.partition(". Run: ")
        yield Found(detail, f"run: {fix}", serious=True)


def _is_retired_since(entry: Entry, moment: int) -> bool:
    return bool(entry.standings) and all(each.state == "retired" and each.since < moment for each in entry.standings.values())


LOOKS: Mapping[str, Look] = {
    "keys.no_next": no_next,
    "keys.ending": ending,
    "keys.small": small,
    "keys.small_current": small_current,
    "keys.old": old,
    "keys.left_over": left_over,
    "keys.overdue": overdue,
    "keys.pairwise": pairwise,
    "keys.folder_open": folder_open,
    "keys.read_only": read_only,
    "keys.dropped_early": dropped_early,
    "keys.signs_early": signs_early,
    "keys.missing": missing,
}
