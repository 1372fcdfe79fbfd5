"""Events: a plain OAuth 2.0 client made with Authlib, as many older plug-ins are.

There is no ID token: who the member is comes from the userinfo endpoint.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from authlib.integrations.flask_client import OAuth
from flask import Flask, Response

from idp.demo.address import Addresses
from idp.demo.vendors import EVENTS
from idp.demo.vendors.member import Member, texts
from idp.demo.vendors.openid import turn_library_errors
from idp.demo.vendors.site import Site, see

CALLBACK_PATH = "/oauth/callback"


def oauth_site(addresses: Addresses, secret: str) -> Flask:
    """Three addresses typed in by hand, as such plug-ins want it. It knows members and not sessions, so a notice ends all of a member's."""
    site = Site(EVENTS, addresses)
    site.take_notices("sub")
    client = OAuth(site.app).register(
        "idp",
        client_id=EVENTS.id,
        client_secret=secret,
        authorize_url=f"{site.idp}/oauth/authorize",
        access_token_url=f"{site.idp}/oauth/token",
        userinfo_endpoint=f"{site.idp}/oauth/userinfo",
        client_kwargs={"code_challenge_method": "S256"},
    )

    @site.app.get("/sign-in")
    def sign_in() -> Any:
        return client.authorize_redirect(f"{site.url}{CALLBACK_PATH}")

    @site.app.get(CALLBACK_PATH)
    def callback() -> Response:
        told = client.userinfo(token=client.authorize_access_token())
        attributes = {name: texts(value) for name, value in told.items() if name != "sub"}
        return site.let_in(Member(told["sub"], attributes, told["sub"]))

    @site.app.post("/sign-out")
    def sign_out() -> Response:
        """Without an ID token nothing proves who asks, so the sign-in service asks the member."""
        site.let_out()
        return see(f"{site.idp}/oauth/logout?{urlencode({'client_id': EVENTS.id})}")

    turn_library_errors(site)
    return site.app
