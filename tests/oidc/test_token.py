"""The token, revocation and introspection endpoints."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import threading
from typing import Any, get_args
from urllib.parse import quote, urlencode

import pytest
from werkzeug.test import TestResponse

from idp.errors import Unavailable
from idp.protocols.oidc.error import OAuthError, describe
from idp.protocols.oidc.grant.settings import GrantName
from idp.sso.session import PASSWORD as BY_PASSWORD

from .conftest import MakeWorld
from .wiring import CALLBACK, URL, VERIFIER, World, make_client


def post_token(world: World, authorization: str = "", **fields: str) -> TestResponse:
    headers = {"Authorization": authorization} if authorization else {}
    return world.machine().post("/oauth/token", base_url=world.url, data=fields, headers=headers)


def exchange_of(code: str, **more: str) -> dict[str, str]:
    return {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **more}


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def error_of(response: TestResponse) -> str:
    assert response.status_code in (400, 401), response.text
    return str(response.get_json()["error"])


def test_S33_the_id_token_is_complete_typed_and_verifies_against_our_keys(world: World) -> None:
    browser = world.signed_in()
    tokens = browser.tokens()
    header, claims = world.verified(tokens["id_token"])
    assert header == {"alg": "RS256", "kid": world.keys.current.kid, "typ": "JWT"}
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert claims == {
        "iss": URL,
        "sub": "0471",
        "aud": "rp",
        "iat": world.now(),
        "exp": world.now() + 3600,
        "auth_time": world.now(),
        "nonce": "a nonce",
        "sid": claims["sid"],  # test_session_name says of what it is made
        "acr": BY_PASSWORD,
        "amr": ["pwd"],
        "at_hash": base64.urlsafe_b64encode(half).rstrip(b"=").decode(),
    }


def test_S29_the_token_answer_says_what_was_granted_and_is_never_cached(world: World) -> None:
    response = world.exchange(world.signed_in().code(scope="openid email admin"))
    tokens = response.get_json()
    assert {name: tokens[name] for name in ("token_type", "expires_in", "scope")} == {
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "openid email",
    }
    assert response.headers["Cache-Control"] == "no-store"
    assert "refresh_token" not in tokens


def test_ensure_request_without_nonce_succeeds_for_code_flow(world: World) -> None:
    assert "nonce" not in world.verified(world.signed_in().tokens(nonce=None)["id_token"])[1]


def test_plain_oauth_gets_no_id_token(world: World) -> None:
    assert "id_token" not in world.signed_in().tokens(scope="profile")


def test_H4_S16_of_parallel_exchanges_of_one_code_one_wins(world: World) -> None:
    code = world.signed_in().code()
    statuses: list[int] = []
    gate = threading.Barrier(8)

    def redeem() -> None:
        gate.wait()
        statuses.append(world.exchange(code).status_code)

    threads = [threading.Thread(target=redeem) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [400] * 7


def test_H3_S17_V39_a_replayed_code_is_refused_and_takes_its_token_with_it(world: World) -> None:
    code = world.signed_in().code()
    access_token = world.exchange(code).get_json()["access_token"]
    assert world.userinfo(access_token).status_code == 200
    assert error_of(world.exchange(code)) == "invalid_grant"
    assert world.audit.last["cause"] == "ticket.replayed"
    assert world.userinfo(access_token).status_code == 401


def test_S17_a_replay_kills_the_token_even_while_it_is_being_issued(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    code = world.signed_in().code()
    issue = world.store.put_new
    replays: list[int] = []

    def late(kind: str, *arguments: Any, **keywords: Any) -> bool:
        if kind == "token" and not replays:
            replays.append(0)  # the replay comes between the winner's taking of the code and its token
            replays[0] = world.exchange(code).status_code
        return issue(kind, *arguments, **keywords)

    monkeypatch.setattr(world.store, "put_new", late)
    winner = world.exchange(code)
    assert (winner.status_code, replays) == (200, [400])
    assert world.userinfo(winner.get_json()["access_token"]).status_code == 401


def test_S17_a_replay_leaves_the_tokens_of_other_codes_alone(world: World) -> None:
    browser = world.signed_in()
    code, other = browser.code(), browser.tokens()["access_token"]
    world.exchange(code)
    world.exchange(code)
    assert world.userinfo(other).status_code == 200


def test_S18_a_code_lives_60_seconds(world: World) -> None:
    browser = world.signed_in()
    young, old = browser.code(), browser.code()
    world.now.seconds += 59
    assert world.exchange(young).status_code == 200
    world.now.seconds += 1
    assert error_of(world.exchange(old)) == "invalid_grant"


def test_S19_a_code_is_for_its_redirect_uri(make_world: MakeWorld) -> None:
    other = "https://rp.example.org/other"
    world = make_world(make_client(redirect_uris=(CALLBACK, other)))
    browser = world.signed_in()
    assert error_of(world.exchange(browser.code(), redirect_uri=other)) == "invalid_grant"
    assert error_of(world.exchange(browser.code(), redirect_uri=None)) == "invalid_grant"


def test_S19_V39_a_code_is_for_its_client_and_spent_by_another(make_world: MakeWorld) -> None:
    world = make_world(make_client(), make_client("thief"))
    code = world.signed_in().code()
    assert error_of(world.exchange(code, client="thief")) == "invalid_grant"
    assert error_of(world.exchange(code)) == "invalid_grant"


def test_S19_a_code_dies_with_its_session(world: World) -> None:
    browser = world.signed_in()
    code = browser.code()
    world.logout.end(browser.session_id(), reason="test")
    assert error_of(world.exchange(code)) == "invalid_grant"


@pytest.mark.parametrize("verifier", [None, "", "w" * 43, "v" * 42, "v" * 44, "ü" * 43, "v" * 129])
def test_S20_V38_a_missing_or_wrong_verifier_is_refused(world: World, verifier: str | None) -> None:
    assert error_of(world.exchange(world.signed_in().code(), code_verifier=verifier)) == "invalid_grant"


def test_H11_S21_V38_a_verifier_without_a_challenge_is_refused(make_world: MakeWorld) -> None:
    world = make_world(make_client(require_pkce=False))
    browser = world.signed_in()
    without = {"code_challenge": None, "code_challenge_method": None}
    assert error_of(world.exchange(browser.code(**without))) == "invalid_grant"
    assert world.exchange(browser.code(**without), code_verifier=None).status_code == 200


def test_S27_the_secret_may_come_in_the_header_or_in_the_body(world: World) -> None:
    browser = world.signed_in()
    assert post_token(world, basic("rp", "rp-secret"), **exchange_of(browser.code())).status_code == 200
    assert post_token(world, **exchange_of(browser.code(), client_id="rp", client_secret="rp-secret")).status_code == 200
    assert post_token(world, basic("rp", "rp-secret").replace("Basic", "bASIC"), **exchange_of(browser.code())).status_code == 200


@pytest.mark.parametrize(
    ("method", "in_header", "in_body"),
    [("any_secret", 200, 200), ("client_secret_basic", 200, 401), ("client_secret_post", 401, 200)],
)
def test_S27_a_client_may_be_held_to_one_method(make_world: MakeWorld, method: str, in_header: int, in_body: int) -> None:
    world = make_world(make_client(token_endpoint_auth_method=method))
    browser = world.signed_in()
    assert post_token(world, basic("rp", "rp-secret"), **exchange_of(browser.code())).status_code == in_header
    assert post_token(world, **exchange_of(browser.code(), client_id="rp", client_secret="rp-secret")).status_code == in_body


@pytest.mark.parametrize("secret", ["a:b", "a b", "a+b", "a%b", "ä€", "a%3Ab", "a%zz"])
@pytest.mark.parametrize("encoded", [True, False])
def test_H10_S27_secrets_with_odd_characters_work_form_encoded_or_as_they_are(make_world: MakeWorld, secret: str, encoded: bool) -> None:
    world = make_world(make_client(secret=secret))
    sent = quote(secret, safe="") if encoded else secret
    assert post_token(world, basic("rp", sent), **exchange_of(world.signed_in().code())).status_code == 200


@pytest.mark.parametrize(
    "header",
    [basic("rp", "wrong"), basic("rp", ""), basic("nobody", "rp-secret"), "Basic !", "Basic",
     "Basic " + base64.b64encode(b"rp").decode(), "Bearer x",
     "Basic " + base64.b64encode(b"\xff:\xff").decode(), "Digest username=rp", basic("rp", "rp-secret") + "x", "Basic ü", ":"],
)  # fmt: skip
def test_H10_S27_a_header_that_proves_nothing_is_invalid_client(world: World, header: str) -> None:
    response = post_token(world, header, **exchange_of("x"))
    assert (error_of(response), response.status_code) == ("invalid_client", 401)
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "fields",
    [{}, {"client_id": "rp"}, {"client_id": "rp", "client_secret": "wrong"}, {"client_id": "nobody", "client_secret": "rp-secret"}],
)
def test_S27_a_body_that_proves_nothing_is_invalid_client(world: World, fields: dict[str, str]) -> None:
    code = world.signed_in().code()
    assert error_of(post_token(world, **exchange_of(code, **fields))) == "invalid_client"
    assert world.exchange(code).status_code == 200, "a client that proves nothing spends no code"


def test_S27_two_methods_or_two_clients_at_once_are_refused(world: World) -> None:
    header = basic("rp", "rp-secret")
    assert error_of(post_token(world, header, **exchange_of("x", client_secret="rp-secret"))) == "invalid_request"
    assert error_of(post_token(world, header, **exchange_of("x", client_id="other"))) == "invalid_client"


def test_S20_a_public_client_needs_no_secret_and_must_not_have_one(make_world: MakeWorld) -> None:
    world = make_world(make_client("spa", public=True))
    browser = world.signed_in()
    assert post_token(world, **exchange_of(browser.code(client_id="spa"), client_id="spa")).status_code == 200
    assert post_token(world, basic("spa", ""), **exchange_of(browser.code(client_id="spa"))).status_code == 200
    assert error_of(post_token(world, **exchange_of("x", client_id="spa", client_secret="made up"))) == "invalid_client"


@pytest.mark.parametrize("grant", ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"])
def test_S5_grants_that_hand_over_passwords_or_do_not_exist_are_not_offered(world: World, grant: str) -> None:
    fields = {"grant_type": grant, "username": "anne", "password": "x"}
    assert error_of(post_token(world, basic("rp", "rp-secret"), **fields)) == "unsupported_grant_type"


@pytest.mark.parametrize("grant", [name for name in get_args(GrantName) if name != "authorization_code"])
def test_S26_a_client_uses_no_grant_that_it_was_not_given(world: World, grant: str) -> None:
    assert error_of(post_token(world, basic("rp", "rp-secret"), grant_type=grant, refresh_token="x")) == "unauthorized_client"


def test_S15_a_repeated_parameter_is_refused(world: World) -> None:
    body = "grant_type=authorization_code&code=x&code=y"
    response = world.machine().post(
        "/oauth/token", base_url=URL, data=body, content_type="application/x-www-form-urlencoded", auth=("rp", "rp-secret")
    )
    assert error_of(response) == "invalid_request"


def test_a_request_without_grant_or_code_is_invalid(world: World) -> None:
    header = basic("rp", "rp-secret")
    assert error_of(post_token(world, header, code="x")) == "invalid_request"
    assert error_of(post_token(world, header, grant_type="authorization_code")) == "invalid_request"


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", ""])
def test_S121_a_body_that_does_not_say_it_is_a_form_is_not_read_as_one(world: World, kind: str) -> None:
    body = urlencode(exchange_of(world.signed_in().code()))
    headers = {"Authorization": basic("rp", "rp-secret")}
    response = world.machine().post("/oauth/token", base_url=URL, data=body, content_type=kind, headers=headers)
    assert error_of(response) == "invalid_request"


def test_the_token_endpoint_takes_no_get(world: World) -> None:
    assert world.machine().get("/oauth/token", base_url=URL).status_code == 405


def test_S30_G_S10_no_error_audit_or_log_line_holds_a_code_token_or_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    browser = world.signed_in()
    code = browser.code()
    tokens = world.exchange(code).get_json()
    replayed = world.exchange(code, code_verifier="w" * 43)
    world.userinfo(tokens["access_token"])
    post_token(world, basic("rp", "a-wrong-secret"), **exchange_of(code))
    written = caplog.text + json.dumps(world.audit.lines) + replayed.text
    for secret in (code, tokens["access_token"], tokens["id_token"], "rp-secret", "a-wrong-secret", VERIFIER, "anne@assoc.example"):
        assert secret not in written


def test_the_store_keeps_neither_codes_nor_tokens_in_the_clear(world: World) -> None:
    code = world.signed_in().code()
    kept = json.dumps([(stored.key, stored.record) for stored in world.store.list("code")])
    token = world.exchange(code).get_json()["access_token"]
    kept += json.dumps([(stored.key, stored.record) for kind in ("token", "spent") for stored in world.store.list(kind)])
    assert code not in kept
    assert token not in kept


def test_an_error_has_a_reference_and_only_permitted_characters(world: World) -> None:
    body = post_token(world, basic("rp", "wrong")).get_json()
    assert world.audit.last["reference"] in body["error_description"]
    assert world.audit.last["cause"] == "oidc.client_authentication"
    assert not set(describe(OAuthError("x", "x", 'a "b" “c” \\ ä\n'), "K7Q2-42QX")) & set('"\\“”ä\n')


def test_a_database_that_is_away_is_a_503_in_the_protocol_s_own_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object, **__: object) -> None:
        raise Unavailable("store.unavailable", "The database is away.", retry_after=5)

    code = world.signed_in().code()
    monkeypatch.setattr(world.store, "put_new", away)
    response = world.exchange(code)
    assert (response.status_code, response.get_json()["error"], response.headers["Retry-After"]) == (503, "temporarily_unavailable", "5")


def introspect(world: World, token: str, client: str = "rp") -> dict[str, Any]:
    response = world.machine().post("/oauth/introspect", base_url=URL, data={"token": token}, auth=(client, f"{client}-secret"))
    assert response.status_code == 200
    told: dict[str, Any] = response.get_json()
    return told


def test_S31_introspection_tells_a_client_of_its_own_live_token(world: World) -> None:
    browser = world.signed_in()
    token = browser.tokens()["access_token"]
    assert introspect(world, token) == {
        "active": True,
        "token_type": "Bearer",
        "client_id": "rp",
        "sub": "0471",
        "scope": "openid profile email",
        "aud": URL,
        "iss": URL,
        "iat": world.now(),
        "exp": world.now() + 600,
        "jti": token.partition(".")[0],
    }
    world.logout.end(browser.session_id(), reason="test")
    assert introspect(world, token) == {"active": False}


def test_S31_introspection_says_nothing_of_others_and_asks_who_asks(make_world: MakeWorld) -> None:
    world = make_world(make_client(), make_client("other"), make_client("spa", public=True))
    token = world.signed_in().tokens()["access_token"]
    assert introspect(world, token, "other") == {"active": False}
    assert introspect(world, "made-up") == {"active": False}
    for fields in ({}, {"client_id": "spa"}):
        assert error_of(world.machine().post("/oauth/introspect", base_url=URL, data={"token": token, **fields})) == "invalid_client"


def test_S31_a_revoked_token_is_dead_and_only_its_client_can_revoke_it(make_world: MakeWorld) -> None:
    world = make_world(make_client(), make_client("other"))
    token = world.signed_in().tokens()["access_token"]

    def revoke(client: str) -> int:
        return world.machine().post("/oauth/revoke", base_url=URL, data={"token": token}, auth=(client, f"{client}-secret")).status_code

    assert revoke("other") == 200
    assert world.userinfo(token).status_code == 200
    assert revoke("rp") == 200
    assert world.userinfo(token).status_code == 401
    assert revoke("rp") == 200
    assert error_of(world.machine().post("/oauth/revoke", base_url=URL, data={"token": token})) == "invalid_client"
