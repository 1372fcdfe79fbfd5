"""Cookie vendors: where the cookie stands, what is in it, and what somebody gains who tampers with it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from idp.errors import ConfigError, IdpError
from idp.protocols.cookie.domain import SharedDomains
from idp.protocols.cookie.protocol import CookieProtocol
from idp.protocols.cookie.settings import CookieSettings
from idp.secret import Secret
from idp.sso.client import Clients

from .conftest import MakeWorld
from .wiring import ANNE, Visitor, World, form_token, make_client, posted, query_of

WWW = "https://www.assoc.example/members/"


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(
        make_client("www", "cookie", return_urls=(WWW,), logout_url="https://www.assoc.example/gone"),
        make_client("shop", "cookie", return_urls=("https://shop.assoc.example/back",), cookie_name="SHOP", http_only=False),
        make_client("lms", "token", return_urls=("https://lms.example.com/sso",)),
    )


def ask(visitor: Visitor, client: str = "www", **parameters: str):
    return visitor.get("/cookie/signon", query_string={"client": client, **parameters})


def shared_cookie(response, name: str) -> dict[str, str]:
    """The attributes of the cookie in the response, its value under its name."""
    (line,) = [each for each in response.headers.getlist("Set-Cookie") if each.startswith(f"{name}=")]
    return {part.partition("=")[0].strip(): part.partition("=")[2] for part in line.split(";")}


def test_S78_the_cookie_stands_on_the_shared_domain_for_30_seconds_and_scripts_do_not_see_it(world: World) -> None:
    response = ask(world.signed_in(), **{"return": WWW + "area"})
    assert response.location == WWW + "area"
    cookie = shared_cookie(response, "idp_www")
    assert (cookie["Domain"], cookie["Path"], cookie["Max-Age"], cookie["SameSite"]) == ("assoc.example", "/", "30", "Lax")
    assert {"HttpOnly", "Secure"} <= set(cookie)


def test_S78_the_cookie_holds_a_reference_that_is_redeemed_once(world: World) -> None:
    token = shared_cookie(ask(world.signed_in(), **{"return": WWW}), "idp_www")["idp_www"]
    assert world.redeem(token, "www").json["subject"] == ANNE.id
    assert world.redeem(token, "www").json["error"] == "ticket.replayed"


def test_S78_the_reference_is_good_for_30_seconds(world: World) -> None:
    token = shared_cookie(ask(world.signed_in(), **{"return": WWW}), "idp_www")["idp_www"]
    world.now.seconds += 30
    assert world.redeem(token, "www").json["error"] == "ticket.unknown"


def test_S78_nothing_of_our_session_is_in_the_cookie_nor_would_it_do_as_one(world: World) -> None:
    anne = world.signed_in()
    token = shared_cookie(ask(anne, **{"return": WWW}), "idp_www")["idp_www"]
    assert token not in anne.cookie("__Host-idp_session")
    assert anne.session_id() not in token
    assert world.sessions.current(Secret(token)) is None
    assert world.sessions.current(Secret(f"{anne.session_id()}.{token}")) is None


def test_the_vendor_may_choose_the_name_and_let_scripts_read_it(world: World) -> None:
    cookie = shared_cookie(ask(world.signed_in(), "shop"), "SHOP")
    assert "HttpOnly" not in cookie


def test_S78_each_question_renews_the_cookie_with_a_reference_of_its_own(world: World) -> None:
    """A vendor whose page needs it again asks again, passively; what was read from the cookie before stays good for its own time."""
    anne = world.signed_in()
    first = shared_cookie(ask(anne, **{"return": WWW}), "idp_www")["idp_www"]
    world.now.seconds += 20
    renewed = shared_cookie(ask(anne, passive="1", **{"return": WWW}), "idp_www")
    assert (renewed["Max-Age"], renewed["idp_www"] != first) == ("30", True)
    world.now.seconds += 9
    assert world.redeem(first, "www").status_code == 200
    world.now.seconds += 20
    assert world.redeem(renewed["idp_www"], "www").status_code == 200


def test_S77_a_cookie_that_another_sub_domain_tossed_signs_in_who_tossed_it_or_nobody(world: World) -> None:
    """Bert's own reference in Anne's browser is Bert's: the vendor sees Bert, never Anne, and it is good once."""
    bert = world.browser()
    bert.sign_in(username="bert")
    tossed = shared_cookie(ask(bert, **{"return": WWW}), "idp_www")["idp_www"]
    ask(world.signed_in(), **{"return": WWW})
    assert world.redeem(tossed, "www").json["subject"] == "4712"
    assert world.redeem(tossed, "www").json["error"] == "ticket.replayed"


def test_a_refusal_sets_no_cookie(world: World) -> None:
    response = ask(world.browser(), passive="1", **{"return": WWW})
    assert response.location == f"{WWW}?signed_in=0"
    assert not [line for line in response.headers.getlist("Set-Cookie") if line.startswith("idp_www")]


def test_V34_an_unregistered_return_address_is_never_gone_to_and_no_cookie_is_set(world: World) -> None:
    response = ask(world.signed_in(), **{"return": "https://www.assoc.example/elsewhere"})
    assert (response.status_code, response.location, response.headers.getlist("Set-Cookie")) == (400, None, [])


def test_S78_a_tossed_cookie_of_somebodys_invention_is_not_redeemed(world: World) -> None:
    assert world.redeem("A" * 43, "www").json["error"] == "ticket.unknown"


def test_V39_a_tossed_cookie_with_another_vendors_token_is_burnt(world: World) -> None:
    anne = world.signed_in()
    token = posted(anne.get("/token/signon?client=lms"))[1]["token"]
    assert world.redeem(token, "www").json["error"] == "ticket.other_client"
    assert world.redeem(token, "lms").json["error"] == "ticket.replayed"


def test_S77_a_tossed_session_cookie_beside_the_real_one_signs_nobody_in(world: World) -> None:
    """Browsers refuse that name to other hosts; should one not, two cookies of the name are no session."""
    anne, bert = world.signed_in(), world.browser()
    bert.sign_in(username="bert")
    both = f"__Host-idp_session={anne.cookie('__Host-idp_session')}; __Host-idp_session={bert.cookie('__Host-idp_session')}"
    tossed = world.app.test_client(use_cookies=False)
    response = tossed.get("/cookie/signon", base_url=world.url, query_string={"client": "www", "return": WWW}, headers={"Cookie": both})
    assert response.location.startswith(f"{world.url}/login")


def test_S77_a_tossed_shared_cookie_does_not_reach_our_session(world: World) -> None:
    anne = world.signed_in()
    anne.http.set_cookie("idp_www", "tossed", domain="assoc.example")
    assert shared_cookie(ask(anne, **{"return": WWW}), "idp_www")["idp_www"] != "tossed"


def test_logout_tells_the_vendors_server_and_clears_the_cookie(world: World) -> None:
    anne = world.signed_in()
    ask(anne, **{"return": WWW})
    response = anne.post("/logout", data={"form_token": form_token(anne.get("/logout").text)})
    assert [notice.url for notice in world.letterbox.notices] == ["https://www.assoc.example/gone"]
    cookie = shared_cookie(response, "idp_www")
    assert (cookie["idp_www"], cookie["Domain"], cookie["Max-Age"]) == ("", "assoc.example", "0")


def test_logout_without_a_logout_url_clears_the_cookie(world: World) -> None:
    anne = world.signed_in()
    ask(anne, "shop")
    run = world.logout.end(anne.session_id(), reason="test")
    assert run is not None
    assert [(cookie.name, cookie.domain, cookie.value) for cookie in run.cookies] == [("SHOP", "assoc.example", "")]
    assert world.letterbox.notices == []


def test_a_vendor_that_said_no_is_shown_as_failed_though_its_cookie_was_cleared(world: World) -> None:
    anne = world.signed_in()
    ask(anne, **{"return": WWW})
    world.letterbox.reachable = False
    run = world.logout.end(anne.session_id(), reason="test")
    assert run is not None
    assert [row.state for row in run.rows] == ["failed"]
    assert [cookie.name for cookie in run.cookies] == ["idp_www"]


def test_the_vendors_own_link_signs_out_and_clears_its_cookie_on_the_way_back(world: World) -> None:
    anne = world.signed_in()
    ask(anne, **{"return": WWW})
    onward = anne.get("/cookie/logout", query_string={"client": "www", "return": WWW}, headers={"Referer": "https://www.assoc.example/"})
    back = anne.get(onward.location)
    assert back.location == WWW
    assert shared_cookie(back, "idp_www")["idp_www"] == ""
    assert world.sessions.list() == []


@pytest.mark.parametrize(
    ("ours", "theirs", "given", "domain"),
    [
        ("https://login.assoc.org", "https://www.assoc.org/", "", "assoc.org"),
        ("https://login.members.assoc.org", "https://www.members.assoc.org/", "", "members.assoc.org"),
        ("https://login.members.assoc.org", "https://www.members.assoc.org/", "assoc.org", "assoc.org"),
        ("https://login.assoc.org", "https://www.assoc.org/", ".Assoc.org", "assoc.org"),
        ("https://assoc.org", "https://www.assoc.org/", "", "assoc.org"),
        ("https://login.assoc.co.uk", "https://www.assoc.co.uk/", "", "assoc.co.uk"),
        ("http://idp.assoc.localhost:8080", "http://cms.assoc.localhost:9000/", "", "assoc.localhost"),
        ("https://app.assoc.org", "https://app.assoc.org/cms/", "", "app.assoc.org"),
    ],
)
def test_S106_the_domain_is_the_longest_that_both_have_in_common_or_the_one_given(ours: str, theirs: str, given: str, domain: str) -> None:
    assert SharedDomains(ours).of(CookieSettings(return_urls=(theirs,), domain=given), client_id="www") == domain


@pytest.mark.parametrize(
    ("ours", "theirs", "given"),
    [
        ("https://login.assoc.org", "https://www.vendor.org/", ""),
        ("https://login.assoc.org", "https://www.vendor.org/", "org"),
        ("https://login.assoc.co.uk", "https://www.vendor.co.uk/", ""),
        ("https://assoc.github.io", "https://evil.github.io/", ""),
        ("https://login.assoc.org", "https://www.assoc.org/", "org"),
        ("https://login.assoc.org", "https://www.assoc.org/", "www.assoc.org"),
        ("https://login.assoc.org", "https://www.notassoc.org/", "assoc.org"),
        ("http://localhost:8080", "http://localhost:9000/", ""),
        ("http://idp.localhost:8080", "http://cms.localhost:9000/", ""),
        ("http://127.0.0.1:8080", "http://127.0.0.1:9000/", ""),
        ("http://127.0.0.1:8080", "http://127.0.0.1:9000/", "0.1"),
        ("http://[::1]:8080", "http://[::1]:9000/", ""),
    ],
)
def test_S106_a_cookie_that_strangers_would_share_or_that_cannot_be_shared_is_refused(ours: str, theirs: str, given: str) -> None:
    with pytest.raises(IdpError) as caught:
        SharedDomains(ours).of(CookieSettings(return_urls=(theirs,), domain=given), client_id="www")
    assert caught.value.cause == "cookie.domain_not_shared"


def test_S106_the_server_does_not_start_with_a_vendor_in_its_file_that_shares_no_domain(make_world: MakeWorld) -> None:
    with pytest.raises(ConfigError) as caught:
        make_world(
            make_client("www", "cookie", return_urls=("https://www.vendor.example/",)),
            make_client("b", "cookie", return_urls=("https://b.example/",)),
        )
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["clients.www.cookie", "clients.b.cookie"]


def test_the_check_at_the_start_does_not_need_the_store(make_world: MakeWorld) -> None:
    world = make_world()
    clients = Clients([make_client("www", "cookie", return_urls=(WWW,))], store=object(), read=None, audit=world.audit)  # type: ignore[arg-type]
    CookieProtocol(url=world.url, clients=clients, keys=world.keys, tickets=world.tickets, now=world.now)


def test_S106_one_in_the_store_is_refused_when_it_asks_and_the_others_go_on(world: World) -> None:
    world.clients.add("late", {"protocol": "cookie", "return_urls": ("https://www.vendor.example/",)})
    response = ask(world.signed_in(), "late", **{"return": "https://www.vendor.example/"})
    assert (response.status_code, response.location, world.audit.last["cause"]) == (500, None, "cookie.domain_not_shared")


@pytest.mark.parametrize("name", ["idp_session", "IDP_session", "idp_browser", "idp_ping"])
def test_S77_the_cookie_does_not_take_the_name_of_one_of_ours(make_world: MakeWorld, name: str) -> None:
    with pytest.raises(ConfigError, match="is our own"):
        make_world(make_client("www", "cookie", return_urls=(WWW,), cookie_name=name))


def test_S77_nor_does_a_client_by_its_id(make_world: MakeWorld) -> None:
    with pytest.raises(ConfigError, match="is our own"):
        make_world(make_client("session", "cookie", return_urls=(WWW,)))


@pytest.mark.parametrize("name", ["a b", "a;b", "a=b", 'a"', "__Host-x", "__secure-x", "ä"])
def test_a_cookie_name_is_a_token_without_a_prefix_that_forbids_sharing(name: str) -> None:
    with pytest.raises(ValidationError):
        CookieSettings(return_urls=(WWW,), cookie_name=name)


def test_who_cancels_comes_back_with_the_cause(world: World) -> None:
    visitor = world.browser()
    login = ask(visitor, **{"return": WWW}).location
    page = visitor.get(login).text
    request = page.split('name="request" value="')[1].split('"')[0]
    back = visitor.post("/login/cancel", data={"request": request, "form_token": form_token(page)}).location
    assert query_of(back)["error"] == "signon.cancelled"
