"""A service provider for tests: its keys, its metadata, its messages by either binding; and the identity provider's parts beside it."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote_plus

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from idp.keys import KeyRing, SigningKey
from idp.protocols.saml.document import MD, POST, REDIRECT, SAML, SAMLP, Element, canonical, parse
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.query import sign_query
from idp.protocols.saml.signature import sign_enveloped

IDP = "https://login.assoc.example"
IDP_ENTITY = f"{IDP}/saml/metadata"
SSO = f"{IDP}/saml/sso"
SLO = f"{IDP}/saml/slo"
SP = "https://lms.example/metadata"
ACS = "https://lms.example/acs"
SP_SLO = "https://lms.example/slo"
NOW = 1_800_000_000
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"


@cache
def key_of(name: str) -> SigningKey:
    """An RSA key with a certificate, made once in a test run."""
    return KeyRing(Path(mkdtemp(prefix="idp-saml-"))).create(common_name=name)


def metadata(
    entity_id: str = SP,
    *,
    acs: str = f'<md:AssertionConsumerService Binding="{POST}" Location="{ACS}" index="1"/>',
    slo: str = f'<md:SingleLogoutService Binding="{REDIRECT}" Location="{SP_SLO}"/>',
    keys: Sequence[tuple[str, SigningKey]] | None = None,
    role: str = 'AuthnRequestsSigned="false"',
    formats: Sequence[str] = (),
    attributes: str = "",
    inside: str = "",
) -> str:
    """An EntityDescriptor as vendors send it."""
    descriptors = "".join(
        f"<md:KeyDescriptor{f' use={chr(34)}{use}{chr(34)}' if use else ''}><ds:KeyInfo><ds:X509Data><ds:X509Certificate>"
        f"{key.certificate_base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
        for use, key in ([("", key_of("sp"))] if keys is None else keys)
    )
    named = "".join(f"<md:NameIDFormat>{each}</md:NameIDFormat>" for each in formats)
    return (
        f'<md:EntityDescriptor xmlns:md="{MD}" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" entityID="{entity_id}"{attributes}>'
        f'<md:SPSSODescriptor protocolSupportEnumeration="{SAMLP}" {role}>{inside}{descriptors}{slo}{named}{acs}'
        "</md:SPSSODescriptor></md:EntityDescriptor>"
    )


def authn_request(inner: str = "", *, identifier: str = "_request1", issuer: str = SP, issued: int = NOW, **attributes: str) -> Element:
    """An AuthnRequest; further attributes of it by keyword, such as ForceAuthn. Destination is ours unless it is given as empty."""
    return _message("AuthnRequest", SSO, inner, identifier=identifier, issuer=issuer, issued=issued, **attributes)


def logout_request(inner: str, *, identifier: str = "_logout1", issuer: str = SP, issued: int = NOW, **attributes: str) -> Element:
    """A LogoutRequest; `inner` holds its NameID and SessionIndex."""
    return _message("LogoutRequest", SLO, inner, identifier=identifier, issuer=issuer, issued=issued, **attributes)


def logout_response(
    in_response_to: str, code: str = "Success", *, identifier: str = "_reply1", issuer: str = SP, issued: int = NOW
) -> Element:
    """A LogoutResponse to a request of ours."""
    status = f'<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{code}"/></samlp:Status>'
    return _message("LogoutResponse", SLO, status, identifier=identifier, issuer=issuer, issued=issued, InResponseTo=in_response_to)


def _message(name: str, destination: str, inner: str, *, identifier: str, issuer: str, issued: int, **attributes: str) -> Element:
    every = {"ID": identifier, "Version": "2.0", "IssueInstant": write_time(issued), "Destination": destination, **attributes}
    written = "".join(f' {key}="{value}"' for key, value in every.items() if value)
    content = f"<saml:Issuer>{issuer}</saml:Issuer>{inner}"
    return parse(f'<samlp:{name} xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"{written}>{content}</samlp:{name}>'.encode())


def octets(root: Element) -> bytes:
    text: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=False)
    return text


def signed(root: Element, key: SigningKey | None = None) -> Element:
    """The message with an enveloped signature by the service provider's key, or another's."""
    sign_enveloped(root, key or key_of("sp"))
    return root


def deflated(root: Element | bytes) -> str:
    """The message as HTTP-Redirect carries it, before percent-encoding."""
    compress = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = root if isinstance(root, bytes) else octets(root)
    return base64.b64encode(compress.compress(raw) + compress.flush()).decode()


def redirect_query(root: Element | bytes, *, kind: Any = "SAMLRequest", relay_state: str = "", key: SigningKey | None = None) -> bytes:
    """The raw query of a Redirect message, signed when a key is given."""
    if key is not None:
        return sign_query(kind, deflated(root), relay_state=relay_state, key=key).encode()
    return f"{kind}={quote_plus(deflated(root))}{f'&RelayState={quote_plus(relay_state)}' if relay_state else ''}".encode()


def post_form(root: Element | bytes, *, kind: str = "SAMLRequest", relay_state: str = "") -> dict[str, list[str]]:
    """The form of a POST message."""
    raw = root if isinstance(root, bytes) else octets(root)
    return {kind: [base64.b64encode(raw).decode()], **({"RelayState": [relay_state]} if relay_state else {})}


def pairwise(entity_id: str, subject_id: str) -> str:
    return base64.b32encode(hashlib.sha256(f"{entity_id}|{subject_id}".encode()).digest()).decode().rstrip("=").lower()


SIGNATURE = """<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo>\
<ds:CanonicalizationMethod Algorithm="{canonicalization}"/><ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="{uri}">\
<ds:Transforms><ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/><ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>\
</ds:Transforms><ds:DigestMethod Algorithm="{digest_method}"/><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>\
<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"""
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"


def sign_by_hand(
    root: Element,
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    *,
    method: str = _MORE + "rsa-sha256",
    digest_method: str = "http://www.w3.org/2001/04/xmlenc#sha256",
    canonicalization: str = EXCLUSIVE,
    uri: str | None = None,
) -> Element:
    """A second, independent signer with every algorithm open, also those that must be refused. It puts the Signature after the Issuer."""
    name = digest_method.rpartition("#")[2]
    digest = base64.b64encode(hashlib.new(name, canonical(root)).digest()).decode()
    fields = {
        "canonicalization": canonicalization,
        "method": method,
        "digest_method": digest_method,
        "uri": f"#{root.get('ID')}" if uri is None else uri,
        "digest": digest,
    }
    signature = parse(SIGNATURE.format(value="", **fields).encode())
    value = raw_signature(private, method, canonical(signature[0]))
    root.insert(1, parse(SIGNATURE.format(value=base64.b64encode(value).decode(), **fields).encode()))
    return root


def raw_signature(private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, method: str, text: bytes) -> bytes:
    """The signature value alone."""
    used: dict[str, hashes.HashAlgorithm] = {
        "sha1": hashes.SHA1(),
        "sha256": hashes.SHA256(),
        "sha384": hashes.SHA384(),
        "sha512": hashes.SHA512(),
    }
    chosen = used[method.rpartition("-")[2]]
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(text, padding.PKCS1v15(), chosen)
    r, s = decode_dss_signature(private.sign(text, ec.ECDSA(chosen)))
    length = (private.key_size + 7) // 8
    return r.to_bytes(length, "big") + s.to_bytes(length, "big")
