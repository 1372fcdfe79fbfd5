"""`sid`: clients that compare what they were told cannot link a member by it. And what a token says of a login that nobody saw."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from .conftest import MakeWorld
from .wiring import ANNE, SIGNED_OUT, Visitor, World, make_client

REFRESHING: dict[str, Any] = {"grant_types": ("authorization_code", "refresh_token"), "tokens": {"refresh_with_session": True}}


@pytest.fixture
def pair(make_world: MakeWorld) -> World:
    return make_world(make_client(post_logout_redirect_uris=(SIGNED_OUT,), **REFRESHING), make_client("other", **REFRESHING))


def refreshed(world: World, tokens: dict[str, Any]) -> dict[str, Any]:
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    answer = world.machine().post("/oauth/token", base_url=world.url, data=form, auth=("rp", "rp-secret")).get_json()
    return world.verified(answer["id_token"])[1]


def test_V56_two_clients_of_one_session_are_told_different_names_of_it(pair: World) -> None:
    browser = pair.signed_in()
    told = {pair.verified(browser.tokens(client=client)["id_token"])[1]["sid"] for client in ("rp", "other")}
    assert len(told) == 2
    assert not any(browser.session_id().strip("_") in each for each in told)


def test_S45_a_client_is_told_the_same_name_as_long_as_the_session_lasts(pair: World) -> None:
    browser = pair.signed_in()
    first = browser.tokens()
    names = {pair.verified(each["id_token"])[1]["sid"] for each in (first, browser.tokens())}
    assert names | {refreshed(pair, first)["sid"]} == names
    assert len(names) == 1


def left(browser: Visitor, hint: str) -> bool:
    """Whether the hint ended the session of the browser."""
    browser.get(f"/oauth/logout?{urlencode({'id_token_hint': hint, 'post_logout_redirect_uri': SIGNED_OUT})}")
    return browser.world.sessions.get(browser.session_id()) is None


@pytest.mark.parametrize(("named", "ends"), [("by its id, as an older version did", True), ("as for another client", False)])
def test_S42_the_name_in_a_hint_must_be_this_clients(pair: World, named: str, ends: bool) -> None:
    browser = pair.signed_in()
    claims = pair.verified(browser.tokens()["id_token"])[1]
    theirs = pair.verified(browser.tokens(client="other")["id_token"])[1]["sid"]
    sid = browser.session_id() if ends else theirs
    assert left(browser, pair.keys.current.jwt({**claims, "sid": sid}, type="JWT")) is ends


def vouched_for(world: World) -> Visitor:
    """A browser whose member iMIS vouched for; nobody here saw the password."""
    visitor = world.signed_in()
    _, cookies = world.sessions.open(ANNE, dated=False)
    visitor.http.set_cookie("__Host-idp_session", cookies.session.reveal(), domain="login.assoc.example", secure=True)
    return visitor


def test_S33_auth_time_is_left_out_where_nobody_knows_when_the_password_was_typed(pair: World) -> None:
    tokens = vouched_for(pair).tokens()
    assert "auth_time" not in pair.verified(tokens["id_token"])[1]
    assert "auth_time" not in refreshed(pair, tokens)
    assert "auth_time" in pair.verified(pair.signed_in().tokens()["id_token"])[1]


def test_an_access_token_of_such_a_login_has_no_auth_time_either(make_world: MakeWorld) -> None:
    world = make_world(make_client(tokens={"access_token": "jwt"}))
    assert "auth_time" not in world.verified(vouched_for(world).tokens()["access_token"])[1]
    assert "auth_time" in world.verified(world.signed_in().tokens()["access_token"])[1]


def test_a_refresh_that_outlives_the_session_does_not_invent_it(make_world: MakeWorld) -> None:
    scopes = ("openid", "offline_access")
    world = make_world(make_client(**{**REFRESHING, "scopes": scopes}))
    visitor = vouched_for(world)
    tokens = visitor.tokens(scope="openid offline_access")
    world.logout.end(visitor.session_id(), reason="test")
    assert "auth_time" not in refreshed(world, tokens)
