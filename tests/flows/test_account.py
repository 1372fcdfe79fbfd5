"""Members help themselves in the demo: by its pages, its mailbox, and the simulated iMIS."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from idp.demo.address import LOOPBACK, MAILBOX_HOST
from tests.flows.town import Town

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("demo")]

NEW = "seven wild geese went south in 1927"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(Path(tmp_path_factory.mktemp("town")) / "data")
    town.start()
    yield town
    town.stop()


class Visitor:
    """A browser as far as forms go."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.session = requests.Session()
        self.session.headers["Host"] = f"idp.assoc.localhost:{town.addresses.idp_port}"
        self.base = f"http://{LOOPBACK}:{town.addresses.idp_port}"

    def fill(self, path: str, **fields: str) -> requests.Response:
        page = self.session.get(self.base + path, timeout=10)
        assert page.ok, page.text
        form = re.search(r'<form method="post" action="([^"]+)".*?</form>', page.text, re.DOTALL)
        assert form
        hidden = {name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form[0])}
        return self.session.post(self.base + form[1], data={**hidden, **fields}, timeout=20, allow_redirects=False)

    def sign_in(self, username: str, password: str) -> int:
        return self.fill("/login", username=username, password=password).status_code

    def mail(self, subject: str) -> str:
        """The newest mail of that subject; it takes a moment."""
        port = self.town.addresses.port
        for _ in range(200):
            page = requests.get(f"http://{LOOPBACK}:{port}/", headers={"Host": f"{MAILBOX_HOST}:{port}"}, timeout=5).text
            if subject in page:
                return page.partition(f"<h2>{subject}</h2>")[2].partition("</pre>")[0]
            time.sleep(0.1)
        raise AssertionError(f"no mail came; {self.town.log()[-2000:]}")

    def link(self, subject: str) -> str:
        found = re.search(r'href="http://[^/]+(/account/[^"]+)"', self.mail(subject))
        assert found
        return found[1]


def test_a_forgotten_password_is_set_anew_by_mail(town: Town) -> None:
    visitor = Visitor(town)
    assert visitor.fill("/account/forgot-password", email="carla@mail.example").ok
    done = visitor.fill(visitor.link("Set a new password"), new_password=NEW, again=NEW)
    assert "Your password is changed" in done.text
    assert visitor.sign_in("carla", "demo") == 401
    assert visitor.sign_in("carla", NEW) == 303


def test_an_account_is_made_by_mail_and_can_sign_in(town: Town) -> None:
    visitor = Visitor(town)
    assert visitor.fill("/account/create", first_name="Nadia", last_name="New", email="nadia@mail.example").ok
    done = visitor.fill(visitor.link("Confirm your address"), username="nadia", new_password=NEW, again=NEW)
    assert "Your account is ready" in done.text, done.text
    assert visitor.sign_in("nadia", NEW) == 303
    assert "nadia" in visitor.session.get(visitor.base + "/", timeout=5).text


def test_a_forgotten_user_name_comes_by_mail(town: Town) -> None:
    visitor = Visitor(town)
    assert visitor.fill("/account/forgot-username", email="ben@mail.example").ok
    assert "ben" in visitor.mail("Your user name")


def test_U3_the_sign_in_page_leads_to_the_pages(town: Town) -> None:
    visitor = Visitor(town)
    page = visitor.session.get(visitor.base + "/login", timeout=5).text
    for path in re.findall(r'href="(/account/[^"]+)"', page):
        assert visitor.session.get(visitor.base + path, timeout=5).ok
    assert len(re.findall(r'href="(/account/[^"]+)"', page)) == 3
