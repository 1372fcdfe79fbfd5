"""Waiting for what a browser is to come to."""

from __future__ import annotations

from collections.abc import Callable

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.wait import WebDriverWait

_PATIENCE = 30
"""Seconds."""


def wait_for(browser: WebDriver, what: str, condition: Callable[[], bool]) -> None:
    """What was found may belong to the page that is about to go."""
    wait = WebDriverWait(browser, _PATIENCE, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException])
    wait.until(lambda _: condition(), f"waited in vain for {what}")
