"""What every protocol has to do, whatever its messages look like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.conformance.association import HOSTILE, Association, asks_for_login, association
from tests.conformance.way import WAYS, Way
from tests.saml.wiring import key_of

RELEASED = {"email": ["anne@example.org"], "Job": [HOSTILE], "committees": ["Ethics", "Finance"]}


@pytest.fixture(params=WAYS, ids=lambda way: type(way).__name__ + ("" if type(way).__name__ != "VendorWay" else f"-{way.name}"))
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Association]:
    certificate = key_of("sp").certificate_base64
    with association(tmp_path, f"-----BEGIN CERTIFICATE-----\n{certificate}\n-----END CERTIFICATE-----\n") as built:
        yield built


def test_without_a_session_the_member_is_asked_to_sign_in(world: Association, way: Way) -> None:
    assert asks_for_login(way.ask(world))


def test_with_a_session_nobody_is_asked_again(world: Association, way: Way) -> None:
    way.receive(world, world.sign_in(way.ask(world)))
    again = way.ask(world)
    assert not asks_for_login(again)
    assert way.receive(world, again).attributes == RELEASED


def test_passive_without_a_session_is_refused_in_the_protocols_own_way(world: Association, way: Way) -> None:
    refused = way.receive(world, way.ask(world, passive=True))
    assert refused.attributes is None
    assert refused.refusal in ("NoPassive", "login_required", "signed_in=0", "signedIn: false")


def test_passive_with_a_session_is_answered(world: Association, way: Way) -> None:
    way.receive(world, world.sign_in(way.ask(world)))
    assert way.receive(world, way.ask(world, passive=True)).attributes == RELEASED


def test_fresh_asks_for_the_password_although_there_is_a_session(world: Association, way: Way) -> None:
    way.receive(world, world.sign_in(way.ask(world)))
    asked = way.ask(world, fresh=True)
    assert asks_for_login(asked)
    request_id = urlsplit(asked.location).query.partition("=")[2]
    assert asks_for_login(world.get(f"/signon/{request_id}")), "the old login must not meet the fresh request"
    assert way.receive(world, world.sign_in(asked)).attributes == RELEASED


def test_S2_an_unknown_client_ends_on_our_own_page(world: Association, way: Way) -> None:
    response = way.ask(world, client="nobody-knows-me")
    assert 400 <= response.status_code < 500
    assert "Location" not in response.headers


@pytest.mark.parametrize("back", ["https://evil.example/x", "javascript:alert(1)", "https://lms.example.com/acs/../x", "//evil.example"])
def test_S1_S52_S96_a_return_address_that_is_not_registered_ends_on_our_own_page(world: Association, way: Way, back: str) -> None:
    response = way.ask(world, back=back)
    assert 400 <= response.status_code < 500
    assert "Location" not in response.headers
    assert "Reference" in response.text
    assert world.audit.of("request.refused")[-1]["reference"] in response.text


def test_exactly_what_is_released_arrives_under_the_clients_names_and_hostile_text_is_text(world: Association, way: Way) -> None:
    assert way.receive(world, world.sign_in(way.ask(world))).attributes == RELEASED


def test_what_is_good_for_once_is_good_for_once(world: Association, way: Way) -> None:
    outcome = way.receive(world, world.sign_in(way.ask(world)))
    again = way.use(world, outcome.once)
    assert again.attributes is None
    assert again.refusal


def test_the_client_joins_the_session(world: Association, way: Way) -> None:
    way.receive(world, world.sign_in(way.ask(world)))
    (session,) = world.parts.sessions.list()
    assert [each.client_id for each in session.participants] == [way.name]


def test_one_event_is_taken_down_with_the_names_of_what_was_released(world: Association, way: Way) -> None:
    way.receive(world, world.sign_in(way.ask(world)))
    event = world.audit.of("signon.ok")[-1]
    assert event["client"] == way.name
    assert set(event["released"]) == set(RELEASED)
    assert "anne@example.org" not in str(world.audit.lines)


def test_the_client_is_told_of_the_logout_once(world: Association, way: Way) -> None:
    way.receive(world, world.sign_in(way.ask(world)))
    after = world.sign_out()
    if way.name == "saml":
        assert after.location.startswith("https://lms.example.com/slo?SAMLRequest=")
    else:
        assert len(world.vendors.of(way.name)) == 1


def test_S48_after_the_logout_nothing_of_that_session_works(world: Association, way: Way) -> None:
    unused = way.receive(world, world.sign_in(way.ask(world)), redeem=False)
    world.sign_out()
    if way.name != "saml":
        assert way.use(world, unused.once).attributes is None
    asked = way.ask(world, passive=True)
    assert way.receive(world, asked).attributes is None


def test_the_refused_member_and_the_log_have_the_same_reference(world: Association, way: Way) -> None:
    response = way.ask(world, client="nobody-knows-me")
    assert world.audit.of("request.refused")[-1]["reference"] in response.text


def test_a_request_of_one_browser_cannot_be_finished_by_another(world: Association, way: Way) -> None:
    asked = way.ask(world)
    if way.name == "jsonp":
        assert asks_for_login(asked)
    world.browser = world.another()
    assert world.get(urlsplit(asked.location).path + "?" + urlsplit(asked.location).query).status_code == 400


def test_S11_the_request_goes_on_once(world: Association, way: Way) -> None:
    asked = way.ask(world)
    way.receive(world, world.sign_in(asked))
    request_id = urlsplit(asked.location).query.partition("=")[2]
    assert world.get(f"/signon/{request_id}").status_code == 400


def test_cancelling_tells_the_client(world: Association, way: Way) -> None:
    asked = way.ask(world)
    page = world.get(f"{urlsplit(asked.location).path}?{urlsplit(asked.location).query}")
    fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', page.text))
    response = world.post("/login/cancel", fields)
    assert way.receive(world, response).attributes is None
