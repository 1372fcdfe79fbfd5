"""The key folder on disk: a file for each key, `ring.json` that says where each stands, and the secret of pairwise identifiers."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO, cast, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from idp.keys.key import KeyProblem, Kind, PrivateKey, State, Use, certify, generate, kind_of, thumbprint

USES: tuple[Use, ...] = get_args(Use)


@dataclass(frozen=True)
class Standing:
    """A state, and the time at which it began."""

    state: State
    since: int


@dataclass(frozen=True)
class Entry:
    """A key of the ring, and where it stands for each use; for none, it is only kept for clients that name it."""

    kid: str
    kind: Kind
    private: PrivateKey
    certificate: x509.Certificate
    created: int
    standings: Mapping[Use, Standing]


def new_entry(folder: Path, kind: Kind, standings: Mapping[Use, Standing], *, bits: int, common_name: str, created: int) -> Entry:
    """Makes a key and writes its file; it is in nobody's ring yet."""
    private = generate(kind, bits=bits)
    certificate = certify(private, common_name=common_name, created=created)
    kid = thumbprint(private.public_key())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    _write_private(folder / f"{kid}.pem", pem)
    return Entry(kid, kind, private, certificate, created, standings)


def remove_file(folder: Path, kid: str) -> None:
    """After the ring is written without it."""
    (folder / f"{kid}.pem").unlink(missing_ok=True)


def stamp(folder: Path) -> tuple[int, int] | None:
    """Changes whenever ring.json is replaced; None while there is none."""
    path = folder / "ring.json"
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}.") from None
    return status.st_mtime_ns, status.st_ino


def write_ring(folder: Path, entries: Sequence[Entry]) -> None:
    ring = [
        {
            "kid": entry.kid,
            "created": entry.created,
            "uses": {use: {"state": standing.state, "since": standing.since} for use, standing in entry.standings.items()},
        }
        for entry in entries
    ]
    _write_private(folder / "ring.json", json.dumps(ring, indent=2).encode())


def read_ring(folder: Path) -> tuple[Entry, ...]:
    """Raises KeyProblem."""
    path = folder / "ring.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        described = [(str(each["kid"]), int(each["created"]), _standings(each)) for each in fields]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeyProblem(f"{path} is not a list of keys, each with kid, created and uses. Restore the folder from a backup.") from None
    return tuple(_read_entry(folder, kid, created, standings) for kid, created, standings in described)


def _standings(fields: Mapping[str, Any]) -> dict[Use, Standing]:
    """An older ring has one `state`, for all uses."""
    if "state" in fields:
        return dict.fromkeys(USES, Standing(_state(fields["state"]), int(fields["created"])))
    return {use: Standing(_state(each["state"]), int(each["since"])) for use, each in _known_uses(fields["uses"])}


def _known_uses(uses: Mapping[str, Any]) -> list[tuple[Use, Any]]:
    if set(uses) - set(USES):
        raise ValueError("not a use")
    return [(use, uses[use]) for use in USES if use in uses]


def _state(text: object) -> State:
    for state in get_args(State):
        if text == state:
            return cast(State, state)
    raise ValueError("not a state")


def _read_entry(folder: Path, kid: str, created: int, standings: Mapping[Use, Standing]) -> Entry:
    path = folder / f"{kid}.pem"
    pem = _read_private(path)
    try:
        private, certificate = _parsed(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        raise KeyProblem(f"{path} is not a private key in PEM without a password, followed by its certificate.") from None
    kind = kind_of(private) if isinstance(private, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, Ed25519PrivateKey)) else None
    if kind is None:
        raise KeyProblem(f"The key in {path} is neither RSA nor on the curve P-256, P-384 or Ed25519.")
    assert isinstance(private, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, Ed25519PrivateKey))  # or it would have no kind
    if thumbprint(private.public_key()) != kid or certificate.public_key() != private.public_key():
        raise KeyProblem(f"{path} holds another key than its name says, or a certificate of another key.")
    return Entry(kid, kind, private, certificate, created, standings)


@lru_cache(maxsize=64)
def _parsed(pem: bytes) -> tuple[PrivateKeyTypes, x509.Certificate]:
    """Kept, since the library proves each private key that it reads: 40 to 300 ms in which no other thread of the process runs."""
    return serialization.load_pem_private_key(pem, password=None), x509.load_pem_x509_certificate(pem)


def read_or_make_secret(folder: Path) -> bytes:
    """Lost, it would make every member a stranger to every client that knows them by a pairwise identifier: back it up with the keys."""
    path = folder / "pairwise.secret"
    if not path.exists():  # looked at first without the lock: where the folder is mounted for reading alone there can be none
        with locked(folder):
            if not path.exists():
                _write_private(path, secrets.token_bytes(32))
    content = _read_private(path)
    if len(content) < 32:
        raise KeyProblem(f"The file {path} is too short to be the secret that was made. Restore it from a backup.")
    return content


def _read_private(path: Path) -> bytes:
    """What only the owner may read (S70)."""
    try:
        if path.stat().st_mode & 0o077:
            raise KeyProblem(f"The file {path} can be read by others. Run: chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise KeyProblem(f"The file {path} cannot be read: {error.strerror}.") from None


def _write_private(path: Path, content: bytes) -> None:
    """Writes whole or not at all, readable by the owner alone (S70)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)  # what a crash left there may have another mode
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


@contextmanager
def locked(folder: Path, *, wait: bool = True) -> Iterator[bool]:
    """One process at a time changes the folder; False when another does just now and we do not wait. Whatever the disk says no to is a
    KeyProblem."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(folder / ".lock", "w", encoding="utf-8") as lock:
            yield _lock(lock, wait=wait)
    except OSError as error:
        raise KeyProblem(f"The key folder {folder} cannot be written to: {error.strerror}.") from None


def _lock(file: TextIO, *, wait: bool) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
