"""The authorization endpoint: who may ask, where an answer may go, and what the parameters do."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, urlencode

import pytest

from idp.directory import DirectoryUnavailable
from idp.store import StoreUnavailable

from .conftest import MakeWorld
from .wiring import CALLBACK, URL, World, answer, asked, make_client, posted, unsigned


def test_server_code_state_and_issuer_come_back(world: World) -> None:
    told = answer(world.signed_in().ask())
    assert set(told) == {"code", "state", "iss"}
    assert told["state"] == "a state"


def test_S4_an_answer_and_an_error_carry_the_issuer(world: World) -> None:
    assert answer(world.signed_in().ask())["iss"] == URL
    assert answer(world.browser().ask(prompt="none"))["iss"] == URL


def test_a_visitor_signs_in_and_goes_on_with_the_code(world: World) -> None:
    browser = world.browser()
    shown = browser.ask()
    assert shown.location.startswith(f"{URL}/login?request=")
    told = answer(browser.sign_in(shown.location))
    assert told["code"]


def test_ensure_post_request_succeeds_although_no_cookie_comes_with_it(world: World) -> None:
    browser = world.signed_in()
    held = world.machine().post("/oauth/authorize", base_url=URL, data=asked())
    assert held.status_code == 303
    browser.http.set_cookie(
        "__Host-idp_browser", held.headers["Set-Cookie"].partition("=")[2].partition(";")[0], domain="login.assoc.example"
    )
    assert answer(browser.get(held.location))["code"]


@pytest.mark.parametrize(
    "uri",
    [
        "https://rp.example.org/cb/",
        "https://rp.example.org/cb?x=1",
        "https://rp.example.org/cb#f",
        "https://rp.example.org/CB",
        "https://RP.example.org/cb",
        "https://rp.example.org:443/cb",
        "https://rp.example.org/cb/../evil",
        "https://rp.example.org/%63b",
        "https://rp.example.org/cb%2f",
        "https://rp.example.org/cb;/",
        "https://rp.example.org.evil.example/cb",
        "https://rp.example.org@evil.example/cb",
        "https://evil.example/?https://rp.example.org/cb",
        "https://rpxexample.org/cb",
        "http://rp.example.org/cb",
        "//rp.example.org/cb",
        "///evil.example",
        "/\\evil.example",
        "https:rp.example.org/cb",
        "https://rp.example.org\\cb",
        "https://rp.example.org/cb\t",
        " https://rp.example.org/cb",
        "https://rp.example.org/cb\n",
        "javascript:alert(1)//https://rp.example.org/cb",
        "data:text/html,x",
        "https://rp.example.org",
        "*",
    ],
)
def test_S1_V30_V32_V33_another_redirect_uri_gets_our_own_page(world: World, uri: str) -> None:
    response = world.signed_in().ask(redirect_uri=uri)
    assert (response.status_code, response.location) == (400, None)
    assert world.audit.last["cause"] == "oidc.redirect_uri_unknown"


@pytest.mark.parametrize("broken", [{"scope": None}, {"response_type": "token"}, {"prompt": "none"}, {"max_age": "abc"}, {"claims": "{"}])
@pytest.mark.parametrize(
    "bad", [{"redirect_uri": "https://evil.example/"}, {"client_id": "nobody"}, {"redirect_uri": None}, {"client_id": None}]
)
def test_H1_S2_V34_nothing_goes_anywhere_before_client_and_address_are_good(
    world: World, bad: dict[str, str | None], broken: dict[str, str | None]
) -> None:
    response = world.browser().ask(**bad, **broken)
    assert (response.status_code, response.location) == (400, None)


def test_S2_a_repeated_client_or_address_is_a_page(world: World) -> None:
    for name in ("client_id", "redirect_uri"):
        response = world.browser().get(f"/oauth/authorize?{urlencode(asked())}&{name}=https://evil.example/")
        assert (response.status_code, response.location) == (400, None)


def test_S15_a_repeated_parameter_is_refused_at_the_client(world: World) -> None:
    response = world.browser().get(f"/oauth/authorize?{urlencode(asked())}&scope=admin")
    assert response.location.startswith(CALLBACK)
    assert answer(response)["error"] == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "bogus"}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "http://127.0.0.1/"}, "request_uri_not_supported"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"max_age": "abc"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"claims": "[]"}, "invalid_request"),
        ({"claims": '{"userinfo": 1}'}, "invalid_request"),
        ({"claims": "[" * 20_000}, "invalid_request"),
        ({"id_token_hint": "not.a.token"}, "invalid_request"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"display": "hologram"}, "invalid_request"),
        ({"nonce": "n" * 2049}, "invalid_request"),
    ],
)
def test_S5_S9_S10_S20_V36_what_is_not_offered_is_refused_at_the_client(world: World, changes: dict[str, str | None], error: str) -> None:
    response = world.signed_in().ask(**changes)
    # where tokens were asked for, the refusal comes the way that they would have come (Multiple Response Types 2.1)
    separator = "#" if "token" in (changes.get("response_type") or "") else "?"
    assert response.location.startswith(f"{CALLBACK}{separator}")
    told = dict(parse_qsl(response.location.partition(separator)[2]))
    assert (told["error"], told["state"]) == (error, "a state")
    assert "code" not in told
    assert world.audit.last["reference"] in told["error_description"]


def test_S8_state_and_nonce_come_back_unchanged(world: World) -> None:
    state = "".join(map(chr, range(0x20, 0x7F))) + "äß€漢"
    browser = world.signed_in()
    assert answer(browser.ask(state=state))["state"] == state
    token = browser.tokens(nonce=state)["id_token"]
    assert world.verified(token)[1]["nonce"] == state


def test_S8_a_state_of_2_KB_is_taken_and_a_longer_one_is_refused_without_it(world: World) -> None:
    browser = world.signed_in()
    assert answer(browser.ask(state="s" * 2048))["state"] == "s" * 2048
    told = answer(browser.ask(state="s" * 2049))
    assert told["error"] == "invalid_request"
    assert "state" not in told


def test_a_request_without_state_gets_none_back(world: World) -> None:
    browser = world.signed_in()
    assert "state" not in answer(browser.ask(state=None))
    assert "state" not in answer(browser.ask(state=None, prompt="none login"))


def test_prompt_none_not_logged_in(world: World) -> None:
    response = world.browser().ask(prompt="none")
    assert response.location.startswith(CALLBACK)
    assert answer(response)["error"] == "login_required"


def test_prompt_none_logged_in(world: World) -> None:
    assert answer(world.signed_in().ask(prompt="none"))["code"]


@pytest.mark.parametrize("prompt", ["login", "select_account"])
def test_prompt_login_asks_for_the_password_again(world: World, prompt: str) -> None:
    browser = world.signed_in()
    before = world.verified(browser.tokens()["id_token"])[1]
    world.now.seconds += 100
    told = answer(browser.sign_in(browser.ask(prompt=prompt).location))
    after = world.verified(world.exchange(told["code"]).get_json()["id_token"])[1]
    assert after["auth_time"] == before["auth_time"] + 100
    assert after["sid"] == before["sid"]


def test_S14_prompt_consent_asks_the_member_also_where_the_association_has_agreed(world: World) -> None:
    visitor = world.signed_in()
    assert "Share with The rp?" in visitor.ask(prompt="consent").text
    assert "Share with The rp?" in visitor.sign_in(visitor.ask(prompt="login consent").location).text


def test_max_age_1_and_10000(world: World) -> None:
    browser = world.signed_in()
    world.now.seconds += 30
    assert answer(browser.ask(max_age="10000"))["code"]
    assert answer(browser.ask(max_age="9" * 40))["code"]
    assert browser.ask(max_age="1").location.startswith(f"{URL}/login")
    assert browser.ask(max_age="0").location.startswith(f"{URL}/login")


def test_max_age_0_means_a_new_login_even_within_the_same_second(world: World) -> None:
    assert world.signed_in().ask(max_age="0").location.startswith(f"{URL}/login")


def test_login_hint_fills_in_the_name(world: World) -> None:
    browser = world.browser()
    assert 'value="anne"' in browser.get(browser.ask(login_hint="anne").location).text


def test_H8_an_id_token_hint_of_the_same_member_succeeds_even_when_expired(world: World) -> None:
    browser = world.signed_in()
    hint = browser.tokens()["id_token"]
    world.now.seconds += 3000
    assert answer(browser.ask(prompt="none", id_token_hint=hint))["code"]
    world.now.seconds += 1000
    browser = world.signed_in()
    assert answer(browser.ask(prompt="none", id_token_hint=hint))["code"]


def test_an_id_token_hint_of_another_member_is_login_required(world: World) -> None:
    hint = world.signed_in("bert").tokens()["id_token"]
    assert answer(world.signed_in().ask(id_token_hint=hint))["error"] == "login_required"


def test_an_id_token_hint_that_was_issued_to_another_client_is_refused(make_world: MakeWorld) -> None:
    world = make_world(make_client(), make_client("other"))
    browser = world.signed_in()
    hint = browser.tokens(client="other")["id_token"]
    assert answer(browser.ask(id_token_hint=hint))["error"] == "invalid_request"


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "none", "typ": "JWT"}, {"alg": "HS256", "typ": "JWT"}])
def test_S35_a_forged_hint_is_refused(world: World, header: dict[str, str]) -> None:
    browser = world.signed_in()
    forged = unsigned(browser.tokens()["id_token"], header={**header, "kid": world.keys.current.kid})
    assert answer(browser.ask(id_token_hint=forged))["error"] == "invalid_request"


def test_a_sub_that_the_claims_parameter_demands_is_obeyed(world: World) -> None:
    browser = world.signed_in()
    for sub, key in (("0471", "code"), ("0472", "error")):
        claims = json.dumps({"id_token": {"sub": {"value": sub}}})
        assert key in answer(browser.ask(claims=claims))


@pytest.mark.parametrize("claims", ['{"id_token": null, "userinfo": {}}', '{"id_token": {"sub": null, "acr": {"essential": true}}}', "{}"])
def test_H12_harmless_claims_parameters_are_taken(world: World, claims: str) -> None:
    assert answer(world.signed_in().ask(claims=claims))["code"]


@pytest.mark.parametrize(
    "more",
    [
        {"extra": "foobar"},
        {"display": "popup"},
        {"ui_locales": "fr se"},
        {"claims_locales": "se"},
        {"acr_values": "1 2"},
        {"resource": "x"},
    ],
)
def test_ensure_request_with_unknown_parameter_succeeds(world: World, more: dict[str, str]) -> None:
    assert answer(world.signed_in().ask(**more))["code"]


def test_S7_form_post_is_a_form_with_a_button(world: World) -> None:
    browser = world.signed_in()
    url, fields = posted(browser.ask(response_mode="form_post", state="a <state>"))
    assert url == CALLBACK
    assert set(fields) == {"code", "state", "iss"}
    assert fields["state"] == "a <state>"
    _, refused = posted(browser.ask(response_mode="form_post", prompt="none login"))
    assert refused["error"] == "invalid_request"


def test_S7_response_modes_are_limited_for_each_client(make_world: MakeWorld) -> None:
    world = make_world(make_client(response_modes=("form_post",)))
    browser = world.signed_in()
    assert "code" in posted(browser.ask())[1]
    assert posted(browser.ask(response_mode="query"))[1]["error"] == "invalid_request"


def test_redirect_uri_query_OK(make_world: MakeWorld) -> None:
    world = make_world(make_client(redirect_uris=("https://rp.example.org/cb?a=1",)))
    browser = world.signed_in()
    assert browser.ask(redirect_uri="https://rp.example.org/cb?a=1").location.startswith("https://rp.example.org/cb?a=1&")
    assert browser.ask(redirect_uri="https://rp.example.org/cb?a=2").status_code == 400
    assert browser.ask(redirect_uri="https://rp.example.org/cb").status_code == 400


def test_S1_the_loopback_port_varies_for_a_native_client_alone(make_world: MakeWorld) -> None:
    uri = "http://127.0.0.1:1234/cb"
    native = make_client("native", public=True, native=True, redirect_uris=("http://127.0.0.1/cb",))
    world = make_world(native, make_client("web", redirect_uris=("http://127.0.0.1/cb",)))
    browser = world.signed_in()
    assert browser.ask(client_id="native", redirect_uri=uri).location.startswith(uri)
    assert browser.ask(client_id="web", redirect_uri=uri).status_code == 400


@pytest.mark.parametrize(
    "uri",
    ["http://127.0.0.1:80@evil.example/cb", "http://127.0.0.2:1/cb", "http://127.0.0.1:1/cb2", "http://127.1:1/cb",
     "http://localhost:1/cb", "https://127.0.0.1:1/cb",
     "http://127.0.0.1:1/cb?x", "http://127.0.0.1:1\\@evil.example/cb", "http://127.0.0.1.evil.example:1/cb", "http://127.0.0.1:/cb",
     "http://127.0.0.1:1/cb#"],
)  # fmt: skip
def test_V31_a_native_client_s_loopback_address_varies_in_nothing_else(make_world: MakeWorld, uri: str) -> None:
    world = make_world(make_client("native", public=True, native=True, redirect_uris=("http://127.0.0.1/cb",)))
    assert world.signed_in().ask(client_id="native", redirect_uri=uri).status_code == 400


def test_S20_a_client_marked_so_may_leave_pkce_out_but_not_weaken_it(make_world: MakeWorld) -> None:
    world = make_world(make_client(require_pkce=False))
    browser = world.signed_in()
    assert browser.ask(code_challenge=None, code_challenge_method=None).location.startswith(f"{CALLBACK}?code=")
    assert answer(browser.ask(code_challenge_method="plain"))["error"] == "invalid_request"
    assert answer(browser.ask(code_challenge_method=None))["error"] == "invalid_request"


def test_H11_S20_a_public_client_always_needs_pkce(make_world: MakeWorld) -> None:
    world = make_world(make_client(public=True))
    assert answer(world.signed_in().ask(code_challenge=None, code_challenge_method=None))["error"] == "invalid_request"


def test_S11_V48_another_browser_cannot_finish_the_request(world: World) -> None:
    begun = world.browser().ask().location
    assert world.browser().get(begun).status_code == 400


def test_S12_the_authorization_endpoint_has_no_cors(world: World) -> None:
    response = world.signed_in().get(f"/oauth/authorize?{urlencode(asked())}", headers={"Origin": "https://rp.example.org"})
    assert "Access-Control-Allow-Origin" not in response.headers


def test_a_client_of_another_protocol_is_unknown_here(make_world: MakeWorld) -> None:
    world = make_world(make_client())
    foreign = world.clients.snapshot().clients["rp"].__class__("lms", "lms", "saml", object(), make_client().release)
    world = make_world(make_client(), foreign)
    assert world.browser().ask(client_id="lms").status_code == 400


def test_a_member_who_cancels_is_access_denied(world: World) -> None:
    browser = world.browser()
    shown = browser.get(browser.ask().location)
    _, fields = posted(shown)
    told = answer(browser.post("/login/cancel", data=fields))
    assert (told["error"], told["state"]) == ("access_denied", "a state")


def away(*_: object, **__: object) -> None:
    raise DirectoryUnavailable("no answer")


def lost(*_: object, **__: object) -> None:
    raise StoreUnavailable("no answer")


@pytest.mark.parametrize("what", ["directory", "store"])
def test_S9_prompt_none_during_an_outage_is_answered_to_the_client_and_shows_no_page_of_ours(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    browser = world.signed_in()
    monkeypatch.setattr(*{"directory": (world.subjects, "current", away), "store": (world.sessions, "current", lost)}[what])
    assert answer(browser.ask(prompt="none"))["error"] == "temporarily_unavailable"
    assert browser.ask().status_code == 503, "without prompt=none the member reads our page"
