"""Firefox, headless, by its own remote protocol (Marionette): Debian has no geckodriver. Its connections go through a door of ours, which
leads every name to the test's sites, since Firefox cannot be told of another port."""

from __future__ import annotations

import itertools
import json
import os
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.port import free_port

_PATIENCE = 60


class Firefox:
    """One that runs."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._read()  # it says hello
        self.version = str(self._ask("NewSession", acceptInsecureCerts=True)["capabilities"]["browserVersion"])

    def goes_to(self, url: str) -> None:
        self._ask("Navigate", url=url)

    def opens_a_tab(self) -> None:
        self._ask("SwitchToWindow", handle=self._ask("NewWindow", type="tab")["handle"])

    def runs(self, script: str) -> Any:
        return self._ask("ExecuteScript", script=script, args=[])["value"]

    def waits_for(self, script: str) -> Any:
        """What the script returns, as soon as it is something."""
        ending = time.monotonic() + _PATIENCE
        while time.monotonic() < ending:
            with suppress(FirefoxError):  # the page may be on its way to another
                if found := self.runs(script):
                    return found
            time.sleep(0.1)
        raise AssertionError(f"waited in vain for {script}")

    def _ask(self, command: str, **parameters: Any) -> Any:
        message = json.dumps([0, next(self._numbers), f"WebDriver:{command}", parameters]).encode()
        self._connection.sendall(b"%d:%s" % (len(message), message))
        _, _, error, value = self._read()
        if error:
            raise FirefoxError(f"{error['error']}: {error['message']}")
        return value

    def _read(self) -> Any:
        length = b""
        while not length.endswith(b":"):
            length += self._connection.recv(1)
        body = b""
        while len(body) < int(length[:-1]):
            body += self._connection.recv(65536)
        return json.loads(body)


class FirefoxError(Exception):
    """What Firefox says to a command that it cannot carry out."""


@contextmanager
def running(folder: Path, *, sites_port: int, settings: Mapping[str, Any]) -> Iterator[Firefox]:
    folder.mkdir()
    with _door(sites_port) as door:
        port = free_port()
        chosen = {
            "marionette.port": port,
            "network.proxy.type": 1,
            "network.proxy.ssl": "127.0.0.1",
            "network.proxy.ssl_port": door,
            "datareporting.policy.dataSubmissionEnabled": False,
            "app.update.auto": False,
            **settings,
        }
        (folder / "user.js").write_text("".join(f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in chosen.items()))
        process = subprocess.Popen(
            ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": str(folder)},
        )
        try:
            with _connected(port) as connection:
                yield Firefox(connection)
        finally:
            process.terminate()
            process.wait(30)


def _connected(port: int) -> socket.socket:
    ending = time.monotonic() + _PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            if time.monotonic() > ending:
                raise
            time.sleep(0.1)


@contextmanager
def _door(sites_port: int) -> Iterator[int]:
    """A proxy that knows one place only; its port."""

    class Visit(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            with socket.create_connection(("127.0.0.1", sites_port)) as site, suppress(OSError):
                self.connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                back = threading.Thread(target=_carry, args=(site, self.connection), daemon=True)
                back.start()
                _carry(self.connection, site)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Visit) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
