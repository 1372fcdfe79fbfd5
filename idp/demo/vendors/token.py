"""The bookstore: members come back with a single-use token in a form, which its server redeems."""

from __future__ import annotations

from flask import Flask, Response, request

from idp.demo.address import Addresses
from idp.demo.vendors import STORE
from idp.demo.vendors.service import Service, check_refusal
from idp.demo.vendors.site import Site, see

RETURN_PATH = "/signed-in"


def token_site(addresses: Addresses, secret: str) -> Flask:
    """The whole of what a token vendor has to write."""
    site = Site(STORE, addresses)
    service = Service(site, "token", secret)
    site.take_notices()
    service.add_sign_out()

    @site.app.get("/sign-in")
    def sign_in() -> Response:
        return see(service.signon_url(f"{site.url}{RETURN_PATH}"))

    @site.app.route(RETURN_PATH, methods=["GET", "POST"])
    def signed_in() -> Response:
        check_refusal(request.args)
        return site.let_in(service.redeem(request.form.get("token", "")))

    return site.app
