"""The assertion: what we say of a member to one service provider, built element by element, so that no value can become markup (V12).

Not with pysaml2's builders: they release more than they are told to, re-use transient identifiers, leave out what S51 wants,
and take longer than the signature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from lxml import etree
from saml2.attributemaps import saml_uri

from idp.protocols.saml.document import SAML, Element, printable, qualified
from idp.protocols.saml.moment import write_time
from idp.sso.release import ALIASES

_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_NAME_FORMAT = "urn:oasis:names:tc:SAML:2.0:attrname-format:"
_FRIENDLY: Mapping[str, str] = saml_uri.MAP["fro"]
_OID: Mapping[str, str] = saml_uri.MAP["to"]

_OID_NAMES = {
    "email": "mail",
    "first_name": "givenName",
    "last_name": "sn",
    "full_name": "displayName",
    "username": "uid",
    "phone": "telephoneNumber",
}
"""Our names for what has another one among the well-known object identifiers."""
_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
_MICROSOFT = {
    "email": _CLAIMS + "emailaddress",
    "first_name": _CLAIMS + "givenname",
    "last_name": _CLAIMS + "surname",
    "full_name": _CLAIMS + "name",
    "username": _CLAIMS + "upn",
    "phone": _CLAIMS + "homephone",
    "roles": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    "committees": "http://schemas.xmlsoap.org/claims/Group",
}

_ASSERTION = qualified(SAML, "Assertion")
_ISSUER = qualified(SAML, "Issuer")
_NAME_ID = qualified(SAML, "NameID")


@dataclass(frozen=True)
class NameId:
    """The member's identifier at one service provider (Core section 2.2.3)."""

    value: str
    format: str
    name_qualifier: str = ""
    sp_name_qualifier: str = ""


@dataclass(frozen=True)
class Statement:
    """Everything that one assertion says. Times in seconds since 1970; `in_response_to` is empty when nobody asked (IdP-initiated)."""

    issuer: str
    audience: str
    recipient: str
    in_response_to: str
    issued: int
    not_before: int
    not_on_or_after: int
    auth_time: int
    session_index: str
    session_ends: int
    context: str
    name_id: NameId | None = None
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    attribute_format: str = "auto"
    consent: str = ""


def add_assertion(parent: Element, statement: Statement, identifier: str) -> Element:
    """Writes the assertion into a Response; it is not signed yet. It always has what S51 lists (V17, V25)."""
    attributes = {"ID": identifier, "Version": "2.0", "IssueInstant": write_time(statement.issued)}
    assertion = etree.SubElement(parent, _ASSERTION, attributes, nsmap={"saml": SAML})
    _add(assertion, "Issuer").text = statement.issuer
    _add_subject(assertion, statement)
    _add_conditions(assertion, statement)
    if statement.context:  # none in the answer to an AttributeQuery
        _add_authentication(assertion, statement)
    if statement.attributes:
        _add_attributes(assertion, statement)
    return assertion


def write_assertion(statement: Statement) -> bytes:
    """The assertion alone, unsigned and laid out for reading: a preview."""
    assertion = add_assertion(etree.Element("preview"), statement, "_preview")
    octets: bytes = etree.tostring(assertion, encoding="utf-8", pretty_print=True)
    return octets


def add_issuer(parent: Element, issuer: str) -> None:
    """The Issuer, which is the first child of every message."""
    etree.SubElement(parent, _ISSUER, nsmap={"saml": SAML}).text = issuer


def add_name_id(parent: Element, name_id: NameId) -> None:
    """The NameID of a subject or a LogoutRequest."""
    qualifiers = {"NameQualifier": name_id.name_qualifier, "SPNameQualifier": name_id.sp_name_qualifier}
    attributes = {"Format": name_id.format, **{name: value for name, value in qualifiers.items() if value}}
    etree.SubElement(parent, _NAME_ID, attributes, nsmap={"saml": SAML}).text = printable(name_id.value)


def _add(parent: Element, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, qualified(SAML, name), attributes)


def _add_subject(assertion: Element, statement: Statement) -> None:
    """InResponseTo stands inside SubjectConfirmationData, where a relying party looks for it (Profiles section 4.1.4.2, V17)."""
    subject = _add(assertion, "Subject")
    if statement.name_id is not None:
        add_name_id(subject, statement.name_id)
    if not statement.recipient:
        return
    confirmation = _add(subject, "SubjectConfirmation", Method=_BEARER)
    data = {"NotOnOrAfter": write_time(statement.not_on_or_after), "Recipient": statement.recipient}
    if statement.in_response_to:
        data["InResponseTo"] = statement.in_response_to
    _add(confirmation, "SubjectConfirmationData", **data)


def _add_conditions(assertion: Element, statement: Statement) -> None:
    conditions = _add(
        assertion, "Conditions", NotBefore=write_time(statement.not_before), NotOnOrAfter=write_time(statement.not_on_or_after)
    )
    _add(_add(conditions, "AudienceRestriction"), "Audience").text = statement.audience


def _add_authentication(assertion: Element, statement: Statement) -> None:
    authentication = _add(
        assertion,
        "AuthnStatement",
        AuthnInstant=write_time(statement.auth_time),
        SessionIndex=statement.session_index,
        SessionNotOnOrAfter=write_time(statement.session_ends),
    )
    _add(_add(authentication, "AuthnContext"), "AuthnContextClassRef").text = statement.context


def _add_attributes(assertion: Element, statement: Statement) -> None:
    """One AttributeValue for each value (SDP-IDP20), without xsi:type, as AD FS does: its prefix would be lost in canonical form."""
    attributes = _add(assertion, "AttributeStatement")
    for name, values in statement.attributes.items():
        attribute = _add(attributes, "Attribute", **_name(name, statement.attribute_format))
        for value in values:
            _add(attribute, "AttributeValue").text = printable(value)


@cache
def _name(name: str, wanted: str) -> Mapping[str, str]:
    """Name, NameFormat and FriendlyName of an attribute. By itself a name that is a URI says so, and any other is "basic" (IIP-IDP01).

    With "uri" names with a well-known object identifier, such as `mail`, are sent under it (SDP-IDP18), and with "oid" our own names for
    the same, such as `email`, as well. With "microsoft" and "plain" there is no NameFormat, as AD FS and Entra ID send them.
    """
    if wanted == "oid":
        name = _OID_NAMES.get(ALIASES.get(name, name), name)
    if wanted in ("uri", "oid"):
        name = _OID.get(name, name)
    if wanted == "microsoft":
        name = _MICROSOFT.get(ALIASES.get(name, name), name)
    if wanted in ("microsoft", "plain"):
        return {"Name": printable(name)}
    by_itself = "uri" if name.startswith(("urn:", "http://", "https://")) else "basic"
    chosen = {"auto": by_itself, "oid": "uri"}.get(wanted, wanted)
    friendly = {"FriendlyName": _FRIENDLY[name]} if name in _FRIENDLY else {}
    return {"Name": printable(name), "NameFormat": _NAME_FORMAT + chosen, **friendly}
