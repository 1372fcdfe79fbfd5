"""`idp backup` and `idp restore`: keys and store in one archive. idp.toml and the files it names are copied beside it."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import click

from idp.cli.output import command_options, load_config, opened_parts, result, say
from idp.errors import IdpError
from idp.keys.copy import read_files, write_files
from idp.store.choice import open_store, running_store
from idp.store.copy import CopyProblem, copy_in, copy_out, is_empty

_STORE = "store.jsonl"
_KEYS = "keys/"
_IN_MEMORY = 64 * 2**20  # octets; what is larger waits on disk


@click.command()
@click.argument("file", metavar="FILE|-")
@command_options
def backup(file: str) -> None:
    """Write keys and store into one archive (tar.gz; - is standard output). It is as secret as a password: encrypt it."""
    with opened_parts() as (loaded, parts), _written(file) as archive, tempfile.TemporaryFile() as lines:
        keys = read_files(loaded.config.keys.folder)
        for name, content in keys.items():
            _put(archive, f"{_KEYS}{name}", io.BytesIO(content), len(content))
        records = 0
        for line in copy_out(parts.store):
            lines.write(f"{line}\n".encode())
            records += 1
        size = lines.tell()
        lines.seek(0)
        _put(archive, _STORE, lines, size)
    if file != "-":
        say(f"{len(keys)} key files and {records} records are in {file}. Whoever has it can sign in our name: encrypt it")
        result({"file": file, "keys": len(keys), "records": records})


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option("--over", is_flag=True, help="Write over keys and records that are there.")
@command_options
def restore(file: str, over: bool) -> None:
    """Put keys and store back out of an archive of `idp backup`. The server must not run meanwhile."""
    loaded = load_config()
    with _read(file) as archive, running_store(loaded.config.store, production=loaded.config.server.production) as choice:
        store = open_store(choice.url, timeout=loaded.config.store.timeout)
        if not over and not is_empty(store):
            raise CopyProblem("There are records in the store already. Name an empty one, or say --over.")
        keys: dict[str, bytes] = {}
        written: dict[str, int] | None = None
        for member in archive:
            content = archive.extractfile(member)
            if content is None:
                continue
            if member.name.startswith(_KEYS):
                keys[member.name.removeprefix(_KEYS)] = content.read()
            elif member.name == _STORE:
                _restore_keys(loaded.config.keys.folder, keys, over=over)
                written = copy_in(store, content)
        store.close()
        if written is None:
            raise CopyProblem("There is no copy of the store in this archive.")
    for kind, count in written.items():
        say(f"{count:7} {kind}")
    say(f"{len(keys)} key files are in {loaded.config.keys.folder}. Everybody has to sign in again")
    result({"keys": len(keys), "records": written})


def _restore_keys(folder: Path, keys: dict[str, bytes], *, over: bool) -> None:
    """Before the store: its records are worth nothing with other keys."""
    if "ring.json" not in keys:
        raise CopyProblem("There are no keys in this archive.")
    write_files(folder, keys, over=over)


def _put(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    archive.addfile(member, content)


@contextmanager
def _written(file: str) -> Iterator[tarfile.TarFile]:
    """For the owner alone. A file that is there is not written over, and one that was not finished is not left there."""
    if file == "-":
        with tarfile.open(fileobj=sys.stdout.buffer, mode="w|gz") as archive:
            yield archive
        return
    path = Path(file)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise IdpError("backup.unwritable", f"{file} cannot be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as target, tarfile.open(fileobj=target, mode="w|gz") as archive:
            yield archive
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def _read(file: str) -> Iterator[tarfile.TarFile]:
    """Unpacked to its end before anything is done with it: only gzip's checksum there tells that nothing was cut off."""
    try:
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as whole:
            with gzip.open(sys.stdin.buffer if file == "-" else file) as packed:
                shutil.copyfileobj(packed, whole)
            whole.seek(0)
            with tarfile.open(fileobj=whole, mode="r:") as archive:
                yield archive
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise CopyProblem(f"{file} is not an archive of idp backup, or is not whole ({type(error).__name__}).") from None
    except OSError as error:
        raise IdpError("backup.unreadable", f"{file} cannot be read: {error.strerror or type(error).__name__}.") from None
