"""The bookstore: members come back with a single-use token in a form, which its server redeems.

Its page of offers has our script `sso-check`: whoever is signed in at another site of the demo is let in there without a click. (The
browser's own way, FedCM, needs a file at the association's domain on the default port, which a demo has not; so it goes by the redirect.)
"""

from __future__ import annotations

from flask import Flask, Response, request

from idp.demo.address import Addresses
from idp.demo.vendors import STORE
from idp.demo.vendors.service import Service, check_refusal
from idp.demo.vendors.site import Site, see
from idp.web.check import integrity

RETURN_PATH = "/signed-in"
OFFERS_PATH = "/offers"


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
        if request.args.get("signed_in") == "0" and "error" not in request.args:  # the script asked, and nobody is signed in
            return see(f"{site.url}{OFFERS_PATH}?signed_in=0")
        check_refusal(request.args)
        return site.let_in(service.redeem(request.form.get("token", "")))

    @site.app.get(OFFERS_PATH)
    def offers() -> Response:
        return site.page("vendor_offers.html", script=f"{addresses.idp}/sso-check/1.js", integrity=integrity(), return_path=RETURN_PATH)

    return site.app
