"""Enveloped signatures: the one shape that is accepted, and the known ways around others' checks."""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

import idp.protocols.saml
from idp.errors import BadRequest
from idp.keys import SigningKey
from idp.protocols.saml.algorithm import PublicKey, verifies
from idp.protocols.saml.document import DS, SAML, SAMLP, Element, canonical, parse, qualified
from idp.protocols.saml.entity import strong_keys
from idp.protocols.saml.signature import is_signed, sign_enveloped, verify_enveloped

from .wiring import EXCLUSIVE, SP, authn_request, key_of, logout_request, octets, sign_by_hand, signed
from .wiring import SIGNATURE as TEMPLATE

MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SIGNATURE = qualified(DS, "Signature")


def public(key: SigningKey) -> PublicKey:
    return key.private.public_key()


def verify(root: Element | bytes, *keys: PublicKey) -> Element:
    """Through octets, as a message travels."""
    return verify_enveloped(parse(root if isinstance(root, bytes) else octets(root)), keys or (public(key_of("sp")),))


def refused(root: Element | bytes, *keys: PublicKey) -> str:
    with pytest.raises(BadRequest) as caught:
        verify(root, *keys)
    return caught.value.cause


def find(root: Element, name: str) -> Element:
    found = root.find(f".//{qualified(DS, name)}")
    assert found is not None
    return found


def test_what_we_sign_verifies() -> None:
    verified = verify(signed(authn_request()))
    assert verified.get("ID") == "_request1"
    assert verified.findtext(qualified(SAML, "Issuer")) == SP


def test_S57_what_comes_back_is_parsed_from_the_signed_octets_and_has_no_signature() -> None:
    root = parse(octets(signed(authn_request())))
    verified = verify_enveloped(root, [public(key_of("sp"))])
    assert verified is not root
    assert not is_signed(verified)


def test_V3_KeyInfo_is_not_looked_at() -> None:
    root = signed(authn_request(), key_of("mallory"))
    assert key_of("mallory").certificate_base64 in octets(root).decode()
    assert refused(root) == "saml.signature_invalid"


def test_SDP_IDP32_any_of_several_keys_may_have_signed() -> None:
    assert verify(signed(authn_request()), public(key_of("mallory")), public(key_of("sp"))) is not None


def test_without_any_key_nothing_verifies() -> None:
    with pytest.raises(BadRequest) as caught:
        verify_enveloped(parse(octets(signed(authn_request()))), [])
    assert caught.value.cause == "saml.signature_invalid"


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_S53_rsa_and_ecdsa_with_each_sha_2_verify(name: str) -> None:
    curve = {"sha256": ec.SECP256R1(), "sha384": ec.SECP384R1(), "sha512": ec.SECP521R1()}[name]
    elliptic = ec.generate_private_key(curve)
    digest = MORE + name if name == "sha384" else f"http://www.w3.org/2001/04/xmlenc#{name}"
    for private, family in ((key_of("sp").private, "rsa"), (elliptic, "ecdsa")):
        root = sign_by_hand(authn_request(), private, method=f"{MORE}{family}-{name}", digest_method=digest)
        assert verify(root, private.public_key()).get("ID") == "_request1"


@pytest.mark.parametrize(
    ("method", "digest"),
    [
        (DS + "rsa-sha1", "http://www.w3.org/2001/04/xmlenc#sha256"),
        (MORE + "rsa-sha256", DS + "sha1"),
    ],
)
def test_S53_sha_1_is_refused_in_signature_and_in_digest(method: str, digest: str) -> None:
    assert refused(sign_by_hand(authn_request(), key_of("sp").private, method=method, digest_method=digest)) == "saml.algorithm_not_allowed"


@pytest.mark.parametrize("method", [DS + "hmac-sha1", MORE + "hmac-sha256", DS + "dsa-sha1", "", MORE + "rsa-md5", "none"])
def test_V3_V16_hmac_and_whatever_is_not_on_the_list_is_refused(method: str) -> None:
    root = signed(authn_request())
    find(root, "SignatureMethod").set("Algorithm", method)
    assert refused(root) == "saml.algorithm_not_allowed"


def test_V16_an_hmac_keyed_with_the_public_certificate_is_refused() -> None:
    root = signed(authn_request())
    find(root, "SignatureMethod").set("Algorithm", MORE + "hmac-sha256")
    pem = public(key_of("sp")).public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    forged = hmac.new(pem, canonical(find(root, "SignedInfo")), hashlib.sha256).digest()
    find(root, "SignatureValue").text = base64.b64encode(forged).decode()
    assert refused(root) == "saml.algorithm_not_allowed"


def test_V16_a_method_of_another_family_than_the_key_is_a_plain_no() -> None:
    root = sign_by_hand(authn_request(), ec.generate_private_key(ec.SECP256R1()), method=MORE + "ecdsa-sha256")
    assert refused(root) == "saml.signature_invalid"


def test_V15_odd_signature_values_are_a_plain_no() -> None:
    elliptic = ec.generate_private_key(ec.SECP256R1()).public_key()
    for value in (b"", b"\x00", b"\x00" * 64, b"\xff" * 256, b"x" * 10_000):
        assert verifies(elliptic, MORE + "ecdsa-sha256", signature=value, octets=b"x") is False
        assert verifies(public(key_of("sp")), MORE + "rsa-sha256", signature=value, octets=b"x") is False


@pytest.mark.parametrize("value", ["", "%%%", "AAAA=A", "\u00e4"])
def test_V15_a_signature_value_that_is_no_base64_is_refused(value: str) -> None:
    root = signed(authn_request())
    find(root, "SignatureValue").text = value
    assert refused(root) in ("saml.base64_invalid", "saml.signature_invalid")


def forged() -> Element:
    """What the attacker wants to be believed."""
    return authn_request(identifier="_evil", AssertionConsumerServiceURL="https://evil.example/acs")


def genuine() -> Element:
    return parse(octets(signed(authn_request())))


def in_extensions(outer: Element, inner: Element) -> Element:
    extensions = etree.Element(qualified(SAMLP, "Extensions"))
    extensions.append(inner)
    outer.insert(1, extensions)
    return outer


def moved(outer: Element, wrap: Callable[[Element, Element], None]) -> Element:
    """The forged message with the genuine signature as its own child; `wrap` puts the genuine content somewhere."""
    inner = genuine()
    signature = inner.find(SIGNATURE)
    inner.remove(signature)
    outer.insert(1, signature)
    wrap(outer, inner)
    return outer


def into_object(outer: Element, inner: Element) -> None:
    etree.SubElement(outer.find(SIGNATURE), qualified(DS, "Object")).append(inner)


def into_extensions(outer: Element, inner: Element) -> None:
    outer.insert(2, etree.Element(qualified(SAMLP, "Extensions")))
    outer[2].append(inner)


def wrapped_twice() -> Element:
    """The forged message with a copy of the signature, and the whole genuine message inside."""
    outer, inner = forged(), genuine()
    outer.insert(1, copy.deepcopy(inner.find(SIGNATURE)))
    return in_extensions(outer, inner)


def under_key_info(outer: Element, inner: Element) -> None:
    find(outer, "KeyInfo").append(inner)


def under_signed_info(outer: Element, inner: Element) -> None:
    find(outer, "SignedInfo").append(inner)


def forged_inside_genuine() -> Element:
    return in_extensions(genuine(), forged())


WRAPPINGS: dict[str, Callable[[], Element]] = {
    "XSW1 genuine in Object, signature moved to the forged root": lambda: moved(forged(), into_object),
    "XSW2 genuine in Extensions, signature moved to the forged root": lambda: moved(forged(), into_extensions),
    "XSW3 whole genuine message in Extensions": lambda: in_extensions(forged(), genuine()),
    "XSW4 whole genuine message in Extensions, signature copied": wrapped_twice,
    "XSW5 genuine under KeyInfo": lambda: moved(forged(), under_key_info),
    "XSW6 genuine under SignedInfo": lambda: moved(forged(), under_signed_info),
    "XSW7 forged message in Extensions of the genuine one": forged_inside_genuine,
    "XSW8 genuine LogoutRequest in the Extensions of an AuthnRequest": lambda: in_extensions(
        forged(), parse(octets(signed(logout_request("<saml:NameID>x</saml:NameID>"))))
    ),
}


@pytest.mark.parametrize("shape", WRAPPINGS)
def test_V1_V9_V10_no_wrapping_is_accepted(shape: str) -> None:
    assert refused(WRAPPINGS[shape]()) in ("saml.signature_shape", "saml.signature_invalid")


def test_V10_a_signed_assertion_of_ours_inside_an_attackers_message_is_refused() -> None:
    assertion = parse(f'<saml:Assertion xmlns:saml="{SAML}" ID="_a"><saml:Issuer>{SP}</saml:Issuer></saml:Assertion>'.encode())
    sign_enveloped(assertion, key_of("sp"))
    assert refused(in_extensions(forged(), assertion)) == "saml.signature_shape"


@pytest.mark.parametrize("uri", ["", "#", "#_other", "_request1", "#xpointer(/)", "#xpointer(id('_request1'))", "https://lms.example/x"])
def test_V1_V13_the_reference_must_name_the_root_by_its_id(uri: str) -> None:
    assert refused(sign_by_hand(authn_request(), key_of("sp").private, uri=uri)) == "saml.signature_shape"


def test_V1_a_reference_without_uri_and_a_root_without_id_are_refused() -> None:
    no_uri, no_id = genuine(), genuine()
    del find(no_uri, "Reference").attrib["URI"]
    del no_id.attrib["ID"]
    assert {refused(no_uri), refused(no_id)} == {"saml.signature_shape"}


@pytest.mark.parametrize(
    "algorithm",
    [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2006/12/xml-c14n11",
        EXCLUSIVE + "WithComments",
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2002/06/xmldsig-filter2",
        DS + "base64",
        "",
    ],
)
def test_V20_other_canonicalisations_and_transforms_are_refused(algorithm: str) -> None:
    method, second, extra = genuine(), genuine(), genuine()
    find(method, "CanonicalizationMethod").set("Algorithm", algorithm)
    find(second, "Transforms")[1].set("Algorithm", algorithm)
    etree.SubElement(find(extra, "Transforms"), qualified(DS, "Transform"), Algorithm=algorithm)
    assert {refused(method), refused(second), refused(extra)} == {"saml.signature_shape"}


def test_the_enveloped_transform_must_be_there_and_come_first() -> None:
    only_exclusive, reordered, empty = genuine(), genuine(), genuine()
    transforms = find(only_exclusive, "Transforms")
    transforms.remove(transforms[0])
    find(reordered, "Transforms").append(find(reordered, "Transforms")[0])
    for transform in list(find(empty, "Transforms")):
        find(empty, "Transforms").remove(transform)
    assert {refused(only_exclusive), refused(reordered), refused(empty)} == {"saml.signature_shape"}


@pytest.mark.parametrize("name", ["SignedInfo", "Reference", "DigestValue", "SignatureValue", "SignatureMethod", "KeyInfo", "Transforms"])
def test_V11_two_of_a_kind_are_refused(name: str) -> None:
    root = genuine()
    element = find(root, name)
    element.addnext(copy.deepcopy(element))
    assert refused(root) == "saml.signature_shape"


def test_V11_a_second_SignedInfo_before_the_genuine_one_is_refused() -> None:
    root = genuine()
    false = copy.deepcopy(find(root, "SignedInfo"))
    find(false, "DigestValue").text = "AAAA"
    root.find(SIGNATURE).insert(0, false)
    assert refused(root) == "saml.signature_shape"


def test_V9_a_digest_hidden_elsewhere_is_not_found() -> None:
    root = genuine()
    root.set("ForceAuthn", "true")
    extensions = etree.Element(qualified(SAMLP, "Extensions"))
    etree.SubElement(extensions, qualified(DS, "DigestValue")).text = "AAAA"
    root.insert(1, extensions)
    assert refused(root) == "saml.signature_invalid"


def test_V11_a_digest_that_begins_with_a_comment_or_holds_an_element_is_refused() -> None:
    text = octets(genuine()).decode().replace("<ds:DigestValue>", "<ds:DigestValue><!--AAAA-->")
    with_element = genuine()
    etree.SubElement(find(with_element, "DigestValue"), qualified(DS, "x"))
    assert refused(text.encode()) == "saml.xml_forbidden"
    assert refused(with_element) == "saml.signature_shape"


def test_a_truncated_hmac_length_or_any_other_parameter_of_a_method_is_refused() -> None:
    root = genuine()
    etree.SubElement(find(root, "SignatureMethod"), qualified(DS, "HMACOutputLength")).text = "0"
    assert refused(root) == "saml.signature_shape"


@pytest.mark.parametrize("name", ["ForceAuthn", "IsPassive", "AssertionConsumerServiceURL"])
def test_a_message_that_was_changed_after_signing_is_refused(name: str) -> None:
    root = genuine()
    root.set(name, "true")
    assert refused(root) == "saml.signature_invalid"


def test_text_that_was_added_around_the_signature_is_not_outside_of_it() -> None:
    root = genuine()
    root.find(SIGNATURE).tail = "x"
    assert refused(root) == "saml.signature_invalid"


def test_V8_a_relative_namespace_makes_the_message_invalid_not_empty() -> None:
    text = octets(genuine()).decode().replace("<saml:Issuer", '<saml:Issuer xmlns:void="1" void:x=""', 1)
    assert refused(text.encode()) == "saml.xml_not_canonical"


def test_S56_a_duplicate_id_is_refused_before_the_signature_is_looked_at() -> None:
    root = genuine()
    etree.SubElement(root, "x", ID="_request1")
    assert refused(root) == "saml.xml_duplicate_id"


def test_white_space_in_base64_is_taken() -> None:
    root = sign_by_hand(authn_request(), key_of("sp").private)
    value = find(root, "SignatureValue")
    value.text = "\n  ".join((value.text or "")[start : start + 64] for start in range(0, 400, 64)) + "\n"
    assert verify(root).get("ID") == "_request1"


def test_inclusive_prefixes_are_honoured() -> None:
    root = parse(octets(authn_request()).replace(b"<samlp:AuthnRequest", b'<samlp:AuthnRequest xmlns:xs="urn:x"', 1))
    fields = {
        "canonicalization": EXCLUSIVE,
        "method": MORE + "rsa-sha256",
        "uri": "#_request1",
        "digest_method": "http://www.w3.org/2001/04/xmlenc#sha256",
        "digest": base64.b64encode(hashlib.sha256(canonical(root, ["xs"])).digest()).decode(),
    }
    prefixes = f'<ec:InclusiveNamespaces xmlns:ec="{EXCLUSIVE}" PrefixList="xs"/>'
    listed = f'<ds:Transform Algorithm="{EXCLUSIVE}">{prefixes}</ds:Transform></ds:Transforms>'
    template = TEMPLATE.replace(f'<ds:Transform Algorithm="{EXCLUSIVE}"/></ds:Transforms>', listed)
    assert listed in template
    value = key_of("sp").sign(canonical(parse(template.format(value="", **fields).encode())[0]))
    root.insert(1, parse(template.format(value=base64.b64encode(value).decode(), **fields).encode()))
    assert verify(root).get("ID") == "_request1"


def test_S56_a_short_rsa_key_is_no_key() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    good, sentences = strong_keys([weak, public(key_of("sp"))])
    assert good == (public(key_of("sp")),)
    assert "1024 bits" in sentences[0]


@pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="no xmlsec1 here: it is an oracle for tests only")
def test_xmlsec1_verifies_what_we_sign_and_refuses_it_when_changed(tmp_path: Path) -> None:
    root = signed(authn_request())
    assert _xmlsec1_says_ok(tmp_path, octets(root))
    assert not _xmlsec1_says_ok(tmp_path, octets(root).replace(b"lms.example/metadata", b"evil.example/metadata"))


def _xmlsec1_says_ok(folder: Path, message: bytes) -> bool:
    (folder / "message.xml").write_bytes(message)
    (folder / "certificate.pem").write_bytes(key_of("sp").certificate.public_bytes(serialization.Encoding.PEM))
    command = ["xmlsec1", "--verify", "--pubkey-cert-pem", str(folder / "certificate.pem")]
    command += ["--id-attr:ID", f"{SAMLP}:AuthnRequest", str(folder / "message.xml")]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    return said.returncode == 0


@pytest.mark.parametrize("name", ["gate", "request", "context", "logout", "query", "soap", "authority", "artifact", "name_id", "protocol"])
def test_V9_V24_nothing_in_a_message_is_found_by_the_order_of_the_document(name: str) -> None:
    """What is read stands at a fixed place of the verified element; whoever searches finds what an attacker put before it."""
    text = (Path(idp.protocols.saml.__file__).parent / f"{name}.py").read_text()
    assert not re.search(r"\.//|xpath|\.iter\(|itertext|getiterator", text)
