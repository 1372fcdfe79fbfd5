"""What a client sees of a member: release, scopes, the claims parameter, and how long the token reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from idp.directory import Subject

from .conftest import MakeWorld
from .wiring import ANNE, URL, World, make_client

EVERYTHING = {
    "sub": "0471",
    "name": "Anne Example",
    "given_name": "Anne",
    "family_name": "Example",
    "preferred_username": "anne",
    "email": "anne@assoc.example",
}


def told(world: World, **changes: str | None) -> dict[str, Any]:
    response = world.userinfo(world.signed_in().tokens(**changes)["access_token"])
    assert response.status_code == 200
    claims: dict[str, Any] = response.get_json()
    return claims


def test_the_usual_release_under_standard_names(world: World) -> None:
    assert told(world) == EVERYTHING


@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        ("openid", {"sub"}),
        ("openid profile", {"sub", "name", "given_name", "family_name", "preferred_username", "nickname"}),
        ("openid email", {"sub", "email"}),
        ("email openid", {"sub", "email"}),
        ("openid phone", {"sub", "phone_number"}),
        ("profile", {"sub", "name", "given_name", "family_name", "preferred_username", "nickname"}),
        ("email", {"sub", "email"}),
    ],
)
def test_scope_each_scope_gives_its_own_standard_claims(make_world: MakeWorld, scope: str, claims: set[str]) -> None:
    release = ["full_name", "first_name", "last_name", "username", "informal_name", "email", "phone"]
    world = make_world(make_client(release=release))
    assert set(told(world, scope=scope)) == claims


def test_a_scope_gives_nothing_that_was_not_released(make_world: MakeWorld) -> None:
    world = make_world(make_client(release=["email"]))
    assert told(world, scope="openid profile email phone") == {"sub": "0471", "email": "anne@assoc.example"}


def test_an_empty_release_leaves_the_subject_alone(make_world: MakeWorld) -> None:
    assert told(make_world(make_client(release=[]))) == {"sub": "0471"}


def test_what_is_released_beyond_the_standard_claims_comes_under_any_scope(make_world: MakeWorld) -> None:
    world = make_world(make_client(release=["email", "member_type", "imis_id=memberNumber"]))
    assert told(world, scope="openid") == {"sub": "0471", "member_type": "REG", "memberNumber": "0471"}


def test_roles_and_committees_are_lists_even_of_one_under_any_name(make_world: MakeWorld) -> None:
    world = make_world(make_client(release=["roles", "committees=groups", "member_type"]))
    assert told(world) == {"sub": "0471", "roles": ["Board"], "groups": ["Ethics", "Finance"], "member_type": "REG"}


def test_a_renamed_attribute_keeps_the_client_s_name(make_world: MakeWorld) -> None:
    world = make_world(make_client(release={"first_name": "FirstName", "last_name": "family_name", "email": "nickname"}))
    assert told(world) == {"sub": "0471", "FirstName": "Anne", "family_name": "Example", "nickname": "anne@assoc.example"}


@pytest.mark.parametrize("name", ["sub", "iss", "aud", "exp", "sid", "nonce", "acr"])
def test_H13_no_release_can_overwrite_the_protocol_s_own_claims(make_world: MakeWorld, name: str) -> None:
    world = make_world(make_client(release={"email": name}))
    claims = json.dumps({"id_token": {name: None}, "userinfo": {name: None}})
    tokens = world.signed_in().tokens(claims=claims)
    assert world.userinfo(tokens["access_token"]).get_json() == {"sub": "0471"}
    assert "anne@assoc.example" not in world.verified(tokens["id_token"])[1].values()


def test_standard_claims_have_their_standard_types(make_world: MakeWorld) -> None:
    attributes = {"email": ("a@x", "b@x"), "verified": ("True",), "changed": ("1700000000",), "home": ("1 Road",)}
    release = {"email": "email", "verified": "email_verified", "changed": "updated_at", "home": "address"}
    world = make_world(make_client(release=release, scopes=("openid", "email", "profile", "address")))
    world.members.by_id["0471"] = Subject(ANNE.id, ANNE.username, attributes)
    assert told(world, scope="openid email profile address") == {
        "sub": "0471",
        "email": "a@x",
        "email_verified": True,
        "updated_at": 1_700_000_000,
        "address": {"formatted": "1 Road"},
    }


def test_email_verified_is_not_claimed_because_nobody_knows(world: World) -> None:
    assert "email_verified" not in told(world, claims=json.dumps({"userinfo": {"email_verified": {"essential": True}}}))


def test_claims_essential_a_claim_that_is_asked_for_by_name_comes(world: World) -> None:
    claims = json.dumps({"userinfo": {"name": {"essential": True}, "member_type": None}, "id_token": {"email": None, "phone_number": None}})
    tokens = world.signed_in().tokens(scope="openid", claims=claims)
    assert world.userinfo(tokens["access_token"]).get_json() == {"sub": "0471", "name": "Anne Example"}
    in_token = world.verified(tokens["id_token"])[1]
    assert in_token["email"] == "anne@assoc.example"
    assert "phone_number" not in in_token, "not released"


@pytest.mark.parametrize("essential", [True, False])
@pytest.mark.parametrize(
    ("wish", "comes"),
    [
        ({"value": "anne@assoc.example"}, True),
        ({"values": ["x", "anne@assoc.example"]}, True),
        ({"value": "bert@assoc.example"}, False),
        ({"values": ["x", None, 7]}, False),
        ({"values": "anne@assoc.example", "value": "x"}, False),
        ({}, True),
    ],
)
def test_Core_5_5_1_a_claim_with_another_value_than_asked_for_does_not_come_and_is_no_error(
    world: World, wish: dict[str, Any], comes: bool, essential: bool
) -> None:
    asked = {"email": {**wish, "essential": essential}}
    tokens = world.signed_in().tokens(scope="openid", claims=json.dumps({"userinfo": asked, "id_token": asked}))
    for told in (world.userinfo(tokens["access_token"]).get_json(), world.verified(tokens["id_token"])[1]):
        assert ("email" in told) is comes


def test_Core_5_5_1_what_the_scope_asks_for_comes_with_any_value(world: World) -> None:
    claims = json.dumps({"userinfo": {"email": {"value": "x"}}})
    assert told(world, scope="openid email", claims=claims)["email"] == "anne@assoc.example"


def test_plain_oauth_without_a_scope_reads_all_that_is_released(world: World) -> None:
    assert told(world, scope=None) == EVERYTHING


def test_plain_oauth_with_a_vendor_s_own_scope_reads_all_that_is_released(make_world: MakeWorld) -> None:
    world = make_world(make_client(scopes=("read",)))
    assert told(world, scope="read") == EVERYTHING
    assert told(world, scope=None) == EVERYTHING


def test_a_client_that_may_have_openid_alone_can_ask_for_no_scope(make_world: MakeWorld) -> None:
    assert told(make_world(make_client(scopes=("openid",))), scope=None) == EVERYTHING


def test_H22_S25_V49_a_scope_that_the_client_may_not_have_gives_nothing(make_world: MakeWorld) -> None:
    world = make_world(make_client(scopes=("openid", "email")))
    assert told(world, scope="openid profile email") == {"sub": "0471", "email": "anne@assoc.example"}


@pytest.mark.parametrize("way", ["get", "post header", "post body"])
def test_userinfo_by_get_by_post_and_in_the_body(world: World, way: str) -> None:
    token = world.signed_in().tokens()["access_token"]
    header = {} if way == "post body" else {"Authorization": f"bearer {token}"}
    data = {"access_token": token} if way == "post body" else None
    response = world.machine().open("/oauth/userinfo", method=way[:4].strip().upper(), base_url=URL, headers=header, data=data)
    assert response.get_json()["sub"] == "0471"
    assert response.headers["Cache-Control"] == "no-store"


def test_H21_S41_userinfo_without_a_good_token_is_401(world: World) -> None:
    token = world.signed_in().tokens()["access_token"]
    bare = world.machine().get(f"/oauth/userinfo?access_token={token}", base_url=URL)
    assert (bare.status_code, bare.headers["WWW-Authenticate"]) == (401, f'Bearer realm="{URL}"')
    for wrong in ("0471", "x", token + "x", token[:-1], " "):
        response = world.userinfo(wrong)
        assert response.status_code == 401
    assert 'error="invalid_token"' in world.userinfo("x").headers["WWW-Authenticate"]


def test_a_token_in_header_and_body_is_refused(world: World) -> None:
    response = world.machine().post("/oauth/userinfo", base_url=URL, data={"access_token": "x"}, headers={"Authorization": "Bearer x"})
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")


def test_an_id_token_is_no_access_token(world: World) -> None:
    assert world.userinfo(world.signed_in().tokens()["id_token"]).status_code == 401


def test_G_S6_an_access_token_lives_ten_minutes(world: World) -> None:
    token = world.signed_in().tokens()["access_token"]
    world.now.seconds += 599
    assert world.userinfo(token).status_code == 200
    world.now.seconds += 1
    assert world.userinfo(token).status_code == 401


def test_S48_an_access_token_dies_with_its_session(world: World) -> None:
    browser = world.signed_in()
    token = browser.tokens()["access_token"]
    world.sessions.take(browser.session_id())  # even where nobody has cleaned up after it
    assert world.userinfo(token).status_code == 401


def test_S48_an_access_token_dies_with_a_session_that_expired(world: World) -> None:
    browser = world.signed_in()
    world.now.seconds += 3500
    token = browser.tokens()["access_token"]
    assert world.userinfo(token).status_code == 200
    stored = world.store.get("session", browser.session_id())
    assert stored
    world.store.put("session", stored.key, stored.record, expires=world.now() + 10)
    world.now.seconds += 10
    assert world.userinfo(token).status_code == 401


def test_V51_a_member_who_is_gone_gets_no_more_codes(world: World) -> None:
    browser = world.signed_in()
    del world.members.by_id["0471"]
    world.now.seconds += 901
    assert browser.ask().location.startswith(f"{URL}/login")


def test_a_removed_client_s_token_reads_nothing(make_world: MakeWorld) -> None:
    world = make_world()
    world.clients.add("rp", {})
    token = world.signed_in().tokens()["access_token"]
    world.clients.remove("rp")
    assert world.userinfo(token).status_code == 401
