"""The suite's part: a member's browser, a relying party, and what every answer must keep (`AbstractOIDCCServerTest`)."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from html import unescape
from http.cookiejar import Cookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests
from joserfc import jwt
from joserfc.jwk import KeySet
from requests.cookies import RequestsCookieJar

from tests.oidc.holder import Holder

CALLBACK = "https://rp.example.org/cb"
SIGNED_OUT = "https://rp.example.org/bye"
VERIFIER = "v" * 43
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_REGISTERED = {
    "invalid_request", "unauthorized_client", "access_denied", "unsupported_response_type", "invalid_scope", "server_error",
    "temporarily_unavailable", "interaction_required", "login_required", "account_selection_required", "consent_required",
    "invalid_request_uri", "invalid_request_object", "request_not_supported", "request_uri_not_supported",
    "registration_not_supported", "unmet_authentication_requirements", "invalid_target", "invalid_client", "invalid_grant",
}  # fmt: skip


@dataclass(frozen=True)
class Flow:
    """A response type, and form post or the mode that the type has by itself."""

    type: str = "code"
    form_post: bool = False

    @property
    def kinds(self) -> set[str]:
        return set(self.type.split())

    @property
    def way(self) -> str:
        return "form_post" if self.form_post else "query" if self.kinds == {"code"} else "fragment"


_TYPES = {"B": ("code",), "I": ("id_token", "id_token token"), "H": ("code id_token", "code token", "code id_token token")}
CODE = Flow()


def flows(profiles: str) -> list[Flow]:
    """Those of the profiles Basic, Implicit, Hybrid, and each of them once more by form post."""
    return [Flow(kind, form_post) for letter in profiles for kind in _TYPES[letter] for form_post in (False, True)]


def named(flow: Flow) -> str:
    return flow.type.replace(" ", "+") + ("-form_post" if flow.form_post else "")


@dataclass(frozen=True)
class Reply:
    """Where the browser ended: at a client's address, or on a page of ours."""

    way: str
    to: str
    params: Mapping[str, str]
    status: int
    text: str = ""


class _Jar(RequestsCookieJar):
    """Sends Secure cookies to this machine without TLS, too, as browsers do."""

    def set_cookie(self, cookie: Cookie, *more: Any, **named: Any) -> None:
        cookie.secure = False
        super().set_cookie(cookie, *more, **named)


class Browser:
    """Keeps cookies, follows our own redirects, and stops where it would leave, or where a page is shown."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.cookies = _Jar()

    def cookie(self, name: str) -> str:
        """Its value; empty when there is none."""
        return self._http.cookies.get(name) or ""

    def open(self, url: str, *, data: Mapping[str, str] | None = None, cross_site: bool = False) -> Reply:
        """With data a POST; one from another site comes without our cookies."""
        if cross_site:
            response = self._http.send(requests.Request("POST", url, data=data).prepare(), allow_redirects=False)
        else:
            response = self._http.request("POST" if data is not None else "GET", url, data=data, allow_redirects=False)
        while (target := response.headers.get("Location", "")).startswith(self._url):
            response = self._http.get(target, allow_redirects=False)
        return _reply(response, target)

    def sign_in(self, page: Reply, username: str = "ada") -> Reply:
        """Fills in the page."""
        assert page.way == "page", page
        assert 'name="password"' in page.text, page.text
        return self.open(f"{self._url}/login", data={**_fields(page), "username": username, "password": "demo"})

    def press(self, page: Reply, path: str, **more: str) -> Reply:
        """The button of the page whose form goes to a path that begins so."""
        form = next(each for each in re.findall(r"<form.*?</form>", page.text, re.DOTALL) if f'action="{path}' in each)
        action = re.search(r'action="([^"]*)"', form)
        assert action
        return self.open(self._url + action[1], data={**_fields(replace(page, text=form)), **more})

    def again(self) -> Browser:
        """Another browser without a cookie."""
        return Browser(self._url)


def _fields(page: Reply) -> dict[str, str]:
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.text)}


def _reply(response: requests.Response, target: str) -> Reply:
    if target:
        parts = urlsplit(target)
        way = "fragment" if parts.fragment else "query"
        params = dict(parse_qsl(parts.fragment or parts.query, keep_blank_values=True))
        return Reply(way, target.partition("#")[0] if way == "fragment" else target.partition("?")[0], params, response.status_code)
    action = re.search(r'<form method="post" action="(https://[^"]*)"', response.text)
    if action:
        page = Reply("page", "", {}, response.status_code, response.text)
        return replace(page, way="form_post", to=unescape(action[1]), params=_fields(page))
    return Reply("page", "", {}, response.status_code, response.text)


@dataclass(frozen=True)
class Provider:
    """The server under test, as its discovery document has it."""

    url: str
    metadata: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.metadata[name]

    def jwks(self) -> KeySet:
        return KeySet.import_key_set(call("GET", self["jwks_uri"]).json())

    def verified(self, token: str, *, alg: str = "RS256") -> tuple[dict[str, Any], dict[str, Any]]:
        """Header and claims of a JWT whose `kid` is published."""
        decoded = jwt.decode(token, self.jwks(), algorithms=[alg])
        return dict(decoded.header), dict(decoded.claims)

    def userinfo(self, access_token: str) -> requests.Response:
        return call("GET", self["userinfo_endpoint"], headers={"Authorization": f"Bearer {access_token}"})


@dataclass(frozen=True)
class Outcome:
    """What a whole sign-on gave."""

    reply: Reply
    tokens: dict[str, Any]
    claims: dict[str, Any]
    userinfo: dict[str, Any]


@dataclass(frozen=True)
class Party:
    """One client of the server, as the suite plays it. It uses no PKCE, since the suite's plans of OpenID Connect do not."""

    provider: Provider
    id: str
    secret: str = ""
    method: str = "client_secret_basic"
    holder: Holder | None = None
    redirect_uri: str = CALLBACK
    more: Mapping[str, str] = field(default_factory=dict)

    def request(self, flow: Flow = CODE, **changes: str | None) -> dict[str, str]:
        """None leaves a parameter out."""
        own = {
            "client_id": self.id,
            "response_type": flow.type,
            "redirect_uri": self.redirect_uri,
            "scope": "openid",
            "state": secrets.token_urlsafe(12),
            "nonce": secrets.token_urlsafe(12),
            **({"response_mode": "form_post"} if flow.form_post else {}),
            **self.more,
        }
        return {name: value for name, value in {**own, **changes}.items() if value is not None}

    def url_of(self, request: Mapping[str, str]) -> str:
        return f"{self.provider['authorization_endpoint']}?{urlencode(request)}"

    def ask(self, browser: Browser, flow: Flow = CODE, **changes: str | None) -> Reply:
        """Without the checks."""
        return browser.open(self.url_of(self.request(flow, **changes)))

    def refused(self, browser: Browser, flow: Flow = CODE, **changes: str | None) -> str:
        """The error that comes back to the client, in the way of the flow."""
        request = self.request(flow, **changes)
        reply = browser.open(self.url_of(request))
        check_shared(self.provider, flow, request, reply)
        assert "error" in reply.params, reply
        return reply.params["error"]

    def authentication(self, **claims: Any) -> dict[str, Any]:
        """What proves the client, as keywords of a call."""
        form: dict[str, str] = {}
        if self.holder:
            form = {"client_assertion": self.assertion(**claims), "client_assertion_type": ASSERTION_TYPE}
        elif self.method == "client_secret_post":
            form = {"client_id": self.id, "client_secret": self.secret}
        return {"data": form, "auth": None if form else (self.id, self.secret)}

    def assertion(self, **claims: Any) -> str:
        assert self.holder
        now = int(time.time())
        own = {"iss": self.id, "sub": self.id, "aud": self.provider.url, "iat": now, "exp": now + 60, "jti": secrets.token_hex(8)}
        return self.holder.sign({name: value for name, value in {**own, **claims}.items() if value is not None})

    def token(self, headers: Mapping[str, str] | None = None, **form: str) -> requests.Response:
        """A call of the token endpoint."""
        proof = self.authentication()
        endpoint = self.provider["token_endpoint"]
        return call("POST", endpoint, data={**proof["data"], **form}, auth=proof["auth"], headers=dict(headers or {}))

    def exchange(self, code: str, **more: str) -> requests.Response:
        return self.token(None, grant_type="authorization_code", code=code, redirect_uri=self.redirect_uri, **more)

    def happy(self, browser: Browser, flow: Flow = CODE, *, request: Mapping[str, str] | None = None, **changes: str | None) -> Outcome:
        """`oidcc-server`: the whole sign-on of a member who is signed in, or signs in on the way."""
        asked = dict(request or self.request(flow, **changes))
        reply = browser.open(self.url_of(asked))
        if reply.way == "page":
            reply = browser.sign_in(reply)
        return self.finish(flow, asked, reply)

    def finish(self, flow: Flow, asked: Mapping[str, str], reply: Reply) -> Outcome:
        check_shared(self.provider, flow, asked, reply)
        told = reply.params
        assert "error" not in told, told
        wanted = {"access_token" if kind == "token" else kind for kind in flow.kinds}
        assert wanted == set(told) & {"code", "id_token", "access_token"}
        front = self._id_token(told["id_token"], asked, told.get("access_token"), told.get("code")) if "id_token" in told else {}
        tokens: dict[str, Any] = {}
        claims = front
        if "code" in told:
            response = self.exchange(told["code"], **({"code_verifier": VERIFIER} if "code_challenge" in asked else {}))
            tokens = check_tokens(response)
            claims = self._id_token(tokens["id_token"], asked, tokens["access_token"])
            assert not front or (front["sub"], front["iss"]) == (claims["sub"], claims["iss"])
        userinfo: dict[str, Any] = {}
        if access_token := tokens.get("access_token") or told.get("access_token"):
            response = self.provider.userinfo(access_token)
            assert response.status_code == 200, response.text
            userinfo = response.json() if "json" in response.headers["Content-Type"] else self.provider.verified(response.text)[1]
            assert not claims or userinfo["sub"] == claims["sub"]
        return Outcome(reply, tokens, claims, userinfo)

    def _id_token(self, token: str, asked: Mapping[str, str], access_token: str | None = None, code: str | None = None) -> dict[str, Any]:
        header, claims = self.provider.verified(token)
        assert header["alg"] == "RS256"
        assert (claims["iss"], claims["aud"]) == (self.provider.url, self.id)
        assert claims.get("azp", self.id) == self.id
        assert claims["iat"] - 60 <= time.time() < claims["exp"]
        assert claims.get("nonce") == asked.get("nonce")
        assert claims["sub"]
        for name, value in (("at_hash", access_token), ("c_hash", code)):
            assert not value or claims.get(name) == half_hash(value)
        return claims


def check_shared(provider: Provider, flow: Flow, asked: Mapping[str, str], reply: Reply) -> None:
    """Of good answers and errors: the way, `state`, `iss`, registered codes and printable descriptions."""
    assert reply.way == flow.way, reply
    registered, _, query = asked["redirect_uri"].partition("?")
    assert reply.to.partition("?")[0] == registered
    for name, value in parse_qsl(query):
        assert dict(parse_qsl(reply.to.partition("?")[2]) or reply.params).get(name) == value
    assert reply.params.get("state") == asked.get("state")
    assert reply.params["iss"] == provider.url
    if "error" in reply.params:
        assert reply.params["error"] in _REGISTERED
        assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]*", reply.params.get("error_description", ""))


def check_tokens(response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    assert "no-store" in response.headers["Cache-Control"]
    tokens: dict[str, Any] = response.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] > 0
    return tokens


def half_hash(value: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


def challenge_of(verifier: str = VERIFIER) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def call(method: str, url: str, **keywords: Any) -> requests.Response:
    """A server's call, on a connection of its own: it falls on any of the workers."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, timeout=30, allow_redirects=False, **keywords)


def wait_for_second(later_than: int) -> None:
    """Times in tokens are whole seconds."""
    time.sleep(max(0.0, later_than + 1 - time.time()))
