"""The device grant (RFC 8628): the device's side, and the member's page."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from werkzeug.test import TestResponse

from idp.sso.client import Client
from idp.sso.settings import EntrySettings
from tests.standin import PASSWORD

from .conftest import MakeWorld
from .wiring import URL, Visitor, World, make_client

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
TV: dict[str, Any] = {"grant_types": (DEVICE, "refresh_token"), "redirect_uris": (), "scopes": ("openid", "email", "offline_access")}


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(make_client("tv", public=True, **TV), make_client("other", public=True, **TV), make_client())


def post(world: World, path: str, **fields: str) -> TestResponse:
    return world.machine().post(path, base_url=URL, data={"client_id": "tv", **fields})


def begin(world: World, **fields: str) -> dict[str, Any]:
    response = post(world, "/oauth/device", **fields)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.get_json()
    return told


def poll(world: World, device_code: str, **fields: str) -> TestResponse:
    return post(world, "/oauth/token", grant_type=DEVICE, device_code=device_code, **fields)


def error_of(response: TestResponse) -> str:
    return str(response.get_json()["error"])


def fields_of(page: TestResponse) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text))


def type_in(browser: Visitor, code: str) -> TestResponse:
    return browser.post("/device", data={**fields_of(browser.get("/device")), "user_code": code})


def decide(browser: Visitor, shown: TestResponse, decision: str = "allow") -> TestResponse:
    """Presses a button of the page, and follows the way up to the next page."""
    response = browser.post("/device/allow", data={**fields_of(shown), "decision": decision})
    while response.status_code in (302, 303):
        response = browser.get(response.location)
    return response


def test_the_device_gets_a_short_code_and_where_to_type_it(world: World) -> None:
    told = begin(world, scope="openid email")
    assert re.fullmatch("[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", told["user_code"])
    assert told["verification_uri"] == f"{URL}/device"
    assert told["verification_uri_complete"] == f"{URL}/device?user_code={told['user_code']}"
    assert (told["expires_in"], told["interval"]) == (600, 5)


def test_a_member_who_is_signed_in_says_yes_and_the_device_gets_its_tokens(world: World) -> None:
    begun = begin(world, scope="openid email offline_access")
    browser = world.signed_in()
    shown = type_in(browser, begun["user_code"])
    assert "The tv" in shown.text
    assert "anne" in shown.text
    assert "Your device is connected" in decide(browser, shown).text
    told = poll(world, begun["device_code"]).get_json()
    assert world.userinfo(told["access_token"]).get_json() == {"sub": "0471", "email": "anne@assoc.example"}
    assert world.verified(told["id_token"])[1]["sub"] == "0471"
    assert told["refresh_token"]


def test_a_member_who_is_not_signed_in_signs_in_on_the_way(world: World) -> None:
    begun = begin(world)
    browser = world.browser()
    page = decide(browser, type_in(browser, begun["user_code"]))
    assert "Sign in" in page.text
    assert error_of(poll(world, begun["device_code"])) == "authorization_pending"
    data = {**fields_of(page), "username": "anne", "password": PASSWORD}
    response = browser.get(browser.post("/login", data=data).location)
    assert "Your device is connected" in response.text
    assert poll(world, begun["device_code"]).status_code == 200


def test_a_session_of_the_device_s_member_tells_the_client_of_its_end(world: World) -> None:
    begun = begin(world)
    browser = world.signed_in()
    decide(browser, type_in(browser, begun["user_code"]))
    token = poll(world, begun["device_code"]).get_json()["access_token"]
    session = world.sessions.get(browser.session_id())
    assert session
    assert session.participant("tv")
    world.logout.end(session.id, reason="test")
    assert world.userinfo(token).status_code == 401


@pytest.mark.parametrize("typed", ["{low}", "{plain}", " {code} ", "{low} "])
def test_the_code_may_be_typed_in_any_way(world: World, typed: str) -> None:
    code = begin(world)["user_code"]
    typed = typed.format(code=code, low=code.lower(), plain=code.replace("-", " "))
    assert "The tv" in type_in(world.signed_in(), typed).text


def test_a_link_with_the_code_only_fills_it_in(world: World) -> None:
    """RFC 8628 §5.4: a link that somebody sends connects nothing by itself."""
    begun = begin(world)
    page = world.signed_in().get(f"/device?user_code={begun['user_code']}")
    assert f'value="{begun["user_code"]}"' in page.text
    assert error_of(poll(world, begun["device_code"])) == "authorization_pending"


def test_a_member_who_says_no_is_believed(world: World) -> None:
    begun = begin(world)
    browser = world.signed_in()
    assert "was not connected" in decide(browser, type_in(browser, begun["user_code"]), "deny").text
    assert error_of(poll(world, begun["device_code"])) == "access_denied"
    session = world.sessions.get(browser.session_id())
    assert session
    assert not session.participants, "nobody was let in, so nobody will be told of a logout"


def test_S120_no_other_site_can_say_yes(world: World) -> None:
    begun = begin(world)
    browser = world.signed_in()
    fields = fields_of(type_in(browser, begun["user_code"]))
    for forged in ({**fields, "form_token": "x"}, {"device": fields["device"]}):
        browser.post("/device/allow", data={**forged, "decision": "allow"})
        assert type_in(world.browser(), begun["user_code"]).status_code == 200
    world.browser().post("/device/allow", data={**fields, "decision": "allow"})
    assert error_of(poll(world, begun["device_code"])) == "authorization_pending"


def test_tokens_go_to_one_poll_alone(world: World) -> None:
    begun = begin(world)
    browser = world.signed_in()
    decide(browser, type_in(browser, begun["user_code"]))
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(poll(world, begun["device_code"]).status_code)) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] + [400] * 9


def test_who_polls_too_often_is_told_to_slow_down_for_good(world: World) -> None:
    code = begin(world)["device_code"]
    assert error_of(poll(world, code)) == "authorization_pending"
    world.now.seconds += 4
    assert error_of(poll(world, code)) == "slow_down"
    world.now.seconds += 9
    assert error_of(poll(world, code)) == "slow_down", "five seconds longer"
    world.now.seconds += 15
    assert error_of(poll(world, code)) == "authorization_pending"


def test_a_code_that_was_not_typed_in_in_time_has_expired(world: World) -> None:
    begun = begin(world)
    world.now.seconds += 600
    assert error_of(poll(world, begun["device_code"])) == "expired_token"
    assert "not right" in type_in(world.signed_in(), begun["user_code"]).text


def test_S22_another_client_cannot_poll_with_the_code(world: World) -> None:
    begun = begin(world)
    browser = world.signed_in()
    decide(browser, type_in(browser, begun["user_code"]))
    assert error_of(poll(world, begun["device_code"], client_id="other")) == "invalid_grant"
    assert poll(world, begun["device_code"]).status_code == 200


def test_S25_a_device_asks_for_no_scope_that_it_may_not_have(world: World) -> None:
    response = post(world, "/oauth/device", scope="openid profile")
    assert (response.status_code, error_of(response)) == (400, "invalid_scope")


def test_S26_a_client_without_the_grant_begins_nothing(world: World) -> None:
    response = world.machine().post("/oauth/device", base_url=URL, auth=("rp", "rp-secret"))
    assert error_of(response) == "unauthorized_client"


def test_V55_codes_are_not_found_by_trying(world: World) -> None:
    code = begin(world)["user_code"]
    browser = world.signed_in()
    for _ in range(20):
        assert "not right" in type_in(browser, "BBBB-BBBB").text
    response = type_in(browser, code)
    assert response.status_code == 429
    assert "too many wrong codes" in response.text
    world.now.seconds += 901
    assert type_in(browser, begin(world)["user_code"]).status_code == 200


def test_S83_a_wrong_code_an_old_one_and_a_used_one_look_the_same(world: World) -> None:
    begun = begin(world)
    browser = world.signed_in()
    decide(browser, type_in(browser, begun["user_code"]))
    pages = [type_in(browser, code) for code in (begun["user_code"], "BBBB-BBBB", "", "x" * 100, "É")]
    assert all(page.status_code == 400 and "This code is not right" in page.text for page in pages)


def test_entry_rules_hold_for_devices(make_world: MakeWorld) -> None:
    tv = make_client("tv", public=True, **TV)
    world = make_world(Client(**{**vars(tv), "entry": EntrySettings(member_types=("STAFF",))}))
    begun = begin(world)
    browser = world.signed_in()
    page = decide(browser, type_in(browser, begun["user_code"]))
    assert "You cannot enter The tv" in page.text
    assert error_of(poll(world, begun["device_code"])) == "authorization_pending"


def test_the_member_who_may_not_enter_sends_the_device_home(make_world: MakeWorld) -> None:
    tv = make_client("tv", public=True, **TV)
    world = make_world(Client(**{**vars(tv), "entry": EntrySettings(member_types=("STAFF",))}))
    begun = begin(world)
    browser = world.signed_in()
    page = decide(browser, type_in(browser, begun["user_code"]))
    action = re.search(r'action="(/signon/[^"]*/refuse)"', page.text)
    assert action
    assert "was not connected" in browser.post(action[1], data=fields_of(page)).text
    assert error_of(poll(world, begun["device_code"])) == "access_denied"


def test_S30_neither_code_stands_in_the_log_or_the_store(world: World) -> None:
    begun = begin(world)
    assert not [stored.key for stored in world.store.list("code") if begun["device_code"] in f"{stored.key}{stored.record}"]
    assert begun["device_code"] not in str(world.audit.lines)
    assert all(stored.expires for stored in world.store.list("code"))
