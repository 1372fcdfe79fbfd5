"""Access tokens: opaque and JWT, what they are good for, and who may learn of them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from authlib.jose import JsonWebToken
from werkzeug.test import TestResponse

from idp.protocols.oidc.grant.seal import seal, unseal

from .conftest import MakeWorld
from .wiring import URL, World, make_client

API, FILES = "https://api.example.org/", "https://files.example.org/v1"
JWT = {"access_token": "jwt", "resources": (API, FILES)}


def inspect(world: World, token: str, client: str = "rp", **headers: str) -> TestResponse:
    auth = (client, f"{client}-secret")
    response = world.machine().post("/oauth/introspect", base_url=world.url, data={"token": token}, auth=auth, headers=headers)
    assert response.status_code == 200, response.text
    return response


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(make_client(tokens=JWT), make_client("api", tokens={"introspects": (API,)}), make_client("other"))


def test_S34_RFC_9068_a_jwt_access_token_is_typed_and_complete(world: World) -> None:
    tokens = world.signed_in().tokens(scope="openid email", resource=API)
    header, claims = world.verified(tokens["access_token"])
    assert (header["typ"], header["kid"]) == ("at+jwt", world.keys.current.kid)
    assert {name: claims[name] for name in ("iss", "sub", "aud", "client_id", "scope", "iat", "exp", "auth_time")} == {
        "iss": URL,
        "sub": "0471",
        "aud": API,
        "client_id": "rp",
        "scope": "openid email",
        "iat": world.now(),
        "exp": world.now() + 600,
        "auth_time": world.now(),
    }
    assert claims["jti"]


def test_S34_a_jwt_access_token_holds_nothing_of_the_member_beyond_their_identifier(world: World) -> None:
    token = world.signed_in().tokens(scope="openid email profile")["access_token"]
    assert "anne" not in json.dumps(world.verified(token)[1])


def test_S34_without_a_resource_the_audience_is_ourselves_and_userinfo_takes_it(world: World) -> None:
    token = world.signed_in().tokens(scope="openid email")["access_token"]
    assert world.verified(token)[1]["aud"] == URL
    assert world.userinfo(token).get_json()["email"] == "anne@assoc.example"


def test_S34_RFC_8707_a_token_for_another_resource_reads_nothing_here(world: World) -> None:
    token = world.signed_in().tokens(scope="openid email", resource=API)["access_token"]
    assert world.userinfo(token).status_code == 401


def test_RFC_8707_a_resource_that_the_client_may_not_have_is_refused(world: World) -> None:
    browser = world.signed_in()
    response = browser.ask(resource="https://evil.example/")
    assert "invalid_target" in response.location
    code = browser.code(resource=API)
    refused = world.exchange(code, resource=FILES)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_target")


def test_S31_S48_a_jwt_that_was_revoked_or_whose_session_is_over_is_dead_here(world: World) -> None:
    browser = world.signed_in()
    revoked, ended = (browser.tokens()["access_token"] for _ in range(2))
    world.machine().post("/oauth/revoke", base_url=URL, data={"token": revoked}, auth=("rp", "rp-secret"))
    assert world.userinfo(revoked).status_code == 401
    assert world.userinfo(ended).status_code == 200
    world.logout.end(browser.session_id(), reason="test")
    assert world.userinfo(ended).status_code == 401


def test_S35_V43_a_jwt_whose_content_was_changed_is_no_token(world: World) -> None:
    token = world.signed_in().tokens()["access_token"]
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "0472"}).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').rstrip(b"=").decode()
    for forged in (f"{header}.{changed}.{signature}", f"{none}.{payload}.", f"{header}.{payload}.", f"{header}.{payload}.{signature}x"):
        assert world.userinfo(forged).status_code == 401


@pytest.mark.parametrize("payload", ["", "x", "[]", "1", '{"jti": 1}', '{"jti": {"$gt": ""}}', '{"jti": "_x"}', "[" * 9000])
def test_V58_what_looks_like_a_jwt_and_is_none_is_refused_and_never_a_500(world: World, payload: str) -> None:
    part = base64.urlsafe_b64encode(payload.encode()).rstrip(b"=").decode()
    assert world.userinfo(f"a.{part}.b").status_code == 401


def test_a_refresh_token_is_no_access_token(make_world: MakeWorld) -> None:
    world = make_world(make_client(grant_types=("authorization_code", "refresh_token")))
    token = world.signed_in().tokens()["refresh_token"]
    assert world.userinfo(token).status_code == 401


def test_the_life_of_access_tokens_is_the_client_s(make_world: MakeWorld) -> None:
    world = make_world(make_client(tokens={"access_token_life": 60}))
    tokens = world.signed_in().tokens()
    assert tokens["expires_in"] == 60
    world.now.seconds += 59
    assert world.userinfo(tokens["access_token"]).status_code == 200
    world.now.seconds += 1
    assert world.userinfo(tokens["access_token"]).status_code == 401


def test_RFC_7662_a_resource_server_learns_of_tokens_for_its_resource_and_of_no_others(world: World) -> None:
    browser = world.signed_in()
    for_api, for_files, for_us = (browser.tokens(resource=resource)["access_token"] for resource in (API, FILES, None))
    told = inspect(world, for_api, "api").get_json()
    assert (told["active"], told["client_id"], told["sub"], told["aud"]) == (True, "rp", "0471", API)
    for token, client in ((for_files, "api"), (for_us, "api"), (for_api, "other")):
        assert inspect(world, token, client).get_json() == {"active": False}


def test_RFC_9701_introspection_comes_signed_for_whoever_asks_for_that(world: World) -> None:
    token = world.signed_in().tokens()["access_token"]
    response = inspect(world, token, Accept="application/token-introspection+jwt")
    assert response.content_type == "application/token-introspection+jwt"
    keys = world.machine().get("/oauth/jwks", base_url=URL).get_json()
    claims: Any = JsonWebToken(["RS256"]).decode(response.data, keys)
    assert claims.header["typ"] == "token-introspection+jwt"
    assert (claims["iss"], claims["aud"], claims["token_introspection"]["active"]) == (URL, "rp", True)
    assert "exp" not in claims, "RFC 9701 §5: or somebody takes it for an access token"


def test_a_sealed_text_opens_under_its_own_token_alone() -> None:
    sealed = seal("successor", under="token")
    assert unseal(sealed, under="token") == "successor"
    assert "successor" not in sealed
    for other, text in (("other", sealed), ("token", sealed[:-4] + "AAAA"), ("token", ""), ("token", "x"), ("token", "x.y")):
        assert unseal(text, under=other) is None
