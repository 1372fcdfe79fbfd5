"""`acr`: what is asked of the way to sign in (OpenID Connect Core §5.5.1.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from idp.sso.session import PASSWORD

from .wiring import World, answer

STRONGER = "urn:example:two-factors"


def wish(**acr: Any) -> str:
    return json.dumps({"id_token": {"acr": acr}})


@pytest.mark.parametrize("acr", [{"essential": True, "values": [STRONGER]}, {"essential": True, "value": STRONGER}])
def test_an_essential_context_that_is_not_offered_is_refused(world: World, acr: dict[str, Any]) -> None:
    assert answer(world.signed_in().ask(claims=wish(**acr)))["error"] == "unmet_authentication_requirements"


@pytest.mark.parametrize(
    "acr",
    [{"essential": True, "values": [STRONGER, PASSWORD]}, {"essential": True}, {"values": [STRONGER]}, {"essential": True, "values": 7}],
)
def test_a_context_that_is_met_or_not_essential_goes_on(world: World, acr: dict[str, Any]) -> None:
    code = answer(world.signed_in().ask(claims=wish(**acr)))["code"]
    assert world.verified(world.exchange(code).get_json()["id_token"])[1]["acr"] == PASSWORD


def test_acr_values_are_a_wish_and_no_demand(world: World) -> None:
    assert "code" in answer(world.signed_in().ask(acr_values=f"{STRONGER} x"))
