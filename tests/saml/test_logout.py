"""Single Logout through the running application."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from werkzeug.test import TestResponse

from idp.protocols.saml.document import POST, REDIRECT, SAML, qualified
from idp.protocols.saml.settings import TRANSIENT
from tests.simple.wiring import ANNE, form_token, posted

from .conftest import MakeWorld
from .wiring import IDP, SP_SLO, key_of, logout_request, logout_response, metadata, post_form, redirect_query, signed
from .world import Provider, Told, World, message_at, saml_client

CRM, CRM_SLO = "https://crm.example/metadata", "https://crm.example/slo"
STATUS = "{urn:oasis:names:tc:SAML:2.0:protocol}StatusCode"


def other_metadata(name: str, *, slo: str | None = None) -> str:
    acs = f'<md:AssertionConsumerService Binding="{POST}" Location="https://{name}.example/acs" index="1"/>'
    endpoint = f'<md:SingleLogoutService Binding="{REDIRECT}" Location="https://{name}.example/slo"/>' if slo is None else slo
    return metadata(f"https://{name}.example/metadata", acs=acs, slo=endpoint, keys=[("", key_of(name))])


def crm_client(name: str = "crm", *, slo: str | None = None) -> Any:
    return saml_client(name, metadata_xml=other_metadata(name, slo=slo))


@pytest.fixture
def pair(make_world: MakeWorld) -> tuple[World, Provider, Provider]:
    """Two applications in one browser."""
    world = make_world(saml_client(), crm_client())
    visitor = world.signed_in()
    return world, Provider(world, visitor), Provider(world, visitor, entity_id=CRM, key="crm")


def statuses(world: World, url: str) -> tuple[str, list[str], str]:
    """Where a LogoutResponse of ours goes, its status codes and its RelayState."""
    address, root, parameters = message_at(world, url)
    assert root.tag.endswith("LogoutResponse")
    return address, [str(each.get("Value")).rpartition(":")[2] for each in root.iter(STATUS)], parameters.get("RelayState", "")


def end_of(provider: Provider, response: TestResponse) -> TestResponse:
    """Follows our own redirects until the browser is sent elsewhere or sees a page."""
    while response.status_code in (302, 303) and response.location.startswith(IDP):
        response = provider.visitor.get(response.location)
    return response


def test_SDP_IDP21_SDP_IDP25_an_application_ends_the_session_and_is_answered(world: World) -> None:
    provider = Provider(world, world.signed_in())
    told = provider.sign_on()
    answer = end_of(provider, provider.log_out(told.logout_inner(), relay_state="back"))
    assert statuses(world, answer.location) == (SP_SLO, ["Success"], "back")
    assert message_at(world, answer.location)[1].get("InResponseTo") == "_httpslmsexamplemetadata2"
    assert world.sessions.list() == []
    assert provider.visitor.session_id() == ""


def test_CTK_S63_a_LogoutRequest_with_a_RelayState_over_the_limit_is_an_error_of_the_requester(make_world: MakeWorld) -> None:
    world = make_world(relay_state_limit=80)
    provider = Provider(world, world.signed_in())
    answer = provider.log_out(provider.sign_on().logout_inner(), relay_state="x" * 81)
    assert statuses(world, answer.location) == (SP_SLO, ["Requester", "RequestUnsupported"], "")
    assert len(world.sessions.list()) == 1
    assert (world.audit.last["cause"], world.audit.last["client"]) == ("saml.relay_state_too_long", "lms")


def test_CTK_S63_by_POST_a_RelayState_over_the_limit_is_an_error_too(make_world: MakeWorld) -> None:
    world = make_world(relay_state_limit=80)
    provider = Provider(world, world.signed_in())
    root = signed(logout_request(provider.sign_on().logout_inner(), issued=world.now()))
    form = {name: values[0] for name, values in post_form(root, relay_state="x" * 81).items()}
    answer = world.visitor().post("/saml/slo", data=form)
    assert statuses(world, answer.location) == (SP_SLO, ["Requester", "RequestUnsupported"], "")
    assert len(world.sessions.list()) == 1


def test_S63_a_RelayState_of_just_the_limit_goes_back_with_the_LogoutResponse(make_world: MakeWorld) -> None:
    world = make_world(relay_state_limit=80)
    provider = Provider(world, world.signed_in())
    answer = end_of(provider, provider.log_out(provider.sign_on().logout_inner(), relay_state="x" * 80))
    assert statuses(world, answer.location) == (SP_SLO, ["Success"], "x" * 80)


def test_SDP_IDP23_SDP_IDP24_the_others_are_visited_and_then_the_first_is_answered(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, crm = pair
    told, other = lms.sign_on(), crm.sign_on()
    visit = end_of(lms, lms.log_out(told.logout_inner(), relay_state="back"))
    address, asked, _ = message_at(world, visit.location)
    assert (address, asked.get("Destination")) == (CRM_SLO, CRM_SLO)
    name = asked.find(qualified(SAML, "NameID"))
    assert (name.text, name.get("SPNameQualifier")) == (other.name_id.text, CRM)
    assert asked.get("NotOnOrAfter") == "2027-01-15T08:05:00Z"
    answer = end_of(crm, crm.reply(str(asked.get("ID"))))
    assert statuses(world, answer.location) == (SP_SLO, ["Success"], "back")


@pytest.mark.parametrize("code", ["Responder", "Requester"])
def test_SDP_IDP31_an_application_that_says_no_makes_it_a_partial_logout(pair: tuple[World, Provider, Provider], code: str) -> None:
    world, lms, crm = pair
    told = lms.sign_on()
    crm.sign_on()
    visit = end_of(lms, lms.log_out(told.logout_inner()))
    answer = end_of(crm, crm.reply(str(message_at(world, visit.location)[1].get("ID")), code))
    assert statuses(world, answer.location)[1] == ["Success", "PartialLogout"]
    assert world.sessions.list() == []


def test_S47_an_application_that_never_answers_does_not_keep_the_session(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, crm = pair
    told = lms.sign_on()
    crm.sign_on()
    first = lms.log_out(told.logout_inner())
    end_of(lms, first)
    assert world.sessions.list() == []
    answer = end_of(lms, lms.visitor.get(first.location))  # the member comes back by the Back button
    assert statuses(world, answer.location)[1] == ["Success", "PartialLogout"]


def test_an_application_without_a_logout_address_is_told_of_as_partial(make_world: MakeWorld) -> None:
    world = make_world(saml_client(), crm_client(slo=""))
    visitor = world.signed_in()
    lms, crm = Provider(world, visitor), Provider(world, visitor, entity_id=CRM, key="crm")
    told = lms.sign_on()
    crm.sign_on()
    answer = end_of(lms, lms.log_out(told.logout_inner()))
    assert statuses(world, answer.location)[1] == ["Success", "PartialLogout"]


def test_the_member_signs_out_here_and_every_application_is_visited(make_world: MakeWorld) -> None:
    world = make_world(saml_client(), crm_client(), crm_client("shop"))
    visitor = world.signed_in()
    providers = {
        name: Provider(world, visitor, entity_id=f"https://{name}.example/metadata", key=key)
        for name, key in (("lms", "sp"), ("crm", "crm"), ("shop", "shop"))
    }
    for provider in providers.values():
        provider.sign_on()
    lms = providers["lms"]
    response = end_of(lms, visitor.post("/logout", data={"form_token": form_token(visitor.get("/logout").text)}))
    visited = []
    while response.status_code == 302:
        address, asked, _ = message_at(world, response.location)
        visited.append(address)
        name = address.removeprefix("https://").partition(".")[0]
        response = end_of(lms, providers[name].reply(str(asked.get("ID"))))
    assert sorted(visited) == ["https://crm.example/slo", SP_SLO, "https://shop.example/slo"]
    assert response.status_code == 200
    assert world.audit.of("logout.ended")[0]["cause"] == "member"


# ---- who may end what


@pytest.mark.parametrize("key", ["mallory", "crm"])
def test_S46_a_LogoutRequest_by_another_key_ends_nothing(pair: tuple[World, Provider, Provider], key: str) -> None:
    world, lms, _ = pair
    told = lms.sign_on()
    assert lms.log_out(told.logout_inner(), key=key).status_code == 400
    assert world.audit.last["cause"] == "saml.signature_invalid"
    assert len(world.sessions.list()) == 1


def test_S46_an_unsigned_LogoutRequest_ends_nothing(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    root = logout_request(lms.sign_on().logout_inner(), issued=world.now())
    assert lms.visitor.get(f"/saml/slo?{redirect_query(root).decode()}").status_code == 400
    assert len(world.sessions.list()) == 1


def test_a_session_that_the_application_does_not_take_part_in_is_not_ended_by_it(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, crm = pair
    told = lms.sign_on()
    answer = end_of(crm, crm.log_out(told.logout_inner()))
    assert statuses(world, answer.location) == (CRM_SLO, ["Requester", "UnknownPrincipal"], "")
    assert len(world.sessions.list()) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda inner, told: inner.replace(str(told.name_id.text), "somebody-else"),
        lambda inner, told: inner.replace("nameid-format:persistent", "nameid-format:transient"),
    ],
)
def test_another_members_name_ends_nothing(pair: tuple[World, Provider, Provider], change: Callable[[str, Told], str]) -> None:
    world, lms, _ = pair
    told = lms.sign_on()
    answer = end_of(lms, lms.log_out(change(told.logout_inner(), told)))
    assert statuses(world, answer.location)[1] == ["Requester", "UnknownPrincipal"]
    assert len(world.sessions.list()) == 1


def test_without_a_SessionIndex_it_is_the_browsers_session(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    told = lms.sign_on()
    answer = end_of(lms, lms.log_out(told.logout_inner(index=False)))
    assert statuses(world, answer.location)[1] == ["Success"]
    assert world.sessions.list() == []


def test_a_session_that_has_ended_already_is_a_success(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    told = lms.sign_on()
    world.sessions.take(world.sessions.list()[0].id)
    answer = end_of(lms, lms.log_out(told.logout_inner(), relay_state="r"))
    assert statuses(world, answer.location) == (SP_SLO, ["Success"], "r")


def test_S60_the_same_LogoutRequest_is_not_taken_twice(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    root = logout_request(lms.sign_on().logout_inner(), issued=world.now())
    query = redirect_query(root, key=key_of("sp")).decode()
    end_of(lms, lms.visitor.get(f"/saml/slo?{query}"))
    assert lms.visitor.get(f"/saml/slo?{query}").status_code == 400
    assert world.audit.last["cause"] == "saml.message_replayed"


def test_a_transient_name_of_the_latest_answer_ends_the_session(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    told = lms.sign_on(f'<samlp:NameIDPolicy Format="{TRANSIENT}"/>')
    answer = end_of(lms, lms.log_out(told.logout_inner()))
    assert statuses(world, answer.location)[1] == ["Success"]


def test_IIP_SSO02_a_LogoutRequest_by_POST_needs_no_cookie(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    root = signed(logout_request(lms.sign_on().logout_inner(), issued=world.now()))
    form = {name: values[0] for name, values in post_form(root, relay_state="r").items()}
    cookieless = Provider(world, world.visitor())
    posted_to = cookieless.visitor.post("/saml/slo", data=form)
    assert statuses(world, end_of(cookieless, posted_to).location) == (SP_SLO, ["Success"], "r")
    assert world.sessions.list() == []


def test_an_application_with_a_POST_address_alone_is_answered_there(make_world: MakeWorld) -> None:
    slo = f'<md:SingleLogoutService Binding="{POST}" Location="{SP_SLO}" ResponseLocation="{SP_SLO}/done"/>'
    world = make_world(saml_client(metadata_xml=metadata(slo=slo)))
    provider = Provider(world, world.signed_in())
    answer = end_of(provider, provider.log_out(provider.sign_on().logout_inner(), relay_state="r"))
    url, fields = posted(answer)
    assert (url, fields["RelayState"]) == (f"{SP_SLO}/done", "r")


def test_an_application_without_any_address_ends_on_our_page(make_world: MakeWorld) -> None:
    world = make_world(saml_client(metadata_xml=metadata(slo="")))
    provider = Provider(world, world.signed_in())
    answer = end_of(provider, provider.log_out(provider.sign_on().logout_inner()))
    assert answer.status_code == 200
    assert world.sessions.list() == []


def test_IIP_IDP17_an_asynchronous_LogoutRequest_is_not_answered(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    told = lms.sign_on()
    extension = '<samlp:Extensions><a:Asynchronous xmlns:a="urn:oasis:names:tc:SAML:2.0:protocol:ext:async-slo"/></samlp:Extensions>'
    answer = end_of(lms, lms.log_out(extension + told.logout_inner()))
    assert answer.status_code == 200
    assert world.sessions.list() == []


def test_an_encrypted_name_is_refused_with_a_status(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    lms.sign_on()
    data = '<x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#"><x:CipherData><x:CipherValue>AAAA</x:CipherValue></x:CipherData></x:EncryptedData>'
    answer = end_of(lms, lms.log_out(f"<saml:EncryptedID>{data}</saml:EncryptedID>"))
    assert statuses(world, answer.location)[1] == ["Requester", "RequestUnsupported"]


# ---- answers to our own requests


@pytest.mark.parametrize("in_response_to", ["_nobody-asked", ""])
def test_a_LogoutResponse_that_nobody_waits_for_leads_to_our_page(pair: tuple[World, Provider, Provider], in_response_to: str) -> None:
    world, lms, _ = pair
    lms.sign_on()
    response = lms.reply(in_response_to)
    assert (response.status_code, response.location) == (302, f"{IDP}/logout")
    assert len(world.sessions.list()) == 1


def test_an_application_cannot_answer_for_another(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, crm = pair
    told = lms.sign_on()
    crm.sign_on()
    first = lms.log_out(told.logout_inner())
    asked = message_at(world, end_of(lms, first).location)[1]
    lms.reply(str(asked.get("ID")))
    answer = end_of(lms, lms.visitor.get(first.location))
    assert statuses(world, answer.location)[1] == ["Success", "PartialLogout"]


def test_an_unsigned_LogoutResponse_is_refused(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    root = logout_response("_x", issued=world.now())
    assert lms.visitor.get(f"/saml/slo?{redirect_query(root, kind='SAMLResponse').decode()}").status_code == 400
    assert world.audit.last["cause"] == "saml.signature_missing"


def test_the_audit_log_says_who_began_and_what_became_of_each(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, crm = pair
    told = lms.sign_on()
    crm.sign_on()
    lms.log_out(told.logout_inner())
    ended = world.audit.of("logout.ended")[0]
    assert (ended["cause"], ended["began"], ended["clients"]) == ("client", "lms", {"crm": "waiting"})


def test_an_e_mail_address_that_changed_meanwhile_still_ends_the_session_that_it_was_told_in(make_world: MakeWorld) -> None:
    world = make_world(saml_client(name_id_format="email"))
    provider = Provider(world, world.signed_in())
    told = provider.sign_on()
    assert told.name_id.text == "anne@assoc.example"
    moved = replace(ANNE, attributes={**ANNE.attributes, "email": ("anne@new.example",)})
    world.members.by_id[ANNE.id] = moved
    world.now.seconds += 1800
    answer = end_of(provider, provider.log_out(told.logout_inner()))
    assert statuses(world, answer.location)[1] == ["Success"]
    assert world.sessions.list() == []


def test_an_e_mail_address_that_changed_is_told_at_the_next_sign_on_and_ends_the_session_too(make_world: MakeWorld) -> None:
    world = make_world(saml_client(name_id_format="email"))
    provider = Provider(world, world.signed_in())
    provider.sign_on()
    world.members.by_id[ANNE.id] = replace(ANNE, attributes={**ANNE.attributes, "email": ("anne@new.example",)})
    world.now.seconds += 1800
    told = provider.sign_on()
    assert told.name_id.text == "anne@new.example"
    answer = end_of(provider, provider.log_out(told.logout_inner()))
    assert statuses(world, answer.location)[1] == ["Success"]
    assert world.sessions.list() == []
