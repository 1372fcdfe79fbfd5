"""The member's choice, when an application asks for a logout: everywhere, or there alone."""

from __future__ import annotations

import re

import pytest
from werkzeug.test import TestResponse

from idp.protocols.saml.document import SAMLP
from tests.simple.wiring import form_token

from .conftest import MakeWorld
from .test_back_channel import by_soap
from .test_logout import CRM, CRM_SLO, crm_client, end_of, statuses
from .wiring import SP_SLO, logout_request, signed
from .world import Provider, Told, World, message_at, saml_client


@pytest.fixture
def pair(make_world: MakeWorld) -> tuple[World, Provider, Provider]:
    world = make_world(saml_client(logout_choice=True), crm_client())
    visitor = world.signed_in()
    return world, Provider(world, visitor), Provider(world, visitor, entity_id=CRM, key="crm")


def begin(lms: Provider, crm: Provider) -> tuple[Told, str]:
    told = lms.sign_on()
    crm.sign_on()
    page = lms.log_out(told.logout_inner(), relay_state="r")
    assert page.status_code == 200
    assert "Sign out of The lms alone" in page.text
    return told, page.text


def choose(provider: Provider, page: str, where: str) -> TestResponse:
    found = re.search(r'name="choice" value="([^"]+)"', page)
    assert found
    return provider.visitor.post("/saml/slo/choice", data={"form_token": form_token(page), "choice": found[1], "where": where})


def test_eGOV_096_the_member_may_sign_out_of_the_application_alone(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, crm = pair
    _, page = begin(lms, crm)
    answer = choose(lms, page, "here")
    assert statuses(world, answer.location) == (SP_SLO, ["Responder", "PartialLogout"], "r")
    assert [each.client_id for each in world.sessions.list()[0].participants] == ["crm"]
    assert world.audit.of("logout.left")[0]["client"] == "lms"


def test_eGOV_097_the_member_chooses_whether_the_others_are_told(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, crm = pair
    _, page = begin(lms, crm)
    assert len(world.sessions.list()) == 1  # nothing has ended before the choice
    visit = end_of(lms, choose(lms, page, "everywhere"))
    address, asked, _ = message_at(world, visit.location)
    assert address == CRM_SLO
    answer = end_of(crm, crm.reply(str(asked.get("ID"))))
    assert statuses(world, answer.location) == (SP_SLO, ["Success"], "r")


def test_S50_another_site_cannot_choose_and_nobody_chooses_twice(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, crm = pair
    _, page = begin(lms, crm)
    forged = page.replace(form_token(page), "forged")
    assert choose(lms, forged, "everywhere").status_code == 400
    assert len(world.sessions.list()) == 1
    choose(lms, page, "here")
    assert choose(lms, page, "everywhere").status_code == 400
    assert world.audit.last["cause"] == "saml.choice_gone"


def test_by_SOAP_there_is_nobody_to_ask(pair: tuple[World, Provider, Provider]) -> None:
    world, lms, _ = pair
    request = signed(logout_request(lms.sign_on().logout_inner(), issued=world.now(), Destination=""))
    assert SAMLP in by_soap(world, request).text
    assert world.sessions.list() == []
