"""HTTP-Artifact: the browser carries a reference, and the application fetches the Response from us by SOAP (Bindings section 3.6)."""

from __future__ import annotations

import base64
import hashlib
import secrets
from urllib.parse import urlencode

from lxml import etree

from idp.clock import Now
from idp.protocols.saml.document import Element, parse
from idp.secret import digest
from idp.store import Store

_TYPE = b"\x00\x04"
_ENDPOINT = b"\x00\x00"  # the index of our one ArtifactResolutionService
_LIFE = 60


class Artifacts:
    """Responses that wait to be fetched, each once, for a minute, by the one it was made for. They go when their session ends (S94)."""

    def __init__(self, entity_id: str, *, store: Store, now: Now) -> None:
        # the standard's own use of SHA-1, to tell identity providers apart: nothing rests on it
        self._source = hashlib.sha1(entity_id.encode(), usedforsecurity=False).digest()
        self._store = store
        self._now = now

    def issue(self, client_id: str, session_id: str, message: Element) -> str:
        """The artifact that stands for the message (Bindings section 3.6.4.2): 160 bits of it are a secret."""
        artifact = base64.b64encode(_TYPE + _ENDPOINT + self._source + secrets.token_bytes(20)).decode()
        text = etree.tostring(message, encoding="utf-8").decode()
        # `family` and `data` as every ticket has them: whoever brings an artifact where tickets are redeemed is told no
        record = {"client_id": client_id, "session_id": session_id, "family": "", "data": {}, "message": text}
        self._store.put("ticket", _key(artifact), record, expires=self._now() + _LIFE)
        return artifact

    def resolve(self, artifact: str, client_id: str) -> Element | None:
        """The message, for the first who asks (S16); one that another application brings is spent too: it has leaked (V39)."""
        stored = self._store.take("ticket", _key(artifact))
        if stored is None or stored.record["client_id"] != client_id:
            return None
        return parse(stored.record["message"].encode())


def artifact_url(location: str, artifact: str, relay_state: str) -> str:
    """Where the browser brings the artifact."""
    query = urlencode({"SAMLart": artifact, **({"RelayState": relay_state} if relay_state else {})})
    return f"{location}{'&' if '?' in location else '?'}{query}"


def _key(artifact: str) -> str:
    return digest(f"saml|{artifact}")
