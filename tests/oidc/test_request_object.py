"""Request objects (RFC 9101, OpenID Connect Core §6): signed by the client, by value and from registered addresses; never unsigned."""

from __future__ import annotations

from typing import Any

import pytest
from joserfc import jwe
from joserfc.jwk import RSAKey

from .conftest import MakeWorld
from .holder import Holder
from .test_client_authentication import b64, with_header
from .wiring import CALLBACK, URL, World, answer, asked, make_client, unsigned

ADDRESS = "https://rp.example.org/request.jwt"
HOLDER = Holder("RS256")


def signing_world(make_world: MakeWorld, **settings: Any) -> World:
    return make_world(make_client(**{"jwks": HOLDER.jwks, "request_uris": (ADDRESS,), **settings}))


def request_object(world: World, holder: Holder = HOLDER, *, about: dict[str, Any] | None = None, **changes: Any) -> str:
    own = {"iss": "rp", "aud": URL, "exp": world.now() + 60, **(about or {})}
    claims = {**asked(), **own, **changes}
    return holder.sign({key: value for key, value in claims.items() if value is not None})


def ask(world: World, **outside: str | None) -> dict[str, str]:
    """Signed in, with a request that has nothing but `outside`."""
    bare = dict.fromkeys(asked(), None) | {"client_id": "rp", "redirect_uri": CALLBACK}
    return answer(world.signed_in().ask(**{**bare, **outside}))


def test_request_object_by_value_is_obeyed(make_world: MakeWorld) -> None:
    world = signing_world(make_world)
    told = ask(world, request=request_object(world, state="inside"), state="outside")
    assert told["state"] == "inside"
    assert world.exchange(told["code"]).status_code == 200


def test_request_uri_signed_rs256(make_world: MakeWorld) -> None:
    world = signing_world(make_world)
    world.web.pages[ADDRESS] = request_object(world).encode()
    assert "code" in ask(world, request_uri=ADDRESS)
    assert world.web.asked == [ADDRESS]


def test_S10_no_address_is_fetched_that_the_client_did_not_register(make_world: MakeWorld) -> None:
    world = signing_world(make_world)
    for uri in ("https://evil.example/x", f"{ADDRESS}?x", f"{ADDRESS}#x", "http://169.254.169.254/", "file:///etc/passwd"):
        assert ask(world, request_uri=uri)["error"] == "request_uri_not_supported"
    assert world.web.asked == []


def test_a_request_uri_that_cannot_be_fetched_is_invalid_request_uri(make_world: MakeWorld) -> None:
    assert ask(signing_world(make_world), request_uri=ADDRESS)["error"] == "invalid_request_uri"


def test_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(make_world: MakeWorld) -> None:
    world = signing_world(make_world)
    bare = unsigned(request_object(world), header={"alg": "none"})
    assert ask(world, request=bare)["error"] == "request_not_supported"


def test_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(make_world: MakeWorld) -> None:
    world = signing_world(make_world)
    world.web.pages[ADDRESS] = unsigned(request_object(world), header={"alg": "none"}).encode()
    assert ask(world, request_uri=ADDRESS)["error"] == "request_not_supported"


def test_a_client_without_keys_has_no_request_objects(make_world: MakeWorld) -> None:
    world = make_world(make_client())
    assert ask(world, request=request_object(world))["error"] == "request_not_supported"


def test_ensure_request_object_with_redirect_uri(make_world: MakeWorld) -> None:
    """The bad one outside counts for nothing; without a good one inside, nothing is sent anywhere (S2)."""
    world = signing_world(make_world)
    assert "code" in ask(world, request=request_object(world), redirect_uri="https://evil.example/cb")
    response = world.signed_in().ask(request=request_object(world, redirect_uri="https://evil.example/cb"))
    assert (response.status_code, response.location) == (400, None)


def test_ensure_different_nonce_inside_and_outside_request_object(make_world: MakeWorld) -> None:
    world = signing_world(make_world)
    told = ask(world, request=request_object(world, nonce="inside"), nonce="outside")
    claims = world.verified(world.exchange(told["code"]).get_json()["id_token"])[1]
    assert claims["nonce"] == "inside"


def test_claims_and_max_age_are_no_texts_inside(make_world: MakeWorld) -> None:
    world = signing_world(make_world)
    inside = request_object(world, claims={"id_token": {"email": None}}, max_age=1000, scope="openid")
    told = ask(world, request=inside)
    assert world.verified(world.exchange(told["code"]).get_json()["id_token"])[1]["email"] == "anne@assoc.example"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"aud": "https://other.example"},
        {"client_id": "other"},
        {"exp": 1},
        {"exp": "x"},
        {"nbf": 4_000_000_000},
        {"request": "x"},
        {"request_uri": "x"},
    ],
)
def test_a_request_object_that_breaks_RFC_9101_is_invalid(make_world: MakeWorld, changes: dict[str, Any]) -> None:
    world = signing_world(make_world)
    assert ask(world, request=request_object(world, **changes))["error"] == "invalid_request_object"


@pytest.mark.parametrize("bad", ["other_key", "crit", "cut", "garbage", "huge", "list"])
def test_S35_a_request_object_that_does_not_verify_is_invalid(make_world: MakeWorld, bad: str) -> None:
    world = signing_world(make_world)
    good = request_object(world)
    tokens = {
        "other_key": request_object(world, Holder("RS256")),
        "crit": with_header(good, crit=["exp"]),
        "cut": good[:-5],
        "garbage": "a.b.c",
        "huge": "x" * 20_000,
        "list": f"{b64(b'[]')}.{b64(b'[]')}.{b64(b'x')}",
    }
    assert ask(world, request=tokens[bad])["error"] == "invalid_request_object"


def test_a_bad_request_object_beside_an_unknown_address_is_our_page(make_world: MakeWorld) -> None:
    world = signing_world(make_world)
    response = world.signed_in().ask(request="x", redirect_uri="https://evil.example/cb")
    assert (response.status_code, response.location) == (400, None)


def test_request_and_request_uri_together_are_refused(make_world: MakeWorld) -> None:
    world = signing_world(make_world)
    assert ask(world, request=request_object(world), request_uri=ADDRESS)["error"] == "invalid_request"


def test_a_client_that_must_sign_is_not_answered_unsigned(make_world: MakeWorld) -> None:
    world = signing_world(make_world, require_signed_request_object=True)
    assert answer(world.signed_in().ask())["error"] == "invalid_request"
    assert "code" in ask(world, request=request_object(world))


def test_a_request_object_may_be_pushed(make_world: MakeWorld) -> None:
    world = signing_world(make_world, require_signed_request_object=True)
    form = {"request": request_object(world, state="inside"), "state": "outside"}
    response = world.machine().post("/oauth/par", base_url=URL, data=form, auth=("rp", "rp-secret"))
    told = answer(
        world.signed_in().get("/oauth/authorize", query_string={"client_id": "rp", "request_uri": response.get_json()["request_uri"]})
    )
    assert told["state"] == "inside"
    plain = world.machine().post("/oauth/par", base_url=URL, data=asked(), auth=("rp", "rp-secret"))
    assert plain.get_json()["error"] == "invalid_request"


def test_the_one_algorithm_of_the_settings_is_the_only_one(make_world: MakeWorld) -> None:
    world = signing_world(make_world, request_object_signing_alg="PS256")
    assert ask(world, request=request_object(world))["error"] == "invalid_request_object"


def test_RFC_9101_an_encrypted_request_object_is_refused_and_none_is_offered(make_world: MakeWorld) -> None:
    """Only signed ones are taken: CONFORMITY.md says why."""
    world = signing_world(make_world)
    header = {"alg": "RSA-OAEP", "enc": "A128GCM", "cty": "JWT"}
    sealed = jwe.encrypt_compact(header, request_object(world).encode(), RSAKey.generate_key(2048))
    assert ask(world, request=sealed)["error"] == "invalid_request_object"
    document = world.machine().get("/.well-known/openid-configuration", base_url=URL).get_json()
    assert not [name for name in document if name.startswith(("request_object_encryption", "authorization_encryption"))]
