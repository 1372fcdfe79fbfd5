"""What the session machine is run against: an identity provider with two OpenID Connect clients, two token vendors and two members,
either in this process or behind a socket; and a browser as far as its cookies go."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from html import unescape
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

MEMBERS = ("ada", "ben")
PASSWORD = "demo"
SECRET = "machine-secret"
OIDC, VENDORS = ("rp", "forum"), ("events", "wiki")
TOLD = frozenset({"rp", "forum", "events"})
"""Clients that take notices; wiki has no way to be told."""
CODE_LIFE, TICKET_LIFE, ACCESS_LIFE = 60, 30, 600
IDLE, ABSOLUTE = 3600, 12 * 3600
MAX_AGE = 30
"""What a request of the kind "recent" says of the login: at most so many seconds old."""

_OIDC = """
[clients.{id}]
max_age = 0
secret_sha256 = ["{digest}"]
[clients.{id}.oidc]
redirect_uris = ["https://{id}.example.org/back"]
require_pkce = false
grant_types = ["authorization_code", "refresh_token"]
backchannel_logout_uri = "{notices}/{id}"
tokens = {{ replay_window = 0 }}
"""
_VENDOR = """
[clients.{id}]
max_age = 0
secret_sha256 = ["{digest}"]
[clients.{id}.token]
method = "get"
return_urls = ["https://{id}.example.org/back"]
"""


def clients_table(digest: str, notices: str) -> str:
    """The four clients for idp.toml. `notices` is where notices go. Each asks the directory anew at every answer (max_age = 0)."""
    vendors = "".join(
        _VENDOR.format(id=each, digest=digest) + (f'logout_url = "{notices}/{each}"\n' if each in TOLD else "") for each in VENDORS
    )
    return "".join(_OIDC.format(id=each, digest=digest, notices=notices) for each in OIDC) + vendors


def people_table(disabled: frozenset[str]) -> str:
    """The people file."""
    return "".join(
        f'[[people]]\nid = "{101 + number}"\nusername = "{name}"\npassword = "{PASSWORD}"\nemail = "{name}@example.org"\n'
        f"active = {str(name not in disabled).lower()}\n"
        for number, name in enumerate(MEMBERS)
    )


@dataclass(frozen=True)
class Reply:
    """An HTTP answer. `cookies` are its Set-Cookie lines."""

    status: int
    location: str
    text: str
    cookies: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """Of our own address that the browser is sent to."""
        parts = urlsplit(self.location)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    @property
    def asked(self) -> dict[str, str]:
        """The parameters of the address that the browser is sent to."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.location).query).items()}

    @property
    def client(self) -> str:
        """Whose address the browser is sent to; empty for ours, and for a page."""
        host, _, rest = (urlsplit(self.location).hostname or "").partition(".")
        return host if rest == "example.org" and host in OIDC + VENDORS else ""


class World(Protocol):
    """An identity provider that runs. `exact` when its clock stands still between two steps."""

    exact: bool

    def ask(self, method: str, path: str, fields: dict[str, str], headers: dict[str, str]) -> Reply: ...

    def now(self) -> int: ...

    def pass_time(self, seconds: int) -> None:
        """On a real server, just as long as until the next second."""

    def look_for_expired(self) -> None: ...

    def set_disabled(self, names: frozenset[str]) -> None: ...

    def end_all_of(self, name: str) -> None:
        """What the operator's command does."""

    def notices(self) -> Counter[tuple[str, str]]:
        """How often each client was told of the end of each session, by the name that the client knows."""


class TimedWorld(World, Protocol):
    """One whose clock stands still until it is moved, and whose workers' own rounds are made by hand."""

    def set_dead(self, clients: frozenset[str]) -> None:
        """Their servers do not answer from now on, the others' do."""

    def tell_what_is_due(self) -> None:
        """The queue of notices, as a worker runs it."""

    def retry(self, notice_id: str) -> str | None:
        """The operator's command: tries one notice now; why it failed, "" for a success, None when there is none."""

    def drop(self, notice_id: str) -> bool:
        """The operator's command: gives one up."""

    def waiting(self) -> dict[str, int]:
        """The notices that wait, with the time of the next try."""

    def leave_untold(self, session_id: str) -> bool:
        """A worker ends the session and is killed before it tells anybody; whether there was one to end."""

    def finish_left(self) -> int:
        """A worker's look at what others have left; how many sessions."""


@dataclass
class Jar:
    """A browser's cookies."""

    world: World
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def session(self) -> str:
        """The value of its session cookie; empty without one."""
        return next((value for name, value in self.cookies.items() if name.endswith("idp_session")), "")

    @session.setter
    def session(self, value: str) -> None:
        for name in [name for name in self.cookies if name.endswith("idp_session")]:
            self.cookies[name] = value

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None, headers: dict[str, str] | None = None) -> Reply:
        sent = {**(headers or {}), "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        reply = self.world.ask(method, path, fields or {}, sent)
        for line in reply.cookies:
            pair, _, attributes = line.partition(";")
            name, _, value = pair.partition("=")
            if "max-age=0" in attributes.lower():
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return reply

    def who(self) -> str:
        """As whom the start page greets; empty for nobody."""
        found = re.search(r"as <strong>(\w+)</strong>", self.ask("GET", "/").text)
        return found[1] if found else ""


def client_headers(client: str) -> dict[str, str]:
    """The proof that a client is who it says."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client}:{SECRET}".encode()).decode()}


def sign_on_path(client: str, kind: str) -> tuple[str, dict[str, str]]:
    """Where a client sends the browser, and what it asks for: plain, fresh, recent or passive."""
    if client in VENDORS:
        return "/token/signon", {"client": client, **({} if kind == "plain" else {kind: "1"})}
    asked = {"response_type": "code", "client_id": client, "redirect_uri": f"https://{client}.example.org/back", "scope": "openid"}
    prompts = {"fresh": {"prompt": "login"}, "passive": {"prompt": "none"}, "plain": {}, "recent": {"max_age": str(MAX_AGE)}}
    return "/oauth/authorize", {**asked, "state": "s", "nonce": "n", **prompts[kind]}


def form_token(page: str) -> str:
    found = re.search(r'name="form_token" value="([^"]*)"', page)
    return unescape(found[1]) if found else ""


def session_named_in(token: str) -> str:
    """The `sid` of a JWT."""
    payload = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"])
