"""Where a member begins with an application from our own page: by its address, or by its protocol's own way to begin here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from idp.app import create_app_of
from idp.config import load
from idp.keys import KeyRing
from idp.parts import Parts, build_parts
from idp.secret import Secret
from idp.sso.protocol import Launches
from idp.store.sqlite import SqliteStore
from tests.server import SP_METADATA

CONFIG = """
[server]
url = "http://127.0.0.1:8089"
[directory]
kind = "people"
people = "people.toml"
[clients.lms]
name = "Learning"
[clients.lms.saml]
metadata = "sp.xml"
idp_initiated = {idp_initiated}
[clients.wiki]
name = "Wiki"
secret_sha256 = ["{digest}"]
[clients.wiki.oidc]
redirect_uris = ["https://wiki.example.org/cb"]
initiate_login_uri = "https://wiki.example.org/begin?a=b"
[clients.shop]
name = "Shop"
[clients.shop.token]
return_urls = ["https://shop.example.org/in"]
[clients.two]
name = "Two"
[clients.two.token]
return_urls = ["https://two.example.org/in", "https://two.example.org/other"]
[clients.staff]
name = "Staff"
url = "https://staff.example.org/"
entry = {{ roles = ["Staff"] }}
[clients.staff.token]
return_urls = ["https://staff.example.org/in"]
[clients.home]
name = "Home"
url = "https://home.example.org/"
[clients.home.token]
return_urls = ["https://home.example.org/in"]
"""


@pytest.fixture
def parts(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Parts]:
    on = getattr(request, "param", True)
    (tmp_path / "idp.toml").write_text(CONFIG.format(idp_initiated=str(on).lower(), digest="0" * 64))
    (tmp_path / "people.toml").write_text('[[people]]\nid = "101"\nusername = "ada"\npassword = "demo"\nemail = "ada@example.org"\n')
    (tmp_path / "sp.xml").write_text(SP_METADATA)
    loaded = load(tmp_path / "idp.toml")
    KeyRing(loaded.config.keys.folder).create_if_empty()
    store = SqliteStore(tmp_path / "store.sqlite3")
    yield build_parts(loaded, store)
    store.close()


def launch_url(parts: Parts, client_id: str) -> str:
    client = parts.clients.get(client_id)
    assert client is not None
    protocol: object = parts.protocols.by_name()[client.protocol]
    return protocol.launch_url(client) if isinstance(protocol, Launches) else ""


def test_S62_a_saml_application_that_allows_it_begins_at_our_start_address(parts: Parts) -> None:
    assert launch_url(parts, "lms") == "http://127.0.0.1:8089/saml/start?sp=https%3A%2F%2Fsp.example.org%2Fmetadata"


@pytest.mark.parametrize("parts", [False], indirect=True)
def test_S62_one_that_does_not_allow_it_has_none(parts: Parts) -> None:
    assert launch_url(parts, "lms") == ""


def test_an_openid_client_begins_at_its_own_address_which_learns_our_name(parts: Parts) -> None:
    assert launch_url(parts, "wiki") == "https://wiki.example.org/begin?a=b&iss=http%3A%2F%2F127.0.0.1%3A8089"


def test_a_simple_vendor_with_one_page_begins_at_our_sign_on_and_one_with_two_nowhere(parts: Parts) -> None:
    assert launch_url(parts, "shop") == "http://127.0.0.1:8089/token/signon?client=shop"
    assert launch_url(parts, "two") == ""


class TestPage:
    @pytest.fixture
    def app(self, parts: Parts) -> Flask:
        return create_app_of(parts)

    def page(self, app: Flask, parts: Parts, begin: str = "") -> str:
        subject = parts.directory.authenticate("ada", Secret("demo"))
        assert subject is not None
        _, cookies = parts.sessions.open(subject, None)
        client = app.test_client()
        client.set_cookie("idp_session", cookies.session.reveal(), domain="127.0.0.1")
        if begin:
            assert client.get(begin, base_url="http://127.0.0.1:8089").status_code == 200
        return client.get("/", base_url="http://127.0.0.1:8089").text

    def test_U14_the_page_links_each_of_them_and_none_that_the_member_may_not_enter(self, app: Flask, parts: Parts) -> None:
        page = self.page(app, parts)
        for name, url in (
            ("Learning", "http://127.0.0.1:8089/saml/start?sp=https%3A%2F%2Fsp.example.org%2Fmetadata"),
            ("Wiki", "https://wiki.example.org/begin?a=b&amp;iss=http%3A%2F%2F127.0.0.1%3A8089"),
            ("Shop", "http://127.0.0.1:8089/token/signon?client=shop"),
            ("Home", "https://home.example.org/"),
        ):
            assert f'<a href="{url}">{name}</a>' in page
        assert "Staff" not in page
        assert "Two" not in page

    def test_U14_the_page_shows_what_a_real_sign_on_released(self, app: Flask, parts: Parts) -> None:
        page = self.page(app, parts, begin="/token/signon?client=shop")
        assert "What Shop can see" in page
        assert "<dd>ada@example.org</dd>" in page
        assert "What Home can see" not in page
