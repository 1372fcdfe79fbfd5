"""Modules of the four logout plans: RP-Initiated, Session, Front-Channel, Back-Channel."""

from __future__ import annotations

import hashlib
import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.oidc.holder import Holder
from tests.oidc.wiring import unsigned

from .conftest import Suite
from .party import SIGNED_OUT, Browser, Outcome, Party, Reply, call

EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Leaving:
    """A member who is signed in at one client, and leaves."""

    def __init__(self, suite: Suite, client_id: str = "rp") -> None:
        self.suite = suite
        self.party: Party = suite.party(client_id)
        self.browser: Browser = suite.member()
        self.outcome: Outcome = self.party.happy(self.browser)

    @property
    def hint(self) -> str:
        token: str = self.outcome.tokens["id_token"]
        return token

    def logout(self, **parameters: str) -> Reply:
        return self.browser.open(f"{self.suite.provider['end_session_endpoint']}?{urlencode(parameters)}")

    @property
    def is_signed_in(self) -> bool:
        """What `prompt=none` says."""
        reply = self.party.ask(self.browser, prompt="none")
        assert "code" in reply.params or reply.params["error"] == "login_required"
        return "code" in reply.params


@pytest.fixture
def leaving(suite: Suite) -> Leaving:
    return Leaving(suite)


def asks(reply: Reply) -> bool:
    """Our own page, with a button to sign out."""
    return reply.way == "page" and reply.status == 200 and 'action="/logout"' in reply.text


def test_oidcc_rp_initiated_logout_discovery_endpoint_verification(suite: Suite) -> None:
    assert suite.provider["end_session_endpoint"] == f"{suite.provider.url}/oauth/logout"


def test_oidcc_rp_initiated_logout(leaving: Leaving) -> None:
    reply = leaving.logout(id_token_hint=leaving.hint, post_logout_redirect_uri=SIGNED_OUT, state="a state")
    assert (reply.to, dict(reply.params)) == (SIGNED_OUT, {"state": "a state"})
    assert not leaving.is_signed_in


def test_oidcc_rp_initiated_logout_bad_post_logout_redirect_uri(leaving: Leaving) -> None:
    reply = leaving.logout(id_token_hint=leaving.hint, post_logout_redirect_uri="https://rp.example.org/bad", state="s")
    assert reply.way == "page"
    assert "rp.example.org/bad" not in reply.text


def test_oidcc_rp_initiated_logout_modified_id_token_hint(leaving: Leaving) -> None:
    forged = unsigned(leaving.hint, header={"alg": "none"})
    assert asks(leaving.logout(id_token_hint=forged, post_logout_redirect_uri=SIGNED_OUT, state="s"))
    assert leaving.is_signed_in


def test_oidcc_rp_initiated_logout_no_id_token_hint(leaving: Leaving) -> None:
    assert asks(leaving.logout(post_logout_redirect_uri=SIGNED_OUT, state="s"))
    assert leaving.is_signed_in


def test_oidcc_rp_initiated_logout_no_params(leaving: Leaving) -> None:
    page = leaving.logout()
    assert asks(page), "S42: the member is asked, and then it is done"
    page = leaving.browser.press(page, "/logout")
    assert "signed out" in page.text
    assert not leaving.is_signed_in


def test_oidcc_rp_initiated_logout_no_post_logout_redirect_uri(leaving: Leaving) -> None:
    reply = leaving.logout(id_token_hint=leaving.hint)
    assert reply.way == "page"
    assert "signed out" in reply.text
    assert not leaving.is_signed_in


def test_oidcc_rp_initiated_logout_no_state(leaving: Leaving) -> None:
    reply = leaving.logout(id_token_hint=leaving.hint, post_logout_redirect_uri=SIGNED_OUT)
    assert (reply.to, dict(reply.params)) == (SIGNED_OUT, {})
    assert not leaving.is_signed_in


def test_oidcc_rp_initiated_logout_only_state(leaving: Leaving) -> None:
    page = leaving.logout(state="s")
    assert asks(page)
    page = leaving.browser.press(page, "/logout")
    assert (page.way, "signed out" in page.text) == ("page", True)
    assert not leaving.is_signed_in


def test_oidcc_rp_initiated_logout_query_added_to_post_logout_redirect_uri(leaving: Leaving) -> None:
    reply = leaving.logout(id_token_hint=leaving.hint, post_logout_redirect_uri=f"{SIGNED_OUT}?foo=bar", state="s")
    assert reply.way == "page"


def test_oidcc_rp_initiated_logout_bad_id_token_hint(leaving: Leaving) -> None:
    kid = leaving.suite.provider.verified(leaving.hint)[0]["kid"]
    forged = Holder("RS256", kid).sign(leaving.outcome.claims, typ="JWT")
    assert asks(leaving.logout(id_token_hint=forged, post_logout_redirect_uri=SIGNED_OUT, state="s"))
    assert leaving.is_signed_in


def test_oidcc_session_management_discovery_endpoint_verification(suite: Suite) -> None:
    assert suite.provider["check_session_iframe"] == f"{suite.provider.url}/oauth/session"
    assert suite.provider["end_session_endpoint"]


def test_oidcc_session_management_rp_initiated_logout(suite: Suite) -> None:
    """The frame's own script runs in a browser in tests/flows/test_session_frame.py; here its sum is done with what it reads."""
    leaving = Leaving(suite, "watching")
    told = leaving.outcome.reply.params["session_state"]
    frame = call("GET", suite.provider["check_session_iframe"])
    cookie = re.search(r'data-cookie="([^"]*)" data-origins="https://rp.example.org"', frame.text)
    assert cookie, frame.text

    def says() -> str:
        hashed, _, salt = told.partition(".")
        sum_of = f"watching https://rp.example.org {leaving.browser.cookie(cookie[1])} {salt}"
        return "unchanged" if hashlib.sha256(sum_of.encode()).hexdigest() == hashed else "changed"

    assert says() == "unchanged"
    reply = leaving.logout(id_token_hint=leaving.hint, post_logout_redirect_uri=SIGNED_OUT, state="s")
    assert (reply.to, dict(reply.params)) == (SIGNED_OUT, {"state": "s"})
    assert says() == "changed"
    assert not leaving.is_signed_in


def test_oidcc_frontchannel_logout_discovery_endpoint_verification(suite: Suite) -> None:
    for name in ("frontchannel_logout_supported", "frontchannel_logout_session_supported"):
        assert suite.provider[name] is True
    assert suite.provider["end_session_endpoint"]


def test_oidcc_frontchannel_rp_initiated_logout(suite: Suite) -> None:
    leaving = Leaving(suite, "front")
    page = leaving.logout(id_token_hint=leaving.hint, post_logout_redirect_uri=SIGNED_OUT, state="s")
    framed = re.search(r'<iframe[^>]* src="([^"]*)"', page.text)
    assert framed, page.text
    frame = urlsplit(unescape(framed[1]))
    assert (frame.netloc, frame.path) == ("rp.example.org", "/frame")
    assert parse_qs(frame.query) == {"iss": [suite.provider.url], "sid": [leaving.outcome.claims["sid"]]}
    onward = re.search(r'href="([^"]*/logout/[^"]*)"', page.text)
    assert onward, page.text
    assert leaving.browser.open(unescape(onward[1])).to == SIGNED_OUT
    assert not leaving.is_signed_in


def test_oidcc_backchannel_logout_discovery_endpoint_verification(suite: Suite) -> None:
    for name in ("backchannel_logout_supported", "backchannel_logout_session_supported"):
        assert suite.provider[name] is True
    assert suite.provider["end_session_endpoint"]


def test_oidcc_backchannel_rp_initiated_logout(suite: Suite) -> None:
    leaving = Leaving(suite, "back")
    suite.vendor.posted.pop("/logout", None)
    reply = leaving.logout(id_token_hint=leaving.hint, post_logout_redirect_uri=SIGNED_OUT, state="s")
    assert (reply.to, dict(reply.params)) == (SIGNED_OUT, {"state": "s"})
    (posted,) = suite.vendor.posted["/logout"]
    header, claims = suite.provider.verified(posted["logout_token"])
    told: dict[str, Any] = leaving.outcome.claims
    assert (header["alg"], header["typ"]) == ("RS256", "logout+jwt")
    assert (claims["iss"], claims["aud"], claims["events"]) == (suite.provider.url, "back", {EVENT: {}})
    assert (claims["sub"], claims["sid"]) == (told["sub"], told["sid"])
    assert claims["jti"]
    assert abs(claims["iat"] - told["iat"]) < 120
    assert "nonce" not in claims
    assert not leaving.is_signed_in
