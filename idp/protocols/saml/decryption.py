"""EncryptedID, the one thing that applications encrypt for us: by AES-GCM and RSA-OAEP, with any of our keys (IIP-IDP19, eGOV-095).

No CBC and no RSA 1.5: what they let through could be changed on the way, or guessed by asking often enough.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from idp.errors import BadRequest
from idp.keys import KeyRing
from idp.protocols.saml.algorithm import decode_base64
from idp.protocols.saml.document import DS, SAML, XENC, XENC11, Element, parse, qualified

_LENGTHS = {XENC11 + "aes256-gcm": 32, XENC11 + "aes128-gcm": 16}
_OAEP = (XENC + "rsa-oaep-mgf1p", XENC11 + "rsa-oaep")
METHODS = (*_LENGTHS, *_OAEP)
"""What can be used to encrypt for us."""
_HASHES: dict[str, hashes.HashAlgorithm] = {
    DS + "sha1": hashes.SHA1(),  # noqa: S303  OAEP does not rest on resistance to collisions
    XENC + "sha256": hashes.SHA256(),
}
_MASKS: dict[str, hashes.HashAlgorithm] = {
    XENC11 + "mgf1sha1": hashes.SHA1(),  # noqa: S303
    XENC11 + "mgf1sha256": hashes.SHA256(),
}


def decrypt_name_id(encrypted: Element, keys: KeyRing) -> Element:
    """The NameID in an EncryptedID, tried with every key of ours: an old one stays good while metadata are being exchanged.

    Raises BadRequest, always the same: what exactly was wrong would help whoever tries things out.
    """
    plain = _plain(encrypted, keys)
    element = parse(plain) if plain is not None else None
    if element is None or element.tag != qualified(SAML, "NameID"):
        raise BadRequest("saml.decryption", "The encrypted part of the SAML message cannot be read.", expected="AES-GCM, RSA-OAEP, our key")
    return element


def _plain(encrypted: Element, keys: KeyRing) -> bytes | None:
    data = encrypted.find(qualified(XENC, "EncryptedData"))
    wrapped = next(encrypted.iter(qualified(XENC, "EncryptedKey")), None)  # inside KeyInfo, or beside the data
    length = _LENGTHS.get(_method(data)) if data is not None else None
    oaep = _padding(wrapped) if wrapped is not None else None
    if data is None or wrapped is None or length is None or oaep is None:
        return None
    content, content_key = _value(data), _value(wrapped)
    for private in keys.decrypting():
        try:
            opened = private.decrypt(content_key, oaep)
            if len(opened) == length:
                return AESGCM(opened).decrypt(content[:12], content[12:], None)
        except (ValueError, InvalidTag):
            continue
    return None


def _padding(wrapped: Element) -> padding.OAEP | None:
    method = wrapped.find(qualified(XENC, "EncryptionMethod"))
    if method is None or method.get("Algorithm") not in _OAEP:
        return None
    digest, mask = method.find(qualified(DS, "DigestMethod")), method.find(qualified(XENC11, "MGF"))
    chosen = _HASHES.get(DS + "sha1" if digest is None else str(digest.get("Algorithm")))
    generator = _MASKS.get(XENC11 + "mgf1sha1" if mask is None else str(mask.get("Algorithm")))
    return padding.OAEP(padding.MGF1(generator), chosen, None) if chosen and generator else None


def _method(data: Element) -> str:
    method = data.find(qualified(XENC, "EncryptionMethod"))
    return str(method.get("Algorithm")) if method is not None else ""


def _value(element: Element) -> bytes:
    return decode_base64(element.findtext(f"{qualified(XENC, 'CipherData')}/{qualified(XENC, 'CipherValue')}", ""))
