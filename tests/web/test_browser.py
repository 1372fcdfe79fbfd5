"""The browser's cookies, and what is bound to them."""

from __future__ import annotations

import pytest
from werkzeug.http import parse_cookie

from idp.secret import digest
from tests.sso.echo import make_client

from .conftest import MakeSite
from .site import Site, Visitor, hidden_fields, set_cookies

SESSION, BROWSER, PING = "__Host-idp_session", "__Host-idp_browser", "__Host-idp_ping"


def send(visitor: Visitor, path: str, cookie: str) -> str:
    """The page that a Cookie header gets."""
    fresh = visitor.site.app.test_client(use_cookies=False)
    return fresh.get(path, base_url=visitor.site.server.url, headers={"Cookie": cookie}, buffered=True).text


def is_signed_in(page: str) -> bool:
    return "You are signed in" in page


def test_S71_with_https_every_cookie_is_host_bound_secure_http_only_and_lax(site: Site) -> None:
    visitor = site.visitor()
    set_ = {**set_cookies(visitor.get("/login")), **set_cookies(visitor.sign_in(visitor.get("/login")))}
    held = set_cookies(site.visitor().post_across_sites("/echo/signon", {"client": "lms"}))
    assert set(set_) == {SESSION, BROWSER}
    assert len(held) == 1
    for name, attributes in {**set_, **held}.items():
        assert name.startswith("__Host-")
        flags = set(attributes.split("; "))
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= flags
        assert not [flag for flag in flags if flag.startswith("Domain")]


def test_S71_the_session_cookie_ends_with_the_browser(site: Site) -> None:
    visitor = site.visitor()
    attributes = set_cookies(visitor.sign_in(visitor.get("/login")))[SESSION]
    assert "Max-Age" not in attributes
    assert "Expires" not in attributes


def test_on_plain_http_for_trials_the_cookies_work_without_the_prefix_and_without_secure(make_site: MakeSite) -> None:
    site = make_site(url="http://localhost:8080")
    visitor = site.visitor()
    set_ = set_cookies(visitor.sign_in(visitor.get("/login")))
    assert set(set_) == {"idp_session", "idp_browser"}
    assert all("Secure" not in attributes and "HttpOnly" in attributes and "SameSite=Lax" in attributes for attributes in set_.values())
    assert is_signed_in(visitor.get("/").text)


def test_S79_the_ping_cookie_is_there_only_where_some_client_may_ask_and_alone_crosses_sites(make_site: MakeSite) -> None:
    client = make_client("journal")
    jsonp = type(client)(**{**vars(client), "protocol": "jsonp"})
    visitor = make_site(client, jsonp).visitor()
    attributes = set_cookies(visitor.sign_in(visitor.get("/login")))[PING]
    assert {"Secure", "HttpOnly", "SameSite=None", "Path=/"} <= set(attributes.split("; "))
    assert not is_signed_in(send(visitor, "/", f"{SESSION}={visitor.cookie(PING)}")), "it is no session cookie"


def test_S77_a_cookie_that_comes_twice_is_none(site: Site) -> None:
    """A sibling host can toss one of that name beside ours; which of the two came first proves nothing."""
    visitor = site.signed_in()
    mine = f"{SESSION}={visitor.cookie(SESSION)}"
    assert is_signed_in(send(visitor, "/", mine))
    assert not is_signed_in(send(visitor, "/", f"{mine}; {SESSION}=tossed"))
    assert not is_signed_in(send(visitor, "/", f"{SESSION}=tossed; {mine}"))
    assert is_signed_in(send(visitor, "/", f"{mine}; someone_elses=1; someone_elses=2"))


NOBODYS = "_" + "0" * 32


@pytest.mark.parametrize("value", ["", "x", ".", "a.b", '"', "\xff", "{%24gt}", NOBODYS, f"{NOBODYS}.{'x' * 43}", "x" * 8000])
def test_V54_a_cookie_that_is_no_proof_is_a_visitor(site: Site, value: str) -> None:
    assert not is_signed_in(send(site.visitor(), "/", f"{SESSION}={value}"))


def test_S72_V35_a_login_changes_the_session_cookie_and_the_old_one_is_dead(site: Site) -> None:
    visitor = site.signed_in()
    old = visitor.cookie(SESSION)
    assert visitor.sign_in(visitor.get(_login(visitor))).status_code == 303
    assert visitor.cookie(SESSION) != old
    assert not is_signed_in(send(visitor, "/", f"{SESSION}={old}"))


def _login(visitor: Visitor) -> str:
    return visitor.get("/echo/signon?client=lms&fresh=1").location


def test_S72_V35_a_session_cookie_planted_before_the_login_opens_nothing_after_it(site: Site) -> None:
    attacker, victim = site.signed_in(), site.visitor()
    victim.client.set_cookie(SESSION, attacker.cookie(SESSION), domain="login.assoc.example")
    victim.sign_in(victim.get(_login(victim)), "ben")
    assert victim.cookie(SESSION) != attacker.cookie(SESSION)
    assert not is_signed_in(attacker.get("/").text), "the planted session ended when another member signed in over it"


def test_F27_the_browsers_secret_outlives_what_waits_for_it(site: Site) -> None:
    """It is set again with each response that rests on it: a page opened in its last hour would otherwise be dead before the request is."""
    visitor = site.visitor()
    first = set_cookies(visitor.get("/login"))[BROWSER]
    secret = visitor.cookie(BROWSER)
    again = visitor.get("/login")
    assert "Max-Age=86400" in first
    assert "Max-Age=86400" in set_cookies(again)[BROWSER]
    assert visitor.cookie(BROWSER) == secret


def test_what_does_not_rest_on_the_browser_sets_no_cookie(site: Site) -> None:
    for path in ("/", "/nowhere", "/static/site.css"):
        assert set_cookies(site.visitor().get(path)) == {}


@pytest.mark.parametrize("short", ["", "x", "k" * 39, "k" * 65])
def test_a_browser_secret_that_is_not_ours_is_replaced(site: Site, short: str) -> None:
    visitor = site.visitor()
    visitor.client.set_cookie(BROWSER, short, domain="login.assoc.example")
    visitor.get("/login")
    assert len(visitor.cookie(BROWSER)) == 43


def test_S120_a_form_token_is_good_for_one_form_in_one_browser(site: Site) -> None:
    mine, other = site.signed_in(), site.signed_in()
    tokens = [hidden_fields(visitor.get("/logout"))["form_token"] for visitor in (mine, other)]
    assert tokens[0] != tokens[1]
    assert hidden_fields(site.visitor().get("/login"))["form_token"] not in tokens
    visitor = site.visitor()
    login = hidden_fields(visitor.get("/login"))["form_token"]
    assert login == hidden_fields(visitor.get("/login"))["form_token"]
    assert visitor.cookie(BROWSER) not in (login, digest(visitor.cookie(BROWSER)))


class TestCrossSitePost:
    """SAML's HTTP-POST: the browser keeps our Lax cookies back."""

    def test_it_is_held_and_resumed_with_the_cookies(self, site: Site) -> None:
        visitor = site.signed_in()
        held = visitor.post_across_sites("/echo/signon", {"client": "lms"})
        assert held.status_code == 303
        assert visitor.get(held.location).location.startswith("https://lms.example/back?")

    def test_V26_it_does_not_cut_off_the_sign_in_page_of_another_tab(self, site: Site) -> None:
        visitor = site.visitor()
        page = visitor.get(visitor.get("/echo/signon?client=wiki").location)
        secret = visitor.cookie(BROWSER)
        held = visitor.post_across_sites("/echo/signon", {"client": "lms"})
        other = visitor.get(visitor.get(held.location).location)
        assert visitor.cookie(BROWSER) == secret
        assert visitor.get(visitor.sign_in(page).location).location.startswith("https://wiki.example/back?")
        assert visitor.get(visitor.sign_in(other).location).location.startswith("https://lms.example/back?")

    def test_two_at_once_are_two(self, site: Site) -> None:
        visitor = site.signed_in()
        first, second = [visitor.post_across_sites("/echo/signon", {"client": client_id}) for client_id in ("lms", "wiki")]
        assert "wiki" in visitor.get(second.location).location
        assert "lms" in visitor.get(first.location).location

    def test_S11_another_browser_does_not_finish_it(self, site: Site) -> None:
        held = site.visitor().post_across_sites("/echo/signon", {"client": "lms"})
        assert site.signed_in().get(held.location).status_code == 400

    def test_S77_its_cookie_goes_when_it_is_over(self, site: Site) -> None:
        visitor = site.signed_in()
        before = set(visitor.cookies())
        held = visitor.post_across_sites("/echo/signon", {"client": "lms"})
        assert len(visitor.cookies()) == len(before) + 1
        visitor.get(held.location)
        assert set(visitor.cookies()) == before

    def test_a_logout_by_such_a_post_takes_no_cookie_that_it_cannot_see(self, site: Site) -> None:
        """The session cookie here may be another session's than the one that the application ends."""
        elsewhere = site.signed_in("lms")
        session = site.house.sessions.of_subject("101")[0].id
        visitor = site.signed_in()
        visitor.post_across_sites("/echo/logout", {"client": "lms", "session": session})
        assert is_signed_in(visitor.get("/").text)
        assert not is_signed_in(elsewhere.get("/").text)


def test_S77_there_are_never_more_than_six_cookies_nor_four_kilobytes(make_site: MakeSite) -> None:
    client = make_client("journal")
    jsonp = type(client)(**{**vars(client), "id": "ping", "protocol": "jsonp"})
    visitor = make_site(client, jsonp, make_client("wiki", tell="front")).signed_in("journal", "wiki")
    for _ in range(3):
        visitor.get(visitor.post_across_sites("/echo/signon", {"client": "journal"}).location)
        end = visitor.post("/logout", hidden_fields(visitor.get("/logout")))
        visitor.get(end.location)
        visitor.sign_in(visitor.get("/login"))
    assert len(visitor.cookies()) <= 6
    assert sum(len(name) + len(value) + 3 for name, value in visitor.cookies().items()) < 4096
    assert parse_cookie("; ".join(f"{name}={value}" for name, value in visitor.cookies().items()))[SESSION]
