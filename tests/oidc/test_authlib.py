"""A relying party that is not ours, over real HTTP: Authlib does code + PKCE, and OAuth 2.0 without OpenID Connect."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import KeySet
from werkzeug.serving import BaseWSGIServer, make_server

from tests.standin import PASSWORD

from .wiring import CALLBACK, World, make_client

SIGNED_OUT = "https://rp.example.org/bye"
LASTING: dict[str, Any] = {
    "grant_types": ("authorization_code", "refresh_token"),
    "scopes": ("openid", "profile", "offline_access"),
    "post_logout_redirect_uris": (SIGNED_OUT,),
}
VERIFIER = "a-verifier-that-is-long-enough-for-rfc-7636-and-more"


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[str]:
    """The URL of a server on loopback."""
    server: BaseWSGIServer = make_server("127.0.0.1", 0, lambda environ, start: app(environ, start), threaded=True)
    url = f"http://127.0.0.1:{server.server_port}"
    world = World(
        tmp_path, [make_client(**LASTING), make_client("old", require_pkce=False, token_endpoint_auth_method="client_secret_post")], url=url
    )
    app = world.app.wsgi_app
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield url
    server.shutdown()
    thread.join()
    server.server_close()
    world.store.close()


def sign_in(url: str, browser: requests.Session | None = None) -> str:
    """A member's browser: follows to the sign-in page, fills it in, and stops where it would leave for the client."""
    browser = browser or requests.Session()
    page = browser.get(url)
    fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', page.text))
    action = page.url.partition("?")[0]
    response = browser.post(action, data={**fields, "username": "anne", "password": PASSWORD}, allow_redirects=False)
    while not response.headers["Location"].startswith(CALLBACK):
        response = browser.get(response.headers["Location"], allow_redirects=False)
    return response.headers["Location"]


def discovered(issuer: str) -> dict[str, Any]:
    told: dict[str, Any] = requests.get(f"{issuer}/.well-known/openid-configuration", timeout=5).json()
    return told


def test_authlib_completes_code_and_pkce_and_verifies_the_id_token(issuer: str) -> None:
    told = discovered(issuer)
    with OAuth2Session("rp", "rp-secret", scope="openid profile", redirect_uri=CALLBACK, code_challenge_method="S256") as client:
        url, state = client.create_authorization_url(told["authorization_endpoint"], code_verifier=VERIFIER, nonce="n")
        token = client.fetch_token(told["token_endpoint"], authorization_response=sign_in(url), state=state, code_verifier=VERIFIER)
        userinfo = client.get(told["userinfo_endpoint"]).json()
    keys = KeySet.import_key_set(requests.get(told["jwks_uri"], timeout=5).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["aud"], claims["sub"], claims["nonce"]) == (issuer, "rp", "0471", "n")
    assert userinfo["sub"] == claims["sub"]
    assert userinfo["given_name"] == "Anne"


def test_authlib_refreshes_by_itself_revokes_and_signs_the_member_out(issuer: str) -> None:
    told, browser = discovered(issuer), requests.Session()
    scope = "openid profile offline_access"
    with OAuth2Session(
        "rp", "rp-secret", scope=scope, redirect_uri=CALLBACK, code_challenge_method="S256", token_endpoint=told["token_endpoint"]
    ) as client:
        url, state = client.create_authorization_url(told["authorization_endpoint"], code_verifier=VERIFIER)
        answer = sign_in(url, browser)
        first = client.fetch_token(told["token_endpoint"], authorization_response=answer, state=state, code_verifier=VERIFIER)
        client.token = {**first, "expires_at": 1}  # Authlib refreshes what has expired before it asks
        assert client.get(told["userinfo_endpoint"]).json()["sub"] == "0471"
        assert client.token["refresh_token"] != first["refresh_token"]
        leaving = {"id_token_hint": client.token["id_token"], "post_logout_redirect_uri": SIGNED_OUT, "state": "s"}
        response = browser.get(told["end_session_endpoint"], params=leaving, allow_redirects=False)
        while response.headers["Location"].startswith(issuer):
            response = browser.get(response.headers["Location"], allow_redirects=False)
        assert response.headers["Location"] == f"{SIGNED_OUT}?state=s"
        client.revoke_token(told["revocation_endpoint"], token=client.token["refresh_token"])
        assert client.get(told["userinfo_endpoint"]).status_code == 401


def test_authlib_as_a_plain_oauth_plug_in_without_pkce_reads_userinfo(issuer: str) -> None:
    told = discovered(issuer)
    with OAuth2Session("old", "old-secret", redirect_uri=CALLBACK, token_endpoint_auth_method="client_secret_post") as client:
        url, state = client.create_authorization_url(told["authorization_endpoint"])
        token = client.fetch_token(told["token_endpoint"], authorization_response=sign_in(url), state=state)
        assert "id_token" not in token
        assert client.get(told["userinfo_endpoint"]).json()["email"] == "anne@assoc.example"
