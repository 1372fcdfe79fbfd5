"""Staff take scopes from a client between its authorization request and its tokens, or between two refreshes (S25)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from .conftest import MakeWorld
from .wiring import World

GRANTS = ("authorization_code", "refresh_token")
EVERY = ("openid", "profile", "email", "offline_access")
ASKED = {"client_id": "shop", "scope": "openid profile email offline_access"}
RELEASE = ["full_name", "email", "phone", "committees"]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    made = make_world()
    made.clients.add("shop", {"grant_types": GRANTS, "scopes": EVERY, "release": RELEASE})
    return made


def narrow(world: World, *scopes: str, **more: Any) -> None:
    world.clients.change("shop", {"grant_types": GRANTS, "scopes": scopes, "release": RELEASE, **more})


def refresh(world: World, token: str, **fields: str) -> TestResponse:
    form = {"grant_type": "refresh_token", "refresh_token": token, **fields}
    return world.machine().post("/oauth/token", base_url=world.url, data=form, auth=("shop", "shop-secret"))


def good(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.get_json()
    return told


def read(world: World, tokens: dict[str, Any]) -> set[str]:
    """The names of what userinfo tells."""
    return set(good(world.userinfo(tokens["access_token"])))


def test_S25_a_code_gives_only_what_the_client_may_have_now(world: World) -> None:
    code = world.signed_in().code(**ASKED)
    narrow(world, "openid", "profile")
    tokens = good(world.exchange(code, client="shop"))
    assert tokens["scope"] == "openid profile"
    assert read(world, tokens) == {"sub", "name", "committees"}


def test_S25_a_refresh_token_of_a_narrowed_code_is_as_narrow(world: World) -> None:
    code = world.signed_in().code(**ASKED)
    narrow(world, "openid", "profile", "offline_access")
    tokens = good(world.exchange(code, client="shop"))
    narrow(world, *EVERY)
    assert good(refresh(world, tokens["refresh_token"]))["scope"] == "openid profile offline_access"


def test_S25_what_was_asked_for_by_name_is_no_scopes_to_take(world: World) -> None:
    wish = json.dumps({"userinfo": {"email": None}})
    code = world.signed_in().code(**ASKED, claims=wish)
    narrow(world, "openid", "profile", "offline_access")
    tokens = good(world.exchange(code, client="shop"))
    assert "email" in read(world, tokens)
    assert "email" in read(world, good(refresh(world, tokens["refresh_token"])))


def test_S25_a_code_of_which_nothing_is_left_gives_nothing(world: World) -> None:
    code = world.signed_in().code(**ASKED)
    narrow(world, "phone")
    response = world.exchange(code, client="shop")
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_scope")


def test_S25_a_refresh_gives_only_what_the_client_may_have_now(world: World) -> None:
    tokens = good(world.exchange(world.signed_in().code(**ASKED), client="shop"))
    assert read(world, tokens) == {"sub", "name", "email", "committees"}
    narrow(world, "openid", "profile")
    after = good(refresh(world, tokens["refresh_token"]))
    assert after["scope"] == "openid profile"
    assert read(world, after) == {"sub", "name", "committees"}


@pytest.mark.parametrize(("taken", "asked"), [(True, ""), (False, "board")])
def test_S25_plain_OAuth_has_not_more_when_its_last_standard_scope_goes(world: World, taken: bool, asked: str) -> None:
    """A request that names no standard scope has all that is released: one that has lost it by and by has not."""
    narrow(world, "email", "board", "offline_access")
    tokens = good(world.exchange(world.signed_in().code(client_id="shop", scope="email board offline_access"), client="shop"))
    assert read(world, tokens) == {"sub", "email", "committees"}
    narrow(world, *(() if taken else ("email",)), "board", "offline_access")
    assert read(world, good(refresh(world, tokens["refresh_token"], scope=asked))) == {"sub", "committees"}


def test_S25_a_scope_of_member_data_that_was_taken_opens_nothing(world: World) -> None:
    tables = {"iqa:a": {"committees": "groups"}, "iqa:b": {"roles": "roles"}}
    narrow(world, "openid", member_data=tables)
    code = world.signed_in().code(client_id="shop", scope="openid iqa:a iqa:b")
    narrow(world, "openid", member_data={"iqa:b": tables["iqa:b"]})
    tokens = good(world.exchange(code, client="shop"))
    narrow(world, "openid", member_data=tables)
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert set(good(world.machine().get("/oauth/me", base_url=world.url, headers=headers))) == {"sub", "roles"}
    narrow(world, "openid")
    assert world.machine().get("/oauth/me", base_url=world.url, headers=headers).status_code == 403
