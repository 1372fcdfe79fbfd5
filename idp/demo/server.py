"""The process of the sign-in service in the demo: `python -m idp.demo.server FILE PARENT`.

The same server as `idp run`, with two things more: its workers know the names under .localhost, and it ends when the demo
ends, however that ends.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

from flask import Flask

import idp.worker
from idp.cli.run import run, serve
from idp.config import load
from idp.demo.resolver import stay_on_this_machine
from idp.errors import IdpError

TARGET = "idp.demo.server:worker_app"
_PR_SET_PDEATHSIG = 1


def worker_app() -> Flask:
    """The application of one worker process."""
    stay_on_this_machine()
    return idp.worker.worker_app()


def end_with(parent: int) -> None:
    """Asks the kernel for SIGTERM when the parent process dies, even by SIGKILL. Elsewhere than on Linux only an orderly end ends us."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it was gone before we asked
        sys.exit(1)


def main(config: Path, parent: int) -> int:
    """Serves until SIGTERM; the exit status."""
    end_with(parent)
    try:
        with run.make_context("idp", []):  # what the command prints, it asks of its context
            serve(load(config), target=TARGET)
    except IdpError as error:
        print(error.message, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
