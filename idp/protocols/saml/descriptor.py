"""Our own metadata: a signed EntityDescriptor with every address, the current certificate and the next one (S69, SDP-IDP33)."""

from __future__ import annotations

from collections.abc import Callable

from lxml import etree

from idp.clock import Now
from idp.keys import KeyRing, SigningKey
from idp.protocols.saml.document import DS, MD, MDUI, POST, REDIRECT, SAMLP, SOAP, XML, Element, printable, qualified
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.settings import EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED, SamlServerSettings
from idp.protocols.saml.signature import sign_enveloped

_CACHE = "PT6H"
_SHIBMD = "urn:mace:shibboleth:metadata:1.0"
_FORMATS = (PERSISTENT, TRANSIENT, EMAIL, UNSPECIFIED)


class Descriptor:
    """Writes our metadata."""

    def __init__(self, url: str, settings: SamlServerSettings, *, keys: KeyRing, now: Now, new_id: Callable[[], str]) -> None:
        self.entity_id = settings.entity_id or f"{url}/saml/metadata"
        self._url = url
        self._settings = settings
        self._name = settings.display_name or settings.organization or url.partition("//")[2]
        self._keys = keys
        self._now = now
        self._new_id = new_id

    def document(self) -> bytes:
        """The metadata document as UTF-8."""
        root = self._entity()
        sign_enveloped(root, self._keys.current)
        octets: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True)
        return octets

    def _entity(self) -> Element:
        attributes = {
            "ID": self._new_id(),
            "entityID": self.entity_id,
            "validUntil": write_time(self._now() + self._settings.metadata_life),
            "cacheDuration": _CACHE,
        }
        root = etree.Element(qualified(MD, "EntityDescriptor"), attributes, nsmap={"md": MD, "ds": DS, "mdui": MDUI})
        self._add_role(root)
        if self._settings.organization:
            self._add_organization(root)
        if self._settings.technical_contact:
            contact = _add(root, "ContactPerson", contactType="technical")
            _add(contact, "EmailAddress").text = f"mailto:{self._settings.technical_contact}"
        return root

    def _add_role(self, root: Element) -> None:
        """In the order of the schema. Nothing stands here that we do not serve (SDP-MD04)."""
        role = _add(
            root,
            "IDPSSODescriptor",
            protocolSupportEnumeration=SAMLP,
            WantAuthnRequestsSigned="false",
            errorURL=self._settings.error_url or f"{self._url}/",
        )
        self._add_display(role)
        for key in self._keys.published:
            if key.state != "retired":  # what it signed has expired within minutes
                _add_key(role, key)
        _add_key(role, self._keys.current, "encryption")  # for EncryptedID in LogoutRequests; every key of ours decrypts
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

    def _add_display(self, role: Element) -> None:
        extensions = _add(role, "Extensions")
        if self._settings.scope:  # SDP-IDP14
            etree.SubElement(extensions, qualified(_SHIBMD, "Scope"), {"regexp": "false"}).text = self._settings.scope
        display = etree.SubElement(extensions, qualified(MDUI, "UIInfo"))
        _add_in_english(display, MDUI, "DisplayName", self._name)
        if self._settings.logo_url:
            etree.SubElement(display, qualified(MDUI, "Logo"), {"height": "60", "width": "80"}).text = self._settings.logo_url

    def _add_organization(self, root: Element) -> None:
        organization = _add(root, "Organization")
        _add_in_english(organization, MD, "OrganizationName", self._settings.organization)
        _add_in_english(organization, MD, "OrganizationDisplayName", self._settings.organization)
        _add_in_english(organization, MD, "OrganizationURL", self._settings.organization_url)


def _add_key(role: Element, key: SigningKey, use: str = "signing") -> None:
    info = etree.SubElement(_add(role, "KeyDescriptor", use=use), qualified(DS, "KeyInfo"))
    data = etree.SubElement(info, qualified(DS, "X509Data"))
    etree.SubElement(data, qualified(DS, "X509Certificate")).text = key.certificate_base64


def _add_in_english(parent: Element, namespace: str, name: str, text: str) -> None:
    etree.SubElement(parent, qualified(namespace, name), {qualified(XML, "lang"): "en"}).text = printable(text)


def _add(parent: Element, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, qualified(MD, name), attributes)
