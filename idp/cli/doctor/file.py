"""The configuration file, and the files of secrets that it names."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from idp.cli.doctor.advice import Found, Look, Patient


def secrets_open(patient: Patient) -> Iterator[Found]:
    for path in _files_named(_table(patient)):
        where = patient.loaded.folder / path
        if where.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield Found(f"the secret's file {path} can be read by everybody here", f"run: chmod 600 {where}", serious=True)


def writable(patient: Patient) -> Iterator[Found]:
    path = patient.loaded.path
    if path.stat().st_mode & (stat.S_IWOTH | stat.S_IWGRP):
        yield Found("others may change the configuration", f"run: chmod go-w {path}", serious=True)


def readable(patient: Patient) -> Iterator[Found]:
    """Only the URL of the store may have a password in the clear; all other secrets are given by reference."""
    url = _table(patient).get("store", {}).get("url")
    if isinstance(url, str) and "@" in url and patient.loaded.path.stat().st_mode & (stat.S_IROTH | stat.S_IRGRP):
        detail = "others may read the configuration, and the database's password stands in it"
        yield Found(detail, f'give [store] url as {{ file = "PATH" }}, or run: chmod 600 {patient.loaded.path}', serious=True)


def _table(patient: Patient) -> dict[str, Any]:
    return tomllib.loads(patient.loaded.path.read_text(encoding="utf-8"))


def _files_named(table: Any) -> Iterator[Path]:
    """Every { file = "PATH" } in a TOML tree."""
    if isinstance(table, dict):
        if set(table) == {"file"} and isinstance(table["file"], str):
            yield Path(table["file"])
        for value in table.values():
            yield from _files_named(value)
    elif isinstance(table, list):
        for value in table:
            yield from _files_named(value)


LOOKS: Mapping[str, Look] = {"secrets.open": secrets_open, "config.writable": writable, "config.readable": readable}
