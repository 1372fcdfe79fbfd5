"""Pushed authorization requests (RFC 9126)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from idp.protocols.oidc.assertion import ASSERTION_TYPE

from .conftest import MakeWorld
from .holder import Holder
from .wiring import CALLBACK, URL, Visitor, World, answer, asked, make_client


def push(world: World, *, client: str = "rp", headers: Any = None, **changes: str | None) -> TestResponse:
    form = {key: value for key, value in asked(**changes).items() if key != "client_id" or "client_id" in changes}
    return world.machine().post("/oauth/par", base_url=URL, data=form, auth=(client, f"{client}-secret"), headers=headers)


def pushed(world: World, **changes: str | None) -> str:
    response = push(world, **changes)
    assert response.status_code == 201, response.text
    uri: str = response.get_json()["request_uri"]
    return uri


def bring(visitor: Visitor, uri: str, *, client: str = "rp", **more: str) -> TestResponse:
    return visitor.get(f"/oauth/authorize?{urlencode({'client_id': client, 'request_uri': uri, **more})}")


def test_par_without_duplicate_parameters(world: World) -> None:
    """The URL has client_id and request_uri alone."""
    told = answer(bring(world.signed_in(), pushed(world)))
    assert told["state"] == "a state"
    assert world.exchange(told["code"]).status_code == 200


def test_RFC_9126_2_2_the_answer_is_201_with_a_reference_of_a_minute(world: World) -> None:
    response = push(world)
    told = response.get_json()
    assert response.status_code == 201
    assert told["expires_in"] == 60
    assert told["request_uri"].startswith("urn:ietf:params:oauth:request_uri:")
    assert response.headers["Cache-Control"] == "no-store"


def test_what_stands_beside_the_reference_is_not_read(world: World) -> None:
    told = answer(bring(world.signed_in(), pushed(world), state="other", redirect_uri="https://evil.example", scope="openid"))
    assert told["state"] == "a state"


def test_state_only_outside_request_object_not_used(world: World) -> None:
    assert "state" not in answer(bring(world.signed_in(), pushed(world, state=None), state="outside"))


def test_par_attempt_to_use_request_uri_for_different_client(make_world: MakeWorld) -> None:
    world = make_world(make_client(), make_client("two"))
    response = bring(world.signed_in(), pushed(world), client="two")
    assert (response.status_code, response.location) == (400, None)


def test_par_attempt_to_use_expired_request_uri(world: World) -> None:
    uri, visitor = pushed(world), world.signed_in()
    world.now.seconds += 61
    response = bring(visitor, uri)
    assert (response.status_code, response.location) == (400, None)
    assert "start again" in response.text


def test_par_attempt_reuse_request_uri(world: World) -> None:
    uri, visitor = pushed(world), world.signed_in()
    assert "code" in answer(bring(visitor, uri))
    assert bring(visitor, uri).status_code == 400


def test_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(world: World) -> None:
    uri, visitor = pushed(world), world.browser()
    bring(visitor, uri)
    page = bring(visitor, uri)
    assert "code" in answer(visitor.sign_in(page.location))


def test_a_member_may_take_longer_than_the_reference_lives_to_sign_in(world: World) -> None:
    visitor = world.browser()
    page = bring(visitor, pushed(world))
    world.now.seconds += 600
    assert "code" in answer(visitor.sign_in(page.location))


def test_par_authorization_request_containing_request_uri_form_param(world: World) -> None:
    response = push(world, request_uri="urn:ietf:params:oauth:request_uri:x")
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_par_attempt_invalid_http_method(world: World, method: str) -> None:
    assert world.machine().open("/oauth/par", method=method, base_url=URL).status_code == 405


def test_par_ensure_pkce_required(world: World) -> None:
    response = push(world, code_challenge=None, code_challenge_method=None)
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")


def test_par_plain_pkce_rejected(world: World) -> None:
    assert push(world, code_challenge_method="plain").get_json()["error"] == "invalid_request"


def test_a_pushed_request_with_an_unknown_redirect_uri_is_refused(world: World) -> None:
    response = push(world, redirect_uri="https://evil.example/cb")
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_request")


def test_ensure_request_object_without_redirect_uri_fails(world: World) -> None:
    assert push(world, redirect_uri=None).get_json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "error"), [({"scope": "nothing"}, "invalid_scope"), ({"response_type": "token"}, "unsupported_response_type")]
)
def test_what_is_wrong_with_a_request_is_told_when_it_is_pushed(world: World, changes: dict[str, str], error: str) -> None:
    response = push(world, **changes)
    assert (response.status_code, response.get_json()["error"]) == (400, error)


def test_S27_nobody_pushes_for_another(world: World) -> None:
    response = world.machine().post("/oauth/par", base_url=URL, data=asked(), auth=("rp", "wrong"))
    assert (response.status_code, response.get_json()["error"]) == (401, "invalid_client")
    assert push(world, client_id="other").status_code == 401


def test_a_public_client_may_push(make_world: MakeWorld) -> None:
    world = make_world(make_client(public=True))
    response = world.machine().post("/oauth/par", base_url=URL, data=asked())
    assert response.status_code == 201


def test_no_secret_is_kept_with_a_pushed_request(make_world: MakeWorld) -> None:
    holder = Holder()
    world = make_world(make_client(token_endpoint_auth_method="private_key_jwt", jwks=holder.jwks))
    form = {**asked(), "client_assertion": holder.assertion(world), "client_assertion_type": ASSERTION_TYPE}
    assert world.machine().post("/oauth/par", base_url=URL, data=form).status_code == 201
    (stored,) = world.store.list("pushed")
    assert "client_assertion" not in stored.record["values"]
    assert not stored.key.startswith("urn:")


def test_ensure_unsigned_authorization_request_without_using_par_fails(make_world: MakeWorld) -> None:
    world = make_world(make_client(require_pushed_authorization_requests=True))
    visitor = world.signed_in()
    assert answer(visitor.ask())["error"] == "invalid_request"
    assert "code" in answer(bring(visitor, pushed(world)))


def test_resources_survive_being_pushed(make_world: MakeWorld) -> None:
    api = "https://api.example.org/"
    world = make_world(make_client(tokens={"resources": (api, f"{api}two")}))
    form = [*asked().items(), ("resource", api), ("resource", f"{api}two")]
    response = world.machine().post(
        "/oauth/par", base_url=URL, data=urlencode(form), content_type="application/x-www-form-urlencoded", auth=("rp", "rp-secret")
    )
    bring(world.signed_in(), response.get_json()["request_uri"])
    (stored,) = world.store.list("code")
    assert stored.record["data"]["resource"] == [api, f"{api}two"]


@pytest.mark.parametrize(
    "uri", ["urn:ietf:params:oauth:request_uri:", "urn:ietf:params:oauth:request_uri:x", "urn:ietf:params:oauth:request_uri:\ud800"]
)
def test_a_reference_of_somebody_s_own_making_is_our_page(world: World, uri: str) -> None:
    response = world.signed_in().get(
        "/oauth/authorize", query_string={"client_id": "rp", "request_uri": uri.encode("utf-8", "surrogatepass"), "redirect_uri": CALLBACK}
    )
    assert response.status_code == 400
    assert response.location is None
