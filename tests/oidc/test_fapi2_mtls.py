"""`profile = "fapi2"` by mutual TLS: modules of fapi2-security-profile-final with clients and tokens of the variant `mtls`."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from pydantic import ValidationError
from werkzeug.test import TestResponse

from idp.protocols.oidc.certificate import thumbprint_of
from idp.protocols.oidc.settings import OidcSettings

from .conftest import MakeWorld
from .holder import Holder, rfc_9440
from .test_algorithm import verified
from .wiring import CALLBACK, URL, VERIFIER, World, answer, asked, make_client

PROXY = "10.0.0.1"
SERVER = {"certificate_header": "X-Client-Cert", "trusted_proxies": (f"{PROXY}/32",)}
HOLDER = Holder("ES256")
CERTIFICATE = HOLDER.certificate()
OTHER = Holder("ES256").certificate("evil.example")
FAPI: dict[str, Any] = {
    "profile": "fapi2",
    "token_endpoint_auth_method": "tls_client_auth",
    "tls_client_auth_subject_dn": "CN=rp.example.org",
    "tls_client_certificate_bound_access_tokens": True,
    "id_token_signed_response_alg": "PS256",
    "authorization_signed_response_alg": "PS256",
    "grant_types": ("authorization_code", "refresh_token"),
    "tokens": {"rotate": False, "access_token": "jwt"},
}


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    two = {**FAPI, "tls_client_auth_subject_dn": "CN=two.example.org"}
    return make_world(make_client(**FAPI), make_client("two", **two), server=SERVER)


def call(world: World, path: str, certificate: bytes | None = CERTIFICATE, *, bearer: str = "", **form: Any) -> TestResponse:
    """A call over a connection that showed the certificate."""
    headers = {"X-Client-Cert": rfc_9440(certificate)} if certificate else {}
    headers |= {"Authorization": f"Bearer {bearer}"} if bearer else {}
    return world.machine().post(path, base_url=URL, data=form, headers=headers, environ_base={"REMOTE_ADDR": PROXY})


def code_of(world: World) -> str:
    pushed = call(world, "/oauth/par", **asked())
    assert pushed.status_code == 201, pushed.text
    uri = pushed.get_json()["request_uri"]
    return answer(world.signed_in().get("/oauth/authorize", query_string={"client_id": "rp", "request_uri": uri}))["code"]


def exchange(world: World, code: str, certificate: bytes | None = CERTIFICATE, client: str = "rp") -> TestResponse:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
    return call(world, "/oauth/token", certificate, client_id=client, **form)


def tokens_of(world: World) -> dict[str, Any]:
    response = exchange(world, code_of(world))
    assert response.status_code == 200, response.text
    tokens: dict[str, Any] = response.get_json()
    return tokens


def error_of(response: TestResponse) -> str:
    error: str = response.get_json()["error"]
    return error


def test_happy_flow_the_token_is_bound_to_the_certificate_and_signed_PS256(world: World) -> None:
    tokens = tokens_of(world)
    assert tokens["token_type"] == "Bearer", "RFC 8705 §3"
    for name in ("access_token", "id_token"):
        assert verified(world, tokens[name], "PS256")[1]["sub"] == "0471"
    claims = verified(world, tokens["access_token"], "PS256")[1]
    assert claims["cnf"] == {"x5t#S256": thumbprint_of(CERTIFICATE)}
    told = call(world, "/oauth/introspect", client_id="rp", token=tokens["access_token"]).get_json()
    assert told["cnf"] == claims["cnf"]


def test_ensure_client_assertion_in_token_endpoint_without_a_certificate_nobody_is_proven(world: World) -> None:
    response = exchange(world, code_of(world), None)
    assert (response.status_code, error_of(response)) == (401, "invalid_client")


def test_ensure_client_id_in_token_endpoint_with_another_s_certificate_nobody_is_proven(world: World) -> None:
    assert error_of(exchange(world, code_of(world), OTHER)) == "invalid_client"
    assert error_of(exchange(world, code_of(world), client="two")) == "invalid_client"


def test_ensure_authorization_code_is_bound_to_client(world: World) -> None:
    certificate = HOLDER.certificate("two.example.org")
    assert error_of(exchange(world, code_of(world), certificate, client="two")) == "invalid_grant"


def test_ensure_holder_of_key_required_a_token_reads_nothing_over_another_connection(world: World) -> None:
    token = tokens_of(world)["access_token"]
    for certificate in (None, OTHER, HOLDER.certificate("rp.example.org", san="x")):  # renewed for the same key, it is another one, too
        assert call(world, "/oauth/userinfo", certificate, bearer=token).status_code == 401
    assert call(world, "/oauth/userinfo", bearer=token).get_json()["sub"] == "0471"


def test_refresh_token_is_bound_to_its_client_and_does_not_rotate(world: World) -> None:
    """Module refresh-token."""
    token = tokens_of(world)["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": token}
    again = call(world, "/oauth/token", client_id="rp", **form).get_json()
    assert again["refresh_token"] == token
    assert call(world, "/oauth/userinfo", bearer=again["access_token"]).status_code == 200
    assert error_of(call(world, "/oauth/token", HOLDER.certificate("two.example.org"), client_id="two", **form)) == "invalid_grant"


def test_a_self_signed_certificate_will_do_if_it_was_registered(make_world: MakeWorld) -> None:
    entry = {**HOLDER.public, "x5c": [base64.b64encode(CERTIFICATE).decode()]}
    more = {"token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": {"keys": [entry]}, "tls_client_auth_subject_dn": ""}
    own = make_world(make_client(**{**FAPI, **more}), server=SERVER)
    assert "access_token" in tokens_of(own)
    assert error_of(exchange(own, code_of(own), OTHER)) == "invalid_client"


def test_discovery_end_point_verification_names_mtls_where_a_proxy_tells_of_certificates(world: World) -> None:
    told = json.loads(world.protocol.documents.discovery)
    assert told["tls_client_certificate_bound_access_tokens"] is True
    assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(told["token_endpoint_auth_methods_supported"])


def test_a_bound_client_has_no_response_type_that_hands_a_token_to_the_browser() -> None:
    with pytest.raises(ValidationError, match="cannot be bound to a key"):
        OidcSettings(redirect_uris=(CALLBACK,), dpop_bound_access_tokens=True, response_types=("code", "code token"))
