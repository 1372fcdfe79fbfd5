"""A sign-in whose state is lost never ends at a page that leads nowhere: the application that asked is named, and asks anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from idp.protocols.saml.source.shelf import member_key

from .conftest import MakeWorld
from .publisher import Publisher, Sources, aggregate_of
from .test_protocol import page_cause
from .wiring import ACS, IDP, SP, authn_request, key_of, metadata, post_form, redirect_query, signed
from .world import Provider, Told, World, saml_client

ONWARD = 'href="https://lms.example/">Go on to The lms</a>'


def asked(provider: Provider) -> str:
    """The address of the request that a browser keeps in its history."""
    return f"/saml/sso?{redirect_query(provider._request(''), relay_state='/course/7', key=key_of('sp')).decode()}"


def at_the_form(world: World) -> tuple[Provider, str]:
    """A member before the sign-in page, and its address."""
    provider = Provider(world, world.visitor())
    return provider, str(provider.visitor.get(asked(provider)).location)


def test_the_back_button_to_the_request_leads_on_to_the_application(world: World) -> None:
    provider = Provider(world, world.signed_in())
    address = asked(provider)
    assert Told(world, provider.visitor.get(address)).statuses == ["Success"]
    again = provider.visitor.get(address)
    assert page_cause(world, again) == "saml.message_replayed"
    assert ONWARD in again.text


def test_the_back_button_to_the_sign_in_page_leads_on_to_the_application(world: World) -> None:
    provider, page = at_the_form(world)
    assert Told(world, provider.follow(provider.visitor.sign_in(page))).statuses == ["Success"]
    again = provider.visitor.get(page)
    assert page_cause(world, again) == "signon.pending_gone"
    assert ONWARD in again.text


def test_the_way_on_asks_anew_and_the_session_answers_at_once(world: World) -> None:
    provider, page = at_the_form(world)
    provider.follow(provider.visitor.sign_in(page))
    assert ONWARD in provider.visitor.get(page).text
    assert Told(world, provider.visitor.get(asked(provider))).statuses == ["Success"], "what the application does when it is opened"


def test_V26_of_two_tabs_with_sign_in_pages_the_second_needs_no_password(world: World) -> None:
    provider = Provider(world, world.visitor())
    pages = [str(provider.visitor.get(asked(provider)).location) for _ in range(2)]
    first = Told(world, provider.follow(provider.visitor.sign_in(pages[0])))
    second = Told(world, provider.follow(provider.visitor.get(pages[1])))
    assert [first.statuses, second.statuses] == [["Success"], ["Success"]]
    assert first.root.get("InResponseTo") != second.root.get("InResponseTo")
    assert second.relay_state == "/course/7"


def test_a_sign_in_page_that_was_open_for_days_leads_on_to_the_application(world: World) -> None:
    provider, page = at_the_form(world)
    shown = provider.visitor.get(page).text
    world.now.seconds += 3 * 86400
    fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', shown))
    response = provider.visitor.post("/login", data={**fields, "username": "anne", "password": "correct horse"})
    assert page_cause(world, response) == "signon.pending_gone"
    assert ONWARD in response.text


def test_a_request_that_was_kept_for_days_leads_on_to_the_application(world: World) -> None:
    provider = Provider(world, world.visitor())
    address = asked(provider)
    world.now.seconds += 3 * 86400
    response = provider.visitor.get(address)
    assert page_cause(world, response) == "saml.message_stale"
    assert ONWARD in response.text


def test_a_browser_that_lost_its_cookies_is_led_on_to_the_application(world: World) -> None:
    _, page = at_the_form(world)
    response = world.visitor().get(page)
    assert page_cause(world, response) == "signon.pending_gone"
    assert ONWARD in response.text


def test_a_request_by_POST_whose_cookie_was_lost_on_the_way_round_leads_on_to_the_application(world: World) -> None:
    form = {name: values[0] for name, values in post_form(signed(authn_request(issued=world.now()))).items()}
    round_way = world.visitor().post("/saml/sso", data=form)
    assert round_way.location.startswith(f"{IDP}/signon/")
    response = world.visitor().get(round_way.location)
    assert page_cause(world, response) == "signon.pending_gone"
    assert ONWARD in response.text


def test_the_application_s_own_start_address_comes_first(make_world: MakeWorld) -> None:
    client = saml_client()
    world = make_world(type(client)(**{**vars(client), "url": "https://portal.example/lms"}))
    _, page = at_the_form(world)
    assert 'href="https://portal.example/lms">' in world.visitor().get(page).text


@pytest.mark.parametrize("source", ["file", "settings"])
def test_the_home_is_known_wherever_the_application_is_described(tmp_path: Path, source: str) -> None:
    (tmp_path / "sp.xml").write_text(metadata())
    settings: dict[str, dict[str, Any]] = {"file": {"metadata": tmp_path / "sp.xml"}, "settings": {"entity_id": SP, "acs": ACS}}
    assert saml_client(**settings[source]).start_url == "https://lms.example/"


def test_where_nothing_is_known_of_it_the_page_says_how(tmp_path: Path) -> None:
    (tmp_path / "sp.xml").write_text("<broken")
    assert saml_client(metadata=tmp_path / "sp.xml").start_url == ""


def test_V34_what_a_request_says_is_never_where_the_page_leads(world: World) -> None:
    evil = authn_request(issued=world.now(), AssertionConsumerServiceURL="https://evil.example/acs")
    response = world.visitor().get(f"/saml/sso?{redirect_query(evil).decode()}")
    assert ONWARD in response.text
    assert 'href="https://evil' not in response.text


# ---- applications of a federation that nobody named


@pytest.fixture
def federated(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """A world whose only application is a member of a federation, with these metadata."""
    publisher = Publisher()
    opened: list[Any] = []

    def of(text: str, **own: Any) -> World:
        publisher.pages["/all"] = aggregate_of(key_of("federation"), [text])
        table = {"certificate": key_of("federation").certificate_base64, "url": f"{publisher.url}/all", "members": "all", "client": own}
        sources = Sources(tmp_path, federation={"edu": table})
        sources.refresh("edu")
        world = World(tmp_path, [], sources.settings, federations=sources.federations)
        opened.extend((sources.store, world.store))
        return world

    yield of
    publisher.close()
    for store in opened:
        store.close()


def begins_at(location: str) -> str:
    initiation = "urn:oasis:names:tc:SAML:profiles:SSO:request-init"
    element = f'<init:RequestInitiator xmlns:init="{initiation}" Binding="{initiation}" Location="{location}"/>'
    return metadata(inside=f"<md:Extensions>{element}</md:Extensions>")


def launch_url(world: World) -> str:
    client = world.clients.get(member_key("edu", SP))
    assert client is not None
    return world.saml.launch_url(client)


def test_a_member_of_a_federation_is_led_on_to_its_home(federated: Callable[..., World]) -> None:
    world = federated(metadata())
    provider = Provider(world, world.signed_in())
    address = asked(provider)
    assert Told(world, provider.visitor.get(address)).statuses == ["Success"]
    assert f'href="https://lms.example/">Go on to {SP}</a>' in provider.visitor.get(address).text


def test_S62_a_member_of_a_federation_has_no_link_to_start_by_unless_it_may(federated: Callable[..., World]) -> None:
    assert launch_url(federated(metadata())) == ""


def test_S62_where_the_federations_settings_allow_it_the_link_starts_here(federated: Callable[..., World]) -> None:
    assert launch_url(federated(begins_at("https://lms.example/begin"), idp_initiated=True)).startswith(f"{IDP}/saml/start?sp=")


@pytest.mark.parametrize("location", ["https://lms.example/begin", "https://lms.example/begin?a=b"])
def test_a_link_to_start_by_leads_to_where_the_application_begins_by_itself(federated: Callable[..., World], location: str) -> None:
    told = f"entityID={quote(f'{IDP}/saml/metadata', safe='')}"
    assert launch_url(federated(begins_at(location))) == f"{location}{'&' if '?' in location else '?'}{told}"


@pytest.mark.parametrize("location", ["javascript:alert(1)", "ftp://lms.example/", ""])
def test_V18_what_is_no_web_address_is_no_link(federated: Callable[..., World], location: str) -> None:
    assert launch_url(federated(begins_at(location))) == ""
