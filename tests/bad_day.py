"""A real server before a simulated iMIS, and fifty members who know a vendor of each protocol: for tests and figures of a bad day."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from idp.clock import utc_now
from idp.demo.mailbox import Mailbox, receiving
from tests.bare_browser import BareBrowser, Relying, saml_path
from tests.port import free_port
from tests.server import Server
from tests.simulated_imis import SERVICE, SimulatedImis, simulated_imis

MEMBERS = tuple(f"member{number:02}" for number in range(50))
HOST = "login.assoc.localhost"
"""Shares the parent domain `assoc.localhost` with the cookie vendor."""
_SERVICE = f"""
[[people]]
id = "9001"
username = "{SERVICE}"
password = "demo"
roles = ["RemoteService", "SysAdmin"]
"""
_PERSON = """
[[people]]
id = "2{number:03}"
username = "member{number:02}"
password = "demo"
first_name = "Member"
last_name = "Number {number}"
email = "member{number:02}@mail.example"
member_type = "REG"
"""
_CLIENTS = """
[clients.shop.token]
return_urls = ["https://shop.example/sso"]
[clients.cms.cookie]
return_urls = ["http://cms.assoc.localhost:9000/sso"]
[clients.journal.jsonp]
origins = ["https://journal.example"]
return_urls = ["https://journal.example/sso"]
expires = 2099-12-31
[clients.lms.saml]
metadata = "sp.xml"
[clients.rp]
secret_sha256 = ["2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"]
[clients.rp.oidc]
redirect_uris = ["https://rp.example.org/cb"]
"""
SECRET = "secret"


class Member(BareBrowser):
    """A member's browser."""

    def __init__(self, day: BadDay, name: str) -> None:
        super().__init__(day.server.port)
        self._day = day
        self._name = name
        self._came: tuple[int, str, str] = (0, "", "")

    def ask(self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> tuple[int, str, str]:
        sent = {"Host": self._day.host, **(headers or {})}
        try:
            self._came = super().ask(method, path, body, sent)
        except ConnectionError:  # a kept connection that the server has closed meanwhile
            self.again()
            self._came = super().ask(method, path, body, sent)
        return self._came

    def log_in(self, password: str = "demo") -> int:
        """Status of what the sign-in page answers."""
        return self.fill("/login", username=self._name, password=password)[0]

    def fill(self, path: str, **fields: str) -> tuple[int, str, str]:
        """Opens the page and posts its form."""
        _, _, page = self.ask("GET", path)
        form = re.search(r'<form method="post" action="([^"]+)".*?</form>', page, re.DOTALL)
        assert form, page
        hidden = {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form[0])}
        return self.ask("POST", form[1], urlencode({**hidden, **fields}))

    def saml(self) -> bool:
        return "SAMLResponse" in self.ask("GET", saml_path(self._day.url))[2]

    def openid(self) -> bool:
        relying = Relying(self, SECRET)
        code = parse_qs(urlsplit(self.ask("GET", relying.authorize_path())[1]).query).get("code")
        return bool(code) and self.ask("POST", "/oauth/token", urlencode(relying.exchange(code[0])), relying.credentials)[0] == 200

    def token(self) -> bool:
        return "https://shop.example/sso" in self.ask("GET", "/token/signon?client=shop")[2]

    def cookie(self) -> bool:
        location = self.ask("GET", "/cookie/signon?client=cms")[1]
        return location.startswith("http://cms.assoc.localhost:9000/sso") and "idp_cms" in self.cookie_names()

    def jsonp(self) -> bool:
        sent = {"Referer": "https://journal.example/page"}
        return '"signedIn":true' in self.ask("GET", "/jsonp/ping?client=journal&callback=f", headers=sent)[2].replace(" ", "")

    def every_protocol(self) -> list[str]:
        """The protocols that failed, each with what came instead."""
        ways = {"saml": self.saml, "oidc": self.openid, "token": self.token, "cookie": self.cookie, "jsonp": self.jsonp}
        return [f"{name}: {self._came}" for name, way in ways.items() if not way()]


class BadDay:
    """What runs."""

    def __init__(self, server: Server, imis: SimulatedImis, mail_port: int, host: str) -> None:
        self.server = server
        self.imis = imis
        self.mail_port = mail_port
        self.host = host
        self.url = f"http://{host}"

    def member(self, name: str) -> Member:
        return Member(self, name)

    @contextmanager
    def mail(self) -> Iterator[Mailbox]:
        """The mail server answers for as long as the block; before and after it is away."""
        mailbox = Mailbox()
        with receiving(mailbox, port=self.mail_port):
            yield mailbox

    def signed_in(self) -> list[Member]:
        """All fifty, each in a browser."""
        found = [self.member(name) for name in MEMBERS]
        assert {each.log_in() for each in found} == {303}
        return found


class _Server(Server):
    """Under a name of its own; the port is chosen before the configuration is written."""

    def __init__(self, folder: Path, port: int, **settings: Any) -> None:
        self._chosen = port
        super().__init__(folder, **settings)

    @property
    def port(self) -> int:
        return self._chosen

    @port.setter
    def port(self, _: int) -> None:
        return


@contextmanager
def bad_day(folder: Path, *, workers: int = 2, more: str = "") -> Iterator[BadDay]:
    """The server, whose environment goes over its file: people are asked of the simulated iMIS."""
    folder.mkdir(parents=True, exist_ok=True)
    people = folder / "association.toml"
    people.write_text(_SERVICE + "".join(_PERSON.format(number=number) for number in range(len(MEMBERS))))
    port, mail_port = free_port(), free_port()
    host = f"{HOST}:{port}"
    with ExitStack() as stack:
        imis = stack.enter_context(simulated_imis(people, now=utc_now))
        stack.enter_context(_environment(_settings(f"http://{host}", imis.url, mail_port)))
        server = _Server(folder, port, workers=workers, more=_CLIENTS + more)
        try:
            yield BadDay(server, imis, mail_port, host)
        finally:
            server.stop()


def _settings(url: str, imis: str, mail: int) -> dict[str, str]:
    return {
        "IDP_SERVER_URL": url,
        "IDP_DIRECTORY_KIND": "imis-rest",
        "IDP_DIRECTORY_SITE_URL": imis,
        "IDP_DIRECTORY_ALLOW_HTTP": "true",
        "IDP_DIRECTORY_SERVICE_USERNAME": SERVICE,
        "IDP_DIRECTORY_SERVICE_PASSWORD": '{ env = "BAD_DAY_PASSWORD" }',
        "BAD_DAY_PASSWORD": "demo",
        "IDP_ACCOUNT_MODE": "hosted",
        "IDP_ACCOUNT_REQUESTS_PER_ADDRESS": "1000000",
        "IDP_MAIL_HOST": "127.0.0.1",
        "IDP_MAIL_PORT": str(mail),
        "IDP_MAIL_STARTTLS": "false",
        "IDP_MAIL_SENDER": "login@assoc.example",
    }


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
