"""Modules of fapi2-security-profile-final (`private_key_jwt`, DPoP, OpenID Connect), for clients with `profile = "fapi2"`."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from joserfc.jwk import thumbprint

from tests.oidc.holder import Holder

from .conftest import Suite
from .party import CALLBACK, CODE, VERIFIER, Browser, Party, Reply, call, challenge_of, check_shared

KEY = Holder("ES256", "dpop")
OTHER = Holder("ES256", "other")


def thumb(holder: Holder) -> str:
    return thumbprint({name: value for name, value in holder.public.items() if name in ("crv", "kty", "x", "y")})


@dataclass(frozen=True)
class Fapi:
    """One client of the profile, and its calls."""

    party: Party
    browser: Browser

    def request(self, **changes: str | None) -> dict[str, str]:
        return self.party.request(CODE, **{"code_challenge": challenge_of(), "code_challenge_method": "S256", **changes})

    def push(
        self,
        request: Mapping[str, str] | None = None,
        *,
        proof: str = "",
        assertion: Mapping[str, Any] | None = None,
        **changes: str | None,
    ) -> requests.Response:
        form = dict(request or self.request(**changes))
        headers = {"DPoP": proof} if proof else {}
        authentication = self.party.authentication(**(assertion or {}))["data"]
        return call("POST", self.party.provider["pushed_authorization_request_endpoint"], data=form | authentication, headers=headers)

    def open(self, pushed: requests.Response, browser: Browser | None = None, **more: str) -> Reply:
        assert pushed.status_code == 201, pushed.text
        uri = pushed.json()["request_uri"]
        return (browser or self.browser).open(self.party.url_of({"client_id": self.party.id, "request_uri": uri, **more}))

    def code(self, *, proof: str = "", **changes: str | None) -> str:
        request = self.request(**changes)
        reply = self.open(self.push(request, proof=proof))
        check_shared(self.party.provider, CODE, request, reply)
        return reply.params["code"]

    def exchange(self, code: str, *, proof: str | None = None, **changes: str) -> requests.Response:
        headers = {"DPoP": proof} if proof else {} if proof == "" else {"DPoP": self.proof()}
        return self.party.token(headers=headers, **{**self._grant(code), **changes})

    def exchange_as(self, authentication: Mapping[str, str], code: str, **changes: str) -> requests.Response:
        form = {**self._grant(code), **authentication, **changes}
        return call("POST", self.party.provider["token_endpoint"], data=form, headers={"DPoP": self.proof()})

    def _grant(self, code: str) -> dict[str, str]:
        return {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}

    def proof(
        self, holder: Holder = KEY, *, at: str = "token_endpoint", token: str = "", header: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        own: dict[str, Any] = {"htm": "GET" if token else "POST", "htu": self.party.provider[at], "iat": int(time.time())}
        own |= {"jti": secrets.token_hex(8), "ath": ath(token) if token else None}
        jwk = {name: value for name, value in holder.public.items() if name not in ("kid", "use")}
        claims = {name: value for name, value in {**own, **changes}.items() if value is not None}
        return holder.sign(claims, **{"typ": "dpop+jwt", "jwk": jwk, "kid": None, **(header or {})})

    def read(self, token: str, proof: str) -> requests.Response:
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
        return call("GET", self.party.provider["userinfo_endpoint"], headers=headers)


def ath(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def error_of(response: requests.Response) -> str:
    assert 400 <= response.status_code < 500, response.text
    return str(response.json()["error"])


@pytest.fixture
def fapi(suite: Suite, member: Browser) -> Fapi:
    return Fapi(suite.party("fapi", holder=suite.fapi_key), member)


@pytest.fixture
def two(suite: Suite, member: Browser) -> Fapi:
    return Fapi(suite.party("fapi-two", holder=suite.fapi_key), member)


def claims_of(fapi: Fapi, code: str) -> dict[str, Any]:
    response = fapi.exchange(code)
    assert response.status_code == 200, response.text
    assert response.json()["token_type"] == "DPoP"
    return fapi.party.provider.verified(response.json()["id_token"], alg="PS256")[1]


def test_fapi2_discovery_end_point_verification(suite: Suite) -> None:
    told = suite.provider.metadata
    assert told["pushed_authorization_request_endpoint"]
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert {"PS256"} <= set(told["id_token_signing_alg_values_supported"])
    assert {"private_key_jwt"} <= set(told["token_endpoint_auth_methods_supported"])
    assert {"PS256", "ES256"} <= set(told["dpop_signing_alg_values_supported"])
    assert told["authorization_response_iss_parameter_supported"] is True


def test_fapi2_user_rejects_authentication(suite: Suite, fapi: Fapi) -> None:
    browser = suite.browser()
    reply = browser.press(fapi.open(fapi.push(), browser), "/login/cancel")
    assert reply.params["error"] == "access_denied"


def test_fapi2_ensure_authorization_request_without_state_success(fapi: Fapi) -> None:
    assert "state" not in fapi.open(fapi.push(state=None)).params


def test_fapi2_ensure_authorization_request_without_nonce_success(fapi: Fapi) -> None:
    assert "nonce" not in claims_of(fapi, fapi.code(nonce=None))


def test_fapi2_ensure_authorization_request_with_64_char_nonce_success(fapi: Fapi) -> None:
    assert claims_of(fapi, fapi.code(nonce="n" * 64))["nonce"] == "n" * 64


def test_fapi2_ensure_other_scope_order_succeeds(fapi: Fapi) -> None:
    assert claims_of(fapi, fapi.code(scope="email openid"))


def test_fapi2_test_claims_parameter_identity_claims(fapi: Fapi) -> None:
    asked = json.dumps({"id_token": {"email": None, "given_name": {"essential": True}}})
    claims = claims_of(fapi, fapi.code(claims=asked))
    assert (claims["email"], claims["given_name"]) == ("ada@example.org", "Ada")


@pytest.mark.parametrize("seconds", [-10])
def test_fapi2_ensure_dpopproof_with_iat_10seconds_before_succeeds(fapi: Fapi, seconds: int) -> None:
    assert fapi.exchange(fapi.code(), proof=fapi.proof(iat=int(time.time()) + seconds)).status_code == 200


def test_fapi2_ensure_dpopproof_with_iat_10seconds_after_succeeds(fapi: Fapi) -> None:
    assert fapi.exchange(fapi.code(), proof=fapi.proof(iat=int(time.time()) + 10)).status_code == 200


PAR = "pushed_authorization_request_endpoint"


def test_fapi2_ensure_mismatched_dpop_jkt_fails(fapi: Fapi) -> None:
    assert error_of(fapi.push(proof=fapi.proof(at=PAR), dpop_jkt=thumb(OTHER))) == "invalid_dpop_proof"


def test_fapi2_ensure_token_endpoint_fails_with_mismatched_dpop_proof_jkt(fapi: Fapi) -> None:
    code = fapi.code(proof=fapi.proof(at=PAR))
    assert error_of(fapi.exchange(code, proof=fapi.proof(OTHER))) == "invalid_grant"


def test_fapi2_ensure_token_endpoint_fails_with_mismatched_dpop_jkt(fapi: Fapi) -> None:
    assert error_of(fapi.exchange(fapi.code(dpop_jkt=thumb(OTHER)))) == "invalid_grant"


def test_fapi2_ensure_dpopproof_at_par_endpoint_binding_success(fapi: Fapi) -> None:
    assert fapi.exchange(fapi.code(proof=fapi.proof(at=PAR))).status_code == 200


def test_fapi2_ensure_dpop_auth_code_binding_success(fapi: Fapi) -> None:
    assert fapi.exchange(fapi.code(dpop_jkt=thumb(KEY))).status_code == 200


def test_fapi2_ensure_different_nonce_inside_and_outside_request_object(fapi: Fapi) -> None:
    reply = fapi.open(fapi.push(nonce="inside"), nonce="outside")
    assert claims_of(fapi, reply.params["code"])["nonce"] == "inside"


def test_fapi2_ensure_different_state_inside_and_outside_request_object(fapi: Fapi) -> None:
    assert fapi.open(fapi.push(state="inside"), state="outside").params["state"] == "inside"


def test_fapi2_ensure_authorization_request_with_long_nonce(fapi: Fapi) -> None:
    assert claims_of(fapi, fapi.code(nonce="n" * 384))["nonce"] == "n" * 384


def test_fapi2_ensure_authorization_request_with_long_state(fapi: Fapi) -> None:
    assert fapi.open(fapi.push(state="s" * 384)).params["state"] == "s" * 384


def test_fapi2_state_only_outside_request_object_not_used(fapi: Fapi) -> None:
    assert "state" not in fapi.open(fapi.push(state=None), state="outside").params


def test_fapi2_ensure_request_object_without_redirect_uri_fails(fapi: Fapi) -> None:
    assert error_of(fapi.push(redirect_uri=None)) == "invalid_request"


def test_fapi2_ensure_registered_redirect_uri(fapi: Fapi) -> None:
    assert fapi.push(redirect_uri=f"{CALLBACK}/other").status_code == 400


def test_fapi2_plain_fapi_tolerate_unregistered_redirect_uri(fapi: Fapi) -> None:
    assert error_of(fapi.push(redirect_uri=f"{CALLBACK}?{secrets.token_hex(4)}")) == "invalid_request"


def test_fapi2_ensure_unsigned_authorization_request_without_using_par_fails(fapi: Fapi) -> None:
    reply = fapi.browser.open(fapi.party.url_of(fapi.request()))
    assert reply.params["error"] == "invalid_request"


def test_fapi2_ensure_redirect_uri_in_authorization_request(fapi: Fapi) -> None:
    assert fapi.browser.open(fapi.party.url_of(fapi.request(redirect_uri=None))).way == "page"


def test_fapi2_ensure_response_type_code_idtoken_fails(fapi: Fapi) -> None:
    assert error_of(fapi.push(response_type="code id_token")) == "unsupported_response_type"


def test_fapi2_ensure_response_type_token_fails(fapi: Fapi) -> None:
    assert error_of(fapi.push(response_type="token")) == "unsupported_response_type"


def test_fapi2_ensure_client_id_in_token_endpoint(fapi: Fapi) -> None:
    assert error_of(fapi.exchange(fapi.code(), client_id="fapi-two")) == "invalid_client"


def test_fapi2_ensure_holder_of_key_required(fapi: Fapi) -> None:
    """TLS versions and ciphers are those of the proxy in front of the server."""
    assert error_of(fapi.exchange(fapi.code(), proof="")) == "invalid_dpop_proof"


def test_fapi2_ensure_authorization_code_is_bound_to_client(fapi: Fapi, two: Fapi) -> None:
    assert error_of(two.exchange(fapi.code())) == "invalid_grant"


def test_fapi2_attempt_reuse_authorization_code_after_one_second(fapi: Fapi) -> None:
    code = fapi.code()
    token = fapi.exchange(code).json()["access_token"]
    time.sleep(1)
    assert error_of(fapi.exchange(code)) == "invalid_grant"
    assert fapi.read(token, fapi.proof(at="userinfo_endpoint", token=token)).status_code == 401


def test_fapi2_ensure_signed_client_assertion_with_RS256_fails(suite: Suite, fapi: Fapi) -> None:
    party = suite.party("fapi", holder=Holder("RS256", suite.fapi_key.kid, key=suite.key.key))
    assert error_of(fapi.exchange_as(party.authentication()["data"], fapi.code())) == "invalid_client"


def test_fapi2_ensure_client_assertion_in_token_endpoint(fapi: Fapi) -> None:
    response = fapi.exchange_as({"client_id": "fapi"}, fapi.code())
    assert (response.status_code, error_of(response)) == (401, "invalid_client")


@pytest.mark.parametrize("seconds", [300])
def test_fapi2_ensure_client_assertion_with_exp_is_5_minutes_in_past_fails(fapi: Fapi, seconds: int) -> None:
    past = int(time.time()) - seconds
    proof = fapi.party.authentication(iat=past - 60, exp=past)["data"]
    assert error_of(fapi.exchange_as(proof, fapi.code())) == "invalid_client"


def test_fapi2_ensure_client_assertion_with_wrong_aud_fails(fapi: Fapi) -> None:
    proof = fapi.party.authentication(aud="https://other.example.org")["data"]
    assert error_of(fapi.exchange_as(proof, fapi.code())) == "invalid_client"


def test_fapi2_ensure_client_assertion_with_no_sub_fails(fapi: Fapi) -> None:
    assert error_of(fapi.exchange_as(fapi.party.authentication(sub=None)["data"], fapi.code())) == "invalid_client"


BAD_PROOFS: list[tuple[Holder, dict[str, Any]]] = [
    (KEY, {"htm": "GET"}),
    (KEY, {"htm": None}),
    (KEY, {"htu": "https://other.example.org/token"}),
    (KEY, {"htu": None}),
    (KEY, {"iat": None}),
    (KEY, {"iat": 1}),
    (KEY, {"iat": "now"}),
    (KEY, {"jti": None}),
    (KEY, {"header": {"typ": "JWT"}}),
    (KEY, {"header": {"jwk": None}}),
    (KEY, {"header": {"jwk": OTHER.public}}),
    (KEY, {"header": {"jwk": KEY.key.as_dict(private=True)}}),
    (Holder("RS256"), {}),
]


def test_fapi2_dpop_negative_tests(fapi: Fapi) -> None:
    code = fapi.code()
    for holder, changes in BAD_PROOFS:
        assert error_of(fapi.exchange(code, proof=fapi.proof(holder, **changes))) == "invalid_dpop_proof", changes
    signed = fapi.proof()
    for broken in (signed[:-6] + "AAAAAA", signed.rpartition(".")[0] + ".", "eyJhbGciOiJub25lIn0.e30.", f"{signed},{signed}"):
        assert error_of(fapi.exchange(code, proof=broken)) == "invalid_dpop_proof", broken
    token = fapi.exchange(code, proof=signed).json()["access_token"]
    assert error_of(fapi.exchange(fapi.code(), proof=signed)) == "invalid_dpop_proof", "the same proof again"
    assert fapi.read(token, fapi.proof(at="userinfo_endpoint", token=token)).json()["sub"] == "101"
    for changes in ({"ath": None}, {"ath": ath("another")}, {"htm": "POST"}):
        assert fapi.read(token, fapi.proof(at="userinfo_endpoint", token=token, **changes)).status_code == 401, changes
    assert fapi.read(token, fapi.proof(OTHER, at="userinfo_endpoint", token=token)).status_code == 401
    assert fapi.party.provider.userinfo(token).status_code == 401, "it is no bearer"


def test_fapi2_refresh_token(fapi: Fapi, two: Fapi) -> None:
    tokens = fapi.exchange(fapi.code()).json()
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert error_of(two.party.token(headers={"DPoP": two.proof()}, **form)) == "invalid_grant"
    assert error_of(fapi.party.token(**form)) == "invalid_dpop_proof"
    for _ in range(2):
        answer = fapi.party.token(headers={"DPoP": fapi.proof()}, **form).json()
        assert (answer["token_type"], answer["refresh_token"]) == ("DPoP", tokens["refresh_token"]), "no rotation"


def test_fapi2_test_essential_acr_sca_claim(fapi: Fapi) -> None:
    wanted = json.dumps({"id_token": {"acr": {"essential": True, "values": ["urn:openbanking:psd2:sca"]}}})
    assert fapi.open(fapi.push(claims=wanted)).params["error"] == "unmet_authentication_requirements"


def test_fapi2_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(suite: Suite, fapi: Fapi) -> None:
    browser, pushed = suite.browser(), fapi.push()
    fapi.open(pushed, browser)
    assert "code" in browser.sign_in(fapi.open(pushed, browser)).params


def test_fapi2_par_attempt_reuse_request_uri(fapi: Fapi) -> None:
    pushed = fapi.push()
    assert "code" in fapi.open(pushed).params
    assert (fapi.open(pushed).way, fapi.open(pushed).status) == ("page", 400)


def test_fapi2_par_ensure_jwt_client_assertions_nbf_8_seconds_in_the_future_is_accepted(fapi: Fapi) -> None:
    ahead = int(time.time()) + 8
    assert fapi.push(assertion={"nbf": ahead, "iat": ahead}).status_code == 201


def test_fapi2_par_ensure_jwt_client_assertions_nbf_over_60_seconds_in_the_future_fails(fapi: Fapi) -> None:
    ahead = int(time.time()) + 65
    assert error_of(fapi.push(assertion={"nbf": ahead, "iat": ahead, "exp": ahead + 60})) == "invalid_client"


def test_fapi2_par_attempt_to_use_request_uri_for_different_client(fapi: Fapi, two: Fapi) -> None:
    reply = two.open(fapi.push())
    assert (reply.way, reply.status) == ("page", 400)


def test_fapi2_par_authorization_request_containing_request_uri_form_param(fapi: Fapi) -> None:
    pushed = fapi.push().json()["request_uri"]
    assert error_of(fapi.push(request_uri=pushed)) == "invalid_request"


def test_fapi2_par_attempt_invalid_http_method(suite: Suite) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert call(method, suite.provider[PAR]).status_code == 405


def test_fapi2_par_ensure_pkce_required(fapi: Fapi) -> None:
    assert error_of(fapi.push(code_challenge=None, code_challenge_method=None)) == "invalid_request"


def test_fapi2_ensure_pkce_code_verifier_required(fapi: Fapi) -> None:
    assert error_of(fapi.exchange(fapi.code(), code_verifier="")) == "invalid_grant"


def test_fapi2_incorrect_pkce_code_verifier_rejected(fapi: Fapi) -> None:
    assert error_of(fapi.exchange(fapi.code(), code_verifier="w" * 43)) == "invalid_grant"


def test_fapi2_par_plain_pkce_rejected(fapi: Fapi) -> None:
    assert error_of(fapi.push(code_challenge=VERIFIER, code_challenge_method="plain")) == "invalid_request"


def test_fapi2_par_without_duplicate_parameters(fapi: Fapi) -> None:
    assert "code" in fapi.open(fapi.push()).params


def test_fapi2_par_test_array_as_audience_fails(fapi: Fapi) -> None:
    assert error_of(fapi.push(assertion={"aud": [fapi.party.provider.url]})) == "invalid_client"


def test_fapi2_par_test_par_endpoint_url_as_audience_fails(fapi: Fapi) -> None:
    assert error_of(fapi.push(assertion={"aud": fapi.party.provider[PAR]})) == "invalid_client"


def test_fapi2_par_test_token_endpoint_url_as_audience_fails(fapi: Fapi) -> None:
    assert error_of(fapi.push(assertion={"aud": fapi.party.provider["token_endpoint"]})) == "invalid_client"
