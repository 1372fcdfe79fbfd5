"""The key folder as a backup has it: ring.json, the keys, and the secret behind pairwise identifiers and the seals of the audit log."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from idp.keys.folder import locked
from idp.keys.key import KeyProblem

_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}\.(json|pem|secret)")


def read_files(folder: Path) -> dict[str, bytes]:
    """All at one moment: nobody changes keys meanwhile. Raises KeyProblem."""
    with locked(folder):
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if _NAME.fullmatch(path.name)}


def write_files(folder: Path, files: Mapping[str, bytes], *, over: bool = False) -> None:
    """Readable by the owner alone. A folder with other keys is left alone, unless `over` is said. Raises KeyProblem."""
    if strange := [name for name in files if not _NAME.fullmatch(name)]:
        raise KeyProblem(f"{strange[0]} is no name of a key file.")
    with locked(folder):
        there = {name: (folder / name).read_bytes() for name in files if (folder / name).exists()}
        if not over and any(there[name] != files[name] for name in there):
            raise KeyProblem(f"{folder} has other keys already. Move them away first, or say --over.")
        for name in sorted(files, key=lambda each: each == "ring.json"):  # which names the others, and so comes last
            _write(folder / name, files[name])


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.restored")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
