"""Our signing keys: a folder of key files and `ring.json`, which says of each whether it is next, current or retired.

All protocols sign with the current key and publish the others beside it, so that a change of key surprises nobody (S38).
Keys are parsed once; a ring that was changed by `idp keys rotate` is seen by running workers within a second.
"""

from __future__ import annotations

import base64
import datetime
import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from idp.clock import Now, utc_now
from idp.errors import IdpError
from idp.settings import PathSetting, Settings

_log = logging.getLogger("idp")
State = Literal["next", "current", "retired"]
_CERTIFICATE_DAYS = 3650  # long-lived and self-signed, as SDP-MD05 suggests: only the key counts
_LOOK_AGAIN = 1.0  # seconds between two looks at ring.json


class KeySettings(Settings):
    """[keys]: where the signing keys lie, and how large new ones are."""

    folder: PathSetting = Path("keys")
    """Folder of the signing keys; readable by the server's user alone."""
    rsa_bits: int = 2048
    """Size of a new RSA key: 2048, 3072 or 4096 (SDP-MD06). Larger keys sign more slowly."""


class KeyProblem(IdpError):
    """The key folder cannot be used; the sentence says the fix."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__("keys.unusable", message)


@dataclass(frozen=True)
class SigningKey:
    """A private RSA key with its self-signed certificate; `kid` is the RFC 7638 thumbprint of the public key."""

    kid: str
    private: rsa.RSAPrivateKey
    certificate: x509.Certificate
    state: State
    created: int

    def sign(self, message: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256: RS256 in JOSE, rsa-sha256 in XML signatures."""
        return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())

    @property
    def certificate_base64(self) -> str:
        """The DER certificate in base64, one line, as ds:X509Certificate wants it."""
        return base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()

    def jwt(self, claims: Mapping[str, Any], *, type: str) -> str:
        """A JWS in compact form (RFC 7515), RS256; `type` is its `typ` header, so that no token passes for another kind (S37)."""
        header = {"alg": "RS256", "kid": self.kid, "typ": type}
        message = f"{_json_base64url(header)}.{_json_base64url(claims)}"
        return f"{message}.{_base64url(self.sign(message.encode()))}"

    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 7517)."""
        return {**_rsa_jwk(self.private.public_key()), "kid": self.kid, "use": "sig", "alg": "RS256"}


class KeyRing:
    """The keys of one folder. Threads and processes may share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._keys: tuple[SigningKey, ...] = ()
        self._stamp: tuple[int, int] | None = None
        self._looked = float("-inf")
        self._problem = ""
        self._pairwise_secret: bytes | None = None

    @property
    def current(self) -> SigningKey:
        """The key that signs now."""
        for key in self.keys():
            if key.state == "current":
                return key
        raise KeyProblem(f"There is no current signing key in {self._folder}. Run: idp keys create")

    @property
    def published(self) -> tuple[SigningKey, ...]:
        """Every key that a signature seen today or tomorrow may come from: current first, then next, then retired."""
        order = {"current": 0, "next": 1, "retired": 2}
        return tuple(sorted(self.keys(), key=lambda key: (order[key.state], -key.created)))

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK set of all published keys."""
        return {"keys": [key.jwk() for key in self.published]}

    def by_kid(self, kid: str) -> SigningKey | None:
        return next((key for key in self.keys() if key.kid == kid), None)

    def keys(self) -> tuple[SigningKey, ...]:
        """All keys; read again when ring.json has changed. One that went bad under a running server changes nothing there (F20)."""
        if time.monotonic() - self._looked < _LOOK_AGAIN:
            return self._keys
        with self._lock:
            try:
                self._read()
            except KeyProblem as problem:
                if not self._keys:
                    raise
                self._complain(problem.message)
            self._looked = time.monotonic()
            return self._keys

    def _read(self) -> None:
        stamp = _stamp(self._folder)
        if stamp == self._stamp:
            return
        keys = _read_ring(self._folder)
        if self._keys and not any(key.state == "current" for key in keys):
            raise KeyProblem(f"{self._folder} has no current signing key any more.")
        self._keys, self._stamp, self._problem = keys, stamp, ""

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            _log.warning("%s The keys that were read before go on serving.", problem)
            self._problem = problem

    def pairwise(self, *names: str) -> str:
        """An identifier that is always the same for these names and tells nothing of them: base32 in lower case, so that it
        never differs from another by case alone (IIP-IDP21). Its secret lies beside the keys, and is made when it is first needed."""
        if self._pairwise_secret is None:
            self._pairwise_secret = _read_or_make_secret(self._folder)
        message = b"".join(len(name.encode()).to_bytes(4, "big") + name.encode() for name in names)
        return base64.b32encode(hmac.digest(self._pairwise_secret, message, "sha256")).decode().rstrip("=").lower()

    def create(self, *, bits: int = 2048, common_name: str = "imis-idp", now: Now = utc_now) -> SigningKey:
        """Makes the first key; refuses when there is a current one (rotate replaces it)."""
        with _locked(self._folder):
            if any(key.state == "current" for key in _read_ring(self._folder)):
                raise KeyProblem(f"{self._folder} has a current signing key already. To replace it run: idp keys rotate")
            key = _new_key(self._folder, "current", bits, common_name, now)
            _write_ring(self._folder, [*_read_ring(self._folder), key])
        return self._fresh(key.kid)

    def create_if_empty(self, *, bits: int = 2048, common_name: str = "imis-idp", now: Now = utc_now) -> SigningKey | None:
        """Makes the first key if the folder has none at all; None if it has. Two processes may try at once."""
        with _locked(self._folder):
            if _read_ring(self._folder):
                return None
            key = _new_key(self._folder, "current", bits, common_name, now)
            _write_ring(self._folder, [key])
        return self._fresh(key.kid)

    def rotate(self, *, bits: int = 2048, common_name: str = "imis-idp", now: Now = utc_now) -> SigningKey:
        """Retires the current key and makes the next one current, or a new one where none is prepared; then prepares another next."""
        with _locked(self._folder):
            keys = list(_read_ring(self._folder))
            if not any(key.state == "current" for key in keys):
                raise KeyProblem(f"There is no current signing key in {self._folder}. Run: idp keys create")
            chosen = next((key for key in keys if key.state == "next"), None)
            if chosen is None:
                chosen = _new_key(self._folder, "next", bits, common_name, now)
                keys.append(chosen)
            moved = [_with_state(key, _after_rotation(key, chosen)) for key in keys]
            moved.append(_new_key(self._folder, "next", bits, common_name, now))
            _write_ring(self._folder, moved)
        return self._fresh(chosen.kid)

    def _fresh(self, kid: str) -> SigningKey:
        with self._lock:
            self._stamp = None
            self._read()
        key = next((key for key in self._keys if key.kid == kid), None)
        assert key is not None  # it was written under the folder's lock a moment ago, and nothing removes keys
        return key


def _after_rotation(key: SigningKey, chosen: SigningKey) -> State:
    if key.kid == chosen.kid:
        return "current"
    return "retired" if key.state == "current" else key.state


def _with_state(key: SigningKey, state: State) -> SigningKey:
    return SigningKey(key.kid, key.private, key.certificate, state, key.created)


def _rsa_jwk(public: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = public.public_numbers()
    return {"kty": "RSA", "n": _number_base64url(numbers.n), "e": _number_base64url(numbers.e)}


def _number_base64url(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _json_base64url(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _thumbprint(public: rsa.RSAPublicKey) -> str:
    """RFC 7638: SHA-256 over the required members in lexical order."""
    canonical = json.dumps(_rsa_jwk(public), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _new_key(folder: Path, state: State, bits: int, common_name: str, now: Now) -> SigningKey:
    if bits not in (2048, 3072, 4096):
        raise KeyProblem("An RSA key has 2048, 3072 or 4096 bits (SDP-MD06).")
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    created = datetime.datetime.fromtimestamp(now(), datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(created - datetime.timedelta(days=1))
        .not_valid_after(created + datetime.timedelta(days=_CERTIFICATE_DAYS))
        .sign(private, hashes.SHA256())
    )
    key = SigningKey(_thumbprint(private.public_key()), private, certificate, state, now())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    _write_private(folder / f"{key.kid}.pem", pem)
    return key


def _read_or_make_secret(folder: Path) -> bytes:
    """Lost, it would make every member a stranger to every client that knows them by a pairwise identifier: back it up with the keys."""
    path = folder / "pairwise.secret"
    if not path.exists():  # looked at first without the lock: where the folder is mounted for reading alone there can be none
        with _locked(folder):
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


def _write_ring(folder: Path, keys: list[SigningKey]) -> None:
    ring = [{"kid": key.kid, "state": key.state, "created": key.created} for key in keys]
    _write_private(folder / "ring.json", json.dumps(ring, indent=2).encode())


def _stamp(folder: Path) -> tuple[int, int] | None:
    """Changes whenever ring.json is replaced; None while there is none."""
    path = folder / "ring.json"
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}.") from None
    return status.st_mtime_ns, status.st_ino


def _read_ring(folder: Path) -> tuple[SigningKey, ...]:
    path = folder / "ring.json"
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        described = [(str(entry["kid"]), _state(entry["state"]), int(entry["created"])) for entry in entries]
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise KeyProblem(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise KeyProblem(f"{path} is not a list of keys, each with kid, state and created. Restore the folder from a backup.") from None
    return tuple(_read_key(folder, kid, state, created) for kid, state, created in described)


def _state(text: object) -> State:
    for state in get_args(State):
        if text == state:
            return cast(State, state)
    raise ValueError("not a state")


def _read_key(folder: Path, kid: str, state: State, created: int) -> SigningKey:
    path = folder / f"{kid}.pem"
    pem = _read_private(path)
    try:
        private = serialization.load_pem_private_key(pem, password=None)
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        raise KeyProblem(f"{path} is not a private key in PEM without a password, followed by its certificate.") from None
    if not isinstance(private, rsa.RSAPrivateKey):
        raise KeyProblem(f"The key in {path} is not an RSA key.")
    if _thumbprint(private.public_key()) != kid or certificate.public_key() != private.public_key():
        raise KeyProblem(f"{path} holds another key than its name says, or a certificate of another key.")
    return SigningKey(kid, private, certificate, state, created)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time changes the folder. Whatever the disk says no to is a KeyProblem."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(folder / ".lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise KeyProblem(f"The key folder {folder} cannot be written to: {error.strerror}.") from None
