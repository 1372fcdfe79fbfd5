"""The signature algorithms that are accepted, as an allow-list, and verification with one public key.

SHA-1, MD5, HMAC and DSA have no line here, so there is nothing that could choose them (S53, V3, V16, IIP-ALG08).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from idp.errors import BadRequest

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA256 = _MORE + "rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

_DIGESTS = {SHA256: "sha256", _MORE + "sha384": "sha384", "http://www.w3.org/2001/04/xmlenc#sha512": "sha512"}
DIGEST_METHODS = tuple(_DIGESTS)


@dataclass(frozen=True)
class _Method:
    family: Literal["rsa", "ecdsa"]
    hash: hashes.HashAlgorithm


_METHODS = {
    RSA_SHA256: _Method("rsa", hashes.SHA256()),
    _MORE + "rsa-sha384": _Method("rsa", hashes.SHA384()),
    _MORE + "rsa-sha512": _Method("rsa", hashes.SHA512()),
    _MORE + "ecdsa-sha256": _Method("ecdsa", hashes.SHA256()),
    _MORE + "ecdsa-sha384": _Method("ecdsa", hashes.SHA384()),
    _MORE + "ecdsa-sha512": _Method("ecdsa", hashes.SHA512()),
}
SIGNATURE_METHODS = tuple(_METHODS)


def digest(algorithm: str, octets: bytes) -> bytes:
    """The digest of the octets. Raises BadRequest for an algorithm that is not on the list."""
    name = _DIGESTS.get(algorithm)
    if name is None:
        raise _not_allowed("digest", algorithm)
    return hashlib.new(name, octets).digest()


def check_method(algorithm: str) -> None:
    """Raises BadRequest for a signature algorithm that is not on the list."""
    if algorithm not in _METHODS:
        raise _not_allowed("signature", algorithm)


def verifies(key: PublicKey, algorithm: str, *, signature: bytes, octets: bytes) -> bool:
    """Whether the signature over the octets was made with the private half of `key`, by that very algorithm.

    The family of the key decides, never the message: a key of another family is a plain no. Whatever a library
    raises on odd input is a no as well (V15).
    """
    check_method(algorithm)
    method = _METHODS[algorithm]
    try:
        if method.family == "rsa" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, octets, padding.PKCS1v15(), method.hash)
            return True
        if method.family == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_der(signature, key.key_size), octets, ec.ECDSA(method.hash))
            return True
    except (InvalidSignature, ValueError):
        return False
    return False


def key_is_strong(key: PublicKey) -> bool:
    """RSA of 2048 bits, or an elliptic curve of 256, at least (SDP-MD06, SDP-MD07)."""
    return key.key_size >= (2048 if isinstance(key, rsa.RSAPublicKey) else 256)


def _der(signature: bytes, bits: int) -> bytes:
    """XML signatures give r and s side by side, each as long as the curve's order (RFC 4050, XML Signature 1.1 section 6.4.3)."""
    length = (bits + 7) // 8
    if len(signature) != 2 * length:
        raise ValueError("wrong length")
    return encode_dss_signature(int.from_bytes(signature[:length], "big"), int.from_bytes(signature[length:], "big"))


def decode_base64(text: str) -> bytes:
    """Base64 with white space anywhere, as XML and forms have it, and nothing else that does not belong. Raises BadRequest."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("saml.base64_invalid", "A part of the SAML message is not base64.", expected="base64") from None


def _not_allowed(kind: str, algorithm: str) -> BadRequest:
    allowed = DIGEST_METHODS if kind == "digest" else SIGNATURE_METHODS
    return BadRequest(
        "saml.algorithm_not_allowed",
        f"The {kind} algorithm of the SAML message is not allowed.",
        expected=" ".join(allowed),
        received=algorithm,
    )
