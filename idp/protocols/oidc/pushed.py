"""Pushed authorization requests (RFC 9126): the client leaves its request with us, and the browser brings a reference alone.

The reference lives a minute, in which it may be brought again: a page that is loaded anew before the member has signed in must not
burn it. It is spent when its answer is made.
"""

from __future__ import annotations

from idp.clock import Now
from idp.protocols.oidc.parameter import Parameters
from idp.secret import digest, new_secret
from idp.store import Store

PREFIX = "urn:ietf:params:oauth:request_uri:"
LIFE = 60  # seconds (G-S6; FAPI 2.0 §5.3.2.2 asks for less than 600)


class PushedRequests:
    """The requests that wait for their browser. Of a reference the store keeps SHA-256 alone."""

    def __init__(self, store: Store, *, now: Now) -> None:
        self._store = store
        self._now = now

    def keep(self, client_id: str, parameters: Parameters) -> str:
        """The reference for the client."""
        uri = PREFIX + new_secret()
        lists = {name: list(values) for name, values in parameters.lists.items()}
        record = {"client_id": client_id, "values": dict(parameters.values), "lists": lists}
        self._store.put("pushed", digest(uri), record, expires=self._now() + LIFE)
        return uri

    def find(self, uri: str, client_id: str) -> Parameters | None:
        """The request that this client left; None when there is none, or no more."""
        stored = self._store.get("pushed", digest(uri))
        if stored is None or stored.record["client_id"] != client_id:
            return None
        lists = {name: tuple(values) for name, values in stored.record["lists"].items()}
        return Parameters(stored.record["values"], frozenset(), lists)

    def spend(self, uri: str) -> None:
        """It has been answered."""
        self._store.delete("pushed", digest(uri))
