"""The community: an OpenID Connect relying party made with Authlib: discovery, code flow, PKCE, logout both ways."""

from __future__ import annotations

from typing import Any

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.flask_client import OAuth
from flask import Flask, Response
from joserfc.errors import JoseError

from idp.demo.address import Addresses
from idp.demo.vendors import COMMUNITY
from idp.demo.vendors.member import Member, texts
from idp.demo.vendors.site import SignInFailed, Site, see

CALLBACK_PATH = "/callback"
SIGNED_OUT_PATH = "/signed-out"
_NOT_ABOUT_THE_MEMBER = {"iss", "aud", "exp", "iat", "auth_time", "nonce", "sid", "acr", "amr", "azp", "at_hash", "jti", "sub"}


def openid_site(addresses: Addresses, secret: str) -> Flask:
    """The whole of what a relying party has to write; Authlib checks state, nonce, signature, issuer and audience."""
    site = Site(COMMUNITY, addresses)
    site.take_notices("sid")
    client = OAuth(site.app).register(
        "idp",
        client_id=COMMUNITY.id,
        client_secret=secret,
        server_metadata_url=f"{site.idp}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
    )

    @site.app.get("/sign-in")
    def sign_in() -> Any:
        return client.authorize_redirect(f"{site.url}{CALLBACK_PATH}")

    @site.app.get(CALLBACK_PATH)
    def callback() -> Response:
        token = client.authorize_access_token()
        claims = token["userinfo"]
        told = {**claims, **client.userinfo(token=token)}
        attributes = {name: texts(value) for name, value in told.items() if name not in _NOT_ABOUT_THE_MEMBER}
        return site.let_in(Member(claims["sub"], attributes, claims["sid"], {"id_token": token["id_token"]}))

    @site.app.post("/sign-out")
    def sign_out() -> Any:
        """OpenID Connect RP-Initiated Logout 1.0: the ID token proves who asks for whom."""
        member = site.let_out()
        if member is None:
            return see(f"{site.url}/")
        return client.logout_redirect(f"{site.url}{SIGNED_OUT_PATH}", id_token_hint=member.proof["id_token"])

    @site.app.get(SIGNED_OUT_PATH)
    def signed_out() -> Response:
        client.validate_logout_response()
        return see(f"{site.url}/")

    turn_library_errors(site)
    return site.app


def turn_library_errors(site: Site) -> None:
    """What Authlib and what it uses raise becomes the site's own page."""

    @site.app.errorhandler(AuthlibBaseError)
    @site.app.errorhandler(JoseError)
    @site.app.errorhandler(requests.RequestException)
    def failed(error: Exception) -> tuple[Response, int]:
        return site.failed(SignInFailed(str(error)))
