"""The enhanced client (ECP): a program signs a member in by SOAP and HTTP Basic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree
from werkzeug.test import TestResponse

from idp.protocols.saml.document import METADATA, PAOS, SAML, SAMLP, SOAP, parse, qualified, schema
from idp.protocols.saml.signature import verify_enveloped
from idp.protocols.saml.soap import ENVELOPE, to_soap
from idp.sso.settings import EntrySettings
from tests.standin import PASSWORD

from .conftest import MakeWorld
from .test_back_channel import codes
from .wiring import IDP, authn_request, key_of, metadata, signed
from .world import Provider, World, saml_client

PAOS_URL = "https://lms.example/paos"
ECP_URL = f"{IDP}/saml/ecp"
ANNE = ("anne", PASSWORD)


def with_paos() -> str:
    endpoint = f'<md:AssertionConsumerService Binding="{PAOS}" Location="{PAOS_URL}" index="9"/>'
    return metadata().replace("</md:SPSSODescriptor>", f"{endpoint}</md:SPSSODescriptor>")


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(saml_client(metadata_xml=with_paos()), ecp=True)


def ask(world: World, *, auth: tuple[str, str] | None = ANNE, identifier: str = "_ecp1", **attributes: str) -> TestResponse:
    root = authn_request(issued=world.now(), identifier=identifier, **{"Destination": "", **attributes})
    body = to_soap(signed(root, key_of("sp")))
    return world.visitor().http.post("/saml/ecp", data=body, base_url=IDP, content_type="text/xml", auth=auth)


def test_IIP_IDP13_a_program_signs_a_member_in(world: World) -> None:
    response = ask(world)
    assert response.status_code == 200, response.text
    envelope = parse(response.data)
    header, body = envelope[0][0], parse(etree.tostring(envelope[1][0]))
    schema("protocol").check(body)
    assertion = verify_enveloped(parse(etree.tostring(body.find(qualified(SAML, "Assertion")))), [world.public_key])
    assert header.get("AssertionConsumerServiceURL") == body.get("Destination") == PAOS_URL
    assert header.get(qualified(ENVELOPE, "mustUnderstand")) == "1"
    assert body.get("InResponseTo") == "_ecp1"
    assert "anne@assoc.example" in [each.text for each in assertion.iter(qualified(SAML, "AttributeValue"))]
    assert world.audit.of("login.ok")


@pytest.mark.parametrize("auth", [None, ("anne", "wrong"), ("nobody", "x"), ("", "")])
def test_IIP_IDP14_without_the_right_password_there_is_a_challenge(world: World, auth: Any) -> None:
    response = ask(world, auth=auth)
    assert (response.status_code, b"Assertion" in response.data) == (401, False)
    assert response.headers["WWW-Authenticate"].startswith("Basic")
    assert world.sessions.list() == []


def test_S82_passwords_by_SOAP_are_under_the_one_throttle(world: World) -> None:
    statuses = [ask(world, auth=("anne", "wrong"), identifier=f"_e{number}").status_code for number in range(7)]
    assert (statuses[0], statuses[-1]) == (401, 429)
    last = ask(world, identifier="_last")
    assert last.status_code == 429
    assert int(last.headers["Retry-After"]) > 0


def test_IIP_IDP06_ForceAuthn_is_met_by_the_password_of_the_request(world: World) -> None:
    assert ask(world, ForceAuthn="true", IsPassive="true").status_code == 200


def test_what_cannot_be_had_is_answered_before_a_password_is_looked_at(world: World) -> None:
    response = ask(world, auth=None, AttributeConsumingServiceIndex="1", AssertionConsumerServiceURL=PAOS_URL, ProtocolBinding=PAOS)
    assert response.status_code == 401
    refused = ask(world, auth=None, identifier="_ecp2", ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST")
    assert codes(parse(etree.tostring(parse(refused.data)[1][0]))) == ["Requester", "UnsupportedBinding"]
    assert "ecp" not in str(world.audit.of("login.ok"))


@pytest.mark.parametrize("attributes", [{"AssertionConsumerServiceURL": "https://lms.example/acs"}, {"AssertionConsumerServiceIndex": "1"}])
def test_S52_the_answer_goes_to_an_address_for_PAOS_alone(world: World, attributes: dict[str, Any]) -> None:
    assert ask(world, **attributes).status_code == 400
    assert world.audit.last["cause"] == "saml.acs_unknown"


def test_a_browser_gets_no_answer_at_the_address_for_PAOS(world: World) -> None:
    provider = Provider(world, world.signed_in())
    assert provider.ask(AssertionConsumerServiceURL=PAOS_URL).status_code == 400


def test_IIP_IDP05_a_member_who_may_not_enter_is_refused_by_a_Response_and_not_by_a_page(make_world: MakeWorld) -> None:
    client = saml_client(metadata_xml=with_paos())
    world = make_world(replace(client, entry=EntrySettings(member_types=("STAFF",))), ecp=True)
    response = ask(world)
    assert response.status_code == 200, response.text
    envelope = parse(response.data)
    assert codes(parse(etree.tostring(envelope[1][0]))) == ["Responder", "RequestDenied"]
    assert envelope[0][0].get("AssertionConsumerServiceURL") == PAOS_URL
    assert b"STAFF" not in response.data
    assert world.store.list("pending") == []


def test_a_form_of_another_site_cannot_ask(world: World) -> None:
    response = world.visitor().http.post("/saml/ecp", data=b"<a/>", base_url=IDP, content_type="text/plain", auth=ANNE)
    assert response.status_code == 415


def test_SDP_MD04_it_is_off_and_not_advertised_unless_it_is_switched_on(world: World, make_world: MakeWorld) -> None:
    def addresses(which: World) -> list[str]:
        root = parse(which.saml.metadata(), METADATA)
        schema("metadata").check(root)
        return [str(each.get("Location")) for each in root.iter() if each.get("Binding") == SOAP and "SignOn" in str(each.tag)]

    assert addresses(world) == [ECP_URL]
    plain = make_world()
    assert addresses(plain) == []
    assert ask(plain).status_code == 404
    assert SAMLP in plain.saml.metadata().decode()
