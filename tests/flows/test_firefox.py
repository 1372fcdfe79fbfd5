"""Which way Firefox takes, as Debian ships it: with its own protection against cookies of other sites, and with all of them blocked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.fedcm.association import EVIL, LMS, LOGIN, Association
from tests.flows.firefox import Firefox, running
from tests.flows.sites import Sites
from tests.flows.test_fedcm_browser import _PRY
from tests.flows.way_table import check_rows, measure, row_of

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

_FILL = """
document.querySelector("[name=username]").value = "ada";
document.querySelector("[name=password]").value = "demo";
document.querySelector("button.primary").click();
return true;
"""
_WAY = """
const state = document.getElementById("state"), [, by] = (state ? state.textContent : "").split(" by ");
return by || (document.title.startsWith("way:") && document.title.slice(4));
"""
_RUN_IN_THE_PAGE = """
const script = document.createElement("script");
script.textContent = %s;
document.body.append(script);
return true;
"""


@pytest.fixture(autouse=True)
def firefox() -> None:
    """Without Firefox the tests are skipped; where CI is set they fail."""
    if not shutil.which("firefox-esr"):
        (pytest.fail if os.environ.get("CI") else pytest.skip)("there is no firefox-esr to test with")


@contextmanager
def visiting(tmp_path: Path, **settings: Any) -> Iterator[Firefox]:
    (tmp_path / "association").mkdir()
    association = Association(tmp_path / "association")
    with (
        Sites(association, tmp_path).serving() as sites,
        running(tmp_path / "profile", sites_port=sites.port, settings=settings) as browser,
    ):
        yield browser
    association.store.close()


def sign_in(browser: Firefox) -> None:
    browser.goes_to(f"{LOGIN}/login")
    browser.runs(_FILL)
    browser.waits_for(f"return location.href === '{LOGIN}/'")


def way_at(browser: Firefox, url: str) -> str:
    browser.opens_a_tab()
    if url == LMS:
        browser.goes_to(f"{LMS}/sign-out")
    browser.goes_to(f"{url}/")
    return str(browser.waits_for(_WAY))


@pytest.mark.parametrize("behaviour", [5, 1], ids=["as-it-comes", "all-blocked"])
def test_the_table_says_which_way_firefox_takes(tmp_path: Path, behaviour: int) -> None:
    engine = {5: "Firefox as it comes", 1: "Firefox, cookies of other sites blocked"}[behaviour]
    with visiting(tmp_path, **{"network.cookie.cookieBehavior": behaviour}) as browser:
        rows = [row_of(engine, "signed out", measure(lambda url: way_at(browser, url)))]
        sign_in(browser)
        rows.append(row_of(engine, "signed in", measure(lambda url: way_at(browser, url))))
    check_rows(engine, rows)


def test_S111_a_strangers_page_learns_nothing_in_firefox_either(tmp_path: Path) -> None:
    with visiting(tmp_path) as browser:
        told = []
        for signed_in in (False, True):
            if signed_in:
                sign_in(browser)
            browser.goes_to(f"{EVIL}/")
            prying = f"(function () {{ {_PRY} }})('{LOGIN}', (told) => {{ document.body.dataset.told = JSON.stringify(told); }});"
            browser.runs(_RUN_IN_THE_PAGE % json.dumps(prying))
            told.append(browser.waits_for("return document.body.dataset.told"))
        assert told[0] == told[1]
