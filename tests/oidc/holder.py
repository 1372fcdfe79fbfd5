"""A relying party's side of keys: what it signs, and what it publishes. joserfc does it, as it would in a vendor's own server."""

from __future__ import annotations

import base64
import datetime
import warnings
from collections.abc import Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID
from joserfc import jws, jwt
from joserfc.jwk import JWKRegistry, Key

from .wiring import URL, World

_KINDS: dict[str, tuple[str, str | int]] = {
    "RS256": ("RSA", 2048),
    "PS256": ("RSA", 2048),
    "ES256": ("EC", "P-256"),
    "EdDSA": ("OKP", "Ed25519"),
    "HS256": ("oct", 256),
}


class Holder:
    """One key of a relying party."""

    def __init__(self, alg: str = "ES256", kid: str = "k1", *, key: Key | None = None) -> None:
        kind, size = _KINDS[alg]
        self.alg = alg
        self.kid = kid
        self.key = key or JWKRegistry.generate_key(kind, size, {"kid": kid})

    @property
    def public(self) -> dict[str, Any]:
        return {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig"}

    @property
    def jwks(self) -> dict[str, Any]:
        return {"keys": [self.public]}

    def sign(self, claims: Mapping[str, Any], **header: Any) -> str:
        """A JWT; a header of None is left out."""
        own = {"alg": self.alg, "kid": self.kid, **header}
        fields = {name: value for name, value in own.items() if value is not None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joserfc's remark on the name EdDSA
            registry = jws.JWSRegistry(algorithms=[str(own["alg"])], strict_check_header=False)
            registry.max_header_length = 8192
            return jwt.encode(fields, dict(claims), self.key, registry=registry, default_type=None)

    def assertion(
        self, world: World, client: str = "rp", *, name: str = "one", header: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        """A client assertion that is good; None leaves a claim out."""
        now = world.now()
        own = {"iss": client, "sub": client, "aud": URL, "iat": now, "exp": now + 60, "jti": name}
        return self.sign({key: value for key, value in {**own, **changes}.items() if value is not None}, **(header or {}))

    def certificate(self, subject: str = "rp.example.org", *, san: str = "") -> bytes:
        """DER of a self-signed certificate of this key."""
        private = self.key.private_key
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        start = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())  # type: ignore[union-attr,arg-type]
        builder = builder.serial_number(7).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=9999))
        if san:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(san)]), critical=False)
        return builder.sign(private, hashes.SHA256()).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]


def rfc_9440(certificate: bytes) -> str:
    """As a proxy passes a certificate on."""
    return f":{base64.b64encode(certificate).decode()}:"
