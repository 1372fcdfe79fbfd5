"""What we send: complete, signed as asked, encrypted or not at all, and taken by others' software."""

from __future__ import annotations

import base64
import shutil
import subprocess
import zlib
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from onelogin.saml2.logout_request import OneLogin_Saml2_Logout_Request
from onelogin.saml2.logout_response import OneLogin_Saml2_Logout_Response
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings

from idp.clock import utc_now
from idp.errors import Refusal
from idp.protocols.saml.assertion import NameId, Statement
from idp.protocols.saml.document import SAML, XENC, Element, parse, qualified, schema
from idp.protocols.saml.message import Protection, Status, Writer, post_value, redirect_url
from idp.protocols.saml.metadata import read_metadata
from idp.protocols.saml.query import read_query, verify_query
from idp.protocols.saml.settings import PERSISTENT
from idp.protocols.saml.signature import verify_enveloped

from .wiring import ACS, IDP_ENTITY, NOW, SLO, SP, SP_SLO, SSO, key_of, metadata, octets

KEY = key_of("idp")
PUBLIC = KEY.private.public_key()
PASSWORD = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
PROVIDER = read_metadata(metadata().encode())
USUAL = Protection()
ENCRYPTED = Protection(encrypt_for=PROVIDER.encryption_keys)
needs_xmlsec1 = pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="no xmlsec1 here: it is an oracle for tests only")


def writer(now: int = NOW) -> Writer:
    numbers = count(1)
    return Writer(IDP_ENTITY, now=lambda: now, new_id=lambda: f"_id{next(numbers)}")


def statement(now: int = NOW, **changes: Any) -> Statement:
    usual = Statement(
        issuer=IDP_ENTITY,
        audience=SP,
        recipient=ACS,
        in_response_to="_request1",
        issued=now,
        not_before=now - 60,
        not_on_or_after=now + 300,
        auth_time=now - 30,
        session_index="_session1",
        session_ends=now + 3600,
        context=PASSWORD,
        name_id=NameId("member1", PERSISTENT, IDP_ENTITY, SP),
        attributes={"mail": ("anne@assoc.example",), "urn:oid:2.5.4.42": ("Anne",), "committees": ("Ethics", "Finance")},
    )
    return replace(usual, **changes)


def response(protection: Protection = USUAL, now: int = NOW, **changes: Any) -> Element:
    return parse(octets(writer(now).response(statement(now, **changes), protection, KEY)))


def part(root: Element, path: str) -> Element:
    found = root.find("/".join(qualified(SAML, name) for name in path.split("/")))
    assert found is not None, path
    return found


def test_S51_V17_V25_a_response_has_all_that_a_relying_party_must_check() -> None:
    root = response()
    schema("protocol").check(root)
    data = part(root, "Assertion/Subject/SubjectConfirmation/SubjectConfirmationData")
    conditions = part(root, "Assertion/Conditions")
    authentication = part(root, "Assertion/AuthnStatement")
    assert (root.get("Destination"), root.get("InResponseTo")) == (ACS, "_request1")
    assert dict(data.attrib) == {"NotOnOrAfter": "2027-01-15T08:05:00Z", "Recipient": ACS, "InResponseTo": "_request1"}
    assert dict(conditions.attrib) == {"NotBefore": "2027-01-15T07:59:00Z", "NotOnOrAfter": "2027-01-15T08:05:00Z"}
    assert part(root, "Assertion/Conditions/AudienceRestriction/Audience").text == SP
    assert dict(authentication.attrib) == {
        "AuthnInstant": "2027-01-15T07:59:30Z",
        "SessionIndex": "_session1",
        "SessionNotOnOrAfter": "2027-01-15T09:00:00Z",
    }
    assert part(root, "Issuer").text == part(root, "Assertion/Issuer").text == IDP_ENTITY


def test_SDP_IDP10_there_is_one_assertion_with_one_of_each_statement() -> None:
    root = response()
    for name in ("Assertion", "AuthnStatement", "AttributeStatement", "NameID"):
        assert len(list(root.iter(qualified(SAML, name)))) == 1


def test_an_answer_to_nobodys_question_has_no_InResponseTo() -> None:
    assert b"InResponseTo" not in octets(response(in_response_to=""))


def test_IIP_IDP11_an_assertion_may_go_without_a_NameID_or_attributes() -> None:
    root = response(name_id=None, attributes={})
    schema("protocol").check(root)
    assert b"NameID" not in octets(root)
    assert b"AttributeStatement" not in octets(root)


def attributes_of(root: Element) -> list[dict[str, str]]:
    return [{key.lower(): str(value) for key, value in each.attrib.items()} for each in root.iter(qualified(SAML, "Attribute"))]


BASIC, URI = (f"urn:oasis:names:tc:SAML:2.0:attrname-format:{name}" for name in ("basic", "uri"))


def test_IIP_IDP01_the_name_decides_its_format_and_a_known_identifier_gets_its_friendly_name() -> None:
    assert attributes_of(response()) == [
        {"name": "mail", "nameformat": BASIC},
        {"name": "urn:oid:2.5.4.42", "nameformat": URI, "friendlyname": "givenName"},
        {"name": "committees", "nameformat": BASIC},
    ]


def test_SDP_IDP18_uri_sends_known_names_by_their_object_identifiers() -> None:
    assert attributes_of(response(attribute_format="uri"))[0] == {
        "name": "urn:oid:0.9.2342.19200300.100.1.3",
        "nameformat": URI,
        "friendlyname": "mail",
    }


def test_SDP_IDP19_SDP_IDP20_each_value_is_an_element_of_its_own() -> None:
    committees = list(response().iter(qualified(SAML, "Attribute")))[2]
    assert [each.text for each in committees] == ["Ethics", "Finance"]


@pytest.mark.parametrize(
    "value",
    [
        "</saml:AttributeValue></saml:Attribute><saml:Attribute Name='admin'>",
        "<!-- -->",
        "]]>",
        "&lt;&amp;",
        '" x="y',
        "line\r\nline\ttab",
        "Zoë Ünïcode 漢字 😀",
    ],
)
def test_S67_V12_a_value_never_becomes_markup_and_arrives_as_it_was(value: str) -> None:
    root = response(attributes={"x": (value,)}, name_id=NameId(value, PERSISTENT))
    verified = verify_enveloped(parse(octets(part(root, "Assertion"))), [PUBLIC])
    assert [each.text for each in verified.iter(qualified(SAML, "AttributeValue"))] == [value]
    assert part(verified, "Subject/NameID").text == value


def test_a_value_with_characters_that_xml_cannot_carry_does_not_stop_the_sign_on() -> None:
    root = response(attributes={"x": ("a\x00\x0bb",), "n\x01": ("y",)}, name_id=NameId("\x02", PERSISTENT))
    assert [each.text for each in root.iter(qualified(SAML, "AttributeValue"))] == ["a\ufffd\ufffdb", "y"]


def test_V5_SDP_G03_nothing_that_we_send_has_a_comment_or_a_document_type() -> None:
    assert b"<!" not in octets(response(attributes={"x": ("<!-- -->",)}))


@pytest.mark.parametrize(("assertion", "whole"), [(True, False), (False, True), (True, True)])
def test_IIP_SSO04_assertion_and_response_are_signed_together_or_each_alone(assertion: bool, whole: bool) -> None:
    root = response(Protection(sign_assertion=assertion, sign_response=whole))
    schema("protocol").check(root)
    own = [etree.QName(each.getparent()).localname for each in root.iter("{http://www.w3.org/2000/09/xmldsig#}Signature")]
    assert own == ["Response"] * whole + ["Assertion"] * assertion
    if assertion:
        assert verify_enveloped(parse(octets(part(root, "Assertion"))), [PUBLIC]) is not None


def test_SDP_IDP11_IIP_IDP09_an_encrypted_assertion_shows_nothing() -> None:
    root = response(ENCRYPTED)
    schema("protocol").check(root)
    text = octets(root)
    assert b"anne@" not in text
    assert b"member1" not in text
    assert root.find(qualified(SAML, "Assertion")) is None
    methods = [str(each.get("Algorithm")) for each in root.iter(qualified(XENC, "EncryptionMethod"))]
    assert methods == ["http://www.w3.org/2009/xmlenc11#aes256-gcm", "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"]


def test_S65_without_a_key_to_encrypt_for_nothing_is_sent() -> None:
    with pytest.raises(Refusal):
        response(Protection(encrypt_for=()))


def test_IIP_MD10_a_key_that_names_its_algorithms_gets_one_of_them() -> None:
    named = '<md:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes128-gcm"/></md:KeyDescriptor>'
    provider = read_metadata(metadata().replace("</md:KeyDescriptor>", named).encode())
    assert b"#aes128-gcm" in octets(response(Protection(encrypt_for=provider.encryption_keys)))


def test_IIP_IDP05_a_refusal_is_a_signed_response_without_an_assertion() -> None:
    status = Status("Responder", "NoPassive", "Nobody is signed in.")
    root = parse(octets(writer().refusal(status, recipient=ACS, in_response_to="_request1", key=KEY)))
    schema("protocol").check(root)
    verified = verify_enveloped(root, [PUBLIC])
    codes = [str(each.get("Value")).rpartition(":")[2] for each in verified.iter("{urn:oasis:names:tc:SAML:2.0:protocol}StatusCode")]
    assert codes == ["Responder", "NoPassive"]
    assert verified.find(qualified(SAML, "Assertion")) is None


# ---- what others' software says


def sp_settings(*, idp: dict[str, Any] | None = None, **security: bool) -> OneLogin_Saml2_Settings:
    """python3-saml as the service provider of `wiring.metadata`, in strict mode."""
    private = key_of("sp").private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    endpoint = {"binding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"}
    return OneLogin_Saml2_Settings(
        {
            "strict": True,
            "sp": {
                "entityId": SP,
                "assertionConsumerService": {"url": ACS},
                "singleLogoutService": {"url": SP_SLO, **endpoint},
                "x509cert": key_of("sp").certificate_base64,
                "privateKey": private,
            },
            "idp": idp
            or {
                "entityId": IDP_ENTITY,
                "singleSignOnService": {"url": SSO, **endpoint},
                "singleLogoutService": {"url": SLO, **endpoint},
                "x509cert": KEY.certificate_base64,
            },
            "security": {"rejectDeprecatedAlgorithm": True, **security},
        }
    )


def request_data(path: str, query: str = "") -> dict[str, Any]:
    fields = {name: values[0] for name, values in parse_qs(query).items()}
    return {"https": "on", "http_host": "lms.example", "script_name": path, "get_data": fields, "post_data": {}, "query_string": query}


@pytest.mark.parametrize(
    ("protection", "security"),
    [
        (Protection(), {"wantAssertionsSigned": True}),
        (Protection(sign_assertion=False, sign_response=True), {"wantMessagesSigned": True}),
        (Protection(sign_response=True), {"wantAssertionsSigned": True, "wantMessagesSigned": True}),
        (ENCRYPTED, {"wantAssertionsSigned": True, "wantAssertionsEncrypted": True}),
        (
            replace(ENCRYPTED, sign_response=True),
            {"wantAssertionsSigned": True, "wantMessagesSigned": True, "wantAssertionsEncrypted": True},
        ),
    ],
)
def test_python3_saml_in_strict_mode_accepts_our_response(protection: Protection, security: dict[str, Any]) -> None:
    now = utc_now()
    posted = post_value(writer(now).response(statement(now), protection, KEY))
    answer = OneLogin_Saml2_Response(sp_settings(**security), posted)
    assert answer.is_valid(request_data("/acs"), "_request1"), answer.get_error()
    assert answer.get_nameid() == "member1"
    assert answer.get_session_index() == "_session1"
    assert answer.get_attributes()["committees"] == ["Ethics", "Finance"]


def test_python3_saml_refuses_our_response_when_it_was_changed_or_asked_by_another() -> None:
    now = utc_now()
    root = writer(now).response(statement(now), Protection(), KEY)
    changed = base64.b64encode(octets(root).replace(b"Ethics", b"Board")).decode()
    assert not OneLogin_Saml2_Response(sp_settings(wantAssertionsSigned=True), changed).is_valid(request_data("/acs"), "_request1")
    assert not OneLogin_Saml2_Response(sp_settings(wantAssertionsSigned=True), post_value(root)).is_valid(request_data("/acs"), "_another")


def test_python3_saml_accepts_our_LogoutRequest_and_LogoutResponse() -> None:
    now = utc_now()
    asked = writer(now).logout_request(
        statement().name_id or NameId("", ""), destination=SP_SLO, session_index="_session1", identifier="_out1"
    )
    query = urlsplit(redirect_url(SP_SLO, "SAMLRequest", asked, relay_state="", key=KEY)).query
    request = OneLogin_Saml2_Logout_Request(sp_settings(wantMessagesSigned=True), parse_qs(query)["SAMLRequest"][0])
    assert request.is_valid(request_data("/slo", query), raise_exceptions=True)
    answered = writer(now).logout_response(Status(), destination=SP_SLO, in_response_to="_theirs")
    query = urlsplit(redirect_url(SP_SLO, "SAMLResponse", answered, relay_state="r", key=KEY)).query
    response = OneLogin_Saml2_Logout_Response(sp_settings(wantMessagesSigned=True), parse_qs(query)["SAMLResponse"][0])
    assert response.is_valid(request_data("/slo", query), "_theirs", raise_exceptions=True)


def test_our_redirect_carries_the_message_and_a_signature_that_verifies() -> None:
    asked = writer().logout_request(NameId("x", PERSISTENT), destination=SP_SLO + "?tenant=1", session_index="_s", identifier="_out1")
    schema("protocol").check(asked)
    url = redirect_url(SP_SLO + "?tenant=1", "SAMLRequest", asked, relay_state="", key=KEY)
    assert url.startswith(f"{SP_SLO}?tenant=1&SAMLRequest=")
    query = read_query(urlsplit(url).query.encode())
    verify_query(query, [PUBLIC])
    assert zlib.decompress(base64.b64decode(query.message), -15) == octets(asked)


@needs_xmlsec1
def test_xmlsec1_verifies_both_of_our_signatures(tmp_path: Path) -> None:
    root = response(Protection(sign_response=True))
    assertion = part(root, "Assertion")
    assert xmlsec1_verifies(tmp_path, octets(root), str(root.get("ID")))
    assert xmlsec1_verifies(tmp_path, octets(root), str(assertion.get("ID")))
    assert not xmlsec1_verifies(tmp_path, octets(root).replace(b"Ethics", b"Board"), str(root.get("ID")))


@needs_xmlsec1
def test_xmlsec1_decrypts_our_assertion_and_its_signature_is_whole(tmp_path: Path) -> None:
    (tmp_path / "message.xml").write_bytes(octets(response(ENCRYPTED)))
    (tmp_path / "key.pem").write_bytes(key_of("sp").private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    said = subprocess.run(
        ["xmlsec1", "--decrypt", "--privkey-pem", str(tmp_path / "key.pem"), str(tmp_path / "message.xml")],
        capture_output=True,
        check=True,
        timeout=20,
    )
    assertion = part(parse(said.stdout), "EncryptedAssertion/Assertion")
    assert verify_enveloped(parse(octets(assertion)), [PUBLIC]) is not None


def xmlsec1_verifies(folder: Path, message: bytes, identifier: str) -> bool:
    (folder / "message.xml").write_bytes(message)
    (folder / "certificate.pem").write_bytes(KEY.certificate.public_bytes(Encoding.PEM))
    command = ["xmlsec1", "--verify", "--pubkey-cert-pem", str(folder / "certificate.pem"), "--node-id", identifier]
    for name in ("urn:oasis:names:tc:SAML:2.0:protocol:Response", f"{SAML}:Assertion"):
        command += ["--id-attr:ID", name]
    said = subprocess.run([*command, str(folder / "message.xml")], capture_output=True, check=False, timeout=20)
    return said.returncode == 0
