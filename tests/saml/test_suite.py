"""Which algorithms we use for whom, and how SHA-1 is let in for one application until a day."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from pydantic import ValidationError

from idp.protocols.saml.algorithm import OUR_METHODS, RSA_SHA256, SHA256, Suite, choose_suite, sign, verifies
from idp.protocols.saml.document import DS, XENC, XENC11, parse
from idp.protocols.saml.encryption import encrypt_assertion
from idp.protocols.saml.entity import EncryptionKey
from idp.protocols.saml.metadata import read_metadata
from tests.simple.wiring import posted

from .conftest import MakeWorld
from .test_protocol import page_cause
from .wiring import authn_request, key_of, metadata, post_form, raw_signature, redirect_query, sign_by_hand
from .world import Provider, Told, World, message_at, saml_client

MORE = "http://www.w3.org/2001/04/xmldsig-more#"
PSS = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1"
SHA512 = "http://www.w3.org/2001/04/xmlenc#sha512"


def declaring(*elements: str) -> str:
    """Metadata with algorithm extensions (SAML V2.0 Metadata Profile for Algorithm Support)."""
    inside = f'<md:Extensions xmlns:alg="urn:oasis:names:tc:SAML:metadata:algsupport">{"".join(elements)}</md:Extensions>'
    return metadata().replace("<md:SPSSODescriptor", f"{inside}<md:SPSSODescriptor", 1)


@pytest.mark.parametrize("method", OUR_METHODS)
def test_IIP_ALG02_what_we_sign_by_each_method_verifies_by_it_and_no_other(method: str) -> None:
    key = key_of("idp")
    made = sign(key, method, b"text")
    public = key.private.public_key()
    assert [each for each in OUR_METHODS if verifies(public, each, signature=made, octets=b"text")] == [method]


@pytest.mark.parametrize(
    ("wanted", "methods", "digests", "suite"),
    [
        ("", (), (), Suite()),
        ("", (MORE + "rsa-sha512", RSA_SHA256), (SHA512, SHA256), Suite()),
        ("", (MORE + "ecdsa-sha256", PSS), (SHA512,), Suite(PSS, SHA512)),
        ("", ("http://www.w3.org/2000/09/xmldsig#rsa-sha1",), ("http://www.w3.org/2000/09/xmldsig#sha1",), Suite()),
        (PSS, (RSA_SHA256,), (), Suite(PSS)),
    ],
)
def test_IIP_MD10_the_suite_is_of_what_the_metadata_declare(
    wanted: str, methods: tuple[str, ...], digests: tuple[str, ...], suite: Suite
) -> None:
    assert choose_suite(wanted, methods, digests) == suite


def test_IIP_MD10_an_application_that_declares_other_algorithms_gets_them_everywhere(make_world: MakeWorld) -> None:
    xml = declaring(f'<alg:DigestMethod Algorithm="{SHA512}"/>', f'<alg:SigningMethod Algorithm="{PSS}"/>')
    world = make_world(saml_client(metadata_xml=xml))
    provider = Provider(world, world.signed_in())
    told = provider.sign_on()
    text = base64.b64decode(posted(provider.ask())[1]["SAMLResponse"]).decode()
    assert f'SignatureMethod Algorithm="{PSS}"' in text
    assert f'DigestMethod Algorithm="{SHA512}"' in text
    answer = provider.visitor.get(provider.log_out(told.logout_inner()).location)
    assert message_at(world, answer.location)[2]["SigAlg"] == PSS


def test_the_setting_goes_over_the_metadata_and_takes_short_names(make_world: MakeWorld) -> None:
    world = make_world(saml_client(signature_algorithm="rsa-pss-sha512"))
    text = base64.b64decode(posted(Provider(world, world.signed_in()).ask())[1]["SAMLResponse"]).decode()
    assert "#sha512-rsa-MGF1" in text
    with pytest.raises(ValidationError, match="signature_algorithm is one of"):
        saml_client(signature_algorithm="rsa-sha1")


# ---- SHA-1


def old_style(world: World) -> dict[str, Any]:
    root = sign_by_hand(authn_request(issued=world.now()), key_of("sp").private, method=DS + "rsa-sha1", digest_method=DS + "sha1")
    return {name: values[0] for name, values in post_form(root).items()}


@pytest.mark.parametrize(("until", "taken"), [("2027-01-15", True), ("2027-01-14", False), (None, False)])
def test_IIP_ALG08_SHA_1_is_taken_from_one_application_up_to_a_day(make_world: MakeWorld, until: str | None, taken: bool) -> None:
    world = make_world(saml_client(legacy_algorithms_until=until))
    visitor = world.signed_in()
    response = visitor.post("/saml/sso", data=old_style(world))
    if taken:
        assert Told(world, visitor.get(response.location)).statuses == ["Success"]
    else:
        assert page_cause(world, response) == "saml.algorithm_not_allowed"


def test_a_Redirect_signature_with_SHA_1_is_under_the_same_rule(make_world: MakeWorld) -> None:
    world = make_world(saml_client(legacy_algorithms_until="2027-02-01"))
    text = redirect_query(authn_request(issued=world.now())) + b"&SigAlg=http%3A%2F%2Fwww.w3.org%2F2000%2F09%2Fxmldsig%23rsa-sha1"
    made = base64.b64encode(raw_signature(key_of("sp").private, "rsa-sha1", text)).decode().replace("+", "%2B").replace("/", "%2F")
    url = f"/saml/sso?{text.decode()}&Signature={made.replace('=', '%3D')}"
    assert Told(world, world.signed_in().get(url)).statuses == ["Success"]


def test_SHA_1_that_was_forged_is_refused_in_its_days_too(make_world: MakeWorld) -> None:
    world = make_world(saml_client(legacy_algorithms_until="2027-02-01"))
    root = sign_by_hand(authn_request(issued=world.now()), key_of("mallory").private, method=DS + "rsa-sha1", digest_method=DS + "sha1")
    form = {name: values[0] for name, values in post_form(root).items()}
    assert page_cause(world, world.visitor().post("/saml/sso", data=form)) == "saml.signature_invalid"


# ---- encryption


@pytest.mark.parametrize(
    ("methods", "digests", "found"),
    [
        ((), (), (XENC11 + "aes256-gcm", XENC + "rsa-oaep-mgf1p", DS + "sha1")),
        ((XENC11 + "aes128-gcm", XENC11 + "rsa-oaep"), (XENC + "sha256",), (XENC11 + "aes128-gcm", XENC11 + "rsa-oaep", XENC + "sha256")),
    ],
)
def test_IIP_ALG06_key_transport_and_digest_follow_the_metadata(
    methods: tuple[str, ...], digests: tuple[str, ...], found: tuple[str, ...]
) -> None:
    document = parse(b'<a><b ID="x">secret</b></a>')
    encrypt_assertion(document[0], (EncryptionKey(key_of("sp").private.public_key(), methods, digests),))
    named = [each.get("Algorithm") for each in document.iter() if each.get("Algorithm")]
    assert tuple(named) == found


def test_IIP_ALG08_a_key_for_RSA_1_5_alone_is_no_key(make_world: MakeWorld) -> None:
    method = f'<md:EncryptionMethod Algorithm="{XENC}rsa-1_5"/>'
    xml = metadata().replace("</md:KeyDescriptor>", f"{method}</md:KeyDescriptor>")
    with pytest.raises(ValidationError, match="no RSA key to encrypt for"):
        saml_client(metadata_xml=xml, encrypt=True)


def test_the_digests_of_a_key_are_read_from_the_metadata() -> None:
    method = f'<md:EncryptionMethod Algorithm="{XENC}rsa-oaep-mgf1p"><ds:DigestMethod Algorithm="{XENC}sha256"/></md:EncryptionMethod>'
    xml = metadata().replace("</md:KeyDescriptor>", f"{method}</md:KeyDescriptor>")
    assert read_metadata(xml.encode()).encryption_keys[0].digests == (XENC + "sha256",)
