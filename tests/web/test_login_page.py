"""The sign-in page: for whom, in whose name, and what it lets through."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from idp.sso.answer import FormPost
from idp.sso.login import LoginSettings
from idp.store import StoreUnavailable
from tests.sso.echo import make_client
from tests.sso.house import PASSWORD

from .conftest import MakeSite
from .site import URL, Site, Visitor, hidden_fields

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> & {{ 31337*31337 }}"


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.all: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.all.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.all if name == tag]


def login_page(visitor: Visitor, query: str = "client=lms") -> TestResponse:
    return visitor.get(visitor.get(f"/echo/signon?{query}").location)


def told(response: TestResponse) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(response.location).query).items()}


class TestTheWayThrough:
    def test_from_the_client_by_the_sign_in_page_to_the_answer(self, site: Site) -> None:
        visitor = site.visitor()
        asked = visitor.get("/echo/signon?client=lms")
        assert (asked.status_code, asked.location.partition("?")[0]) == (302, f"{URL}/login")
        signed = visitor.sign_in(visitor.get(asked.location))
        assert (signed.status_code, signed.location.rpartition("/")[0]) == (303, f"{URL}/signon")
        answer = visitor.get(signed.location)
        assert answer.location.startswith("https://lms.example/back?")

    def test_a_member_who_is_signed_in_sees_no_page(self, site: Site) -> None:
        visitor = site.signed_in()
        assert visitor.get("/echo/signon?client=lms").location.startswith("https://lms.example/back?")
        assert visitor.get("/login").location == f"{URL}/"

    def test_V26_a_login_in_one_tab_lets_the_page_in_another_go_on(self, site: Site) -> None:
        visitor = site.visitor()
        waiting = visitor.get("/echo/signon?client=lms").location
        visitor.sign_in(visitor.get("/login"))
        onward = visitor.get(waiting)
        assert onward.status_code in (302, 303)
        assert visitor.get(onward.location).location.startswith("https://lms.example/back?")

    def test_S6_every_redirect_after_a_post_is_a_303(self, site: Site) -> None:
        visitor = site.visitor()
        page = login_page(visitor)
        assert visitor.sign_in(page).status_code == 303
        assert visitor.post_across_sites("/echo/signon", {"client": "lms"}).status_code == 303
        page = login_page(visitor, "client=lms&fresh=1")
        assert visitor.post("/login/cancel", hidden_fields(page)).status_code == 303
        assert visitor.post("/logout", hidden_fields(visitor.get("/logout"))).status_code == 303

    def test_the_answer_is_given_once(self, site: Site) -> None:
        visitor = site.visitor()
        signed = visitor.sign_in(login_page(visitor))
        visitor.get(signed.location)
        again = visitor.get(signed.location)
        assert again.status_code == 400
        assert "begun in another browser" in again.text

    def test_V48_another_browser_sees_neither_the_page_nor_the_answer(self, site: Site) -> None:
        waiting = site.visitor().get("/echo/signon?client=lms").location
        request_id = parse_qs(urlsplit(waiting).query)["request"][0]
        for visitor in (site.visitor(), site.signed_in()):
            assert visitor.get(waiting).status_code == 400
            assert visitor.get(f"/signon/{request_id}").status_code == 400

    def test_a_fresh_request_shows_the_page_to_a_member_who_is_signed_in(self, site: Site) -> None:
        visitor = site.signed_in()
        page = login_page(visitor, "client=lms&fresh=1")
        assert page.status_code == 200
        assert 'value="ada"' in page.text
        waiting = parse_qs(urlsplit(visitor.get("/echo/signon?client=lms&fresh=1").location).query)["request"][0]
        assert visitor.get(f"/signon/{waiting}").location.startswith(f"{URL}/login?"), "the old login does not do"
        assert visitor.get(visitor.sign_in(page).location).location.startswith("https://lms.example/back?")

    def test_V61_cancel_goes_back_to_the_client_and_leaves_the_session(self, site: Site) -> None:
        visitor = site.signed_in()
        page = login_page(visitor, "client=lms&fresh=1")
        assert told(visitor.post("/login/cancel", hidden_fields(page)))["error"] == "signon.cancelled"
        assert "You are signed in" in visitor.get("/").text

    def test_another_member_signs_in_over_the_first_and_the_browser_visits_the_first_ones_clients_on_the_way(self, site: Site) -> None:
        visitor = site.signed_in("lms", "wiki")
        session = site.house.sessions.of_subject("101")[0]
        run = visitor.sign_in(login_page(visitor, "client=lms&fresh=1"), "ben")
        assert site.house.letterbox.heard() == ["lms"]
        visit = visitor.get(run.location)
        assert visit.location == f"https://wiki.example/out?sid={session.id}"
        back = visitor.get(f"/echo/reply?client=wiki&reply_to=reply-wiki-{session.id}")
        onward = visitor.get(back.location)
        assert onward.location.startswith(f"{URL}/signon/")
        assert told(visitor.get(onward.location))["subject"] == "102"

    def test_the_cookies_that_the_first_members_clients_share_go_too(self, make_site: MakeSite) -> None:
        site = make_site(make_client("lms"), make_client("portal", tell="cookie"))
        visitor = site.signed_in("portal")
        run = visitor.sign_in(login_page(visitor, "client=lms&fresh=1"), "ben")
        assert any(line.startswith("shared=;") and "Max-Age=0" in line for line in run.headers.getlist("Set-Cookie"))
        onward = visitor.get(run.location)
        assert told(visitor.get(onward.location))["subject"] == "102"


class TestWrong:
    @pytest.mark.parametrize("username", ["ada", "nobody", "dora"], ids=["wrong", "unknown", "disabled"])
    def test_S83_wrong_unknown_and_disabled_get_the_same_page(self, site: Site, username: str) -> None:
        visitor = site.visitor()
        page = visitor.sign_in(login_page(visitor), username, PASSWORD if username == "dora" else "wrong")
        assert page.status_code == 401
        varying = r'(value="[^"]*"|<code>[^<]*</code>)'
        expected = site.visitor()
        other = expected.sign_in(login_page(expected), "somebody", "wrong")
        assert re.sub(varying, "", page.text) == re.sub(varying, "", other.text)

    def test_U9_the_page_and_the_log_have_one_reference(self, site: Site) -> None:
        visitor = site.visitor()
        page = visitor.sign_in(login_page(visitor), "ada", "wrong")
        event = site.house.audit.of("login.refused")[-1]
        assert event["reference"] in page.text
        assert (event["cause"], event["client"]) == ("login.bad_credentials", "lms")

    def test_S82_too_many_tries_are_told_when_to_come_back(self, site: Site) -> None:
        visitor = site.visitor()
        page = login_page(visitor)
        for _ in range(5):
            visitor.sign_in(page, "ada", "wrong")
        throttled = visitor.sign_in(page)
        assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "900")
        assert "Please wait 15 minutes" in throttled.text

    def test_F7_when_the_membership_system_is_away_the_page_says_that_the_password_may_be_right(self, site: Site) -> None:
        visitor = site.visitor()
        page = login_page(visitor)
        site.house.members.is_there = False
        away = visitor.sign_in(page)
        assert away.status_code == 503
        assert int(away.headers["Retry-After"]) > 0
        assert "Your password may well be right" in away.text
        assert "switched off" not in away.text, "what came is for the log"
        site.house.members.is_there = True
        assert visitor.sign_in(away).status_code == 303, "the request still waits, and the page is a good form"

    def test_the_password_is_never_sent_back_and_the_user_name_is(self, site: Site) -> None:
        visitor = site.visitor()
        page = visitor.sign_in(login_page(visitor), "ada", "canary-7f3a")
        assert "canary-7f3a" not in page.text
        assert 'value="ada"' in page.text

    def test_S119_the_throttle_counts_the_address_that_our_own_proxy_names(self, make_site: MakeSite) -> None:
        site = make_site(login=LoginSettings(tries_per_address=1))
        visitor = site.visitor()
        fields = hidden_fields(login_page(visitor))
        statuses: list[int] = []
        for address in ("198.51.100.1", "198.51.100.1", "198.51.100.2", "203.0.113.9, 198.51.100.1"):
            sent = {**fields, "username": f"guess{len(statuses)}", "password": "wrong"}
            statuses.append(visitor.client.post("/login", base_url=URL, data=sent, headers={"X-Forwarded-For": address}).status_code)
        assert statuses == [401, 429, 401, 429]
        assert "203.0.113.9" not in str(site.house.audit.lines), "what the browser itself wrote into the header counts for nothing"


class TestForms:
    @pytest.mark.parametrize("token", [None, "", "x", "0" * 64, "\ud800".encode("utf-8", "surrogatepass").decode("latin1"), "é"])
    def test_S120_S80_a_form_without_our_token_signs_nobody_in(self, site: Site, token: str | None) -> None:
        visitor = site.visitor()
        fields = hidden_fields(login_page(visitor))
        if token is None:
            del fields["form_token"]
        else:
            fields["form_token"] = token
        page = visitor.post("/login", {**fields, "username": "ada", "password": PASSWORD})
        assert page.status_code == 400
        assert site.house.members.tries == []
        assert visitor.sign_in(page).status_code == 303, "the page that says so is a good form"

    def test_S80_login_csrf_a_form_from_another_browser_signs_nobody_in(self, site: Site) -> None:
        attacker, victim = site.visitor(), site.visitor()
        victim.get("/login")
        fields = hidden_fields(attacker.get("/login"))
        assert victim.post("/login", {**fields, "username": "ada", "password": PASSWORD}).status_code == 400
        assert victim.post_across_sites("/login", {**fields, "username": "ada", "password": PASSWORD}).status_code == 400
        assert site.house.members.tries == []

    @pytest.mark.parametrize(("site_", "good"), [("cross-site", False), ("same-site", False), ("same-origin", True), ("none", True)])
    def test_S120_a_form_that_another_origin_sends_is_not_ours_even_with_the_token(self, site: Site, site_: str, good: bool) -> None:
        visitor = site.visitor()
        fields = {**hidden_fields(login_page(visitor)), "username": "ada", "password": PASSWORD}
        assert visitor.post("/login", fields, **{"Sec-Fetch-Site": site_}).status_code == (303 if good else 400)

    def test_S120_nobody_cancels_for_the_member(self, site: Site) -> None:
        visitor = site.visitor()
        fields = hidden_fields(login_page(visitor))
        assert visitor.post("/login/cancel", {"request": fields["request"]}).status_code == 400
        assert visitor.post("/login/cancel", {"form_token": fields["form_token"]}).status_code == 400
        assert visitor.get(visitor.sign_in(visitor.get(f"/login?request={fields['request']}")).location).status_code == 302

    def test_V54_an_empty_post_skips_nothing(self, site: Site) -> None:
        visitor = site.visitor()
        fields = hidden_fields(login_page(visitor))
        assert visitor.post("/login").status_code == 400
        assert visitor.post("/login", fields).status_code == 401
        assert "You are signed in" not in visitor.get("/").text

    def test_V58_fields_that_come_as_something_else_are_texts(self, site: Site) -> None:
        visitor = site.visitor()
        fields = hidden_fields(visitor.get("/login"))
        page = visitor.post("/login", {**fields, "username[$gt]": "", "password[$gt]": ""})
        assert page.status_code == 401

    def test_a_request_that_is_gone_is_told_on_the_page_itself(self, site: Site) -> None:
        visitor = site.visitor()
        page = login_page(visitor)
        site.house.now.time += 86400
        for response in (visitor.sign_in(page), visitor.get(f"/login?request={hidden_fields(page)['request']}")):
            assert response.status_code == 400
            assert "start again" in response.text


class TestThePage:
    def test_U8_it_names_the_client_and_the_association(self, site: Site) -> None:
        page = login_page(site.visitor())
        assert "to go on to <strong>The lms</strong>" in page.text
        assert "<title>Sign in to The lms – Example Association</title>" in page.text
        assert "go on to" not in site.visitor().get("/login").text

    def test_V18_names_are_text_whatever_is_in_them(self, make_site: MakeSite) -> None:
        site = make_site(make_client("lms", name=EVIL), login=LoginSettings(help_text=EVIL))
        visitor = site.visitor()
        page = login_page(visitor, "client=lms&hint=" + "%3Cscript%3Ealert(1)%3C/script%3E%22autofocus%20onfocus=alert(2)")
        wrong = visitor.sign_in(page, EVIL, "wrong")
        for shown in (page.text, wrong.text):
            tags = Tags(shown)
            assert tags.of("script") == []
            assert tags.of("img") == []
            assert not [name for _, attributes in tags.all for name in attributes if name.startswith("on")]
            assert "982007569" not in shown
            assert html.escape("<script>alert(1)</script>") in shown

    def test_U5_it_works_without_script(self, site: Site) -> None:
        tags = Tags(login_page(site.visitor()).text)
        assert tags.of("script") == []
        assert [(form["method"], form["action"]) for form in tags.of("form")] == [("post", "/login"), ("post", "/login/cancel")]

    def test_U3_password_managers_find_what_they_need(self, site: Site) -> None:
        inputs = {field["name"]: field for field in Tags(login_page(site.visitor()).text).of("input")}
        assert inputs["username"]["autocomplete"] == "username"
        assert (inputs["password"]["type"], inputs["password"]["autocomplete"]) == ("password", "current-password")

    def test_U2_every_field_has_its_label_and_an_error_is_tied_to_the_fields(self, site: Site) -> None:
        visitor = site.visitor()
        page = visitor.sign_in(login_page(visitor), "ada", "wrong")
        tags = Tags(page.text)
        labels = {label["for"] for label in tags.of("label")}
        fields = [field for field in tags.of("input") if field["type"] != "hidden"]
        assert {field["id"] for field in fields} == labels == {"username", "password"}
        assert [field["aria-describedby"] for field in fields] == ["error", "error"]
        assert [field["aria-invalid"] for field in fields] == ["true", "true"]
        assert any(attributes.get("id") == "error" and attributes.get("role") == "alert" for _, attributes in tags.all)
        assert tags.of("html") == [{"lang": "en"}]
        assert len(tags.of("h1")) == len(tags.of("main")) == 1
        assert page.text.count("<title>Error: ") == 1
        assert len([field for field in fields if "autofocus" in field]) == 1

    def test_F7_without_its_database_the_page_says_so_before_a_password_is_typed(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def gone() -> str:
            raise StoreUnavailable("canary")

        monkeypatch.setattr(site.house.store, "ping", gone)
        page = site.visitor().get("/login")
        fields = [field for field in Tags(page.text).of("input") if field["type"] != "hidden"]
        assert (page.status_code, page.headers["Retry-After"]) == (503, "10")
        assert [field["name"] for field in fields] == ["username", "password"], "it may be back when the form is sent"
        assert [field.get("aria-invalid") for field in fields] == [None, None], "the member did nothing wrong"
        assert StoreUnavailable("").message in page.text
        assert "canary" not in page.text
        monkeypatch.undo()
        assert site.visitor().get("/login").status_code == 200

    def test_U1_help_is_offered_where_it_is_configured(self, make_site: MakeSite) -> None:
        site = make_site(login=LoginSettings(forgot_password_url="https://assoc.example/forgot", help_text="Call 555-0100."))
        page = site.visitor().get("/login").text
        assert '<a href="https://assoc.example/forgot">Forgot your password?</a>' in page
        assert "Call 555-0100." in page
        assert "Create an account" not in page

    def test_S118_nothing_is_loaded_from_elsewhere(self, site: Site) -> None:
        tags = Tags(login_page(site.visitor()).text)
        loaded = [each.get("href", each.get("src")) for name in ("link", "img", "script", "iframe") for each in tags.of(name)]
        assert loaded == ["data:,", "/static/site.css"]

    def test_G_U3_it_is_small(self, site: Site) -> None:
        page, style = login_page(site.visitor()), site.visitor().get("/static/site.css")
        assert len(page.data) + len(style.data) < 30_000


class TestThePostPage:
    """An answer that the browser posts to the client."""

    def test_S68_V18_it_works_with_a_button_and_its_script_has_the_nonce(self, site: Site) -> None:
        page = site.signed_in().get("/echo/signon?client=lms&post=1")
        tags = Tags(page.text)
        assert [(form["action"], form["method"]) for form in tags.of("form")] == [("https://lms.example/back", "post")]
        assert len(tags.of("button")) == 1
        (script,) = tags.of("script")
        assert f"script-src 'nonce-{script['nonce']}'" in page.headers["Content-Security-Policy"]

    def test_V18_what_it_carries_is_text(self, site: Site) -> None:
        with site.app.test_request_context("/"):
            evil = site.gateway.send(FormPost(f"https://lms.example/?x={EVIL}", {'RelayState"><script>': EVIL}))
        tags = Tags(evil.get_data(as_text=True))
        assert len(tags.of("script")) == 1, "our own"
        assert tags.of("form")[0]["action"] == f"https://lms.example/?x={EVIL}"
        assert tags.of("input")[0]["value"] == EVIL

    def test_V41_it_never_posts_to_a_script(self, site: Site) -> None:
        for url in ("javascript:alert(1)", "data:text/html,x", " https://lms.example"):
            with site.app.test_request_context("/"), pytest.raises(AssertionError):
                site.gateway.send(FormPost(url, {}))
