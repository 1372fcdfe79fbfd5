"""Implicit and hybrid flows, for clients whose settings name them: modules of oidcc-implicit and oidcc-hybrid."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from .conftest import MakeWorld
from .wiring import CALLBACK, URL, World, answer, make_client, posted

TYPES = ("id_token", "id_token token", "code id_token", "code token", "code id_token token")


@pytest.fixture
def old(make_world: MakeWorld) -> World:
    """A client of every response type, and one of codes alone."""
    return make_world(make_client(response_types=("code", *TYPES)), make_client("new"))


def in_fragment(response: TestResponse) -> dict[str, str]:
    parts = urlsplit(response.location)
    assert not parts.query, "nothing of it may stand in the query"
    return {name: values[0] for name, values in parse_qs(parts.fragment).items()}


def half(value: str) -> str:
    return urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


@pytest.mark.parametrize("kind", TYPES)
def test_server_each_part_is_where_it_belongs_and_fits_the_others(old: World, kind: str) -> None:
    told = in_fragment(old.signed_in().ask(response_type=kind))
    assert (told["state"], told["iss"]) == ("a state", URL)
    expected = {"code": "code", "token": "access_token", "id_token": "id_token"}
    assert {part for word, part in expected.items() if word in kind.split()} == set(expected.values()) & set(told)
    if "id_token" in told:
        claims = old.verified(told["id_token"])[1]
        assert (claims["nonce"], claims["sub"], claims["aud"]) == ("a nonce", "0471", "rp")
        assert claims.get("at_hash") == (half(told["access_token"]) if "access_token" in told else None)
        assert claims.get("c_hash") == (half(told["code"]) if "code" in told else None)
    if "access_token" in told:
        assert told["token_type"] == "Bearer"
        assert old.userinfo(told["access_token"]).get_json()["sub"] == "0471"
    if "code" in told:
        again = old.verified(old.exchange(told["code"]).get_json()["id_token"])[1]
        assert again["sub"] == "0471"


def test_scope_profile_an_id_token_alone_has_all_claims(old: World) -> None:
    alone = in_fragment(old.signed_in().ask(response_type="id_token"))["id_token"]
    beside = in_fragment(old.signed_in().ask(response_type="id_token token"))["id_token"]
    assert old.verified(alone)[1]["email"] == "anne@assoc.example"
    assert "email" not in old.verified(beside)[1]


@pytest.mark.parametrize("kind", [kind for kind in TYPES if "id_token" in kind])
def test_ensure_request_without_nonce_fails(old: World, kind: str) -> None:
    assert in_fragment(old.signed_in().ask(response_type=kind, nonce=None))["error"] == "invalid_request"


@pytest.mark.parametrize("kind", TYPES)
def test_S5_the_switch_is_off(old: World, kind: str) -> None:
    told = in_fragment(old.signed_in().ask(client_id="new", response_type=kind))
    assert told["error"] == "unsupported_response_type"


@pytest.mark.parametrize("kind", ["token", "none", "code code", "x", "code x"])
def test_other_types_are_not_there_for_anybody(old: World, kind: str) -> None:
    response = old.signed_in().ask(response_type=kind)
    told = answer(response) or in_fragment(response)
    assert told["error"] == "unsupported_response_type"


def test_the_words_of_a_type_come_in_any_order(old: World) -> None:
    assert {"code", "id_token"} <= set(in_fragment(old.signed_in().ask(response_type="id_token code")))


@pytest.mark.parametrize("kind", TYPES)
def test_tokens_never_stand_in_a_query(old: World, kind: str) -> None:
    assert in_fragment(old.signed_in().ask(response_type=kind, response_mode="query"))["error"] == "invalid_request"


@pytest.mark.parametrize("kind", TYPES)
def test_formpost(old: World, kind: str) -> None:
    action, fields = posted(old.signed_in().ask(response_type=kind, response_mode="form_post"))
    assert action == CALLBACK
    assert set(fields) & {"code", "access_token", "id_token"}


def test_a_code_in_the_browser_still_needs_pkce_and_an_id_token_alone_does_not(old: World) -> None:
    without: dict[str, Any] = {"code_challenge": None, "code_challenge_method": None}
    assert in_fragment(old.signed_in().ask(response_type="code id_token", **without))["error"] == "invalid_request"
    assert "id_token" in in_fragment(old.signed_in().ask(response_type="id_token", **without))


def test_S48_a_token_of_the_browser_dies_with_the_session(old: World) -> None:
    visitor = old.signed_in()
    token = in_fragment(visitor.ask(response_type="id_token token"))["access_token"]
    old.logout.end(visitor.session_id(), reason="test")
    assert old.userinfo(token).status_code == 401


@pytest.mark.parametrize("kind", ["code token", "code id_token token"])
def test_S17_a_replayed_code_ends_the_token_that_came_beside_it(old: World, kind: str) -> None:
    visitor = old.signed_in()
    told, other = (in_fragment(visitor.ask(response_type=kind)) for _ in range(2))
    assert old.exchange(told["code"]).status_code == 200
    assert old.userinfo(told["access_token"]).status_code == 200
    assert old.exchange(told["code"]).get_json()["error"] == "invalid_grant"
    assert old.userinfo(told["access_token"]).status_code == 401
    assert old.userinfo(other["access_token"]).status_code == 200, "another sign-on's stays"


def test_RFC_8707_a_token_of_the_browser_is_for_the_resource_that_was_asked_for(make_world: MakeWorld) -> None:
    api = "https://api.example.org/"
    world = make_world(make_client(response_types=TYPES, tokens={"resources": (api,)}))
    token = in_fragment(world.signed_in().ask(response_type="id_token token", resource=api))["access_token"]
    assert world.userinfo(token).status_code == 401


def test_a_hint_of_another_member_is_refused_in_every_flow(old: World) -> None:
    hint = in_fragment(old.signed_in("bert").ask(response_type="id_token"))["id_token"]
    for kind in TYPES:
        assert in_fragment(old.signed_in().ask(response_type=kind, id_token_hint=hint))["error"] == "login_required"


def test_errors_come_back_in_the_fragment_too(old: World) -> None:
    assert in_fragment(old.browser().ask(response_type="id_token", prompt="none"))["error"] == "login_required"
