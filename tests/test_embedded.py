"""The private mongod, and which database is chosen."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from idp.errors import ConfigError
from idp.secret import Secret
from idp.store import StoreUnavailable
from idp.store.choice import Choice, StoreSettings, open_store, running_store
from idp.store.embedded import EmbeddedMongod, EmbeddedProblem, embedded_store_url, find_mongod, why_not_runnable
from idp.store.mongo import MongoStore
from idp.store.owner import Ownership, visited

OWNER = """
import sys
from pathlib import Path
from idp.store.embedded import embedded_store_url
with embedded_store_url(Path(sys.argv[1]), lasting="lasting" in sys.argv) as url:
    print(url, flush=True)
    sys.stdin.readline()
"""


@contextlib.contextmanager
def owner(folder: Path, *how: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that asks for the folder's store; it lets go when it reads a line."""
    command = [sys.executable, "-c", OWNER, str(folder), *how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def url_of(process: subprocess.Popen[str]) -> str:
    """What it got, once it has it."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def let_go(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=30)


def socket_folder(url: str) -> Path:
    return Path(url.removeprefix("mongodb://").partition("/")[0].replace("%2F", "/")).parent


def mongod_of(folder: Path) -> list[int]:
    """The process ids of the mongods that work on a data folder."""
    data = f"{folder}/mongod\0".encode()
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and data in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


@pytest.fixture
def folder(mongod: Path, tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def without_mongod(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MONGOD", str(tmp_path / "no-mongod"))


# The server


def test_it_listens_on_no_tcp_port_and_its_files_are_for_the_owner_alone(folder: Path) -> None:
    with EmbeddedMongod(folder) as server:
        address = socket_folder(server.uri)
        sockets = {os.readlink(link) for link in Path(f"/proc/{server.pid}/fd").iterdir() if link.is_symlink()}
        tables = [Path(f"/proc/{server.pid}/net/{table}").read_text().splitlines()[1:] for table in ("tcp", "tcp6")]
        assert not [row for table in tables for row in table if f"socket:[{row.split()[9]}]" in sockets and row.split()[3] == "0A"]
        assert address.stat().st_mode & 0o777 == 0o700
        assert [path.name for path in (folder, *folder.rglob("*")) if path.stat().st_mode & 0o077] == []
    assert not address.exists()


def test_it_dies_with_its_parent_and_the_next_start_finds_every_record(folder: Path) -> None:
    with owner(folder) as process:
        store = open_store(url_of(process))
        store.put("client", "k", {"name": "LMS"}, expires=None)
        store.close()
        process.kill()
        process.wait()
    with embedded_store_url(folder) as again:  # waits for the mongod that has just lost its parent
        store = open_store(again)
        assert store.get("client", "k") is not None
        store.close()
        assert len(mongod_of(folder)) == 1
    assert mongod_of(folder) == []


def test_after_kill_9_it_starts_again_at_its_address_with_every_record(folder: Path) -> None:
    with EmbeddedMongod(folder) as server:
        store = MongoStore(server.uri, timeout=3000)
        store.put("client", "k", {"name": "LMS"}, expires=None)
        os.kill(server.pid, signal.SIGKILL)
        server.start()
        assert store.get("client", "k") is not None
        store.close()


def test_forgotten_socket_folders_are_swept_and_young_or_live_ones_are_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(prefix="t") as short:  # a socket's path may hold 107 bytes
        monkeypatch.setattr(tempfile, "tempdir", short)
        dead, young = Path(short, "idp-db-dead"), Path(short, "idp-db-young")
        for each in (dead, young):
            each.mkdir()
            (each / "m.sock").touch()
        os.utime(dead, (0, 0))
        with EmbeddedMongod(tmp_path / "first") as first:
            os.utime(socket_folder(first.uri), (0, 0))
            with EmbeddedMongod(folder):
                assert [each.exists() for each in (dead, young, socket_folder(first.uri))] == [False, True, True]


def test_a_temporary_folder_with_capitals_does_not_lose_it(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver writes the path of a member's socket in small letters."""
    (tmp_path / "Capital").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "Capital"))
    with EmbeddedMongod(folder) as mongod, contextlib.closing(MongoStore(mongod.uri)) as store:
        assert store.ping().startswith("mongodb")


def test_only_the_main_thread_may_start_it(folder: Path) -> None:
    problems: list[EmbeddedProblem] = []

    def start() -> None:
        try:
            EmbeddedMongod(folder).start()
        except EmbeddedProblem as problem:
            problems.append(problem)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in problems[0].message
    assert Ownership(folder).claim()


# One owner, and its guests


def test_a_command_beside_a_server_is_its_guest_and_leaves_it_running(folder: Path) -> None:
    with owner(folder, "lasting") as process:
        url = url_of(process)
        with embedded_store_url(folder) as borrowed, embedded_store_url(folder) as again:
            assert borrowed == again == url
        store = open_store(url)
        store.put("client", "k", {}, expires=None)
        store.close()
        let_go(process)
    assert mongod_of(folder) == []


def test_a_server_waits_until_a_command_lets_go(folder: Path) -> None:
    with owner(folder) as command, contextlib.ExitStack() as stack:
        first = url_of(command)
        threading.Timer(0.5, let_go, [command]).start()
        server = stack.enter_context(embedded_store_url(folder, lasting=True))
        assert server != first
        store = open_store(server)
        store.put("client", "k", {}, expires=None)
        store.close()


def test_nobody_is_let_in_where_the_mongod_has_died(folder: Path) -> None:
    with owner(folder) as process:
        url_of(process)
        with visited(folder) as seen:
            assert seen is not None
        os.kill(mongod_of(folder)[0], signal.SIGKILL)
        for _ in range(500):
            with visited(folder) as seen:
                if seen is None:
                    break
            threading.Event().wait(0.01)
        assert seen is None


def test_an_owner_waits_for_its_guests_before_it_stops(folder: Path) -> None:
    with owner(folder) as process, contextlib.ExitStack() as stack:
        url = url_of(process)
        borrowed = stack.enter_context(embedded_store_url(folder))
        assert borrowed == url
        assert process.stdin is not None
        print(file=process.stdin, flush=True)
        for _ in range(500):
            if not (folder / "mongod.json").exists():
                break
            threading.Event().wait(0.01)
        with visited(folder) as seen:
            assert seen is None  # nobody else is let in
        store = open_store(borrowed)
        store.put("client", "k", {}, expires=None)
        store.close()


def test_a_server_gives_up_on_a_folder_that_another_keeps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.store.embedded.PATIENCE", 0.2)
    with owner(folder, "lasting") as process:
        url_of(process)
        with pytest.raises(EmbeddedProblem, match=f"process {process.pid}"), embedded_store_url(folder, lasting=True):
            pass
        with pytest.raises(EmbeddedProblem, match=f"process {process.pid}"):
            EmbeddedMongod(folder).start()


def test_two_that_start_at_once_share_one_mongod(folder: Path) -> None:
    with owner(folder) as first, owner(folder) as second:
        assert url_of(first) == url_of(second)
        assert len(mongod_of(folder)) == 1


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_worker_does_not_keep_the_folder_of_an_owner_that_has_gone(tmp_path: Path) -> None:
    ownership = Ownership(tmp_path)
    assert ownership.claim()
    reading, writing = os.pipe()
    worker = os.fork()
    if worker == 0:
        os.write(writing, b"forked")
        signal.pause()
    os.read(reading, 6)
    ownership.release()
    try:
        assert Ownership(tmp_path).claim()
    finally:
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        os.close(reading)
        os.close(writing)


def test_a_folder_that_cannot_be_made_is_a_problem_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddedProblem, match="Not a directory"), embedded_store_url(tmp_path / "file" / "data"):
        pass


# The choice


def test_embedded_is_a_mongod_where_one_can_run(folder: Path) -> None:
    with running_store(StoreSettings(folder=folder), production=False) as choice:
        assert "private mongod" in choice.why
        store = open_store(choice.url)
        assert store.ping().startswith("mongodb")
        store.close()


@pytest.mark.usefixtures("without_mongod")
def test_embedded_falls_back_to_sqlite_and_says_why(tmp_path: Path) -> None:
    with running_store(StoreSettings(folder=tmp_path / "new data"), production=False) as choice:
        assert "no-mongod does not run" in choice.why
        store = open_store(choice.url)
        assert store.ping().startswith("sqlite")
        store.close()
    assert (tmp_path / "new data" / "idp.sqlite").exists()


def test_a_folder_that_was_begun_with_sqlite_stays_with_it(folder: Path) -> None:
    folder.mkdir()
    (folder / "idp.sqlite").touch()
    with running_store(StoreSettings(folder=folder), production=False) as choice:
        assert choice.url == f"sqlite://{folder}/idp.sqlite"
        assert "begun with it" in choice.why


@pytest.mark.usefixtures("without_mongod")
def test_a_folder_that_was_begun_with_mongod_does_not_turn_to_sqlite(tmp_path: Path) -> None:
    (tmp_path / "mongod").mkdir()
    with pytest.raises(EmbeddedProblem, match="does not run"), running_store(StoreSettings(folder=tmp_path), production=False):
        pass


def test_production_refuses_embedded(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="mongodb://"), running_store(StoreSettings(folder=tmp_path / "data"), production=True):
        pass
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "url", ["mongodb://db.example.org/?replicaSet=rs0", "mongodb+srv://db.example.org/sso", "sqlite:///var/idp.sqlite"]
)
def test_production_takes_what_the_configuration_names(url: str) -> None:
    with running_store(StoreSettings(url=Secret(url)), production=True) as choice:
        assert choice.url == url


@pytest.mark.parametrize(
    ("url", "database"),
    [
        ("mongodb://db.example.org", "idp"),
        ("mongodb://db.example.org/", "idp"),
        ("mongodb://a.example.org:27017,b.example.org:27018/?replicaSet=rs0", "idp"),
        ("mongodb://user:p%40ss%2Fword@a.example.org,b.example.org/sso?authSource=admin", "sso"),
        ("mongodb+srv://db.example.org/sso", "sso"),
        ("mongodb://%2Ftmp%2Fm.sock/sso?replicaSet=rs0", "sso"),
    ],
)
def test_the_path_of_the_uri_names_the_database(url: str, database: str) -> None:
    store = open_store(url)
    assert isinstance(store, MongoStore)
    assert store.database == database


@pytest.mark.parametrize("url", ["", "data/idp.sqlite", "sqlite://idp.sqlite", "redis://hunter2@db", "mongodb://user:hunter2[@db"])
def test_what_is_no_url_of_a_store_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(ConfigError) as opened:
        open_store(url)
    with pytest.raises(ValueError) as configured:
        StoreSettings.model_validate({"url": url})
    assert "hunter2" not in f"{opened.value}{configured.value}"


@pytest.mark.parametrize("form", ["plain", "env", "file"])
def test_the_url_is_given_plainly_or_by_reference_and_is_not_shown(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "mongodb://idp:hunter2@db.example.org/"
    monkeypatch.setenv("STORE_URL", url)
    (tmp_path / "url").write_text(f"{url}\n")
    given = {"plain": url, "env": {"env": "STORE_URL"}, "file": {"file": "url"}}[form]
    settings = StoreSettings.model_validate({"url": given}, context={"folder": tmp_path})
    assert settings.url.reveal() == url
    assert "hunter2" not in f"{settings!r}{settings.model_dump()}{settings.model_dump_json()}{Choice(url, 'why')!r}"


def test_a_store_that_is_far_away_keeps_its_deadline() -> None:
    store = open_store("mongodb://127.0.0.1:1/", timeout=100)
    with pytest.raises(StoreUnavailable):
        store.get("code", "k")
    store.close()


# Finding one


def test_mongod_is_looked_for_in_the_environment_then_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "mongod"
    program.write_text("#!/bin/sh\necho no libssl.so.3 >&2; exit 127\n")
    program.chmod(0o755)
    monkeypatch.delenv("MONGOD", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert find_mongod() == program
    assert "no libssl.so.3" in str(why_not_runnable(program))
    monkeypatch.setenv("MONGOD", "/opt/mongod")
    assert find_mongod() == Path("/opt/mongod")


def test_where_there_is_no_mongod_the_reason_names_the_extra() -> None:
    assert "imis-idp[embedded]" in str(why_not_runnable(None))
