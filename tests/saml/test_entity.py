"""Metadata: a service provider's, which is hostile input, and our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from pydantic import ValidationError

from idp.keys import KeyRing
from idp.protocols.saml.descriptor import Descriptor
from idp.protocols.saml.document import DS, MD, MDUI, METADATA, POST, REDIRECT, SOAP, Element, parse, qualified, schema
from idp.protocols.saml.entity import MetadataProblem, ServiceProvider
from idp.protocols.saml.metadata import read_metadata
from idp.protocols.saml.settings import SamlServerSettings, SamlSettings
from idp.protocols.saml.signature import verify_enveloped
from idp.secret import new_id

from .wiring import ACS, IDP, IDP_ENTITY, NOW, SP, SP_SLO, key_of, metadata, octets, signed

ARTIFACT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"


def read(text: str, **how: Any) -> ServiceProvider:
    return read_metadata(text.encode(), **how)


def problem_of(text: str | bytes, **how: Any) -> MetadataProblem:
    with pytest.raises(MetadataProblem) as caught:
        read_metadata(text if isinstance(text, bytes) else text.encode(), **how)
    return caught.value


def acs(location: str, index: int, *, binding: str = POST, default: str = "") -> str:
    marked = f' isDefault="{default}"' if default else ""
    return f'<md:AssertionConsumerService Binding="{binding}" Location="{location}" index="{index}"{marked}/>'


def test_a_plain_service_provider_is_read() -> None:
    provider = read(metadata(role='AuthnRequestsSigned="true" WantAssertionsSigned="1"', formats=["urn:x", " urn:y "]))
    assert provider.entity_id == SP
    assert [(each.location, each.binding, each.index) for each in provider.acs] == [(ACS, POST, 1)]
    assert provider.slo_by(REDIRECT) is not None
    assert (provider.authn_requests_signed, provider.want_assertions_signed) == (True, True)
    assert provider.name_id_formats == ("urn:x", "urn:y")
    assert provider.warnings == ()


@pytest.mark.parametrize(
    ("endpoints", "wanted"),
    [
        ([("a", ""), ("b", "true")], "b"),
        ([("a", "false"), ("b", "")], "b"),
        ([("a", ""), ("b", "")], "a"),
        ([("a", "false"), ("b", "false")], "a"),
        ([("a", "1"), ("b", "true")], "a"),
    ],
)
def test_the_default_endpoint_is_chosen_as_Metadata_2_2_3_says(endpoints: list[tuple[str, str]], wanted: str) -> None:
    text = "".join(acs(f"https://lms.example/{name}", index, default=default) for index, (name, default) in enumerate(endpoints))
    assert read(metadata(acs=text)).default_acs.location == f"https://lms.example/{wanted}"


def test_an_endpoint_for_artifacts_is_found_by_name_and_index_and_never_the_default() -> None:
    provider = read(metadata(acs=acs("https://lms.example/artifact", 0, binding=ARTIFACT, default="true") + acs(ACS, 1)))
    assert provider.default_acs.location == ACS
    assert provider.acs_at("https://lms.example/artifact", POST) is None
    assert provider.acs_of(0) == provider.acs_at("https://lms.example/artifact")


def test_endpoints_of_bindings_that_we_do_not_speak_are_left_out() -> None:
    provider = read(metadata(acs=acs("https://lms.example/simple", 0, binding=f"{POST}-SimpleSign", default="true") + acs(ACS, 1)))
    assert provider.acs_of(0) is None
    assert provider.acs_at("https://lms.example/simple") is None


def test_S52_endpoints_are_found_by_exact_address_only() -> None:
    provider = read(metadata())
    assert provider.acs_at(ACS) is not None
    for other in (ACS + "/", ACS + "?x=1", ACS.upper(), ACS.replace("https", "http"), ACS + "#f", "https://lms.example/acs/../acs"):
        assert provider.acs_at(other) is None


def test_IIP_MD07_IIP_MD11_every_signing_key_counts_and_one_without_use_is_for_both() -> None:
    provider = read(metadata(keys=[("signing", key_of("sp")), ("", key_of("sp2")), ("encryption", key_of("sp3"))]))
    assert [key.public_numbers() for key in provider.signing_keys] == [
        key_of(name).private.public_key().public_numbers() for name in ("sp", "sp2")
    ]
    assert [key.public.public_numbers() for key in provider.encryption_keys] == [
        key_of(name).private.public_key().public_numbers() for name in ("sp2", "sp3")
    ]


def test_the_first_certificate_of_a_chain_is_the_providers() -> None:
    chain = metadata().replace(
        "</ds:X509Certificate>", f"</ds:X509Certificate><ds:X509Certificate>{key_of('ca').certificate_base64}</ds:X509Certificate>"
    )
    assert read(chain).signing_keys == (key_of("sp").private.public_key(),)


def test_a_KeyDescriptor_without_certificate_is_passed_over() -> None:
    named = '<md:KeyDescriptor use="signing"><ds:KeyInfo><ds:KeyName>x</ds:KeyName></ds:KeyInfo></md:KeyDescriptor>'
    provider = read(metadata(keys=[]).replace("<md:SingleLogoutService", named + "<md:SingleLogoutService"))
    assert provider.signing_keys == ()


def test_a_certificate_that_cannot_be_read_is_a_problem_with_a_name() -> None:
    assert problem_of(metadata().replace(key_of("sp").certificate_base64, "AAAA")).cause == "saml.metadata_certificate"


def test_http_addresses_are_a_warning_and_loopback_is_none() -> None:
    plain = read(metadata(acs=acs("http://lms.example/acs", 0)))
    assert "not https" in plain.warnings[0]
    assert read(metadata(acs=acs("http://lms.localhost:8081/acs", 0) + acs("http://127.0.0.1/acs", 1))).warnings == ()


@pytest.mark.parametrize(
    "location", ["javascript:alert(1)", "data:text/html,x", "//lms.example/acs", "/acs", "ftp://lms.example/", "https://user@lms.example/"]
)
def test_V18_addresses_that_are_no_web_addresses_are_refused(location: str) -> None:
    assert problem_of(metadata(acs=acs(location, 0))).cause == "saml.metadata_address"
    assert problem_of(
        metadata(slo=f'<md:SingleLogoutService Binding="{REDIRECT}" Location="{SP_SLO}" ResponseLocation="{location}"/>')
    ).cause == ("saml.metadata_address")


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("<html/>", "saml.metadata_not_metadata"),
        ("", "saml.metadata_unusable"),
        ("no xml", "saml.metadata_unusable"),
        (metadata().replace("SPSSODescriptor", "IDPSSODescriptor"), "saml.metadata_no_sp"),
        (metadata().replace("SAML:2.0:protocol", "SAML:1.1:protocol"), "saml.metadata_no_sp"),
        (metadata(""), "saml.metadata_no_entity_id"),
        (metadata().replace(f' entityID="{SP}"', ""), "saml.metadata_no_entity_id"),
        (metadata(acs=acs(ACS, 0, binding=ARTIFACT)), "saml.metadata_no_acs"),
        (metadata(acs=""), "saml.metadata_unusable"),
        (metadata(acs=acs(ACS, 0).replace(' index="0"', "")), "saml.metadata_unusable"),
        (f'<md:EntitiesDescriptor xmlns:md="{MD}"/>', "saml.metadata_no_sp"),
        (f'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>{metadata()}', "saml.metadata_unusable"),
        (metadata(attributes=' validUntil="99999-01-01T00:00:00Z"'), "saml.metadata_unusable"),
    ],
    ids=lambda value: value if value.startswith("saml.") else "",
)
def test_what_cannot_be_used_says_why(text: str, cause: str) -> None:
    problem = problem_of(text)
    assert problem.cause == cause
    assert problem.message


def test_our_own_metadata_given_by_mistake_are_recognised(tmp_path: Path) -> None:
    assert "our own" in problem_of(own(tmp_path)).message


def test_schema_problems_name_the_element() -> None:
    assert "AssertionConsumerService" in problem_of(metadata(acs=acs(ACS, 0).replace(' index="0"', ""))).message


def test_an_aggregate_with_one_provider_needs_no_choice_and_one_with_several_does() -> None:
    def aggregate(*entities: str) -> str:
        return f'<md:EntitiesDescriptor xmlns:md="{MD}">{"".join(entities)}</md:EntitiesDescriptor>'

    one, two = metadata(), metadata("https://other.example")
    assert read(aggregate(one)).entity_id == SP
    assert read(aggregate(one, two), entity_id="https://other.example").entity_id == "https://other.example"
    assert problem_of(aggregate(one, two)).cause == "saml.metadata_several"
    assert problem_of(aggregate(one, two), entity_id="https://third.example").cause == "saml.metadata_entity_unknown"


def test_other_roles_and_unknown_extensions_do_no_harm() -> None:
    namespaces = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:fed="urn:fed"'
    extra = f'<md:RoleDescriptor {namespaces} xsi:type="fed:Type" protocolSupportEnumeration="urn:fed"/>'
    text = metadata(inside='<md:Extensions><x:y xmlns:x="urn:x"/></md:Extensions>').replace(
        "<md:SPSSODescriptor", extra + "<md:SPSSODescriptor"
    )
    assert read(text).entity_id == SP


def test_the_display_name_is_taken_in_english_where_there_is_one() -> None:
    names = "".join(f'<mdui:DisplayName xml:lang="{lang}">{name}</mdui:DisplayName>' for lang, name in (("fr", "Cours"), ("en", "Courses")))
    text = metadata(
        inside=f'<md:Extensions><mdui:UIInfo xmlns:mdui="urn:oasis:names:tc:SAML:metadata:ui">{names}</mdui:UIInfo></md:Extensions>'
    )
    assert read(text).display_name == "Courses"
    assert read(metadata()).display_name == ""


def test_validUntil_is_the_earliest_on_the_way() -> None:
    text = metadata(attributes=' validUntil="2030-01-01T00:00:00Z"', role='validUntil="2029-01-01T00:00:00Z"')
    assert read(text).valid_until == 1_861_920_000
    assert read(metadata()).valid_until is None


TRUSTED = (key_of("federation").private.public_key(),)


def signed_metadata(name: str = "federation") -> Element:
    return signed(parse(metadata(attributes=' ID="_metadata"').encode(), METADATA), key_of(name))


def test_SDP_MD02_metadata_signed_by_the_trusted_key_are_read() -> None:
    assert read_metadata(octets(signed_metadata()), trusted=TRUSTED).entity_id == SP


def test_S14_metadata_without_a_signature_are_refused_where_a_key_is_trusted() -> None:
    assert problem_of(metadata(), trusted=TRUSTED).cause == "saml.metadata_unusable"
    assert problem_of(octets(signed_metadata("mallory")), trusted=TRUSTED).cause == "saml.metadata_unusable"


def test_S15_genuine_signed_metadata_inside_forged_ones_are_refused() -> None:
    forged = parse(
        f'<md:EntitiesDescriptor xmlns:md="{MD}" ID="_evil"><md:Extensions/>{metadata("https://evil.example")}</md:EntitiesDescriptor>'.encode()
    )
    forged[0].append(signed_metadata())
    assert problem_of(octets(forged), trusted=TRUSTED).cause == "saml.metadata_unusable"


def settings(**given: Any) -> SamlSettings:
    return SamlSettings.model_validate(given)


def refusal_of(**given: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**given)
    return str(caught.value)


def test_settings_without_metadata_make_a_provider(tmp_path: Path) -> None:
    (tmp_path / "sp.pem").write_bytes(key_of("sp").certificate.public_bytes(Encoding.PEM))
    context = {"folder": tmp_path}
    given = {"entity_id": SP, "acs": ACS, "slo": SP_SLO, "certificate": "sp.pem"}
    provider = SamlSettings.model_validate(given, context=context).provider()
    assert provider.default_acs.location == ACS
    assert provider.slo_by(REDIRECT) is not None
    assert provider.signing_keys == (key_of("sp").private.public_key(),)
    assert len(provider.encryption_keys) == 1


def test_a_certificate_may_be_given_as_text() -> None:
    provider = settings(entity_id=SP, acs=[ACS, "https://lms.example/acs2"], certificate=[key_of("sp").certificate_base64]).provider()
    assert provider.default_acs.location == ACS
    assert provider.acs_of(1) is not None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "give one of"),
        ({"metadata_xml": metadata(), "acs": ACS}, "give one of"),
        ({"acs": ACS}, "entity ID"),
        ({"entity_id": SP, "acs": "javascript:x"}, "not a web address"),
        ({"entity_id": SP, "acs": ACS, "certificate": "missing.pem"}, "cannot be read"),
        ({"metadata_xml": "<html/>"}, "not SAML metadata"),
        ({"metadata_xml": metadata(keys=[]), "encrypt": True}, "no RSA key to encrypt for"),
        ({"metadata_xml": metadata(), "name_id_format": "persistant"}, "a NameID format is"),
        ({"metadata_xml": metadata(), "name_id_format": "urn:x:y"}, "needs a name_id_source"),
        ({"metadata_xml": metadata(), "name_id_format": "transient", "name_id_source": "email"}, "no name_id_source"),
        ({"metadata_xml": metadata(), "metadata_certificate": key_of("federation").certificate_base64}, "signature"),
    ],
)
def test_settings_that_cannot_work_are_refused_when_they_are_read(given: dict[str, Any], said: str) -> None:
    assert said in refusal_of(**given)


def test_IIP_MD10_an_application_that_takes_only_cbc_cannot_be_encrypted_for() -> None:
    cbc = '<md:EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes128-cbc"/></md:KeyDescriptor>'
    gcm = '<md:EncryptionMethod Algorithm="http://www.w3.org/2009/xmlenc11#aes128-gcm"/></md:KeyDescriptor>'
    assert "AES-256-GCM" in refusal_of(metadata_xml=metadata().replace("</md:KeyDescriptor>", cbc), encrypt=True)
    assert settings(metadata_xml=metadata().replace("</md:KeyDescriptor>", gcm), encrypt=True).encrypt


def test_S51_assertions_live_five_minutes_at_most() -> None:
    with pytest.raises(ValidationError):
        SamlServerSettings.model_validate({"assertion_life": "10m"})


def own(folder: Path, **given: Any) -> bytes:
    keys = KeyRing(folder / "keys")
    keys.create_if_empty()
    return Descriptor(IDP, SamlServerSettings.model_validate(given), keys=keys, now=lambda: NOW, new_id=new_id).document().octets


def test_S69_SDP_IDP33_our_metadata_are_valid_signed_and_complete(tmp_path: Path) -> None:
    raw = own(
        tmp_path,
        organization="The Association",
        organization_url="https://assoc.example",
        technical_contact="it@assoc.example",
        logo_url="https://assoc.example/logo.png",
    )
    root = parse(raw, METADATA)
    schema("metadata").check(root)
    key = KeyRing(tmp_path / "keys").current
    verified = verify_enveloped(root, [key.private.public_key()], METADATA)
    role = verified.find(qualified(MD, "IDPSSODescriptor"))
    assert verified.get("entityID") == IDP_ENTITY
    assert verified.get("validUntil") == "2028-01-15T08:00:00Z"
    assert verified.get("cacheDuration") == "PT6H"
    assert role.get("errorURL") == f"{IDP}/"
    for name, path in (("SingleSignOnService", "/saml/sso"), ("SingleLogoutService", "/saml/slo")):
        assert [(each.get("Binding"), each.get("Location")) for each in role.findall(qualified(MD, name))] == [
            (REDIRECT, IDP + path),
            (POST, IDP + path),
            *([(SOAP, f"{IDP}/saml/soap")] if name == "SingleLogoutService" else []),
        ]
    assert verified.findtext(f".//{qualified(MDUI, 'DisplayName')}") == "The Association"
    assert verified.findtext(f".//{qualified(MDUI, 'Logo')}") == "https://assoc.example/logo.png"
    assert verified.findtext(f".//{qualified(MD, 'EmailAddress')}") == "mailto:it@assoc.example"


def certificates(raw: bytes) -> list[str]:
    return [
        str(each.text) for each in parse(raw, METADATA).iterfind(f"{qualified(MD, 'IDPSSODescriptor')}//{qualified(DS, 'X509Certificate')}")
    ]


def test_S69_the_next_certificate_stands_there_before_it_is_used_and_the_current_one_first(tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "keys")
    keys.create()
    keys.rotate()
    current, following, retired = keys.published
    for_signing = [key.certificate_base64 for key in (current, following, retired)]
    assert certificates(own(tmp_path)) == [*for_signing, current.certificate_base64]  # the last one is for EncryptedID


def test_SDP_G03_our_metadata_have_no_document_type_and_no_comment(tmp_path: Path) -> None:
    raw = own(tmp_path)
    assert b"<!" not in raw
    assert etree.fromstring(raw).getroottree().docinfo.doctype == ""
