"""/logout for a browser that comes back: after a double click, a lost answer, or an end that somebody else made."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from werkzeug.test import TestResponse

from idp.sso.notice import Outcome
from tests.sso.echo import make_client

from .conftest import MakeSite
from .site import URL, Site, Visitor, hidden_fields


class Lost(BaseException):
    """kill -9, as the worker sees it."""


def twin(visitor: Visitor) -> Visitor:
    """The same browser, with the cookies of this moment: what comes to the one is lost to the other."""
    other = visitor.site.visitor()
    for name, value in visitor.cookies().items():
        other.client.set_cookie(name, value, domain="login.assoc.example", secure=True)
    return other


def session_of(site: Site) -> str:
    return site.house.sessions.of_subject("101")[0].id


class TestDoubleClick:
    def test_F27_the_second_click_goes_on_with_the_first_run_when_its_answer_was_lost(self, site: Site) -> None:
        visitor = site.signed_in("lms", "wiki")
        fields, session = hidden_fields(visitor.get("/logout")), session_of(site)
        lost = twin(visitor)
        first = lost.post("/logout", fields).location
        assert visitor.post("/logout", fields).location == f"{URL}/logout"
        second = visitor.get("/logout").location
        assert second == first
        assert visitor.get(second).location == f"https://wiki.example/out?sid={session}"
        assert site.house.letterbox.heard() == ["lms"]

    def test_F27_either_answer_will_do_whichever_comes_last(self, site: Site) -> None:
        visitor = site.signed_in("wiki")
        fields, session = hidden_fields(visitor.get("/logout")), session_of(site)
        other = twin(visitor)
        first = visitor.post("/logout", fields).location
        other.post("/logout", fields)
        assert other.get("/logout").location == first
        assert visitor.get(first).location == f"https://wiki.example/out?sid={session}", "the first answer's cookie is still good"

    def test_F27_the_second_click_finds_it_when_the_cookies_of_the_first_came_and_its_page_did_not(self, site: Site) -> None:
        visitor = site.signed_in("wiki")
        fields, session = hidden_fields(visitor.get("/logout")), session_of(site)
        visitor.post("/logout", fields)
        visitor.post("/logout", fields)
        further = visitor.get("/logout").location
        assert visitor.get(further).location == f"https://wiki.example/out?sid={session}"

    def test_F27_while_the_applications_are_being_told_the_second_click_gets_a_page_that_says_so(self, site: Site) -> None:
        visitor = site.signed_in("lms")
        fields = hidden_fields(visitor.get("/logout"))
        pages: list[TestResponse] = []

        def meanwhile(notices: object, *, within: float) -> list[Outcome]:
            second = twin(visitor)
            with ThreadPoolExecutor(1) as pool:  # in its own thread, as a request is
                pages.append(pool.submit(second.post, "/logout", fields).result())
                pages.append(pool.submit(second.get, "/logout").result())
            return [Outcome(True)]

        site.house.letterbox.deliver = meanwhile  # type: ignore[method-assign]
        ended = twin(visitor).post("/logout", fields).location
        assert pages[0].location == f"{URL}/logout"
        assert pages[1].headers["Refresh"] == f"1; url={URL}/logout"
        assert "We are telling your applications" in pages[1].text
        assert visitor.get("/logout").location == ended
        assert "signed out</span>" in visitor.get(ended).text

    def test_F27_of_two_clicks_at_the_same_moment_the_loser_keeps_the_cookie_by_which_the_run_is_found(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        visitor = site.signed_in("wiki")
        fields, end = hidden_fields(visitor.get("/logout")), site.house.logout.end
        monkeypatch.setattr(site.house.logout, "end", lambda session_id, **more: [end(session_id, **more), None][1])
        assert visitor.post("/logout", fields).location == f"{URL}/logout"
        assert visitor.get(visitor.get("/logout").location).location.startswith("https://wiki.example/out")

    def test_a_run_that_was_given_to_a_lost_answer_comes_back_to_the_browser_that_had_the_session(self, site: Site) -> None:
        visitor = site.signed_in("wiki")
        run = site.house.logout.end(session_of(site), reason="client")
        assert run is not None
        site.house.logout.bind(run, "what a cross-site request was answered with")
        assert visitor.get(visitor.get("/logout").location).location.startswith("https://wiki.example/out")

    def test_a_run_is_not_found_by_a_browser_that_never_had_the_session(self, site: Site) -> None:
        visitor = site.signed_in("wiki")
        visitor.post("/logout", hidden_fields(visitor.get("/logout")))
        for stranger in (site.visitor(), site.signed_in()):
            assert "wiki" not in stranger.get("/logout").text
        forger = site.visitor()
        forger.client.set_cookie("__Host-idp_session", f"{site.house.store.list('session')[0].key}.guessed", domain="login.assoc.example")
        assert "You are signed out" in forger.get("/logout").text

    def test_after_two_minutes_a_lost_answer_is_not_waited_for(self, site: Site) -> None:
        visitor = site.signed_in("lms")
        twin(visitor).post("/logout", hidden_fields(visitor.get("/logout")))
        site.house.now.time += 120
        assert "You are signed out" in visitor.get("/logout").text


class TestEndedElsewhere:
    """By an operator, by expiry, for a disabled member: nobody had the browser at hand."""

    @pytest.mark.parametrize("path", ["/", "/login"])
    def test_the_browser_that_comes_back_is_offered_the_visits_that_are_left(self, site: Site, path: str) -> None:
        visitor = site.signed_in("lms", "wiki")
        site.house.logout.end(session_of(site), reason="operator")
        page = visitor.get(path).text
        assert "The wiki could not be told without your browser" in page
        assert "The lms" not in page
        site.house.now.time += 3600
        further = visitor.get("/logout").location
        assert visitor.get(further).location.startswith("https://wiki.example/out")
        assert "could not be told" not in visitor.get(path).text

    def test_where_nothing_is_left_nothing_is_said(self, site: Site) -> None:
        visitor = site.signed_in("lms")
        site.house.logout.end(session_of(site), reason="operator")
        assert "could not be told" not in visitor.get("/").text

    def test_who_signs_in_again_is_not_bothered_any_more(self, site: Site) -> None:
        visitor = site.signed_in("wiki")
        site.house.logout.end(session_of(site), reason="operator")
        assert visitor.sign_in(visitor.get("/login")).status_code == 303
        assert "You are signed in" in visitor.get("/").text
        assert "could not be told" not in visitor.get("/").text

    def test_a_session_whose_worker_was_killed_is_shown_when_another_has_finished(self, site: Site) -> None:
        visitor = site.signed_in("lms", "wiki")

        def die(notices: object, *, within: float) -> list[Outcome]:
            raise Lost

        kept, site.house.letterbox.deliver = site.house.letterbox.deliver, die  # type: ignore[method-assign]
        with pytest.raises(Lost):
            site.house.logout.end(session_of(site), reason="member")
        site.house.letterbox.deliver = kept  # type: ignore[method-assign]
        assert "Refresh" in visitor.get("/logout").headers
        site.house.now.time += 30
        site.house.logout.finish_left()
        assert visitor.get(visitor.get("/logout").location).location.startswith("https://wiki.example/out")


class TestRows:
    """U13: a row for each application, and no more than is known."""

    def test_what_was_not_reached_is_tried_again_and_the_page_says_until_when_and_can_be_looked_at_again(self, site: Site) -> None:
        site.house.letterbox.dead.add("https://lms.example/out")
        visitor = site.signed_in("lms")
        run = visitor.post("/logout", hidden_fields(visitor.get("/logout"))).location
        page = visitor.get(run).text
        assert "could not be reached; we keep trying until <time datetime=" in page
        assert f'<a href="{run}">Look again</a>' in page
        site.house.letterbox.dead.clear()
        site.house.now.time += 60
        site.house.logout.notices.settle()
        page = visitor.get(run).text
        assert "signed out</span>" in page
        assert "Look again" not in page

    def test_a_frame_is_never_called_done_and_has_all_the_time_it_needs_where_the_browser_stays(self, make_site: MakeSite) -> None:
        site = make_site(make_client("framed", tell="frame"))
        visitor = site.signed_in("framed")
        run = visitor.post("/logout", hidden_fields(visitor.get("/logout"))).location
        page = visitor.get(run)
        assert "<iframe src=" in page.text
        assert "Refresh" not in page.headers
        assert "frame-src https://framed.example;" in page.headers["Content-Security-Policy"]
        assert "asked, no answer yet" in page.text
        assert "<iframe" not in visitor.get(run).text, "nobody is asked twice"

    def test_a_cookie_that_was_cleared_proves_nothing(self, make_site: MakeSite) -> None:
        site = make_site(make_client("portal", tell="cookie"))
        visitor = site.signed_in("portal")
        page = visitor.get(visitor.post("/logout", hidden_fields(visitor.get("/logout"))).location).text
        assert "its cookie was removed; you may still be signed in there" in page
        assert "signed out</span>" not in page
        assert "close the browser" in page

    def test_an_application_that_refuses_is_not_one_that_could_not_be_reached(self, site: Site) -> None:
        visitor = site.signed_in("wiki")
        session = session_of(site)
        run = visitor.post("/logout", hidden_fields(visitor.get("/logout"))).location
        visitor.get(run)
        site.house.logout.replied(f"reply-wiki-{session}", "wiki", done=False)
        assert "said that it could not sign you out" in visitor.get(run).text

    def test_who_was_told_when_our_session_ends_is_shown_with_that(self, make_site: MakeSite) -> None:
        site = make_site(make_client("deaf", tell="never"))
        site.house.echo.bounds_sessions = True  # type: ignore[attr-defined]
        visitor = site.signed_in("deaf")
        page = visitor.get(visitor.post("/logout", hidden_fields(visitor.get("/logout"))).location).text
        assert "keeps its own sign-in; it was told to end it by <time datetime=" in page
