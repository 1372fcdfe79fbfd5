"""Clients that register themselves (RFC 7591, RFC 7592, OpenID Connect Registration)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from werkzeug.test import TestResponse

from idp.protocols.oidc.assertion import ASSERTION_TYPE
from idp.protocols.oidc.settings import OidcServerSettings
from idp.secret import digest

from .conftest import MakeWorld
from .holder import Holder
from .wiring import CALLBACK, URL, VERIFIER, World, answer

INITIAL = "an-initial-access-token"
MINE = {"redirect_uris": [CALLBACK], "client_name": "My app"}


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """Registration is on."""
    return make_world(oidc=OidcServerSettings(registration=True, registration_tokens_sha256=(digest(INITIAL),)))


def call(world: World, method: str, path: str, token: str, document: Any = None) -> TestResponse:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return world.machine().open(path.removeprefix(URL), method=method, base_url=URL, headers=headers, json=document)


def register(world: World, token: str = INITIAL, **more: Any) -> TestResponse:
    return call(world, "POST", "/oauth/register", token, {**MINE, **more})


def registered(world: World, **more: Any) -> dict[str, Any]:
    response = register(world, **more)
    assert response.status_code == 201, response.text
    told: dict[str, Any] = response.get_json()
    return told


def error_of(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def test_RFC_7591_a_registered_client_signs_its_members_in(world: World) -> None:
    told = registered(world, token_endpoint_auth_method="client_secret_basic")
    assert (told["client_name"], told["client_secret_expires_at"], told["redirect_uris"]) == ("My app", 0, [CALLBACK])
    visitor = world.signed_in()
    page = visitor.ask(client_id=told["client_id"])
    assert "Share with My app?" in page.text, "S14: its members are asked"


def test_S125_nobody_registers_without_a_token_of_the_association(world: World) -> None:
    for token in ("", "wrong", digest(INITIAL)):
        assert error_of(register(world, token)) == (401, "invalid_token")
    assert world.clients.snapshot().clients == {}


def test_S125_registration_is_off_unless_it_is_turned_on(make_world: MakeWorld) -> None:
    world = make_world()
    assert register(world).status_code == 401
    assert "registration_endpoint" not in json.loads(world.protocol.documents.discovery)


def test_discovery_names_the_endpoint_where_it_is_on(world: World) -> None:
    assert json.loads(world.protocol.documents.discovery)["registration_endpoint"] == f"{URL}/oauth/register"


def test_registration_cannot_be_on_without_tokens() -> None:
    with pytest.raises(ValueError, match="needs registration_tokens_sha256"):
        OidcServerSettings(registration=True)


def test_of_secret_and_token_only_a_digest_is_kept(world: World) -> None:
    told = registered(world)
    kept = json.dumps([each.record for kind in ("client", "registration") for each in world.store.list(kind)])
    assert told["client_secret"] not in kept
    assert told["registration_access_token"] not in kept
    assert INITIAL not in json.dumps(world.audit.lines)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"redirect_uris": [f"{CALLBACK}#x"]}, "invalid_redirect_uri"),  # oidcc-redirect-uri-regfrag
    ({"redirect_uris": ["http://rp.example.org/cb"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["javascript:alert(1)"]}, "invalid_redirect_uri"),
    ({"redirect_uris": ["https://*.example.org/cb"]}, "invalid_redirect_uri"),
    ({"redirect_uris": CALLBACK}, "invalid_redirect_uri"),
    ({"redirect_uris": []}, "invalid_redirect_uri"),
    ({"initiate_login_uri": "http://127.0.0.1/start"}, "invalid_client_metadata"),  # oidcc-3rd_party-init-login-nohttps
    ({"grant_types": ["authorization_code", "client_credentials"]}, "invalid_client_metadata"),
    ({"response_types": ["code", "token"]}, "invalid_client_metadata"),
    ({"id_token_signed_response_alg": "none"}, "invalid_client_metadata"),  # oidcc-idtoken-unsigned
    ({"id_token_signed_response_alg": "ES256"}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "private_key_jwt"}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "client_secret_jwt"}, "invalid_client_metadata"),
    ({"jwks": {"keys": []}, "jwks_uri": "https://rp.example.org/jwks"}, "invalid_client_metadata"),
    ({"jwks_uri": "http://169.254.169.254/"}, "invalid_client_metadata"),
    ({"subject_type": "other"}, "invalid_client_metadata"),
    ({"client_name": 7}, "invalid_client_metadata"),
    ({"introspection_signed_response_alg": "EdDSA"}, "invalid_client_metadata"),
    ({"introspection_encrypted_response_alg": "RSA-OAEP-256"}, "invalid_client_metadata"),
    ({"token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "rp.example.org"}, "invalid_client_metadata"),
    ({"tls_client_certificate_bound_access_tokens": True}, "invalid_client_metadata"),
    ({"require_signed_request_object": True}, "invalid_client_metadata"),
]


@pytest.mark.parametrize(("more", "error"), BAD)
def test_S3_a_document_that_cannot_be_honoured_is_refused(world: World, more: dict[str, Any], error: str) -> None:
    assert error_of(register(world, **more)) == (400, error)
    assert world.store.list("client") == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b"[" * 9000, b"\xff"])
def test_a_body_that_is_no_object_is_refused(world: World, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {INITIAL}", "Content-Type": "application/json"}
    assert error_of(world.machine().post("/oauth/register", base_url=URL, data=body, headers=headers)) == (400, "invalid_client_metadata")


SECTOR = "https://sector.example.org/uris.json"


def test_registration_sector_uri(world: World) -> None:
    world.web.pages[SECTOR] = json.dumps([CALLBACK, "https://other.example.org/cb"]).encode()
    assert registered(world, subject_type="pairwise", sector_identifier_uri=SECTOR)["subject_type"] == "pairwise"


@pytest.mark.parametrize("listed", [None, b'["https://other.example.org/cb"]', b"{}", b"[[]]", b"x"])
def test_registration_sector_bad(world: World, listed: bytes | None) -> None:
    if listed is not None:
        world.web.pages[SECTOR] = listed
    response = register(world, subject_type="pairwise", sector_identifier_uri=SECTOR)
    assert error_of(response) == (400, "invalid_client_metadata")


def test_3rd_party_init_login_the_address_is_kept_and_told_again(world: World) -> None:
    uri = "https://rp.example.org/start"
    told = registered(world, initiate_login_uri=uri)
    again = call(world, "GET", told["registration_client_uri"], told["registration_access_token"])
    assert told["initiate_login_uri"] == again.get_json()["initiate_login_uri"] == uri


def test_RFC_7592_a_client_reads_itself_and_no_other(world: World) -> None:
    one, two = registered(world), registered(world)
    again = call(world, "GET", one["registration_client_uri"], one["registration_access_token"])
    assert again.get_json() == {name: value for name, value in one.items() if not name.startswith("client_secret")}
    assert again.headers["Cache-Control"] == "no-store"
    for token in (two["registration_access_token"], INITIAL, ""):
        for method in ("GET", "PUT", "DELETE"):
            assert error_of(call(world, method, one["registration_client_uri"], token)) == (401, "invalid_token")


def test_RFC_7592_a_client_changes_itself(world: World) -> None:
    told = registered(world, policy_uri="https://rp.example.org/policy")
    other = "https://rp.example.org/new"
    document = {"client_id": told["client_id"], "client_secret": told["client_secret"], "redirect_uris": [other]}
    changed = call(world, "PUT", told["registration_client_uri"], told["registration_access_token"], document)
    assert changed.status_code == 200, changed.text
    assert changed.get_json()["redirect_uris"] == [other]
    assert "policy_uri" not in changed.get_json(), "the new document takes the place of the old one"
    client = world.clients.get(told["client_id"])
    assert client is not None
    assert client.settings.redirect_uris == (other,)
    assert client.secrets == (digest(told["client_secret"]),)


def test_RFC_7592_2_2_a_client_that_moves_to_a_secret_is_told_a_new_one_which_works(world: World) -> None:
    told = registered(world, token_endpoint_auth_method="private_key_jwt", jwks=Holder("RS256").jwks)
    assert "client_secret" not in told
    document = {**MINE, "client_id": told["client_id"], "token_endpoint_auth_method": "client_secret_basic"}
    path, token = told["registration_client_uri"], told["registration_access_token"]
    secret = call(world, "PUT", path, token, document).get_json()["client_secret"]
    response = world.exchange("x", client=told["client_id"], secret=secret)
    assert error_of(response) == (400, "invalid_grant"), "it is known; only the code is not good"
    assert "client_secret" not in call(world, "PUT", path, token, document).get_json(), "told once"


@pytest.mark.parametrize(
    "more", [{"client_id": "other"}, {"registration_access_token": "x"}, {"client_secret": "x"}, {"redirect_uris": []}]
)
def test_RFC_7592_a_bad_change_changes_nothing(world: World, more: dict[str, Any]) -> None:
    told = registered(world)
    document = {**MINE, "client_id": told["client_id"], **more}
    assert call(world, "PUT", told["registration_client_uri"], told["registration_access_token"], document).status_code == 400
    client = world.clients.get(told["client_id"])
    assert client is not None
    assert client.settings.redirect_uris == (CALLBACK,)


def test_RFC_7592_a_client_removes_itself(world: World) -> None:
    told = registered(world)
    path, token = told["registration_client_uri"], told["registration_access_token"]
    assert call(world, "DELETE", path, token).status_code == 204
    assert world.clients.get(told["client_id"]) is None
    assert call(world, "GET", path, token).status_code == 401
    assert world.store.list("registration") == []


def test_registration_jwks_uri_a_registered_client_proves_itself_with_its_key(world: World) -> None:
    holder, uri = Holder("RS256"), "https://rp.example.org/jwks"
    world.web.pages[uri] = json.dumps(holder.jwks).encode()
    told = registered(world, token_endpoint_auth_method="private_key_jwt", jwks_uri=uri)
    assert "client_secret" not in told
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    form |= {"client_assertion": holder.assertion(world, told["client_id"]), "client_assertion_type": ASSERTION_TYPE}
    response = world.machine().post("/oauth/token", base_url=URL, data=form)
    assert error_of(response) == (400, "invalid_grant"), "it is known; only the code is not good"


def test_registration_policy_uri_and_tos_uri_are_linked_where_members_are_asked(world: World) -> None:
    told = registered(world, policy_uri="https://rp.example.org/policy", tos_uri="https://rp.example.org/terms")
    page = world.signed_in().ask(client_id=told["client_id"]).text
    assert 'href="https://rp.example.org/policy"' in page
    assert 'href="https://rp.example.org/terms"' in page


def test_default_max_age_holds_where_a_request_does_not_say(world: World) -> None:
    told = registered(world, default_max_age=100)
    visitor = world.signed_in()
    world.now.seconds += 101
    assert "/login?" in visitor.ask(client_id=told["client_id"]).location
    assert "Share with" in visitor.ask(client_id=told["client_id"], max_age="1000").text
    assert answer(visitor.ask(client_id=told["client_id"], prompt="none"))["error"] == "login_required"
