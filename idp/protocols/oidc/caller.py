"""Caller: whoever calls a machine endpoint, as far as the transport tells of them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Caller:
    """`certificate` is the TLS client certificate (DER) of which a trusted proxy told us; `proofs` are the DPoP headers; `method` and
    `url` say what was called, by our public address and without a query."""

    authorization: str = field(default="", repr=False)
    proofs: tuple[str, ...] = field(default=(), repr=False)
    certificate: bytes = field(default=b"", repr=False)
    method: str = "POST"
    url: str = ""
