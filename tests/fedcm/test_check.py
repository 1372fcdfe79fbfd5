"""The script that vendors' pages load. What browsers make of it, `tests/flows/test_fedcm_browser.py` and `test_firefox.py` show."""

from __future__ import annotations

import base64
import hashlib
import re

from .association import LOGIN, Association, Browser


def test_the_script_has_less_than_four_kilobytes_and_may_be_kept_for_a_year(association: Association) -> None:
    answer = Browser(association).get("/sso-check/1.js")
    assert len(answer.data) < 4096
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.content_type == "text/javascript; charset=utf-8"


def test_any_page_may_load_it_with_a_hash_and_it_depends_on_nobody(association: Association) -> None:
    answer = Browser(association).get("/sso-check/1.js", Cookie="__Host-idp_session=x.y", Origin="https://www.evil.test")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Set-Cookie" not in answer.headers
    assert answer.data == Browser(association).get("/sso-check.js").data


def test_the_page_names_address_and_hash_of_what_is_served(association: Association) -> None:
    browser = Browser(association)
    page = browser.get("/sso-check").text
    named = re.search(r"sha384-([A-Za-z0-9+/=]+)", page)
    assert named
    assert base64.b64decode(named[1]) == hashlib.sha384(browser.get("/sso-check/1.js").data).digest()
    assert f"{LOGIN}/sso-check/1.js" in page
