"""A bare browser: one kept connection, a cookie jar, no rendering; and the clients' parts of SAML and of code + PKCE."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import secrets
import zlib
from datetime import UTC, datetime
from urllib.parse import parse_qs, quote, urlencode, urlsplit

REDIRECT_URI = "https://rp.example.org/cb"


class BareBrowser:
    """Keeps cookies and follows nothing by itself."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._cookies: dict[str, str] = {}

    def __del__(self) -> None:
        self._connection.close()

    def again(self) -> BareBrowser:
        """The same cookies on a new connection, after the server was started anew."""
        self._connection.close()
        self._connection = http.client.HTTPConnection("127.0.0.1", self._port)
        return self

    def retry_once(self, method: str, path: str) -> tuple[int, str, str]:
        """As a browser does when a kept connection turns out to be dead."""
        try:
            return self.ask(method, path)
        except (ConnectionError, http.client.HTTPException):
            return self.again().ask(method, path)

    @property
    def cookie_header(self) -> dict[str, str]:
        """What it sends with a request."""
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}

    def cookie_names(self) -> set[str]:
        return set(self._cookies)

    def cookie_values(self) -> list[str]:
        return list(self._cookies.values())

    def ask(self, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> tuple[int, str, str]:
        """Status, Location and text of one request."""
        sent = {**self.cookie_header, **(headers or {})}
        if body:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        self._connection.request(method, path, body or None, sent)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        for line in answer.headers.get_all("Set-Cookie") or []:
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, answer.headers.get("Location", ""), text

    def sign_in(self, location: str) -> str:
        """From the redirect to the sign-in page to the answer for the client; its Location, or its text."""
        _, _, page = self.ask("GET", _path(location))
        fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', page))
        _, location, _ = self.ask("POST", "/login", urlencode({**fields, "username": "ada", "password": "demo"}))
        status, onward, text = self.ask("GET", _path(location))
        return onward if status in (302, 303) else text


def saml_path(url: str) -> str:
    """A fresh AuthnRequest by HTTP-Redirect."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    request = (
        f'<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" '
        f'ID="_{secrets.token_hex(16)}" Version="2.0" IssueInstant="{now}" Destination="{url}/saml/sso">'
        f"<saml:Issuer>https://sp.example.org/metadata</saml:Issuer>"
        f"</samlp:AuthnRequest>"
    )
    deflate = zlib.compressobj(wbits=-15)
    packed = base64.b64encode(deflate.compress(request.encode()) + deflate.flush()).decode()
    return f"/saml/sso?SAMLRequest={quote(packed, safe='')}&RelayState=x"


class Relying:
    """The relying party's part of code + PKCE."""

    def __init__(self, browser: BareBrowser, secret: str) -> None:
        self._browser = browser
        self._basic = {"Authorization": "Basic " + base64.b64encode(f"rp:{secret}".encode()).decode()}
        self._verifier = secrets.token_urlsafe(32)
        self.tokens: list[str] = []

    @property
    def credentials(self) -> dict[str, str]:
        """The header that proves the client."""
        return dict(self._basic)

    def exchange(self, code: str) -> dict[str, str]:
        """The body of the token request."""
        return {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": self._verifier}

    def authorize_path(self) -> str:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self._verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": "rp",
            "redirect_uri": REDIRECT_URI,
            "scope": "openid profile email",
            "state": "s",
            "nonce": "n",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return f"/oauth/authorize?{urlencode(asked)}"

    def finish(self, location: str) -> None:
        """Code to tokens to userinfo."""
        code = parse_qs(urlsplit(location).query)["code"][0]
        status, _, text = self._browser.ask("POST", "/oauth/token", urlencode(self.exchange(code)), self._basic)
        assert status == 200, text
        tokens = json.loads(text)
        self.tokens = [tokens["access_token"], tokens["id_token"]]
        status, _, text = self._browser.ask("GET", "/oauth/userinfo", headers={"Authorization": f"Bearer {tokens['access_token']}"})
        assert status == 200, text
        assert json.loads(text)["sub"] == "101"


def _path(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
