"""imis-cookie: iMIS lies under the same parent domain, and its login cookie, which iMIS is asked about each time, says who came."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from .abroad import COOKIE, LEAVING, URL, Abroad, Visitor, abroad, buttons, single, with_staff
from .test_imis_redirect import BUTTON, is_in


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Abroad]:
    with abroad(tmp_path, single(COOKIE + LEAVING), foreign_returns=True) as built:
        yield built


@pytest.fixture
def visitor(world: Abroad) -> Visitor:
    return neighbour(world)


def neighbour(world: Abroad) -> Visitor:
    """A browser that brings iMIS's cookie to us, too."""
    visitor = world.visitor()
    visitor.parent_domain = True
    return visitor


def test_who_is_signed_in_at_imis_is_in_without_a_page(world: Abroad, visitor: Visitor) -> None:
    visitor.types_at_imis(visitor.opens(f"{world.imis.url}/SignIn"))
    assert is_in(visitor.begins())
    assert [session.subject_id for session in world.parts.sessions.list()] == ["1001"]


def test_who_is_not_goes_to_imis_and_comes_back(world: Abroad, visitor: Visitor) -> None:
    page = visitor.begins()
    assert page.url.startswith(f"{world.imis.url}/AsiCommon/Controls/Shared/FormsAuthentication/Login.aspx?ReturnUrl=https")
    assert is_in(visitor.types_at_imis(page))
    assert "You are signed in" in visitor.opens(f"{URL}/login").text


@pytest.mark.parametrize("cookie", ["made-up", "a b", "x" * 4000, "ü"])
def test_a_cookie_that_imis_does_not_know_is_nobodys(world: Abroad, visitor: Visitor, cookie: str) -> None:
    visitor.client.set_cookie("Login", cookie, domain="login.example.org")
    assert visitor.begins().url.startswith(world.imis.url)
    assert not visitor.is_signed_in()


def test_S77_a_cookie_that_is_there_twice_is_nobodys(world: Abroad, visitor: Visitor) -> None:
    visitor.types_at_imis(visitor.opens(f"{world.imis.url}/SignIn"))
    twice = f"{visitor.imis_cookie}; {visitor.imis_cookie}"
    answer = world.app.test_client(use_cookies=False).get("/login", base_url=URL, headers={"Cookie": twice})
    assert answer.location.startswith(world.imis.url)


def test_the_unsigned_ID_of_LoginStatusRedirect_is_not_read(world: Abroad, visitor: Visitor) -> None:
    visitor.begins()
    page = visitor.opens(f"{URL}/imis/back?ID=1001&QKEY=x")
    assert page.status == 401
    assert not visitor.is_signed_in()


def test_where_the_cookie_does_not_come_over_nothing_goes_round_in_circles(world: Abroad) -> None:
    visitor = world.visitor()
    page = visitor.types_at_imis(visitor.begins())
    assert (page.status, page.path) == (401, "/imis/back")
    assert world.causes() == ["imis.unnamed"]
    assert visitor.opens(buttons(page)[BUTTON]).url.startswith(world.imis.url)


def test_two_tabs_each_come_to_where_they_wanted(world: Abroad, visitor: Visitor) -> None:
    first, second = visitor.begins("lms"), visitor.begins("wiki")
    choices = buttons(visitor.types_at_imis(first))
    assert is_in(visitor.opens(choices["Learning center"]))
    assert is_in(visitor.types_at_imis(second), "wiki")


def test_the_way_back_without_a_request_leads_to_the_sign_in_page(world: Abroad, visitor: Visitor) -> None:
    assert visitor.asks(f"{URL}/imis/back").headers["Location"] == f"{URL}/login"


def test_a_fresh_request_goes_by_imiss_sign_out_and_the_member_types_again(world: Abroad, visitor: Visitor) -> None:
    visitor.types_at_imis(visitor.begins())
    page = visitor.begins("wiki", fresh="1")
    assert "/Login.aspx" in page.url
    assert not visitor.is_signed_in_at_imis()
    assert is_in(visitor.types_at_imis(page), "wiki")
    assert [session.dated for session in world.parts.sessions.list()] == [True]


def test_a_sign_out_that_was_left_out_is_noticed_by_the_cookie(world: Abroad, visitor: Visitor) -> None:
    visitor.types_at_imis(visitor.opens(f"{world.imis.url}/SignIn"))
    asked = visitor.asks(f"{URL}/token/signon?client=lms&fresh=1")
    out = visitor.asks(asked.headers["Location"]).headers["Location"]
    told = visitor.opens(parse_qs(urlsplit(out).query)["returnurl"][0])
    assert parse_qs(urlsplit(told.url).query)["error"] == ["imis.fresh_impossible"]


def test_F12_imis_down_leads_to_our_page(world: Abroad, visitor: Visitor) -> None:
    visitor.types_at_imis(visitor.opens(f"{world.imis.url}/SignIn"))
    world.imis.order("status", path="/asicommon/services", status=500)
    page = visitor.begins()
    world.imis.order("none")
    assert page.status == 503
    assert world.causes() == ["directory.unavailable"]


def test_signing_out_clears_imiss_cookie_in_the_browser(world: Abroad, visitor: Visitor) -> None:
    visitor.types_at_imis(visitor.begins())
    assert "signed out</span>" in visitor.signs_out().text
    assert not visitor.is_signed_in_at_imis()
    assert "/Login.aspx" in visitor.begins().url


def test_members_by_cookie_and_staff_by_our_form(tmp_path: Path) -> None:
    with abroad(tmp_path, with_staff(COOKIE), foreign_returns=True) as world:
        visitor, other = neighbour(world), neighbour(world)
        page = visitor.opens(buttons(visitor.begins())[BUTTON])
        assert is_in(visitor.types_at_imis(page))
        assert is_in(other.submits(other.begins(), "/login", username="stella", password="demo"))
        assert {session.subject_id for session in world.parts.sessions.list()} == {"1001", "staff:1"}
