"""Refresh tokens: who gets one, what it gives, and what ends it."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from werkzeug.test import TestResponse

from idp.directory import DirectoryUnavailable, Subject
from idp.sso.client import Client
from idp.sso.settings import EntrySettings
from idp.store import INDEXED

from .conftest import MakeWorld
from .wiring import ANNE, World, make_client

GRANTS = ("authorization_code", "refresh_token")
SCOPES = ("openid", "profile", "email", "phone", "offline_access")
OFFLINE = "openid email offline_access"


def lasting(client_id: str = "rp", *, entry: EntrySettings | None = None, **settings: Any) -> Client:
    """A client that may refresh."""
    client = make_client(client_id, **{"grant_types": GRANTS, "scopes": SCOPES, **settings})
    return client if entry is None else Client(**{**vars(client), "entry": entry})


def refresh(world: World, token: str, *, client: str = "rp", **fields: str) -> TestResponse:
    form = {"grant_type": "refresh_token", "refresh_token": token, **fields}
    return world.machine().post("/oauth/token", base_url=world.url, data=form, auth=(client, f"{client}-secret"))


def good(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.get_json()
    return told


def error_of(response: TestResponse) -> str:
    assert response.status_code == 400, response.text
    return str(response.get_json()["error"])


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(lasting(), lasting("other"))


def test_refresh_token(world: World) -> None:
    """The new ID token keeps iss, sub, aud and auth_time, and has no nonce (Core §12.2)."""
    first = world.signed_in().tokens(scope=OFFLINE)
    world.now.seconds += 100
    second = good(refresh(world, first["refresh_token"]))
    (_, before), (_, after) = world.verified(first["id_token"]), world.verified(second["id_token"])
    assert {name: after[name] for name in ("iss", "sub", "aud", "auth_time")} == {
        name: before[name] for name in ("iss", "sub", "aud", "auth_time")
    }
    assert "nonce" not in after
    assert after["iat"] == before["iat"] + 100
    assert second["access_token"] != first["access_token"]
    assert world.userinfo(second["access_token"]).get_json()["email"] == "anne@assoc.example"


def test_codereuse(world: World) -> None:
    code = world.signed_in().code()
    good(world.exchange(code))
    assert error_of(world.exchange(code)) == "invalid_grant"


@pytest.mark.parametrize("later", [30, 3600])
def test_codereuse_30seconds(world: World, later: int) -> None:
    """Refused, and the first access token does not work any more: also long after the code's own life."""
    code = world.signed_in().code(scope=OFFLINE)
    tokens = good(world.exchange(code))
    world.now.seconds += later
    assert error_of(world.exchange(code)) == "invalid_grant"
    assert world.userinfo(tokens["access_token"]).status_code == 401
    assert error_of(refresh(world, tokens["refresh_token"])) == "invalid_grant"


def test_H2_S22_a_refresh_token_is_bound_to_its_client(world: World) -> None:
    token = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    assert error_of(refresh(world, token, client="other")) == "invalid_grant"
    good(refresh(world, token))


def test_S26_a_client_without_the_grant_gets_none(make_world: MakeWorld) -> None:
    world = make_world(make_client(scopes=SCOPES))
    assert "refresh_token" not in world.signed_in().tokens(scope=OFFLINE)


def test_a_client_may_be_told_to_ask_for_offline_access_first(make_world: MakeWorld) -> None:
    world = make_world(lasting(tokens={"refresh_with_session": False}))
    browser = world.signed_in()
    assert "refresh_token" not in browser.tokens(scope="openid")
    assert "refresh_token" in browser.tokens(scope=OFFLINE)


def test_S23_each_refresh_gives_another_token_and_the_replaced_one_is_refused_later(world: World) -> None:
    first = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    second = good(refresh(world, first))["refresh_token"]
    assert second != first
    world.now.seconds += 31
    assert error_of(refresh(world, first)) == "invalid_grant"


def test_S23_V40_reuse_drops_the_whole_family_with_its_access_tokens(world: World) -> None:
    first = world.signed_in().tokens(scope=OFFLINE)
    second = good(refresh(world, first["refresh_token"]))
    world.now.seconds += 31
    error_of(refresh(world, first["refresh_token"]))
    assert error_of(refresh(world, second["refresh_token"])) == "invalid_grant"
    for tokens in (first, second):
        assert world.userinfo(tokens["access_token"]).status_code == 401
    assert world.audit.of("token.reused")


def test_S23_a_token_two_generations_old_is_reuse_even_within_the_window(world: World) -> None:
    first = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    second = good(refresh(world, first))["refresh_token"]
    third = good(refresh(world, second))["refresh_token"]
    assert error_of(refresh(world, first)) == "invalid_grant"
    assert error_of(refresh(world, third)) == "invalid_grant"


def test_within_the_replay_window_the_replaced_token_gives_the_same_successor_again(world: World) -> None:
    first = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    answers = [good(refresh(world, first)) for _ in range(3)]
    assert len({answer["refresh_token"] for answer in answers}) == 1
    good(refresh(world, answers[0]["refresh_token"]))


def test_without_a_replay_window_a_second_use_is_reuse_at_once(make_world: MakeWorld) -> None:
    world = make_world(lasting(tokens={"replay_window": 0}))
    first = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    second = good(refresh(world, first))["refresh_token"]
    assert error_of(refresh(world, first)) == "invalid_grant"
    assert error_of(refresh(world, second)) == "invalid_grant"


def test_the_store_alone_gives_away_neither_a_token_nor_its_successor(world: World) -> None:
    first = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    second = good(refresh(world, first))
    kept = json.dumps([[stored.key, stored.record] for kind in INDEXED for stored in world.store.list(kind)])
    for token in (first, second["refresh_token"], second["access_token"]):
        assert token.rpartition(".")[2] not in kept


def test_a_stranger_who_knows_a_family_cannot_drop_it(world: World) -> None:
    token = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    family, _, secret = token.split(".")
    for rest in (f".{secret}.{secret}", ".x.y", "..", "", f".{secret}", f".{secret}.{'é' * 20}"):
        assert error_of(refresh(world, f"{family}{rest}")) == "invalid_grant"
    good(refresh(world, token))


def test_an_old_token_of_a_family_with_its_root_is_reuse(world: World) -> None:
    family, root, _ = (token := world.signed_in().tokens(scope=OFFLINE)["refresh_token"]).split(".")
    error_of(refresh(world, f"{family}.{root}.{'x' * 43}"))
    assert error_of(refresh(world, token)) == "invalid_grant"


def test_S23_FAPI_a_client_with_a_secret_may_keep_its_token(make_world: MakeWorld) -> None:
    world = make_world(lasting(tokens={"rotate": False, "refresh_idle": 1000}))
    token = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    for _ in range(4):
        world.now.seconds += 900  # each use puts off the end by idleness
        assert good(refresh(world, token))["refresh_token"] == token


def test_S23_a_client_without_a_secret_always_rotates(make_world: MakeWorld) -> None:
    world = make_world(lasting("spa", public=True, tokens={"rotate": False}))
    browser = world.signed_in()
    form = {"client_id": "spa", "code_verifier": "v" * 43, "redirect_uri": "https://rp.example.org/cb"}
    code = browser.code(client_id="spa", scope=OFFLINE)
    first = good(world.machine().post("/oauth/token", base_url=world.url, data={**form, "grant_type": "authorization_code", "code": code}))
    again = {"grant_type": "refresh_token", "client_id": "spa", "refresh_token": first["refresh_token"]}
    assert good(world.machine().post("/oauth/token", base_url=world.url, data=again))["refresh_token"] != first["refresh_token"]


def test_S24_S48_a_refresh_token_of_the_session_ends_with_it(world: World) -> None:
    browser = world.signed_in()
    tokens = browser.tokens(scope="openid email")
    good(refresh(world, tokens["refresh_token"]))
    world.logout.end(browser.session_id(), reason="test")
    assert error_of(refresh(world, tokens["refresh_token"])) == "invalid_grant"


def test_S24_a_refresh_token_of_offline_access_outlives_a_logout(world: World) -> None:
    browser = world.signed_in()
    tokens = browser.tokens(scope=OFFLINE)
    world.logout.end(browser.session_id(), reason="test")
    after = good(refresh(world, tokens["refresh_token"]))
    assert world.userinfo(after["access_token"]).status_code == 200


def test_S24_unless_the_association_says_that_it_must_not(make_world: MakeWorld) -> None:
    world = make_world(lasting(tokens={"offline_survives_logout": False}))
    browser = world.signed_in()
    tokens = browser.tokens(scope=OFFLINE)
    world.logout.end(browser.session_id(), reason="test")
    assert error_of(refresh(world, tokens["refresh_token"])) == "invalid_grant"


@pytest.mark.parametrize("scope", [OFFLINE, "openid email"])
def test_S49_V51_a_disabled_member_gets_nothing_any_more(make_world: MakeWorld, scope: str) -> None:
    client = lasting()
    world = make_world(Client(**{**vars(client), "max_age": 0}))
    browser = world.signed_in()
    tokens = browser.tokens(scope=scope)
    world.now.seconds += 1
    world.members.by_id["0471"] = Subject("0471", "anne", ANNE.attributes, active=False)
    assert error_of(refresh(world, tokens["refresh_token"])) == "invalid_grant"
    assert world.userinfo(tokens["access_token"]).status_code == 401
    assert not world.sessions.list(), "wherever they are signed in"


def test_S49_V51_tokens_that_outlive_the_session_end_when_the_member_is_found_disabled(world: World) -> None:
    """Whoever finds it out: here it is another session's sign-on; their own client has never asked again."""
    tokens = world.signed_in().tokens(scope=OFFLINE)
    theirs = world.signed_in("bert").tokens(scope=OFFLINE)
    world.members.by_id["0471"] = Subject("0471", "anne", ANNE.attributes, active=False)
    assert world.subjects.current("0471", max_age=-1) is None
    assert {each.record["subject_id"] for each in world.store.list("token")} == {"0472"}
    assert error_of(refresh(world, tokens["refresh_token"])) == "invalid_grant"
    assert good(refresh(world, theirs["refresh_token"]))


def test_S24_an_offline_token_ends_by_idleness_and_absolutely(make_world: MakeWorld) -> None:
    world = make_world(lasting(tokens={"refresh_idle": 1000, "refresh_absolute": 2500}))
    browser = world.signed_in()
    idle, used = (browser.tokens(scope=OFFLINE)["refresh_token"] for _ in range(2))
    for _ in range(2):
        world.now.seconds += 999
        used = good(refresh(world, used))["refresh_token"]
    assert error_of(refresh(world, idle)) == "invalid_grant"
    world.now.seconds += 503
    assert error_of(refresh(world, used)) == "invalid_grant"


def test_S25_a_refresh_may_ask_for_less_and_never_for_more(world: World) -> None:
    token = world.signed_in().tokens(scope="openid email phone offline_access")["refresh_token"]
    assert error_of(refresh(world, token, scope="openid email profile")) == "invalid_scope"
    narrowed = good(refresh(world, token, scope="openid email"))
    assert narrowed["scope"] == "openid email"
    assert "phone_number" not in world.userinfo(narrowed["access_token"]).get_json()
    again = good(refresh(world, narrowed["refresh_token"]))
    assert again["scope"] == "openid email phone offline_access", "RFC 6749 §6: the refresh token keeps what it had"


def test_released_attributes_are_those_of_now(world: World) -> None:
    token = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    world.members.by_id["0471"] = Subject("0471", "anne", {**ANNE.attributes, "email": ("new@assoc.example",)})
    world.now.seconds += 901
    after = good(refresh(world, token))
    assert world.userinfo(after["access_token"]).get_json()["email"] == "new@assoc.example"


def test_entry_rules_are_asked_again(make_world: MakeWorld) -> None:
    world = make_world(lasting(entry=EntrySettings(member_types=("REG",))))
    token = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    world.members.by_id["0471"] = Subject("0471", "anne", {**ANNE.attributes, "member_type": ("NM",)})
    world.now.seconds += 901
    response = refresh(world, token)
    assert error_of(response) == "invalid_grant"
    assert world.audit.last["cause"] == "entry.member_type"


def away(_: str) -> Subject:
    raise DirectoryUnavailable("no answer")


def test_while_the_directory_is_away_the_token_is_not_used_up(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    client = lasting()
    world = make_world(Client(**{**vars(client), "max_age": 60}))
    token = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    world.now.seconds += 61
    monkeypatch.setattr(world.members, "find", away)
    response = refresh(world, token)
    assert (response.status_code, response.get_json()["error"]) == (503, "temporarily_unavailable")
    assert response.headers["Retry-After"]
    monkeypatch.undo()
    world.now.seconds += 100
    good(refresh(world, token))


def test_S40_of_parallel_refreshes_one_rotates_and_all_get_its_successor(world: World) -> None:
    first = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    answers: list[dict[str, Any]] = []
    threads = [threading.Thread(target=lambda: answers.append(good(refresh(world, first)))) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 12
    assert len({answer["refresh_token"] for answer in answers}) == 1
    (family,) = [stored for stored in world.store.list("token") if stored.key.startswith("refresh|")]
    assert family.revision == 2, "made once, changed once"


def test_S17_a_replayed_code_kills_the_refresh_token_too(world: World) -> None:
    browser = world.signed_in()
    code = browser.code(scope=OFFLINE)
    tokens = good(world.exchange(code))
    after = good(refresh(world, tokens["refresh_token"]))
    assert error_of(world.exchange(code)) == "invalid_grant"
    assert error_of(refresh(world, after["refresh_token"])) == "invalid_grant"
    assert world.userinfo(after["access_token"]).status_code == 401


def inspect(world: World, token: str, client: str = "rp") -> dict[str, Any]:
    response = world.machine().post("/oauth/introspect", base_url=world.url, data={"token": token}, auth=(client, f"{client}-secret"))
    return good(response)


def revoke(world: World, token: str, client: str = "rp") -> None:
    response = world.machine().post("/oauth/revoke", base_url=world.url, data={"token": token}, auth=(client, f"{client}-secret"))
    assert response.status_code == 200


def test_RFC_7009_revoking_a_refresh_token_ends_all_that_came_from_it(world: World) -> None:
    tokens = world.signed_in().tokens(scope=OFFLINE)
    revoke(world, tokens["refresh_token"], "other")
    assert inspect(world, tokens["refresh_token"])["active"] is True
    revoke(world, tokens["refresh_token"])
    assert inspect(world, tokens["refresh_token"]) == inspect(world, tokens["access_token"]) == {"active": False}


def test_RFC_7009_revoking_an_access_token_leaves_the_refresh_token(world: World) -> None:
    tokens = world.signed_in().tokens(scope=OFFLINE)
    revoke(world, tokens["access_token"])
    assert world.userinfo(tokens["access_token"]).status_code == 401
    good(refresh(world, tokens["refresh_token"]))


def test_S31_introspection_of_a_refresh_token_is_for_its_client_and_honours_the_session(world: World) -> None:
    browser = world.signed_in()
    token = browser.tokens(scope="openid email")["refresh_token"]
    told = inspect(world, token)
    assert (told["active"], told["client_id"], told["sub"], told["scope"]) == (True, "rp", "0471", "openid email")
    assert inspect(world, token, "other") == {"active": False}
    world.logout.end(browser.session_id(), reason="test")
    assert inspect(world, token) == {"active": False}


def test_every_record_of_a_family_ends(world: World) -> None:
    token = world.signed_in().tokens(scope=OFFLINE)["refresh_token"]
    good(refresh(world, token))
    revoke(world, token)
    assert all(stored.expires for kind in ("token", "code", "spent") for stored in world.store.list(kind))
