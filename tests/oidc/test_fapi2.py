"""`profile = "fapi2"`: modules of fapi2-security-profile-final (private_key_jwt, DPoP). Those about PAR alone, DPoP proofs
and client assertions for all clients are in test_pushed, test_dpop and test_client_authentication."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pytest
from pydantic import ValidationError
from werkzeug.test import TestResponse

from idp.protocols.oidc.assertion import ASSERTION_TYPE
from idp.protocols.oidc.settings import OidcSettings

from .conftest import MakeWorld
from .holder import Holder
from .test_dpop import proof
from .wiring import CALLBACK, URL, VERIFIER, World, answer, asked, make_client

HOLDER = Holder("ES256")
KEY = Holder("ES256", "dpop")
FAPI: dict[str, Any] = {
    "profile": "fapi2",
    "token_endpoint_auth_method": "private_key_jwt",
    "jwks": HOLDER.jwks,
    "dpop_bound_access_tokens": True,
    "id_token_signed_response_alg": "PS256",
    "authorization_signed_response_alg": "PS256",
}
_names = (f"a{number}" for number in range(10**6))


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(make_client(**FAPI), make_client("two", **FAPI))


def proven(world: World, client: str = "rp", holder: Holder = HOLDER, **changes: Any) -> dict[str, str]:
    """The client's assertion as form fields."""
    return {"client_assertion": holder.assertion(world, client, name=next(_names), **changes), "client_assertion_type": ASSERTION_TYPE}


def push(world: World, *, proof_of: dict[str, str] | None = None, **changes: str | None) -> TestResponse:
    return world.machine().post("/oauth/par", base_url=URL, data={**asked(**changes), **(proof_of or proven(world))})


def signed_on(world: World, **changes: str | None) -> dict[str, str]:
    response = push(world, **changes)
    assert response.status_code == 201, response.text
    return answer(
        world.signed_in().get("/oauth/authorize", query_string={"client_id": "rp", "request_uri": response.get_json()["request_uri"]})
    )


def exchange(
    world: World, code: str, *, proofs: Iterable[str] | None = None, authentication: dict[str, str] | None = None, **changes: str | None
) -> TestResponse:
    own = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    own |= authentication if authentication is not None else proven(world)
    form = {name: value for name, value in {**own, **changes}.items() if value is not None}
    headers = [("DPoP", each) for each in ([proof(world, KEY)] if proofs is None else proofs)]
    return world.machine().post("/oauth/token", base_url=URL, data=form, headers=headers)


def error_of(response: TestResponse) -> str:
    error: str = response.get_json()["error"]
    return error


def test_happy_flow_iss_state_bound_token_and_PS256(world: World) -> None:
    told = signed_on(world)
    assert (told["iss"], told["state"]) == (URL, "a state")
    tokens = exchange(world, told["code"]).get_json()
    assert tokens["token_type"] == "DPoP"


def test_ensure_unsigned_authorization_request_without_using_par_fails(world: World) -> None:
    assert answer(world.signed_in().ask())["error"] == "invalid_request"


def test_ensure_response_type_code_idtoken_and_token_fail(world: World) -> None:
    for kind in ("code id_token", "token"):
        assert error_of(push(world, response_type=kind)) == "unsupported_response_type"


def test_ensure_redirect_uri_in_authorization_request(world: World) -> None:
    assert error_of(push(world, redirect_uri=None)) == "invalid_request"


def test_par_ensure_pkce_required_and_plain_rejected(world: World) -> None:
    assert error_of(push(world, code_challenge=None, code_challenge_method=None)) == "invalid_request"
    assert error_of(push(world, code_challenge_method="plain")) == "invalid_request"


def test_ensure_authorization_request_without_state_and_without_nonce_success(world: World) -> None:
    assert "state" not in signed_on(world, state=None)
    assert "code" in signed_on(world, nonce=None)


@pytest.mark.parametrize("length", [64, 384])
def test_ensure_authorization_request_with_long_nonce_and_state(world: World, length: int) -> None:
    assert signed_on(world, nonce="n" * length, state="s" * length)["state"] == "s" * length


@pytest.mark.parametrize("audience", [[URL], f"{URL}/oauth/token", f"{URL}/oauth/par"])
def test_V50_par_test_audiences_the_issuer_alone_as_one_text(world: World, audience: Any) -> None:
    """Modules par-test-array-as-audience-fails, -token-endpoint-url- and -par-endpoint-url-as-audience-fails."""
    assert error_of(push(world, proof_of=proven(world, aud=audience))) == "invalid_client"


def test_ensure_signed_client_assertion_with_RS256_fails(make_world: MakeWorld) -> None:
    holder = Holder("RS256")
    world = make_world(make_client(**{**FAPI, "jwks": holder.jwks}))
    assert error_of(push(world, proof_of=proven(world, holder=holder))) == "invalid_client"


def test_ensure_client_assertion_in_token_endpoint(world: World) -> None:
    response = exchange(world, signed_on(world)["code"], authentication={"client_id": "rp"})
    assert (response.status_code, error_of(response)) == (401, "invalid_client")


def test_ensure_client_id_in_token_endpoint(world: World) -> None:
    assert error_of(exchange(world, signed_on(world)["code"], client_id="two")) == "invalid_client"


def test_ensure_authorization_code_is_bound_to_client(world: World) -> None:
    code = signed_on(world)["code"]
    assert error_of(exchange(world, code, authentication=proven(world, "two"))) == "invalid_grant"


def test_ensure_holder_of_key_required(world: World) -> None:
    assert error_of(exchange(world, signed_on(world)["code"], proofs=())) == "invalid_dpop_proof"


def test_dpop_negative_tests_a_proof_with_RS256_is_too_weak_here(world: World) -> None:
    code = signed_on(world)["code"]
    assert error_of(exchange(world, code, proofs=[proof(world, Holder("RS256"))])) == "invalid_dpop_proof"
    assert exchange(world, code).status_code == 200


def test_dpop_negative_tests_a_weak_proof_at_the_PAR_endpoint_too(world: World) -> None:
    headers = {"DPoP": proof(world, Holder("RS256"), htu=f"{URL}/oauth/par")}
    response = world.machine().post("/oauth/par", base_url=URL, data={**asked(), **proven(world)}, headers=headers)
    assert error_of(response) == "invalid_dpop_proof"


def test_ensure_pkce_code_verifier_required_and_incorrect_rejected(world: World) -> None:
    for verifier in (None, "w" * 43):
        assert error_of(exchange(world, signed_on(world)["code"], code_verifier=verifier)) == "invalid_grant"


def test_ensure_token_endpoint_fails_with_expired_auth_code(world: World) -> None:
    code = signed_on(world)["code"]
    world.now.seconds += 61
    assert error_of(exchange(world, code)) == "invalid_grant"


def test_attempt_reuse_authorization_code_after_one_second(world: World) -> None:
    code = signed_on(world)["code"]
    assert exchange(world, code).status_code == 200
    world.now.seconds += 1
    assert error_of(exchange(world, code)) == "invalid_grant"


def test_test_essential_acr_sca_claim(world: World) -> None:
    told = signed_on(world, claims='{"id_token": {"acr": {"essential": true, "values": ["urn:openbanking:psd2:sca"]}}}')
    assert told["error"] == "unmet_authentication_requirements"


def test_user_rejects_authentication(world: World) -> None:
    uri = push(world).get_json()["request_uri"]
    visitor = world.browser()
    page = visitor.get(visitor.get("/oauth/authorize", query_string={"client_id": "rp", "request_uri": uri}).location).text
    fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', page))
    assert answer(visitor.post("/login/cancel", data=fields))["error"] == "access_denied"


@pytest.mark.parametrize(
    "change",
    [
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"dpop_bound_access_tokens": False},
        {"require_pkce": False},
        {"redirect_uris": ("http://127.0.0.1/cb",)},
        {"native": True},
        {"id_token_signed_response_alg": "RS256"},
        {"userinfo_signed_response_alg": "RS256"},
        {"introspection_signed_response_alg": "RS256"},
        {"grant_types": ("authorization_code", "refresh_token")},
        {"public": True},
    ],
)
def test_S127_settings_that_break_the_profile_are_refused(change: dict[str, Any]) -> None:
    OidcSettings(**{"redirect_uris": (CALLBACK,), **FAPI})
    with pytest.raises(ValidationError, match=r"fapi2|public client"):
        OidcSettings(**{"redirect_uris": (CALLBACK,), **FAPI, **change})


@pytest.mark.parametrize(("life", "taken"), [(1, True), (60, True), (70, True), (71, False), (300, False), (3600, False)])
def test_S28_an_assertion_lives_a_minute_and_the_10_seconds_by_which_clocks_differ(world: World, life: int, taken: bool) -> None:
    response = push(world, proof_of=proven(world, exp=world.now() + life))
    assert response.status_code == (201 if taken else 401), response.text
    if not taken:
        assert "more than 60 seconds away" in response.get_json()["error_description"]


def test_S28_so_it_is_at_the_token_endpoint(world: World) -> None:
    authentication = proven(world, exp=world.now() + 71)
    response = exchange(world, signed_on(world)["code"], authentication=authentication)
    assert (response.status_code, error_of(response)) == (401, "invalid_client")
