"""/logout: asked first, ended once, and the browser taken to whoever must hear of it."""

from __future__ import annotations

import pytest

from idp.web.page import allow_frames, protect
from tests.sso.echo import make_client

from .conftest import MakeSite
from .site import URL, Site, Visitor, hidden_fields

EVIL = "<script>alert(1)</script>\"'"


def log_out(visitor: Visitor) -> str:
    """Where the browser is sent after "Sign out everywhere"."""
    response = visitor.post("/logout", hidden_fields(visitor.get("/logout")))
    assert response.status_code == 303
    return response.location


def is_signed_in(visitor: Visitor) -> bool:
    return "You are signed in" in visitor.get("/").text


class TestAsking:
    def test_S50_V37_a_get_ends_nothing(self, site: Site) -> None:
        visitor = site.signed_in("lms")
        page = visitor.get("/logout")
        assert "You are signed in as <strong>ada</strong>" in page.text
        assert "<li>The lms</li>" in page.text
        assert is_signed_in(visitor)

    @pytest.mark.parametrize("token", [{}, {"form_token": ""}, {"form_token": "0" * 64}])
    def test_S120_V37_a_form_without_our_token_ends_nothing(self, site: Site, token: dict[str, str]) -> None:
        visitor = site.signed_in()
        assert visitor.post("/logout", token).status_code == 400
        assert is_signed_in(visitor)

    def test_S120_the_sign_in_forms_token_does_not_sign_out(self, site: Site) -> None:
        visitor = site.visitor()
        token = hidden_fields(visitor.get("/login"))["form_token"]
        visitor.sign_in(visitor.get("/login"))
        assert visitor.post("/logout", {"form_token": token}).status_code == 400

    def test_S120_a_form_that_another_site_sends_ends_nothing(self, site: Site) -> None:
        visitor = site.signed_in()
        fields = hidden_fields(visitor.get("/logout"))
        assert visitor.post("/logout", fields, **{"Sec-Fetch-Site": "cross-site"}).status_code == 400
        visitor.post_across_sites("/logout", fields)
        assert is_signed_in(visitor)

    def test_who_is_not_signed_in_is_told_so(self, site: Site) -> None:
        visitor = site.visitor()
        assert "You are signed out" in visitor.get("/logout").text
        assert visitor.post("/logout").location == f"{URL}/logout"


class TestEnding:
    def test_the_session_ends_its_cookies_go_and_the_clients_hear(self, site: Site) -> None:
        visitor = site.signed_in("lms")
        stolen = visitor.cookie("__Host-idp_session")
        page = visitor.get(log_out(visitor))
        assert "You are signed out" in page.text
        assert "signed out</span>" in page.text
        assert visitor.cookie("__Host-idp_session") == ""
        assert site.house.letterbox.heard() == ["lms"]
        visitor.client.set_cookie("__Host-idp_session", stolen, domain="login.assoc.example")
        assert not is_signed_in(visitor)

    def test_U13_the_page_claims_nothing_that_is_not_proven(self, make_site: MakeSite) -> None:
        site = make_site(make_client("dead"), make_client("deaf", tell="never"))
        site.house.letterbox.dead.add("https://dead.example/out")
        visitor = site.signed_in("dead", "deaf")
        page = visitor.get(log_out(visitor)).text
        assert "could not be reached" in page
        assert "keeps its own sign-in until it runs out" in page
        assert "close the browser" in page
        assert "signed out</span>" not in page

    def test_a_double_click_ends_once(self, site: Site) -> None:
        visitor = site.signed_in("lms")
        fields = hidden_fields(visitor.get("/logout"))
        visitor.post("/logout", fields)
        assert visitor.post("/logout", fields).location == f"{URL}/logout"
        assert site.house.letterbox.heard() == ["lms"]

    def test_a_cookie_that_a_client_shares_is_cleared(self, make_site: MakeSite) -> None:
        site = make_site(make_client("portal", tell="cookie"), make_client("both", tell="both"))
        visitor = site.signed_in("portal", "both")
        response = visitor.post("/logout", hidden_fields(visitor.get("/logout")))
        (cleared, _) = [line for line in response.headers.getlist("Set-Cookie") if line.startswith("shared=")]
        assert {"Domain=assoc.example", "Max-Age=0", "Path=/", "Secure", "HttpOnly"} <= set(cleared.split("; "))

    def test_S78_a_cookie_that_a_client_shares_is_set_on_the_parent_domain_for_its_short_life(self, site: Site) -> None:
        answer = site.signed_in().get("/echo/signon?client=lms&cookie=1")
        (shared,) = [line for line in answer.headers.getlist("Set-Cookie") if line.startswith("shared=")]
        assert {"Domain=assoc.example", "Max-Age=30", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(shared.split("; "))

    def test_the_client_that_began_gets_its_answer_at_the_end(self, site: Site) -> None:
        visitor = site.signed_in("lms", "wiki")
        session = site.house.sessions.of_subject("101")[0].id
        visit = visitor.get(visitor.get(f"/echo/logout?client=lms&session={session}").location)
        assert visit.location == f"https://wiki.example/out?sid={session}"
        back = visitor.get(f"/echo/reply?client=wiki&reply_to=reply-wiki-{session}")
        assert visitor.get(back.location).location == "https://lms.example/bye?complete=true"
        assert site.house.letterbox.heard() == []
        assert not is_signed_in(visitor)

    def test_who_ends_a_session_that_has_ended_is_answered_all_the_same(self, site: Site) -> None:
        visitor = site.signed_in("lms")
        session = site.house.sessions.of_subject("101")[0].id
        visitor.get(f"/echo/logout?client=lms&session={session}")
        assert visitor.get(f"/echo/logout?client=lms&session={session}").location == "https://lms.example/bye?complete=true"


class TestVisiting:
    def test_the_browser_goes_to_each_client_once_and_comes_to_the_page_in_the_end(self, make_site: MakeSite) -> None:
        site = make_site(make_client("one", tell="front"), make_client("two", tell="front"))
        visitor = site.signed_in("one", "two")
        session = site.house.sessions.of_subject("101")[0].id
        run = log_out(visitor)
        assert visitor.get(run).location == f"https://one.example/out?sid={session}"
        back = visitor.get(f"/echo/reply?client=one&reply_to=reply-one-{session}").location
        assert back == run
        assert visitor.get(back).location == f"https://two.example/out?sid={session}"
        page = visitor.get(run).text
        assert "signed out</span>" in page
        assert "asked, no answer yet" in page

    def test_S47_the_way_back_from_a_dead_client_goes_on_with_the_next(self, make_site: MakeSite) -> None:
        site = make_site(make_client("dead", tell="front"), make_client("two", tell="front"))
        visitor = site.signed_in("dead", "two")
        run = log_out(visitor)
        visitor.get(run)
        assert visitor.get(run).location.startswith("https://two.example/")

    def test_frames_are_shown_once_and_then_the_visits_begin(self, make_site: MakeSite) -> None:
        site = make_site(make_client("framed", tell="frame"), make_client("wiki", tell="front"))
        visitor = site.signed_in("framed", "wiki")
        session = site.house.sessions.of_subject("101")[0].id
        run = log_out(visitor)
        page = visitor.get(run)
        assert f'<iframe src="https://framed.example/out?sid={session}"' in page.text
        assert "frame-src https://framed.example;" in page.headers["Content-Security-Policy"]
        assert page.headers["Refresh"] == f"1; url={run}"
        assert f'href="{run}"' in page.text, "without patience, or where Refresh is off"
        assert visitor.get(run).location.startswith("https://wiki.example/")
        visitor.get(f"/echo/reply?client=wiki&reply_to=reply-wiki-{session}")
        last = visitor.get(run)
        assert "<iframe" not in last.text
        assert "asked, no answer yet" in last.text

    @pytest.mark.parametrize("host", ["evil.example;script-src 'unsafe-inline'", "evil.example *", "evil.example,x"])
    def test_a_frames_address_smuggles_nothing_into_the_policy(self, site: Site, host: str) -> None:
        with site.app.test_request_context("/"):
            allow_frames({f"https://{host}", "https://good.example"})
            policy = protect(site.app.make_response(""), secure=True).headers["Content-Security-Policy"]
        assert "frame-src https://good.example;" in policy
        assert "evil" not in policy

    def test_only_the_browser_that_signed_out_sees_where_it_was_signed_in(self, site: Site) -> None:
        """A client learns the run's id when it answers, and could go there from its own server."""
        visitor = site.signed_in("wiki", "lms")
        run = log_out(visitor)
        for stranger in (site.visitor(), site.signed_in()):
            response = stranger.get(run)
            assert response.location == f"{URL}/logout"
            assert "wiki" not in response.text
        assert visitor.get(run).location.startswith("https://wiki.example/")

    def test_a_run_that_is_over_leads_to_the_page(self, site: Site) -> None:
        visitor = site.signed_in("wiki")
        run = log_out(visitor)
        site.house.now.time += 12 * 3600
        assert visitor.get(run).location == f"{URL}/logout"
        assert visitor.get("/logout/nonsense").location == f"{URL}/logout"

    def test_V18_names_are_text_whatever_is_in_them(self, make_site: MakeSite) -> None:
        site = make_site(make_client("lms", name=EVIL))
        visitor = site.signed_in("lms")
        asked = visitor.get("/logout").text
        ended = visitor.get(log_out(visitor)).text
        assert "<script" not in asked + ended
        assert "&lt;script&gt;" in asked
        assert "&lt;script&gt;" in ended

    def test_a_client_that_was_removed_is_shown_by_its_id(self, site: Site) -> None:
        site.house.clients.add("passing", {"tell": "back"})
        visitor = site.signed_in("passing")
        fields = hidden_fields(visitor.get("/logout"))
        site.house.clients.remove("passing")
        assert "<span>passing</span>" in visitor.get(visitor.post("/logout", fields).location).text
