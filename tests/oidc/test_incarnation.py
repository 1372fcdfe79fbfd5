"""A client is removed, and another gets its id: it inherits nothing of what the first one had."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .conftest import MakeWorld
from .wiring import World, answer

SHOP = {"grant_types": ("authorization_code", "refresh_token"), "scopes": ("openid", "email", "offline_access")}
LASTING = {"scope": "openid email offline_access"}


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world()
    made.clients.add("shop", SHOP)
    return made


def anew(world: World, **more: Any) -> None:
    """The same id, secret and settings: nothing else could tell the two apart."""
    world.clients.remove("shop")
    world.clients.add("shop", {**SHOP, **more})


def refresh(world: World, token: str) -> tuple[int, dict[str, Any]]:
    form = {"grant_type": "refresh_token", "refresh_token": token}
    response = world.machine().post("/oauth/token", base_url=world.url, data=form, auth=("shop", "shop-secret"))
    return response.status_code, response.get_json()


def is_active(world: World, token: str) -> bool:
    response = world.machine().post("/oauth/introspect", base_url=world.url, data={"token": token}, auth=("shop", "shop-secret"))
    return bool(response.get_json()["active"])


def test_RFC_7592_a_refresh_token_of_a_removed_client_is_nobodys(world: World) -> None:
    old = world.signed_in().tokens(client="shop", **LASTING)["refresh_token"]
    anew(world)
    status, told = refresh(world, old)
    assert (status, told["error"]) == (400, "invalid_grant")
    assert not is_active(world, old)


def test_RFC_7592_an_access_token_of_a_removed_client_opens_nothing(world: World) -> None:
    old = world.signed_in().tokens(client="shop", **LASTING)["access_token"]
    assert (world.userinfo(old).status_code, is_active(world, old)) == (200, True)
    anew(world)
    assert (world.userinfo(old).status_code, is_active(world, old)) == (401, False)


def test_the_tokens_of_the_client_that_is_there_now_are_good(world: World) -> None:
    anew(world)
    tokens = world.signed_in().tokens(client="shop", **LASTING)
    assert world.userinfo(tokens["access_token"]).status_code == 200
    assert is_active(world, tokens["refresh_token"])
    status, told = refresh(world, tokens["refresh_token"])
    assert status == 200
    assert is_active(world, told["access_token"])


def test_a_change_of_settings_takes_nothing_away(world: World) -> None:
    tokens = world.signed_in().tokens(client="shop", **LASTING)
    world.clients.change("shop", {**SHOP, "scopes": ("openid", "email", "phone", "offline_access")})
    assert world.userinfo(tokens["access_token"]).status_code == 200
    assert refresh(world, tokens["refresh_token"])[0] == 200


def test_S14_a_yes_to_a_removed_client_is_no_yes_to_the_next(world: World) -> None:
    anew(world, consent="ask")
    visitor = world.signed_in()
    page = visitor.ask(client_id="shop", scope="openid email")
    action = re.search(r'action="(/signon/[^"]*/consent)"', page.text)
    token = re.search(r'name="form_token" value="([^"]*)"', page.text)
    assert action
    assert token
    assert "code" in answer(visitor.post(action[1], data={"form_token": token[1], "answer": "agree"}))
    assert "code" in answer(visitor.ask(client_id="shop", scope="openid email"))
    assert "The shop" in visitor.get("/consent").text
    anew(world, consent="ask")
    assert "Share with The shop?" in visitor.ask(client_id="shop", scope="openid email").text
    assert "The shop" not in visitor.get("/consent").text, "it was another one"
