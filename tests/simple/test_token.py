"""Token vendors: how the token travels, what comes back without one, and both ends of a logout."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from pydantic import ValidationError

from idp.protocols.token.settings import TokenSettings

from .conftest import MakeWorld
from .wiring import ANNE, Visitor, World, form_token, make_client, posted, query_of

LMS = "https://lms.example.com/sso"
COURSES = "https://lms.example.com/courses/"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(
        make_client(
            "lms",
            "token",
            return_urls=(LMS, COURSES),
            deep_link_parameter="id",
            logout_url="https://lms.example.com/gone",
            url="https://lms.example.com/",
        ),
        make_client("events", "token", return_urls=("https://events.example.com/back",), method="get", token_parameter="TOKEN"),
        make_client("quiet", "token", return_urls=("https://quiet.example.com/",), passive=False),
        make_client("www", "cookie", return_urls=("https://www.assoc.example/",)),
    )


def ask(visitor: Visitor, client: str = "lms", **parameters: str):
    return visitor.get("/token/signon", query_string={"client": client, **parameters})


def checked(world: World, logout_token: str) -> jwt.Token:
    """By another's library and our published keys."""
    return jwt.decode(logout_token, KeySet.import_key_set(world.keys.jwks()), algorithms=["RS256"])


def test_S95_the_token_is_posted_to_the_return_address(world: World) -> None:
    action, fields = posted(ask(world.signed_in(), **{"return": COURSES + "12?x=1"}))
    assert action == COURSES + "12?x=1"
    assert list(fields) == ["token"]
    assert world.redeem(fields["token"], "lms").json["subject"] == ANNE.id


def test_S95_the_token_travels_in_the_address_by_choice_and_the_page_gives_no_referrer(world: World) -> None:
    response = ask(world.signed_in(), "events")
    assert response.location.startswith("https://events.example.com/back?TOKEN=")
    assert (response.headers["Referrer-Policy"], response.headers["Cache-Control"]) == ("no-referrer", "no-store")
    assert world.redeem(query_of(response.location)["TOKEN"], "events").status_code == 200


def test_S94_a_token_has_256_bits_and_no_two_are_alike(world: World) -> None:
    anne = world.signed_in()
    tokens = {posted(ask(anne, **{"return": LMS}))[1]["token"] for _ in range(5)}
    assert len(tokens) == 5
    assert all(len(token) == 43 for token in tokens)


def test_a_visitor_signs_in_first_and_then_gets_the_token(world: World) -> None:
    visitor = world.browser()
    login = ask(visitor, **{"return": LMS}).location
    assert login.startswith(f"{world.url}/login?request=")
    assert posted(visitor.sign_in(login))[0] == LMS


def test_a_request_by_POST_comes_round_by_GET_before_the_session_is_read(world: World) -> None:
    anne = world.signed_in()
    response = anne.post("/token/signon", data={"client": "lms", "return": LMS})
    assert (response.status_code, response.location.startswith(f"{world.url}/signon/")) == (303, True)
    assert posted(anne.get(response.location))[0] == LMS


def test_the_only_exact_return_address_needs_no_naming(world: World) -> None:
    assert posted(ask(world.signed_in()))[0] == LMS


def test_a_deep_link_is_handed_on_and_cannot_bring_a_parameter_along(world: World) -> None:
    assert posted(ask(world.signed_in(), id="7&token=evil#x"))[0] == f"{LMS}?id=7%26token%3Devil%23x"


def test_a_parameter_that_is_not_the_deep_link_is_not_handed_on(world: World) -> None:
    assert posted(ask(world.signed_in(), other="7"))[0] == LMS


def test_an_endless_deep_link_is_refused(world: World) -> None:
    response = world.browser().post("/token/signon", data={"client": "lms", "id": "7" * 1001})
    assert (response.status_code, world.audit.last["cause"]) == (400, "vendor.deep_link_too_long")


def test_a_token_of_somebody_else_in_the_return_address_is_taken_out(world: World) -> None:
    assert posted(ask(world.signed_in(), **{"return": COURSES + "12?Token=evil&a=1"}))[0] == COURSES + "12?a=1"


def test_passive_comes_back_without_a_token_and_without_a_reason(world: World) -> None:
    assert ask(world.browser(), passive="1", **{"return": COURSES + "12?a=1"}).location == COURSES + "12?a=1&signed_in=0"


def test_passive_brings_the_token_of_a_member_who_is_signed_in(world: World) -> None:
    assert "token" in posted(ask(world.signed_in(), passive="1"))[1]


def test_passive_is_refused_to_a_vendor_that_may_not_ask_so(world: World) -> None:
    told = query_of(ask(world.signed_in(), "quiet", passive="1", **{"return": "https://quiet.example.com/a"}).location)
    assert told == {"signed_in": "0", "error": "signon.passive_forbidden", "reference": world.audit.of("signon.refused")[0]["reference"]}


def test_who_cancels_comes_back_with_the_cause_and_a_reference(world: World) -> None:
    visitor = world.browser()
    page = visitor.get(ask(visitor).location).text
    request = page.split('name="request" value="')[1].split('"')[0]
    back = visitor.post("/login/cancel", data={"request": request, "form_token": form_token(page)}).location
    told = query_of(back)
    assert (back.startswith(LMS), told["signed_in"], told["error"]) == (True, "0", "signon.cancelled")
    assert told["reference"] == world.audit.of("signon.refused")[0]["reference"]


@pytest.mark.parametrize("client", ["", "nobody", "www"])
def test_S2_an_unknown_client_is_answered_on_our_own_page(world: World, client: str) -> None:
    """`www` is known, but as a cookie vendor."""
    response = ask(world.signed_in(), client, **{"return": LMS})
    assert (response.status_code, response.location) == (400, None)
    assert world.audit.of("request.refused")[0]["cause"] == "client.unknown"


@pytest.mark.parametrize("passive", ["0", "1"])
def test_V34_an_unregistered_return_address_is_never_gone_to(world: World, passive: str) -> None:
    response = ask(world.signed_in(), passive=passive, **{"return": "https://evil.example/sso"})
    assert (response.status_code, response.location) == (400, None)
    assert world.audit.of("request.refused")[0]["cause"] == "return.not_registered"


@pytest.mark.parametrize("query", ["client=lms&client=lms", f"client=lms&return={LMS}&return={LMS}"])
def test_S15_a_repeated_parameter_is_refused(world: World, query: str) -> None:
    assert world.signed_in().get(f"/token/signon?{query}").status_code == 400
    assert world.audit.last["cause"] == "request.parameter_repeated"


def test_S15_query_and_form_together_count_as_a_repetition(world: World) -> None:
    assert world.browser().post("/token/signon?client=lms", data={"client": "events"}).status_code == 400


def test_an_address_that_lost_its_registration_while_the_sign_in_page_was_open_is_not_gone_to(world: World) -> None:
    table = {"protocol": "token", "return_urls": ("https://a.example/",)}
    world.clients.add("new", table)
    visitor = world.browser()
    login = ask(visitor, "new", **{"return": "https://a.example/x"}).location
    world.clients.remove("new")
    world.clients.add("new", {**table, "return_urls": ("https://b.example/",)})
    assert visitor.sign_in(login).status_code == 400
    assert world.audit.last["cause"] == "return.not_registered"


def test_V18_V41_hostile_values_stay_text_in_the_page_that_posts(world: World) -> None:
    page = ask(world.signed_in(), id="\"'><script>alert(1)</script>").text
    assert "<script>alert" not in page
    assert "%22%27%3E%3Cscript" in page


@pytest.mark.parametrize("name", ["a b", 'a"', "tok[]", "", "x" * 65, "tök"])
def test_a_token_parameter_is_a_plain_name(name: str) -> None:
    with pytest.raises(ValidationError):
        TokenSettings(return_urls=(LMS,), token_parameter=name)


def test_a_vendor_without_return_addresses_is_not_taken() -> None:
    with pytest.raises(ValidationError, match="return_urls is missing"):
        TokenSettings()


def test_a_repeated_sign_on_leaves_one_participant(world: World) -> None:
    anne = world.signed_in()
    ask(anne)
    before = world.store.get("session", anne.session_id())
    ask(anne)
    assert world.store.get("session", anne.session_id()) == before
    assert len(world.sessions.list()[0].participants) == 1


def test_S48_tokens_die_with_the_session(world: World) -> None:
    anne = world.signed_in()
    token = posted(ask(anne))[1]["token"]
    world.logout.end(anne.session_id(), reason="test")
    assert world.redeem(token, "lms").json["error"] == "ticket.unknown"


def test_S45_the_vendor_is_told_by_a_token_that_any_library_checks_with_our_published_keys(world: World) -> None:
    anne = world.signed_in()
    ask(anne)
    session = world.sessions.list()[0]
    world.logout.end(session.id, reason="test")
    (notice,) = world.letterbox.notices
    assert (notice.url, list(notice.fields)) == ("https://lms.example.com/gone", ["logout_token"])
    token = checked(world, notice.fields["logout_token"])
    claims = token.claims
    assert token.header["typ"] == "logout+jwt"
    assert {name: claims[name] for name in ("iss", "aud", "sub", "sid", "iat", "exp")} == {
        "iss": world.url, "aud": "lms", "sub": ANNE.id, "sid": session.id, "iat": world.now(), "exp": world.now() + 120,
    }  # fmt: skip
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in claims


def test_S45_no_two_logout_tokens_have_one_id(world: World) -> None:
    ids = set()
    for _ in range(2):
        anne = world.signed_in()
        ask(anne)
        world.logout.end(anne.session_id(), reason="test")
        ids.add(checked(world, world.letterbox.notices[-1].fields["logout_token"]).claims["jti"])
    assert len(ids) == 2


def test_a_vendor_without_logout_url_is_untold(world: World) -> None:
    anne = world.signed_in()
    ask(anne, "events")
    run = world.logout.end(anne.session_id(), reason="test")
    assert run is not None
    assert [row.state for row in run.rows] == ["untold"]


FROM_LMS = {
    "Referer": "https://lms.example.com/",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "cross-site",
}


def leave(visitor: Visitor, headers: dict[str, str], **parameters: str):
    return visitor.get("/token/logout", query_string={"client": "lms", **parameters}, headers=headers)


def test_the_vendors_own_link_ends_the_session_and_comes_back(world: World) -> None:
    anne = world.signed_in()
    ask(anne)
    ask(anne, "events")
    onward = leave(anne, FROM_LMS, **{"return": COURSES}).location
    assert world.sessions.list() == []
    assert anne.get(onward).location == COURSES
    assert world.audit.of("logout.ended")[0]["began"] == "lms"
    assert world.letterbox.notices == []  # who began is not told


def test_without_return_the_page_of_ours_says_what_became_of_each(world: World) -> None:
    anne = world.signed_in()
    ask(anne)
    onward = leave(anne, FROM_LMS).location
    assert "signed out" in anne.get(onward).text.lower()
    assert len(world.letterbox.notices) == 1


def test_a_browser_that_sends_no_fetch_metadata_is_known_by_its_referrer(world: World) -> None:
    anne = world.signed_in()
    ask(anne)
    leave(anne, {"Referer": "https://lms.example.com/"}, **{"return": LMS})
    assert world.sessions.list() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        FROM_LMS | {"Referer": ""},
        FROM_LMS | {"Referer": "https://evil.example/https://lms.example.com/"},
        FROM_LMS | {"Referer": "https://lms.example.com.evil.example/"},
        FROM_LMS | {"Referer": "http://lms.example.com/"},
        FROM_LMS | {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        FROM_LMS | {"Sec-Fetch-Dest": "iframe"},
        {"Referer": "https://lms.example.com/", "Sec-Fetch-Mode": "cors"},
    ],
)
def test_S50_V37_what_does_not_come_from_the_vendors_page_by_a_click_ends_nothing(world: World, headers: dict[str, str]) -> None:
    anne = world.signed_in()
    ask(anne)
    response = leave(anne, headers, **{"return": LMS})
    assert response.location == f"{world.url}/logout"
    assert len(world.sessions.list()) == 1
    assert 'name="form_token"' in anne.get("/logout").text


def test_S50_a_vendor_that_the_member_did_not_enter_ends_nothing(world: World) -> None:
    anne = world.signed_in()
    assert leave(anne, FROM_LMS, **{"return": LMS}).location == f"{world.url}/logout"
    assert len(world.sessions.list()) == 1


def test_S50_HEAD_ends_nothing(world: World) -> None:
    anne = world.signed_in()
    ask(anne)
    anne.http.head("/token/logout", base_url=world.url, query_string={"client": "lms"}, headers=FROM_LMS)
    assert len(world.sessions.list()) == 1


def test_who_is_not_signed_in_goes_straight_back(world: World) -> None:
    assert leave(world.browser(), {}, **{"return": LMS}).location == LMS
    assert leave(world.browser(), {}).location == f"{world.url}/logout"


def test_after_logout_the_vendors_start_page_will_do_too(world: World) -> None:
    assert leave(world.browser(), {}, **{"return": "https://lms.example.com/"}).location == "https://lms.example.com/"


def test_V34_logout_goes_to_no_unregistered_address(world: World) -> None:
    response = leave(world.browser(), {}, **{"return": "https://lms.example.com/elsewhere"})
    assert (response.status_code, response.location) == (400, None)
