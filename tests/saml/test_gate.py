"""The gate: what of a message is checked before anything acts on it."""

from __future__ import annotations

import base64
import tracemalloc
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from idp.errors import BadRequest
from idp.protocols.saml.entity import ServiceProvider
from idp.protocols.saml.gate import Admitted, Envelope, Gate, from_post, from_redirect
from idp.protocols.saml.metadata import read_metadata
from idp.protocols.saml.moment import write_time
from idp.store.sqlite import SqliteStore

from .wiring import (
    ACS,
    NOW,
    SLO,
    SP,
    SSO,
    authn_request,
    deflated,
    key_of,
    logout_request,
    logout_response,
    metadata,
    octets,
    post_form,
    redirect_query,
    signed,
)

PROVIDER = read_metadata(metadata().encode())
NAME = "<saml:NameID>x</saml:NameID>"


class Clock:
    def __init__(self) -> None:
        self.seconds = NOW

    def __call__(self) -> int:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(tmp_path: Path, clock: Clock) -> Iterator[Gate]:
    store = SqliteStore(tmp_path / "store.sqlite", now=clock)
    yield Gate(store, now=clock)
    store.close()


def admit(gate: Gate, envelope: Envelope, *, signed: bool = False, provider: ServiceProvider = PROVIDER, location: str = "") -> Admitted:
    """As the protocol does it: logout messages at their own address and always signed."""
    opened = (
        gate.open(envelope, "AuthnRequest") if b"AuthnRequest" in envelope.xml else gate.open(envelope, "LogoutRequest", "LogoutResponse")
    )
    is_logout = opened.name != "AuthnRequest"
    return gate.admit(opened, provider, location=location or (SLO if is_logout else SSO), must_be_signed=signed or is_logout)


def cause_of(gate: Gate, envelope: Envelope, **how: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        admit(gate, envelope, **how)
    assert caught.value.status == 400
    return caught.value.cause


def test_SDP_IDP02_SDP_IDP04_an_unsigned_request_by_redirect_is_read(gate: Gate) -> None:
    admitted = admit(gate, from_redirect(redirect_query(authn_request(ForceAuthn="1"), relay_state="r")))
    assert (admitted.issuer, admitted.message.id, admitted.message.force_authn) == (SP, "_request1", "1")
    assert (admitted.relay_state, admitted.signed) == ("r", False)


def test_IIP_SSO01_a_signed_request_by_redirect_or_post_is_read_from_what_was_signed(gate: Gate) -> None:
    by_redirect = admit(gate, from_redirect(redirect_query(authn_request(), key=key_of("sp"))), signed=True)
    by_post = admit(gate, from_post(post_form(signed(authn_request(identifier="_second")))), signed=True)
    assert (by_redirect.signed, by_post.signed) == (True, True)


@pytest.mark.parametrize("how", ["redirect", "post"])
def test_SDP_IDP05_a_signature_that_is_there_is_verified_even_where_none_is_demanded(gate: Gate, how: str) -> None:
    other = key_of("mallory")
    if how == "redirect":
        envelope = from_redirect(redirect_query(authn_request(), key=other))
    else:
        envelope = from_post(post_form(signed(authn_request(), other)))
    assert cause_of(gate, envelope) == "saml.signature_invalid"


def test_SDP_IDP05_V24_a_signed_request_of_a_provider_without_keys_is_refused(gate: Gate) -> None:
    keyless = read_metadata(metadata(keys=[]).encode())
    assert cause_of(gate, from_redirect(redirect_query(authn_request(), key=key_of("sp"))), provider=keyless) == "saml.signature_invalid"


def test_SDP_IDP05_a_redirect_message_with_both_kinds_of_signature_must_pass_both(gate: Gate) -> None:
    good = from_redirect(redirect_query(signed(authn_request()), key=key_of("sp")))
    bad = from_redirect(redirect_query(signed(authn_request(identifier="_2"), key_of("mallory")), key=key_of("sp")))
    assert admit(gate, good, signed=True).signed
    assert cause_of(gate, bad) == "saml.signature_invalid"


@pytest.mark.parametrize("how", ["redirect", "post"])
def test_V23_an_unsigned_message_is_refused_where_a_signature_is_demanded(gate: Gate, how: str) -> None:
    root = authn_request()
    envelope = from_redirect(redirect_query(root)) if how == "redirect" else from_post(post_form(root))
    assert cause_of(gate, envelope, signed=True) == "saml.signature_missing"


@pytest.mark.parametrize("root", [logout_request(NAME), logout_response("_x")])
def test_S46_SDP_IDP26_logout_messages_are_always_signed(gate: Gate, root: Any) -> None:
    kind = "SAMLResponse" if "Response" in str(root.tag) else "SAMLRequest"
    assert cause_of(gate, from_redirect(redirect_query(root, kind=kind))) == "saml.signature_missing"


@pytest.mark.parametrize("destination", ["https://evil.example/saml/sso", SLO, SSO + "/", SSO.upper(), SSO.replace("https", "http")])
def test_S59_a_Destination_that_is_not_exactly_ours_is_refused_signed_or_not(gate: Gate, destination: str) -> None:
    assert cause_of(gate, from_redirect(redirect_query(authn_request(Destination=destination)))) == "saml.destination_wrong"
    assert cause_of(gate, from_post(post_form(signed(authn_request(Destination=destination))))) == "saml.destination_wrong"


def test_S59_a_signed_message_must_have_a_Destination_and_an_unsigned_one_need_not(gate: Gate) -> None:
    assert cause_of(gate, from_redirect(redirect_query(authn_request(Destination=""), key=key_of("sp")))) == "saml.destination_wrong"
    assert admit(gate, from_redirect(redirect_query(authn_request(Destination="")))).message.destination is None


@pytest.mark.parametrize("skew", [-300, -1, 0, 300])
def test_SDP_G01_IssueInstant_may_be_five_minutes_off_either_way(gate: Gate, skew: int) -> None:
    assert admit(gate, from_redirect(redirect_query(authn_request(issued=NOW + skew))))


@pytest.mark.parametrize("skew", [-301, 301, -86_400, 86_400])
def test_S60_IssueInstant_outside_of_the_window_is_refused(gate: Gate, skew: int) -> None:
    assert cause_of(gate, from_redirect(redirect_query(authn_request(issued=NOW + skew)))) == "saml.message_stale"


@pytest.mark.parametrize(
    "text", ["2027-01-15T08:00:00.123Z", "2027-01-15T08:00:00.1234567Z", "2027-01-15T09:00:00+01:00", "2027-01-15T08:00:00"]
)
def test_times_are_read_with_fractions_and_with_zones(gate: Gate, text: str) -> None:
    assert write_time(NOW) == "2027-01-15T08:00:00Z"
    assert admit(gate, from_redirect(redirect_query(authn_request(IssueInstant=text))))


@pytest.mark.parametrize("text", ["-0001-01-01T00:00:00Z", "99999-01-01T00:00:00Z"])
def test_a_time_out_of_range_is_a_refusal_and_no_failure(gate: Gate, text: str) -> None:
    assert cause_of(gate, from_redirect(redirect_query(authn_request(IssueInstant=text)))) == "saml.time_invalid"


def test_S61_V19_a_LogoutRequest_past_its_NotOnOrAfter_is_refused(gate: Gate) -> None:
    expired = logout_request(NAME, NotOnOrAfter="2001-01-01T00:00:00Z")
    fresh = logout_request(NAME, identifier="_fresh", NotOnOrAfter=write_time(NOW + 60))
    assert cause_of(gate, from_redirect(redirect_query(expired, key=key_of("sp")))) == "saml.message_expired"
    assert admit(gate, from_redirect(redirect_query(fresh, key=key_of("sp"))))


def test_S60_a_message_is_taken_once_and_the_refusal_says_what_to_do(gate: Gate) -> None:
    query = redirect_query(authn_request())
    admit(gate, from_redirect(query))
    with pytest.raises(BadRequest) as caught:
        admit(gate, from_redirect(query))
    assert caught.value.cause == "saml.message_replayed"
    assert "Back button" in caught.value.message


def test_S60_a_replay_is_seen_for_as_long_as_its_IssueInstant_would_pass(gate: Gate, clock: Clock) -> None:
    query = redirect_query(authn_request(issued=NOW + 300))
    admit(gate, from_redirect(query))
    clock.seconds = NOW + 600
    assert cause_of(gate, from_redirect(query)) == "saml.message_replayed"


def test_S60_two_providers_may_use_the_same_id(gate: Gate) -> None:
    other = read_metadata(metadata("https://other.example").encode())
    admit(gate, from_redirect(redirect_query(authn_request())))
    assert admit(gate, from_redirect(redirect_query(authn_request(issuer="https://other.example"))), provider=other)


def test_a_refused_message_does_not_use_up_its_id(gate: Gate) -> None:
    cause_of(gate, from_redirect(redirect_query(authn_request(), key=key_of("mallory"))))
    assert admit(gate, from_redirect(redirect_query(authn_request(), key=key_of("sp"))))


def test_G_S4_of_many_at_once_one_is_taken(gate: Gate) -> None:
    query = redirect_query(authn_request())

    def attempt(_: int) -> bool:
        try:
            return bool(admit(gate, from_redirect(query)))
        except BadRequest:
            return False

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(attempt, range(40))) == 1


def test_the_provider_that_was_looked_up_must_be_the_one_that_signed(gate: Gate) -> None:
    other = read_metadata(metadata("https://other.example").encode())
    assert cause_of(gate, from_redirect(redirect_query(authn_request(), key=key_of("sp"))), provider=other) == "saml.issuer_wrong"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ((b'Version="2.0"', b'Version="1.1"'), "saml.version"),
        ((SP.encode(), b""), "saml.issuer_missing"),
        ((f"<saml:Issuer>{SP}</saml:Issuer>".encode(), b""), "saml.issuer_missing"),
        ((b"</samlp:AuthnRequest>", b"<x/></samlp:AuthnRequest>"), "saml.schema_invalid"),
        ((b' ID="_request1"', b""), "saml.schema_invalid"),
        ((b' ID="_request1"', b' ID="1"'), "saml.schema_invalid"),
        ((b' ID="_request1"', b' ID="_' + b"x" * 256 + b'"'), "saml.id_too_long"),
        ((b"samlp:AuthnRequest", b"samlp:Response"), "saml.message_unexpected"),
        ((b"samlp:AuthnRequest", b"saml:AuthnRequest"), "saml.message_unexpected"),
        ((b"samlp:AuthnRequest", b"samlp:ArtifactResolve"), "saml.message_unexpected"),
    ],
)
def test_S55_S22_what_is_no_request_of_ours_is_refused_and_never_a_failure(gate: Gate, change: tuple[bytes, bytes], cause: str) -> None:
    with pytest.raises(BadRequest) as caught:
        gate.open(from_redirect(redirect_query(octets(authn_request()).replace(*change))), "AuthnRequest")
    assert caught.value.cause == cause


def test_a_request_in_the_field_of_a_response_is_refused(gate: Gate) -> None:
    with pytest.raises(BadRequest) as caught:
        gate.open(from_post(post_form(authn_request(), kind="SAMLResponse")), "AuthnRequest")
    assert caught.value.cause == "saml.message_unexpected"


def test_IIP_EXT01_unknown_extensions_do_no_harm(gate: Gate) -> None:
    inner = '<samlp:Extensions><x:y xmlns:x="urn:x" z="1"><x:w/></x:y></samlp:Extensions>'
    assert admit(gate, from_redirect(redirect_query(authn_request(inner)))).message.id == "_request1"


@pytest.mark.parametrize(
    "form",
    [
        {**post_form(authn_request()), "SAMLResponse": ["x"]},
        {"SAMLRequest": [*post_form(authn_request())["SAMLRequest"]] * 2},
        {**post_form(authn_request()), "RelayState": ["a", "b"]},
    ],
)
def test_V14_a_form_with_two_messages_is_refused(form: dict[str, list[str]]) -> None:
    with pytest.raises(BadRequest) as caught:
        from_post(form)
    assert caught.value.cause == "saml.form_unclear"


@pytest.mark.parametrize("field", ["SigAlg", "Signature"])
def test_SDP_IDP05_a_form_by_SimpleSign_is_refused_with_what_to_do_and_never_taken_as_unsigned(field: str) -> None:
    with pytest.raises(BadRequest) as caught:
        from_post({**post_form(authn_request()), field: ["x"]})
    assert caught.value.cause == "saml.simple_sign"
    assert "HTTP-Redirect" in caught.value.expected


@pytest.mark.parametrize("form", [{}, {"SAMLRequest": []}, {"RelayState": ["x"]}])
def test_a_form_without_a_message_is_refused(form: dict[str, list[str]]) -> None:
    with pytest.raises(BadRequest) as caught:
        from_post(form)
    assert caught.value.cause == "saml.message_missing"


def test_CTK_empty_and_cut_off_messages_are_refused(gate: Gate) -> None:
    whole = deflated(authn_request())
    for text, causes in (
        (whole[: len(whole) // 2 // 4 * 4], ("saml.deflate_invalid",)),
        (base64.b64encode(octets(authn_request())).decode(), ("saml.deflate_invalid",)),
        ("AAAA", ("saml.deflate_invalid",)),
        ("%%%", ("saml.base64_invalid",)),
        (base64.b64encode(base64.b64decode(whole) + b"more").decode(), ("saml.deflate_invalid",)),
    ):
        with pytest.raises(BadRequest) as caught:
            from_redirect(f"SAMLRequest={quote_plus(text)}".encode())
        assert caught.value.cause in causes


def test_S54_V22_a_deflate_bomb_is_stopped_at_the_bound() -> None:
    compress = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = base64.b64encode(compress.compress(b"<a>" + b" " * 40_000_000) + compress.flush()).decode()
    assert len(bomb) < 65_536
    tracemalloc.start()
    try:
        with pytest.raises(BadRequest) as caught:
            from_redirect(f"SAMLRequest={bomb.replace('+', '%2B')}".encode())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.cause == "saml.message_too_large"
    assert peak < 4_000_000


def test_S54_a_message_over_64_KB_of_base64_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        from_post({"SAMLRequest": ["A" * 65_540]})
    assert caught.value.cause == "saml.message_too_large"


def test_errors_hold_what_was_expected_and_what_came(gate: Gate) -> None:
    with pytest.raises(BadRequest) as caught:
        admit(gate, from_redirect(redirect_query(authn_request(Destination=ACS))))
    assert (caught.value.expected, caught.value.received) == (SSO, ACS)
