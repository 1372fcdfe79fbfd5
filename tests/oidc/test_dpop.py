"""Tokens that are bound to a key: DPoP (RFC 9449), and certificates (RFC 8705 §3)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import thumbprint
from werkzeug.test import TestResponse

from .conftest import MakeWorld
from .holder import Holder, rfc_9440
from .test_client_authentication import with_header
from .wiring import CALLBACK, URL, VERIFIER, World, answer, asked, make_client

TOKEN = f"{URL}/oauth/token"
USERINFO = f"{URL}/oauth/userinfo"
HOLDER = Holder("ES256")
THUMB = thumbprint({name: value for name, value in HOLDER.public.items() if name in ("crv", "kty", "x", "y")})  # RFC 7638 §3.2
_names = iter(range(10**6))


def proof(world: World, holder: Holder = HOLDER, *, token: str = "", header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A good proof for the token endpoint, or with `token` for userinfo; a claim of None is left out."""
    own = {"htm": "GET" if token else "POST", "htu": USERINFO if token else TOKEN, "iat": world.now(), "jti": f"j{next(_names)}"}
    own["nonce"] = world.protocol.proofs.nonce()
    if token:
        own["ath"] = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    claims = {key: value for key, value in {**own, **changes}.items() if value is not None}
    jwk = {name: value for name, value in holder.public.items() if name not in ("kid", "use")}
    return holder.sign(claims, **{"typ": "dpop+jwt", "jwk": jwk, "kid": None, **(header or {})})


def exchange(world: World, code: str, *proofs: str, **changes: Any) -> TestResponse:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, **changes}
    headers = [("DPoP", each) for each in proofs]
    return world.machine().post("/oauth/token", base_url=URL, data=form, headers=headers, auth=("rp", "rp-secret"))


def bound_token(world: World) -> str:
    response = exchange(world, world.signed_in().code(), proof(world))
    assert response.status_code == 200, response.text
    token: str = response.get_json()["access_token"]
    return token


def read(world: World, token: str, *proofs: str, scheme: str = "DPoP") -> TestResponse:
    headers = [("Authorization", f"{scheme} {token}"), *(("DPoP", each) for each in proofs)]
    return world.machine().get("/oauth/userinfo", base_url=URL, headers=headers)


def error_of(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["error"]


def test_RFC_9449_5_a_proof_binds_the_token_to_its_key(world: World) -> None:
    response = exchange(world, world.signed_in().code(), proof(world))
    assert response.get_json()["token_type"] == "DPoP"
    (stored,) = world.store.list("token")
    assert stored.record["confirmation"] == {"jkt": THUMB}


def test_S40_userinfo_wants_a_proof_of_that_key(world: World) -> None:
    token = bound_token(world)
    assert read(world, token, proof(world, token=token)).get_json()["sub"] == "0471"
    assert error_of(read(world, token)) == (401, "invalid_token")
    assert error_of(read(world, token, proof(world, Holder("ES256"), token=token))) == (401, "invalid_token")
    assert error_of(read(world, token, proof(world, token="another"))) == (401, "invalid_dpop_proof")


def test_RFC_9449_7_1_a_bound_token_is_no_bearer(world: World) -> None:
    token = bound_token(world)
    response = read(world, token, proof(world, token=token), scheme="Bearer")
    assert error_of(response) == (401, "invalid_token")
    assert response.headers["WWW-Authenticate"].startswith("DPoP ")


def test_a_bearer_token_is_not_taken_for_a_bound_one(world: World) -> None:
    token = world.signed_in().tokens()["access_token"]
    assert error_of(read(world, token, proof(world, token=token))) == (401, "invalid_token")


def test_RFC_9449_8_a_proof_without_our_nonce_is_answered_with_one(world: World) -> None:
    code = world.signed_in().code()
    response = exchange(world, code, proof(world, nonce=None))
    assert error_of(response) == (400, "use_dpop_nonce")
    assert exchange(world, code, proof(world, nonce=response.headers["DPoP-Nonce"])).status_code == 200, "the code is not spent"


def test_RFC_9449_9_userinfo_answers_with_a_nonce_too(world: World) -> None:
    token = bound_token(world)
    response = read(world, token, proof(world, token=token, nonce=None))
    assert error_of(response) == (401, "use_dpop_nonce")
    assert 'error="use_dpop_nonce"' in response.headers["WWW-Authenticate"]
    assert read(world, token, proof(world, token=token, nonce=response.headers["DPoP-Nonce"])).status_code == 200


def test_the_nonce_before_is_taken_and_an_older_one_is_not(world: World) -> None:
    old = world.protocol.proofs.nonce()
    world.now.seconds += 300
    assert exchange(world, world.signed_in().code(), proof(world, nonce=old)).status_code == 200
    world.now.seconds += 300
    assert error_of(exchange(world, world.signed_in().code(), proof(world, nonce=old))) == (400, "use_dpop_nonce")


def test_a_client_that_knows_no_nonce_may_do_without(make_world: MakeWorld) -> None:
    world = make_world(make_client(dpop_nonce=False))
    assert exchange(world, world.signed_in().code(), proof(world, nonce=None)).status_code == 200


@pytest.mark.parametrize("seconds", [-10, 10])
def test_ensure_dpopproof_with_iat_10seconds_before_and_after_succeeds(world: World, seconds: int) -> None:
    assert exchange(world, world.signed_in().code(), proof(world, iat=world.now() + seconds)).status_code == 200


BAD: dict[str, Callable[[World], str]] = {
    "htm": lambda world: proof(world, htm="GET"),
    "htm_missing": lambda world: proof(world, htm=None),
    "htu": lambda world: proof(world, htu=f"{URL}/oauth/par"),
    "htu_of_another_host": lambda world: proof(world, htu="https://login.assoc.example.evil/oauth/token"),
    "htu_with_a_user": lambda world: proof(world, htu="https://x@login.assoc.example/oauth/token"),
    "htu_by_http": lambda world: proof(world, htu="http://login.assoc.example/oauth/token"),
    "htu_is_no_url": lambda world: proof(world, htu="https://[x"),
    "htu_is_a_number": lambda world: proof(world, htu=7),
    "iat_missing": lambda world: proof(world, iat=None),
    "iat_is_a_text": lambda world: proof(world, iat="now"),
    "iat_is_an_hour_old": lambda world: proof(world, iat=world.now() - 3600),
    "iat_is_a_minute_ahead": lambda world: proof(world, iat=world.now() + 60),
    "jti_missing": lambda world: proof(world, jti=None),
    "jti_is_empty": lambda world: proof(world, jti=""),
    "jti_is_huge": lambda world: proof(world, jti="x" * 300),
    "typ": lambda world: proof(world, header={"typ": "JWT"}),
    "typ_missing": lambda world: proof(world, header={"typ": None}),
    "alg_none": lambda world: with_header(proof(world), alg="none"),
    "jwk_missing": lambda world: proof(world, header={"jwk": None}),
    "jwk_is_another": lambda world: proof(world, header={"jwk": Holder("ES256").public}),
    "jwk_is_private": lambda world: proof(world, header={"jwk": HOLDER.key.as_dict(private=True)}),
    "jwk_is_symmetric": lambda world: proof(world, header={"jwk": {"kty": "oct", "k": "AAAA"}}),
    "jwk_is_broken": lambda world: proof(world, header={"jwk": {"kty": "EC", "crv": "P-256", "x": 1, "y": 2}}),
    "jwk_is_a_text": lambda world: with_header(proof(world), jwk="x"),
    "crit": lambda world: with_header(proof(world), crit=["b64"]),
    "signature_cut": lambda world: proof(world)[:-4],
    "empty": lambda world: " ",
    "garbage": lambda world: "a.b.c",
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_dpop_negative_tests(world: World, make: Callable[[World], str]) -> None:
    """At the token endpoint; ath is for resources alone."""
    assert error_of(exchange(world, world.signed_in().code(), make(world))) == (400, "invalid_dpop_proof")


def test_dpop_negative_tests_two_headers(world: World) -> None:
    assert error_of(exchange(world, world.signed_in().code(), proof(world), proof(world))) == (400, "invalid_dpop_proof")


def test_dpop_negative_tests_a_proof_is_good_once(world: World) -> None:
    visitor, once = world.signed_in(), proof(world)
    assert exchange(world, visitor.code(), once).status_code == 200
    assert error_of(exchange(world, visitor.code(), once)) == (400, "invalid_dpop_proof")


def test_RFC_9449_4_3_htu_is_compared_without_query_and_case_of_host(world: World) -> None:
    for htu in (f"{TOKEN}?a=b", f"{TOKEN}#x", "https://LOGIN.assoc.example:443/oauth/token"):
        assert exchange(world, world.signed_in().code(), proof(world, htu=htu)).status_code == 200


@pytest.mark.parametrize("alg", ["RS256", "PS256", "EdDSA"])
def test_proofs_come_with_other_algorithms_too(world: World, alg: str) -> None:
    assert exchange(world, world.signed_in().code(), proof(world, Holder(alg))).status_code == 200


def test_ensure_holder_of_key_required(make_world: MakeWorld) -> None:
    world = make_world(make_client(dpop_bound_access_tokens=True))
    assert error_of(exchange(world, world.signed_in().code())) == (400, "invalid_dpop_proof")


def test_ensure_dpop_auth_code_binding_success(world: World) -> None:
    code = world.signed_in().code(dpop_jkt=THUMB)
    assert exchange(world, code, proof(world)).status_code == 200


def test_ensure_token_endpoint_fails_with_mismatched_dpop_jkt(world: World) -> None:
    for proofs in ((proof(world, Holder("ES256")),), ()):
        assert error_of(exchange(world, world.signed_in().code(dpop_jkt=THUMB), *proofs)) == (400, "invalid_grant")


def test_a_dpop_jkt_that_is_no_thumbprint_is_refused(world: World) -> None:
    assert answer(world.signed_in().ask(dpop_jkt="x"))["error"] == "invalid_request"


def push(world: World, *proofs: str, **changes: str) -> TestResponse:
    headers = [("DPoP", each) for each in proofs]
    return world.machine().post("/oauth/par", base_url=URL, data=asked(**changes), auth=("rp", "rp-secret"), headers=headers)


def at_par(world: World, holder: Holder = HOLDER) -> str:
    return proof(world, holder, htu=f"{URL}/oauth/par")


def test_ensure_dpopproof_at_par_endpoint_binding_success(world: World) -> None:
    uri = push(world, at_par(world)).get_json()["request_uri"]
    code = answer(world.signed_in().get("/oauth/authorize", query_string={"client_id": "rp", "request_uri": uri}))["code"]
    assert exchange(world, code, proof(world)).status_code == 200


def test_ensure_token_endpoint_fails_with_mismatched_dpop_proof_jkt(world: World) -> None:
    uri = push(world, at_par(world)).get_json()["request_uri"]
    code = answer(world.signed_in().get("/oauth/authorize", query_string={"client_id": "rp", "request_uri": uri}))["code"]
    assert error_of(exchange(world, code, proof(world, Holder("ES256")))) == (400, "invalid_grant")


def test_ensure_mismatched_dpop_jkt_fails(world: World) -> None:
    assert error_of(push(world, at_par(world, Holder("ES256")), dpop_jkt=THUMB)) == (400, "invalid_dpop_proof")


def test_S22_a_public_client_s_refresh_token_is_bound_to_its_key(make_world: MakeWorld) -> None:
    world = make_world(make_client(public=True, grant_types=("authorization_code", "refresh_token")))
    form = {"grant_type": "authorization_code", "code": world.signed_in().code(), "redirect_uri": CALLBACK, "code_verifier": VERIFIER}

    def call(fields: dict[str, str], proof_: str) -> TestResponse:
        return world.machine().post("/oauth/token", base_url=URL, data={**fields, "client_id": "rp"}, headers={"DPoP": proof_})

    refresh_token = call(form, proof(world)).get_json()["refresh_token"]
    refresh = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    assert error_of(call(refresh, proof(world, Holder("ES256")))) == (400, "invalid_grant")
    assert call(refresh, proof(world)).status_code == 200


def test_introspection_tells_a_resource_server_of_the_key(world: World) -> None:
    token = bound_token(world)
    told = world.machine().post("/oauth/introspect", base_url=URL, data={"token": token}, auth=("rp", "rp-secret")).get_json()
    assert (told["token_type"], told["cnf"]) == ("DPoP", {"jkt": THUMB})


def test_a_script_of_a_public_client_may_send_a_proof_and_read_the_nonce(make_world: MakeWorld) -> None:
    world = make_world(make_client(public=True, redirect_uris=("https://spa.example.org/cb",)))
    headers = {"Origin": "https://spa.example.org", "DPoP": "x"}
    response = world.machine().post("/oauth/token", base_url=URL, headers=headers, data={"client_id": "rp"})
    assert "dpop" in response.headers["Access-Control-Allow-Headers"]
    assert "DPoP-Nonce" in response.headers["Access-Control-Expose-Headers"]
    assert response.headers["DPoP-Nonce"] == world.protocol.proofs.nonce()


# certificates

PROXY = "10.0.0.1"


def over_tls(world: World, method: str, path: str, certificate: bytes | None, **keywords: Any) -> TestResponse:
    headers = [*keywords.pop("headers", {}).items(), *([("X-Client-Cert", rfc_9440(certificate))] if certificate else [])]
    return world.machine().open(path, method=method, base_url=URL, headers=headers, environ_base={"REMOTE_ADDR": PROXY}, **keywords)


def test_RFC_8705_3_a_token_is_bound_to_the_certificate_of_the_connection(make_world: MakeWorld) -> None:
    server = {"certificate_header": "X-Client-Cert", "trusted_proxies": (PROXY,)}
    world = make_world(make_client(tls_client_certificate_bound_access_tokens=True), server=server)
    own, other = HOLDER.certificate(), Holder("ES256").certificate()
    form = {"grant_type": "authorization_code", "code": world.signed_in().code(), "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    sent = {"data": form, "auth": ("rp", "rp-secret")}
    assert error_of(over_tls(world, "POST", "/oauth/token", None, **sent)) == (400, "invalid_request")
    told = over_tls(world, "POST", "/oauth/token", own, **sent).get_json()
    assert told["token_type"] == "Bearer"
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    statuses = [over_tls(world, "GET", "/oauth/userinfo", each, headers=headers).status_code for each in (own, other, None)]
    assert statuses == [200, 401, 401]
