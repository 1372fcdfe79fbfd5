"""What a sign-on costs the store, counted: each operation is a round trip to the database (README.md has the same list)."""

from __future__ import annotations

from pathlib import Path

import pytest

from idp.protocols.oidc import claim
from idp.store.sqlite import SqliteStore
from tests.standin import Counted

from .conftest import MakeWorld
from .wiring import World, make_client


@pytest.fixture
def counted(make_world: MakeWorld, tmp_path: Path) -> tuple[World, Counted]:
    store = Counted(SqliteStore(tmp_path / "counted.sqlite", now=lambda: 1_800_000_000))
    return make_world(make_client(), store=store), store


def test_a_repeated_sign_on_reads_four_times_and_writes_its_code(counted: tuple[World, Counted]) -> None:
    world, store = counted
    browser = world.signed_in()
    browser.tokens()
    store.since()
    code = browser.code()
    assert store.since() == ["get session", "get subject", "put code", "get session"]
    tokens = world.exchange(code).get_json()
    assert store.since() == ["get code", "put_new spent", "get session", "get subject", "put_new token"]
    world.userinfo(tokens["access_token"])
    assert store.since() == ["get token", "get session"]


def test_a_refresh_reads_its_family_and_the_member_and_writes_two_tokens(make_world: MakeWorld, tmp_path: Path) -> None:
    store = Counted(SqliteStore(tmp_path / "counted.sqlite", now=lambda: 1_800_000_000))
    client = make_client(grant_types=("authorization_code", "refresh_token", "client_credentials"), scopes=("openid", "offline_access"))
    world = make_world(client, store=store)
    tokens = world.signed_in().tokens(scope="openid offline_access")
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    store.since()
    world.machine().post("/oauth/token", base_url=world.url, data=form, auth=("rp", "rp-secret"))
    assert store.since() == ["get token", "get subject", "put_new token", "change token"]
    world.machine().post("/oauth/token", base_url=world.url, data={"grant_type": "client_credentials"}, auth=("rp", "rp-secret"))
    assert store.since() == ["put_new token"]
    world.machine().post("/oauth/introspect", base_url=world.url, data={"token": tokens["access_token"]}, auth=("rp", "rp-secret"))
    assert store.since() == ["get token", "get subject"]


def test_the_documents_and_refused_requests_cost_nothing(counted: tuple[World, Counted]) -> None:
    world, store = counted
    for path in ("/.well-known/openid-configuration", "/oauth/jwks", "/oauth/authorize?client_id=x"):
        world.machine().get(path, base_url=world.url)
    world.browser().ask(prompt="none login")
    assert store.since() == []


def test_only_a_wrong_secret_costs_a_write_because_it_is_counted(counted: tuple[World, Counted]) -> None:
    world, store = counted
    world.exchange("x", secret="wrong")
    assert store.since() == ["bump throttle"]


def test_pyop_copies_no_configuration_for_a_request(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyop.provider.copy", None)  # pyop deep-copies its whole configuration where nobody stops it
    browser = world.signed_in()
    assert world.userinfo(browser.tokens()["access_token"]).status_code == 200


def test_what_a_code_keeps_is_only_what_this_request_may_read(world: World) -> None:
    world.signed_in().code(scope="openid email")
    (stored,) = world.store.list("code")
    assert stored.record["data"]["userinfo"] == {"email": "anne@assoc.example"}
    assert set(claim.CLAIM_OF.values()) > {"email"}
