"""The page that carries a token onward is a form with a button: it works where scripts do not run (S95)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.standin import PASSWORD

from .chrome import chrome_with
from .conftest import MakeWorld
from .test_browser import running
from .wiring import World, make_client

BACK = "https://lms.example.com/sso"


class Form(HTMLParser):
    """The one form of a page, as a browser without scripts has it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._inside = False
        self.feed(text)
        (self.head,) = [given for tag, given in self.elements if tag == "form"]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = self._inside or tag == "form"
        if self._inside:
            self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "form"

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [given for each, given in self.elements if each == tag]


def test_S95_the_form_is_complete_without_a_script(make_world: MakeWorld) -> None:
    world = make_world(make_client("lms", "token", return_urls=(BACK,)))
    page = world.signed_in().get("/token/signon?client=lms")
    form = Form(page.text)
    assert (form.head["method"], form.head["action"]) == ("post", BACK)
    (field,) = form.of("input")
    assert (field["name"], field["type"]) == ("token", "hidden")
    assert world.redeem(str(field["value"]), "lms").status_code == 200, "it is in the form already, and no script puts it there"
    (button,) = form.of("button")
    assert button == {"type": "submit", "class": "primary"}, "it can be seen and pressed"
    assert "hidden" not in {name for _, given in form.elements for name in given}
    assert not form.of("script"), "what the button does is not a script's work"


def test_S95_the_policy_of_the_page_lets_the_form_go_to_the_vendor(make_world: MakeWorld) -> None:
    world = make_world(make_client("lms", "token", return_urls=(BACK,)))
    policy = world.signed_in().get("/token/signon?client=lms").headers["Content-Security-Policy"]
    (allowed,) = [rule.split()[1:] for rule in policy.split(";") if rule.strip().startswith("form-action")] or [["*"]]
    assert {"*", "https:", "https://lms.example.com"} & set(allowed)


class Vendor:
    """A page that keeps what is posted to it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, list[str]]]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        if environ["PATH_INFO"] == "/sso":
            self.got.append((environ["REQUEST_METHOD"], parse_qs(body)))
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<!doctype html><title>Welcome</title><link rel=icon href=data:,><body></body>"]


@pytest.fixture
def scriptless(tmp_path: Path) -> Iterator[Chrome]:
    """A browser in which no script runs."""
    with chrome_with(tmp_path / "profile", {"profile.managed_default_content_settings.javascript": 2}) as chrome:
        yield chrome


@pytest.mark.browser
@pytest.mark.long
@pytest.mark.xdist_group("browser")
def test_S95_without_scripts_the_member_signs_in_and_presses_the_button(scriptless: Chrome, tmp_path: Path) -> None:
    vendor = Vendor()
    site, ours = running(vendor), running(vendor)
    client = make_client("lms", "token", return_urls=(f"http://lms.localhost:{site.port}/sso",))
    world = World(tmp_path, [client], url=f"http://idp.localhost:{ours.port}")
    ours.app = world.app
    try:
        scriptless.get("data:text/html,<title>off</title><script>document.title = 'on'</script>")
        assert scriptless.title == "off", "this browser runs no scripts"
        scriptless.get(f"{world.url}/token/signon?client=lms")
        scriptless.find_element(By.NAME, "username").send_keys("anne")
        scriptless.find_element(By.NAME, "password").send_keys(PASSWORD)
        scriptless.find_element(By.CSS_SELECTOR, "button.primary").click()
        patience = WebDriverWait(scriptless, 15, 0.05)
        patience.until(lambda _: "One moment" in scriptless.title)
        assert vendor.got == [], "nothing has gone by itself"
        scriptless.find_element(By.CSS_SELECTOR, "button.primary").click()
        patience.until(lambda _: scriptless.title == "Welcome")
        ((method, fields),) = vendor.got
        assert (method, urlsplit(scriptless.current_url).query) == ("POST", "")
        assert world.redeem(fields["token"][0], "lms").status_code == 200
    finally:
        for server in (site, ours):
            server.shutdown()
            server.server_close()
        world.store.close()
