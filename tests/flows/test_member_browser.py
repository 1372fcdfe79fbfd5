"""The member's own page in a real browser, without a script: two devices, six vendors, narrow and dark (U14, G-U2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from idp.demo.vendors import COMMUNITY, LMS
from tests.flows.test_browser import Visitor, browsing, chromium  # noqa: F401  the fixture is found by its name
from tests.flows.town import Town

pytestmark = [pytest.mark.browser, pytest.mark.long, pytest.mark.xdist_group("browser")]

_PROBE = """
const seen = [...document.querySelectorAll('main *')].filter(each => each.checkVisibility() && each.childNodes.length
  && [...each.childNodes].some(child => child.nodeType === 3 && child.textContent.trim()));
const channel = value => { value /= 255; return value <= .04045 ? value / 12.92 : ((value + .055) / 1.055) ** 2.4; };
const numbers = color => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => .2126 * channel(r) + .7152 * channel(g) + .0722 * channel(b);
const paper = each => { for (; each; each = each.parentElement) {
  const color = numbers(getComputedStyle(each).backgroundColor);
  if (color.length < 4 || color[3] > 0) return color; } return [255, 255, 255]; };
const contrast = each => { const pair = [light(numbers(getComputedStyle(each).color)), light(paper(each))].sort((a, b) => b - a);
  return (pair[0] + .05) / (pair[1] + .05); };
return {worst: Math.min(...seen.map(contrast)), count: seen.length,
  overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  small: [...document.querySelectorAll('main a, main button, main summary')].filter(each => each.checkVisibility()
    && each.getBoundingClientRect().height < 24 && !each.closest('p, li')).map(each => each.textContent)};
"""


@pytest.fixture(scope="module")
def town(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:  # noqa: F811
    town = Town(tmp_path_factory.mktemp("demo") / "data")
    town.start()
    yield town
    assert town.stop() == 0


@pytest.fixture
def visitor(chromium: Path, town: Town, tmp_path: Path) -> Iterator[Visitor]:  # noqa: F811
    with browsing(chromium, tmp_path, keep_cookies_from_other_sites=True) as browser:
        yield Visitor(browser, town)


def script(browser: Chrome, on: bool) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})


def text(visitor: Visitor, selector: str) -> str:
    return " ".join(each.text for each in visitor.browser.find_elements(By.CSS_SELECTOR, selector))


def section(visitor: Visitor, name: str) -> str:
    return text(visitor, f"section[aria-labelledby={name}]")


def test_U14_a_member_sees_applications_and_devices_and_ends_what_is_not_wanted(visitor: Visitor) -> None:
    browser, page = visitor.browser, f"{visitor.addresses.idp}/"
    for _ in range(2):  # the first session stays behind, as on another device
        browser.execute_cdp_cmd("Network.clearBrowserCookies", {})
        for vendor in (LMS, COMMUNITY):
            visitor.asks_to_enter(vendor)
            if vendor is LMS:
                visitor.types_password()
            visitor.is_in(vendor)
    script(browser, on=False)
    browser.get(page)
    for summary in browser.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    applications = section(visitor, "applications")
    assert f"What {LMS.name} can see" in applications
    assert "Marlowe" in applications
    assert section(visitor, "devices").count("Chrome on Linux") == 2
    assert section(visitor, "sign-ins").count("Chrome on Linux") == 2

    visitor.presses("form[action='/member/sign-out'] button")
    visitor.waits_for("one device to be left", lambda: section(visitor, "devices").count("Chrome on Linux") == 1)
    assert "That device is signed out." in text(visitor, "[role=status]")

    for summary in browser.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    visitor.presses("form[action='/member/disconnect'] button")
    visitor.waits_for("the word that it is done", lambda: "Disconnected." in text(visitor, "[role=status]"))
    assert f"What {COMMUNITY.name} can see" not in section(visitor, "applications")
    assert f"What {LMS.name} can see" in section(visitor, "applications")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_U6_G_U1_the_page_is_readable_at_320_pixels_in_both_colour_schemes(visitor: Visitor, scheme: str) -> None:
    visitor.asks_to_enter(LMS)
    visitor.types_password()
    visitor.is_in(LMS)
    metrics = {"width": 320, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    visitor.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    visitor.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
    visitor.browser.get(f"{visitor.addresses.idp}/")
    for summary in visitor.browser.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    found = visitor.browser.execute_script(_PROBE)
    assert found["count"] > 10
    assert found["worst"] >= 4.5
    assert found["overflow"] == 0
    assert found["small"] == []
