"""A MongoDB replica set of three real servers on loopback, a second instance of ours on the first one's folder, and a browser that may
come to either."""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import time
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.bare_browser import BareBrowser
from tests.port import free_port
from tests.server import IDP, Server

ELECTION = 2.0
"""Seconds without a heartbeat after which the set elects anew; 10 by default."""


class ReplicaSet:
    """Three mongods; each may be killed and started again."""

    def __init__(self, mongod: Path, folder: Path) -> None:
        self._mongod = mongod
        self._folder = folder
        self.ports = [free_port() for _ in range(3)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self.start()
        members = [{"_id": number, "host": f"127.0.0.1:{port}"} for number, port in enumerate(self.ports)]
        settings = {"electionTimeoutMillis": int(ELECTION * 1000), "heartbeatIntervalMillis": 500}
        first: MongoClient[dict[str, Any]] = MongoClient(f"mongodb://127.0.0.1:{self.ports[0]}/?directConnection=true")
        for port in self.ports:
            _await_answer(port)  # the set is not begun unless each member answers
        with first:
            first.admin.command("replSetInitiate", {"_id": "rs0", "members": members, "settings": settings})
        self.primary()

    @property
    def url(self) -> str:
        return "mongodb://" + ",".join(f"127.0.0.1:{port}" for port in self.ports) + "/idp?replicaSet=rs0"

    def start(self) -> None:
        """Starts those that do not run."""
        for port in self.ports:
            if port not in self._processes:
                data = self._folder / str(port)
                data.mkdir(exist_ok=True)
                words = ["--dbpath", f"{data}", "--logpath", f"{data}/log", "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
                small = ["--oplogSize", "16", "--wiredTigerCacheSizeGB", "0.25"]
                small += ["--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=10MB)"]
                self._processes[port] = subprocess.Popen([self._mongod, *words, *small, "--replSet", "rs0"], stdout=subprocess.DEVNULL)

    def kill(self, port: int) -> None:
        """kill -9."""
        process = self._processes.pop(port)
        process.kill()
        process.wait(10)

    def kill_all(self) -> None:
        for port in list(self._processes):
            self.kill(port)

    def primary(self) -> int:
        """The port of the primary, once there is one."""
        ending = time.monotonic() + 60
        client: MongoClient[dict[str, Any]] = MongoClient(self.url, serverSelectionTimeoutMS=2000)
        with client:
            while time.monotonic() < ending:
                with contextlib.suppress(PyMongoError):
                    hello = client.admin.command("hello")
                    if hello.get("isWritablePrimary"):
                        return int(hello["me"].rpartition(":")[2])
                time.sleep(0.1)
        raise AssertionError("the replica set has no primary")


def _await_answer(port: int) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(f"mongodb://127.0.0.1:{port}/?directConnection=true")  # waits 30 s for it
    with client:
        client.admin.command("ping")


class SecondInstance(Server):
    """Another `idp run` with the first one's configuration, keys and store, on a port of its own."""

    def __init__(self, first: Server) -> None:
        self.folder = first.folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        words = ["run", "--config", str(self.folder / "idp.toml"), "--listen", f"127.0.0.1:{self.port}"]
        with open(self.folder / "second.log", "ab") as log:
            self.process = subprocess.Popen([*IDP, *words], stdout=log, stderr=log, start_new_session=True)
        self._wait()


class Balanced(BareBrowser):
    """A browser behind a balancer: each request on a connection of its own, to the next instance that takes one."""

    def __init__(self, ports: list[int]) -> None:
        super().__init__(ports[0])
        self._ports = ports

    def ask(self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Only where no connection comes about is another instance asked: what was sent may have been done."""
        self._ports.append(self._ports.pop(0))
        for port in self._ports:
            self._connection.close()
            self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                self._connection.connect()
            except ConnectionRefusedError:
                continue
            return super().ask(method, path, body, headers)
        raise ConnectionRefusedError("no instance takes connections")
