"""Logout without a browser, by other bindings, of several sessions, and under an encrypted name."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree
from werkzeug.test import TestResponse

from idp.protocols.saml.document import DS, POST, SAML, SAMLP, SOAP, XENC, XENC11, Element, parse, qualified, schema
from idp.protocols.saml.settings import EMAIL
from idp.protocols.saml.signature import verify_enveloped
from idp.protocols.saml.soap import ENVELOPE, to_soap
from tests.simple.wiring import form_token, posted

from .conftest import MakeWorld
from .test_logout import CRM, crm_client, end_of, other_metadata, pair, statuses
from .test_protocol import policy
from .wiring import IDP, SP_SLO, key_of, logout_request, logout_response, octets, signed
from .world import Provider, Told, World, message_at, saml_client

__all__ = ["pair"]
SOAP_URL = f"{IDP}/saml/soap"
SOAP_SLO = f'<md:SingleLogoutService Binding="{SOAP}" Location="https://crm.example/soap"/>'


def by_soap(world: World, message: Element | bytes) -> TestResponse:
    raw = message if isinstance(message, bytes) else to_soap(message)
    return world.visitor().http.post("/saml/soap", data=raw, base_url=IDP, content_type="text/xml")


def told_by_soap(world: World, response: TestResponse) -> list[str]:
    """The status codes of our signed LogoutResponse."""
    assert response.status_code == 200, response.text
    root = parse(etree.tostring(parse(response.data)[-1][0]))
    schema("protocol").check(root)
    return codes(verify_enveloped(root, [world.public_key]))


def codes(root: Element) -> list[str]:
    return [str(each.get("Value")).rpartition(":")[2] for each in root.iter(qualified(SAMLP, "StatusCode"))]


# ---- SOAP in


def test_eGOV_092_a_LogoutRequest_by_SOAP_ends_the_session_without_a_browser(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    request = signed(logout_request(lms.sign_on().logout_inner(), issued=world.now(), Destination=""))
    assert told_by_soap(world, by_soap(world, request)) == ["Success"]
    assert world.sessions.list() == []


def test_eGOV_098_who_can_be_told_by_browser_alone_makes_a_logout_by_SOAP_partial(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, crm = pair
    told = lms.sign_on()
    crm.sign_on()
    request = signed(logout_request(told.logout_inner(), issued=world.now(), Destination=SOAP_URL))
    assert told_by_soap(world, by_soap(world, request)) == ["Success", "PartialLogout"]


@pytest.mark.parametrize("key", ["", "mallory"])
def test_eGOV_094_by_SOAP_too_nobody_is_signed_out_without_a_good_signature(pair: tuple[World, Provider, Provider], key: str) -> None:
    world, lms, _ = pair
    request = logout_request(lms.sign_on().logout_inner(), issued=world.now(), Destination=SOAP_URL)
    response = by_soap(world, signed(request, key_of(key)) if key else request)
    assert response.status_code == 400
    assert b"faultcode" in response.data
    assert str(world.audit.last["reference"]).encode() in response.data
    assert len(world.sessions.list()) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<a/>",
        f'<S:Envelope xmlns:S="{ENVELOPE}"/>'.encode(),
        f'<S:Envelope xmlns:S="{ENVELOPE}"><S:Body/></S:Envelope>'.encode(),
        f'<S:Envelope xmlns:S="{ENVELOPE}"><S:Body><a/><b/></S:Body></S:Envelope>'.encode(),
        f'<S:Envelope xmlns:S="{ENVELOPE}"><S:Header><x S:mustUnderstand="1"/></S:Header><S:Body><a/></S:Body></S:Envelope>'.encode(),
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    ],
)
def test_IIP_G03_what_is_no_SOAP_message_is_answered_with_a_fault(world: World, raw: bytes) -> None:
    response = by_soap(world, raw)
    assert response.status_code == 400
    assert b"Fault" in response.data


# ---- several sessions


def test_SAMLCore_3_7_1_every_SessionIndex_that_is_named_is_ended(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    there = Provider(world, world.signed_in())
    there._number = 50
    here, other = lms.sign_on(), there.sign_on()
    assert here.session_index != other.session_index
    inner = here.logout_inner() + f"<samlp:SessionIndex>{other.session_index}</samlp:SessionIndex>"
    answer = end_of(lms, lms.log_out(inner))
    assert statuses(world, answer.location)[1] == ["Success"]
    assert world.sessions.list() == []


def test_SAMLCore_3_7_1_without_a_SessionIndex_all_sessions_of_the_member_end(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    there = Provider(world, world.signed_in())
    there._number = 50
    told = lms.sign_on()
    there.sign_on()
    request = signed(logout_request(told.logout_inner(index=False), issued=world.now(), Destination=SOAP_URL))
    assert told_by_soap(world, by_soap(world, request)) == ["Success"]
    assert world.sessions.list() == []


def test_no_Success_is_told_where_nothing_could_be_looked_up(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    told = lms.sign_on(policy(EMAIL))
    world.sessions.take(world.sessions.list()[0].id)
    answer = end_of(lms, lms.log_out(told.logout_inner()))
    assert statuses(world, answer.location)[1] == ["Requester", "UnknownPrincipal"]


# ---- out


def test_eGOV_091_an_application_with_a_SOAP_address_is_told_by_our_server(make_world: MakeWorld) -> None:
    world = make_world(saml_client(), crm_client(slo=SOAP_SLO))
    visitor = world.signed_in()
    lms, crm = Provider(world, visitor), Provider(world, visitor, entity_id=CRM, key="crm")
    told, other = lms.sign_on(), crm.sign_on()
    answer = end_of(lms, lms.log_out(told.logout_inner()))
    assert statuses(world, answer.location) == (SP_SLO, ["Success"], "")
    notice = world.letters.notices[0]
    assert notice.letter is not None
    request = verify_enveloped(parse(etree.tostring(parse(notice.letter.body)[-1][0])), [world.public_key])
    schema("protocol").check(request)
    assert notice.url == request.get("Destination") == "https://crm.example/soap"
    assert other.name_id.text in octets(request).decode()


@pytest.mark.parametrize(
    ("key", "code", "to", "accepted"),
    [
        ("crm", "Success", "", True),
        ("", "Success", "", True),  # over TLS
        ("mallory", "Success", "", False),
        ("crm", "Responder", "", False),
        ("crm", "Success", "_another", False),
    ],
)
def test_eGOV_102_the_answer_by_SOAP_counts_only_if_it_is_that_applications(
    make_world: MakeWorld, key: str, code: str, to: str, accepted: bool
) -> None:
    world = make_world(crm_client(slo=SOAP_SLO))
    visitor = world.signed_in()
    Provider(world, visitor, entity_id=CRM, key="crm").sign_on()
    visitor.post("/logout", data={"form_token": form_token(visitor.get("/logout").text)})
    letter: Any = world.letters.notices[0].letter
    asked = str(parse(letter.body)[-1][0].get("ID"))
    root = logout_response(to or asked, code, issuer=CRM, issued=world.now())
    root.set("Destination", SOAP_URL)
    assert letter.accepts(to_soap(signed(root, key_of(key)) if key else root)) is accepted
    assert letter.accepts(b"<html>") is False


def test_an_application_that_takes_POST_is_visited_by_a_form(make_world: MakeWorld) -> None:
    slo = f'<md:SingleLogoutService Binding="{POST}" Location="https://crm.example/slo"/>'
    world = make_world(saml_client(), crm_client(slo=slo))
    visitor = world.signed_in()
    lms, crm = Provider(world, visitor), Provider(world, visitor, entity_id=CRM, key="crm")
    told = lms.sign_on()
    crm.sign_on()
    url, fields = posted(end_of(lms, lms.log_out(told.logout_inner())))
    asked = verify_enveloped(parse(base64.b64decode(fields["SAMLRequest"])), [world.public_key])
    assert (url, asked.get("Destination")) == ("https://crm.example/slo", "https://crm.example/slo")
    answer = end_of(crm, crm.reply(str(asked.get("ID"))))
    assert statuses(world, answer.location)[1] == ["Success"]


def test_logout_binding_chooses_among_what_the_metadata_have(make_world: MakeWorld) -> None:
    both = other_metadata("crm", slo=f'{SOAP_SLO}<md:SingleLogoutService Binding="{POST}" Location="https://crm.example/slo"/>')
    world = make_world(saml_client("crm", metadata_xml=both, logout_binding="post"))
    visitor = world.signed_in()
    crm = Provider(world, visitor, entity_id=CRM, key="crm")
    crm.sign_on()
    form = visitor.post("/logout", data={"form_token": form_token(visitor.get("/logout").text)})
    assert posted(end_of(crm, form))[0] == "https://crm.example/slo"
    assert world.letters.notices == []


# ---- an encrypted name


def encrypted_name(world: World, told: Told, *, digest: str = DS + "sha1", method: str = XENC11 + "aes256-gcm", spoil: bool = False) -> str:
    """EncryptedID as an application makes one from our metadata."""
    name = f'<saml:NameID xmlns:saml="{SAML}" Format="{told.name_id.get("Format")}">{told.name_id.text}</saml:NameID>'
    chosen = hashes.SHA256() if digest.endswith("sha256") else hashes.SHA1()
    content_key, nonce = AESGCM.generate_key(256 if "256" in method else 128), os.urandom(12)
    content = nonce + AESGCM(content_key).encrypt(nonce, name.encode(), None)
    public = world.keys.current.private.public_key()
    wrapped = public.encrypt(content_key, padding.OAEP(padding.MGF1(hashes.SHA1()), chosen, None))
    if spoil:
        content = content[:-1] + bytes([content[-1] ^ 1])

    def cipher(value: bytes) -> str:
        return f"<x:CipherData><x:CipherValue>{base64.b64encode(value).decode()}</x:CipherValue></x:CipherData>"

    return (
        f'<saml:EncryptedID><x:EncryptedData xmlns:x="{XENC}" Type="{XENC}Element"><x:EncryptionMethod Algorithm="{method}"/>'
        f'<ds:KeyInfo xmlns:ds="{DS}"><x:EncryptedKey><x:EncryptionMethod Algorithm="{XENC}rsa-oaep-mgf1p">'
        f'<ds:DigestMethod Algorithm="{digest}"/></x:EncryptionMethod>{cipher(wrapped)}</x:EncryptedKey></ds:KeyInfo>'
        f"{cipher(content)}</x:EncryptedData></saml:EncryptedID>"
    )


@pytest.mark.parametrize(
    ("digest", "method"),
    [(DS + "sha1", XENC11 + "aes256-gcm"), (XENC + "sha256", XENC11 + "aes128-gcm")],
)
def test_eGOV_095_a_name_that_is_encrypted_for_us_ends_the_session(
    pair: tuple[World, Provider, Provider], digest: str, method: str
) -> None:
    world, lms, _ = pair
    told = lms.sign_on()
    answer = end_of(lms, lms.log_out(encrypted_name(world, told, digest=digest, method=method)))
    assert statuses(world, answer.location)[1] == ["Success"]
    assert world.sessions.list() == []


def test_IIP_IDP19_a_name_that_was_encrypted_for_the_key_before_is_read_too(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    inner = encrypted_name(world, lms.sign_on())
    before = world.keys.current.kid
    world.keys.rotate(now=world.now)
    answer = end_of(lms, lms.log_out(inner))
    assert world.keys.current.kid != before
    assert message_at(world, answer.location)[1].tag.endswith("LogoutResponse")
    assert world.sessions.list() == []


@pytest.mark.parametrize("how", [{"spoil": True}, {"method": XENC + "aes256-cbc"}, {"digest": XENC + "sha512"}])
def test_an_encrypted_name_that_was_changed_or_is_of_an_old_cipher_is_not_read(
    pair: tuple[World, Provider, Provider], how: dict[str, Any]
) -> None:
    world, lms, _ = pair
    answer = end_of(lms, lms.log_out(encrypted_name(world, lms.sign_on(), **how)))
    assert statuses(world, answer.location)[1] == ["Requester", "RequestUnsupported"]
    assert len(world.sessions.list()) == 1
