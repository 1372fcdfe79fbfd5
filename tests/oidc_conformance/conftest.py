"""One server with three workers for all modules, a vendor's own site beside it, and the clients that the suite asks for."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from idp.secret import digest
from tests.oidc.holder import Holder
from tests.server import PEOPLE, Server

from .party import CALLBACK, SIGNED_OUT, Browser, Party, Provider, call
from .vendor import VendorSite

INITIAL = "an-initial-access-token"
_SECRET = "a-secret-of-every-client"
_TYPES = ["id_token", "id_token token", "code id_token", "code token", "code id_token token"]
_RELEASE = ["username", "email", "first_name", "last_name", "full_name", "phone", "address"]
_MORE_OF_ADA = 'full_name = "Ada Example"\nphone = "+1 555 0100"\naddress = "1 Example Street"\n'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share one server, so one test process runs them all."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.long)
            item.add_marker(pytest.mark.xdist_group("oidc_conformance"))


@dataclass(frozen=True)
class Suite:
    """The server under test and what the suite knows of it."""

    server: Server
    provider: Provider
    vendor: VendorSite
    key: Holder
    fapi_key: Holder
    begun: float = field(default_factory=time.monotonic)

    def party(self, client_id: str = "rp", **more: Any) -> Party:
        return Party(self.provider, client_id, _SECRET, **more)

    def browser(self) -> Browser:
        return Browser(self.provider.url)

    def member(self) -> Browser:
        """A browser in which the member has just signed in."""
        browser = self.browser()
        browser.sign_in(browser.open(f"{self.provider.url}/login"))
        return browser

    def register(self, **document: Any) -> Any:
        """The answer of the registration endpoint."""
        whole = {"redirect_uris": [CALLBACK], "client_name": "Suite", **document}
        headers = {"Authorization": f"Bearer {INITIAL}"}
        return call("POST", self.provider["registration_endpoint"], json=whole, headers=headers)

    def registered(self, *, holder: Holder | None = None, **document: Any) -> tuple[Party, dict[str, Any]]:
        """A new client that proves itself as the suite's do in the Dynamic plan: `private_key_jwt`."""
        holder = holder or self.key
        keys = {} if "jwks_uri" in document else {"jwks": holder.jwks}
        response = self.register(**{"token_endpoint_auth_method": "private_key_jwt", **keys, **document})
        assert response.status_code == 201, response.text
        told = response.json()
        return Party(self.provider, told["client_id"], holder=holder, redirect_uri=told["redirect_uris"][0]), told


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    vendor = VendorSite(tmp_path_factory.mktemp("vendor"))
    key, fapi_key = Holder("RS256", "vendor-1"), Holder("ES256", "fapi")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(vendor.bundle))
        server = Server(tmp_path_factory.mktemp("op"), workers=3, more=_clients(vendor, key, fapi_key), people=PEOPLE + _MORE_OF_ADA)
    metadata = call("GET", f"{server.url}/.well-known/openid-configuration").json()
    yield Suite(server, Provider(server.url, metadata), vendor, key, fapi_key)
    server.stop()
    vendor.close()


@dataclass(frozen=True)
class Early:
    """What was begun before all other modules, for those that look again half a minute later."""

    code: str
    access_token: str
    party: Party
    refresh_token: str
    at: float

    def wait(self, seconds: float) -> None:
        """Until so many seconds have passed since then; the other modules took most of them."""
        time.sleep(max(0.0, self.at + seconds - time.monotonic()))


@pytest.fixture(scope="session", autouse=True)
def early(suite: Suite, member: Browser) -> Early:
    outcome = suite.party().happy(member)
    uri = suite.vendor.publish("/rotating", suite.key.jwks)
    grants = ["authorization_code", "refresh_token"]
    party, _ = suite.registered(jwks_uri=uri, grant_types=grants, scope="openid offline_access")
    agreed = member.press(party.ask(member, scope="openid offline_access"), "/signon/", answer="agree")
    tokens = party.exchange(agreed.params["code"]).json()
    return Early(outcome.reply.params["code"], outcome.tokens["access_token"], party, tokens["refresh_token"], time.monotonic())


@pytest.fixture(scope="session")
def member(suite: Suite) -> Browser:
    """One who is signed in, for modules that end no session."""
    return suite.member()


_FAPI = {
    "profile": "fapi2",
    "redirect_uris": [CALLBACK],
    "token_endpoint_auth_method": "private_key_jwt",
    "dpop_bound_access_tokens": True,
    "dpop_nonce": False,
    "id_token_signed_response_alg": "PS256",
    "authorization_signed_response_alg": "PS256",
    "grant_types": ["authorization_code", "refresh_token"],
    "tokens": {"refresh_with_session": True, "rotate": False},
}


def _clients(vendor: VendorSite, key: Holder, fapi_key: Holder) -> str:
    plain = {"redirect_uris": [CALLBACK], "require_pkce": False, "post_logout_redirect_uris": [SIGNED_OUT]}
    signed = {"jwks": key.jwks, "request_uris": [f"{vendor.url}/request", f"{vendor.url}/unsigned"]}
    refreshing = {"grant_types": ["authorization_code", "refresh_token"], "tokens": {"refresh_with_session": True}}
    scopes = ["openid", "profile", "email", "phone", "address", "offline_access"]
    clients = {
        "rp": plain | signed | refreshing | {"scopes": scopes},
        "two": plain | refreshing,
        "post": plain | {"token_endpoint_auth_method": "client_secret_post"},
        "old": plain | signed | refreshing | {"scopes": scopes, "response_types": ["code", *_TYPES]},
        "front": plain | {"frontchannel_logout_uri": "https://rp.example.org/frame"},
        "back": plain | {"backchannel_logout_uri": f"{vendor.url}/logout"},
        "watching": plain | {"session_management": True},
    }
    for name in ("fapi", "fapi-two"):
        clients[name] = _FAPI | {"jwks": fapi_key.jwks}
    tables = [f'[oidc]\nregistration = true\nregistration_pkce = false\nregistration_tokens_sha256 = ["{digest(INITIAL)}"]\n']
    for name, settings in clients.items():
        head = {"name": f"The {name}", "release": _RELEASE, "secret_sha256": [digest(_SECRET)]}
        tables.append(f"[clients.{name}]\n{_toml(head)}[clients.{name}.oidc]\n{_toml(settings)}")
    return "\n".join(tables)


def _toml(table: dict[str, Any]) -> str:
    return "".join(f"{name} = {_value(value)}\n" for name, value in table.items())


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_value(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value)
