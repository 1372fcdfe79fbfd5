"""A stranger's page tells who is signed in from nothing: each address that vendors' pages use answers with the same status, the same number
of octets and the same headers, whether a member is signed in or not (S101, S108, S111)."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from .association import EVIL, JOURNAL, LMS, LOGIN, PORTAL, Association, Browser

Shape = tuple[int, int, list[tuple[str, int]]]

PATHS: Mapping[str, Mapping[str, str]] = {
    "/jsonp/ping?client=journal&callback=leak": {},
    "/jsonp/ping?client=portal&callback=leak": {},
    "/jsonp/ping?client=nobody&callback=leak": {},
    "/jsonp/fetch?client=journal": {},
    "/jsonp/fetch?client=portal": {},
    "/jsonp/signon?client=journal&passive=1": {},
    "/jsonp/logout?client=journal": {},
    "/token/signon?client=lms": {},
    "/token/signon?client=lms&passive=1": {},
    "/token/signon?client=shy&passive=1": {},
    "/token/signon?client=closed&passive=1": {},
    "/token/logout?client=lms": {},
    "/fedcm/accounts": {},
    "/fedcm/client-metadata?client_id=lms": {},
    "/fedcm/frame?client=lms": {},
    f"/fedcm/continue?client_id=lms&origin={EVIL}&params=%7B%7D": {},
    f"/fedcm/continue?client_id=lms&origin={LMS}&params=%7B%7D": {},
    "/fedcm/assertion": {"client_id": "lms", "account_id": "x", "params": "{}"},
    "/fedcm/disconnect": {"client_id": "lms", "account_hint": "x"},
    f"/authorize?client_id=community&redirect_uri={LMS}/callback&response_type=code&scope=openid&prompt=none": {},
    "/logout": {},
    "/": {},
    "/sso-check/1.js": {},
}
"""Address -> the form of a POST; without one it is a GET."""

DESTINATIONS = ("script", "image", "iframe", "empty", "webidentity")
CASES = [
    (path, destination)
    for path in PATHS
    for destination in DESTINATIONS
    if (path, destination) != ("/fedcm/accounts", "webidentity")  # no page can ask that: it is the browser itself, which tells no page
]


def cookies_that_cross_sites(browser: Browser) -> str:
    """What browsers send to us from another site's page, where they still do: cookies with SameSite=None."""
    found = []
    for answer in (browser.signs_in(), browser.get("/")):
        for line in answer.headers.getlist("Set-Cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            if re.search("SameSite=None", line) and value:
                found.append(f"{name}={value}")
    return "; ".join(found)


@pytest.fixture
def cookies(association: Association) -> str:
    return cookies_that_cross_sites(Browser(association))


def shape(association: Association, path: str, *, destination: str, cookies: str, origin: str = EVIL) -> Shape:
    headers = {"Origin": origin, "Referer": f"{origin}/", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": destination}
    headers |= {"Sec-Fetch-Mode": "cors" if destination in ("empty", "webidentity") else "no-cors"}
    form = PATHS.get(path)
    server = association.app.test_client(use_cookies=False)
    answer = server.open(
        path,
        method="POST" if form else "GET",
        base_url=LOGIN,
        data=form or None,
        headers={**headers, **({"Cookie": cookies} if cookies else {})},
    )
    return answer.status_code, len(answer.data), sorted((name, len(value)) for name, value in answer.headers)


@pytest.mark.parametrize(("path", "destination"), CASES)
def test_S101_S108_S111_the_answer_to_a_stranger_has_one_shape(association: Association, cookies: str, path: str, destination: str) -> None:
    signed_in, signed_out = (shape(association, path, destination=destination, cookies=each) for each in (cookies, ""))
    assert signed_in == signed_out


def test_the_cookies_that_cross_sites_are_those_of_the_ping_and_of_fedcm(cookies: str) -> None:
    assert sorted(re.findall(r"([\w-]+)=", cookies)) == ["__Host-idp_fedcm", "__Host-idp_ping"]


@pytest.mark.parametrize(("path", "origin"), [("/jsonp/fetch?client=journal", JOURNAL), ("/jsonp/fetch?client=portal", PORTAL)])
def test_S104_a_registered_page_does_learn_it_by_the_very_same_request(
    association: Association, cookies: str, path: str, origin: str
) -> None:
    asked = [shape(association, path, destination="empty", cookies=each, origin=origin) for each in (cookies, "")]
    assert asked[0] != asked[1]
