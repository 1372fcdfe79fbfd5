"""Session Management 1.0: off for everybody; where it is on, a value that changes with the sign-in, a frame for registered pages alone."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from idp.protocols.oidc.session_state import page_origin, session_state
from idp.sso.answer import BROWSER_STATE

from .conftest import MakeWorld
from .wiring import CALLBACK, URL, Visitor, World, answer, make_client, posted


@pytest.fixture
def watched(make_world: MakeWorld) -> World:
    modes = ("query", "form_post", "fragment", "query.jwt")
    watching = make_client(session_management=True, response_modes=modes)
    other = make_client("two", session_management=True, redirect_uris=("https://two.example.org:443/cb",))
    return make_world(watching, other, make_client("plain", redirect_uris=("https://plain.example.org/cb",)))


def state_of(browser: Visitor) -> str:
    """What the frame's script finds in its cookie."""
    found = browser.http.get_cookie(BROWSER_STATE, domain="login.assoc.example")
    return found.value if found else ""


def is_unchanged(told: str, state: str, *, client_id: str = "rp", origin: str = "https://rp.example.org") -> bool:
    """What the frame says (§3.2), computed here once more."""
    hashed, _, salt = told.partition(".")
    return hashlib.sha256(f"{client_id} {origin} {state} {salt}".encode()).hexdigest() == hashed


def cookie_line(response: TestResponse) -> str:
    return next((line for line in response.headers.getlist("Set-Cookie") if line.startswith(f"{BROWSER_STATE}=")), "")


def test_nothing_of_it_is_there_for_a_client_that_did_not_ask(world: World) -> None:
    response = world.signed_in().ask()
    assert "session_state" not in answer(response)
    assert cookie_line(response) == ""
    assert world.machine().get("/oauth/session", base_url=URL).status_code == 404
    assert "check_session_iframe" not in world.machine().get("/.well-known/openid-configuration", base_url=URL).get_json()


def test_a_client_beside_one_that_uses_it_gets_nothing_of_it(watched: World) -> None:
    told = answer(watched.signed_in().ask(client_id="plain", redirect_uri="https://plain.example.org/cb"))
    assert "code" in told
    assert "session_state" not in told


def test_discovery_names_the_frame_where_a_client_uses_it(watched: World) -> None:
    document = watched.machine().get("/.well-known/openid-configuration", base_url=URL).get_json()
    assert document["check_session_iframe"] == f"{URL}/oauth/session"


def test_the_answer_tells_a_state_that_the_frame_finds_unchanged(watched: World) -> None:
    browser = watched.signed_in()
    told = answer(browser.ask())["session_state"]
    assert " " not in told
    assert is_unchanged(told, state_of(browser))


@pytest.mark.parametrize(
    ("client_id", "origin", "state"),
    [("two", "https://rp.example.org", "s"), ("rp", "https://evil.example", "s"), ("rp", "https://rp.example.org", "t")],
)
def test_client_page_and_browser_state_all_count(client_id: str, origin: str, state: str) -> None:
    told = session_state("rp", CALLBACK, "s", salt="salt")
    assert is_unchanged(told, "s")
    assert not is_unchanged(told, state, client_id=client_id, origin=origin)


def test_each_answer_has_another_salt(watched: World) -> None:
    browser = watched.signed_in()
    assert answer(browser.ask())["session_state"] != answer(browser.ask())["session_state"]


def test_the_origin_is_written_as_browsers_write_it(watched: World) -> None:
    assert page_origin("https://two.example.org:443/cb") == "https://two.example.org"
    assert page_origin("http://localhost:80/cb") == "http://localhost"
    assert page_origin("https://TWO.example.org:8443/cb") == "https://two.example.org:8443"
    browser = watched.signed_in()
    told = answer(browser.ask(client_id="two", redirect_uri="https://two.example.org:443/cb"))["session_state"]
    assert is_unchanged(told, state_of(browser), client_id="two", origin="https://two.example.org")


def test_it_comes_in_every_response_mode(watched: World) -> None:
    browser = watched.signed_in()
    _, form = posted(browser.ask(response_mode="form_post"))
    fragment = parse_qs(urlsplit(browser.ask(response_mode="fragment").location).fragment)
    _, signed = watched.verified(answer(browser.ask(response_mode="query.jwt"))["response"])
    for told in (form["session_state"], fragment["session_state"][0], signed["session_state"]):
        assert is_unchanged(told, state_of(browser))


def test_plain_oauth_has_no_session_state(watched: World) -> None:
    assert "session_state" not in answer(watched.signed_in().ask(scope="profile"))


def test_S71_the_cookie_is_readable_in_a_frame_and_says_nothing(watched: World) -> None:
    browser = watched.signed_in()
    line = cookie_line(browser.ask())
    assert all(each in line for each in ("Secure", "Path=/", "SameSite=None"))
    assert not any(each in line for each in ("HttpOnly", "Domain", "Max-Age", "Expires"))
    assert browser.session_id() not in line
    assert "0471" not in line


def test_the_cookie_opens_nothing(watched: World) -> None:
    browser = watched.signed_in()
    browser.ask()
    stranger = watched.browser()
    for name in ("__Host-idp_session", "__Host-idp_ping", "__Host-idp_fedcm", BROWSER_STATE):
        stranger.http.set_cookie(name, state_of(browser), domain="login.assoc.example", secure=True)
    assert answer(stranger.ask(prompt="none"))["error"] == "login_required"


def test_another_sign_in_of_the_same_member_changes_it_at_once(watched: World) -> None:
    browser = watched.signed_in()
    told = answer(browser.ask())["session_state"]
    page = browser.ask(prompt="login").location
    assert is_unchanged(told, state_of(browser)), "a sign-in page that is only open changes nothing"
    browser.sign_in(page)
    assert not is_unchanged(told, state_of(browser))
    assert is_unchanged(answer(browser.ask())["session_state"], state_of(browser))


def test_a_member_who_takes_the_place_of_another_changes_it_before_any_answer(watched: World) -> None:
    browser = watched.signed_in()
    told = answer(browser.ask())["session_state"]
    browser.sign_in(browser.ask(prompt="login").location, "bert")
    assert not is_unchanged(told, state_of(browser))


def test_a_logout_changes_it(watched: World) -> None:
    browser = watched.signed_in()
    tokens = browser.tokens()
    told = answer(browser.ask())["session_state"]
    browser.get(f"/oauth/logout?id_token_hint={tokens['id_token']}")
    assert not is_unchanged(told, state_of(browser))


def test_a_session_that_somebody_else_ended_changes_it_when_the_page_is_loaded_again(watched: World) -> None:
    browser = watched.signed_in()
    told = answer(browser.ask())["session_state"]
    watched.logout.end_all_of("0471", reason="operator")
    browser.get("/oauth/session")
    assert not is_unchanged(told, state_of(browser))


def test_a_frame_without_the_session_s_cookie_takes_nothing_away(watched: World) -> None:
    """On another site's page the cookie of the session stays at home (SameSite=Lax)."""
    browser = watched.signed_in()
    told = answer(browser.ask())["session_state"]
    sent = {"Cookie": f"{BROWSER_STATE}={state_of(browser)}"}
    assert cookie_line(watched.machine().get("/oauth/session", base_url=URL, headers=sent)) == ""
    assert is_unchanged(told, state_of(browser))


def test_S105_only_pages_of_clients_that_use_it_may_hold_the_frame(watched: World) -> None:
    response = watched.machine().get("/oauth/session", base_url=URL)
    policy = response.headers["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors https://rp.example.org https://two.example.org")
    assert "plain" not in policy + response.text


def test_S116_the_frame_runs_one_script_of_ours_and_nothing_else(watched: World) -> None:
    response = watched.machine().get("/oauth/session", base_url=URL)
    policy = response.headers["Content-Security-Policy"]
    own = re.search(r"script-src 'nonce-([^']+)';", policy)
    assert own
    assert policy.startswith("default-src 'none';")
    assert re.findall(r"<script nonce=\"([^\"]+)\" src=\"([^\"]+)\"", response.text) == [(own[1], "/static/check-session.js")]
    assert response.text.count("<script") == 1
    script = watched.machine().get("/static/check-session.js", base_url=URL, buffered=True)
    assert script.mimetype in ("text/javascript", "application/javascript")
