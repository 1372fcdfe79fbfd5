"""The pages over a small house, wired as `idp/app.py` does it, with the echo protocol's own pages in place of the five real ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import unescape
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, request
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp.errors import BadRequest, IdpError, Unavailable
from idp.keys import KeyProblem
from idp.sso.answer import Redirect
from idp.sso.disclosure import Disclosures
from idp.sso.login import LoginSettings
from idp.sso.logout import Beginning
from idp.sso.member import MemberDesk
from idp.sso.protocol import SignOnRequest
from idp.sso.sign_in_log import SignInLog
from idp.web.browser import Browser
from idp.web.gateway import Gateway
from idp.web.home import home_pages
from idp.web.login import login_pages
from idp.web.logout import logout_pages
from idp.web.page import protect
from idp.web.refusal import install
from idp.web.settings import ServerSettings
from tests.sso.house import PASSWORD, House

URL = "https://login.assoc.example"


class Site:
    """One web server, seen from inside."""

    def __init__(self, house: House, *, url: str = URL, login: LoginSettings | None = None, server: ServerSettings | None = None) -> None:
        self.house = house
        self.server = server or ServerSettings(url=url, name="Example Association", trusted_proxies=("127.0.0.1",))
        self.app = Flask("idp.web", static_url_path="/static")
        self.app.config["MAX_CONTENT_LENGTH"] = 10_000
        self.app.jinja_env.globals["server"] = self.server
        browser = Browser(house.sessions, secure=self.server.secure)
        sign_ins = SignInLog(house.store, now=house.now)
        self.gateway = Gateway(
            self.server,
            browser=browser,
            signon=house.signon,
            logout=house.logout,
            clients=house.clients,
            audit=house.audit,
            sign_ins=sign_ins,
        )
        self.disclosures = Disclosures(house.store, session_life=12 * 3600, now=house.now)
        desk = MemberDesk(
            clients=house.clients,
            protocols={"echo": house.echo},
            subjects=house.subjects,
            sessions=house.sessions,
            logout=house.logout,
            consents=house.signon.consents,
            disclosures=self.disclosures,
            sign_ins=sign_ins,
            audit=house.audit,
            now=house.now,
        )
        install(self.app, house.audit)
        self.app.register_blueprint(home_pages(self.gateway, desk))
        self.app.register_blueprint(login_pages(self.gateway, house.desk, login or LoginSettings(), try_store=lambda: house.store.ping()))
        self.app.register_blueprint(logout_pages(self.gateway))
        self.app.register_blueprint(echo_pages(self.gateway))
        self.app.register_blueprint(broken_pages())

        @self.app.after_request
        def finish(response: Response) -> Response:
            browser.apply(response)
            return protect(response, secure=self.server.secure)

    def visitor(self) -> Visitor:
        return Visitor(self)

    def signed_in(self, *client_ids: str) -> Visitor:
        """A browser in which Ada has signed in, and these clients were told of it."""
        visitor = self.visitor()
        assert visitor.sign_in(visitor.get("/login")).status_code == 303
        for client_id in client_ids:
            assert client_id in visitor.get(f"/echo/signon?client={client_id}").location
        return visitor


def echo_pages(gateway: Gateway) -> Blueprint:
    """GET and POST /echo/signon, GET and POST /echo/logout, GET /echo/reply."""
    pages = Blueprint("echo", __name__, url_prefix="/echo")

    @pages.route("/signon", methods=["GET", "POST"])
    def sign_on() -> Response:
        client = gateway.clients.get(request.values.get("client", ""))
        if client is None:
            raise BadRequest("client.unknown", "This application is not known here.", received=request.values.get("client", ""))
        state = {"return": client.settings.return_url, **{name: True for name in ("post", "cookie") if name in request.values}}
        asked = SignOnRequest("echo", client.id, state, fresh="fresh" in request.values, login_hint=request.values.get("hint", ""))
        return gateway.start(asked)

    @pages.route("/logout", methods=["GET", "POST"])
    def log_out() -> Response:
        beginning = Beginning("echo", request.values["client"], {"return": f"https://{request.values['client']}.example/bye"})
        return gateway.end(request.values["session"], reason="client", beginning=beginning)

    @pages.get("/reply")
    def reply() -> Response:
        run = gateway.logout.replied(request.args["reply_to"], request.args["client"], done=True)
        return gateway.send(Redirect(gateway.run_url(run) if run else f"{gateway.url}/logout"))

    return pages


def broken_pages() -> Blueprint:
    """Whatever can go wrong in a view."""
    pages = Blueprint("broken", __name__, url_prefix="/broken")
    errors: Mapping[str, Exception] = {
        "unforeseen": RuntimeError("canary-in-a-message"),
        "refused": BadRequest("echo.odd", "This is odd.", expected="<even>", received="<script>alert(1)</script>", client_id="lms"),
        "away": Unavailable("store.unavailable", "The database is away.", received="/var/lib/canary/store.sqlite: busy"),
        "later": Unavailable("directory.unavailable", "Later.", retry_after=77),
        "keys": KeyProblem("There is no current signing key in /var/lib/canary. Run: idp keys create"),
        "busy": IdpError("login.throttled", "Slowly.", status=429, retry_after=60),
    }

    @pages.get("/<what>")
    def fail(what: str) -> Response:
        raise errors[what]

    return pages


class Visitor:
    """A browser as far as cookies go. What crosses sites comes without Lax cookies unless it is a top-level GET."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.client: FlaskClient = site.app.test_client()
        self._base = site.server.url

    def get(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(_path(path), base_url=self._base, headers=headers, buffered=True)

    def post(self, path: str, data: Mapping[str, str] | None = None, **headers: str) -> TestResponse:
        return self.client.post(_path(path), base_url=self._base, data=dict(data or {}), headers=headers)

    def post_across_sites(self, path: str, data: Mapping[str, str]) -> TestResponse:
        """A form of another site: the cookies that are here stay at home, those that come are kept."""
        stranger = self.site.app.test_client()
        response = stranger.post(path, base_url=self._base, data=dict(data), headers={"Sec-Fetch-Site": "cross-site"})
        for line in response.headers.getlist("Set-Cookie"):
            name, _, rest = line.partition("=")
            value, _, attributes = rest.partition(";")
            if "Max-Age=0" in attributes:
                self.client.delete_cookie(name, domain=urlsplit(self._base).hostname or "")
            else:
                self.client.set_cookie(name, value, domain=urlsplit(self._base).hostname or "", secure=True)
        return response

    def sign_in(self, page: TestResponse, username: str = "ada", password: str = PASSWORD) -> TestResponse:
        return self.post("/login", {**hidden_fields(page), "username": username, "password": password})

    def cookie(self, name: str) -> str:
        found = self.client.get_cookie(name, domain=urlsplit(self._base).hostname or "")
        return found.value if found else ""

    def cookies(self) -> dict[str, str]:
        return {cookie.key: cookie.value for cookie in (self.client._cookies or {}).values()}


def hidden_fields(page: TestResponse) -> dict[str, str]:
    """The hidden fields of the page's first form."""
    form = re.search(r"<form.*?</form>", page.text, re.DOTALL)
    assert form, page.text
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', form[0])}


def set_cookies(response: TestResponse) -> dict[str, str]:
    """Name -> attributes of each cookie that the response sets."""
    lines = [line.partition("=") for line in response.headers.getlist("Set-Cookie")]
    return {name: rest.partition("; ")[2] for name, _, rest in lines}


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
