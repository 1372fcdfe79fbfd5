"""The metadata folder: what an operator drops there is known, within seconds, to the client that has its entity ID."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from idp.audit import Audit
from idp.errors import BadRequest
from idp.protocols.saml.document import MD, METADATA, parse, qualified
from idp.protocols.saml.entity import MetadataProblem

_SUFFIX = ".xml"

Stamp = tuple[int, int]


@dataclass(frozen=True)
class _File:
    """One file as it was last good: its octets, and whom they describe."""

    stamp: Stamp
    raw: bytes
    names: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """What the folder holds; `problems` has a sentence for each file that cannot be used, by its name."""

    stamps: Mapping[str, Stamp] = field(default_factory=dict)
    files: Mapping[str, _File] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)


class Folder:
    """Looks at names, sizes and times, and reads what has changed. A file that has become unreadable counts as it last was."""

    def __init__(self, path: Path, *, audit: Audit) -> None:
        self._path = path
        self._audit = audit
        self._lock = threading.Lock()
        self._contents = Contents()

    def look(self) -> Contents:
        """The folder as it is now."""
        with self._lock:
            stamps = _stamps(self._path)
            if stamps != self._contents.stamps:
                self._contents = self._read_changed(stamps)
            return self._contents

    def find(self, entity_id: str) -> bytes | None:
        """The metadata that describe the entity, or None. Raises MetadataProblem when two files do."""
        files = {name: file for name, file in self.look().files.items() if entity_id in file.names}
        if len(files) > 1:
            raise MetadataProblem("twice", "Two files of the metadata folder describe the same application.", received=" ".join(files))
        return next((file.raw for file in files.values()), None)

    def _read_changed(self, stamps: Mapping[str, Stamp]) -> Contents:
        files: dict[str, _File] = {}
        problems: dict[str, str] = {}
        for name, stamp in stamps.items():
            previous = self._contents.files.get(name)
            same = self._contents.stamps.get(name) == stamp
            if same and name in self._contents.problems:
                problems[name] = self._contents.problems[name]
            elif not (same and previous):
                try:
                    files[name] = _read(self._path / name, stamp)
                    continue
                except MetadataProblem as error:
                    problems[name] = error.message
                    self._audit.record("saml.metadata_unreadable", file=name, cause=error.cause, detail=error.message)
            if previous:
                files[name] = previous
        return Contents(stamps, files, problems)


def _stamps(path: Path) -> dict[str, Stamp]:
    """Sorted by name. A folder that is not there is an empty one."""
    found = {}
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX) and entry.is_file():
                    status = entry.stat()
                    found[entry.name] = (status.st_mtime_ns, status.st_size)
    except OSError:
        return {}
    return dict(sorted(found.items()))


def _read(path: Path, stamp: Stamp) -> _File:
    if stamp[1] > METADATA.size:
        raise MetadataProblem(
            "too_large",
            f"{path.name} is too large for this folder: make it a [saml.federation].",
            expected=f"at most {METADATA.size} bytes",
        )
    try:
        raw = path.read_bytes()
        root = parse(raw, METADATA)
    except OSError as error:
        raise MetadataProblem("unreadable", f"{path.name} cannot be read: {error.strerror}.") from None
    except BadRequest as error:
        raise MetadataProblem("unusable", f"{path.name}: {error.message} {error.received}".strip()) from None
    names = tuple(str(each.get("entityID")) for each in root.iter(qualified(MD, "EntityDescriptor")))
    if not names:
        raise MetadataProblem("not_metadata", f"{path.name} is not SAML metadata.")
    return _File(stamp, raw, names)
