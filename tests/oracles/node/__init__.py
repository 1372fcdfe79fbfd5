"""Programs for Node.js. Their packages are installed once, by `npm ci` from the lock, into the virtual environment that runs the tests.

Without Node.js, or where npm reaches no registry, such tests are skipped and say so; where CI is set they fail.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

_HERE = Path(__file__).parent


class Unready(Exception):
    """What keeps the programs from running here."""


class Node:
    """The programs, with their packages beside them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, program: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the program says to one JSON object."""
        command = ["node", str(self._folder / program)]
        done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        said: dict[str, Any] = json.loads(done.stdout)
        return said


def ready_node() -> Node:
    """Node.js with the packages; else the test is skipped, or fails where CI is set."""
    try:
        return Node(_install())
    except Unready as why:
        if os.environ.get("CI"):
            pytest.fail(f"no Node.js oracle: {why}")
        pytest.skip(f"no Node.js oracle: {why}")


def _install() -> Path:
    """Of many test processes one installs; the programs are copied each time, since Node.js looks for packages beside them."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise Unready(f"there is no {program} here; on Debian: apt-get install nodejs npm")
    lock = (_HERE / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / f"oracles-{hashlib.sha256(lock).hexdigest()[:12]}"
    with open(Path(sys.prefix) / "oracles.lock", "w", encoding="utf-8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not folder.exists():
            _download(folder)
        for source in _HERE.glob("*.js"):
            _copy(source, folder / source.name)
    return folder


def _download(folder: Path) -> None:
    partly = folder.with_name(folder.name + ".part")
    shutil.rmtree(partly, ignore_errors=True)
    partly.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_HERE / name, partly / name)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=partly, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise Unready(f"npm ci failed: {done.stderr.strip()[-400:]}")
    partly.rename(folder)


def _copy(program: Path, target: Path) -> None:
    """Whole or not at all: another test process may be starting it."""
    if target.exists() and target.read_bytes() == program.read_bytes():
        return
    partly = target.with_suffix(f".{os.getpid()}")
    shutil.copy(program, partly)
    partly.replace(target)
