"""`idp backup` and `idp restore`: what nobody could make again comes back, and nobody is signed in by it. A whole life of it is in
flows/test_restore.py."""

from __future__ import annotations

import io
import re
import stat
import tarfile
from pathlib import Path

import pytest

from idp.cli import main
from idp.keys import KeyRing
from idp.keys.copy import read_files, write_files
from idp.keys.key import KeyProblem
from idp.store import INDEXED, Store
from idp.store.copy import KEPT, LOST, CopyProblem, copy_in, copy_out, is_empty
from idp.store.mongo import MongoStore
from idp.store.sqlite import SqliteStore
from tests.command import Run, command_in, furnish, last

LATER = 2**40


@pytest.fixture
def idp(tmp_path: Path) -> Run:
    run = command_in(furnish(tmp_path))
    run("keys", "create")
    return run


def store_in(folder: Path) -> SqliteStore:
    return SqliteStore(folder / "store.sqlite3")


def filled(store: Store) -> Store:
    """A record of each kind."""
    for kind in INDEXED:
        store.put(kind, f"{kind} \ud800 1", {"at": 1, **dict.fromkeys(INDEXED[kind], "x")}, expires=LATER)
    return store


def test_of_every_kind_it_is_said_whether_a_backup_keeps_it() -> None:
    assert sorted((*KEPT, *LOST)) == sorted(INDEXED)
    assert {"subject_name", "consent", "notice", "client", "registration"} <= set(KEPT)
    assert {"session", "code", "token", "ticket", "grace"} <= set(LOST), "what was ended must not live again"


def test_what_is_kept_comes_back_as_it_was_also_in_another_database(tmp_path: Path, database_url: str) -> None:
    here, there = filled(SqliteStore(tmp_path / "here")), MongoStore(database_url)
    lines = list(copy_out(here))
    assert copy_in(there, lines) == dict.fromkeys(KEPT, 1)
    for kind in INDEXED:
        before, after = here.list(kind), there.list(kind)
        if kind in KEPT:
            assert [(each.key, each.record, each.expires) for each in after] == [(each.key, each.record, each.expires) for each in before]
        else:
            assert after == []
    here.close()
    there.close()


def test_what_was_found_by_a_field_is_found_by_it_again(tmp_path: Path) -> None:
    here, there = filled(SqliteStore(tmp_path / "here")), SqliteStore(tmp_path / "there")
    copy_in(there, copy_out(here))
    assert [each.record["name"] for each in there.find("subject_name", "name", "x")] == ["x"]
    here.close()
    there.close()


def test_kinds_of_another_version_are_passed_over(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "here")
    line = '{"kind": "of_tomorrow", "key": "k", "record": {}, "revision": 1, "expires": null, "more": 1}'
    assert sum(copy_in(store, [line]).values()) == 0
    for bad in ("?", "[]", '{"kind": "client"}'):
        with pytest.raises(CopyProblem):
            copy_in(store, [bad])
    assert is_empty(store)
    store.close()


def test_keys_store_and_seals_come_back_and_nobody_is_signed_in(idp: Run, tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    before = (ring.current.kid, ring.pairwise("lms", "101"))
    store = filled(store_in(tmp_path))
    store.delete("client", "client \ud800 1")  # which is no client
    archive = tmp_path / "idp.tar.gz"
    made = last(idp("backup", str(archive), "--json"))
    assert made["records"] == len(KEPT) - 1
    store.close()
    (tmp_path / "keys").rename(tmp_path / "lost")
    (tmp_path / "store.sqlite3").unlink()
    back = last(idp("restore", str(archive), "--json"))
    assert (back["keys"], back["records"]["subject_name"]) == (made["keys"], 1)
    again = KeyRing(tmp_path / "keys")
    assert (again.current.kid, again.pairwise("lms", "101")) == before
    store = store_in(tmp_path)
    assert [store.list(kind) for kind in LOST] == [[]] * len(LOST)
    store.close()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (archive, *(tmp_path / "keys").glob("[!.]*"))}
    assert modes == {0o600}


def test_what_is_there_is_not_written_over_unless_that_is_said(idp: Run, tmp_path: Path) -> None:
    archive = str(tmp_path / "idp.tar.gz")
    assert idp("backup", archive).exit_code == 0
    assert idp("backup", archive).exit_code == 1, "an archive that is there"
    (tmp_path / "keys").rename(tmp_path / "old")
    idp("keys", "create")
    assert "other keys" in idp("restore", archive).stderr
    store = store_in(tmp_path)
    store.put("consent", "k", {}, expires=None)
    assert "records in the store already" in idp("restore", archive).stderr
    assert idp("restore", archive, "--over").exit_code == 0
    assert KeyRing(tmp_path / "keys").current.kid == KeyRing(tmp_path / "old").current.kid
    assert store.get("consent", "k") is not None
    store.close()


@pytest.mark.parametrize("length", [0, 200, -400, -200, -100, -9, -1])
def test_an_archive_that_is_not_whole_is_refused(idp: Run, tmp_path: Path, length: int) -> None:
    archive = tmp_path / "idp.tar.gz"
    idp("backup", str(archive))
    archive.write_bytes(archive.read_bytes()[:length])
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "keys").iterdir()}
    refused = last(idp("restore", str(archive), "--over", "--json"), status=1)
    assert refused["error"] == "backup.unusable"
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "keys").iterdir()} == before, "nothing was written"
    assert last(idp("restore", str(tmp_path / "none"), "--json"), status=1)["error"] == "backup.unreadable"


def test_an_archive_without_the_store_is_refused(idp: Run, tmp_path: Path) -> None:
    archive = tmp_path / "keys-only.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        made.addfile(tarfile.TarInfo("keys/ring.json"), io.BytesIO())
    assert last(idp("restore", str(archive), "--over", "--json"), status=1)["error"] == "backup.unusable"


def test_an_archive_writes_nowhere_but_into_the_key_folder(idp: Run, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar.gz"
    with tarfile.open(archive, "w:gz") as made:
        for name in ("keys/ring.json", "keys/../../evil.pem", "store.jsonl"):
            made.addfile(tarfile.TarInfo(name), io.BytesIO())
    refused = last(idp("restore", str(archive), "--over", "--json"), status=1)
    assert refused["error"] == "keys.unusable"
    assert list(tmp_path.rglob("evil.pem")) == []


def test_the_ring_is_written_after_the_keys_that_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    KeyRing(tmp_path / "keys").create()
    files = read_files(tmp_path / "keys")
    written: list[str] = []
    monkeypatch.setattr("idp.keys.copy._write", lambda path, _: written.append(path.name))
    write_files(tmp_path / "there", files)
    assert (written[-1], len(written)) == ("ring.json", len(files))
    with pytest.raises(KeyProblem):
        write_files(tmp_path / "there", {"../x.pem": b""})


def test_the_commands_that_the_readme_names_are_there() -> None:
    page = (Path(__file__).parent.parent / "deploy" / "README.md").read_text(encoding="utf-8")
    block = page.partition("## Backup and restore")[2].partition("## ")[0]
    named = set(re.findall(r"\bidp (\w+)", block))
    assert {"backup", "restore"} <= named <= set(main.commands)
