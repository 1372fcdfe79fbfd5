"""What we take for granted of pyop: its version, the private names that we replace, and that it calls ours."""

from __future__ import annotations

import inspect
import logging
from importlib.metadata import version

import pytest
from pyop.provider import Provider

from idp.protocols.oidc.provider import CALLED, OVERRIDDEN, OidcProvider

from .wiring import World

PUBLIC = ("authorize", "parse_authentication_request", "provider_configuration", "jwks")


def test_the_pinned_version_is_the_one_that_these_rules_were_written_for() -> None:
    assert version("pyop") == "3.5.0"


@pytest.mark.parametrize("name", [*OVERRIDDEN, *PUBLIC])
def test_every_name_that_we_replace_is_still_one_of_pyop_s(name: str) -> None:
    assert name in vars(Provider)
    assert name in vars(OidcProvider)


@pytest.mark.parametrize("name", CALLED)
def test_every_private_name_that_we_call_is_still_there_and_not_ours(name: str) -> None:
    assert name in vars(Provider)
    assert name not in vars(OidcProvider)


def test_we_replace_nothing_of_pyop_s_that_is_not_listed() -> None:
    replaced = {name for name in vars(OidcProvider) if name in vars(Provider) and not name.startswith("__")}
    assert replaced == {*OVERRIDDEN, *PUBLIC}


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_pyop_still_calls_what_we_replace(name: str) -> None:
    callers = [source for other, member in vars(Provider).items() if other != name and f"self.{name}(" in (source := _source(member))]
    assert callers, f"pyop no longer calls {name}: our rule would not be asked"


def _source(member: object) -> str:
    return inspect.getsource(member) if inspect.isfunction(member) else ""


def test_pyop_hands_what_the_code_must_remember_through_untouched(world: World) -> None:
    world.signed_in().code()
    (stored,) = world.store.list("code")
    assert set(stored.record["data"]) == {"redirect_uri", "scope", "nonce", "code_challenge", "id_token", "userinfo"}


def test_G_S10_pyop_writes_no_requests_to_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.signed_in().tokens()
    assert not [record for record in caplog.records if record.name.startswith("pyop")]
