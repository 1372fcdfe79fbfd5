"""Logout in both directions: a client begins it, and clients are told of it."""

from __future__ import annotations

import base64
import hmac
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from werkzeug.test import TestResponse

from idp.keys import KeyRing

from .conftest import MakeWorld
from .wiring import CALLBACK, SIGNED_OUT, URL, Visitor, World, make_client, packed, unsigned

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A client that may take the browser back after a logout, and is not told of one."""
    return make_world(make_client(post_logout_redirect_uris=(SIGNED_OUT,)))


def ask(browser: Visitor, **parameters: str) -> TestResponse:
    return browser.get(f"/oauth/logout?{urlencode(parameters)}")


def follow(browser: Visitor, response: TestResponse) -> TestResponse:
    """Through our own pages, until they send the browser away or show something."""
    while response.location and response.location.startswith(URL):
        response = browser.get(response.location)
    return response


def is_asked(world: World, browser: Visitor, response: TestResponse) -> bool:
    """Whether our own page asks, and nothing has happened yet."""
    page = follow(browser, response)
    return page.location is None and "form_token" in page.text and world.sessions.get(browser.session_id()) is not None


def test_rp_initiated_logout(world: World) -> None:
    browser = world.signed_in()
    hint = browser.tokens()["id_token"]
    response = follow(browser, ask(browser, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT, state="a state", client_id="rp"))
    assert response.location == f"{SIGNED_OUT}?state=a+state"
    assert world.sessions.list() == []
    assert browser.ask(prompt="none").location.startswith(f"{CALLBACK}?error=login_required")


def test_rp_initiated_logout_no_state(world: World) -> None:
    browser = world.signed_in()
    response = follow(browser, ask(browser, id_token_hint=browser.tokens()["id_token"], post_logout_redirect_uri=SIGNED_OUT))
    assert response.location == SIGNED_OUT


def test_rp_initiated_logout_no_post_logout_redirect_uri(world: World) -> None:
    browser = world.signed_in()
    page = follow(browser, ask(browser, id_token_hint=browser.tokens()["id_token"], state="x"))
    assert (page.status_code, page.location) == (200, None)
    assert world.sessions.list() == []


@pytest.mark.parametrize(
    "uri",
    [
        f"{SIGNED_OUT}?foo=bar",
        f"{SIGNED_OUT}/",
        "https://evil.example/",
        "javascript:alert(1)",
        CALLBACK,
        f"{SIGNED_OUT}#x",
        "//rp.example.org/bye",
    ],
)
def test_S44_V34_another_return_address_ends_the_session_and_stays_here(world: World, uri: str) -> None:
    browser = world.signed_in()
    page = follow(browser, ask(browser, id_token_hint=browser.tokens()["id_token"], post_logout_redirect_uri=uri, state="x"))
    assert (page.status_code, page.location) == (200, None)
    assert world.sessions.list() == []
    refused = [line for line in world.audit.lines if line["event"] == "logout.return_refused"]
    assert [(line["received"], line["expected"]) for line in refused] == [(uri, SIGNED_OUT)]


@pytest.mark.parametrize(
    "parameters",
    [{}, {"state": "x"}, {"post_logout_redirect_uri": SIGNED_OUT}, {"client_id": "rp", "post_logout_redirect_uri": SIGNED_OUT}],
)
def test_S42_S50_V37_without_a_hint_the_member_is_asked(world: World, parameters: dict[str, str]) -> None:
    browser = world.signed_in()
    assert is_asked(world, browser, ask(browser, **parameters))


@pytest.mark.parametrize("header", [{"alg": "none", "typ": "JWT"}, {"alg": "none"}, {"alg": "None", "typ": "JWT"}, {"typ": "JWT"}])
def test_H6_V42_an_unsigned_hint_proves_nothing(world: World, header: dict[str, str]) -> None:
    browser = world.signed_in()
    forged = unsigned(browser.tokens()["id_token"], header={**header, "kid": world.keys.current.kid})
    assert is_asked(world, browser, ask(browser, id_token_hint=forged, post_logout_redirect_uri=SIGNED_OUT))
    assert world.audit.last["cause"] == "oidc.hint_refused"
    assert is_asked(world, browser, ask(browser, id_token_hint=forged + "AAAA", post_logout_redirect_uri=SIGNED_OUT))


def test_V43_a_hint_keyed_with_our_public_key_proves_nothing(world: World) -> None:
    browser = world.signed_in()
    payload = browser.tokens()["id_token"].split(".")[1]
    public = world.keys.current.private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    message = f"{packed({'alg': 'HS256', 'typ': 'JWT', 'kid': world.keys.current.kid})}.{payload}"
    for key in (pem, pem.strip(), b""):
        signature = base64.urlsafe_b64encode(hmac.digest(key, message.encode(), "sha256")).rstrip(b"=").decode()
        assert is_asked(world, browser, ask(browser, id_token_hint=f"{message}.{signature}"))


def test_S36_a_key_that_the_hint_brings_along_is_not_used(world: World, tmp_path: Any) -> None:
    browser = world.signed_in()
    claims = world.verified(browser.tokens()["id_token"])[1]
    stranger = KeyRing(tmp_path / "stranger")
    key = stranger.create()
    forged = key.jwt(claims, type="JWT")
    with_jwk = packed({"alg": "RS256", "typ": "JWT", "kid": world.keys.current.kid, "jwk": key.jwk()}) + forged[forged.index(".") :]
    for hint in (forged, with_jwk):
        assert is_asked(world, browser, ask(browser, id_token_hint=hint))


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("logout+jwt", {}),
        ("at+jwt", {}),
        ("JWT", {"iss": "https://other.example"}),
        ("JWT", {"aud": "other"}),
        ("JWT", {"aud": ["rp"]}),
        ("JWT", {"sid": None}),
        ("JWT", {"sid": "_of_another_session"}),
        ("JWT", {"iat": 1_800_000_100}),
        ("JWT", {"iat": None}),
    ],
)
def test_S43_V42_a_signed_token_of_another_kind_party_or_time_proves_nothing(world: World, kind: str, changes: dict[str, Any]) -> None:
    browser = world.signed_in()
    claims = world.verified(browser.tokens()["id_token"])[1]
    assert is_asked(world, browser, ask(browser, id_token_hint=world.keys.current.jwt({**claims, **changes}, type=kind)))


@pytest.mark.parametrize(
    "changes", [{"crit": ["exp"]}, {"alg": "none"}, {"alg": "HS256"}, {"alg": "RS512"}, {"kid": "x"}, {"kid": None}, {"typ": None}]
)
def test_S35_V44_a_header_that_is_not_ours_spoils_even_a_good_signature(world: World, changes: dict[str, Any]) -> None:
    browser = world.signed_in()
    key = world.keys.current
    token = browser.tokens()["id_token"]
    payload = token.split(".")[1]
    header = packed({"alg": "RS256", "typ": "JWT", "kid": key.kid, **changes})
    signature = base64.urlsafe_b64encode(key.sign(f"{header}.{payload}".encode())).rstrip(b"=").decode()
    assert is_asked(world, browser, ask(browser, id_token_hint=f"{header}.{payload}.{signature}"))


@pytest.mark.parametrize("hint", ["x" * 17_000, "[" * 3000, "e30.e30.e30", "..", "a.b.c", "\x00.\x00.\x00", "W1tbW1tb" * 100 + ".e30.e30"])
def test_V45_garbage_in_place_of_a_hint_proves_nothing(world: World, hint: str) -> None:
    browser = world.signed_in()
    assert is_asked(world, browser, ask(browser, id_token_hint=hint))


def test_S43_an_expired_hint_of_ours_is_good(world: World) -> None:
    browser = world.signed_in()
    hint = browser.tokens()["id_token"]
    for _ in range(2):
        world.now.seconds += 3500
        browser.ask()
    assert follow(browser, ask(browser, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)).location == SIGNED_OUT
    assert world.sessions.list() == []


def test_S43_a_hint_outlives_a_key_change(world: World) -> None:
    browser = world.signed_in()
    hint = browser.tokens()["id_token"]
    world.keys.rotate()
    assert follow(browser, ask(browser, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)).location == SIGNED_OUT


def test_S42_a_hint_ends_no_session_of_another_browser(world: World) -> None:
    hint = world.signed_in().tokens()["id_token"]
    other = world.signed_in()
    assert is_asked(world, other, ask(other, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT))
    stranger = world.browser()
    assert ask(stranger, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT, state="x").location == f"{SIGNED_OUT}?state=x"
    assert len(world.sessions.list()) == 2


def test_a_client_id_that_is_not_the_hint_s_proves_nothing(make_world: MakeWorld) -> None:
    world = make_world(make_client(), make_client("other"))
    browser = world.signed_in()
    assert is_asked(world, browser, ask(browser, id_token_hint=browser.tokens()["id_token"], client_id="other"))


def test_a_session_that_is_over_already_leads_straight_back(world: World) -> None:
    browser = world.signed_in()
    hint = browser.tokens()["id_token"]
    for _ in range(2):
        assert follow(browser, ask(browser, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)).location == SIGNED_OUT


def test_a_posted_logout_goes_round_by_a_get_so_that_it_has_its_cookies(world: World) -> None:
    browser = world.signed_in()
    fields = {"id_token_hint": browser.tokens()["id_token"], "post_logout_redirect_uri": SIGNED_OUT, "state": "a&b\r\n=", "more": "x"}
    cross_site = world.machine().post("/oauth/logout", base_url=URL, data=fields)
    assert cross_site.status_code == 303
    assert follow(browser, browser.get(cross_site.location)).location == f"{SIGNED_OUT}?{urlencode({'state': fields['state']})}"
    assert world.sessions.list() == []


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_S15_a_repeated_parameter_is_refused(world: World, method: str) -> None:
    body = f"post_logout_redirect_uri={SIGNED_OUT}&post_logout_redirect_uri=x"
    form = "application/x-www-form-urlencoded"
    sent = {"query_string": body} if method == "GET" else {"data": body, "content_type": form}
    response = world.machine().open("/oauth/logout", method=method, base_url=URL, **sent)
    assert (response.status_code, response.location) == (400, None)


def test_backchannel_rp_initiated_logout(make_world: MakeWorld) -> None:
    told = "https://rp.example.org/logout"
    world = make_world(
        make_client(backchannel_logout_uri=told, frontchannel_logout_uri=told, post_logout_redirect_uris=(SIGNED_OUT,)),
        make_client("other", backchannel_logout_uri="https://other.example.org/logout"),
    )
    browser = world.signed_in()
    browser.tokens(client="other")
    hint = browser.tokens()["id_token"]
    sid = world.verified(hint)[1]["sid"]
    assert follow(browser, ask(browser, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT)).location == SIGNED_OUT
    by_client = {}
    for notice in world.letterbox.notices:
        header, claims = world.verified(notice.fields["logout_token"])
        assert header["typ"] == "logout+jwt"
        by_client[claims["aud"]] = (notice.url, claims)
    assert set(by_client) == {"rp", "other"}, "the client that began it waits for its notice, too"
    url, claims = by_client["rp"]
    assert url == told
    assert claims.pop("jti")
    assert claims == {
        "iss": URL, "sub": "0471", "aud": "rp", "iat": world.now(), "exp": world.now() + 120, "sid": sid, "events": {EVENT: {}},
    }  # fmt: skip


def test_S37_S45_a_logout_token_is_no_hint(make_world: MakeWorld) -> None:
    world = make_world(make_client(backchannel_logout_uri="https://rp.example.org/logout"))
    browser = world.signed_in()
    browser.tokens()
    world.logout.end(browser.session_id(), reason="test")
    browser.sign_in("/login")
    token = world.letterbox.notices[0].fields["logout_token"]
    assert is_asked(world, browser, ask(browser, id_token_hint=token))


def test_frontchannel_rp_initiated_logout(make_world: MakeWorld) -> None:
    framed = "https://rp.example.org/frame?a=1"
    world = make_world(make_client(frontchannel_logout_uri=framed, post_logout_redirect_uris=(SIGNED_OUT,)))
    browser = world.signed_in()
    hint = browser.tokens()["id_token"]
    sid = world.verified(hint)[1]["sid"]
    page = follow(browser, ask(browser, id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT))
    assert f"{framed}&amp;{urlencode({'iss': URL, 'sid': sid}).replace('&', '&amp;')}" in page.text
    assert "https://rp.example.org" in page.headers["Content-Security-Policy"]
    assert browser.get(page.headers["Refresh"].partition("url=")[2]).location == SIGNED_OUT


def test_a_client_without_a_logout_address_is_not_told(world: World) -> None:
    browser = world.signed_in()
    browser.tokens()
    run = world.logout.end(browser.session_id(), reason="test")
    assert run
    assert [(row.client_id, row.state) for row in run.rows] == [("rp", "untold")]


def test_a_client_that_was_removed_does_not_stop_a_logout(make_world: MakeWorld) -> None:
    world = make_world()
    world.clients.add("rp", {"backchannel_logout_uri": "https://rp.example.org/logout"})
    browser = world.signed_in()
    browser.tokens()
    world.clients.remove("rp")
    run = world.logout.end(browser.session_id(), reason="test")
    assert run
    assert [row.state for row in run.rows] == ["untold"]


def test_state_goes_into_an_address_that_has_a_query_already(make_world: MakeWorld) -> None:
    uri = f"{SIGNED_OUT}?a=1"
    world = make_world(make_client(post_logout_redirect_uris=(uri,)))
    browser = world.signed_in()
    back = follow(browser, ask(browser, id_token_hint=browser.tokens()["id_token"], post_logout_redirect_uri=uri, state="s")).location
    assert parse_qs(urlsplit(back).query) == {"a": ["1"], "state": ["s"]}
