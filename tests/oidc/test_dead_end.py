"""Pages that lead nowhere lead on to the application, which then asks anew."""

from __future__ import annotations

import re
from urllib.parse import urlencode

import pytest

from idp.sso.client import Client

from .conftest import MakeWorld
from .wiring import URL, Visitor, World, asked, make_client

ONWARD = 'href="https://rp.example.org/">Go on to The rp</a>'


def login_page(world: World) -> tuple[Visitor, str]:
    browser = world.browser()
    return browser, str(browser.ask().location)


def test_the_back_button_after_a_sign_in_leads_on_to_the_application(world: World) -> None:
    browser, page = login_page(world)
    browser.sign_in(page)
    response = browser.get(page)
    assert response.status_code == 400
    assert ONWARD in response.text


def test_a_sign_in_page_in_another_browser_leads_on_to_the_application(world: World) -> None:
    _, page = login_page(world)
    assert ONWARD in world.browser().get(page).text


def test_a_sign_in_page_that_was_open_for_more_than_a_day_leads_on_to_the_application(world: World) -> None:
    browser, page = login_page(world)
    shown = browser.get(page).text
    world.now.seconds += 86401
    fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', shown))
    response = browser.post("/login", data={**fields, "username": "anne", "password": "x"})
    assert ONWARD in response.text


def test_the_application_s_own_start_address_comes_first(make_world: MakeWorld) -> None:
    client = make_client()
    world = make_world(Client(**{**vars(client), "url": "https://portal.example/lms"}))
    _, page = login_page(world)
    assert 'href="https://portal.example/lms">' in world.browser().get(page).text


def test_S2_a_wrong_redirect_uri_leads_to_the_registered_application_and_never_to_that_address(world: World) -> None:
    response = world.browser().ask(redirect_uri="https://evil.example/")
    assert ONWARD in response.text
    assert 'href="https://evil.example' not in response.text


def test_a_request_without_a_redirect_uri_or_with_two_leads_on_to_the_application(world: World) -> None:
    assert ONWARD in world.browser().ask(redirect_uri=None).text
    twice = f"/oauth/authorize?{urlencode(asked())}&redirect_uri=https://rp.example.org/cb"
    assert ONWARD in world.browser().get(twice).text


def test_a_pushed_request_that_is_over_leads_on_to_the_application(world: World) -> None:
    over = {"client_id": "rp", "request_uri": "urn:ietf:params:oauth:request_uri:over"}
    assert ONWARD in world.browser().get("/oauth/authorize", query_string=over).text


@pytest.mark.parametrize("made_up", ["_0~nobody", "_0~", "_0", "_0~<b>", "_0~rp~rp", "~" * 300])
def test_an_id_that_somebody_made_up_leads_nowhere_else(world: World, made_up: str) -> None:
    response = world.browser().get("/login", query_string={"request": made_up})
    assert response.status_code == 400
    assert "Go on to" not in response.text
    assert "<b>" not in response.text


def test_the_way_on_asks_anew_and_ends_at_the_application(world: World) -> None:
    browser, page = login_page(world)
    browser.sign_in(page)
    assert ONWARD in browser.get(page).text
    assert browser.code(state="another state"), f"whoever is signed in at {URL} goes straight on"
