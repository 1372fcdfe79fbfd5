"""What a signing key is: private key, self-signed certificate, and where it stands in the life of the ring."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from idp.errors import IdpError

State = Literal["next", "current", "retired"]
Use = Literal["saml", "oidc"]
"""Who signs with it: SAML, whose keys vendors pin and fetch slowly; or everything else, whose vendors read the JWK set."""
Kind = Literal["rsa", "p-256", "p-384", "ed25519"]

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey
_CURVES: Mapping[Kind, ec.EllipticCurve] = {"p-256": ec.SECP256R1(), "p-384": ec.SECP384R1()}
_JOSE_CURVES: Mapping[Kind, str] = {"p-256": "P-256", "p-384": "P-384"}
_CERTIFICATE_DAYS = 3650  # long-lived and self-signed, as SDP-MD05 suggests: only the key counts


class KeyProblem(IdpError):
    """The key folder cannot be used; the sentence says the fix."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__("keys.unusable", message)


@dataclass(frozen=True)
class Certified:
    """What all keys have. `kid` is the RFC 7638 thumbprint of the public key; `since` is when it came to its state."""

    kid: str
    certificate: x509.Certificate
    state: State
    created: int
    since: int

    @property
    def certificate_base64(self) -> str:
        """The DER certificate in base64, one line, as ds:X509Certificate wants it."""
        return base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()


@dataclass(frozen=True)
class SigningKey(Certified):
    """A private RSA key."""

    private: rsa.RSAPrivateKey

    @property
    def size(self) -> int:
        """In bits."""
        return self.private.key_size

    def sign(self, message: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256: RS256 in JOSE, rsa-sha256 in XML signatures."""
        return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def jwt(self, claims: Mapping[str, Any], *, type: str) -> str:
        """A JWS in compact form (RFC 7515), RS256; `type` is its `typ` header, so that no token passes for another kind (S37)."""
        return _compact({"alg": "RS256", "kid": self.kid, "typ": type}, claims, self.sign)

    def jwt_pss(self, claims: Mapping[str, Any], *, type: str) -> str:
        """The same with PS256 (RFC 7518 §3.5)."""
        return _compact({"alg": "PS256", "kid": self.kid, "typ": type}, claims, self._sign_pss)

    def _sign_pss(self, message: bytes) -> bytes:
        return self.private.sign(message, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH), hashes.SHA256())

    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 7517). It has no `alg`, because it signs RS256 and PS256."""
        return {**_jwk(self.private.public_key()), "kid": self.kid, "use": "sig"}


@dataclass(frozen=True)
class EllipticKey(Certified):
    """A private key on P-256 or P-384, for applications that want ECDSA."""

    private: ec.EllipticCurvePrivateKey

    @property
    def size(self) -> int:
        """In bits."""
        return self.private.key_size

    def jwt(self, claims: Mapping[str, Any], *, type: str) -> str:
        """A JWS with ES256; only a key on P-256 makes one."""
        return _compact({"alg": "ES256", "kid": self.kid, "typ": type}, claims, self._sign)

    def _sign(self, message: bytes) -> bytes:
        """RFC 7518 §3.4: both numbers, each as long as the curve."""
        numbers = decode_dss_signature(self.private.sign(message, ec.ECDSA(hashes.SHA256())))
        return b"".join(number.to_bytes((self.private.key_size + 7) // 8, "big") for number in numbers)

    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key."""
        return {**_jwk(self.private.public_key()), "kid": self.kid, "use": "sig", "alg": f"ES{self.private.key_size}"}


@dataclass(frozen=True)
class EdwardsKey(Certified):
    """A private Ed25519 key, for clients of tokens; no SAML product of the market knows it."""

    private: Ed25519PrivateKey

    @property
    def size(self) -> int:
        """In bits."""
        return 256

    def jwt(self, claims: Mapping[str, Any], *, type: str) -> str:
        """A JWS with EdDSA (RFC 8037)."""
        return _compact({"alg": "EdDSA", "kid": self.kid, "typ": type}, claims, self.private.sign)

    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key."""
        return {**_jwk(self.private.public_key()), "kid": self.kid, "use": "sig", "alg": "EdDSA"}


AnyKey = SigningKey | EllipticKey
"""What signs XML."""
EveryKey = AnyKey | EdwardsKey
"""What signs tokens."""


def kind_of(private: PrivateKey) -> Kind | None:
    """None for a curve that is not ours."""
    if isinstance(private, rsa.RSAPrivateKey):
        return "rsa"
    if isinstance(private, Ed25519PrivateKey):
        return "ed25519"
    return next((kind for kind, curve in _CURVES.items() if curve.name == private.curve.name), None)


def generate(kind: Kind, *, bits: int) -> PrivateKey:
    """A new private key; `bits` is the size of an RSA one. Raises KeyProblem."""
    if kind == "ed25519":
        return Ed25519PrivateKey.generate()
    if kind != "rsa":
        return ec.generate_private_key(_CURVES[kind])
    if bits not in (2048, 3072, 4096):
        raise KeyProblem("An RSA key has 2048, 3072 or 4096 bits (SDP-MD06).")
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


def certify(private: PrivateKey, *, common_name: str, created: int) -> x509.Certificate:
    """A certificate over itself."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    begins = datetime.datetime.fromtimestamp(created, datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - datetime.timedelta(days=1))
        .not_valid_after(begins + datetime.timedelta(days=_CERTIFICATE_DAYS))
        .sign(private, None if isinstance(private, Ed25519PrivateKey) else hashes.SHA256())
    )


def thumbprint(public: PublicKey) -> str:
    """RFC 7638: SHA-256 over the required members in lexical order."""
    canonical = json.dumps(_jwk(public), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode()).digest())


def _jwk(public: PublicKey) -> dict[str, str]:
    """The members of RFC 7518 sections 6.2.1 and 6.3.1; coordinates are as long as the curve."""
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": _number_base64url(numbers.n), "e": _number_base64url(numbers.e)}
    if isinstance(public, Ed25519PublicKey):
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(public.public_bytes_raw())}
    point, length = public.public_numbers(), (public.key_size + 7) // 8
    curve = next((_JOSE_CURVES[kind] for kind, each in _CURVES.items() if each.name == public.curve.name), public.curve.name)
    return {"kty": "EC", "crv": curve, "x": _base64url(point.x.to_bytes(length, "big")), "y": _base64url(point.y.to_bytes(length, "big"))}


def _compact(header: Mapping[str, str], claims: Mapping[str, Any], sign: Callable[[bytes], bytes]) -> str:
    message = f"{_json_base64url(header)}.{_json_base64url(claims)}"
    return f"{message}.{_base64url(sign(message.encode()))}"


def _number_base64url(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _json_base64url(value: Mapping[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
