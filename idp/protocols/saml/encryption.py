"""Encrypted assertions: AES-GCM for the content, RSA-OAEP for its key (S65, SDP-ALG01). We never decrypt anything.

No CBC and no RSA 1.5, whatever metadata asks for: both have padding oracles.
"""

from __future__ import annotations

import base64
import os

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from idp.errors import Refusal
from idp.protocols.saml.document import DS, SAML, XENC, XENC11, Element
from idp.protocols.saml.entity import EncryptionKey

_BITS = {XENC11 + "aes256-gcm": 256, XENC11 + "aes128-gcm": 128}
_OTHERS = tuple(XENC + name for name in ("aes128-cbc", "aes192-cbc", "aes256-cbc", "tripledes-cbc"))
_OAEP, _OAEP11, _RSA15 = XENC + "rsa-oaep-mgf1p", XENC11 + "rsa-oaep", XENC + "rsa-1_5"
# SHA-1 is what SDP-ALG01 demands of everybody here; OAEP does not rest on the digest's resistance to collisions
_SHA1 = hashes.SHA1()  # noqa: S303
_DIGESTS: dict[str, hashes.HashAlgorithm] = {XENC + "sha256": hashes.SHA256(), DS + "sha1": _SHA1}  # the better one first
_TEMPLATE = (
    f'<saml:EncryptedAssertion xmlns:saml="{SAML}"><xenc:EncryptedData xmlns:xenc="{XENC}" Type="{XENC}Element">'
    '<xenc:EncryptionMethod Algorithm="{method}"/>'
    f'<ds:KeyInfo xmlns:ds="{DS}"><xenc:EncryptedKey><xenc:EncryptionMethod Algorithm="'
    '{transport}"><ds:DigestMethod Algorithm="{digest}"/></xenc:EncryptionMethod>'
    "<xenc:CipherData><xenc:CipherValue>{key}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo>"
    "<xenc:CipherData><xenc:CipherValue>{content}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData></saml:EncryptedAssertion>"
)


def usable(keys: tuple[EncryptionKey, ...]) -> tuple[EncryptionKey, str] | None:
    """The first key with a content algorithm that both sides have; one whose metadata names none takes AES-256-GCM (IIP-MD10)."""
    return next(((key, method) for key in keys if (method := _method(key)) is not None and _transport(key)), None)


def encrypt_assertion(assertion: Element, keys: tuple[EncryptionKey, ...]) -> None:
    """Puts an EncryptedAssertion in the assertion's place. Raises Refusal when there is no key: never in clear instead."""
    chosen = usable(keys)
    if chosen is None:
        raise Refusal("saml.encryption_key_missing", "The application's data are to be encrypted, and its metadata has no key for that.")
    key, method = chosen
    # not the canonical form, which would lose declarations that are used in values only
    plain = etree.tostring(assertion, encoding="utf-8", with_tail=False)
    content_key, nonce = AESGCM.generate_key(_BITS[method]), os.urandom(12)
    content = nonce + AESGCM(content_key).encrypt(nonce, plain, None)
    transport, digest = _transport(key) or _OAEP, _digest(key)
    wrapped = key.public.encrypt(content_key, padding.OAEP(padding.MGF1(_SHA1), _DIGESTS[digest], None))
    names = {"method": method, "transport": transport, "digest": digest}
    encrypted = etree.fromstring(_TEMPLATE.format(**names, key=_base64(wrapped), content=_base64(content)))
    assertion.getparent().replace(assertion, encrypted)


def _method(key: EncryptionKey) -> str | None:
    named = [method for method in key.methods if method in _BITS or method in _OTHERS]
    return next((method for method in _BITS if not named or method in named), None)


def _transport(key: EncryptionKey) -> str | None:
    """The key transport that its metadata name, MGF1 with SHA-1 in either; None where there is RSA 1.5 alone."""
    named = [method for method in key.methods if method in (_OAEP, _OAEP11, _RSA15)]
    return next((method for method in (_OAEP, _OAEP11) if not named or method in named), None)


def _digest(key: EncryptionKey) -> str:
    """The digest of RSA-OAEP that its metadata name (IIP-ALG06)."""
    return next((digest for digest in _DIGESTS if digest in key.digests), DS + "sha1")


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
