"""The signature algorithms that are accepted, as an allow-list, and verification with one public key.

MD5, HMAC and DSA have no line here, so there is nothing that could choose them (S53, V3, V16, IIP-ALG08). SHA-1 has one
that only a client with an expiry date for it can reach.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from idp.errors import BadRequest
from idp.keys import AnyKey, EllipticKey

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
RSA_SHA256 = _MORE + "rsa-sha256"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"

_PSS = "http://www.w3.org/2007/05/xmldsig-more#"
_OLD = "http://www.w3.org/2000/09/xmldsig#"

_DIGESTS = {SHA256: "sha256", _MORE + "sha384": "sha384", "http://www.w3.org/2001/04/xmlenc#sha512": "sha512"}
DIGEST_METHODS = tuple(_DIGESTS)


@dataclass(frozen=True)
class _Method:
    family: Literal["rsa", "pss", "ecdsa"]
    hash: hashes.HashAlgorithm


_METHODS = {
    RSA_SHA256: _Method("rsa", hashes.SHA256()),
    _MORE + "rsa-sha384": _Method("rsa", hashes.SHA384()),
    _MORE + "rsa-sha512": _Method("rsa", hashes.SHA512()),
    _PSS + "sha256-rsa-MGF1": _Method("pss", hashes.SHA256()),
    _PSS + "sha384-rsa-MGF1": _Method("pss", hashes.SHA384()),
    _PSS + "sha512-rsa-MGF1": _Method("pss", hashes.SHA512()),
    _MORE + "ecdsa-sha256": _Method("ecdsa", hashes.SHA256()),
    _MORE + "ecdsa-sha384": _Method("ecdsa", hashes.SHA384()),
    _MORE + "ecdsa-sha512": _Method("ecdsa", hashes.SHA512()),
}
SIGNATURE_METHODS = tuple(_METHODS)


_OLD_METHODS = {_OLD + "rsa-sha1": _Method("rsa", hashes.SHA1())}  # noqa: S303
_OLD_DIGESTS = {_OLD + "sha1": "sha1"}
OUR_METHODS = tuple(name for name, method in _METHODS.items() if method.family != "ecdsa")
"""What an RSA key of ours signs with, the standard one first."""
_ELLIPTIC = tuple(name for name, method in _METHODS.items() if method.family == "ecdsa")


@dataclass(frozen=True)
class Suite:
    """The algorithms of one signature of ours."""

    method: str = RSA_SHA256
    digest: str = SHA256


STANDARD = Suite()


def elliptic_methods(bits: int) -> tuple[str, ...]:
    """What a key on a curve of that size signs with, the hash of its own strength first (SP 800-57 part 1, table 3)."""
    return _ELLIPTIC if bits < 384 else (*_ELLIPTIC[1:], _ELLIPTIC[0])


def choose_suite(wanted: str, methods: Sequence[str], digests: Sequence[str], *, able: Sequence[str] = OUR_METHODS) -> Suite:
    """The suite for an application: by our setting, else of what its metadata declare (IIP-MD10). `able` is what our keys can do: its first
    is taken wherever that is among it, so that a new key of ours changes nothing for an application that takes the usual one."""
    offered = [method for method in methods if method in able]
    method = wanted or (able[0] if able[0] in offered or not offered else offered[0])
    known = [each for each in digests if each in _DIGESTS]
    return Suite(method, SHA256 if SHA256 in known or not known else known[0])


def sign(key: AnyKey, method: str, octets: bytes) -> bytes:
    """The signature value by a method of the key's family."""
    chosen = _METHODS[method]
    if isinstance(key, EllipticKey):
        return _side_by_side(key.private.sign(octets, ec.ECDSA(chosen.hash)), key.private.key_size)
    return key.private.sign(octets, _padding(chosen), chosen.hash)


def digest(algorithm: str, octets: bytes, *, legacy: bool = False) -> bytes:
    """The digest of the octets. Raises BadRequest for an algorithm that is not on the list."""
    hasher = new_digest(algorithm, legacy=legacy)
    hasher.update(octets)
    return hasher.digest()


def new_digest(algorithm: str, *, legacy: bool = False) -> hashlib._Hash:
    """A digest that takes its octets by pieces. Raises BadRequest for an algorithm that is not on the list."""
    name = _DIGESTS.get(algorithm) or (_OLD_DIGESTS.get(algorithm) if legacy else None)
    if name is None:
        raise _not_allowed("digest", algorithm)
    return hashlib.new(name)


def check_method(algorithm: str, *, legacy: bool = False) -> None:
    """Raises BadRequest for a signature algorithm that is not on the list."""
    if algorithm not in _METHODS and not (legacy and algorithm in _OLD_METHODS):
        raise _not_allowed("signature", algorithm)


def verifies(key: PublicKey, algorithm: str, *, signature: bytes, octets: bytes, legacy: bool = False) -> bool:
    """Whether the signature over the octets was made with the private half of `key`, by that very algorithm.

    The family of the key decides, never the message: a key of another family is a plain no. Whatever a library
    raises on odd input is a no as well (V15). `legacy` also takes SHA-1.
    """
    check_method(algorithm, legacy=legacy)
    method = _METHODS.get(algorithm) or _OLD_METHODS[algorithm]
    try:
        if method.family != "ecdsa" and isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, octets, _padding(method), method.hash)
            return True
        if method.family == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(_der(signature, key.key_size), octets, ec.ECDSA(method.hash))
            return True
    except (InvalidSignature, ValueError):
        return False
    return False


def _padding(method: _Method) -> padding.PKCS1v15 | padding.PSS:
    """PSS as RFC 9231 section 2.3.10 fixes it: MGF1 with the same hash, a salt as long as the digest."""
    if method.family == "rsa":
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(method.hash), method.hash.digest_size)


def key_is_strong(key: PublicKey) -> bool:
    """RSA of 2048 bits, or an elliptic curve of 256, at least (SDP-MD06, SDP-MD07)."""
    return key.key_size >= (2048 if isinstance(key, rsa.RSAPublicKey) else 256)


def _der(signature: bytes, bits: int) -> bytes:
    """XML signatures give r and s side by side, each as long as the curve's order (RFC 4050, XML Signature 1.1 section 6.4.3)."""
    length = (bits + 7) // 8
    if len(signature) != 2 * length:
        raise ValueError("wrong length")
    return encode_dss_signature(int.from_bytes(signature[:length], "big"), int.from_bytes(signature[length:], "big"))


def _side_by_side(der: bytes, bits: int) -> bytes:
    """The other way round."""
    length = (bits + 7) // 8
    r, s = decode_dss_signature(der)
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")


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
