"""SOAP 1.1: one message in a Body, in and out (Bindings section 3.2)."""

from __future__ import annotations

from lxml import etree

from idp.errors import BadRequest, IdpError
from idp.protocols.saml.document import SOAP, Element, parse, printable, qualified
from idp.protocols.saml.gate import Envelope

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_ECP = "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"
CONTENT_TYPE = "text/xml; charset=utf-8"


def from_soap(raw: bytes) -> Envelope:
    """The message of a SOAP request. Raises BadRequest for a header that must be understood, and for anything but one message."""
    root = parse(raw)
    parts = [str(each.tag) for each in root]
    if root.tag != qualified(ENVELOPE, "Envelope") or parts not in (
        [qualified(ENVELOPE, "Body")],
        [qualified(ENVELOPE, "Header"), qualified(ENVELOPE, "Body")],
    ):
        raise BadRequest("saml.soap_shape", "This is not a SOAP message.", expected="a SOAP 1.1 Envelope", received=str(root.tag))
    for header in root[0] if len(root) > 1 else ():
        if header.get(qualified(ENVELOPE, "mustUnderstand")) == "1":
            raise BadRequest("saml.soap_header", "The SOAP message has a header that is not understood here.", received=str(header.tag))
    if len(root[-1]) != 1:
        raise BadRequest("saml.soap_shape", "A SOAP message holds one SAML message.", received=str(len(root[-1])))
    # with all declarations in scope, which a PrefixList may name; the gate parses it afresh
    return Envelope("SAMLRequest", SOAP, etree.tostring(root[-1][0], encoding="utf-8", with_tail=False), "")


def to_soap(message: Element, *headers: Element) -> bytes:
    """The message in an Envelope."""
    root = etree.Element(qualified(ENVELOPE, "Envelope"), nsmap={"S": ENVELOPE})
    if headers:
        etree.SubElement(root, qualified(ENVELOPE, "Header")).extend(headers)
    etree.SubElement(root, qualified(ENVELOPE, "Body")).append(message)
    octets: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=True)
    return octets


def ecp_response(message: Element, acs: str) -> bytes:
    """A Response for an enhanced client; the header tells it where to bring it, so that it can compare (Profiles section 4.2.4.2)."""
    attributes = {
        qualified(ENVELOPE, "mustUnderstand"): "1",
        qualified(ENVELOPE, "actor"): "http://schemas.xmlsoap.org/soap/actor/next",
        "AssertionConsumerServiceURL": acs,
    }
    return to_soap(message, etree.Element(qualified(_ECP, "Response"), attributes, nsmap={"ecp": _ECP, "S": ENVELOPE}))


def fault(error: IdpError, reference: str) -> bytes:
    """A refusal as a SOAP fault: whose fault it is, and the sentence with our reference."""
    element = etree.Element(qualified(ENVELOPE, "Fault"), nsmap={"S": ENVELOPE})
    etree.SubElement(element, "faultcode").text = "S:Client" if error.status < 500 else "S:Server"
    etree.SubElement(element, "faultstring").text = printable(f"{error.message} [{error.cause}, reference {reference}]")
    return to_soap(element)
