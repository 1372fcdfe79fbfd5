"""A real server: `idp run` as a process of its own, with the embedded database and the built-in directory, in a temporary folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.port import free_port
from tests.process import children_of, name_of

TICK = os.sysconf("SC_CLK_TCK")
ROUNDS = int(os.environ.get("RACE_ROUNDS", "3"))
"""How often a race is run. RACE_ROUNDS=50 takes minutes for each."""
IDP = [sys.executable, "-m", "idp.cli"]

CONFIG = """
[server]
url = "http://127.0.0.1:{port}"
listen = "127.0.0.1:{port}"
workers = {workers}
[directory]
kind = "people"
people = "people.toml"
[login]
tries_per_address = 1000000
tries_per_account = 1000000
[outbound]
allow_private = true
{more}
"""
PEOPLE = """
[[people]]
id = "101"
username = "ada"
password = "demo"
email = "ada@example.org"
first_name = "Ada"
last_name = "Example"
member_type = "REG"
committees = ["Education", "Finance"]
"""
SP_METADATA = """<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://sp.example.org/metadata">
<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example.org/acs" index="0"/>
</md:SPSSODescriptor></md:EntityDescriptor>"""


class Server:
    """`idp run` over a folder. It may be stopped, killed and started again on the same folder."""

    def __init__(self, folder: Path, *, workers: int = 1, more: str = "", people: str = PEOPLE) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "idp.toml").write_text(CONFIG.format(port=self.port, workers=workers, more=more))
        (folder / "people.toml").write_text(people)
        (folder / "sp.xml").write_text(SP_METADATA)
        self.start()

    def start(self) -> None:
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                [*IDP, "run", "--config", str(self.folder / "idp.toml")], stdout=log, stderr=log, start_new_session=True
            )
        self._wait()

    def command(self, *words: str) -> dict[str, Any]:
        """Runs an `idp` command on the same configuration; its JSON."""
        done = subprocess.run(
            [*IDP, *words, "--json", "--config", str(self.folder / "idp.toml")], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        value: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return value

    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def worker_cpu(self) -> float:
        """CPU seconds of the worker processes so far."""
        return sum(_cpu(pid) for pid in self.workers())

    def database_cpu(self) -> float:
        """CPU seconds of the embedded MongoDB so far; 0 when SQLite took its place."""
        return sum(_cpu(pid) for pid in self.children() if "mongod" in name_of(pid))

    def children(self) -> list[int]:
        return children_of(self.process.pid)

    def workers(self) -> list[int]:
        return [pid for pid in self.children() if "mongod" not in name_of(pid)]

    def stop(self) -> int:
        """Asks it to stop; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(40)

    def kill(self) -> None:
        """kill -9 of the server's main process."""
        self.process.kill()
        self.process.wait(10)

    def _wait(self) -> None:
        for _ in range(300):
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the server did not become ready:\n{self.log()[-2000:]}")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK
