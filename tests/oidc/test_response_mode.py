"""How answers come back: signed (JARM), in the fragment, by form."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .conftest import MakeWorld
from .wiring import CALLBACK, URL, World, answer, make_client, posted

SIGNED = ("query.jwt", "form_post.jwt", "fragment.jwt")


@pytest.fixture
def jarm(make_world: MakeWorld) -> World:
    return make_world(make_client(response_modes=("query", *SIGNED)))


def carried(response: Any, mode: str) -> dict[str, str]:
    """What the answer carries, where that mode has it and nowhere else."""
    if mode.startswith("form_post"):
        action, fields = posted(response)
        assert action == CALLBACK
        return fields
    parts = urlsplit(response.location)
    inside, outside = (parts.fragment, parts.query) if mode.startswith("fragment") else (parts.query, parts.fragment)
    assert not outside
    return {name: values[0] for name, values in parse_qs(inside).items()}


@pytest.mark.parametrize("mode", SIGNED)
def test_JARM_2_1_the_answer_is_one_signed_parameter(jarm: World, mode: str) -> None:
    told = carried(jarm.signed_in().ask(response_mode=mode), mode)
    assert set(told) == {"response"}
    header, claims = jarm.verified(told["response"])
    assert header["typ"] == "oauth-authz-resp+jwt"
    assert (claims["iss"], claims["aud"], claims["exp"], claims["state"]) == (URL, "rp", jarm.now() + 600, "a state")
    assert jarm.exchange(claims["code"]).status_code == 200


def test_JARM_errors_are_signed_too(jarm: World) -> None:
    told = carried(jarm.browser().ask(response_mode="query.jwt", prompt="none"), "query.jwt")
    assert jarm.verified(told["response"])[1]["error"] == "login_required"


def test_JARM_2_3_4_jwt_is_the_signed_form_of_the_default(jarm: World) -> None:
    assert set(answer(jarm.signed_in().ask(response_mode="jwt"))) == {"response"}


@pytest.mark.parametrize("mode", [*SIGNED, "jwt", "fragment", "web_message"])
def test_S7_a_mode_that_the_client_may_not_have_is_refused(world: World, mode: str) -> None:
    assert answer(world.signed_in().ask(response_mode=mode))["error"] == "invalid_request"


def test_a_signed_answer_is_no_id_token_hint(jarm: World) -> None:
    visitor = jarm.signed_in()
    token = answer(visitor.ask(response_mode="query.jwt"))["response"]
    assert answer(visitor.ask(id_token_hint=token))["error"] == "invalid_request"


def test_a_code_may_come_in_the_fragment_where_the_client_may_have_that(make_world: MakeWorld) -> None:
    world = make_world(make_client(response_modes=("query", "fragment")))
    told = carried(world.signed_in().ask(response_mode="fragment"), "fragment")
    assert {"code", "state", "iss"} <= set(told)


def test_a_redirect_uri_keeps_its_query(make_world: MakeWorld) -> None:
    """Module oidcc-redirect-uri-query-OK."""
    uri = f"{CALLBACK}?a=b"
    world = make_world(make_client(redirect_uris=(uri,)))
    told = answer(world.signed_in().ask(redirect_uri=uri))
    assert (told["a"], told["state"]) == ("b", "a state")
