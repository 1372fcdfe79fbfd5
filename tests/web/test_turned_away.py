"""The page for a member who may not enter an application (U11)."""

from __future__ import annotations

from idp.sso.login import LoginSettings
from idp.sso.settings import EntrySettings
from tests.sso.echo import make_client

from .conftest import MakeSite
from .site import hidden_fields

RENEW = "https://assoc.example/renew"
LAPSED = make_client("lms", entry=EntrySettings(paid_through_grace=30))


def test_U11_it_says_why_and_links_to_where_one_renews(make_site: MakeSite) -> None:
    visitor = make_site(LAPSED, login=LoginSettings(renew_url=RENEW)).signed_in()
    page = visitor.get("/echo/signon?client=lms")
    assert page.status_code == 403
    assert "has lapsed" in page.text
    assert f'href="{RENEW}"' in page.text
    assert "Go back to The lms" in page.text


def test_the_button_sends_the_protocols_own_refusal(make_site: MakeSite) -> None:
    visitor = make_site(LAPSED).signed_in()
    page = visitor.get("/echo/signon?client=lms")
    path = page.text.partition('action="')[2].partition('"')[0]
    answer = visitor.post(path, hidden_fields(page))
    assert (answer.status_code, answer.location.partition("&")[0]) == (303, "https://lms.example/back?error=entry.denied")


def test_S120_no_other_site_can_press_it(make_site: MakeSite) -> None:
    visitor = make_site(LAPSED).signed_in()
    page = visitor.get("/echo/signon?client=lms")
    path = page.text.partition('action="')[2].partition('"')[0]
    assert visitor.post(path, {}).status_code == 400
    assert visitor.post(path, hidden_fields(page)).status_code == 303, "the request still waits for its own browser"


def test_after_the_sign_in_page_it_comes_again_on_a_reload(make_site: MakeSite) -> None:
    visitor = make_site(LAPSED).visitor()
    signed = visitor.sign_in(visitor.get(visitor.get("/echo/signon?client=lms").location))
    assert [visitor.get(signed.location).status_code for _ in range(2)] == [403, 403]


def test_without_a_place_to_renew_there_is_no_empty_link(make_site: MakeSite) -> None:
    assert "Renew" not in make_site(LAPSED).signed_in().get("/echo/signon?client=lms").text
