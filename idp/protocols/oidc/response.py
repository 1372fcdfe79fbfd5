"""The answer of the authorization endpoint, in the mode that was asked for: query, fragment or form_post, plain or signed (JARM)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from idp.clock import Now
from idp.protocols.oidc.signing import Signer
from idp.sso.answer import Answer, FormPost, Redirect
from idp.sso.client import Client

_JARM_LIFE = 600  # seconds (JARM §2.1: ten minutes at most)


class Responses:
    """Builds answers."""

    def __init__(self, issuer: str, signer: Signer, *, now: Now) -> None:
        self._issuer = issuer
        self._signer = signer
        self._now = now

    def make(self, client: Client | None, back: Mapping[str, Any], told: Mapping[str, Any]) -> Answer:
        """`back` is where and how, as it was settled when the request was read; `told` are the parameters without `iss`."""
        mode, signed = str(back["response_mode"]).partition(".")[::2]
        fields = {name: " ".join(value) if isinstance(value, list) else str(value) for name, value in told.items()}
        if signed and client is not None:
            fields = {"response": self._signed(client, fields)}
        else:
            fields["iss"] = self._issuer  # RFC 9207 (S4); JARM has its own inside
        uri = str(back["redirect_uri"])
        if mode == "form_post":
            return FormPost(uri, fields)
        separator = "#" if mode == "fragment" else "&" if "?" in uri else "?"
        return Redirect(f"{uri}{separator}{urlencode(fields)}")

    def _signed(self, client: Client, fields: Mapping[str, str]) -> str:
        """JARM §2.1, §2.2."""
        claims = {"iss": self._issuer, "aud": client.id, "exp": self._now() + _JARM_LIFE, **fields}
        return self._signer.for_response(client, claims)
