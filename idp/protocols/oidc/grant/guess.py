"""Guessing of client secrets: wrong ones are counted by client and network address; from some number on none is looked at for a while.

A right secret costs nothing: only a wrong one is written to the store. A process that has seen the limit passed remembers it until the
window ends, so that a right guess does not count any more either.
"""

from __future__ import annotations

import base64
import threading

from idp.audit import Audit
from idp.clock import Now
from idp.errors import Unavailable
from idp.protocols.oidc.assertion import issuer_of
from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.parameter import Parameters
from idp.sso.throttle import counter, network
from idp.store import Store

LIMIT = 30  # wrong secrets of one client from one network in a window; a deployment that went wrong is busy, but no guesser
WINDOW = 60  # seconds
_MOST = 10_000  # networks that one process remembers


class Guesses:
    """Counts them."""

    def __init__(self, store: Store, *, audit: Audit, now: Now) -> None:
        self._store = store
        self._audit = audit
        self._now = now
        self._lock = threading.Lock()
        self._shut: dict[str, int] = {}

    @property
    def any_shut(self) -> bool:
        """Whether anybody guessed too much of late: as long as nobody did, nobody has to be looked up."""
        return bool(self._shut)

    def admit(self, client_id: str, address: str) -> None:
        """Raises OAuthError when too much was guessed."""
        ends = self._shut.get(_key(client_id, address))
        if ends is not None and ends > self._now():
            raise _throttled(client_id, ends - self._now())

    def failed(self, client_id: str, address: str) -> None:
        """Takes down a wrong secret. Without the store the guess is wrong all the same."""
        key = _key(client_id, address)
        try:
            count = self._store.bump("throttle", key, 1, expires=self._now() + WINDOW)
        except Unavailable:
            return
        if count >= LIMIT:
            self._audit.record("client.throttled", client=client_id[:128], address=address)
            self._shut_until(key, self._now() + WINDOW)

    def _shut_until(self, key: str, ends: int) -> None:
        with self._lock:
            if len(self._shut) >= _MOST:
                self._shut = {each: end for each, end in self._shut.items() if end > self._now()}
            if len(self._shut) < _MOST:
                self._shut[key] = ends


def claimed_client(authorization: str, form: Parameters) -> str:
    """Whom the caller says to be, in whichever way; not proven."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id") or issuer_of(form.get("client_assertion"))
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
    except ValueError:
        return ""


def _key(client_id: str, address: str) -> str:
    return counter("client_secret", f"{client_id}|{network(address)}")


def _throttled(client_id: str, wait: int) -> OAuthError:
    error = OAuthError(
        "invalid_client", "client_throttled", "There were too many wrong secrets. Try again later.", status=429, client_id=client_id[:128]
    )
    error.retry_after = max(1, wait)
    return error
