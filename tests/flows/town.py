"""`idp demo` as a process of its own, in a temporary folder and on free ports."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from idp.demo.address import Addresses
from tests.port import free_ports
from tests.process import all_pids, parent_of

_PATIENCE = 60  # seconds until it must have said that it runs


class Town:
    """The demo. It may be stopped and started again on the same folder."""

    def __init__(self, folder: Path, *, port: int | None = None, options: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.options = options
        self.addresses = Addresses(port or free_ports(3))
        self.said: list[str] = []

    def start(self) -> None:
        """Comes back when the demo says that it runs."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "idp.cli", "demo", "--port", str(self.addresses.port), "--data", str(self.folder), *self.options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        alarm = threading.Timer(_PATIENCE, self.process.kill)
        alarm.start()
        assert self.process.stdout is not None
        self.said = []
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if "Ctrl-C" in line:
                break
        alarm.cancel()
        if "Ctrl-C" not in " ".join(self.said[-1:]):
            self.stop()
            raise AssertionError(f"the demo did not start: {self.said}\n{self.log()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends the signal; the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=40)
        return self.process.returncode

    def log(self) -> str:
        """What the sign-in service and the vendors have written."""
        return "\n".join(file.read_text(encoding="utf-8") for file in sorted((self.folder / "log").glob("*.log")))

    def processes(self) -> set[int]:
        """The demo's process and everything that descends from it."""
        found = {self.process.pid}
        for pid in all_pids():
            if parent_of(pid) in found:  # children have the higher ids, unless the numbers have begun anew
                found.add(pid)
        return found
