"""Our signing keys: a folder of key files and `ring.json`, which says of each whether it is next, current or retired.

SAML and everything else change keys each in its own time, from one folder: a key stands for itself in each of the two uses.
The current key signs and the others are published beside it, so that a change of key surprises nobody (S38): `publish` the next
one, `activate` it when vendors have had time to fetch it, `retire` the old one. A retired key is dropped by itself after its time.
Keys are parsed once; a ring that was changed, by `idp keys rotate` or by the calendar (`calendar.py`), is seen by running workers within
a second.
"""

from __future__ import annotations

import base64
import hmac
import logging
import threading
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from idp.clock import Now, utc_now
from idp.keys.folder import USES, Entry, Standing, locked, new_entry, read_or_make_secret, read_ring, remove_file, stamp, write_ring
from idp.keys.key import AnyKey, EdwardsKey, EllipticKey, EveryKey, KeyProblem, Kind, SigningKey, State, Use
from idp.keys.rollover import activated, standing_in, without_retired
from idp.settings import Duration, PathSetting, Settings

__all__ = [
    "USES",
    "AnyKey",
    "EdwardsKey",
    "EllipticKey",
    "EveryKey",
    "KeyProblem",
    "KeyRing",
    "KeySettings",
    "Kind",
    "SigningKey",
    "State",
    "Use",
]

_log = logging.getLogger("idp")
_LOOK_AGAIN = 1.0  # seconds between two looks at ring.json
_RETIRED_LIFE = 30 * 86400
_ORDER: dict[State, int] = {"current": 0, "next": 1, "retired": 2}


class KeySettings(Settings):
    """[keys]: where the signing keys lie, and how large new ones are."""

    folder: PathSetting = Path("keys")
    """Folder of the signing keys; readable by the server's user alone."""
    rsa_bits: int = 2048
    """Size of a new RSA key: 2048, 3072 or 4096 (SDP-MD06). Larger keys sign more slowly."""
    retired_life: Duration = _RETIRED_LIFE
    """How long a key that was replaced is still published. `idp keys rotate ... --retire` drops it earlier."""
    calendar: tuple[Use, ...] = ()
    """Whose keys change by themselves: ["oidc"] for all that is verified by our JWK set. "saml" may stand here, too, and then waits with
    each change until every application has fetched the next key. All instances must share the folder, and be able to write to it."""
    current_life: Duration = 90 * 86400
    """How long a key signs, where [keys] calendar changes it."""
    next_life: Duration = 7 * 86400
    """How long the next key is published at least before the calendar lets it sign. Vendors may keep our JWK set for five minutes."""


class KeyRing:
    """The keys of one folder, as they stand for one use. Threads and processes may share the folder."""

    def __init__(self, folder: Path, *, use: Use = "oidc", retired_life: int = _RETIRED_LIFE, now: Now = utc_now) -> None:
        self.use = use
        self._folder = folder
        self._retired_life = retired_life
        self._now = now
        self._lock = threading.Lock()
        self._entries: tuple[Entry, ...] = ()
        self._every: tuple[EveryKey, ...] = ()
        self._keys: tuple[SigningKey, ...] = ()
        self._stamp: tuple[int, int] | None = None
        self._looked = float("-inf")
        self._problem = ""
        self._pairwise_secret: bytes | None = None

    def of(self, use: Use) -> KeyRing:
        """The same folder for another use."""
        return KeyRing(self._folder, use=use, retired_life=self._retired_life, now=self._now)

    @property
    def current(self) -> SigningKey:
        """The RSA key that signs now."""
        for key in self.keys():
            if key.state == "current":
                return key
        raise KeyProblem(f"There is no current signing key in {self._folder}. Run: idp keys create")

    @property
    def published(self) -> tuple[SigningKey, ...]:
        """Every RSA key that a signature seen today or tomorrow may come from: current first, then next, then retired."""
        return tuple(sorted(self.keys(), key=_rank))

    @property
    def elliptic(self) -> tuple[EllipticKey, ...]:
        """The elliptic curve keys, in the same order; none, unless the operator made some."""
        self.keys()
        return tuple(sorted((each for each in self._every if isinstance(each, EllipticKey)), key=_rank))

    @property
    def every(self) -> tuple[EveryKey, ...]:
        """All published keys of whatever kind: RSA first, and of each kind in the same order."""
        self.keys()
        others = [each for each in self._every if not isinstance(each, SigningKey)]
        return (*self.published, *sorted(others, key=_rank))

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The JWK set of all published keys."""
        return {"keys": [key.jwk() for key in self.every]}

    def by_kid(self, kid: str) -> SigningKey | None:
        return next((key for key in self.keys() if key.kid == kid), None)

    def named(self, kid: str) -> AnyKey:
        """Any key of the folder that signs XML, in use or not any more: a client's settings may name it. Raises KeyProblem."""
        key = self._known(kid)
        if isinstance(key, EdwardsKey):
            raise KeyProblem(f"The key {kid} signs tokens alone. Run: idp keys list")
        return key

    def _known(self, kid: str) -> EveryKey:
        self.keys()
        for entry in self._entries:
            if entry.kid == kid:
                return _key(entry, entry.standings.get(self.use) or Standing("retired", entry.created))
        raise KeyProblem(f"There is no key {kid} in {self._folder}. Run: idp keys list")

    def decrypting(self) -> tuple[rsa.RSAPrivateKey, ...]:
        """Every RSA key there is: what was encrypted for an old one can still be read."""
        self.keys()
        return tuple(each.private for each in self._entries if isinstance(each.private, rsa.RSAPrivateKey))

    def keys(self) -> tuple[SigningKey, ...]:
        """The RSA keys of this use; read again when ring.json has changed, or a retired one's time is over. A folder that went bad under a
        running server changes nothing there (F20)."""
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
        seen = stamp(self._folder)
        entries = self._entries if seen == self._stamp else read_ring(self._folder)
        every = tuple(_key(each, each.standings[self.use]) for each in entries if self._is_alive(each))
        keys = tuple(each for each in every if isinstance(each, SigningKey))
        if self._keys and not any(key.state == "current" for key in keys):
            raise KeyProblem(f"{self._folder} has no current signing key any more.")
        if entries is not self._entries or [each.kid for each in every] != [each.kid for each in self._every]:
            self._entries, self._every, self._keys = entries, every, keys
        self._stamp, self._problem = seen, ""

    def _is_alive(self, entry: Entry) -> bool:
        standing = entry.standings.get(self.use)
        return standing is not None and (standing.state != "retired" or self._now() - standing.since < self._retired_life)

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            _log.warning("%s The keys that were read before go on serving.", problem)
            self._problem = problem

    def pairwise(self, *names: str) -> str:
        """An identifier that is always the same for these names and tells nothing of them: base32 in lower case, so that it
        never differs from another by case alone (IIP-IDP21). Its secret lies beside the keys, and is made when it is first needed."""
        if self._pairwise_secret is None:
            self._pairwise_secret = read_or_make_secret(self._folder)
        message = b"".join(len(name.encode()).to_bytes(4, "big") + name.encode() for name in names)
        return base64.b32encode(hmac.digest(self._pairwise_secret, message, "sha256")).decode().rstrip("=").lower()

    def create(self, *, bits: int = 2048, common_name: str = "imis-idp", now: Now | None = None) -> SigningKey:
        """Makes the first key, for all uses; refuses when there is a current one (rotate replaces it)."""
        with locked(self._folder):
            entries = read_ring(self._folder)
            if any(standing.state == "current" for each in entries for standing in each.standings.values()):
                raise KeyProblem(f"{self._folder} has a current signing key already. To replace it run: idp keys rotate")
            made = self._new("rsa", "current", USES, bits=bits, common_name=common_name, at=self._at(now))
            write_ring(self._folder, [*entries, made])
        return self._fresh(made.kid)

    def create_if_empty(self, *, bits: int = 2048, common_name: str = "imis-idp", now: Now | None = None) -> SigningKey | None:
        """Makes the first key if the folder has none at all; None if it has. Two processes may try at once."""
        with locked(self._folder):
            if read_ring(self._folder):
                return None
            made = self._new("rsa", "current", USES, bits=bits, common_name=common_name, at=self._at(now))
            write_ring(self._folder, [made])
        return self._fresh(made.kid)

    def publish(
        self,
        kind: Kind = "rsa",
        *,
        uses: Sequence[Use] | None = None,
        bits: int = 2048,
        common_name: str = "imis-idp",
        now: Now | None = None,
    ) -> EveryKey:
        """Prepares the next key, for this use or those given; one that is prepared already stays the next."""
        uses = uses or (self.use,)
        with locked(self._folder):
            entries = list(read_ring(self._folder))
            lacking = [use for use in uses if standing_in(entries, "next", use, kind) is None]
            if lacking:
                entries.append(self._new(kind, "next", lacking, bits=bits, common_name=common_name, at=self._at(now)))
                write_ring(self._folder, entries)
            chosen = standing_in(entries, "next", uses[0], kind)
        assert chosen is not None  # it was there, or was made
        return self._reread()._known(chosen.kid)

    def activate(self, kind: Kind = "rsa", *, now: Now | None = None) -> EveryKey:
        """The next key signs from now on, and the one that it replaces is retired. Raises KeyProblem when none is prepared."""
        with locked(self._folder):
            entries = read_ring(self._folder)
            chosen = standing_in(entries, "next", self.use, kind)
            if chosen is None:
                raise KeyProblem(f"No next key is published. Run first: idp keys rotate {self.use} --publish{_option(kind)}")
            write_ring(self._folder, activated(entries, chosen, self.use, now=self._at(now)))
        return self._reread()._known(chosen.kid)

    def retire(self, *, keep: Collection[str] = ()) -> tuple[str, ...]:
        """Drops the retired keys of this use, and the file of each that has no other use and no client names (`keep`); their kids."""
        with locked(self._folder):
            before = read_ring(self._folder)
            left, gone = without_retired(before, self.use, keep=keep)
            write_ring(self._folder, left)
            for each in gone:
                remove_file(self._folder, each.kid)
        self._reread()
        return tuple(each.kid for each in before if (standing := each.standings.get(self.use)) and standing.state == "retired")

    def rotate(self, *, bits: int = 2048, common_name: str = "imis-idp", now: Now | None = None) -> SigningKey:
        """For all uses at once: retires the current key and makes the next one current, or a new one where none is prepared; then prepares
        another next."""
        at = self._at(now)
        with locked(self._folder):
            entries = list(read_ring(self._folder))
            if any(standing_in(entries, "current", use, "rsa") is None for use in USES):
                raise KeyProblem(f"There is no current signing key in {self._folder}. Run: idp keys create")
            lacking = [use for use in USES if standing_in(entries, "next", use, "rsa") is None]
            if lacking:
                entries.append(self._new("rsa", "next", lacking, bits=bits, common_name=common_name, at=at))
            for use in USES:
                chosen = standing_in(entries, "next", use, "rsa")
                assert chosen is not None  # it was there, or was made
                entries = activated(entries, chosen, use, now=at)
            entries.append(self._new("rsa", "next", USES, bits=bits, common_name=common_name, at=at))
            write_ring(self._folder, entries)
        self._reread()
        return self.current

    def _new(self, kind: Kind, state: State, uses: Sequence[Use], *, bits: int, common_name: str, at: int) -> Entry:
        standings = dict.fromkeys(uses, Standing(state, at))
        return new_entry(self._folder, kind, standings, bits=bits, common_name=common_name, created=at)

    def _at(self, now: Now | None) -> int:
        return (now or self._now)()

    def _fresh(self, kid: str) -> SigningKey:
        key = self._reread().by_kid(kid)
        assert key is not None  # it was written under the folder's lock a moment ago
        return key

    def _reread(self) -> KeyRing:
        with self._lock:
            self._stamp = None
            self._read()
        return self


def _rank(key: EveryKey) -> tuple[int, int]:
    return _ORDER[key.state], -key.created


def _option(kind: Kind) -> str:
    return "" if kind == "rsa" else f" --kind {kind}"


def _key(entry: Entry, standing: Standing) -> EveryKey:
    every = (entry.kid, entry.certificate, standing.state, entry.created, standing.since)
    if isinstance(entry.private, rsa.RSAPrivateKey):
        return SigningKey(*every, entry.private)
    if isinstance(entry.private, Ed25519PrivateKey):
        return EdwardsKey(*every, entry.private)
    return EllipticKey(*every, entry.private)
