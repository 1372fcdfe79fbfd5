"""A client's public keys: those of its settings, and those at its `jwks_uri`, fetched through the guarded door and kept in the store.

One fetch serves all workers for an hour. A `kid` that is not there makes us look again, since the client may have changed its keys
(`oidcc-refresh-token-rp-key-rotation`), but at most once in half a minute: otherwise anybody could have us knock at a client's door
as often as they like. While a client's server is away, what was read last is good for a day.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from joserfc.jwk import Key

from idp.clock import Now
from idp.errors import IdpError
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.jose import JwtRefused, read_keys
from idp.secret import digest
from idp.sso.client import Client
from idp.store import Store

Fetch = Callable[[str], bytes]
"""What is at a URL, by the guarded door. Raises IdpError."""

_FRESH = 3600  # seconds
_KEPT = 86400
_NOT_AGAIN = 30


class ClientKeys:
    """One for the process. Keys are parsed once for each document, because that is most of the work."""

    def __init__(self, store: Store, fetch: Fetch, *, now: Now) -> None:
        self._store = store
        self._fetch = fetch
        self._now = now
        self._parsed: dict[str, tuple[str, tuple[Key, ...]]] = {}

    def find(self, client: Client, header: Mapping[str, Any]) -> Sequence[Key]:
        """The keys that may have signed a JWT with this header: those of its `kid`, or all where it names none."""
        kid = header.get("kid")
        found = _of_kid(self.all(client), kid)
        if found or not settings_of(client).jwks_uri:
            return found
        return _of_kid(self.all(client, again=True), kid)

    def all(self, client: Client, *, again: bool = False) -> tuple[Key, ...]:
        """All keys of the client; with `again` its jwks_uri is asked, if that was not done just now."""
        settings = settings_of(client)
        if settings.jwks is not None:
            return self._parse(client.id, json.dumps(settings.jwks))
        return self._parse(client.id, self._document(settings.jwks_uri, again=again)) if settings.jwks_uri else ()

    def _document(self, url: str, *, again: bool) -> str:
        key = f"jwks:{digest(url)}"
        stored = self._store.get("document", key)
        is_fresh = stored is not None and stored.record["fetched"] > self._now() - _FRESH
        if stored is not None and is_fresh and not again:
            return str(stored.record["text"])
        known = str(stored.record["text"]) if stored else ""
        if not self._store.put_new("replay", key, {}, expires=self._now() + _NOT_AGAIN):
            return known  # it was asked a moment ago, or another worker is asking just now
        try:
            text = self._fetch(url).decode("utf-8", "replace")
            read_keys(_json(text))
        except (IdpError, JwtRefused):
            return known
        self._store.put("document", key, {"text": text, "fetched": self._now()}, expires=self._now() + _KEPT)
        return text

    def _parse(self, client_id: str, text: str) -> tuple[Key, ...]:
        known, keys = self._parsed.get(client_id, ("", ()))
        if known != text:
            try:
                keys = read_keys(_json(text))
            except JwtRefused:
                keys = ()
            self._parsed[client_id] = (text, keys)
        return keys


def _of_kid(keys: Sequence[Key], kid: object) -> Sequence[Key]:
    return keys if kid is None else [key for key in keys if key.kid == kid]


def _json(text: str) -> object:
    try:
        return json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
