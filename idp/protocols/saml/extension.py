"""What a service provider's metadata say beyond endpoints and keys: sets of attributes, entity attributes, algorithms (IIP-MD05).

Whatever cannot be understood here is passed over: an unknown extension never prevents use.
"""

from __future__ import annotations

from idp.protocols.saml.document import DS, MD, SAML, Element, qualified
from idp.protocols.saml.entity import AttributeService, MetadataProblem, RequestedAttribute, check_address

_MDATTR = "urn:oasis:names:tc:SAML:metadata:attribute"
_ALG = "urn:oasis:names:tc:SAML:metadata:algsupport"
_INITIATION = "urn:oasis:names:tc:SAML:profiles:SSO:request-init"


def attribute_services(role: Element) -> tuple[AttributeService, ...]:
    """The AttributeConsumingServices, in their order."""
    return tuple(
        AttributeService(
            int(str(service.get("index"))),
            is_default=service.get("isDefault") in ("true", "1"),
            requested=tuple(_requested(each) for each in service.findall(qualified(MD, "RequestedAttribute"))),
        )
        for service in role.findall(qualified(MD, "AttributeConsumingService"))
    )


def entity_attributes(entity: Element) -> dict[str, tuple[str, ...]]:
    """Name -> values of the EntityAttributes: entity categories, and subject-id:req."""
    path = "/".join((qualified(MD, "Extensions"), qualified(_MDATTR, "EntityAttributes"), qualified(SAML, "Attribute")))
    found: dict[str, tuple[str, ...]] = {}
    for attribute in entity.findall(path):
        name = str(attribute.get("Name", ""))
        found[name] = (*found.get(name, ()), *_values(attribute))
    return found


def algorithms(entity: Element, role: Element, kind: str) -> tuple[str, ...]:
    """The algorithms of alg:SigningMethod or alg:DigestMethod, the preferred first: those of the role, else those of the entity."""
    for element in (role, entity):
        path = f"{qualified(MD, 'Extensions')}/{qualified(_ALG, kind)}"
        found = tuple(str(each.get("Algorithm", "")) for each in element.findall(path))
        if found:
            return found
    return ()


def initiator(role: Element) -> str:
    """Where the application begins a sign-on when a browser comes there; empty where it does not say, or says what is no web address."""
    path = f"{qualified(MD, 'Extensions')}/{qualified(_INITIATION, 'RequestInitiator')}"
    for each in role.findall(path):
        location = str(each.get("Location", "")).strip()
        try:
            check_address(location)
        except MetadataProblem:
            continue
        return location
    return ""


def oaep_digests(descriptor: Element) -> tuple[str, ...]:
    """The digests that a KeyDescriptor names for RSA-OAEP."""
    path = f"{qualified(MD, 'EncryptionMethod')}/{qualified(DS, 'DigestMethod')}"
    return tuple(str(each.get("Algorithm", "")) for each in descriptor.findall(path))


def _requested(element: Element) -> RequestedAttribute:
    return RequestedAttribute(
        str(element.get("Name", "")),
        str(element.get("NameFormat", "")),
        str(element.get("FriendlyName", "")),
        element.get("isRequired") in ("true", "1"),
        _values(element),
    )


def _values(attribute: Element) -> tuple[str, ...]:
    texts = ((each.text or "").strip() for each in attribute.findall(qualified(SAML, "AttributeValue")))
    return tuple(text for text in texts if text)
