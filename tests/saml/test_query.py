"""HTTP-Redirect: the query as it arrived and its detached signature."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import parse_qs, quote

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from idp.errors import BadRequest
from idp.protocols.saml.query import read_query, sign_query, verify_query

from .wiring import key_of, raw_signature

PUBLIC = key_of("sp").private.public_key()
MORE = "http://www.w3.org/2001/04/xmldsig-more#"


def signed_query(relay_state: str = "state 1/2") -> bytes:
    return sign_query("SAMLRequest", "fZ+a/b==", relay_state=relay_state, key=key_of("sp")).encode()


def by_hand(text: str, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | None = None, method: str = MORE + "rsa-sha256") -> bytes:
    """A query with a signature over exactly this text."""
    text += f"&SigAlg={quote(method, safe='')}"
    value = raw_signature(private or key_of("sp").private, method, text.encode())
    return f"{text}&Signature={quote(base64.b64encode(value).decode(), safe='')}".encode()


def cause_of(raw: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        verify_query(read_query(raw), [PUBLIC])
    return caught.value.cause


def test_our_own_signature_verifies_and_the_values_come_back() -> None:
    query = read_query(signed_query())
    verify_query(query, [PUBLIC])
    assert (query.kind, query.message, query.relay_state, query.is_signed) == ("SAMLRequest", "fZ+a/b==", "state 1/2", True)


def test_an_unsigned_query_says_so() -> None:
    assert not read_query(b"SAMLRequest=abc&RelayState=x").is_signed


@pytest.mark.parametrize(
    "text",
    [
        "SAMLRequest=fZ%2ba%2fb%3d%3d&RelayState=a%20b",  # .NET and Entra ID: lower case
        "SAMLRequest=fZ%2Ba/b==&RelayState=a+b",  # some signers leave / and = alone
        "SAMLRequest=fZ%2Ba%2Fb%3D%3D&RelayState=",
        "SAMLResponse=fZ%2Ba%2Fb%3D%3D",
    ],
)
def test_S46_S58_the_octets_received_are_verified_however_they_are_encoded(text: str) -> None:
    query = read_query(by_hand(text))
    verify_query(query, [PUBLIC])
    assert query.message == "fZ+a/b=="


def test_V14_a_query_that_was_encoded_again_is_refused() -> None:
    raw = by_hand("SAMLRequest=fZ%2ba%2fb%3d%3d").replace(b"%2ba%2fb%3d%3d", b"%2Ba%2Fb%3D%3D")
    assert cause_of(raw) == "saml.signature_invalid"


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.replace(b"RelayState=state", b"RelayState=other"),
        lambda raw: raw.replace(b"&RelayState=state+1%2F2", b""),
        lambda raw: raw.replace(b"SAMLRequest=", b"SAMLResponse="),
        lambda raw: raw.replace(b"rsa-sha256", b"rsa-sha512"),
    ],
)
def test_V14_a_changed_query_is_refused(change: Callable[[bytes], bytes]) -> None:
    assert cause_of(change(signed_query())) == "saml.signature_invalid"


@pytest.mark.parametrize(
    "raw",
    [
        signed_query() + b"&SAMLRequest=other",
        b"SAMLRequest=other&" + signed_query(),
        signed_query() + b"&RelayState=other",
        signed_query() + b"&Signature=other",
        signed_query() + b"&SigAlg=other",
        signed_query() + b"&SAMLResponse=other",
        signed_query() + b"&SAMLResponse=",
        signed_query() + b"&%53AMLRequest=other",
        signed_query() + b"&Relay%53tate=other",
        b"RelayState=x&SAMLRequest=abc",
        b"&".join(reversed(signed_query().split(b"&"))),
    ],
    ids=lambda raw: "",  # keys are new in every process, so the texts are no names
)
def test_V14_S58_doubled_disguised_reordered_or_conflicting_parameters_are_refused(raw: bytes) -> None:
    assert cause_of(raw) == "saml.query_unclear"


@pytest.mark.parametrize("part", [b"&Signature=", b"&SigAlg="])
def test_V23_half_a_signature_is_not_the_same_as_none(part: bytes) -> None:
    raw = signed_query()
    start = raw.index(part)
    end = raw.find(b"&", start + 1)
    assert cause_of(raw[:start] + (raw[end:] if end > 0 else b"")) == "saml.query_unclear"


@pytest.mark.parametrize("method", ["http://www.w3.org/2000/09/xmldsig#rsa-sha1", "http://www.w3.org/2000/09/xmldsig#hmac-sha1", ""])
def test_S53_weak_methods_are_refused(method: str) -> None:
    raw = by_hand("SAMLRequest=abc").replace(
        b"SigAlg=" + quote(MORE + "rsa-sha256", safe="").encode(), b"SigAlg=" + quote(method, safe="").encode()
    )
    assert cause_of(raw) == "saml.algorithm_not_allowed"


def test_a_signature_by_an_elliptic_curve_verifies_with_its_key_only() -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    raw = by_hand("SAMLRequest=abc", private, MORE + "ecdsa-sha256")
    verify_query(read_query(raw), [PUBLIC, private.public_key()])
    assert cause_of(raw) == "saml.signature_invalid"


def test_parameters_that_are_not_of_the_binding_are_passed_over() -> None:
    query = read_query(b"utm_source=mail&" + signed_query() + b"&lang=fr")
    verify_query(query, [PUBLIC])


def test_an_unknown_encoding_is_refused_and_the_known_one_taken() -> None:
    known = quote("urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE", safe="").encode()
    assert read_query(b"SAMLRequest=abc&SAMLEncoding=" + known).message == "abc"
    assert cause_of(b"SAMLRequest=abc&SAMLEncoding=gzip") == "saml.query_unclear"


def test_an_address_without_a_message_says_where_to_begin() -> None:
    for raw in (b"", b"x=y", b"SAMLRequest="):
        assert cause_of(raw) == "saml.message_missing"


def test_S54_a_query_over_its_bound_is_refused() -> None:
    assert cause_of(b"SAMLRequest=" + b"a" * 131_072) == "saml.query_unclear"


def test_our_query_reads_the_same_for_everybody() -> None:
    fields = parse_qs(signed_query().decode(), strict_parsing=True)
    assert list(fields) == ["SAMLRequest", "RelayState", "SigAlg", "Signature"]
    assert fields["RelayState"] == ["state 1/2"]
