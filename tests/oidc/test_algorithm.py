"""What we sign and encrypt, with the algorithm that each client registered."""

from __future__ import annotations

import hashlib
import json
import warnings
from base64 import urlsafe_b64encode
from typing import Any

import pytest
from joserfc import jwe, jwt
from joserfc.jwk import JWKRegistry, KeySet

from idp.protocols.oidc.signing import signing_problems

from .conftest import MakeWorld
from .wiring import URL, World, answer, make_client

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


def with_keys(world: World) -> World:
    """An operator has made a key of each kind."""
    for kind in ("p-256", "ed25519"):
        world.keys.publish(kind)  # type: ignore[arg-type]
        world.keys.activate(kind)  # type: ignore[arg-type]
    return world


def verified(world: World, token: str, algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    keys = KeySet.import_key_set(world.machine().get("/oauth/jwks", base_url=URL).get_json())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # joserfc's remark on the name EdDSA
        decoded = jwt.decode(token, keys, algorithms=[algorithm])
    return dict(decoded.header), dict(decoded.claims)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_id_token_is_signed_as_the_client_registered(make_world: MakeWorld, algorithm: str) -> None:
    world = with_keys(make_world(make_client(id_token_signed_response_alg=algorithm)))
    tokens = world.signed_in().tokens()
    header, claims = verified(world, tokens["id_token"], algorithm)
    assert (header["alg"], claims["sub"]) == (algorithm, "0471")
    whole = (hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256)(tokens["access_token"].encode()).digest()
    assert claims["at_hash"] == urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()


def test_idtoken_signature_the_default_is_RS256(make_world: MakeWorld) -> None:
    world = with_keys(make_world(make_client()))
    assert world.verified(world.signed_in().tokens()["id_token"])[0]["alg"] == "RS256"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_userinfo_signed_as_the_client_registered(make_world: MakeWorld, algorithm: str) -> None:
    """Module oidcc-userinfo-rs256, and its like."""
    world = with_keys(make_world(make_client(userinfo_signed_response_alg=algorithm)))
    response = world.userinfo(world.signed_in().tokens()["access_token"])
    assert response.content_type == "application/jwt"
    claims = verified(world, response.text, algorithm)[1]
    assert (claims["iss"], claims["aud"], claims["sub"], claims["email"]) == (URL, "rp", "0471", "anne@assoc.example")


def test_a_signed_userinfo_is_no_id_token_hint(make_world: MakeWorld) -> None:
    world = make_world(make_client(userinfo_signed_response_alg="RS256"))
    visitor = world.signed_in()
    token = world.userinfo(visitor.tokens()["access_token"]).text
    assert answer(visitor.ask(id_token_hint=token))["error"] == "invalid_request"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_hint_of_each_algorithm_is_ours(make_world: MakeWorld, algorithm: str) -> None:
    world = with_keys(make_world(make_client(id_token_signed_response_alg=algorithm)))
    visitor = world.signed_in()
    assert "code" in answer(visitor.ask(id_token_hint=visitor.tokens()["id_token"], prompt="none"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_logout_token_is_signed_like_the_id_token(make_world: MakeWorld, algorithm: str) -> None:
    uri = "https://rp.example.org/out"
    world = with_keys(make_world(make_client(id_token_signed_response_alg=algorithm, backchannel_logout_uri=uri)))
    visitor = world.signed_in()
    visitor.tokens()
    world.logout.end(visitor.session_id(), reason="test")
    (notice,) = world.letterbox.notices
    assert verified(world, notice.fields["logout_token"], algorithm)[0]["typ"] == "logout+jwt"


def test_JARM_is_signed_as_the_client_registered(make_world: MakeWorld) -> None:
    world = with_keys(make_world(make_client(authorization_signed_response_alg="ES256", response_modes=("query.jwt",))))
    assert verified(world, answer(world.signed_in().ask())["response"], "ES256")[1]["aud"] == "rp"


def test_discovery_names_what_the_keys_can_sign_now(world: World) -> None:
    def told() -> list[str]:
        document: dict[str, list[str]] = json.loads(world.protocol.documents.discovery)
        return document["id_token_signing_alg_values_supported"]

    assert told() == ["RS256", "PS256"]
    with_keys(world)
    assert told() == ["RS256", "PS256", "ES256", "EdDSA"]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_jwt_access_token_is_signed_like_the_id_token(make_world: MakeWorld, algorithm: str) -> None:
    world = with_keys(make_world(make_client(id_token_signed_response_alg=algorithm, tokens={"access_token": "jwt"})))
    token = world.signed_in().tokens()["access_token"]
    assert verified(world, token, algorithm)[0]["typ"] == "at+jwt"
    assert world.userinfo(token).get_json()["sub"] == "0471"


@pytest.mark.parametrize(
    ("settings", "algorithm"),
    [
        ({}, "RS256"),
        ({"id_token_signed_response_alg": "PS256"}, "PS256"),
        ({"id_token_signed_response_alg": "PS256", "introspection_signed_response_alg": "ES256"}, "ES256"),
    ],
)
def test_RFC_9701_introspection_is_signed_as_the_client_registered(make_world: MakeWorld, settings: dict[str, Any], algorithm: str) -> None:
    world = with_keys(make_world(make_client(**settings)))
    form, headers = {"token": "x"}, {"Accept": "application/token-introspection+jwt"}
    response = world.machine().post("/oauth/introspect", base_url=URL, data=form, auth=("rp", "rp-secret"), headers=headers)
    assert verified(world, response.text, algorithm)[1]["token_introspection"] == {"active": False}


KEYLESS: list[dict[str, Any]] = [
    {"id_token_signed_response_alg": "ES256"},
    {"userinfo_signed_response_alg": "EdDSA"},
    {"authorization_signed_response_alg": "ES256"},
    {"introspection_signed_response_alg": "EdDSA"},
]


@pytest.mark.parametrize("settings", KEYLESS)
def test_an_algorithm_without_a_key_is_told_to_the_client_before_a_member_signs_in(make_world: MakeWorld, settings: dict[str, Any]) -> None:
    world = make_world(make_client(**settings))
    told = answer(world.browser().ask())
    assert told["error"] == "server_error"
    assert "idp keys" not in told["error_description"], "the command is for our own log"
    (refused,) = world.audit.of("signon.refused")
    assert (refused["cause"], "--kind" in refused["expected"]) == ("oidc.signing_key_missing", True)


def test_without_its_key_a_client_s_code_and_refresh_token_are_not_used_up(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    world = make_world(make_client())
    code = world.signed_in().code()
    with monkeypatch.context() as keyless:
        keyless.setattr("idp.protocols.oidc.signing.unsignable", lambda *_: [("id_token_signed_response_alg", "ES256")])
        response = world.exchange(code)
    assert (response.status_code, response.get_json()["error"]) == (503, "server_error")
    assert world.exchange(code).status_code == 200


def test_an_answer_that_could_not_be_signed_is_a_page_of_ours(make_world: MakeWorld) -> None:
    world = make_world(make_client(authorization_signed_response_alg="ES256", response_modes=("query.jwt",)))
    response = world.browser().ask()
    assert (response.status_code, response.location) == (503, None)
    assert world.audit.last["cause"] == "oidc.signing_key_missing"


def test_what_could_not_be_signed_is_said_with_the_setting_and_the_command(make_world: MakeWorld) -> None:
    client = make_client(userinfo_signed_response_alg="ES256", authorization_signed_response_alg="EdDSA")
    world = make_world(client)
    first, second = signing_problems([client, make_client("fine")], world.keys)
    assert first.startswith(
        "clients.rp.oidc.userinfo_signed_response_alg: no active key signs ES256. Run: idp keys rotate oidc --kind p-256"
    )
    assert "--kind ed25519" in second
    assert signing_problems([client], with_keys(world).keys) == []


def test_server_rotate_keys_of_every_kind(make_world: MakeWorld) -> None:
    world = with_keys(make_world(make_client(id_token_signed_response_alg="ES256")))
    token = world.signed_in().tokens()["id_token"]
    world.keys.publish("p-256")
    world.keys.activate("p-256")
    assert verified(world, token, "ES256"), "the old one is still published"
    newer = world.signed_in().tokens()["id_token"]
    assert verified(world, newer, "ES256")[0]["kid"] != verified(world, token, "ES256")[0]["kid"]


ENCRYPTIONS = [("RSA-OAEP-256", "RSA", 2048), ("ECDH-ES", "EC", "P-256"), ("ECDH-ES", "OKP", "X25519"), ("ECDH-ES+A256KW", "EC", "P-256")]


@pytest.mark.parametrize(("algorithm", "kind", "size"), ENCRYPTIONS)
@pytest.mark.parametrize("content", ["A128GCM", "A256GCM", "A128CBC-HS256"])
def test_RFC_7516_id_token_and_userinfo_are_encrypted_to_the_client(
    make_world: MakeWorld, algorithm: str, kind: str, size: Any, content: str
) -> None:
    key = JWKRegistry.generate_key(kind, size, {"kid": "e1", "use": "enc"})
    asked = {"encrypted_response_alg": algorithm, "encrypted_response_enc": content}
    settings = {f"{what}_{name}": value for what in ("id_token", "userinfo") for name, value in asked.items()}
    world = make_world(make_client(jwks={"keys": [key.as_dict(private=False)]}, **settings))
    tokens = world.signed_in().tokens()
    for sealed in (tokens["id_token"], world.userinfo(tokens["access_token"]).text):
        opened = jwe.decrypt_compact(sealed, key, algorithms=[algorithm, content])
        assert (opened.headers()["cty"], opened.headers()["kid"]) == ("JWT", "e1")
        assert opened.plaintext is not None
        assert world.verified(opened.plaintext.decode())[1]["sub"] == "0471"


def test_a_signature_key_is_not_encrypted_to(make_world: MakeWorld) -> None:
    key = JWKRegistry.generate_key("RSA", 2048, {"kid": "s1", "use": "sig"})
    world = make_world(make_client(jwks={"keys": [key.as_dict(private=False)]}, id_token_encrypted_response_alg="RSA-OAEP-256"))
    response = world.exchange(world.signed_in().code())
    assert (response.status_code, world.audit.last["cause"]) == (400, "oidc.no_encryption_key")
