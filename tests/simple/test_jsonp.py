"""JSONP pages: who may ask, what they learn, and what a page that may not ask does not learn."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from werkzeug.test import TestResponse

from idp.protocols.jsonp.settings import JsonpSettings

from .conftest import MakeWorld
from .wiring import ANNE, Visitor, World, make_client

JOURNAL = "https://journal.example.com"
ASKS = {"Referer": f"{JOURNAL}/", "Sec-Fetch-Dest": "script", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
TODAY = datetime.fromtimestamp(1_800_000_000, UTC).date()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(
        make_client("journal", "jsonp", origins=(JOURNAL, "http://journal.localhost:9000"), logout_url=f"{JOURNAL}/gone"),
        make_client("old", "jsonp", origins=(JOURNAL,), expires=TODAY.replace(year=TODAY.year - 1)),
        make_client("last-day", "jsonp", origins=(JOURNAL,), return_urls=(f"{JOURNAL}/in",), expires=TODAY),
        make_client("news", "jsonp", origins=("https://news.example.com",)),
        make_client("lms", "token", return_urls=("https://lms.example.com/sso",)),
    )


def ping(visitor: Visitor, headers: dict[str, str] = ASKS, client: str = "journal", callback: str = "cb", **parameters: str):
    return visitor.get("/jsonp/ping", query_string={"client": client, "callback": callback, **parameters}, headers=headers)


def value_of(response, callback: str = "cb") -> dict[str, object]:
    """What the callback is called with."""
    assert response.status_code == 200, response.text
    name = re.escape(callback)
    found = re.fullmatch(rf"/\*\*/typeof {name}==='function'&&{name}\((.*)\);", response.text)
    assert found, response.text
    value: dict[str, object] = json.loads(found[1])
    return value


def test_a_registered_page_learns_that_a_member_is_signed_in_and_gets_a_token_for_its_server(world: World) -> None:
    value = value_of(ping(world.signed_in()))
    assert list(value) == ["signedIn", "token"]
    assert value["signedIn"] is True
    assert world.redeem(str(value["token"]), "journal").json["subject"] == ANNE.id


def test_a_page_that_wants_no_token_learns_that_a_member_is_signed_in_and_no_more(world: World) -> None:
    anne = world.signed_in()
    assert value_of(ping(anne, token="0")) == {"signedIn": True}
    assert world.store.list("ticket") == []
    assert value_of(ping(world.browser(), token="0")) == {"signedIn": False}


def test_a_page_that_got_no_token_is_no_participant(world: World) -> None:
    anne = world.signed_in()
    ping(anne, token="0")
    world.logout.end(anne.session_id(), reason="test")
    assert world.letterbox.notices == []


def test_a_registered_page_learns_that_nobody_is_signed_in(world: World) -> None:
    assert value_of(ping(world.browser())) == {"signedIn": False}


def test_S79_across_sites_the_ping_cookie_alone_suffices_and_is_good_for_nothing_else(world: World) -> None:
    """A Lax cookie does not travel with a script element of another site; this one does."""
    sent = {"Cookie": f"__Host-idp_ping={world.signed_in().cookie('__Host-idp_ping')}"}
    stranger = world.app.test_client(use_cookies=False)
    asked = stranger.get("/jsonp/ping?client=journal&callback=cb", base_url=world.url, headers=ASKS | sent)
    assert value_of(asked)["signedIn"] is True
    signon = stranger.get("/token/signon?client=lms", base_url=world.url, headers=sent)
    assert signon.location.startswith(f"{world.url}/login")


def test_being_asked_after_does_not_keep_a_session_alive(world: World) -> None:
    anne = world.signed_in()
    cookie = {"Cookie": f"__Host-idp_ping={anne.cookie('__Host-idp_ping')}"}
    stranger = world.app.test_client(use_cookies=False)
    answers = []
    for _ in range(3):
        world.now.seconds += 1500
        asked = stranger.get("/jsonp/ping?client=journal&callback=cb", base_url=world.url, headers=ASKS | cookie)
        answers.append(value_of(asked)["signedIn"])
    assert answers == [True, True, False]


def test_who_got_a_token_is_a_participant_and_hears_of_the_end(world: World) -> None:
    anne = world.signed_in()
    ping(anne)
    world.logout.end(anne.session_id(), reason="test")
    assert [notice.url for notice in world.letterbox.notices] == [f"{JOURNAL}/gone"]
    assert value_of(ping(anne)) == {"signedIn": False}


def test_the_audit_log_has_who_was_told(world: World) -> None:
    ping(world.signed_in())
    (line,) = world.audit.of("signon.ok")
    assert (line["client"], line["protocol"], line["subject"]) == ("journal", "jsonp", ANNE.id)


def test_V51_a_member_whose_account_is_gone_is_not_signed_in(world: World) -> None:
    anne = world.signed_in()
    world.now.seconds += 1000
    del world.members.by_id[ANNE.id]
    assert value_of(ping(anne)) == {"signedIn": False}
    assert world.sessions.list() == []


def test_S100_S102_the_answer_is_a_script_that_no_browser_takes_for_anything_else(world: World) -> None:
    headers = ping(world.signed_in()).headers
    assert headers["Content-Type"] == "application/javascript; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == 'attachment; filename="f.txt"'
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert headers["Cache-Control"] == "no-store"
    assert {"Cookie", "Referer"} <= {each.strip() for each in headers["Vary"].split(",")}
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize("callback", ["cb", "_", "$", "a.b.c", "jQuery33104_1", "A" * 64])
def test_S100_the_name_of_a_function_is_taken(world: World, callback: str) -> None:
    assert value_of(ping(world.browser(), callback=callback), callback) == {"signedIn": False}


BAD_CALLBACKS = [
    "", " ", "1a", ".a", "-a", "a b", " a", "a ", "a\n", "\na", "a\r\nb", "a\x00", "a\tb", "A" * 65, "alert(1)", "a;b", "a,b", "a=b",
    "a+b", "a-b", "a*b", "a/b", "a//", "/**/a", "a[0]", "a['b']", 'a"b', "a'b", "a`b`", "a<b", "<script>", "</script>", "a>b", "a&b", "a|b",
    "a{b}", "a(b", "a)", "a:b", "a?b", "a\\b", "a\\u0061", "a%62", "ä", "а", "a\u2028b", "a\u200b", "a@b", "a#b", "a!b", "a~b", "a^b",
    "CWSMIKI0hCD0Up0IZUnnnnnnnnnnnnnnnnnnnUU5nnnnnn3Snn7iiudIbEAt333swW0s",
]  # fmt: skip


@pytest.mark.parametrize("callback", BAD_CALLBACKS)
def test_S100_a_callback_that_is_not_the_name_of_a_function_is_refused(world: World, callback: str) -> None:
    """The last is a Flash file in letters and digits alone, too long as such a thing has to be (Rosetta Flash)."""
    response = ping(world.signed_in(), callback=callback)
    assert response.status_code == 400
    assert response.text.split() == ["jsonp.callback_bad", world.audit.last["reference"]]
    assert response.mimetype == "text/plain"


def test_S100_two_callbacks_are_refused(world: World) -> None:
    response = world.signed_in().get("/jsonp/ping?client=journal&callback=a&callback=b", headers=ASKS)
    assert (response.status_code, response.text.split()[0]) == (400, "request.parameter_repeated")


STRANGERS = {
    "another site": {"Referer": "https://evil.example/"},
    "another site whose address names ours": {"Referer": f"https://evil.example/?{JOURNAL}/"},
    "our name as a sub-domain": {"Referer": "https://journal.example.com.evil.example/"},
    "our name as a user name": {"Referer": "https://journal.example.com@evil.example/"},
    "a sub-domain of ours": {"Referer": "https://a.journal.example.com/"},
    "plain http": {"Referer": "http://journal.example.com/"},
    "another port": {"Referer": "https://journal.example.com:8443/"},
    "another vendor's page": {"Referer": "https://news.example.com/"},
    "no referrer": {"Referer": ""},
    "no origin": {"Referer": "null"},
    "not a URL": {"Referer": "https://[journal/"},
    "a document": {"Sec-Fetch-Dest": "document"},
    "a frame": {"Sec-Fetch-Dest": "iframe"},
    "fetch": {"Sec-Fetch-Dest": "empty"},
    "an image": {"Sec-Fetch-Dest": "image"},
    "a service worker": {"Sec-Fetch-Dest": "serviceworker"},
    "typed by hand": {"Sec-Fetch-Site": "none"},
}


@pytest.mark.parametrize("headers", STRANGERS.values(), ids=STRANGERS)
def test_S101_a_page_that_may_not_ask_learns_nothing(world: World, headers: dict[str, str]) -> None:
    """The answer is the same, letter for letter but for the reference, whether or not a member is signed in."""
    told = []
    for visitor in (world.signed_in(), world.browser()):
        response = ping(visitor, ASKS | headers)
        assert response.status_code == 403
        assert "Access-Control-Allow-Origin" not in response.headers
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        told.append((response.text.split()[0], sorted(response.headers.keys()), response.headers["Vary"]))
    assert told[0] == told[1]
    assert world.store.list("ticket") == []


def test_S101_without_any_header_nobody_may_ask(world: World) -> None:
    response = ping(world.signed_in(), {})
    assert (response.status_code, response.text.split()[0]) == (403, "jsonp.origin_hidden")


def test_S101_a_browser_without_fetch_metadata_is_known_by_its_referrer(world: World) -> None:
    assert value_of(ping(world.signed_in(), {"Referer": f"{JOURNAL}/page?x=1"}))["signedIn"] is True


def test_S101_a_stranger_does_not_even_have_the_session_looked_at(world: World) -> None:
    anne = world.signed_in()
    before = world.store.get("session", anne.session_id())
    world.now.seconds += 1000
    ping(anne, ASKS | {"Referer": "https://evil.example/"})
    assert world.store.get("session", anne.session_id()) == before


def test_an_unknown_client_is_refused_in_text(world: World) -> None:
    for client in ("", "nobody", "lms"):
        response = ping(world.signed_in(), client=client)
        assert (response.status_code, response.text.split()[0]) == (400, "client.unknown")


def test_S103_the_token_is_another_vendors_to_burn_but_not_to_use(world: World) -> None:
    token = str(value_of(ping(world.signed_in()))["token"])
    assert world.redeem(token, "news").json["error"] == "ticket.other_client"
    assert world.redeem(token, "journal").json["error"] == "ticket.replayed"


def test_S99_after_its_last_day_a_page_may_not_ask(world: World) -> None:
    assert value_of(ping(world.signed_in(), client="last-day"))["signedIn"] is True
    response = ping(world.signed_in(), client="old")
    assert (response.status_code, response.text.split()[0]) == (403, "jsonp.expired")


def test_S99_after_its_last_day_the_way_by_the_sign_in_page_is_closed_too(world: World) -> None:
    response = world.signed_in().get("/jsonp/signon", query_string={"client": "old", "return": f"{JOURNAL}/"})
    assert response.location.startswith(f"{JOURNAL}/?signed_in=0&error=jsonp.expired&reference=")


def test_the_way_by_the_sign_in_page_comes_back_without_a_token(world: World) -> None:
    visitor = world.browser()
    login = visitor.get("/jsonp/signon", query_string={"client": "journal", "return": f"{JOURNAL}/page?x=1"}).location
    assert login.startswith(f"{world.url}/login")
    assert visitor.sign_in(login).location == f"{JOURNAL}/page?x=1"
    assert value_of(ping(visitor))["signedIn"] is True


def test_the_pages_of_the_origins_may_be_returned_to_unless_others_are_named(world: World) -> None:
    anne = world.signed_in()
    assert anne.get("/jsonp/signon", query_string={"client": "last-day"}).location == f"{JOURNAL}/in"
    assert anne.get("/jsonp/signon", query_string={"client": "last-day", "return": f"{JOURNAL}/"}).status_code == 400


def test_V34_the_way_by_the_sign_in_page_leads_to_no_unregistered_page(world: World) -> None:
    response = world.signed_in().get("/jsonp/signon", query_string={"client": "journal", "return": "https://evil.example/"})
    assert (response.status_code, response.location) == (400, None)


def test_the_pages_own_link_signs_out(world: World) -> None:
    anne = world.signed_in()
    ping(anne)
    onward = anne.get("/jsonp/logout", query_string={"client": "journal", "return": f"{JOURNAL}/"}, headers={"Referer": f"{JOURNAL}/"})
    assert anne.get(onward.location).location == f"{JOURNAL}/"
    assert world.sessions.list() == []


def test_V37_a_script_element_cannot_sign_out(world: World) -> None:
    anne = world.signed_in()
    ping(anne)
    anne.get("/jsonp/logout", query_string={"client": "journal", "return": f"{JOURNAL}/"}, headers=ASKS)
    assert len(world.sessions.list()) == 1


@pytest.mark.parametrize(
    "origin",
    [
        "https://a.example/",
        "https://a.example/x",
        "https://A.example",
        "a.example",
        "*",
        "https://*.a.example",
        "http://a.example",
        "null",
        "https://a.example:443",
        "https://u@a.example",
        "",
    ],
)
def test_S101_an_origin_is_scheme_host_and_port(origin: str) -> None:
    with pytest.raises(ValidationError):
        JsonpSettings(origins=(origin,))


def test_S99_no_page_may_ask_unless_it_is_named() -> None:
    with pytest.raises(ValidationError, match="origins is missing"):
        JsonpSettings(expires=TODAY)


def test_S99_no_page_may_ask_for_ever() -> None:
    with pytest.raises(ValidationError, match="expires is missing"):
        JsonpSettings(origins=(JOURNAL,))


# ---- the same question by fetch()

FETCH = {"Origin": JOURNAL, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "cross-site"}


def fetch(visitor: Visitor, headers: dict[str, str] = FETCH, client: str = "journal") -> TestResponse:
    return visitor.get("/jsonp/fetch", query_string={"client": client}, headers=headers)


def test_S104_a_registered_page_learns_by_fetch_what_it_learns_by_a_script(world: World) -> None:
    assert fetch(world.browser()).json == {"signedIn": False}
    told = fetch(world.signed_in()).json
    assert list(told) == ["signedIn", "token"]
    assert world.redeem(told["token"], "journal").json["subject"] == ANNE.id


def test_S79_S104_across_sites_the_ping_cookie_alone_suffices(world: World) -> None:
    cookie = {"Cookie": f"__Host-idp_ping={world.signed_in().cookie('__Host-idp_ping')}"}
    stranger = world.app.test_client(use_cookies=False)
    assert stranger.get("/jsonp/fetch?client=journal", base_url=world.url, headers=FETCH | cookie).json["signedIn"] is True


def test_S104_exactly_the_page_that_asked_may_read_the_answer(world: World) -> None:
    headers = fetch(world.signed_in()).headers
    assert (headers["Access-Control-Allow-Origin"], headers["Access-Control-Allow-Credentials"]) == (JOURNAL, "true")
    assert {each.strip() for each in headers["Vary"].split(",")} == {"Cookie", "Origin"}
    assert (headers["Cache-Control"], headers["Content-Type"]) == ("no-store", "application/json")
    assert "Set-Cookie" not in headers


STRANGE_ORIGINS = [
    "https://evil.example", "https://journal.example.com.evil.example", "https://a.journal.example.com", "http://journal.example.com",
    "https://journal.example.com:8443", "https://journal.example.com/", "https://JOURNAL.example.com", "https://news.example.com",
    f"{JOURNAL} https://evil.example", f"https://evil.example,{JOURNAL}", "null", "*", "",
]  # fmt: skip


@pytest.mark.parametrize("origin", STRANGE_ORIGINS)
def test_S104_another_origin_learns_nothing(world: World, origin: str) -> None:
    """Letter for letter the same but for the reference, whether or not a member is signed in, and nothing that a page could read."""
    told = []
    for visitor in (world.signed_in(), world.browser()):
        response = fetch(visitor, FETCH | {"Origin": origin})
        assert response.status_code == 403
        assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
        told.append((response.text.split()[0], len(response.text), sorted(response.headers.keys()), response.headers["Vary"]))
    assert told[0] == told[1]
    assert world.store.list("ticket") == []


@pytest.mark.parametrize("mode", ["no-cors", "navigate", "same-origin", "websocket"])
def test_S104_a_question_whose_answer_the_page_could_not_read_is_not_answered(world: World, mode: str) -> None:
    assert fetch(world.signed_in(), FETCH | {"Sec-Fetch-Mode": mode}).status_code == 403


def test_S99_after_its_last_day_a_page_may_not_ask_by_fetch_either(world: World) -> None:
    response = fetch(world.signed_in(), client="old")
    assert (response.status_code, response.text.split()[0]) == (403, "jsonp.expired")
    assert "Access-Control-Allow-Origin" not in response.headers


def test_S104_no_preflight_is_answered(world: World) -> None:
    asks = FETCH | {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-evil"}
    response = world.signed_in().http.options("/jsonp/fetch?client=journal", base_url=world.url, headers=asks)
    assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
