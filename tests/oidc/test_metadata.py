"""Discovery, the JWK set, and who may read them and the machine endpoints from a script."""

from __future__ import annotations

from typing import get_args

import pytest

from idp.protocols.oidc.grant.settings import GrantName
from idp.protocols.oidc.metadata import Documents

from .conftest import MakeWorld
from .wiring import URL, World, make_client

DOCUMENTS = ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth/jwks"]


def test_discovery_endpoint_verification(world: World) -> None:
    told = world.machine().get(DOCUMENTS[0], base_url=URL).get_json()
    assert told["issuer"] == URL
    assert told["authorization_response_iss_parameter_supported"] is True
    assert "none" not in told["id_token_signing_alg_values_supported"]
    assert told["id_token_signing_alg_values_supported"] == ["RS256", "PS256"]
    assert told["response_types_supported"] == ["code"]
    assert told["grant_types_supported"] == list(get_args(GrantName))
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert "offline_access" in told["scopes_supported"]
    for name in ("backchannel_logout_supported", "backchannel_logout_session_supported", "frontchannel_logout_supported"):
        assert told[name] is True


def test_discovery_names_implicit_where_a_client_has_it(make_world: MakeWorld) -> None:
    world = make_world(make_client(), make_client("old", response_types=("code", "id_token")))
    told = world.machine().get(DOCUMENTS[0], base_url=URL).get_json()
    assert told["response_types_supported"] == ["code", "id_token"]
    assert "implicit" in told["grant_types_supported"]


def test_mutual_tls_is_named_where_a_proxy_tells_of_certificates(make_world: MakeWorld) -> None:
    for header, named in (("", False), ("X-Client-Cert", True)):
        told = make_world(server={"certificate_header": header}).machine().get(DOCUMENTS[0], base_url=URL).get_json()
        assert ("tls_client_auth" in told["token_endpoint_auth_methods_supported"]) is named
        assert told["tls_client_certificate_bound_access_tokens"] is named


def test_every_endpoint_of_the_document_is_there(world: World) -> None:
    told = world.machine().get(DOCUMENTS[0], base_url=URL).get_json()
    for name, url in told.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert url.startswith(f"{URL}/oauth/")
            assert world.machine().get(url.removeprefix(URL), base_url=URL).status_code != 404


def test_rfc_8414_metadata_is_the_same_document(world: World) -> None:
    assert world.machine().get(DOCUMENTS[0], base_url=URL).data == world.machine().get(DOCUMENTS[1], base_url=URL).data


def test_S119_V53_the_issuer_is_never_taken_from_the_request(world: World) -> None:
    response = world.machine().get(DOCUMENTS[0], base_url="https://evil.example", headers={"X-Forwarded-Host": "evil.example"})
    assert response.get_json()["issuer"] == URL
    assert "evil" not in response.text


def test_S38_server_rotate_keys(world: World) -> None:
    token = world.signed_in().tokens()["id_token"]
    world.keys.rotate()
    world.keys.rotate()
    kids = [key["kid"] for key in world.machine().get("/oauth/jwks", base_url=URL).get_json()["keys"]]
    assert len(kids) == len(set(kids)) == len(world.keys.published)
    assert world.verified(token)[0]["kid"] in kids
    newer = world.signed_in().tokens()["id_token"]
    assert world.verified(newer)[0]["kid"] == world.keys.current.kid != world.verified(token)[0]["kid"]


def test_the_jwk_set_is_written_anew_only_when_the_ring_changed(world: World) -> None:
    documents = Documents(URL, world.keys, world.clients)
    first = documents.jwks()
    assert documents.jwks() is first
    world.keys.rotate()
    assert documents.jwks() != first


def test_the_jwk_set_holds_nothing_private(world: World) -> None:
    for key in world.machine().get("/oauth/jwks", base_url=URL).get_json()["keys"]:
        assert set(key) == {"kty", "n", "e", "kid", "use"}


@pytest.mark.parametrize("path", DOCUMENTS)
def test_the_documents_are_for_every_site_and_every_cache(world: World, path: str) -> None:
    headers = world.machine().get(path, base_url=URL).headers
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in headers
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert headers["Cache-Control"] == "public, max-age=300"
    assert headers["Content-Type"] == "application/json"
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/userinfo", "/oauth/revoke"])
def test_scripts_of_a_public_client_s_own_origin_may_call_and_no_others(make_world: MakeWorld, path: str) -> None:
    world = make_world(make_client(), make_client("spa", public=True, redirect_uris=("https://spa.example.org/cb",)))
    for method in ("OPTIONS", "POST"):
        for origin, allowed in (("https://spa.example.org", True), ("https://rp.example.org", False), ("null", False), ("", False)):
            response = world.machine().open(path, method=method, base_url=URL, headers={"Origin": origin})
            assert (response.headers.get("Access-Control-Allow-Origin") == origin) is allowed
            assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_public_client_that_was_added_later_may_call(make_world: MakeWorld) -> None:
    world = make_world(make_client())
    assert not world.protocol.allows_origin("https://spa.example.org")
    world.clients.add("spa", {"public": True, "redirect_uris": ["https://spa.example.org/cb"]})
    assert world.protocol.allows_origin("https://spa.example.org")


def test_a_trial_on_this_machine_has_an_http_issuer(make_world: MakeWorld) -> None:
    world = make_world(make_client(), url="http://127.0.0.1:8000")
    assert world.machine().get(DOCUMENTS[0], base_url=world.url).get_json()["issuer"] == "http://127.0.0.1:8000"
