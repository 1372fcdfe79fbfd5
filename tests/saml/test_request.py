"""What an AuthnRequest may ask for beyond a sign-on: a context, a certain member, an identifier, a set of attributes."""

from __future__ import annotations

from typing import Any

import pytest

from idp.protocols.saml.attribute import PAIRWISE_ID, SUBJECT_ID
from idp.protocols.saml.context import WEAKEST_FIRST, ContextOrder
from idp.protocols.saml.document import METADATA, SAML, parse, qualified, schema
from idp.protocols.saml.settings import EMAIL, PERSISTENT, TRANSIENT

from .conftest import MakeWorld
from .test_protocol import CRM, crm_metadata, policy
from .wiring import SP, key_of, metadata
from .world import Provider, World, saml_client

MFA = "https://refeds.org/profile/mfa"
UNSPECIFIED, _, LOW, HIGH = WEAKEST_FIRST
MAIL = "urn:oid:0.9.2342.19200300.100.1.3"


# ---- RequestedAuthnContext


@pytest.mark.parametrize(
    ("comparison", "asked", "achieved", "stated"),
    [
        ("exact", [HIGH], MFA, HIGH),
        ("exact", [MFA, LOW], HIGH, LOW),
        ("exact", [MFA], HIGH, None),
        ("minimum", [LOW], MFA, MFA),
        ("minimum", [MFA], HIGH, None),
        ("better", [HIGH], MFA, MFA),
        ("better", [HIGH, MFA], MFA, None),
        ("better", ["urn:unheard-of"], MFA, None),
        ("better", [], MFA, None),
        ("maximum", [HIGH], MFA, HIGH),
        ("maximum", [MFA], HIGH, HIGH),
        ("maximum", ["urn:unheard-of"], HIGH, None),
        ("exact", ["urn:unheard-of"], "urn:unheard-of", "urn:unheard-of"),
    ],
)
def test_S66_the_order_of_classes_decides_and_more_than_asked_answers_what_was_asked(
    comparison: str, asked: list[str], achieved: str, stated: str | None
) -> None:
    assert ContextOrder((UNSPECIFIED, LOW, HIGH, MFA)).state(asked, comparison, achieved) == stated


def test_IIP_IDP08_the_order_is_a_setting(make_world: MakeWorld) -> None:
    world = make_world(context_order=["urn:assoc:weak", HIGH])
    reference = "<saml:AuthnContextClassRef>urn:assoc:weak</saml:AuthnContextClassRef>"
    asked = f"<samlp:RequestedAuthnContext>{reference}</samlp:RequestedAuthnContext>"
    told = Provider(world, world.signed_in()).sign_on(asked)
    assert next(told.assertion.iter(qualified(SAML, "AuthnContextClassRef"))).text == "urn:assoc:weak"


# ---- Subject


def subject(told: Any, *, value: str = "", **attributes: str) -> str:
    written = "".join(f' {name}="{text}"' for name, text in {"Format": told.name_id.get("Format"), **attributes}.items())
    return f"<saml:Subject><saml:NameID{written}>{value or told.name_id.text}</saml:NameID></saml:Subject>"


def test_SAMLCore_3_3_4_the_member_who_is_asked_for_is_answered(world: World) -> None:
    provider = Provider(world, world.signed_in())
    told = provider.sign_on()
    again = provider.sign_on(subject(told, SPNameQualifier=SP))
    assert (again.statuses, again.name_id.text) == (["Success"], told.name_id.text)


@pytest.mark.parametrize("how", [{"value": "somebody-else"}, {"Format": EMAIL}, {"SPNameQualifier": CRM}])
def test_IIP_SSO07_another_member_than_the_one_asked_for_is_an_error_after_the_login(world: World, how: dict[str, str]) -> None:
    provider = Provider(world, world.signed_in())
    told = provider.sign_on(subject(provider.sign_on(), **how))
    assert told.statuses == ["Requester", "UnknownPrincipal"]
    assert told.root.find(qualified(SAML, "Assertion")) is None


# ---- NameIDPolicy


def test_IIP_IDP10_AllowCreate_false_makes_no_new_acquaintance_and_keeps_an_old_one(world: World) -> None:
    provider = Provider(world, world.signed_in())
    assert provider.sign_on(policy(AllowCreate="false")).statuses == ["Requester", "InvalidNameIDPolicy"]
    assert provider.sign_on(policy(AllowCreate="true")).statuses == ["Success"]
    assert provider.sign_on(policy(AllowCreate="false")).statuses == ["Success"]
    later = Provider(world, world.signed_in())
    later._number = 9
    assert later.sign_on(policy(AllowCreate="0")).statuses == ["Success"]


def test_allow_create_always_passes_over_what_a_vendor_does_not_mean(make_world: MakeWorld) -> None:
    world = make_world(saml_client(allow_create="always"))
    assert Provider(world, world.signed_in()).sign_on(policy(AllowCreate="false")).statuses == ["Success"]


def test_applications_of_one_affiliation_share_an_identifier_and_no_other_may_ask_for_it(make_world: MakeWorld) -> None:
    group = "https://assoc.example/affiliation"
    world = make_world(
        saml_client(affiliation=group),
        saml_client("crm", metadata_xml=crm_metadata(), affiliation=group),
        saml_client("shop", metadata_xml=metadata("https://shop.example", keys=[("", key_of("crm"))])),
    )
    visitor = world.signed_in()
    lms, crm = Provider(world, visitor), Provider(world, visitor, entity_id=CRM, key="crm")
    shop = Provider(world, visitor, entity_id="https://shop.example", key="crm")
    one, other = (each.sign_on(policy(PERSISTENT, SPNameQualifier=group)).name_id for each in (lms, crm))
    assert (one.text, one.get("SPNameQualifier")) == (other.text, group)
    assert one.text != lms.sign_on().name_id.text
    assert shop.sign_on(policy(PERSISTENT, SPNameQualifier=group)).statuses == ["Requester", "InvalidNameIDPolicy"]


def test_IIP_SSO05_a_persistent_identifier_outlives_the_secret_it_was_made_with(world: World) -> None:
    told = Provider(world, world.signed_in()).sign_on()
    world.saml._name_ids._names._pairwise = lambda *names: "another"
    later = Provider(world, world.signed_in())
    later._number = 9
    assert later.sign_on().name_id.text == told.name_id.text


def test_IIP_IDP21_stored_identifiers_are_in_lower_case_alone(world: World) -> None:
    Provider(world, world.signed_in()).sign_on()
    names = [each.record["name"] for each in world.store.list("subject_name")]
    assert len(names) == 1
    assert names == [name.lower() for name in names]


def test_SAMLCore_8_3_8_a_transient_identifier_leaves_nothing_in_the_store(world: World) -> None:
    Provider(world, world.signed_in()).sign_on(policy(TRANSIENT))
    assert world.store.list("subject_name") == []


# ---- attributes


def services() -> str:
    def one(index: int, inside: str) -> str:
        name = '<md:ServiceName xml:lang="en">x</md:ServiceName>'
        return f'<md:AttributeConsumingService index="{index}">{name}{inside}</md:AttributeConsumingService>'

    mail = f'<md:RequestedAttribute Name="{MAIL}" isRequired="true"/><md:RequestedAttribute Name="firstName"/>'
    roles = (
        '<md:RequestedAttribute Name="committees"><saml:AttributeValue xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">Ethics'
        "</saml:AttributeValue></md:RequestedAttribute>"
    )
    return one(1, mail) + one(2, roles)


def with_services() -> str:
    return metadata().replace("</md:SPSSODescriptor>", services() + "</md:SPSSODescriptor>")


@pytest.mark.parametrize(
    ("setting", "index", "given"),
    [
        ("ignore", "2", {"email", "first_name", "committees"}),
        ("requested", "", {"email", "first_name"}),
        ("requested", "2", {"committees"}),
        ("required", "1", {"email"}),
    ],
)
def test_IIP_IDP04_release_may_be_narrowed_to_what_is_requested(make_world: MakeWorld, setting: str, index: str, given: set[str]) -> None:
    client = saml_client(metadata_xml=with_services(), release=["email", "first_name", "committees"], release_requested=setting)
    world = make_world(client)
    told = Provider(world, world.signed_in()).sign_on(AttributeConsumingServiceIndex=index)
    assert set(told.attributes) == given
    if given == {"committees"}:
        assert told.attributes["committees"] == ["Ethics"]


def test_what_is_requested_and_not_released_stays_here(make_world: MakeWorld) -> None:
    world = make_world(saml_client(metadata_xml=with_services(), release=["email"], release_requested="requested"))
    assert set(Provider(world, world.signed_in()).sign_on().attributes) == {"email"}


def test_eGov_042_an_index_that_no_metadata_describe_is_an_error(make_world: MakeWorld) -> None:
    world = make_world(saml_client(metadata_xml=with_services(), release_requested="requested"))
    assert Provider(world, world.visitor()).sign_on(AttributeConsumingServiceIndex="9").statuses == ["Requester", "RequestUnsupported"]


def with_entity_attribute(name: str, value: str) -> str:
    inside = (
        '<md:Extensions><a:EntityAttributes xmlns:a="urn:oasis:names:tc:SAML:metadata:attribute">'
        f'<saml:Attribute xmlns:saml="{SAML}" Name="{name}"><saml:AttributeValue>{value}</saml:AttributeValue></saml:Attribute>'
        "</a:EntityAttributes></md:Extensions>"
    )
    return metadata().replace("<md:SPSSODescriptor", f"{inside}<md:SPSSODescriptor", 1)


@pytest.mark.parametrize(
    ("wanted", "setting", "name"),
    [
        ("subject-id", "asked", SUBJECT_ID),
        ("pairwise-id", "asked", PAIRWISE_ID),
        ("any", "asked", PAIRWISE_ID),
        ("none", "asked", ""),
        ("subject-id", "none", ""),
        ("none", "subject-id", SUBJECT_ID),
    ],
)
def test_SDP_IDP15_the_subject_identifier_is_the_one_that_metadata_ask_for(
    make_world: MakeWorld, wanted: str, setting: str, name: str
) -> None:
    xml = with_entity_attribute("urn:oasis:names:tc:SAML:profiles:subject-id:req", wanted)
    world = make_world(saml_client(metadata_xml=xml, subject_identifier=setting), scope="assoc.example")
    told = Provider(world, world.signed_in()).sign_on()
    given = {each: values for each, values in told.attributes.items() if each.endswith("-id")}
    assert set(given) == ({name} if name else set())
    if name == SUBJECT_ID:
        assert given[name] == ["4711@assoc.example"]
    if name == PAIRWISE_ID:
        assert given[name] == [f"{told.name_id.text}@assoc.example"]


def test_SDP_IDP14_our_scope_stands_in_our_metadata(make_world: MakeWorld) -> None:
    root = parse(make_world(scope="assoc.example").saml.metadata(), METADATA)
    schema("metadata").check(root)
    scope = next(root.iter("{urn:mace:shibboleth:metadata:1.0}Scope"))
    assert (scope.text, scope.get("regexp")) == ("assoc.example", "false")
    assert b"shibboleth" not in make_world().saml.metadata()


def test_SDP_IDP13_without_a_scope_there_is_no_subject_identifier(make_world: MakeWorld) -> None:
    world = make_world(saml_client(subject_identifier="subject-id"))
    assert SUBJECT_ID not in Provider(world, world.signed_in()).sign_on().attributes


@pytest.mark.parametrize(("trusted", "given"), [(True, {"email", "mail", "committees"}), (False, {"email"})])
def test_IIP_IDP03_an_entity_category_releases_more_where_the_metadata_are_trusted(
    make_world: MakeWorld, trusted: bool, given: set[str]
) -> None:
    category = "http://refeds.org/category/research-and-scholarship"
    xml = with_entity_attribute("http://macedir.org/entity-category", category)
    client = saml_client(metadata_xml=xml, release=["email"], trust_categories=trusted)
    world = make_world(client, category_release={category: ["mail", "committees"]})
    assert set(Provider(world, world.signed_in()).sign_on().attributes) == given
    recorded = [each["released"] for each in world.audit.of("saml.released_beside")]
    assert recorded == ([["committees", "mail"]] if trusted else [])


@pytest.mark.parametrize(
    ("preset", "name", "format"),
    [
        ("oid", MAIL, "urn:oasis:names:tc:SAML:2.0:attrname-format:uri"),
        ("basic", "email", "urn:oasis:names:tc:SAML:2.0:attrname-format:basic"),
        ("microsoft", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", None),
        ("plain", "email", None),
    ],
)
def test_SDP_IDP18_presets_of_attribute_names(make_world: MakeWorld, preset: str, name: str, format: str | None) -> None:
    world = make_world(saml_client(attribute_format=preset, release=["email"]))
    attribute = next(Provider(world, world.signed_in()).sign_on().assertion.iter(qualified(SAML, "Attribute")))
    assert (attribute.get("Name"), attribute.get("NameFormat")) == (name, format)


def test_SDP_IDP20_several_values_are_several_elements(make_world: MakeWorld) -> None:
    world = make_world(saml_client(release=["committees"]))
    assert Provider(world, world.signed_in()).sign_on().attributes == {"committees": ["Ethics", "Finance"]}


def test_eGov_063_the_Response_states_consent_where_it_is_set(make_world: MakeWorld) -> None:
    world = make_world(saml_client(consent="prior"), saml_client("crm", metadata_xml=crm_metadata()))
    visitor = world.signed_in()
    told = Provider(world, visitor).sign_on(Consent="urn:oasis:names:tc:SAML:2.0:consent:unspecified")
    assert told.root.get("Consent") == "urn:oasis:names:tc:SAML:2.0:consent:prior"
    assert Provider(world, visitor, entity_id=CRM, key="crm").sign_on().root.get("Consent") is None


def test_a_preview_shows_the_assertion_and_stores_nothing(world: World) -> None:
    world.signed_in()
    xml = world.saml.preview("lms", world.members.by_id["4711"], world.sessions.list()[0])
    assert parse(xml).findtext(f".//{qualified(SAML, 'NameID')}")
    assert b"anne@assoc.example" in xml
    assert world.store.list("subject_name") == []
