"""What was issued a moment ago is asked about again when it is used: are client, session and member still there (S31, S48, V51)?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from werkzeug.test import TestResponse

from idp.directory import DirectoryUnavailable, Subject
from idp.sso.settings import EntrySettings

from .conftest import MakeWorld
from .test_device import TV, begin, decide, poll, type_in
from .test_refresh import GRANTS, OFFLINE, SCOPES, error_of, lasting, refresh
from .wiring import ANNE, World, make_client

API = "https://api.example.org/"
SHOP: dict[str, Any] = {"grant_types": GRANTS, "scopes": SCOPES, "tokens": {"refresh_with_session": True, "resources": (API,)}}
CODE: dict[str, Any] = {"client_id": "shop", "scope": "openid email"}
DISABLED = Subject("0471", "anne", ANNE.attributes, active=False)


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A client of the store beside those of the file, one of which is a resource server."""
    made = make_world(lasting(), make_client("api", tokens={"introspects": (API,)}), make_client("tv", public=True, **TV))
    made.clients.add("shop", SHOP)
    return made


def introspected(world: World, token: str, client: str = "api") -> TestResponse:
    auth = (client, f"{client}-secret")
    return world.machine().post("/oauth/introspect", base_url=world.url, data={"token": token}, auth=auth)


def test_a_code_of_a_client_that_was_removed_gives_nothing(world: World) -> None:
    code = world.signed_in().code(**CODE)
    world.clients.remove("shop")
    response = world.exchange(code, client="shop")
    assert (response.status_code, response.get_json()["error"]) == (401, "invalid_client")
    assert not world.store.list("token")


def test_tokens_of_a_client_that_was_removed_open_nothing_and_are_not_active(world: World) -> None:
    tokens = world.signed_in().tokens(client="shop", scope="openid email", resource=API)
    plain = world.signed_in().tokens(client="shop", scope="openid email")
    assert introspected(world, tokens["access_token"]).get_json()["active"] is True
    assert world.userinfo(plain["access_token"]).status_code == 200
    world.clients.remove("shop")
    assert introspected(world, tokens["access_token"]).get_json() == {"active": False}
    assert world.userinfo(plain["access_token"]).status_code == 401
    assert refresh(world, tokens["refresh_token"], client="shop").status_code == 401
    assert introspected(world, tokens["access_token"], "shop").status_code == 401


def test_S26_a_code_of_a_client_that_lost_the_grant_gives_nothing(world: World) -> None:
    code = world.signed_in().code(**CODE)
    world.clients.change("shop", {**SHOP, "grant_types": ("client_credentials",)})
    assert error_of(world.exchange(code, client="shop")) == "unauthorized_client"


def test_S26_a_refresh_token_of_a_client_that_lost_the_grant_gives_nothing(world: World) -> None:
    tokens = world.signed_in().tokens(client="shop", scope="openid email")
    world.clients.change("shop", {**SHOP, "grant_types": ("authorization_code",)})
    assert error_of(refresh(world, tokens["refresh_token"], client="shop")) == "unauthorized_client"


def test_S27_a_client_that_got_another_secret_uses_its_code_with_that_alone(world: World) -> None:
    code = world.signed_in().code(**CODE)
    world.clients.change("shop", {**SHOP, "secret": "a-new-secret"})
    assert world.exchange(code, client="shop").status_code == 401
    assert world.exchange(code, client="shop", secret="a-new-secret").status_code == 200


@pytest.mark.parametrize("scope", ["openid email", OFFLINE])
def test_S49_V51_a_code_of_a_member_who_was_disabled_since_gives_nothing(world: World, scope: str) -> None:
    code = world.signed_in().code(**{**CODE, "scope": scope})
    world.members.by_id["0471"] = DISABLED
    assert world.subjects.current("0471", max_age=-1) is None, "somebody looks, and nobody has ended the session yet"
    assert world.sessions.list()
    assert error_of(world.exchange(code, client="shop")) == "invalid_grant"
    assert world.audit.last["cause"] == "oidc.subject_gone"
    assert not world.store.list("token")
    assert not world.sessions.list(), "now it has"


def test_S49_V51_a_device_of_a_member_who_was_disabled_since_gets_nothing(world: World) -> None:
    told, browser = begin(world, scope="openid email"), world.signed_in()
    decide(browser, type_in(browser, told["user_code"]))
    world.members.by_id["0471"] = DISABLED
    assert world.subjects.current("0471", max_age=-1) is None
    response = poll(world, told["device_code"])
    assert (response.status_code, response.get_json()["error"]) == (400, "invalid_grant")


def test_entry_rules_hold_for_a_code_by_what_is_known_since(make_world: MakeWorld) -> None:
    world = make_world(lasting(entry=EntrySettings(member_types=("REG",))))
    code = world.signed_in().code()
    world.subjects.remember(Subject("0471", "anne", {**ANNE.attributes, "member_type": ("NM",)}))
    assert error_of(world.exchange(code)) == "invalid_grant"
    assert world.audit.last["cause"] == "entry.member_type"


def test_a_code_asks_no_directory_that_the_sign_on_has_just_asked(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    client = lasting()
    world = make_world(type(client)(**{**vars(client), "max_age": 0}))
    code = world.signed_in().code()
    world.now.seconds += 10
    monkeypatch.setattr(world.members, "find", away)
    assert world.exchange(code).status_code == 200


def away(_: str) -> Subject:
    raise DirectoryUnavailable("no answer")


@pytest.mark.parametrize("look", [lambda world, token: world.userinfo(token), introspected])
def test_S49_whoever_finds_a_member_disabled_by_a_token_ends_their_sessions(
    world: World, look: Callable[[World, str], TestResponse]
) -> None:
    browser = world.signed_in()
    tokens = browser.tokens(client="shop", scope=OFFLINE)
    world.store.delete("subject", "0471")
    world.members.by_id["0471"] = DISABLED
    look(world, tokens["access_token"])
    assert not world.sessions.list()


def test_S31_S49_a_refresh_token_that_outlives_its_session_is_not_active_when_its_member_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = world.signed_in().tokens(client="shop", scope=OFFLINE)["refresh_token"]
    assert introspected(world, token, "shop").get_json()["active"] is True
    monkeypatch.setattr(world.store, "delete_where", lambda *_: 0)  # it has just been issued, when the others had been deleted already
    world.members.by_id["0471"] = DISABLED
    assert world.subjects.current("0471", max_age=-1) is None
    assert introspected(world, token, "shop").get_json() == {"active": False}


def test_S48_a_code_and_its_tokens_end_with_the_session(world: World) -> None:
    browser = world.signed_in()
    code, tokens = browser.code(**CODE), browser.tokens(client="shop", scope="openid email", resource=API)
    world.logout.end(browser.session_id(), reason="operator")
    assert error_of(world.exchange(code, client="shop")) == "invalid_grant"
    assert error_of(refresh(world, tokens["refresh_token"], client="shop")) == "invalid_grant"
    assert introspected(world, tokens["access_token"]).get_json() == {"active": False}
