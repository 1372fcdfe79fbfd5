"""client_credentials, token exchange, member data at /oauth/me: what servers get without a member's password, and what they never get."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from werkzeug.test import TestResponse

from idp.directory import Subject
from idp.sso.client import Client
from idp.sso.consent import Consents
from idp.sso.settings import EntrySettings

from .conftest import MakeWorld
from .wiring import ANNE, BERT, URL, World, make_client

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
DATA = {"iqa:committees": ("committees=groups",), "iqa:board": {"on_board": {"from": "roles", "rule": "has", "any_of": ("Board",)}}}


def post(world: World, client: str = "server", **fields: str) -> TestResponse:
    return world.machine().post("/oauth/token", base_url=world.url, data=fields, auth=(client, f"{client}-secret"))


def good(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.get_json()
    return told


def error_of(response: TestResponse) -> str:
    return str(response.get_json()["error"])


def me(world: World, token: str) -> TestResponse:
    return world.machine().get("/oauth/me", base_url=world.url, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    service = make_client("server", grant_types=("client_credentials",), tokens={"service_scopes": ("reports", "iqa:committees")},
                          redirect_uris=(), member_data=DATA)  # fmt: skip
    relay = make_client("relay", grant_types=("authorization_code", EXCHANGE), tokens={"exchange_from": ("rp",)}, member_data=DATA)
    return make_world(make_client(member_data=DATA), service, relay, make_client("spa", public=True))


def test_client_credentials_gives_the_client_a_token_of_its_own(world: World) -> None:
    told = good(post(world, grant_type="client_credentials", scope="reports"))
    assert (told["scope"], told["expires_in"]) == ("reports", 600)
    assert not {"id_token", "refresh_token"} & set(told)
    auth = ("server", "server-secret")
    inspected = world.machine().post("/oauth/introspect", base_url=URL, data={"token": told["access_token"]}, auth=auth).get_json()
    assert (inspected["active"], inspected["sub"], inspected["client_id"]) == (True, "server", "server")


def test_S25_client_credentials_gives_no_scope_that_the_client_was_not_granted(world: World) -> None:
    assert error_of(post(world, grant_type="client_credentials", scope="reports openid")) == "invalid_scope"
    assert good(post(world, grant_type="client_credentials"))["scope"] == "reports iqa:committees"


def test_a_token_of_client_credentials_reads_nothing_about_any_member(world: World) -> None:
    world.signed_in()
    token = good(post(world, grant_type="client_credentials"))["access_token"]
    for response in (world.userinfo(token), me(world, token)):
        assert (response.status_code, error_of(response)) == (403, "insufficient_scope")
        assert "anne" not in response.text


@pytest.mark.parametrize("more", [{"username": "anne"}, {"sub": "0471"}, {"subject": "0471"}, {"login_hint": "anne"}])
def test_no_parameter_puts_a_member_behind_a_token_of_client_credentials(world: World, more: dict[str, str]) -> None:
    world.signed_in()
    token = good(post(world, grant_type="client_credentials", **more))["access_token"]
    assert me(world, token).status_code == 403


def test_a_public_client_cannot_be_given_client_credentials() -> None:
    with pytest.raises(ValidationError):
        make_client("spa", public=True, grant_types=("client_credentials",))


def test_S97_S98_a_granted_scope_reads_its_columns_of_the_token_s_member_and_nothing_else(world: World) -> None:
    token = world.signed_in().tokens(scope="openid iqa:committees")["access_token"]
    assert good(me(world, token)) == {"sub": "0471", "groups": ["Ethics", "Finance"]}


def test_S97_each_scope_opens_its_own_columns(world: World) -> None:
    token = world.signed_in().tokens(scope="openid iqa:committees iqa:board")["access_token"]
    assert good(me(world, token)) == {"sub": "0471", "groups": ["Ethics", "Finance"], "on_board": True}


def test_S97_without_such_a_scope_nothing_is_read(world: World) -> None:
    response = me(world, world.signed_in().tokens()["access_token"])
    assert (response.status_code, error_of(response)) == (403, "insufficient_scope")
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]


def test_S98_no_parameter_chooses_another_member(world: World) -> None:
    world.members.by_id["0472"] = Subject("0472", "bert", {**BERT.attributes, "committees": ("Secret",)})
    token = world.signed_in().tokens(scope="openid iqa:committees")["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    response = world.machine().get("/oauth/me?sub=0472&id=0472&imis_id=0472", base_url=URL, headers=headers)
    assert good(response)["groups"] == ["Ethics", "Finance"]


def test_S25_V49_a_scope_of_member_data_that_the_client_was_not_granted_gives_nothing(make_world: MakeWorld) -> None:
    world = make_world(make_client())
    token = world.signed_in().tokens(scope="openid iqa:committees")["access_token"]
    assert me(world, token).status_code == 403


def test_member_data_are_those_of_now(world: World) -> None:
    token = world.signed_in().tokens(scope="openid iqa:committees")["access_token"]
    world.members.by_id["0471"] = Subject("0471", "anne", {**ANNE.attributes, "committees": ("Golf",)})
    world.subjects.remember(world.members.by_id["0471"])
    assert good(me(world, token))["groups"] == ["Golf"]


def test_S48_S49_member_data_end_with_the_session_and_with_the_login(world: World) -> None:
    browser = world.signed_in()
    token = browser.tokens(scope="openid iqa:committees")["access_token"]
    world.logout.end(browser.session_id(), reason="test")
    assert me(world, token).status_code == 401
    token = world.signed_in().tokens(scope="openid iqa:committees")["access_token"]
    del world.members.by_id["0471"]
    world.store.delete("subject", "0471")
    response = me(world, token)
    assert (response.status_code, error_of(response)) == (401, "invalid_token")


@pytest.mark.parametrize(
    ("path", "readable"), [("/oauth/me", True), ("/oauth/device", True), ("/oauth/introspect", False), ("/device", False)]
)
def test_CORS_is_for_what_scripts_of_public_clients_call_and_for_nothing_else(world: World, path: str, readable: bool) -> None:
    for origin, known in (("https://rp.example.org", True), ("https://evil.example", False)):
        response = world.machine().post(path, base_url=URL, headers={"Origin": origin})
        assert ("Access-Control-Allow-Origin" in response.headers) is (readable and known)
        assert "Access-Control-Allow-Credentials" not in response.headers


def test_RFC_7009_what_a_member_takes_back_is_gone_with_its_refresh_token(make_world: MakeWorld) -> None:
    world = make_world(make_client(grant_types=("authorization_code", "refresh_token")), make_client("other"))
    browser = world.signed_in()
    mine, others = browser.tokens(), browser.tokens(client="other")
    world.protocol.withdraw("0471", "rp")
    assert world.userinfo(mine["access_token"]).status_code == 401
    assert error_of(post(world, "rp", grant_type="refresh_token", refresh_token=mine["refresh_token"])) == "invalid_grant"
    assert world.userinfo(others["access_token"]).status_code == 200


def exchange(world: World, token: str, client: str = "relay", **more: str) -> TestResponse:
    return post(world, client, grant_type=EXCHANGE, subject_token=token, **{"subject_token_type": ACCESS_TOKEN, **more})


def test_RFC_8693_a_client_exchanges_the_token_that_another_handed_to_it(world: World) -> None:
    browser = world.signed_in()
    token = browser.tokens(scope="openid email iqa:committees")["access_token"]
    world.now.seconds += 100
    told = good(exchange(world, token))
    assert told["issued_token_type"] == ACCESS_TOKEN
    assert told["expires_in"] == 500, "no longer than the token it came from"
    assert world.userinfo(told["access_token"]).get_json()["sub"] == "0471"
    auth = ("relay", "relay-secret")
    inspected = world.machine().post("/oauth/introspect", base_url=URL, data={"token": told["access_token"]}, auth=auth).get_json()
    assert (inspected["client_id"], inspected["act"]) == ("relay", {"sub": "relay"})


def test_RFC_8693_an_exchanged_token_dies_with_the_session_whose_end_the_client_is_told(world: World) -> None:
    browser = world.signed_in()
    told = good(exchange(world, browser.tokens()["access_token"]))
    session = world.sessions.get(browser.session_id())
    assert session
    assert session.participant("relay")
    world.logout.end(session.id, reason="test")
    assert world.userinfo(told["access_token"]).status_code == 401


def test_S14_an_exchange_wants_the_consent_that_a_sign_on_would_ask_for(make_world: MakeWorld) -> None:
    relay = make_client("relay", consent="ask", grant_types=("authorization_code", EXCHANGE), tokens={"exchange_from": ("rp",)})
    world = make_world(make_client(), relay)
    token = world.signed_in().tokens(scope="openid email")["access_token"]
    assert error_of(exchange(world, token)) == "invalid_request"
    assert world.audit.last["cause"] == "oidc.exchange_consent"
    Consents(world.store, now=world.now).give("0471", relay, {"email", *relay.release.names})
    assert "access_token" in good(exchange(world, token))


def test_S14_what_a_member_takes_back_from_one_client_ends_what_others_got_in_exchange_and_not_the_reverse(world: World) -> None:
    browser = world.signed_in()
    token = browser.tokens()["access_token"]
    theirs = good(exchange(world, token))["access_token"]
    world.protocol.withdraw("0471", "relay")
    assert (world.userinfo(theirs).status_code, world.userinfo(token).status_code) == (401, 200)
    theirs = good(exchange(world, token))["access_token"]
    world.protocol.withdraw("0471", "rp")
    assert (world.userinfo(theirs).status_code, world.userinfo(token).status_code) == (401, 401)


def test_S25_V49_an_exchange_never_widens(world: World) -> None:
    token = world.signed_in().tokens(scope="openid email")["access_token"]
    assert error_of(exchange(world, token, scope="openid profile")) == "invalid_scope"
    assert good(exchange(world, token))["scope"] == "openid email"


def test_RFC_8693_what_may_not_be_exchanged_is_refused_in_one_sentence(world: World) -> None:
    service = good(post(world, grant_type="client_credentials"))["access_token"]
    own = world.signed_in().tokens(client="relay")["access_token"]
    for token in (service, own, "made-up"):
        response = exchange(world, token)
        assert (response.status_code, error_of(response)) == (400, "invalid_request")


@pytest.mark.parametrize(
    "more",
    [{"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}, {"actor_token": "x"}, {"audience": "rp"},
     {"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, {"resource": "https://evil.example/"}],
)  # fmt: skip
def test_RFC_8693_other_kinds_are_refused(world: World, more: dict[str, str]) -> None:
    token = world.signed_in().tokens()["access_token"]
    assert exchange(world, token, **more).status_code == 400


def test_RFC_8693_entry_rules_of_the_exchanging_client_hold(make_world: MakeWorld) -> None:
    relay = make_client("relay", grant_types=("authorization_code", EXCHANGE), tokens={"exchange_from": ("rp",)})
    strict = Client(**{**vars(relay), "entry": EntrySettings(member_types=("STAFF",))})
    world = make_world(make_client(), strict)
    assert error_of(exchange(world, world.signed_in().tokens()["access_token"])) == "invalid_grant"


def test_guessing_of_client_secrets_is_throttled_by_client_and_address(world: World) -> None:
    def guess(secret: str, client: str = "rp") -> TestResponse:
        return world.machine().post("/oauth/token", base_url=URL, data={"grant_type": "client_credentials"}, auth=(client, secret))

    assert {guess(f"wrong {number}").status_code for number in range(30)} == {401}
    refused = guess("rp-secret")
    assert (refused.status_code, error_of(refused)) == (429, "invalid_client"), "a right guess does not count any more"
    assert int(refused.headers["Retry-After"]) <= 60
    assert guess("server-secret", "server").status_code == 200, "another client of the same network goes on"
    world.now.seconds += 61
    assert error_of(guess("rp-secret")) == "unauthorized_client"
