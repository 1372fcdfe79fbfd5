"""A headless Chromium with preferences of its own, for the tests of this folder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service


@contextmanager
def chrome_with(profile: Path, prefs: Mapping[str, object]) -> Iterator[Chrome]:
    """Skips the test where there is none; in CI that is a failure."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium to test with")
    options = ChromeOptions()
    options.binary_location = program
    for option in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.add_experimental_option("prefs", dict(prefs))
    chrome = Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()
