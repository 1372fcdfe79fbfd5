"""A private mongod for one machine: a child of the `idp` command, reached through a Unix socket, with no TCP port at all.

The same server and the same promises as in production, for trials and tests; a configuration for production refuses it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from idp.errors import Unavailable
from idp.store.owner import Owner, Ownership, announced, answers, visited

PATIENCE = 15.0
"""Seconds to wait for another process to let go of the folder, and for mongod to come up."""

_SOCKET_FOLDER = "idp-db-"
_FORGOTTEN = 60.0  # seconds after which a socket folder that nobody listens in is swept
_GUESTS = 5.0  # seconds that commands still at work are given before mongod stops
_LOOK_AGAIN = 0.02
_PR_SET_PDEATHSIG = 1
_NOT_YET_INITIALIZED = 94
_FOLDER_IN_USE = 100
_EXITS = {
    _FOLDER_IN_USE: "the data folder is in use by another mongod",
    62: "the data folder was written by another version of mongod",
}


class EmbeddedProblem(Unavailable):
    """The private mongod cannot be had; the sentence says why."""

    def __init__(self, message: str) -> None:
        super().__init__("store.embedded", message)


def find_mongod() -> Path | None:
    """The mongod that `MONGOD` in the environment names, else the one on PATH, else the one in the `embedded` extra."""
    named = os.environ.get("MONGOD") or shutil.which("mongod")
    if named:
        return Path(named)
    wheel = importlib.util.find_spec("fiftyone")  # looked for, not imported: the extra is optional
    folders = wheel.submodule_search_locations if wheel else None
    return next((path for folder in folders or () if (path := Path(folder) / "db" / "bin" / "mongod").exists()), None)


def why_not_runnable(path: Path | None) -> str | None:
    """None if the program runs here, else the reason: a missing library, another kind of processor, no program at all ..."""
    if path is None:
        return "there is no mongod on this machine (the extra imis-idp[embedded] brings one)"
    try:
        answer = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{path} does not run: {error}"
    if answer.returncode == 0:
        return None
    return f"{path} does not run: {(answer.stderr.strip() or f'exit {answer.returncode}')[-200:]}"


class EmbeddedMongod:
    """One mongod on `folder`/mongod, a replica set of one. It ends with the block, or with this process, however that ends.

    `parameters` are mongod's own `--setParameter`. Starting waits up to PATIENCE for an owner that is just stopping.
    """

    def __init__(self, folder: Path, *, parameters: Mapping[str, str] | None = None) -> None:
        self._folder = folder.absolute()
        self._parameters = parameters or {}
        self._ownership = Ownership(self._folder)
        self._sockets: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        """Where pymongo reaches it."""
        return f"{self._address}?replicaSet=rs0"

    @property
    def pid(self) -> int:
        """The process id of the running mongod."""
        assert self._process is not None  # it was started
        return self._process.pid

    def claim(self) -> bool:
        """Takes the folder for this process if it is free; whether it is ours."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._ownership.claim()
        except OSError as error:
            raise EmbeddedProblem(f"The data folder {self._folder} cannot be used: {error.strerror}.") from None

    def start(self) -> None:
        """Comes back when writes are taken; started again after a crash, it answers at the same address. Raises EmbeddedProblem."""
        ending = time.monotonic() + PATIENCE
        while not self.claim():
            _wait(ending, f"Another imis-idp command{_who(self._folder)} keeps the data folder {self._folder} to itself.")
        try:
            self._start(ending)
        except BaseException:
            self.stop()
            raise

    def _start(self, ending: float) -> None:
        program = find_mongod()
        reason = why_not_runnable(program)
        if program is None or reason:
            raise EmbeddedProblem(f"The private mongod of {self._folder} cannot be started: {reason}.")
        self._prepare()
        while not self._listens(program, ending):
            _wait(ending, f"mongod did not start: {_EXITS[_FOLDER_IN_USE]}.")
        self._become_primary(ending)
        self._ownership.announce(Owner(uri=self.uri, socket=str(self._socket), pid=os.getpid()))

    def stop(self) -> None:
        """Ends mongod in good order, after the guests have gone."""
        if self._process is not None:
            self._ownership.see_guests_off(patience=_GUESTS)
            _end(self._process)
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
            self._sockets = None
        self._ownership.release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def _data(self) -> Path:
        return self._folder / "mongod"

    @property
    def _socket(self) -> Path:
        assert self._sockets is not None
        return self._sockets / "m.sock"  # pymongo knows a socket by `.sock`

    @property
    def _address(self) -> str:
        return f"mongodb://{urllib.parse.quote(str(self._socket), safe='')}/"

    def _prepare(self) -> None:
        self._data.mkdir(mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):  # one log is kept, and the one before it
            (self._data / "mongod.log").replace(self._data / "mongod.log.old")
        if self._sockets is None:
            _sweep_sockets()
            # 0700, and short: a socket's path may hold 107 bytes
            self._sockets = Path(tempfile.mkdtemp(prefix=_SOCKET_FOLDER, dir=_socket_base()))

    def _listens(self, program: Path, ending: float) -> bool:
        """Launches it and waits; False if a mongod that lost its parent still has the data, for the second that it takes to end."""
        if self._process is not None:
            _end(self._process)
        self._process = process = subprocess.Popen(
            [str(program), *self._arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the command, which then ends mongod in its turn
            preexec_fn=_dying_with_parent(),
        )
        while not answers(str(self._socket)):
            if process.poll() == _FOLDER_IN_USE:
                return False
            if process.returncode is not None:
                why = _EXITS.get(process.returncode, f"see {self._data / 'mongod.log'}")
                raise EmbeddedProblem(f"mongod ended at once with exit code {process.returncode}: {why}.")
            _wait(ending, f"mongod does not answer; see {self._data / 'mongod.log'}.")
        return True

    def _arguments(self) -> list[str]:
        parameters = {"diagnosticDataCollectionEnabled": "false", **self._parameters}
        return [
            *("--dbpath", str(self._data)),
            *("--logpath", str(self._data / "mongod.log")),
            *("--bind_ip", str(self._socket)),
            *("--unixSocketPrefix", str(self._socket.parent)),
            *("--replSet", "rs0"),
            *("--oplogSize", "16"),
            *("--wiredTigerCacheSizeGB", "0.25"),
            *("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=10MB)"),  # or 300 MB of journal at once
            *("--networkMessageCompressors", "disabled"),  # the zlib hole of 6.0.5 (facts, section 1)
            *(word for name, value in parameters.items() for word in ("--setParameter", f"{name}={value}")),
        ]

    def _become_primary(self, ending: float) -> None:
        member = {"_id": 0, "host": f"{self._socket}:27017"}
        with MongoClient[dict[str, Any]](f"{self._address}?directConnection=true", timeoutMS=1000) as client:
            while not _is_primary(client, member):
                _wait(ending, f"mongod took no writes in time; see {self._data / 'mongod.log'}.")


@contextmanager
def embedded_store_url(folder: Path, *, lasting: bool = False) -> Iterator[str]:
    """The address of the folder's mongod: of the one that runs (it is not stopped at the end), else of one started here.

    `lasting` is for servers: they never are guests of a short command, but wait up to PATIENCE until it has ended.
    """
    server = EmbeddedMongod(folder)
    ending = time.monotonic() + PATIENCE
    while not server.claim():
        if not lasting:
            with visited(folder) as owner:
                if owner is not None:
                    yield owner.uri
                    return
        _wait(ending, f"Another imis-idp{_who(folder)} is running on the data folder {folder}. Stop it, or name another folder.")
    with server:
        yield server.uri


def _who(folder: Path) -> str:
    owner = announced(folder)
    return f" (process {owner.pid})" if owner else ""


def _wait(ending: float, complaint: str) -> None:
    if time.monotonic() > ending:
        raise EmbeddedProblem(complaint)
    time.sleep(_LOOK_AGAIN)


def _is_primary(client: MongoClient[dict[str, Any]], member: Mapping[str, object]) -> bool:
    """One step on the way: found a replica set of one, or tell a set that has lain still its new address."""
    with suppress(PyMongoError):  # it is coming up; the next look finds it further
        if client.admin.command("hello").get("isWritablePrimary"):
            return True
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code == _NOT_YET_INITIALIZED:
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
            return False
        if config["members"][0]["host"] != member["host"]:
            moved = {**config, "version": config["version"] + 1, "members": [{**config["members"][0], **member}]}
            client.admin.command("replSetReconfig", moved, force=True)
    return False


def _dying_with_parent() -> Callable[[], None] | None:
    """What the child does before it becomes mongod: asks Linux for a SIGTERM at its parent's death, even by `kill -9`.

    The signal comes when the starting *thread* ends, so only the main thread may start a mongod.
    """
    if threading.current_thread() is not threading.main_thread():
        raise EmbeddedProblem("The private mongod is to be started by the main thread.")
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return prepare


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _socket_base() -> Path:
    """Where socket folders are made. The driver writes the names of a replica set's members in small letters, paths of sockets
    among them, so a folder with capitals (as on macOS) will not do."""
    usual = tempfile.gettempdir()
    return Path(usual if usual == usual.lower() else "/tmp")  # noqa: S108  mkdtemp makes a folder of our own in it


def _sweep_sockets() -> None:
    """Removes the socket folders of owners that were killed."""
    for folder in _socket_base().glob(f"{_SOCKET_FOLDER}*"):
        with suppress(OSError):
            status = folder.stat()
            dead = status.st_uid == os.geteuid() and time.time() - status.st_mtime > _FORGOTTEN
            if dead and not answers(str(folder / "m.sock")):
                shutil.rmtree(folder)
