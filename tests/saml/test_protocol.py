"""Web Browser SSO through the running application: what a service provider asks, and what it gets."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from idp.directory import Subject
from idp.protocols.saml.document import METADATA, POST, SAML, parse, qualified, schema
from idp.protocols.saml.settings import EMAIL, PERSISTENT, TRANSIENT, UNSPECIFIED
from idp.protocols.saml.signature import verify_enveloped
from tests.simple.wiring import ANNE, form_token, posted

from .conftest import MakeWorld
from .wiring import ACS, IDP, IDP_ENTITY, SP, SSO, authn_request, key_of, metadata, octets, post_form, redirect_query, signed
from .world import Provider, Told, World, saml_client

CRM = "https://crm.example/metadata"
CRM_ACS = "https://crm.example/acs"
TWO_ACS = (
    f'<md:AssertionConsumerService Binding="{POST}" Location="{ACS}" index="1"/>'
    f'<md:AssertionConsumerService Binding="{POST}" Location="{ACS}/second" index="7"/>'
)


def crm_metadata(**how: Any) -> str:
    acs = f'<md:AssertionConsumerService Binding="{POST}" Location="{CRM_ACS}" index="1"/>'
    return metadata(CRM, acs=acs, slo="", keys=[("", key_of("crm"))], **how)


def policy(format: str = "", **attributes: str) -> str:
    every = {"Format": format, **attributes}
    return f"<samlp:NameIDPolicy{''.join(f' {name}={chr(34)}{value}{chr(34)}' for name, value in every.items() if value)}/>"


def classes(*names: str, comparison: str = "") -> str:
    prefix = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
    inside = "".join(f"<saml:AuthnContextClassRef>{prefix}{name}</saml:AuthnContextClassRef>" for name in names)
    attribute = f' Comparison="{comparison}"' if comparison else ""
    return f"<samlp:RequestedAuthnContext{attribute}>{inside}</samlp:RequestedAuthnContext>"


def page_cause(world: World, response: TestResponse) -> str:
    """The cause of a refusal on our own page."""
    assert response.status_code == 400, response.text
    assert 'name="SAMLResponse"' not in response.text
    assert "Reference" in response.text
    return str(world.audit.last["cause"])


# ---- a good sign-on


def test_SDP_IDP01_a_member_signs_in_and_the_application_is_told(world: World) -> None:
    told = Provider(world, world.visitor()).sign_on(relay_state="some state/ü")
    assert (told.acs, told.relay_state, told.statuses) == (ACS, "some state/ü", ["Success"])
    assert told.root.get("InResponseTo") == "_httpslmsexamplemetadata1"
    assert told.attributes["email"] == ["anne@assoc.example"]
    assert (told.name_id.get("Format"), told.context) == (PERSISTENT, "PasswordProtectedTransport")


def test_single_sign_on_asks_no_second_time(world: World) -> None:
    provider = Provider(world, world.signed_in())
    response = provider.visitor.get(f"/saml/sso?{redirect_query(authn_request(issued=world.now())).decode()}")
    assert Told(world, response).statuses == ["Success"]


def test_IIP_SSO01_a_request_by_cross_site_POST_comes_round_with_the_session_cookie(world: World) -> None:
    visitor = world.signed_in()
    form = {name: values[0] for name, values in post_form(signed(authn_request(issued=world.now())), relay_state="r").items()}
    held = visitor.post("/saml/sso", data=form)
    assert held.status_code == 303
    told = Told(world, visitor.get(held.location))
    assert (told.statuses, told.relay_state) == (["Success"], "r")


def test_S51_the_times_are_those_of_the_session(world: World) -> None:
    provider = Provider(world, world.signed_in())
    begun = world.now()
    world.now.seconds += 600
    statement = next(provider.sign_on().assertion.iter(qualified(SAML, "AuthnStatement")))
    session = world.sessions.list()[0]
    assert statement.get("AuthnInstant") == "2027-01-15T08:00:00Z"
    assert session.ends == begun + 12 * 3600
    assert statement.get("SessionNotOnOrAfter") == "2027-01-15T20:00:00Z"
    assert world.saml.logout.indexes.session_id(str(statement.get("SessionIndex")), "lms") == session.id


def test_the_answer_states_what_is_released_and_nothing_else(make_world: MakeWorld) -> None:
    world = make_world(saml_client(release=["mail", "roles=urn:oid:1.3.6.1.4.1.5923.1.1.1.1", "phone"]))
    told = Provider(world, world.signed_in()).sign_on()
    assert told.attributes == {"mail": ["anne@assoc.example"], "urn:oid:1.3.6.1.4.1.5923.1.1.1.1": ["Board"]}


@pytest.mark.parametrize(
    ("settings", "wanted", "tops"),
    [
        ({}, 'WantAssertionsSigned="false"', {"Assertion"}),
        ({"sign": "response"}, 'WantAssertionsSigned="false"', {"Response"}),
        ({"sign": "response"}, 'WantAssertionsSigned="true"', {"Response", "Assertion"}),
        ({"sign": "both"}, "", {"Response", "Assertion"}),
    ],
)
def test_IIP_SSO06_what_is_signed_follows_settings_and_metadata(
    make_world: MakeWorld, settings: dict[str, str], wanted: str, tops: set[str]
) -> None:
    world = make_world(saml_client(metadata_xml=metadata(role=wanted), **settings))
    _, fields = posted(Provider(world, world.signed_in()).ask())
    root = parse(base64.b64decode(fields["SAMLResponse"]))
    found = {str(each.getparent().tag).rpartition("}")[2] for each in root.iter("{http://www.w3.org/2000/09/xmldsig#}Signature")}
    assert found == tops


def test_SDP_IDP11_an_application_with_encrypt_gets_no_assertion_in_clear(make_world: MakeWorld) -> None:
    world = make_world(saml_client(encrypt=True))
    _, fields = posted(Provider(world, world.signed_in()).ask())
    text = base64.b64decode(fields["SAMLResponse"])
    assert b"EncryptedAssertion" in text
    assert b"anne@" not in text


def test_V26_two_requests_in_two_tabs_get_each_their_own_answer(make_world: MakeWorld) -> None:
    world = make_world(saml_client(), saml_client("crm", metadata_xml=crm_metadata()))
    visitor = world.visitor()
    lms, crm = Provider(world, visitor), Provider(world, visitor, entity_id=CRM, key="crm")
    first = visitor.get(f"/saml/sso?{redirect_query(lms._request(''), relay_state='one', key=key_of('sp')).decode()}")
    second = visitor.get(f"/saml/sso?{redirect_query(crm._request(''), relay_state='two', key=key_of('crm')).decode()}")
    told_second, told_first = Told(world, crm.follow(second)), Told(world, lms.follow(first))
    assert (told_first.acs, told_first.relay_state) == (ACS, "one")
    assert (told_second.acs, told_second.relay_state) == (CRM_ACS, "two")


def test_V18_S68_the_page_that_posts_escapes_what_came_from_outside(world: World) -> None:
    response = Provider(world, world.signed_in()).ask(relay_state='"><script>alert(1)</script>')
    assert "<script>alert" not in response.text
    assert Told(world, response).relay_state == '"><script>alert(1)</script>'


# ---- where the answer goes


def test_SDP_IDP06_the_address_is_the_default_the_named_one_or_the_one_of_the_index(make_world: MakeWorld) -> None:
    world = make_world(saml_client(metadata_xml=metadata(acs=TWO_ACS)))
    provider = Provider(world, world.signed_in())
    assert provider.sign_on().acs == ACS
    assert provider.sign_on(AssertionConsumerServiceURL=f"{ACS}/second").acs == f"{ACS}/second"
    assert provider.sign_on(AssertionConsumerServiceIndex="7").acs == f"{ACS}/second"


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/acs",
        ACS + "/",
        ACS + "?next=https://evil.example",
        ACS.upper(),
        "https://lms.example@evil.example/acs",
        "javascript:x",
    ],
)
def test_S52_an_address_that_is_not_registered_gets_nothing_and_is_not_gone_to(world: World, location: str) -> None:
    response = Provider(world, world.signed_in()).ask(AssertionConsumerServiceURL=location)
    assert page_cause(world, response) == "saml.acs_unknown"
    assert world.audit.last["client"] == "lms"


def test_an_unknown_index_or_two_addresses_at_once_are_refused_here(world: World) -> None:
    provider = Provider(world, world.signed_in())
    assert page_cause(world, provider.ask(AssertionConsumerServiceIndex="2")) == "saml.acs_unknown"
    assert page_cause(world, provider.ask(AssertionConsumerServiceIndex="1", AssertionConsumerServiceURL=ACS)) == "saml.acs_unclear"


def test_an_application_that_is_not_registered_gets_nothing(world: World) -> None:
    assert page_cause(world, Provider(world, world.signed_in(), entity_id="https://evil.example").ask()) == "saml.provider_unknown"


def test_an_address_that_was_withdrawn_while_the_member_signed_in_gets_nothing(make_world: MakeWorld, tmp_path: Path) -> None:
    file = tmp_path / "sp.xml"
    file.write_text(metadata(acs=TWO_ACS))
    world = make_world(saml_client(metadata=file))
    visitor = world.visitor()
    query = redirect_query(authn_request(issued=world.now(), AssertionConsumerServiceURL=f"{ACS}/second"))
    login = visitor.get(f"/saml/sso?{query.decode()}")
    file.write_text(metadata())
    forget_looks(world)
    assert page_cause(world, Provider(world, visitor).follow(login)) == "saml.acs_withdrawn"


def forget_looks(world: World) -> None:
    """As if the seconds between two looks at the metadata files had passed."""
    world.saml._providers._looked = float("-inf")


# ---- what the request asks for


def test_SDP_IDP07_ForceAuthn_asks_again_and_the_instant_is_fresh(world: World) -> None:
    provider = Provider(world, world.signed_in())
    world.now.seconds += 100
    asked = provider.visitor.get(f"/saml/sso?{redirect_query(provider._request('', ForceAuthn='1')).decode()}")
    assert asked.location.startswith(f"{IDP}/login")
    told = Told(world, provider.follow(asked))
    assert next(told.assertion.iter(qualified(SAML, "AuthnStatement"))).get("AuthnInstant") == "2027-01-15T08:01:40Z"


def test_IIP_IDP07_IsPassive_shows_no_page_and_answers_NoPassive(world: World) -> None:
    told = Provider(world, world.visitor()).sign_on(IsPassive="true")
    assert told.statuses == ["Responder", "NoPassive"]
    assert told.root.get("InResponseTo") is not None


def test_IIP_IDP07_IsPassive_with_a_session_succeeds_and_with_ForceAuthn_cannot(world: World) -> None:
    provider = Provider(world, world.signed_in())
    assert provider.sign_on(IsPassive="1").statuses == ["Success"]
    assert provider.sign_on(IsPassive="true", ForceAuthn="true").statuses == ["Responder", "NoPassive"]


@pytest.mark.parametrize(
    ("asked", "stated"),
    [
        (classes("PasswordProtectedTransport"), "PasswordProtectedTransport"),
        (classes("Password"), "Password"),
        (classes("unspecified"), "unspecified"),
        (classes("X509", "Password"), "Password"),
        (classes("PasswordProtectedTransport", comparison="minimum"), "PasswordProtectedTransport"),
        (classes("Password", comparison="minimum"), "PasswordProtectedTransport"),
        (classes("Password", comparison="better"), "PasswordProtectedTransport"),
        (classes("PasswordProtectedTransport", comparison="maximum"), "PasswordProtectedTransport"),
    ],
)
def test_IIP_IDP08_the_context_that_is_asked_for_is_stated(world: World, asked: str, stated: str) -> None:
    assert Provider(world, world.signed_in()).sign_on(asked).context == stated


@pytest.mark.parametrize(
    "asked",
    [
        classes("X509"),
        classes("TimeSyncToken", "MobileTwoFactorContract"),
        classes("X509", comparison="minimum"),
        classes("PasswordProtectedTransport", comparison="better"),
        classes("Password", "X509", comparison="better"),
        "<samlp:RequestedAuthnContext><saml:AuthnContextDeclRef>urn:x</saml:AuthnContextDeclRef></samlp:RequestedAuthnContext>",
    ],
)
def test_S66_a_context_that_a_password_is_not_gets_NoAuthnContext_and_no_sign_in_page(world: World, asked: str) -> None:
    assert Provider(world, world.visitor()).sign_on(asked).statuses == ["Responder", "NoAuthnContext"]


@pytest.mark.parametrize(
    ("inner", "attributes", "second"),
    [
        (
            '<saml:Subject><saml:NameID>x</saml:NameID><saml:SubjectConfirmation Method="urn:x"/></saml:Subject>',
            {},
            "RequestUnsupported",
        ),
        ("", {"ProtocolBinding": "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"}, "UnsupportedBinding"),
        ("", {"relay_state": "x" * 2049}, "RequestUnsupported"),
        (policy(SPNameQualifier="https://crm.example/metadata"), {}, "InvalidNameIDPolicy"),
        (policy("urn:oasis:names:tc:SAML:1.1:nameid-format:X509SubjectName"), {}, "InvalidNameIDPolicy"),
    ],
)
def test_IIP_IDP05_what_cannot_be_had_is_told_to_the_application(world: World, inner: str, attributes: dict[str, str], second: str) -> None:
    told = Provider(world, world.visitor()).sign_on(inner, **attributes)
    assert told.statuses == ["Requester", second]
    assert world.audit.last["reference"] in told.message
    assert told.root.find(qualified(SAML, "Assertion")) is None


def test_S63_RelayState_goes_back_unchanged_up_to_two_kilobytes(world: World) -> None:
    state = "é" * 1024
    assert Provider(world, world.signed_in()).sign_on(relay_state=state).relay_state == state


@pytest.mark.parametrize("binding", ["Redirect", "POST"])
def test_CTK_SAMLBindings_3_4_3_a_where_80_octets_are_the_limit_one_more_is_an_error_of_the_requester(
    make_world: MakeWorld, binding: str
) -> None:
    world = make_world(relay_state_limit=80)
    provider = Provider(world, world.signed_in())
    for state, statuses in (("x" * 80, ["Success"]), ("x" * 81, ["Requester", "RequestUnsupported"])):
        root = signed(authn_request(identifier=f"_{len(state)}", issued=world.now()))
        if binding == "POST":
            form = {name: values[0] for name, values in post_form(root, relay_state=state).items()}
            response = provider.follow(provider.visitor.post("/saml/sso", data=form))
        else:
            response = provider.visitor.get(f"/saml/sso?{redirect_query(root, relay_state=state).decode()}")
        assert Told(world, response).statuses == statuses


def test_a_member_who_cancels_is_told_of_as_AuthnFailed(world: World) -> None:
    visitor = world.visitor()
    login = visitor.get(f"/saml/sso?{redirect_query(authn_request(issued=world.now())).decode()}").location
    page = visitor.get(login).text
    told = Told(world, visitor.post("/login/cancel", data={"request": login.partition("request=")[2], "form_token": form_token(page)}))
    assert told.statuses == ["Responder", "AuthnFailed"]


# ---- who the member is


def test_S64_IIP_IDP21_by_default_the_identifier_is_stable_and_another_for_each_application(make_world: MakeWorld) -> None:
    world = make_world(saml_client(), saml_client("crm", metadata_xml=crm_metadata()))
    visitor = world.signed_in()
    lms, crm = Provider(world, visitor), Provider(world, visitor, entity_id=CRM, key="crm")
    first, again, other = lms.sign_on().name_id, lms.sign_on().name_id, crm.sign_on().name_id
    assert (first.text, first.get("NameQualifier"), first.get("SPNameQualifier")) == (again.text, IDP_ENTITY, SP)
    assert first.text != other.text
    assert first.text == str(first.text).lower()
    assert "4711" not in str(first.text)


def test_SDP_IDP12_a_transient_identifier_is_new_in_every_answer(world: World) -> None:
    provider = Provider(world, world.signed_in())
    names = [provider.sign_on(policy(TRANSIENT)).name_id for _ in range(3)]
    assert {each.get("Format") for each in names} == {TRANSIENT}
    assert len({each.text for each in names}) == 3


@pytest.mark.parametrize(
    ("formats", "asked", "given"),
    [
        ((), "", PERSISTENT),
        ((), UNSPECIFIED, PERSISTENT),
        ((TRANSIENT, PERSISTENT), "", TRANSIENT),
        ((UNSPECIFIED, EMAIL), "", EMAIL),
        ((EMAIL,), UNSPECIFIED, EMAIL),
        (("urn:oasis:names:tc:SAML:2.0:nameid-format:kerberos", TRANSIENT), "", TRANSIENT),
        ((EMAIL,), PERSISTENT, PERSISTENT),
        ((), EMAIL, EMAIL),
    ],
)
def test_IIP_IDP10_the_format_is_the_requests_else_the_metadatas_else_persistent(
    make_world: MakeWorld, formats: tuple[str, ...], asked: str, given: str
) -> None:
    world = make_world(saml_client(metadata_xml=metadata(formats=formats)))
    name_id = Provider(world, world.signed_in()).sign_on(policy(asked)).name_id
    assert name_id.get("Format") == given
    assert (name_id.text == "anne@assoc.example") == (given == EMAIL)


def test_S64_an_email_address_is_not_given_to_whoever_merely_asks(make_world: MakeWorld) -> None:
    world = make_world(saml_client(metadata_xml=metadata(formats=[EMAIL]), release=["first_name"]))
    provider = Provider(world, world.signed_in())
    assert provider.sign_on().name_id.get("Format") == PERSISTENT
    assert provider.sign_on(policy(EMAIL)).statuses == ["Requester", "InvalidNameIDPolicy"]


def test_a_format_of_our_own_choice_is_kept_and_may_be_forced(make_world: MakeWorld) -> None:
    member = {"name_id_format": "unspecified", "name_id_source": "imis_id"}
    world = make_world(saml_client(**member), saml_client("crm", metadata_xml=crm_metadata(), **member, name_id_always=True))
    visitor = world.signed_in()
    lms, crm = Provider(world, visitor), Provider(world, visitor, entity_id=CRM, key="crm")
    assert (lms.sign_on().name_id.text, lms.sign_on(policy(UNSPECIFIED)).name_id.get("Format")) == ("4711", UNSPECIFIED)
    assert lms.sign_on(policy(EMAIL)).statuses == ["Requester", "InvalidNameIDPolicy"]
    assert crm.sign_on(policy(EMAIL)).name_id.text == "4711"


def test_a_member_without_the_value_is_refused_with_a_sentence_to_act_on(make_world: MakeWorld) -> None:
    world = make_world(saml_client(name_id_format="email"))
    world.members.by_id["4711"] = Subject("4711", "anne", {"username": ("anne",)})
    told = Provider(world, world.signed_in()).sign_on()
    assert told.statuses == ["Responder", "InvalidNameIDPolicy"]
    assert "membership record" in told.message


def test_IIP_IDP11_an_application_may_get_no_NameID_at_all(make_world: MakeWorld) -> None:
    world = make_world(saml_client(name_id_format="none"))
    told = Provider(world, world.signed_in()).sign_on()
    assert told.statuses == ["Success"]
    assert b"NameID" not in octets(told.root)


def test_a_repeated_sign_on_changes_nothing_in_the_session(world: World) -> None:
    provider = Provider(world, world.signed_in())
    provider.sign_on()
    before = world.store.list("session")[0].revision
    provider.sign_on()
    assert world.store.list("session")[0].revision == before
    assert ANNE.id == world.sessions.list()[0].subject_id


# ---- signed requests


def test_SDP_IDP04_requests_are_signed_where_metadata_or_our_setting_say_so(make_world: MakeWorld) -> None:
    world = make_world(
        saml_client(metadata_xml=metadata(role='AuthnRequestsSigned="true"')),
        saml_client("crm", metadata_xml=crm_metadata(), require_signed_requests=True),
    )
    visitor = world.signed_in()
    for issuer in (SP, CRM):
        query = redirect_query(authn_request(issuer=issuer, issued=world.now()))
        assert page_cause(world, visitor.get(f"/saml/sso?{query.decode()}")) == "saml.signature_missing"
    assert Provider(world, visitor).sign_on().statuses == ["Success"]


def test_our_setting_may_also_take_unsigned_requests_where_metadata_promise_signed_ones(make_world: MakeWorld) -> None:
    world = make_world(saml_client(metadata_xml=metadata(role='AuthnRequestsSigned="true"'), require_signed_requests=False))
    query = redirect_query(authn_request(issued=world.now()))
    assert Told(world, world.signed_in().get(f"/saml/sso?{query.decode()}")).statuses == ["Success"]


def test_S60_a_reload_of_the_answer_shows_a_page_with_a_way_on(world: World) -> None:
    visitor = world.signed_in()
    url = f"/saml/sso?{redirect_query(authn_request(issued=world.now())).decode()}"
    assert Told(world, visitor.get(url)).statuses == ["Success"]
    again = visitor.get(url)
    assert page_cause(world, again) == "saml.message_replayed"
    assert "open the application again" in again.text
    assert 'href="/"' in again.text


# ---- a sign-on that begins here


def test_S62_idp_initiated_is_off_unless_the_client_allows_it(world: World) -> None:
    assert page_cause(world, world.signed_in().get(f"/saml/start?sp={SP}")) == "saml.idp_initiated_off"


def test_S62_where_it_is_allowed_the_member_starts_here_and_nothing_claims_to_have_been_asked(make_world: MakeWorld) -> None:
    world = make_world(saml_client(idp_initiated=True, relay_state="/courses"))
    provider = Provider(world, world.visitor())
    told = Told(world, provider.follow(provider.visitor.get(f"/saml/start?sp={SP}")))
    assert (told.acs, told.relay_state) == (ACS, "/courses")
    assert b"InResponseTo" not in octets(told.root)
    assert Told(world, provider.visitor.get(f"/saml/start?sp={SP}&RelayState=/other")).relay_state == "/other"


def test_starting_an_unknown_application_is_refused(world: World) -> None:
    assert page_cause(world, world.visitor().get("/saml/start")) == "saml.provider_unknown"


# ---- metadata and clients


def test_the_metadata_page_serves_our_signed_metadata(world: World) -> None:
    response = world.visitor().get("/saml/metadata")
    root = parse(response.data, METADATA)
    schema("metadata").check(root)
    assert response.mimetype == "application/samlmetadata+xml"
    assert verify_enveloped(root, [world.public_key], METADATA).get("entityID") == world.saml.entity_id == IDP_ENTITY


def test_a_changed_metadata_file_is_seen_and_a_broken_one_leaves_the_last_good_copy(make_world: MakeWorld, tmp_path: Path) -> None:
    file = tmp_path / "sp.xml"
    file.write_text(metadata())
    world = make_world(saml_client(metadata=file))
    provider = Provider(world, world.signed_in())
    assert provider.sign_on().acs == ACS
    file.write_text(metadata(acs=TWO_ACS.replace('index="7"', 'index="7" isDefault="true"')))
    forget_looks(world)
    assert provider.sign_on().acs == f"{ACS}/second"
    file.write_text("<broken")
    forget_looks(world)
    assert provider.sign_on().acs == f"{ACS}/second"
    assert world.audit.of("saml.metadata_unreadable")[0]["client"] == "lms"


@pytest.mark.parametrize("text", [None, "<broken", "<a/>"], ids=["missing", "broken", "something else"])
def test_F8_one_bad_file_stops_neither_the_server_nor_the_other_applications(
    make_world: MakeWorld, tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "sp.xml"
    if text:
        file.write_text(text)
    world = make_world(saml_client(metadata=file), saml_client("crm", metadata_xml=crm_metadata()))
    visitor = world.signed_in()
    assert Provider(world, visitor, entity_id=CRM, key="crm").sign_on().statuses == ["Success"]
    assert page_cause(world, Provider(world, visitor).ask()) == "saml.provider_unknown"
    assert world.saml.unusable()[0].startswith("lms: its metadata are not here: ")
    file.write_text(metadata())
    forget_looks(world)
    assert world.saml.unusable() == []
    assert Provider(world, visitor).sign_on().acs == ACS


def test_SDP_IDP11_an_application_whose_file_has_no_key_to_encrypt_for_gets_nothing_and_is_named(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    (tmp_path / "sp.xml").write_text(metadata(keys=[("signing", key_of("sp"))]))
    world = make_world(saml_client(metadata=tmp_path / "sp.xml", encrypt=True))
    told = Provider(world, world.signed_in()).sign_on()
    assert told.statuses[0] == "Responder"
    assert world.saml.unusable() == ["lms: encrypt is on, and its metadata have no key that we can encrypt for"]


def test_a_client_of_the_store_cannot_take_the_entity_id_of_one_of_the_file(world: World) -> None:
    evil = metadata(acs=f'<md:AssertionConsumerService Binding="{POST}" Location="https://evil.example/acs" index="1"/>')
    world.clients.add("a-first-by-name", {"metadata_xml": evil})
    assert Provider(world, world.signed_in()).sign_on().acs == ACS
    assert world.audit.of("saml.entity_twice")[0]["client"] == "a-first-by-name"


def test_a_client_that_is_added_while_we_run_is_known(world: World) -> None:
    visitor = world.signed_in()
    crm = Provider(world, visitor, entity_id=CRM, key="crm")
    assert page_cause(world, crm.ask()) == "saml.provider_unknown"
    world.clients.add("crm", {"metadata_xml": crm_metadata()})
    assert crm.sign_on().acs == CRM_ACS


def test_expired_metadata_are_a_matter_of_the_clients_setting(make_world: MakeWorld) -> None:
    old = ' validUntil="2026-01-01T00:00:00Z"'
    world = make_world(
        saml_client(metadata_xml=metadata(attributes=old)),
        saml_client("crm", metadata_xml=crm_metadata(attributes=old), expired_metadata="refuse"),
    )
    visitor = world.signed_in()
    assert Provider(world, visitor).sign_on().statuses == ["Success"]
    assert page_cause(world, Provider(world, visitor, entity_id=CRM, key="crm").ask()) == "saml.metadata_expired"


@pytest.mark.parametrize("path", ["/saml/sso", "/saml/slo", "/saml/sso?SAMLRequest=", "/saml/sso?SAMLResponse=abc", "/saml/slo?x=y"])
def test_an_address_without_a_message_shows_a_page_and_never_fails(world: World, path: str) -> None:
    assert page_cause(world, world.visitor().get(path)).startswith("saml.")


def test_a_post_without_a_message_shows_a_page(world: World) -> None:
    assert page_cause(world, world.visitor().post("/saml/sso", data={})) == "saml.message_missing"


def test_V21_what_is_not_served_is_not_there(world: World) -> None:
    for path in ("/saml/artifact", "/saml/slo/soap", "/saml/name"):
        assert world.visitor().get(path).status_code == 404
    assert world.visitor().http.put("/saml/sso", base_url=IDP).status_code == 405
    assert SSO.endswith("/saml/sso")
