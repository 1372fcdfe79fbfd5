"""Reads a service provider's metadata, hostile input like any other: our parser, our signature check, the schema.

Then pysaml2's classes read the role. Keys are read here, because pysaml2 keeps only the last certificate of an X509Data
and stumbles over a KeyInfo that has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree
from saml2 import create_class_from_element_tree, md

from idp.errors import BadRequest
from idp.protocols.saml.algorithm import PublicKey, key_is_strong
from idp.protocols.saml.document import ARTIFACT, DS, MD, MDUI, METADATA, PAOS, POST, SAMLP, XML, Element, parse, qualified, schema
from idp.protocols.saml.entity import (
    Certificate,
    EncryptionKey,
    Endpoint,
    MetadataProblem,
    ServiceProvider,
    address_warnings,
    certificate_key,
    check_address,
    describe_certificate,
    strong_keys,
)
from idp.protocols.saml.extension import algorithms, attribute_services, entity_attributes, initiator, oaep_digests
from idp.protocols.saml.moment import read_time
from idp.protocols.saml.signature import verify_enveloped

_CERTIFICATE = "/".join(qualified(DS, name) for name in ("KeyInfo", "X509Data", "X509Certificate"))


def read_metadata(raw: bytes, *, entity_id: str = "", trusted: Sequence[PublicKey] = ()) -> ServiceProvider:
    """The service provider in a metadata document; `entity_id` chooses where there are several.

    With `trusted` keys the document's root must be signed by one of them, and only what is signed is read (SDP-MD02).
    Raises MetadataProblem.
    """
    try:
        root = parse(raw, METADATA)
        _check_is_metadata(root)
        entity = _choose(verify_enveloped(root, trusted, METADATA) if trusted else root, entity_id)
        role = _sp_role(entity)
        schema("metadata").check(_alone(entity, role))
        return _provider(entity, role)
    except BadRequest as error:
        raise MetadataProblem(
            "unusable", f"{error.message} {error.received}".strip(), expected=error.expected, received=error.received
        ) from None


def _check_is_metadata(root: Element) -> None:
    if root.tag not in (qualified(MD, "EntityDescriptor"), qualified(MD, "EntitiesDescriptor")):
        name = str(root.tag).rpartition("}")[2]
        raise MetadataProblem(
            "not_metadata", "This is not SAML metadata.", expected="EntityDescriptor or EntitiesDescriptor", received=name
        )


def _choose(root: Element, entity_id: str) -> Element:
    """The one EntityDescriptor that is meant."""
    if root.tag == qualified(MD, "EntityDescriptor"):
        found = [root]
    else:
        found = [each for each in root.iter(qualified(MD, "EntityDescriptor")) if each.find(qualified(MD, "SPSSODescriptor")) is not None]
    chosen = [each for each in found if not entity_id or each.get("entityID") == entity_id]
    if len(chosen) == 1:
        return chosen[0]
    names = " ".join(str(each.get("entityID")) for each in found)
    if entity_id:
        raise MetadataProblem("entity_unknown", f"The metadata does not describe {entity_id}.", expected=entity_id, received=names)
    raise MetadataProblem(
        "several" if chosen else "no_sp",
        "The metadata describes several service providers: say which by its entity ID."
        if chosen
        else "The metadata describes no service provider.",
        received=names,
    )


def _sp_role(entity: Element) -> Element:
    """The SPSSODescriptor for SAML 2.0."""
    if not entity.get("entityID"):
        raise MetadataProblem("no_entity_id", "The metadata does not say the service provider's entity ID.", expected="entityID")
    roles = entity.findall(qualified(MD, "SPSSODescriptor"))
    roles = [role for role in roles if SAMLP in str(role.get("protocolSupportEnumeration", "")).split()]
    if len(roles) > 1:
        raise MetadataProblem("several_roles", "The metadata describe the service provider twice over.", received=str(len(roles)))
    if roles:
        return roles[0]
    has_idp = entity.find(qualified(MD, "IDPSSODescriptor")) is not None
    hint = " It describes an identity provider: is it our own?" if has_idp else ""
    raise MetadataProblem("no_sp", f"The metadata describes no SAML 2.0 service provider.{hint}", expected=f"SPSSODescriptor for {SAMLP}")


def _alone(entity: Element, role: Element) -> Element:
    """The entity with this role only: other roles, in dialects that our schemas do not know, need not be valid."""
    alone = etree.Element(entity.tag, entity.attrib, nsmap=entity.nsmap)
    alone.append(parse(etree.tostring(role, with_tail=False), METADATA))
    return alone


def _provider(entity: Element, element: Element) -> ServiceProvider:
    services = attribute_services(element)
    for each in element.findall(qualified(MD, "AttributeConsumingService")):
        element.remove(each)  # pysaml2 stumbles over a RequestedAttribute without NameFormat
    role = create_class_from_element_tree(md.SPSSODescriptor, element)
    every_acs = tuple(_endpoint(each) for each in role.assertion_consumer_service)
    acs = tuple(each for each in every_acs if each.binding == POST)
    if not acs:
        raise MetadataProblem(
            "no_acs", "The metadata has no address for answers by HTTP-POST.", expected=f"AssertionConsumerService with {POST}"
        )
    other = tuple(each for each in every_acs if each.binding in (ARTIFACT, PAOS))
    for each in (*acs, *other, *(slo := tuple(_endpoint(each) for each in role.single_logout_service))):
        check_address(each.location)
        check_address(each.answer_location)
    signing, weak = strong_keys(key for _, key in _keys(element, "signing"))
    return ServiceProvider(
        entity_id=str(entity.get("entityID")),
        acs=acs,
        slo=slo,
        signing_keys=signing,
        encryption_keys=_encryption_keys(element),
        authn_requests_signed=_is_true(role.authn_requests_signed),
        want_assertions_signed=_is_true(role.want_assertions_signed),
        name_id_formats=tuple(each.text.strip() for each in role.name_id_format if each.text),
        requested=tuple(each for service in services for each in service.requested),
        services=services,
        entity_attributes=entity_attributes(entity),
        other_acs=other,
        signature_methods=algorithms(entity, element, "SigningMethod"),
        digest_methods=algorithms(entity, element, "DigestMethod"),
        valid_until=_valid_until(element),
        display_name=_display_name(entity, element),
        initiator=initiator(element),
        certificates=_certificates(element),
        warnings=(*address_warnings(acs), *weak),
    )


def _endpoint(each: Any) -> Endpoint:
    default = getattr(each, "is_default", None)
    index = getattr(each, "index", None)
    return Endpoint(
        binding=each.binding,
        location=each.location.strip(),
        response_location=(each.response_location or "").strip(),
        index=int(index) if index is not None else None,
        is_default=None if default is None else _is_true(default),
    )


def _keys(role: Element, use: Literal["signing", "encryption"]) -> list[tuple[Element, PublicKey]]:
    """KeyDescriptors for this use, with their keys: without `use` one is for both (IIP-MD11), without a certificate for none."""
    found = []
    for descriptor in role.findall(qualified(MD, "KeyDescriptor")):
        certificate = descriptor.findtext(_CERTIFICATE)
        if certificate and descriptor.get("use", use) == use:
            found.append((descriptor, certificate_key(certificate)))
    return found


def _certificates(role: Element) -> tuple[Certificate, ...]:
    """Those whose keys `_keys` finds."""
    texts = {each: each.findtext(_CERTIFICATE) for each in role.findall(qualified(MD, "KeyDescriptor"))}
    return tuple(describe_certificate(text, str(each.get("use", ""))) for each, text in texts.items() if text)


def _encryption_keys(role: Element) -> tuple[EncryptionKey, ...]:
    return tuple(
        EncryptionKey(
            key,
            tuple(str(method.get("Algorithm")) for method in descriptor.findall(qualified(MD, "EncryptionMethod"))),
            oaep_digests(descriptor),
        )
        for descriptor, key in _keys(role, "encryption")
        if isinstance(key, rsa.RSAPublicKey) and key_is_strong(key)
    )


def _valid_until(role: Element) -> int | None:
    """The earliest validUntil on the way from the root to the role."""
    times = [read_time(each.get("validUntil")) for each in (role, *role.iterancestors()) if each.get("validUntil")]
    return min(times, default=None)


def _display_name(entity: Element, role: Element) -> str:
    """What the service provider calls itself, in English where it says so in several languages."""
    names = [
        *role.iter(qualified(MDUI, "DisplayName")),
        *entity.findall(f"{qualified(MD, 'Organization')}/{qualified(MD, 'OrganizationDisplayName')}"),
    ]
    english = [each for each in names if str(each.get(qualified(XML, "lang"), "")).startswith("en")]
    return next(((each.text or "").strip()[:256] for each in (*english, *names)), "")


def _is_true(value: str | None) -> bool:
    return value in ("true", "1")
