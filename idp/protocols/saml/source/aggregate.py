"""The metadata of a federation: a document of tens of megabytes, verified and taken apart without ever standing in memory as a whole.

First the signature's claim, which stands at the head: nothing that is unsigned or signed by others costs more than a few kilobytes.
Then the canonical octets go into a file while their digest is taken. Only when it is the signed one does anybody read the file (S14, S15).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from lxml import etree

from idp.errors import BadRequest
from idp.protocols.saml.algorithm import PublicKey, new_digest
from idp.protocols.saml.document import MD, METADATA, SAMLP, Element, parse, qualified
from idp.protocols.saml.entity import MetadataProblem
from idp.protocols.saml.moment import read_time
from idp.protocols.saml.signature import changed_after_signing, verify_claim
from idp.protocols.saml.source.canonical import canonical_head, write_canonical
from idp.protocols.saml.source.validity import Validity, read_duration

_ENTITY = qualified(MD, "EntityDescriptor")
_ENTITIES = qualified(MD, "EntitiesDescriptor")
_SP = qualified(MD, "SPSSODescriptor")
_EXTENSIONS = qualified(MD, "Extensions")
_PUBLICATION = "{urn:oasis:names:tc:SAML:metadata:rpi}PublicationInfo"


@dataclass(frozen=True)
class Entity:
    """One service provider of a federation: a document of its own, and how long it is valid by those around it, the root not counted.
    A `problem` is why it cannot be used; it is that one's alone."""

    entity_id: str
    xml: bytes
    valid_until: int | None
    problem: str = ""


def verify_aggregate(received: BinaryIO, verified: BinaryIO, keys: Sequence[PublicKey]) -> Validity:
    """Fills `verified` with what one of the keys has signed, in canonical form, and says how long it is valid. Raises MetadataProblem."""
    try:
        received.seek(0)
        claim = verify_claim(parse(canonical_head(received), METADATA), keys)
        digest = new_digest(claim.digest_method)

        def write(octets: bytes) -> None:
            digest.update(octets)
            verified.write(octets)

        received.seek(0)
        write_canonical(received, write, prefixes=claim.prefixes)
        if not hmac.compare_digest(digest.digest(), claim.digest):
            raise changed_after_signing()
        return _root_validity(verified)
    except BadRequest as error:
        raise MetadataProblem("unusable", error.message, expected=error.expected, received=error.received) from None


def read_entities(verified: BinaryIO) -> Iterator[Entity]:
    """The SAML 2.0 service providers, one after the other; one may be there twice. Raises MetadataProblem."""
    for entity in _elements(verified, _ENTITY):
        roles = [each for each in entity.findall(_SP) if SAMLP in str(each.get("protocolSupportEnumeration", "")).split()]
        if roles:
            yield _entity(entity, len(roles))


def _entity(element: Element, roles: int) -> Entity:
    entity_id = str(element.get("entityID", ""))
    if roles > 1:
        return Entity(entity_id, b"", None, "is described in several ways at once")
    octets = _octets(element)
    if len(octets) > METADATA.size:
        return Entity(entity_id, b"", None, "is too large")
    try:
        return Entity(entity_id, octets, _valid_until(element))
    except BadRequest as error:
        return Entity(entity_id, b"", None, f"has a time that cannot be read: {error.received}")


def _elements(verified: BinaryIO, tag: str) -> Iterator[Element]:
    """Each element of the name, complete, and gone when the next one is asked for."""
    verified.seek(0)
    try:
        for _, element in _iterate(verified, "end", tag):
            yield element
            _let_go(element)
    except etree.XMLSyntaxError as error:
        raise MetadataProblem("unusable", "The metadata are not well-formed XML.", received=str(error.msg)) from None


def _iterate(verified: BinaryIO, event: str, tag: str) -> Iterator[tuple[str, Element]]:
    found: Iterator[tuple[str, Element]] = etree.iterparse(
        verified,
        events=(event,),
        tag=tag,
        load_dtd=False,
        no_network=True,
        resolve_entities=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    return found


def _let_go(element: Element) -> None:
    parent = element.getparent()
    element.clear()
    while parent is not None and len(parent) and parent[0] is not element:
        del parent[0]


def read_validity(raw: bytes) -> Validity:
    """What the root of a small document says, that `metadata` has read already."""
    root = parse(raw, METADATA)
    return _validity(root, root.find(f"{_EXTENSIONS}/{_PUBLICATION}"))


def _root_validity(verified: BinaryIO) -> Validity:
    verified.seek(0)
    elements = (element for _, element in _iterate(verified, "start", "*"))
    root = next(elements, None)
    if root is None or root.tag not in (_ENTITY, _ENTITIES):
        received = "" if root is None else str(root.tag)
        raise MetadataProblem("not_metadata", "This is not SAML metadata.", expected="EntitiesDescriptor", received=received)
    return _validity(root, next(_publications(elements, root), None))


def _publications(elements: Iterator[Element], root: Element) -> Iterator[Element]:
    """In the Extensions of the root, which stand before all that may be long."""
    for element in elements:
        if element.getparent() is root and element.tag != _EXTENSIONS:
            return
        if element.tag == _PUBLICATION and element.getparent().getparent() is root:
            yield element


def _validity(root: Element, publication: Element | None) -> Validity:
    until = root.get("validUntil")
    return Validity(read_time(until) if until else None, read_duration(root.get("cacheDuration")), _instant(publication))


def _instant(publication: Element | None) -> int | None:
    """None where it is not said, or in a way that cannot be read: then the end says which edition is the older one."""
    try:
        return None if publication is None else read_time(publication.get("creationInstant"))
    except BadRequest:
        return None


def _octets(entity: Element) -> bytes:
    """With every namespace that is in scope: a prefix may stand in a value, where exclusive canonical XML does not see it."""
    octets: bytes = etree.tostring(entity, encoding="utf-8", xml_declaration=False, with_tail=False)
    return octets


def _valid_until(entity: Element) -> int | None:
    """The root's changes with every edition: it is kept for all of them together."""
    around = [each for each in (entity, *entity.iterancestors()) if each.getparent() is not None]
    return min((read_time(each.get("validUntil")) for each in around if each.get("validUntil")), default=None)
