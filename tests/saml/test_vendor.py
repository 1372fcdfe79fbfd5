"""What vendors really send, through the running application; and what our page tells them when it is refused."""

from __future__ import annotations

import base64
import re
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from idp.protocols.saml.algorithm import RSA_SHA256
from idp.protocols.saml.document import SAML, SAMLP

from .conftest import MakeWorld
from .test_protocol import page_cause
from .wiring import IDP_ENTITY, SSO, authn_request, deflated, key_of, octets, post_form, redirect_query, signed
from .world import Provider, Told, World, saml_client


def lower_case(text: str) -> str:
    """Percent-encoding as .NET writes it."""
    return re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), quote(text, safe=""))


def sent(world: World, query: str) -> Told:
    return Told(world, world.signed_in().get(f"/saml/sso?{query}"))


def test_S58_AD_FS_encodes_in_lower_case_and_signs_what_it_sends(world: World) -> None:
    fields = {"SAMLRequest": deflated(authn_request(issued=world.now())), "RelayState": "a/b+c", "SigAlg": RSA_SHA256}
    text = "&".join(f"{name}={lower_case(value)}" for name, value in fields.items())
    signature = base64.b64encode(key_of("sp").sign(text.encode())).decode()
    assert "%2f" in text
    assert sent(world, f"{text}&Signature={lower_case(signature)}").relay_state == "a/b+c"


def test_an_unsigned_request_without_Destination_is_taken(world: World) -> None:
    assert sent(world, redirect_query(authn_request(issued=world.now(), Destination="")).decode()).statuses == ["Success"]


@pytest.mark.parametrize("break_at", [64, 76])
def test_base64_with_line_breaks_is_read(world: World, break_at: int) -> None:
    visitor = world.signed_in()
    text = post_form(signed(authn_request(issued=world.now())))["SAMLRequest"][0]
    lines = "\r\n".join(text[start : start + break_at] for start in range(0, len(text), break_at))
    assert Told(world, visitor.get(visitor.post("/saml/sso", data={"SAMLRequest": lines + "\r\n"}).location)).statuses == ["Success"]


@pytest.mark.parametrize("length", [81, 2048])
def test_RelayState_over_80_octets_comes_back_whole(world: World, length: int) -> None:
    assert Provider(world, world.signed_in()).sign_on(relay_state="x" * length).relay_state == "x" * length


def test_IIP_G02_texts_of_256_characters_are_taken_whole(world: World) -> None:
    identifier = "_" + "x" * 255
    xml = authn_request(issued=world.now(), identifier=identifier, ProviderName="n" * 256)
    assert sent(world, redirect_query(xml).decode()).root.get("InResponseTo") == identifier


@pytest.mark.parametrize("skew", [-290, 290])
def test_SDP_G01_clocks_that_are_minutes_off_do_no_harm(world: World, skew: int) -> None:
    assert sent(world, redirect_query(authn_request(issued=world.now() + skew)).decode()).statuses == ["Success"]


@pytest.mark.parametrize(
    ("inner", "attributes"),
    [
        ("", {"ProviderName": "Learning &amp; more &lt;b>"}),
        ('<samlp:Scoping ProxyCount="1"><samlp:RequesterID>https://elsewhere.example</samlp:RequesterID></samlp:Scoping>', {}),
        (f'<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID="{IDP_ENTITY}"/></samlp:IDPList></samlp:Scoping>', {}),
        ('<samlp:Extensions><x:y xmlns:x="urn:x"><x:z a="b">text</x:z></x:y></samlp:Extensions>', {}),
        (f'<saml:Conditions xmlns:saml="{SAML}" NotOnOrAfter="2027-01-15T09:00:00Z"/>', {}),
        ("", {"AttributeConsumingServiceIndex": "1"}),
    ],
)
def test_IIP_EXT01_what_vendors_add_changes_nothing(world: World, inner: str, attributes: dict[str, Any]) -> None:
    assert Provider(world, world.signed_in()).sign_on(inner, **attributes).statuses == ["Success"]


def test_eGov_042_an_IDPList_without_us_is_answered_with_NoSupportedIDP(world: World) -> None:
    scoping = '<samlp:Scoping><samlp:IDPList><samlp:IDPEntry ProviderID="https://elsewhere.example"/></samlp:IDPList></samlp:Scoping>'
    assert Provider(world, world.visitor()).sign_on(scoping).statuses == ["Responder", "NoSupportedIDP"]


def test_G_E8_a_refusal_shows_the_decoded_message_the_rule_and_both_values(world: World) -> None:
    root = authn_request(issued=world.now(), Destination="https://elsewhere.example/sso")
    page = world.visitor().get(f"/saml/sso?{redirect_query(root).decode()}")
    assert page_cause(world, page) == "saml.destination_wrong"
    text = unescape(page.text)
    for shown in ("saml.destination_wrong", SSO, "https://elsewhere.example/sso", octets(root).decode()):
        assert shown in text


@pytest.mark.parametrize("evil", ["<script>alert(1)</script>", "</pre><script>alert(1)</script>", "{{ 11 * 101 }}"])
def test_V12_what_a_refusal_shows_is_text_and_never_markup(world: World, evil: str) -> None:
    xml = f'<samlp:AuthnRequest xmlns:samlp="{SAMLP}" ID="_1" Version="2.0">{evil}</samlp:AuthnRequest>'
    page = world.visitor().get(f"/saml/sso?{redirect_query(xml.encode()).decode()}")
    assert page.status_code == 400
    assert "<script>" not in page.text
    assert "1111" not in page.text


def test_what_a_refusal_shows_is_bounded_and_stays_out_of_the_log(world: World) -> None:
    xml = f'<samlp:AuthnRequest xmlns:samlp="{SAMLP}">{"<a>secret-value</a>" * 1000}</samlp:AuthnRequest>'
    page = world.visitor().get(f"/saml/sso?{redirect_query(xml.encode()).decode()}")
    assert len(page.text) < 60_000
    assert "secret-value" not in str(world.audit.last)


def test_a_vendor_that_asks_for_what_it_does_not_mean_can_be_let_in(make_world: MakeWorld) -> None:
    world = make_world(saml_client(name_id_format="email", name_id_always=True, allow_create="always"))
    policy = '<samlp:NameIDPolicy Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent" AllowCreate="false"/>'
    assert Provider(world, world.signed_in()).sign_on(policy).name_id.text == "anne@assoc.example"
