"""The whole application over a simulated iMIS whose own page is the sign-in page, and somebody at a browser who goes to and fro."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp.app import create_app_of
from idp.config import load
from idp.demo.imis import SimulatorSettings
from idp.parts import build_parts
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import PEOPLE, SERVICE, SimulatedImis, simulated_imis
from tests.standin import Clock, Events

URL = "https://login.example.org"
FORMS = "/AsiCommon/Controls/Shared/FormsAuthentication"
REDIRECT = """
sign_in = "imis-redirect"
client_id = "idp"
client_secret = { file = "secret" }
"""
COOKIE = """
sign_in = "imis-cookie"
login_cookie = "Login"
"""
LEAVING = f'logout_url = "IMIS{FORMS}/logout.aspx?returnurl={{return}}"\n'
_CONFIG = """
[server]
url = "{url}"
name = "Example Association"
{directory}
[clients.lms]
name = "Learning center"
[clients.lms.token]
return_urls = ["https://lms.example.com/back"]
method = "get"
[clients.wiki]
name = "Wiki"
[clients.wiki.token]
return_urls = ["https://wiki.example.com/back"]
method = "get"
"""
_DIRECTORY = """
kind = "imis-rest"
site_url = "IMIS"
allow_http = true
service_username = "{service}"
service_password = {{ file = "secret" }}
"""
STAFF = 'kind = "people"\npeople = "staff.toml"\nprefix = "staff:"\n'


def single(more: str) -> str:
    """[directory] of one iMIS."""
    return f"[directory]{_DIRECTORY.format(service=SERVICE)}{more}"


def with_staff(more: str) -> str:
    """Members in iMIS, staff by our form."""
    members = f"[directory.named.members]{_DIRECTORY.format(service=SERVICE)}{more}"
    return f'[directory]\nkind = "several"\n{members}\n[directory.named.staff]\n{STAFF}'


class Abroad:
    """The application. `imis` is where its members sign in."""

    def __init__(self, folder: Path, imis: SimulatedImis, directory: str) -> None:
        (folder / "idp.toml").write_text(_CONFIG.format(url=URL, directory=directory.replace("IMIS", imis.url)))
        (folder / "secret").write_text("demo")
        (folder / "staff.toml").write_text('[[people]]\nid = "1"\nusername = "stella"\npassword = "demo"\n')
        self.imis = imis
        self.audit = Events()
        self.now = Clock()
        self.store = SqliteStore(folder / "store.sqlite", now=self.now)
        self.parts = build_parts(load(folder / "idp.toml", {}), self.store, audit=self.audit, now=self.now)
        self.parts.keys.create_if_empty()
        self.app = create_app_of(self.parts)

    def visitor(self) -> Visitor:
        return Visitor(self)

    def causes(self) -> list[str]:
        return [line["cause"] for line in self.audit.of("login.refused")]


@contextmanager
def abroad(folder: Path, directory: str, **simulated: object) -> Iterator[Abroad]:
    """For as long as the block runs."""
    urls = (("idp", f"{URL}/imis/callback{'/members' if 'several' in directory else ''}"),)
    settings = SimulatorSettings.model_validate({"client_applications": (("idp", "demo"),), "login_redirect_urls": urls, **simulated})
    with ExitStack() as stack:
        built = Abroad(folder, stack.enter_context(simulated_imis(PEOPLE, settings, now=Clock())), directory)
        stack.callback(built.store.close)
        yield built


@dataclass(frozen=True)
class Seen:
    """A page: where it is, and what it shows. `url` of a vendor's page is all that there is of it."""

    url: str
    status: int = 200
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def path(self) -> str:
        return urlsplit(self.url).path


class Visitor:
    """A browser with the cookies of both sites. It follows redirects, and posts what a page has it post; a foreign post comes without
    our cookies. `parent_domain`: iMIS's cookie is for us, too."""

    def __init__(self, world: Abroad) -> None:
        self.world = world
        self.client: FlaskClient = world.app.test_client()
        self.imis_cookie = ""
        self.parent_domain = False

    def opens(self, url: str) -> Seen:
        """Goes there, and on to where it leads."""
        for _ in range(20):
            seen = self.asks(url)
            if seen.status in (302, 303):
                url = seen.headers["Location"] if "://" in seen.headers["Location"] else _origin(url) + seen.headers["Location"]
                continue
            if "refresh_token" in seen.text and seen.url.startswith(self.world.imis.url):
                return self.is_posted(ticket_of(seen.text))
            return seen
        raise AssertionError("it goes round in circles")

    def asks(self, url: str) -> Seen:
        """One GET."""
        if url.startswith(self.world.imis.url):
            answer = self.world.imis.browse("GET", url.removeprefix(self.world.imis.url), cookie=self.imis_cookie)
            self._keep(answer.headers)
            return Seen(url, answer.status, answer.text, answer.headers)
        if url.startswith(f"{URL}/"):
            return _seen(url, self.client.get(url.removeprefix(URL), base_url=URL, buffered=True))
        return Seen(url)

    def begins(self, client: str = "lms", **more: str) -> Seen:
        """Presses Sign in at a vendor."""
        return self.opens(f"{URL}/token/signon?{urlencode({'client': client, **more})}")

    def types_at_imis(self, seen: Seen, username: str = "ada", password: str = "demo") -> Seen:
        """Fills in iMIS's own form."""
        path = seen.url.removeprefix(self.world.imis.url)
        answer = self.world.imis.browse("POST", path, form={"username": username, "password": password}, cookie=self.imis_cookie)
        self._keep(answer.headers)
        if answer.status != 302:
            return Seen(seen.url, answer.status, answer.text)
        back = answer.headers["Location"]
        return self.opens(back if "://" in back else self.world.imis.url + back)

    def is_posted(self, ticket: str, *, origin: str | None = None, door: str = "") -> Seen:
        """Some page has this browser post a ticket to us: iMIS's, or that of another origin; and so on, as our page says."""
        origin = self.world.imis.url if origin is None else origin
        path = f"/imis/callback{'/members' if self.world.parts.ways.door('members') else ''}"
        stranger = self.world.app.test_client()  # SameSite=Lax: what is here stays at home
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"} if origin else {"Sec-Fetch-Site": "cross-site"}
        page = stranger.post(path, base_url=URL, data={"refresh_token": ticket}, headers=headers)
        assert not page.headers.getlist("Set-Cookie"), "it would take the place of the browser's own"
        if page.status_code != 200:
            return _seen(URL + path, page)
        form = forms(page.text)[0]
        return self.posts(form.action, form.fields)

    def posts(self, url: str, fields: Mapping[str, str]) -> Seen:
        """A form of ours."""
        path = url.removeprefix(URL)
        answer = self.client.post(path, base_url=URL, data=dict(fields), headers={"Sec-Fetch-Site": "same-origin"})
        seen = _seen(URL + path, answer)
        return self.opens(seen.headers["Location"]) if seen.status in (302, 303) else seen

    def signs_out(self) -> Seen:
        return self.submits(self.opens(f"{URL}/logout"), "/logout")

    def submits(self, seen: Seen, action: str, **more: str) -> Seen:
        """The form of the page with that action."""
        form = next(form for form in forms(seen.text) if form.action.endswith(action))
        return self.posts(form.action, {**form.fields, **more})

    def is_signed_in(self) -> bool:
        return "You are signed in" in self.asks(f"{URL}/").text

    def is_signed_in_at_imis(self) -> bool:
        return "refresh_token" in self.world.imis.browse("GET", "/idp.aspx", cookie=self.imis_cookie).text

    def ticket(self, username: str = "ada") -> str:
        """One that iMIS gives somebody else, in their own browser."""
        other = self.world.visitor()
        other.imis_cookie = _cookie(self.world.imis.browse("POST", "/SignIn", form={"username": username, "password": "demo"}).headers)
        return ticket_of(self.world.imis.browse("GET", "/idp.aspx", cookie=other.imis_cookie).text)

    def _keep(self, headers: Mapping[str, str]) -> None:
        if "Set-Cookie" not in headers:
            return
        self.imis_cookie = _cookie(headers)
        if self.parent_domain and self.imis_cookie:
            self.client.set_cookie("Login", self.imis_cookie.partition("=")[2], domain="login.example.org")
        elif self.parent_domain:
            self.client.delete_cookie("Login", domain="login.example.org")


@dataclass(frozen=True)
class Form:
    action: str
    fields: Mapping[str, str]


def forms(text: str) -> list[Form]:
    """The forms of one of our pages."""
    found = []
    for action, content in re.findall(r'<form method="post" action="([^"]*)".*?>(.*?)</form>', text, re.DOTALL):
        fields = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', content)
        found.append(Form(html.unescape(action), {name: html.unescape(value) for name, value in fields}))
    return found


def buttons(seen: Seen) -> dict[str, str]:
    """Text and address of the page's buttons that are links."""
    found = re.findall(r'<a class="button[^"]*" href="([^"]*)">([^<]*)</a>', seen.text)
    return {html.unescape(text): html.unescape(url) if "://" in url else URL + html.unescape(url) for url, text in found}


def ticket_of(text: str) -> str:
    return html.unescape(re.findall('name=refresh_token value="([^"]+)"', text)[0])


def _cookie(headers: Mapping[str, str]) -> str:
    pair = headers.get("Set-Cookie", "").split(";")[0]
    return pair if pair.partition("=")[2] else ""


def _seen(url: str, response: TestResponse) -> Seen:
    return Seen(url, response.status_code, response.get_data(as_text=True), response.headers)  # type: ignore[arg-type]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
