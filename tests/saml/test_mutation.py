"""A signed message, mutated in thousands of ways: it is refused, or it says what was signed; and nothing fails otherwise (G-S5)."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from saml2 import create_class_from_element_tree, samlp

from idp.errors import BadRequest
from idp.protocols.saml.document import Element, canonical, parse
from idp.protocols.saml.entity import MetadataProblem
from idp.protocols.saml.gate import Gate, from_post, from_redirect
from idp.protocols.saml.metadata import read_metadata
from idp.store import Record

from .wiring import (
    NOW,
    SLO,
    SSO,
    authn_request,
    key_of,
    logout_request,
    logout_response,
    metadata,
    octets,
    post_form,
    redirect_query,
    signed,
)
from .world import World

PROVIDER = read_metadata(metadata().encode())
TOKENS = [
    *(b"<", b">", b"/", b'"', b"'", b"&", b";", b"=", b" ", b"\x00", b"\xff", b"2", b"_", b"A", b"samlp:", b"saml:", b"ds:"),
    *(b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<!DOCTYPE x>", b"<?x?>", b"&lt;", b"&#0;", b"&x;", b"<x/>", b"</x>", b"\xef\xbb\xbf"),
    *(b' ID="_request1"', b' xmlns="x"', b' xmlns:saml="urn:evil"', b"<ds:Signature/>", b"<samlp:Extensions/>"),
]


class Forgetful:
    """A store that has seen nothing: replay is not what is tested here."""

    def put_new(self, kind: str, key: str, record: Record, *, expires: int | None) -> bool:
        return True


GATE = Gate(Forgetful(), now=lambda: NOW)  # type: ignore[arg-type]


def mutate(raw: bytes, dice: random.Random) -> bytes:
    """One to three changes: octets dropped, doubled, swapped, overwritten, or a troublesome token put in."""
    for _ in range(dice.randint(1, 3)):
        start = dice.randrange(len(raw))
        end = min(len(raw), start + dice.choice((1, 1, 2, 5, 20, 80)))
        there = dice.randrange(len(raw))
        match dice.randrange(5):
            case 0:
                raw = raw[:start] + raw[end:]
            case 1:
                raw = raw[:there] + raw[start:end] + raw[there:]
            case 2:
                raw = raw[:start] + dice.choice(TOKENS) + raw[start:]
            case 3:
                raw = raw[:start] + dice.choice(TOKENS) + raw[end:]
            case _:
                raw = raw[:start] + bytes([dice.randrange(256)]) + raw[start + 1 :]
    return raw or b"<"


MESSAGES: dict[str, tuple[Callable[[], Element], str]] = {
    "AuthnRequest": (authn_request, SSO),
    "LogoutRequest": (lambda: logout_request("<saml:NameID>member</saml:NameID><samlp:SessionIndex>_s</samlp:SessionIndex>"), SLO),
    "LogoutResponse": (lambda: logout_response("_out1"), SLO),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_G_S5_a_mutated_signed_message_is_refused_or_says_what_was_signed(name: str) -> None:
    make, location = MESSAGES[name]
    kind = "SAMLResponse" if name.endswith("Response") else "SAMLRequest"
    genuine, raw = canonical(make()), octets(signed(make()))
    dice = random.Random(f"{name}, reproducible")
    refused = 0
    for _ in range(1500):
        try:
            opened = GATE.open(from_post(post_form(mutate(raw, dice), kind=kind)), name)
            admitted = GATE.admit(opened, PROVIDER, location=location, must_be_signed=True)
        except BadRequest:
            refused += 1
            continue
        said = admitted.message.to_string()
        assert canonical(parse(said)) == canonical(parse(_message(genuine, name))), said
    assert refused > 1000


def _message(genuine: bytes, name: str) -> bytes:
    octets_of: bytes = create_class_from_element_tree(getattr(samlp, name), parse(genuine)).to_string()
    return octets_of


def test_G_S5_a_mutated_query_is_refused_or_says_what_was_signed() -> None:
    raw = redirect_query(authn_request(), relay_state="state", key=key_of("sp"))
    genuine = from_redirect(raw)
    dice = random.Random("query, reproducible")
    for _ in range(1500):
        try:
            envelope = from_redirect(mutate(raw, dice))
            GATE.admit(GATE.open(envelope, "AuthnRequest"), PROVIDER, location=SSO, must_be_signed=True)
        except BadRequest:
            continue
        assert (envelope.xml, envelope.relay_state) == (genuine.xml, genuine.relay_state)


def test_V4_mutated_metadata_are_read_or_refused_and_nothing_fails_otherwise() -> None:
    raw = metadata().encode()
    dice = random.Random("metadata, reproducible")
    for _ in range(800):
        try:
            read_metadata(mutate(raw, dice))
        except MetadataProblem:
            continue


def test_a_mutated_unsigned_request_shows_a_page_and_never_a_failure(world: World) -> None:
    visitor = world.signed_in()
    raw = octets(authn_request("<samlp:NameIDPolicy/>", issued=world.now(), AssertionConsumerServiceIndex="1"))
    dice = random.Random("requests, reproducible")
    for _ in range(250):
        response = visitor.get(f"/saml/sso?{redirect_query(mutate(raw, dice)).decode()}")
        assert response.status_code in (200, 302, 400), response.text
