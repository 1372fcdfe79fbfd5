"""/ : the member's own page. What applications see, where one is signed in, and how to put an end to it, all without a script."""

from __future__ import annotations

import re
from html import unescape

import pytest

from idp.web.device import device_name
from tests.sso.echo import make_client

from .conftest import MakeSite
from .site import URL, Site, Visitor

FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
EVIL = "<script>alert(1)</script>\"'"


def told(site: Site, client_id: str, released: list[str]) -> None:
    """As the audit log's listener hears of a sign-on of Ada's."""
    site.disclosures.hear("signon.ok", {"client": client_id, "subject": "101", "session": "s", "released": released})


def form(page: str, action: str, holding: str = "") -> dict[str, str]:
    """The hidden fields of the form with that action that holds this text."""
    found = [each for each in re.findall(rf'<form method="post" action="{action}".*?</form>', page, re.DOTALL) if holding in each]
    assert found, f"no form for {action} with {holding!r}"
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', found[0])}


def sign_in(site: Site, *, agent: str = "", address: str = "203.0.113.77") -> Visitor:
    visitor = site.visitor()
    page = visitor.get("/login")
    fields = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.text))
    data = {**fields, "username": "ada", "password": "correct horse battery staple"}
    headers = {"User-Agent": agent, "X-Forwarded-For": address}
    assert visitor.post("/login", data, **headers).status_code == 303
    return visitor


class TestApplications:
    def test_U14_an_application_is_linked_where_the_member_begins(self, site: Site) -> None:
        page = site.signed_in().get("/").text
        assert '<a href="https://lms.example/">The lms</a>' in page
        assert "The wiki" not in page, "it has no address to begin with, and got nothing"

    def test_U14_what_it_got_is_shown_with_the_values_of_today(self, site: Site) -> None:
        visitor = site.signed_in()
        told(site, "lms", ["email"])
        page = visitor.get("/").text
        assert "<dt>Your email address</dt><dd>ada@assoc.example</dd>" in page
        assert "555-0101" not in page, "the phone number was not released"

    def test_no_value_is_kept_with_what_was_told(self, site: Site) -> None:
        told(site, "lms", ["email"])
        assert "ada@assoc.example" not in str(site.house.store.list("disclosure"))

    def test_a_field_that_the_record_lacks_by_now_is_shown_without_a_value(self, site: Site) -> None:
        visitor = site.signed_in()
        told(site, "wiki", ["email", "chapter"])
        page = visitor.get("/").text
        assert "<dt>Chapter</dt><dd>nothing at the moment</dd>" in page
        assert "The wiki" in page

    def test_S49_I17_opening_the_page_of_a_disabled_login_ends_its_sessions(self, site: Site) -> None:
        visitor = site.signed_in()
        sign_in(site)
        del site.house.members.by_id["101"]
        site.house.store.delete("subject", "101")
        assert "You are signed in" not in visitor.get("/").text
        assert site.house.sessions.of_subject("101") == []

    def test_the_page_comes_without_values_while_the_membership_system_is_away(self, site: Site) -> None:
        visitor = site.signed_in()
        told(site, "lms", ["email"])
        site.house.members.is_there = False
        site.house.store.delete("subject", "101")
        page = visitor.get("/")
        assert page.status_code == 200
        assert "<dt>Your email address</dt><dd>nothing at the moment</dd>" in page.text

    def test_nobody_sees_what_another_member_told(self, site: Site) -> None:
        site.disclosures.hear("signon.ok", {"client": "wiki", "subject": "102", "session": "s", "released": ["email"]})
        assert "The wiki" not in site.signed_in().get("/").text

    def test_V18_an_application_s_name_and_a_members_values_are_text(self, make_site: MakeSite) -> None:
        site = make_site(make_client("lms", name=EVIL, url="https://lms.example/"))
        visitor = site.signed_in()
        told(site, "lms", ["email", EVIL])
        page = visitor.get("/").text
        assert "<script" not in page
        assert "&lt;script&gt;" in page


class TestDisconnecting:
    def agreed(self, site: Site) -> Visitor:
        visitor = site.signed_in()
        told(site, "lms", ["email"])
        site.house.signon.consents.give("101", site.house.clients.snapshot().clients["lms"], ["email"])
        return visitor

    def test_S14_disconnect_takes_the_consent_back_and_says_so_once(self, site: Site) -> None:
        visitor = self.agreed(site)
        page = visitor.get("/").text
        assert visitor.post("/member/disconnect", form(page, "/member/disconnect")).location == f"{URL}/"
        assert site.house.signon.consents.of_subject("101") == []
        after = visitor.get("/").text
        assert "Disconnected." in after
        assert "What The lms can see" not in after
        assert "Disconnected." not in visitor.get("/").text
        assert site.house.audit.of("member.disconnected")[0]["client"] == "lms"

    def test_where_there_is_nothing_to_take_back_there_is_no_button(self, site: Site) -> None:
        visitor = site.signed_in()
        told(site, "lms", ["email"])
        assert "/member/disconnect" not in visitor.get("/").text

    @pytest.mark.parametrize("path", ["/member/disconnect", "/member/sign-out", "/member/sign-out-others"])
    def test_S120_a_form_without_our_token_or_of_another_site_does_nothing(self, site: Site, path: str) -> None:
        visitor, other = self.agreed(site), site.signed_in()
        fields = {**form(visitor.get("/").text, "/member/disconnect"), "session": site.house.sessions.of_subject("101")[1].id}
        assert visitor.post(path, {**fields, "form_token": "0" * 64}).status_code == 400
        assert visitor.post(path, fields, **{"Sec-Fetch-Site": "cross-site"}).status_code == 400
        visitor.post_across_sites(path, fields)
        assert site.house.signon.consents.of_subject("101") != []
        assert "You are signed in" in visitor.get("/").text
        assert "You are signed in" in other.get("/").text

    def test_who_is_not_signed_in_does_nothing(self, site: Site) -> None:
        visitor = site.visitor()
        assert visitor.post("/member/sign-out-others").location == f"{URL}/"
        assert "Sign in" in visitor.get("/").text


class TestDevices:
    def test_S74_each_browser_is_shown_with_its_kind_and_its_part_of_the_network(self, site: Site) -> None:
        sign_in(site, agent=FIREFOX)
        page = sign_in(site, address="2001:db8:1234:5678::1").get("/").text
        assert "<strong>Firefox on Windows</strong>" in page
        assert "network 203.0.113.*" in page
        assert "network 2001:db8:1234:*" in page
        for full in ("203.0.113.77", "5678", "Gecko"):
            assert full not in page
            assert full not in str(site.house.store.list("sign_in"))

    def test_S74_one_of_them_is_signed_out_and_its_applications_hear_of_it(self, site: Site) -> None:
        far = sign_in(site, agent=FIREFOX)
        far.get("/echo/signon?client=lms")
        here = sign_in(site)
        here.post("/member/sign-out", form(here.get("/").text, "/member/sign-out"))
        assert "You are signed in" not in far.get("/").text
        assert "You are signed in" in here.get("/").text
        assert site.house.letterbox.heard() == ["lms"]

    def test_S74_all_others_are_signed_out_at_once(self, site: Site) -> None:
        others = [sign_in(site) for _ in range(3)]
        here = sign_in(site)
        here.post("/member/sign-out-others", form(here.get("/").text, "/member/sign-out-others"))
        assert "You are signed out on all other devices" in here.get("/").text
        assert not any("You are signed in" in each.get("/").text for each in others)

    def test_S74_nobody_signs_out_another_member(self, site: Site) -> None:
        ben = site.house.session("ben")
        sign_in(site)
        here = sign_in(site)
        fields = form(here.get("/").text, "/member/sign-out")
        here.post("/member/sign-out", {**fields, "session": ben.id})
        assert site.house.sessions.get(ben.id) is not None

    def test_one_browser_alone_has_nothing_to_sign_out_elsewhere(self, site: Site) -> None:
        page = sign_in(site).get("/").text
        assert "– this one" in page
        assert "/member/sign-out" not in page

    def test_recent_sign_ins_are_the_last_ten_of_thirty_days(self, site: Site) -> None:
        for _ in range(12):
            visitor = sign_in(site, agent=FIREFOX)
        recent = visitor.get("/").text.partition('id="sign-ins"')[2].partition("</section>")[0]
        assert recent.count("Firefox on Windows") == 10
        site.house.now.time += 30 * 86400
        assert sign_in(site).get("/").text.partition('id="sign-ins"')[2].count("Firefox on Windows") == 0


def test_every_form_and_heading_of_the_page_can_be_named(site: Site) -> None:
    """WCAG 1.3.1, 2.4.6, 4.1.2, as far as text can tell."""
    sign_in(site, agent=FIREFOX)
    visitor = sign_in(site)
    told(site, "lms", ["email"])
    page = visitor.get("/").text
    assert page.count("<h1>") == 1
    for identifier in re.findall(r'aria-labelledby="([^"]*)"', page):
        assert f'<h2 id="{identifier}">' in page
    names = re.findall(r'<button type="submit"(?: aria-label="([^"]*)")?>([^<]*)</button>', page)
    assert names
    assert len({label or text for label, text in names}) == len(names), "no two buttons sound alike"
    assert all(text in label for label, text in names if label), "the name that is heard has the one that is seen (2.5.3)"
    assert "<script" not in page


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36", "Chrome on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile/15E Safari/604", "Safari on an iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.0", ""),
        ("<script>alert(1)</script>", ""),
        ("", ""),
    ],
)
def test_a_browser_is_named_by_family_and_system_and_by_nothing_that_it_wrote(agent: str, name: str) -> None:
    assert device_name(agent) == name
