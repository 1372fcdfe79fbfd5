"""Enveloped XML signatures: made in one shape, accepted in one shape.

Not signxml: it verifies what XML Signature permits and leaves it to the caller to use only what it returns; here the
shape that SAML prescribes (Core section 5.4) is the only one there is, each part is found by its place and never by
a search (V9), and what comes back is parsed afresh from the very octets whose digest was signed (S57). Not xmlsec1
either: a process for each message costs a hundred times the RSA operation. It judges our output in the tests.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from lxml import etree

from idp.errors import BadRequest
from idp.keys import AnyKey
from idp.protocols.saml import algorithm
from idp.protocols.saml.algorithm import STANDARD, PublicKey, Suite, decode_base64
from idp.protocols.saml.document import DS, EXCLUSIVE, MESSAGE, SAML, Bounds, Element, canonical, parse, qualified

_ENVELOPED = DS + "enveloped-signature"

# SignedInfo as exclusive canonicalisation prints it: the text that is signed is the text that is sent.
_SIGNED_INFO = (
    f'<ds:SignedInfo xmlns:ds="{DS}">'
    f'<ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"></ds:CanonicalizationMethod>'
    '<ds:SignatureMethod Algorithm="{method}"></ds:SignatureMethod>'
    '<ds:Reference URI="#{id}"><ds:Transforms>'
    f'<ds:Transform Algorithm="{_ENVELOPED}"></ds:Transform><ds:Transform Algorithm="{EXCLUSIVE}"></ds:Transform>'
    '</ds:Transforms><ds:DigestMethod Algorithm="{digest_method}"></ds:DigestMethod>'
    "<ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
)
_SIGNATURE = (
    f'<ds:Signature xmlns:ds="{DS}">'
    "{signed_info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>"
    "<ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>"
)


@dataclass(frozen=True)
class Claim:
    """What a ds:Signature says of itself."""

    octets: bytes
    method: str
    value: bytes
    digest_method: str
    digest: bytes
    prefixes: tuple[str, ...]


def sign_enveloped(element: Element, key: AnyKey, suite: Suite = STANDARD) -> None:
    """Puts a ds:Signature into the element: after its Issuer if it has one, else first, as every SAML schema wants it.

    The element's ID must be one of ours, a name without markup. It may stand inside a larger document.
    """
    digest = base64.b64encode(algorithm.digest(suite.digest, canonical(element))).decode()
    signed_info = _SIGNED_INFO.format(id=element.get("ID"), digest=digest, method=suite.method, digest_method=suite.digest)
    value = base64.b64encode(algorithm.sign(key, suite.method, signed_info.encode())).decode()
    signature = etree.fromstring(_SIGNATURE.format(signed_info=signed_info, value=value, certificate=key.certificate_base64))
    has_issuer = len(element) > 0 and element[0].tag == qualified(SAML, "Issuer")
    element.insert(1 if has_issuer else 0, signature)


def is_signed(root: Element) -> bool:
    """Whether there is a ds:Signature anywhere: a message with one is verified or refused (SDP-IDP05)."""
    return next(root.iter(qualified(DS, "Signature")), None) is not None


def verify_enveloped(root: Element, keys: Iterable[PublicKey], bounds: Bounds = MESSAGE, *, legacy: bool = False) -> Element:
    """The signed content, freshly parsed from the octets that the signature covers; `root` is consumed and must not be read again.

    `keys` come from metadata alone: KeyInfo is not looked at (S56). Raises BadRequest unless there is exactly one
    signature, a child of the root, over the whole root, and one of the keys made it. `legacy` also takes SHA-1.
    """
    claim = verify_claim(root, keys, legacy=legacy)
    content = canonical(_without(root, _only_signature(root)), claim.prefixes)
    if not hmac.compare_digest(algorithm.digest(claim.digest_method, content, legacy=legacy), claim.digest):
        raise changed_after_signing()
    return parse(content, bounds)


def verify_claim(root: Element, keys: Iterable[PublicKey], *, legacy: bool = False) -> Claim:
    """What the root's only signature says, which one of the keys has made. Whether the digest is that of the content is still to be seen:
    for documents whose content is too large to stand here. Raises BadRequest."""
    claim = _read_claim(root, _only_signature(root))
    if not any(algorithm.verifies(key, claim.method, signature=claim.value, octets=claim.octets, legacy=legacy) for key in keys):
        raise BadRequest(
            "saml.signature_invalid",
            "The signature of the SAML message was not made with a key that we know for this application.",
            expected="a signature by a certificate in the application's metadata",
        )
    return claim


def changed_after_signing() -> BadRequest:
    """The content has another digest than the one that was signed."""
    return BadRequest("saml.signature_invalid", "The SAML message was changed after it was signed.", expected="the content that was signed")


def _only_signature(root: Element) -> Element:
    found = list(root.iter(qualified(DS, "Signature")))
    if len(found) != 1 or found[0].getparent() is not root:
        raise _odd_shape(
            f"{len(found)} signatures" if len(found) != 1 else "a signature elsewhere", expected="one signature, a child of the message"
        )
    return found[0]


def _read_claim(root: Element, signature: Element) -> Claim:
    parts = _children(signature, "SignedInfo", "SignatureValue", optional="KeyInfo")
    method, signature_method, reference = _children(parts[0], "CanonicalizationMethod", "SignatureMethod", "Reference")
    transforms, digest_method, digest_value = _children(reference, "Transforms", "DigestMethod", "DigestValue")
    _check_reference(root, reference)
    return Claim(
        octets=canonical(parts[0], _exclusive_prefixes(method)),
        method=_algorithm_of(signature_method),
        value=decode_base64(_text(parts[1])),
        digest_method=_algorithm_of(digest_method),
        digest=decode_base64(_text(digest_value)),
        prefixes=_transform_prefixes(transforms),
    )


def _check_reference(root: Element, reference: Element) -> None:
    """The signature is over the root, by its ID: not over the document by position, nor over something else (V1, V10, V13)."""
    identifier = root.get("ID")
    if not identifier or reference.get("URI") != f"#{identifier}":
        raise _odd_shape(str(reference.get("URI")), expected=f"a reference to #{identifier}")


def _transform_prefixes(transforms: Element) -> tuple[str, ...]:
    """Exactly the two transforms of Core section 5.4.4, in their order; anything else could sign nothing (V20)."""
    enveloped, exclusive = _children(transforms, "Transform", "Transform")
    if enveloped.get("Algorithm") != _ENVELOPED or len(enveloped):
        raise _odd_shape(str(enveloped.get("Algorithm")), expected=_ENVELOPED)
    return _exclusive_prefixes(exclusive)


def _exclusive_prefixes(method: Element) -> tuple[str, ...]:
    """The PrefixList of an exclusive canonicalisation, which is the only kind allowed (Core section 5.4.3)."""
    if method.get("Algorithm") != EXCLUSIVE:
        raise _odd_shape(str(method.get("Algorithm")), expected=EXCLUSIVE)
    if len(method) == 0:
        return ()
    if len(method) > 1 or method[0].tag != qualified(EXCLUSIVE, "InclusiveNamespaces"):
        raise _odd_shape(str(method[0].tag), expected="InclusiveNamespaces")
    return tuple(str(method[0].get("PrefixList", "")).split())


def _algorithm_of(method: Element) -> str:
    """The Algorithm of a method that has no parameters, such as a truncated HMAC length."""
    if len(method):
        raise _odd_shape(str(method[0].tag), expected="no parameters")
    return str(method.get("Algorithm", ""))


def _children(element: Element, *names: str, optional: str = "") -> list[Element]:
    """The children, which must be exactly the named ones in that order: two of a kind or a ds:Object have no place (V11)."""
    children = list(element)
    wanted = [qualified(DS, name) for name in names]
    found = [child.tag for child in children]
    if found not in (wanted, [*wanted, qualified(DS, optional)]):
        raise _odd_shape(" ".join(str(name).rpartition("}")[2] for name in found), expected=" ".join(names))
    return children


def _text(element: Element) -> str:
    if len(element):
        raise _odd_shape(str(element[0].tag), expected="text")
    return element.text or ""


def _without(root: Element, signature: Element) -> Element:
    """The root after the enveloped-signature transform; the white space that followed the signature stays."""
    previous, tail = signature.getprevious(), signature.tail or ""
    if previous is None:
        root.text = (root.text or "") + tail
    else:
        previous.tail = (previous.tail or "") + tail
    root.remove(signature)
    return root


def _odd_shape(received: str, *, expected: str) -> BadRequest:
    return BadRequest(
        "saml.signature_shape",
        "The signature of the SAML message does not have the form that SAML prescribes.",
        expected=expected,
        received=received,
    )
