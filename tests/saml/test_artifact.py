"""The artifact binding and the attribute query: what applications fetch from us by SOAP."""

from __future__ import annotations

import base64
import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from lxml import etree

from idp.protocols.saml.document import ARTIFACT, METADATA, SAML, SAMLP, Element, parse, qualified, schema
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.settings import TRANSIENT
from idp.protocols.saml.signature import verify_enveloped
from idp.sso.settings import EntrySettings
from tests.simple.wiring import ANNE

from .conftest import MakeWorld
from .test_back_channel import SOAP_URL, by_soap, codes
from .test_protocol import CRM, crm_metadata, policy
from .wiring import ACS, IDP_ENTITY, SP, key_of, metadata, redirect_query, signed
from .world import Provider, Told, World, saml_client

ARTIFACT_ACS = f'<md:AssertionConsumerService Binding="{ARTIFACT}" Location="{ACS}/artifact" index="5"/>'


def with_artifact() -> str:
    return metadata().replace("</md:SPSSODescriptor>", f"{ARTIFACT_ACS}</md:SPSSODescriptor>")


@pytest.fixture
def shop(make_world: MakeWorld) -> tuple[World, Provider]:
    world = make_world(saml_client(metadata_xml=with_artifact()), saml_client("crm", metadata_xml=crm_metadata()))
    return world, Provider(world, world.signed_in())


def asked_for(world: World, name: str, inner: str, *, issuer: str = SP, identifier: str = "_ask1", key: str = "sp") -> Element:
    text = (
        f'<samlp:{name} xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}" ID="{identifier}" Version="2.0" IssueInstant="{write_time(world.now())}"'
        f' Destination="{SOAP_URL}"><saml:Issuer>{issuer}</saml:Issuer>{inner}</samlp:{name}>'
    )
    root = parse(text.encode())
    return signed(root, key_of(key)) if key else root


def resolve(world: World, artifact: str, **how: Any) -> Element:
    response = by_soap(world, asked_for(world, "ArtifactResolve", f"<samlp:Artifact>{artifact}</samlp:Artifact>", **how))
    assert response.status_code == 200, response.text
    return answer_of(world, response.data)


def answer_of(world: World, raw: bytes) -> Element:
    root = parse(etree.tostring(parse(raw)[-1][0]))
    schema("protocol").check(root)
    inner = root.find(qualified(SAMLP, "Response"))
    if inner is not None:  # it has a signature of its own, which is verified apart
        assertion = inner.find(qualified(SAML, "Assertion"))
        verify_enveloped(parse(etree.tostring(inner if assertion is None else assertion)), [world.public_key])
    return root


def artifact_of(location: str) -> str:
    return parse_qs(urlsplit(location).query)["SAMLart"][0]


def bring(provider: Provider, **attributes: str) -> str:
    """Where the browser is sent with an artifact."""
    query = redirect_query(provider._request("", **attributes), relay_state="r", key=key_of(provider.key))
    return str(provider.visitor.get(f"/saml/sso?{query.decode()}").location)


@pytest.mark.parametrize("how", [{"AssertionConsumerServiceIndex": "5"}, {"ProtocolBinding": ARTIFACT}])
def test_eGov_050_a_Response_by_artifact_is_fetched_by_SOAP(shop: tuple[World, Provider], how: dict[str, str]) -> None:
    world, provider = shop
    location = bring(provider, **how)
    assert location.startswith(f"{ACS}/artifact?SAMLart=")
    assert location.endswith("&RelayState=r")
    raw = base64.b64decode(artifact_of(location))
    assert (raw[:4], raw[4:24], len(raw)) == (b"\x00\x04\x00\x00", hashlib.sha1(IDP_ENTITY.encode()).digest(), 44)
    root = resolve(world, artifact_of(location))
    assert root.get("InResponseTo") == "_ask1"
    response = root.find(qualified(SAMLP, "Response"))
    assert response.get("Destination") == f"{ACS}/artifact"
    assert "anne@assoc.example" in etree.tostring(response).decode()


def test_S16_an_artifact_has_one_winner(shop: tuple[World, Provider]) -> None:
    world, provider = shop
    artifact = artifact_of(bring(provider, ProtocolBinding=ARTIFACT))
    asked = [asked_for(world, "ArtifactResolve", f"<samlp:Artifact>{artifact}</samlp:Artifact>", identifier=f"_r{i}") for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda each: answer_of(world, by_soap(world, each).data), asked))
    assert sum(each.find(qualified(SAMLP, "Response")) is not None for each in answers) == 1
    assert all(codes(each)[0] == "Success" for each in answers)


def test_V39_an_artifact_that_another_application_brings_is_spent(shop: tuple[World, Provider]) -> None:
    world, provider = shop
    artifact = artifact_of(bring(provider, ProtocolBinding=ARTIFACT))
    assert resolve(world, artifact, issuer=CRM, key="crm").find(qualified(SAMLP, "Response")) is None
    assert resolve(world, artifact, identifier="_ask2").find(qualified(SAMLP, "Response")) is None


@pytest.mark.parametrize("key", ["", "mallory"])
def test_eGov_073_an_unsigned_or_forged_ArtifactResolve_gets_nothing(shop: tuple[World, Provider], key: str) -> None:
    world, provider = shop
    artifact = artifact_of(bring(provider, ProtocolBinding=ARTIFACT))
    assert by_soap(world, asked_for(world, "ArtifactResolve", f"<samlp:Artifact>{artifact}</samlp:Artifact>", key=key)).status_code == 400
    assert resolve(world, artifact).find(qualified(SAMLP, "Response")) is not None


def test_an_artifact_lives_a_minute_and_ends_with_its_session(shop: tuple[World, Provider]) -> None:
    world, provider = shop
    old = artifact_of(bring(provider, ProtocolBinding=ARTIFACT))
    world.now.seconds += 61
    assert resolve(world, old).find(qualified(SAMLP, "Response")) is None
    other = artifact_of(bring(provider, ProtocolBinding=ARTIFACT))
    world.store.delete_where("ticket", "session_id", world.sessions.list()[0].id)
    assert resolve(world, other, identifier="_ask2").find(qualified(SAMLP, "Response")) is None


def test_IIP_IDP05_a_refusal_goes_by_artifact_too(shop: tuple[World, Provider]) -> None:
    world, _ = shop
    location = bring(Provider(world, world.visitor()), ProtocolBinding=ARTIFACT, IsPassive="true")
    assert codes(resolve(world, artifact_of(location)))[1:] == ["Responder", "NoPassive"]


def test_SDP_MD04_our_metadata_name_the_services_that_we_have(world: World) -> None:
    root = parse(world.saml.metadata(), METADATA)
    bindings = {str(each.tag).rpartition("}")[2]: each.get("Location") for each in root.iter() if each.get("Location")}
    assert bindings["ArtifactResolutionService"] == SOAP_URL
    assert "AttributeService" not in bindings


# ---- attribute query


def query_for(told: Any, *, name: str = "", attributes: str = "") -> str:
    given = told.name_id
    name_id = f'<saml:NameID Format="{given.get("Format")}" SPNameQualifier="{SP}">{name or given.text}</saml:NameID>'
    return f"<saml:Subject>{name_id}</saml:Subject>{attributes}"


def query(world: World, inner: str, **how: Any) -> Element:
    response = by_soap(world, asked_for(world, "AttributeQuery", inner, **how))
    assert response.status_code == 200, response.text
    root = parse(etree.tostring(parse(response.data)[-1][0]))
    schema("protocol").check(root)
    return root


@pytest.mark.parametrize("format", ["", TRANSIENT])
def test_S2c_01_S2c_20_an_application_may_ask_for_attributes_later(make_world: MakeWorld, format: str) -> None:
    world = make_world(saml_client(attribute_query=True, release=["email", "committees"]))
    told = Provider(world, world.signed_in()).sign_on(policy(format))
    root = query(world, query_for(told))
    assertion = verify_enveloped(parse(etree.tostring(root.find(qualified(SAML, "Assertion")))), [world.public_key])
    assert assertion.find(qualified(SAML, "AuthnStatement")) is None
    assert [str(each.text) for each in assertion.iter(qualified(SAML, "AttributeValue"))] == ["anne@assoc.example", "Ethics", "Finance"]


def test_SAMLCore_3_3_2_3_only_the_attributes_and_values_that_are_named_come(make_world: MakeWorld) -> None:
    world = make_world(saml_client(attribute_query=True, release=["email", "committees"]))
    told = Provider(world, world.signed_in()).sign_on()
    one = '<saml:Attribute Name="committees"><saml:AttributeValue>Ethics</saml:AttributeValue></saml:Attribute>'
    wanted = f'{one}<saml:Attribute Name="phone"/>'
    root = query(world, query_for(told, attributes=wanted))
    assert [str(each.text) for each in root.iter(qualified(SAML, "AttributeValue"))] == ["Ethics"]


@pytest.mark.parametrize(
    ("allowed", "name", "status"),
    [(False, "", ["Requester", "RequestDenied"]), (True, "somebody-else", ["Requester", "UnknownPrincipal"])],
)
def test_an_attribute_query_that_may_not_be_answered_gets_a_status(
    make_world: MakeWorld, allowed: bool, name: str, status: list[str]
) -> None:
    world = make_world(saml_client(attribute_query=allowed))
    told = Provider(world, world.signed_in()).sign_on()
    root = query(world, query_for(told, name=name))
    assert codes(root) == status
    assert root.find(qualified(SAML, "Assertion")) is None


def test_an_application_cannot_ask_under_the_name_that_another_one_knows(make_world: MakeWorld) -> None:
    world = make_world(saml_client(attribute_query=True), saml_client("crm", metadata_xml=crm_metadata(), attribute_query=True))
    told = Provider(world, world.signed_in()).sign_on()
    assert codes(query(world, query_for(told), issuer=CRM, key="crm")) == ["Requester", "UnknownPrincipal"]


# ---- what holds for a sign-on holds for a query


def changed_later(world: World, provider: Provider, **attributes: tuple[str, ...]) -> Told:
    """A sign-on, after which the member's record changes, and our copy of it becomes too old for the client."""
    told = provider.sign_on()
    world.members.by_id[ANNE.id] = replace(ANNE, attributes={**ANNE.attributes, **attributes})
    world.now.seconds += 61
    return told


def test_a_query_asks_for_younger_data_where_the_client_wants_them(make_world: MakeWorld) -> None:
    world = make_world(replace(saml_client(attribute_query=True, release=["email"]), max_age=60))
    told = changed_later(world, Provider(world, world.signed_in()), email=("new@assoc.example",))
    assert [str(each.text) for each in query(world, query_for(told)).iter(qualified(SAML, "AttributeValue"))] == ["new@assoc.example"]


def test_S126_a_query_about_a_member_who_may_not_enter_is_denied_without_a_reason(make_world: MakeWorld) -> None:
    client = saml_client(attribute_query=True, release=["email"])
    world = make_world(replace(client, entry=EntrySettings(member_types=("REG",)), max_age=60))
    told = changed_later(world, Provider(world, world.signed_in()), member_type=("LAPSED",))
    root = query(world, query_for(told))
    assert codes(root) == ["Requester", "RequestDenied"]
    assert root.find(qualified(SAML, "Assertion")) is None
    assert "LAPSED" not in etree.tostring(root).decode()
