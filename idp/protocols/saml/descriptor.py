"""Our own metadata: a signed EntityDescriptor with every address and every key that a signature of ours may be by (S69, SDP-IDP33)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from idp.clock import Now
from idp.keys import AnyKey, KeyRing, SigningKey
from idp.protocols.saml.algorithm import DIGEST_METHODS, SIGNATURE_METHODS
from idp.protocols.saml.decryption import METHODS
from idp.protocols.saml.document import DS, MD, MDUI, POST, REDIRECT, SAMLP, SOAP, XML, Element, printable, qualified
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.settings import EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED, SamlServerSettings
from idp.protocols.saml.signature import sign_enveloped
from idp.protocols.saml.signer import signer_with

_CACHE = "PT6H"
_WRITTEN_ANEW = 3600  # seconds; validUntil moves on
_SHIBMD = "urn:mace:shibboleth:metadata:1.0"
_ALG = "urn:oasis:names:tc:SAML:metadata:algsupport"
_REFEDS = "http://refeds.org/metadata"
_FORMATS = (PERSISTENT, TRANSIENT, EMAIL, UNSPECIFIED)


@dataclass(frozen=True)
class Document:
    """The metadata as they are served: octets, their digest as an entity tag, and which signing keys they show."""

    octets: bytes
    tag: str
    kids: tuple[str, ...]


@dataclass(frozen=True)
class _Written:
    """A document, of which keys it was made, and when."""

    document: Document
    keys: tuple[SigningKey, ...]
    at: int


class Descriptor:
    """Writes our metadata, once for each state of the keys and each hour."""

    def __init__(self, url: str, settings: SamlServerSettings, *, keys: KeyRing, now: Now, new_id: Callable[[], str]) -> None:
        self.entity_id = settings.entity_id or f"{url}/saml/metadata"
        self._url = url
        self._settings = settings
        self._name = settings.display_name or settings.organization or url.partition("//")[2]
        self._keys = keys
        self._now = now
        self._new_id = new_id
        self._written: dict[str, _Written] = {}

    def document(self, signing_key: str = "") -> Document:
        """The metadata; with `signing_key` those for an application that knows this one key of ours alone. Raises KeyProblem."""
        keys, written = self._keys.keys(), self._written.get(signing_key)
        if written is None or written.keys is not keys or not 0 <= self._now() - written.at < _WRITTEN_ANEW:
            written = _Written(self._write(signing_key), keys, self._now())
            self._written[signing_key] = written
        return written.document

    def _write(self, signing_key: str) -> Document:
        """The current key comes first: many providers read no further. Retired ones stay until they are dropped, so that whoever fetches
        between two steps of a change has every key that may have signed."""
        named = self._keys.named(signing_key) if signing_key else None
        shown: tuple[AnyKey, ...] = (named,) if named else (*self._keys.published, *self._keys.elliptic)
        root = self._entity(shown)
        signer = signer_with(named or self._keys.current)
        sign_enveloped(root, signer.key, signer.suite)
        octets: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True)
        return Document(octets, hashlib.sha256(octets).hexdigest()[:32], tuple(key.kid for key in shown))

    def _entity(self, shown: tuple[AnyKey, ...]) -> Element:
        attributes = {
            "ID": self._new_id(),
            "entityID": self.entity_id,
            "validUntil": write_time(self._now() + self._settings.metadata_life),
            "cacheDuration": _CACHE,
        }
        root = etree.Element(qualified(MD, "EntityDescriptor"), attributes, nsmap={"md": MD, "ds": DS, "mdui": MDUI})
        self._add_role(root, shown)
        if self._settings.organization:
            self._add_organization(root)
        self._add_contacts(root)
        return root

    def _add_role(self, root: Element, shown: tuple[AnyKey, ...]) -> None:
        """In the order of the schema. Nothing stands here that we do not serve (SDP-MD04)."""
        role = _add(
            root,
            "IDPSSODescriptor",
            protocolSupportEnumeration=SAMLP,
            WantAuthnRequestsSigned="false",
            errorURL=self._settings.error_url or f"{self._url}/",
        )
        self._add_extensions(role)
        for key in shown:
            _add_key(role, key, "signing")
        for_us = _add_key(role, self._keys.current, "encryption")  # for EncryptedID in LogoutRequests; every RSA key of ours decrypts
        for method in METHODS:
            _add(for_us, "EncryptionMethod", Algorithm=method)
        self._add_services(role)

    def _add_services(self, role: Element) -> None:
        _add(role, "ArtifactResolutionService", Binding=SOAP, Location=f"{self._url}/saml/soap", index="0", isDefault="true")
        for binding in (REDIRECT, POST):
            _add(role, "SingleLogoutService", Binding=binding, Location=f"{self._url}/saml/slo")
        _add(role, "SingleLogoutService", Binding=SOAP, Location=f"{self._url}/saml/soap")
        for name_format in _FORMATS:
            _add(role, "NameIDFormat").text = name_format
        for binding in (REDIRECT, POST):  # Redirect first: many take the first, and its request carries our Lax cookies
            _add(role, "SingleSignOnService", Binding=binding, Location=f"{self._url}/saml/sso")
        if self._settings.ecp:
            _add(role, "SingleSignOnService", Binding=SOAP, Location=f"{self._url}/saml/ecp")

    def _add_extensions(self, role: Element) -> None:
        """Scope (SDP-IDP14), what we are called, and by which algorithms we can be written to (IIP-MD09)."""
        extensions = _add(role, "Extensions")
        if self._settings.scope:
            etree.SubElement(extensions, qualified(_SHIBMD, "Scope"), {"regexp": "false"}).text = self._settings.scope
        self._add_display(extensions)
        for name, methods in (("DigestMethod", DIGEST_METHODS), ("SigningMethod", SIGNATURE_METHODS)):
            for method in methods:
                etree.SubElement(extensions, qualified(_ALG, name), {"Algorithm": method}, nsmap={"alg": _ALG})

    def _add_display(self, extensions: Element) -> None:
        display = etree.SubElement(extensions, qualified(MDUI, "UIInfo"))
        _add_in_english(display, MDUI, "DisplayName", self._name)
        settings = self._settings
        if settings.logo_url:
            size = {"height": str(settings.logo_height), "width": str(settings.logo_width)}
            etree.SubElement(display, qualified(MDUI, "Logo"), size).text = settings.logo_url
        for name, address in (("InformationURL", settings.information_url), ("PrivacyStatementURL", settings.privacy_url)):
            if address:
                _add_in_english(display, MDUI, name, address)

    def _add_organization(self, root: Element) -> None:
        organization = _add(root, "Organization")
        _add_in_english(organization, MD, "OrganizationName", self._settings.organization)
        _add_in_english(organization, MD, "OrganizationDisplayName", self._settings.organization)
        _add_in_english(organization, MD, "OrganizationURL", self._settings.organization_url)

    def _add_contacts(self, root: Element) -> None:
        """A security contact is one of type "other" with an attribute of its own (REFEDS Security Contact Metadata Extension)."""
        settings = self._settings
        contacts = (("technical", settings.technical_contact), ("support", settings.support_contact), ("other", settings.security_contact))
        for kind, address in contacts:
            if not address:
                continue
            contact = _add(root, "ContactPerson", contactType=kind)
            if kind == "other":
                contact.set(qualified(_REFEDS, "contactType"), f"{_REFEDS}/contactType/security")
            _add(contact, "EmailAddress").text = f"mailto:{address}"


def _add_key(role: Element, key: AnyKey, use: str) -> Element:
    descriptor = _add(role, "KeyDescriptor", use=use)
    info = etree.SubElement(descriptor, qualified(DS, "KeyInfo"))
    data = etree.SubElement(info, qualified(DS, "X509Data"))
    etree.SubElement(data, qualified(DS, "X509Certificate")).text = key.certificate_base64
    return descriptor


def _add_in_english(parent: Element, namespace: str, name: str, text: str) -> None:
    etree.SubElement(parent, qualified(namespace, name), {qualified(XML, "lang"): "en"}).text = printable(text)


def _add(parent: Element, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, qualified(MD, name), attributes)
