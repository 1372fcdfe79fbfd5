"""How each protocol is driven by the conformance suite: how a client asks, and what it then has. One small adapter for each."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

from lxml import etree
from werkzeug.test import TestResponse

from tests.conformance.association import SECRET, Association, posted_form
from tests.saml.wiring import authn_request, redirect_query

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
SAMLP = "{urn:oasis:names:tc:SAML:2.0:protocol}"


@dataclass
class Outcome:
    """What a client has in the end: the attributes, or the refusal in its protocol's words. `once` is what must not work twice."""

    attributes: dict[str, list[str]] | None = None
    refusal: str = ""
    reference: str = ""
    once: Any = field(default=None, repr=False)


class Way(Protocol):
    """One protocol, from the client's side."""

    name: str
    has_fresh: bool

    def ask(
        self, association: Association, *, passive: bool = False, fresh: bool = False, client: str = "", back: str = ""
    ) -> TestResponse: ...

    def receive(self, association: Association, response: TestResponse, *, redeem: bool = True) -> Outcome: ...

    def use(self, association: Association, once: Any) -> Outcome: ...


class SamlWay:
    """A service provider; its single-use thing is the request itself, which must not be answered twice."""

    name = "saml"
    has_fresh = True

    def ask(
        self, association: Association, *, passive: bool = False, fresh: bool = False, client: str = "", back: str = ""
    ) -> TestResponse:
        wishes = {key: "true" for key, wanted in (("IsPassive", passive), ("ForceAuthn", fresh)) if wanted}
        if back:
            wishes["AssertionConsumerServiceURL"] = back
        request = authn_request(
            issuer=client or "https://lms.example.com/metadata",
            identifier=f"_{secrets.token_hex(16)}",
            issued=int(datetime.now(UTC).timestamp()),
            Destination="https://login.example.org/saml/sso",
            **wishes,
        )
        self._query = redirect_query(request, relay_state="where I was").decode()
        return association.get(f"/saml/sso?{self._query}")

    def receive(self, association: Association, response: TestResponse, *, redeem: bool = True) -> Outcome:
        action, fields = posted_form(response)
        assert action == "https://lms.example.com/acs"
        assert fields["RelayState"] == "where I was"
        root = etree.fromstring(base64.b64decode(fields["SAMLResponse"]))
        message = root.findtext(f"{SAMLP}Status/{SAMLP}StatusMessage") or ""
        codes = [code.get("Value", "").rpartition(":")[2] for code in root.iter(f"{SAMLP}StatusCode")]
        if codes != ["Success"]:
            return Outcome(refusal=codes[-1], reference=message)
        found = {
            each.get("Name"): [value.text or "" for value in each.iter(f"{SAML}AttributeValue")] for each in root.iter(f"{SAML}Attribute")
        }
        return Outcome(found, once=self._query)

    def use(self, association: Association, once: Any) -> Outcome:
        response = association.get(f"/saml/sso?{once}")
        assert "SAMLResponse" not in response.text
        return Outcome(refusal=str(response.status_code))


class OidcWay:
    """A relying party with code, PKCE and userinfo."""

    name = "oidc"
    has_fresh = True
    scope = "openid profile email"

    def ask(
        self, association: Association, *, passive: bool = False, fresh: bool = False, client: str = "", back: str = ""
    ) -> TestResponse:
        verifier = "v" * 43
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": client or "oidc",
            "redirect_uri": back or "https://community.example.com/cb",
            "scope": self.scope,
            "state": "where I was",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if passive or fresh:
            asked["prompt"] = "none" if passive else "login"
        return association.get(f"/oauth/authorize?{urlencode(asked)}")

    def receive(self, association: Association, response: TestResponse, *, redeem: bool = True) -> Outcome:
        assert response.location.startswith("https://community.example.com/cb?")
        query = {name: values[0] for name, values in parse_qs(urlsplit(response.location).query).items()}
        assert query["state"] == "where I was"
        if "error" in query:
            return Outcome(refusal=query["error"], reference=query.get("error_description", ""))
        return self.use(association, query["code"]) if redeem else Outcome(once=query["code"])

    def use(self, association: Association, once: Any) -> Outcome:
        body = {
            "grant_type": "authorization_code",
            "code": once,
            "redirect_uri": "https://community.example.com/cb",
            "code_verifier": "v" * 43,
        }
        response = association.another().post("/oauth/token", base_url="https://login.example.org", data=body, auth=("oidc", SECRET))
        if response.status_code != 200:
            return Outcome(refusal=response.json["error"], reference=response.json.get("error_description", ""), once=once)
        bearer = {"Authorization": f"Bearer {response.json['access_token']}"}
        claims = association.another().get("/oauth/userinfo", base_url="https://login.example.org", headers=bearer).json
        found = {name: value if isinstance(value, list) else [value] for name, value in claims.items() if name != "sub"}
        return Outcome(found, once=once)


class OAuthWay(OidcWay):
    """Plain OAuth 2.0: the same without `openid`."""

    scope = "profile email"


class VendorWay:
    """A token or cookie vendor, whose server redeems at the web service."""

    has_fresh = True

    def __init__(self, name: str, page: str) -> None:
        self.name = name
        self._page = page

    def ask(
        self, association: Association, *, passive: bool = False, fresh: bool = False, client: str = "", back: str = ""
    ) -> TestResponse:
        asked = {"client": client or self.name, "return": back or self._page}
        asked |= {key: "1" for key, wanted in (("passive", passive), ("fresh", fresh)) if wanted}
        return association.get(f"/{self.name}/signon?{urlencode(asked)}")

    def receive(self, association: Association, response: TestResponse, *, redeem: bool = True) -> Outcome:
        if response.status_code in (302, 303) and "signed_in=0" in response.location:
            assert response.location.startswith(self._page)
            query = parse_qs(urlsplit(response.location).query)
            return Outcome(refusal=query.get("error", ["signed_in=0"])[0], reference=query.get("reference", [""])[0])
        once = self._ticket(association, response)
        return self.use(association, once) if redeem else Outcome(once=once)

    def _ticket(self, association: Association, response: TestResponse) -> str:
        action, fields = posted_form(response)
        assert action == self._page
        return fields["token"]

    def use(self, association: Association, once: Any) -> Outcome:
        response = association.another().post(
            "/service/redeem", base_url="https://login.example.org", data={"token": once}, auth=(self.name, SECRET)
        )
        if response.status_code != 200:
            return Outcome(refusal=response.json["error"], reference=response.json["reference"], once=once)
        found = response.json["attributes"]
        return Outcome({name: value if isinstance(value, list) else [value] for name, value in found.items()}, once=once)


class CookieWay(VendorWay):
    """A vendor on a domain that it shares with us."""

    def __init__(self) -> None:
        super().__init__("cookie", "https://www.example.org/back")

    def _ticket(self, association: Association, response: TestResponse) -> str:
        assert response.location == self._page
        (line,) = [line for line in response.headers.getlist("Set-Cookie") if line.startswith("idp_cookie=")]
        assert "Domain=example.org" in line
        return line.partition("=")[2].partition(";")[0]


class JsonpWay(VendorWay):
    """A page that signs in by a link and then asks by a script."""

    def __init__(self) -> None:
        super().__init__("jsonp", "https://journal.example.com/page")

    def ask(
        self, association: Association, *, passive: bool = False, fresh: bool = False, client: str = "", back: str = ""
    ) -> TestResponse:
        return self._ping(association, client=client) if passive else super().ask(association, fresh=fresh, client=client, back=back)

    def _ping(self, association: Association, *, client: str = "") -> TestResponse:
        headers = {"Referer": "https://journal.example.com/", "Sec-Fetch-Dest": "script", "Sec-Fetch-Site": "cross-site"}
        return association.get(f"/jsonp/ping?client={client or 'jsonp'}&callback=told", headers=headers)

    def receive(self, association: Association, response: TestResponse, *, redeem: bool = True) -> Outcome:
        if response.status_code in (302, 303):
            if "signed_in=0" in response.location:
                return super().receive(association, response)
            assert response.location == self._page
            response = self._ping(association)
        told = json.loads(response.text.partition("told(")[2].removesuffix(");"))
        if not told["signedIn"]:
            return Outcome(refusal="signedIn: false")
        return self.use(association, told["token"]) if redeem else Outcome(once=told["token"])


WAYS: list[Way] = [SamlWay(), OidcWay(), OAuthWay(), VendorWay("token", "https://events.example.com/sso"), CookieWay(), JsonpWay()]
