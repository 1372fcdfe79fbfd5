"""imis-redirect: iMIS is the sign-in page, and a posted ticket says who came. It is no proof of where it was posted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from .abroad import LEAVING, REDIRECT, URL, Abroad, Form, Seen, Visitor, abroad, buttons, forms, single, with_staff

BUTTON = "Sign in with your Example Association account"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Abroad]:
    with abroad(tmp_path, single(REDIRECT + LEAVING)) as built:
        yield built


@pytest.fixture
def visitor(world: Abroad) -> Visitor:
    return world.visitor()


def is_in(seen: Seen, client: str = "lms") -> bool:
    return seen.host == f"{client}.example.com" and "token" in parse_qs(urlsplit(seen.url).query)


class TestTheWayThrough:
    def test_a_vendor_leads_to_imis_and_back_into_the_vendor(self, world: Abroad, visitor: Visitor) -> None:
        page = visitor.begins()
        assert page.url.startswith(f"{world.imis.url}/SignIn?")
        assert is_in(visitor.types_at_imis(page))
        assert visitor.is_signed_in()
        assert [line["subject"] for line in world.audit.of("login.ok")] == ["1001"]

    def test_who_is_signed_in_at_imis_types_nothing(self, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.opens(f"{visitor.world.imis.url}/SignIn"))
        assert is_in(visitor.begins())
        assert is_in(visitor.begins("wiki"), "wiki")

    def test_our_own_sign_in_page_leads_there_too_and_ends_at_the_start_page(self, visitor: Visitor) -> None:
        assert "You are signed in" in visitor.types_at_imis(visitor.opens(f"{URL}/login")).text

    def test_a_wrong_password_is_between_the_member_and_imis(self, world: Abroad, visitor: Visitor) -> None:
        again = visitor.types_at_imis(visitor.begins(), password="wrong")
        assert "incorrect" in again.text
        assert is_in(visitor.types_at_imis(again))

    def test_no_password_is_taken_here(self, world: Abroad, visitor: Visitor) -> None:
        visitor.begins()
        page = visitor.posts("/login", {"username": "ada", "password": "demo"})
        assert 'name="password"' not in page.text
        assert 'role="alert"' not in page.text
        assert not visitor.is_signed_in()
        assert world.imis.password_checks("ada") == 0

    def test_where_it_goes_on_is_never_in_an_address_that_goes_to_imis(self, world: Abroad, visitor: Visitor) -> None:
        asked = visitor.asks(f"{URL}/token/signon?client=lms")
        assert visitor.asks(asked.headers["Location"]).headers["Location"] == f"{world.imis.url}/idp.aspx"


class TestTickets:
    def test_S80_login_csrf_a_ticket_that_another_page_posts_is_refused(self, world: Abroad, visitor: Visitor) -> None:
        visitor.begins()
        page = visitor.is_posted(visitor.ticket("ben"), origin="https://evil.example")
        assert page.status == 403
        assert world.audit.last["cause"] == "imis.foreign_origin"
        assert world.audit.last["received"] == "https://evil.example"
        assert not visitor.is_signed_in()

    @pytest.mark.parametrize("origin", ["", "null"])
    @pytest.mark.parametrize("waits", [True, False])
    def test_S80_a_ticket_from_who_knows_where_signs_nobody_in_unasked(self, visitor: Visitor, origin: str, waits: bool) -> None:
        if waits:
            visitor.begins()
        page = visitor.is_posted(visitor.ticket("ben"), origin=origin)
        assert "Is this you?" in page.text
        assert "Okafor" in page.text
        assert not visitor.is_signed_in()

    def test_S80_a_ticket_in_a_browser_that_was_not_sent_to_imis_signs_nobody_in_unasked(self, visitor: Visitor) -> None:
        assert "Is this you?" in visitor.is_posted(visitor.ticket("ben")).text
        assert not visitor.is_signed_in()

    def test_S120_only_the_browser_that_was_asked_can_say_yes(self, world: Abroad, visitor: Visitor) -> None:
        page = visitor.is_posted(visitor.ticket("ben"))
        other = world.visitor()
        assert other.submits(page, "/imis/confirm").status == 400
        assert not other.is_signed_in()
        held = forms(page.text)[0].fields["held"]
        assert visitor.posts("/imis/confirm", {"held": held}).status == 400, "no other page can send it"
        visitor.submits(page, "/imis/confirm")
        assert visitor.is_signed_in()
        assert visitor.submits(page, "/imis/confirm").status == 400, "once"

    def test_who_begins_at_imis_says_yes_and_is_in(self, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.opens(f"{visitor.world.imis.url}/SignIn"))
        page = visitor.opens(f"{visitor.world.imis.url}/idp.aspx")
        assert "Yes, go on as Ada Marlowe" in page.text
        assert "You are signed in" in visitor.submits(page, "/imis/confirm").text
        assert "You are signed in" in visitor.opens(f"{visitor.world.imis.url}/idp.aspx").text, "nobody is asked twice"

    def test_a_second_form_that_another_site_sends_is_refused(self, visitor: Visitor) -> None:
        visitor.begins()
        fields = {"refresh_token": visitor.ticket("ben"), "posted_by": "imis"}
        answer = visitor.client.post("/imis/enter", base_url=URL, data=fields, headers={"Sec-Fetch-Site": "same-site"})
        assert answer.status_code == 403
        assert not visitor.is_signed_in()

    def test_a_ticket_is_good_once(self, world: Abroad, visitor: Visitor) -> None:
        ticket = visitor.ticket()
        visitor.begins()
        assert is_in(visitor.is_posted(ticket))
        other = world.visitor()
        other.begins()
        page = other.is_posted(ticket)
        assert page.status == 401
        assert BUTTON in buttons(page)
        assert not other.is_signed_in()

    def test_the_back_button_posts_the_ticket_again_and_nothing_is_lost(self, visitor: Visitor) -> None:
        ticket = visitor.ticket()
        visitor.begins()
        visitor.is_posted(ticket)
        assert "You are signed in" in visitor.is_posted(ticket).text

    @pytest.mark.parametrize("ticket", ["made-up", "x" * 9000, "\r\n", "ü", " "])
    def test_a_ticket_that_imis_does_not_know_leads_to_a_page_with_a_reference_and_a_way_on(
        self, world: Abroad, visitor: Visitor, ticket: str
    ) -> None:
        visitor.begins()
        page = visitor.is_posted(ticket)
        assert page.status == 401
        assert world.causes() == ["imis.unnamed"]
        assert world.audit.of("login.refused")[0]["reference"] in page.text
        assert visitor.opens(buttons(page)[BUTTON]).url.startswith(f"{world.imis.url}/SignIn?")

    def test_G_S10_no_ticket_stands_in_an_event_or_in_the_store(self, world: Abroad, visitor: Visitor) -> None:
        tickets = [visitor.ticket(), "canary-made-up"]
        for ticket in tickets:
            visitor.begins()
            visitor.is_posted(ticket)
        visitor.is_posted(visitor.ticket("ben"), origin="https://evil.example")
        kept = str([each.record for kind in ("entrance", "pending", "replay", "session", "throttle") for each in world.store.list(kind)])
        assert not [ticket for ticket in tickets if ticket in kept + str(world.audit.lines)]

    def test_S82_one_who_guesses_tickets_is_stopped(self, world: Abroad, visitor: Visitor) -> None:
        visitor.begins()
        statuses = [visitor.is_posted(f"guess-{number}").status for number in range(101)]
        assert statuses == [401] * 100 + [429]


class TestProbes:
    """With "Skip server endpoint validation" off, iMIS may call the address itself first (facts on iMIS, 3.3, INFERRED)."""

    def test_whoever_tries_the_address_gets_a_200(self, world: Abroad) -> None:
        probe = world.app.test_client(use_cookies=False)
        answers = [
            probe.get("/imis/callback", base_url=URL),
            probe.head("/imis/callback", base_url=URL),
            probe.post("/imis/callback", base_url=URL),
        ]
        answers.append(probe.post("/imis/callback", base_url=URL, data=b"\xff{", content_type="application/json"))
        assert [answer.status_code for answer in answers] == [200] * 4
        assert not [answer for answer in answers if answer.headers.getlist("Set-Cookie")]

    def test_a_ticket_that_imis_itself_shows_first_is_still_good_in_the_browser(self, world: Abroad, visitor: Visitor) -> None:
        ticket = visitor.ticket()
        visitor.begins()
        probe = world.app.test_client(use_cookies=False)
        assert probe.post("/imis/callback", base_url=URL, data={"refresh_token": ticket}).status_code == 200
        assert is_in(visitor.is_posted(ticket))

    def test_a_ticket_in_an_address_is_not_read(self, world: Abroad, visitor: Visitor) -> None:
        visitor.begins()
        page = visitor.opens(f"{URL}/imis/callback?refresh_token={visitor.ticket()}")
        assert (page.status, "refresh_token" in page.text) == (200, False)

    @pytest.mark.parametrize("path", ["/imis/callback/nobody", "/imis/start/nobody", "/imis/back"])
    def test_there_is_no_other_door(self, world: Abroad, path: str) -> None:
        assert world.app.test_client().get(path, base_url=URL).status_code == 404


class TestGuests:
    def test_a_guest_is_nobody_and_goes_round_in_no_circle(self, tmp_path: Path) -> None:
        with abroad(tmp_path, single(REDIRECT), guest_mode=True) as world:
            visitor = world.visitor()
            page = visitor.begins()
            assert page.status == 401
            assert world.causes() == ["imis.unnamed"]
            again = visitor.opens(buttons(page)[BUTTON])
            assert again.status == 401, "he went there and came back, once for each press"
            assert not visitor.is_signed_in()


class TestSeveralTabs:
    def test_V26_two_tabs_each_come_to_where_they_wanted(self, visitor: Visitor) -> None:
        first, second = visitor.begins("lms"), visitor.begins("wiki")
        page = visitor.types_at_imis(first)
        assert page.path == "/imis/onward"
        choices = buttons(page)
        assert list(choices) == ["Wiki", "Learning center"]
        assert is_in(visitor.opens(choices["Learning center"]))
        assert is_in(visitor.types_at_imis(second), "wiki")

    def test_who_begins_again_at_the_same_vendor_is_not_asked_which(self, visitor: Visitor) -> None:
        visitor.begins()
        assert is_in(visitor.types_at_imis(visitor.begins()))

    def test_V48_a_request_of_another_browser_is_not_gone_on_with(self, world: Abroad, visitor: Visitor) -> None:
        asked = visitor.asks(f"{URL}/token/signon?client=lms").headers["Location"]
        request = parse_qs(urlsplit(asked).query)["request"][0]
        for path in (f"/login?request={request}", f"/imis/start?request={request}"):
            assert world.visitor().opens(URL + path).status == 400

    def test_a_page_that_is_opened_again_does_not_go_to_imis_by_itself(self, world: Abroad, visitor: Visitor) -> None:
        waiting = visitor.asks(f"{URL}/token/signon?client=lms").headers["Location"]
        assert visitor.opens(waiting).url.startswith(world.imis.url)
        page = visitor.opens(waiting)
        assert page.url == waiting
        assert "signed_in=0" in visitor.submits(page, "/login/cancel").url
        visitor.begins("wiki")

    def test_another_member_ends_the_first_ones_session_and_stays_signed_in_at_imis(self, world: Abroad, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.begins())
        visitor.imis_cookie = ""
        assert is_in(visitor.types_at_imis(visitor.begins("wiki", fresh="1"), "ben"), "wiki")
        assert [line["cause"] for line in world.audit.of("logout.ended")] == ["another_member"]
        assert visitor.is_signed_in_at_imis()


class TestFreshness:
    def test_a_fresh_request_goes_by_imiss_sign_out_and_the_member_types_again(self, world: Abroad, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.begins())
        page = visitor.begins("wiki", fresh="1")
        assert page.url.startswith(f"{world.imis.url}/SignIn?"), "no ticket for the sign-in that was there"
        assert is_in(visitor.types_at_imis(page), "wiki")

    def test_auth_time_does_not_lie_a_sign_in_that_iMIS_had_already_is_not_dated(self, world: Abroad, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.opens(f"{world.imis.url}/SignIn"))
        visitor.begins()
        assert [session.dated for session in world.parts.sessions.list()] == [False]
        visitor.types_at_imis(visitor.begins("wiki", fresh="1"))
        assert [session.dated for session in world.parts.sessions.list()] == [True]

    def test_the_way_back_from_the_sign_out_is_good_once_and_in_one_browser(self, world: Abroad, visitor: Visitor) -> None:
        asked = visitor.asks(f"{URL}/token/signon?client=lms&fresh=1")
        out = visitor.asks(asked.headers["Location"]).headers["Location"]
        back = parse_qs(urlsplit(out).query)["returnurl"][0]
        assert back.startswith(f"{URL}/imis/left/")
        assert world.visitor().asks(back).headers["Location"] == f"{URL}/login"
        assert visitor.asks(back).headers["Location"] == f"{world.imis.url}/idp.aspx"
        assert visitor.asks(back).headers["Location"] == f"{URL}/login"

    def test_who_leaves_out_the_sign_out_has_no_fresh_sign_in(self, world: Abroad, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.opens(f"{world.imis.url}/SignIn"))
        asked = visitor.asks(f"{URL}/token/signon?client=lms&fresh=1")
        visitor.asks(asked.headers["Location"])
        page = visitor.opens(f"{world.imis.url}/idp.aspx")
        assert page.path == "/login"
        assert BUTTON in buttons(page)

    def test_without_a_known_sign_out_freshness_is_refused_and_said_so(self, tmp_path: Path) -> None:
        with abroad(tmp_path, single(REDIRECT)) as world:
            told = parse_qs(urlsplit(world.visitor().begins(fresh="1").url).query)
            assert (told["signed_in"], told["error"]) == (["0"], ["imis.fresh_impossible"])


class TestBadDays:
    def test_F12_imis_down_leads_to_a_page_that_does_not_speak_of_passwords(self, world: Abroad, visitor: Visitor) -> None:
        ticket = visitor.ticket()
        visitor.begins()
        world.imis.order("status", path="/token", status=500)
        page = visitor.is_posted(ticket)
        world.imis.order("none")
        assert page.status == 503
        assert "password" not in page.text.casefold()
        assert int(page.headers["Retry-After"]) > 0
        assert world.causes() == ["directory.unavailable"]
        assert BUTTON in buttons(page)

    def test_a_disabled_login_is_nobodys(self, world: Abroad, visitor: Visitor) -> None:
        ticket = visitor.ticket()
        visitor.begins()
        world.imis.change("1001", active=False)
        assert visitor.is_posted(ticket).status == 401


class TestSeveralDirectories:
    @pytest.fixture
    def world(self, tmp_path: Path) -> Iterator[Abroad]:
        with abroad(tmp_path, with_staff(REDIRECT + LEAVING + 'account_name = "member"\n')) as built:
            yield built

    def test_members_have_a_button_and_staff_a_form(self, world: Abroad, visitor: Visitor) -> None:
        page = visitor.begins()
        assert page.path == "/login"
        assert is_in(visitor.types_at_imis(visitor.opens(buttons(page)["Sign in with your member account"])))
        assert [session.subject_id for session in world.parts.sessions.list()] == ["1001"]
        other = world.visitor()
        assert is_in(other.submits(other.begins("wiki"), "/login", username="stella", password="demo"), "wiki")
        assert {session.subject_id for session in world.parts.sessions.list()} == {"1001", "staff:1"}

    def test_a_password_that_is_typed_here_is_not_shown_to_the_members_imis(self, world: Abroad, visitor: Visitor) -> None:
        page = visitor.submits(visitor.begins(), "/login", username="ada", password="demo")
        assert page.status == 401
        assert world.imis.password_checks("ada") == 0

    def test_staff_who_sign_out_are_not_sent_to_the_members_imis(self, world: Abroad, visitor: Visitor) -> None:
        visitor.submits(visitor.begins(), "/login", username="stella", password="demo")
        page = visitor.signs_out()
        assert "You are signed out" in page.text
        assert world.imis.requests("GET /asicommon/controls/shared/formsauthentication/logout.aspx") == 0
        assert "member account" not in page.text


class TestSigningOut:
    def test_imis_is_signed_out_too_and_the_page_says_so(self, world: Abroad, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.begins())
        assert visitor.is_signed_in_at_imis()
        page = visitor.signs_out()
        assert page.path.startswith("/logout/")
        assert "Your Example Association account" in page.text
        assert "signed out</span>" in page.text
        assert not visitor.is_signed_in_at_imis()
        assert visitor.begins().url.startswith(f"{world.imis.url}/SignIn?"), "and is asked for the password"

    def test_U13_nothing_is_claimed_where_imiss_sign_out_is_not_known(self, tmp_path: Path) -> None:
        with abroad(tmp_path, single(REDIRECT)) as world:
            visitor = world.visitor()
            visitor.types_at_imis(visitor.begins())
            page = visitor.signs_out()
            rows = dict(re.findall(r"<span>([^<]*)</span>\s*<span class=\"state\">([^<]*)</span>", page.text))
            assert rows["Your Example Association account"] == "keeps its own sign-in until it runs out"
            assert "close the browser" in page.text
            assert world.imis.requests("GET /asicommon") == 0
            assert visitor.is_signed_in_at_imis()

    @pytest.mark.parametrize(("configured", "visits"), [(LEAVING, 1), ("", 0)])
    def test_a_member_who_typed_the_password_here_leaves_imis_too_if_that_is_configured(
        self, tmp_path: Path, configured: str, visits: int
    ) -> None:
        with abroad(tmp_path, single(configured)) as world:
            visitor = world.visitor()
            visitor.submits(visitor.begins(), "/login", username="ada", password="demo")
            page = visitor.signs_out()
            assert world.imis.requests("GET /asicommon/controls/shared/formsauthentication/logout.aspx") == visits
            assert page.text.count("Your Example Association account") == visits

    def test_U13_an_imis_that_does_not_come_back_was_asked_and_no_more(self, world: Abroad, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.begins())
        ended = visitor.client.post("/logout", base_url=URL, data=dict(_form(visitor).fields)).location
        visit = visitor.asks(ended).headers["Location"]
        assert visit.startswith(f"{world.imis.url}/AsiCommon/")
        page = visitor.asks(ended)
        assert "asked, no answer yet" in page.text

    def test_only_the_browser_that_signs_out_brings_the_answer(self, world: Abroad, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.begins())
        ended = visitor.client.post("/logout", base_url=URL, data=dict(_form(visitor).fields)).location
        back = parse_qs(urlsplit(visitor.asks(ended).headers["Location"]).query)["returnurl"][0]
        assert world.visitor().asks(back).headers["Location"] == f"{URL}/logout"
        assert "asked, no answer yet" in visitor.asks(ended).text
        assert visitor.asks(back).headers["Location"] == ended
        assert "signed out</span>" in visitor.asks(ended).text

    def test_a_sign_out_that_a_vendor_begins_goes_by_imis_and_back_to_the_vendor(self, world: Abroad, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.begins())
        page = visitor.opens(f"{URL}/token/logout?client=lms&return=https://lms.example.com/back")
        page = visitor.submits(page, "/logout") if "/logout" in page.path else page
        assert not visitor.is_signed_in_at_imis()
        assert not visitor.is_signed_in()

    def test_a_link_on_imis_to_our_sign_out_offers_the_rest_where_nobody_is_signed_in_here(self, world: Abroad, visitor: Visitor) -> None:
        visitor.types_at_imis(visitor.opens(f"{world.imis.url}/SignIn"))
        page = visitor.opens(f"{URL}/logout")
        home = visitor.opens(buttons(page)["Sign out of your Example Association account, too"])
        assert home.url == f"{URL}/"
        assert not visitor.is_signed_in_at_imis()


def _form(visitor: Visitor) -> Form:
    return forms(visitor.asks(f"{URL}/logout").text)[0]
