"""The service token: one for all workers, because iMIS kills the old token of a user when it gives a new one (facts on iMIS 2.4).

Within a process a lock, between workers a lease in the store, see to it that one asks and all others take what came (F14).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from idp.clock import Now
from idp.directory import DirectoryUnavailable
from idp.directory.deadline import Deadline, TooLate
from idp.directory.imis_http import Call, ImisHttp
from idp.directory.settings import ImisRestSettings
from idp.secret import Secret, digest, new_id
from idp.store import Store, StoreUnavailable

_MARGIN = 60  # seconds before its end at which a token is renewed, so that none ends on the way
_LOOK_AGAIN = 0.05  # seconds between two looks for the token that another worker fetches
# A refused service password is tried again only after this time: 4 tries in 10 minutes do not lock the account
# (5.7: 5 bad attempts, SEEN; their window, UNKNOWN, is 10 minutes in ASP.NET).
_HOLD_OFF = 180
_REFUSED = "iMIS refuses the service account: check service_username, service_password and its role RemoteService"
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")


@dataclass(frozen=True)
class _Token:
    secret: Secret
    renew_at: int


class ServiceToken:
    """The bearer token of the service account."""

    def __init__(self, settings: ImisRestSettings, http: ImisHttp, *, store: Store, now: Now) -> None:
        self._username = settings.service_username
        self._password = settings.service_password or Secret("")
        self._path = settings.token_path
        self._http = http
        self._store = store
        self._now = now
        self._lock = Lock()
        self._held: _Token | None = None
        context = f"imis_token:{self._username.casefold()}@{settings.base}"
        self._key = f"imis_token:{digest(context)[:32]}"
        self._seal = Seal(self._password, context)
        self._lease_seconds = int(2 * settings.call_timeout) + 5  # longer than a fetch and its retry can take

    def get(self, deadline: Deadline, *, rejected: Secret | None = None) -> Secret:
        """A token that is good as far as we know; not `rejected`, with which iMIS has just answered 401."""
        with self._one_at_a_time(deadline):
            if not self._usable(self._held, rejected):
                try:
                    self._held = self._shared(rejected) or self._renew(rejected, deadline)
                except StoreUnavailable as error:
                    raise DirectoryUnavailable(f"the store, where workers share iMIS's token: {error.received}") from None
            assert self._held is not None
            return self._held.secret

    @contextmanager
    def _one_at_a_time(self, deadline: Deadline) -> Iterator[None]:
        if not self._lock.acquire(timeout=deadline.left()):
            raise DirectoryUnavailable("POST /token: no token in time")
        try:
            yield
        finally:
            self._lock.release()

    def _usable(self, token: _Token | None, rejected: Secret | None) -> bool:
        return token is not None and token.renew_at > self._now() and token.secret != rejected

    def _shared(self, rejected: Secret | None) -> _Token | None:
        """What a worker left in the store. Raises DirectoryUnavailable if iMIS refused the account a short while ago."""
        stored = self._store.get("setting", self._key)
        record = self._seal.open(stored.record.get("sealed")) if stored else None
        if record is None:
            return None
        if record.get("refused"):
            raise DirectoryUnavailable(_REFUSED)
        token = _Token(Secret(str(record["token"])), int(record["renew_at"]))
        return token if self._usable(token, rejected) else None

    def _renew(self, rejected: Secret | None, deadline: Deadline) -> _Token:
        """Fetches a token, or waits for the worker that does."""
        lease = f"{self._key}:lease"
        while True:
            if self._store.put_new("setting", lease, {"owner": new_id()}, expires=self._now() + self._lease_seconds):
                try:
                    return self._shared(rejected) or self._fetch(deadline)
                finally:
                    self._store.delete("setting", lease)
            deadline.sleep(_LOOK_AGAIN)
            if token := self._shared(rejected):
                return token

    def _fetch(self, deadline: Deadline) -> _Token:
        """The password grant (2.1). Asked a second time only if no answer came: a refusal is never repeated."""
        form = {"grant_type": "password", "username": self._username, "password": self._password.reveal()}
        call = Call("POST /token", "POST", self._path, form=form)
        try:
            reply = self._http.send(call, token=None, deadline=deadline)
        except TooLate:
            raise
        except DirectoryUnavailable:
            reply = self._http.send(call, token=None, deadline=deadline)
        if reply.status in (400, 401):  # 2.2: never look at the text
            self._share({"refused": True}, self._now() + _HOLD_OFF)
            raise DirectoryUnavailable(_REFUSED)
        token, life = _read_token(reply.status, reply.body)
        fresh = _Token(token, self._now() + max(life - _MARGIN, life // 2))
        self._share({"token": token.reveal(), "renew_at": fresh.renew_at}, self._now() + life)
        return fresh

    def _share(self, record: dict[str, Any], expires: int) -> None:
        self._store.put("setting", self._key, {"sealed": self._seal.close(record)}, expires=expires)


def _read_token(status: int, body: Any) -> tuple[Secret, int]:
    """The token and its life in seconds, from the answer of 2.1."""
    if status != 200 or not isinstance(body, dict):
        raise DirectoryUnavailable(f"POST /token: status {status} without a token")
    token, life = body.get("access_token"), body.get("expires_in")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise DirectoryUnavailable("POST /token: an answer without access_token")
    if isinstance(life, bool) or not isinstance(life, (int, float, str)):
        raise DirectoryUnavailable("POST /token: an answer without expires_in")
    try:
        return Secret(token), max(int(life), 1)
    except (ValueError, OverflowError):
        raise DirectoryUnavailable("POST /token: expires_in is not a number") from None


class Seal:
    """Seals what workers share: the store must be able to give the token back, and must not hold it in the clear.

    The key is made from the service password, which every worker has and the store has not; `context` keeps two accounts apart.
    scrypt rather than HKDF, because people choose such passwords: a stolen database must not let them be guessed fast.
    """

    def __init__(self, password: Secret, context: str) -> None:
        key = hashlib.scrypt(password.reveal().encode(), salt=context.encode(), n=2**14, r=8, p=1, maxmem=64 * 1024 * 1024, dklen=32)
        self._fernet = Fernet(base64.urlsafe_b64encode(key))

    def close(self, record: dict[str, Any]) -> str:
        return self._fernet.encrypt(json.dumps(record).encode()).decode()

    def open(self, sealed: object) -> dict[str, Any] | None:
        """The record; None if it was sealed with another password, as before a change of it, or is not ours at all."""
        if not isinstance(sealed, str):
            return None
        try:
            record = json.loads(self._fernet.decrypt(sealed.encode()))
        except (InvalidToken, ValueError):
            return None
        return record if isinstance(record, dict) else None
