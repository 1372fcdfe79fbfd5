"""The samples that vendors copy from, each run as it stands against a running server: deploy/samples in PHP, Python and Node."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from idp.keys import KeyRing
from idp.sso.logout_token import LogoutTokens
from idp.sso.session import Session
from tests.port import free_port
from tests.server import Server

SAMPLES = Path(__file__).parent.parent.parent / "deploy" / "samples"
SECRET = "a-secret-of-the-samples"
CLIENTS = """
[clients.sample-token]
secret = {{ file = "secret" }}
[clients.sample-token.token]
return_urls = ["{site}/sso"]
logout_url = "http://127.0.0.1:{port}/logout-notice"
[clients.sample-cookie]
secret = {{ file = "secret" }}
[clients.sample-cookie.cookie]
return_urls = ["{site}/cookie"]
[clients.sample-jsonp]
secret = {{ file = "secret" }}
[clients.sample-jsonp.jsonp]
origins = ["{site}"]
return_urls = ["{site}/page"]
expires = 2099-12-31
"""
LANGUAGES = {
    "python": (sys.executable, ["vendor.py", "{port}"]),
    "node": ("node", ["vendor.mjs", "{port}"]),
    "php": ("php", ["-S", "127.0.0.1:{port}", "vendor.php"]),
}

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("samples")]


class Association(Server):
    """The server under a name that it shares a parent domain with; it is reached by its address all the same."""

    def start(self) -> None:
        os.environ["IDP_SERVER_URL"] = f"http://idp.assoc.localhost:{self.port}"
        try:
            super().start()
        finally:
            del os.environ["IDP_SERVER_URL"]


@dataclass
class Street:
    """Our server, the sample's site, and a browser. Both sites are reached by their address; names are in the URLs alone."""

    server: Association
    port: int
    browser: requests.Session = field(default_factory=requests.Session)
    ours: requests.Session = field(default_factory=requests.Session)

    @property
    def public(self) -> str:
        return f"http://idp.assoc.localhost:{self.server.port}"

    @property
    def site(self) -> str:
        return f"http://cms.assoc.localhost:{self.port}"

    def visit(self, path: str, **keywords: object) -> requests.Response:
        """A page of the vendor's."""
        url = f"http://127.0.0.1:{self.port}{path}"
        return self.browser.request("POST" if "data" in keywords else "GET", url, allow_redirects=False, timeout=20, **keywords)

    def at_ours(self, url: str, **keywords: object) -> requests.Response:
        """A page of ours, as the browser is sent there."""
        url = url.replace(self.public, self.server.url)
        return self.ours.request("POST" if "data" in keywords else "GET", url, allow_redirects=False, timeout=20, **keywords)

    def sign_in(self) -> None:
        assert self._send("/login", username="ada", password="demo").is_redirect

    def sign_out(self) -> None:
        """At ours; vendors are told before the answer comes."""
        assert self._send("/logout").is_redirect

    def _send(self, path: str, **fields: str) -> requests.Response:
        form_token = re.search(r'name="form_token" value="([^"]*)"', self.at_ours(f"{self.public}{path}").text)
        assert form_token
        return self.at_ours(f"{self.public}{path}", data={**fields, "form_token": form_token[1]})

    def token(self) -> str:
        """What our page posts to the sample, after the sample sent the member to us."""
        page = self.at_ours(self.visit("/login").headers["Location"]).text
        assert f'action="{self.site}/sso"' in page
        found = re.search(r'name="token" value="([^"]*)"', page)
        assert found
        return found[1]

    def session_id(self) -> str:
        return str(self.ours.cookies.get("idp_session") or "").partition(".")[0]

    def notice(self, *, issuer: str = "", client_id: str = "sample-token", age: int = 0, keys: Path | None = None) -> str:
        """A logout token about the member's session, made as the server makes them."""
        now = int(time.time()) - age
        session = Session(self.session_id(), "101", "ada", now, "_l", now + 100, now)
        tokens = LogoutTokens(KeyRing(keys or self.server.folder / "keys"), issuer=issuer or self.public, now=lambda: now)
        return tokens.notice("http://x.example/", client_id=client_id, session=session).fields["logout_token"]

    def deliver(self, notice: str) -> int:
        return requests.post(f"http://127.0.0.1:{self.port}/logout-notice", data={"logout_token": notice}, timeout=20).status_code


@pytest.fixture(scope="module", params=LANGUAGES)
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Association, int]]:
    """The server, and the sample beside it."""
    language = str(request.param)
    program = shutil.which(LANGUAGES[language][0])
    if program is None and os.environ.get("CI"):
        pytest.fail(f"no {language} to run the sample with")
    if program is None:
        pytest.skip(f"no {language} to run the sample with")
    folder, port = tmp_path_factory.mktemp(language), free_port()
    (folder / "secret").write_text(SECRET)
    server = Association(folder, more=CLIENTS.format(site=f"http://cms.assoc.localhost:{port}", port=port))
    told = {"IDP_URL": f"http://idp.assoc.localhost:{server.port}", "IDP_SERVICE_URL": server.url, "IDP_SECRET": SECRET}
    own = {"SITE_URL": f"http://cms.assoc.localhost:{port}", "VENDOR_FOLDER": str(folder / "vendor")}
    words = [word.format(port=port) for word in LANGUAGES[language][1]]
    with open(folder / "sample.log", "ab") as log:
        sample = subprocess.Popen(
            [program, *words], cwd=SAMPLES / language, env={**os.environ, **told, **own}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for(port, sample)
        yield server, port
    finally:
        sample.terminate()
        sample.wait(20)
        server.stop()


def wait_for(port: int, sample: subprocess.Popen[bytes]) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert sample.poll() is None, "the sample ended at once"
        time.sleep(0.05)
    raise RuntimeError("the sample did not listen")


@pytest.fixture
def street(running: tuple[Association, int]) -> Iterator[Street]:
    """A member who is signed in at ours, and at no vendor."""
    made = Street(*running)
    made.sign_in()
    yield made
    made.browser.close()
    made.ours.close()


def test_a_token_is_redeemed_and_the_member_is_signed_in_there(street: Street) -> None:
    assert street.visit("/").text == "You are not signed in."
    entered = street.visit("/sso", data={"token": street.token()})
    assert entered.text == "Welcome, Ada Example (101)"
    cookie = entered.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert street.visit("/").text == "Welcome, Ada Example (101)"


def test_S16_a_replayed_token_signs_nobody_in_and_its_cause_and_reference_are_shown(street: Street) -> None:
    token = street.token()
    street.visit("/sso", data={"token": token})
    street.browser.cookies.clear()
    again = street.visit("/sso", data={"token": token})
    assert again.status_code == 400
    assert re.search(r"\(ticket\.replayed, reference [0-9A-Z]{4}-[0-9A-Z]{4}\)", again.text)
    assert street.visit("/").text == "You are not signed in."


@pytest.mark.parametrize("token", ["", "x", "<script>", "A" * 43])
def test_an_invented_token_is_refused(street: Street, token: str) -> None:
    answer = street.visit("/sso", data={"token": token})
    assert answer.status_code == 400
    assert "<script>" not in answer.text
    assert street.visit("/").text == "You are not signed in."


def test_the_shared_cookie_is_read_and_redeemed(street: Street) -> None:
    answer = street.at_ours(f"{street.public}/cookie/signon?client=sample-cookie&return={street.site}/cookie")
    assert answer.headers["Location"] == f"{street.site}/cookie"
    found = re.search(r"idp_sample-cookie=([^;]+); Domain=assoc\.localhost", answer.headers["Set-Cookie"])
    assert found, answer.headers["Set-Cookie"]
    entered = street.visit("/cookie", headers={"Cookie": f"idp_sample-cookie={found[1]}"})
    assert entered.text == "Welcome, Ada Example (101)"


def test_a_tossed_cookie_is_refused(street: Street) -> None:
    assert street.visit("/cookie", headers={"Cookie": "idp_sample-cookie=tossed"}).status_code == 400


def test_the_page_asks_where_we_answer(street: Street) -> None:
    """Its addresses are taken out of it and asked as a browser would; tests/simple/test_jsonp.py has the refusals."""
    page = street.visit("/page").text
    fetch, script = re.findall(rf'"({street.public}/jsonp/[^"]*)"', page)
    assert street.at_ours(fetch, headers={"Origin": street.site}).json()["signedIn"] is True
    told = street.at_ours(script, headers={"Referer": f"{street.site}/page"}).text
    assert re.fullmatch(r"/\*\*/typeof enter==='function'&&enter\(\{\"signedIn\": true.*\}\);", told)


def test_the_logout_page_ends_its_own_session_and_sends_the_member_to_ours(street: Street) -> None:
    street.visit("/sso", data={"token": street.token()})
    onward = street.visit("/logout").headers["Location"]
    assert street.visit("/").text == "You are not signed in."
    followed = street.at_ours(onward, headers={"Referer": f"{street.site}/"})
    assert followed.headers["Location"].startswith(f"{street.public}/logout/")
    assert street.at_ours(followed.headers["Location"]).headers["Location"] == f"{street.site}/sso"
    assert 'name="password"' in street.at_ours(f"{street.public}/login").text


def test_S45_the_servers_own_notice_signs_the_member_out_there(street: Street) -> None:
    street.visit("/sso", data={"token": street.token()})
    street.sign_out()
    assert street.visit("/").text == "You are not signed in."


def test_S45_a_notice_is_good_once(street: Street) -> None:
    notice = street.notice()
    assert [street.deliver(notice), street.deliver(notice)] == [200, 400]


def test_S45_notices_that_are_not_good_sign_nobody_out(street: Street, tmp_path: Path) -> None:
    street.visit("/sso", data={"token": street.token()})
    KeyRing(tmp_path).create_if_empty(now=lambda: int(time.time()))
    good = street.notice()
    bad = {
        "nothing": "",
        "no token": "x.y",
        "no JSON": "e30.e30.e30",
        "of another issuer": street.notice(issuer="https://evil.example"),
        "for another client": street.notice(client_id="sample-cookie"),
        "expired": street.notice(age=3600),
        "by another key": street.notice(keys=tmp_path),
        "by another key under our key's name": with_header(street.notice(keys=tmp_path), kid=header_of(good)["kid"]),
        "unsigned": with_header(good, alg="none").rpartition(".")[0] + ".",
        "an ID token": with_header(good, typ="JWT"),
        "HS256": with_header(good, alg="HS256"),
        "with another signature": good[:-8] + ("A" * 8 if not good.endswith("A" * 8) else "B" * 8),
        "with two signatures": f"{good}.{good.rpartition('.')[2]}",
    }
    assert {name: street.deliver(notice) for name, notice in bad.items()} == dict.fromkeys(bad, 400)
    assert street.visit("/").text == "Welcome, Ada Example (101)"
    assert street.deliver(good) == 200
    assert street.visit("/").text == "You are not signed in."


def header_of(token: str) -> dict[str, str]:
    head = token.partition(".")[0]
    value: dict[str, str] = json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))
    return value


def with_header(token: str, **changes: str) -> str:
    """The token with another header under the same signature."""
    head = base64.urlsafe_b64encode(json.dumps(header_of(token) | changes).encode()).decode().rstrip("=")
    return f"{head}.{token.partition('.')[2]}"


def test_the_C_sharp_sample_is_said_to_be_unproven_while_nothing_compiles_it() -> None:
    assert "**unproven**" in (SAMPLES / "README.md").read_text(encoding="utf-8")
    assert (SAMPLES / "csharp" / "Program.cs").is_file()
