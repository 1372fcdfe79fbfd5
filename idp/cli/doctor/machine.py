"""The machine that we run on."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime

from idp.cli.doctor.advice import Found, Look, Patient

_FILES = 4096  # open files that a server under load needs
_ROOM = 512  # MiB
_HALF_A_YEAR = 182  # days
_PYTHON_ENDS = {11: date(2027, 10, 31), 12: date(2028, 10, 31), 13: date(2029, 10, 31), 14: date(2030, 10, 31)}
"""Last month of security fixes of Python 3.x (PEP 664, 693, 719, 745)."""


def open_files(_: Patient) -> Iterator[Found]:
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < _FILES:
        yield Found(f"only {soft} files may be open (F26)", "set LimitNOFILE=16384 in the unit, or ulimit -n 16384")


def temporary(_: Patient) -> Iterator[Found]:
    if not os.access(tempfile.gettempdir(), os.W_OK):
        yield Found("the temporary folder cannot be written", "mount a tmpfs on /tmp", serious=True)


def disk(patient: Patient) -> Iterator[Found]:
    """Where keys, an embedded database and our temporary files lie (F9, F10)."""
    folders = {patient.config.keys.folder, patient.config.store.folder, patient.loaded.folder}
    for folder in sorted(each for each in folders if each.exists()):
        free = shutil.disk_usage(folder).free // 2**20
        if free < _ROOM:
            yield Found(f"{free} MiB are left on the disk of {folder}", "make room: a full disk stops sign-ins")


def python(patient: Patient) -> Iterator[Found]:
    ends = _PYTHON_ENDS.get(sys.version_info.minor)
    left = (ends - datetime.fromtimestamp(patient.now(), UTC).date()).days if ends else _HALF_A_YEAR + 1
    if left <= _HALF_A_YEAR:
        version = f"Python {sys.version_info.major}.{sys.version_info.minor}"
        yield Found(f"{version} gets no security fixes after {ends}", "install a newer Python, and us again on it")


LOOKS: Mapping[str, Look] = {
    "machine.files": open_files,
    "machine.temporary": temporary,
    "machine.disk": disk,
    "machine.python": python,
}
