"""The association's website: it lies under the same parent domain as the sign-in service, which leaves it a cookie there."""

from __future__ import annotations

from flask import Flask, Response, request

from idp.demo.address import IDP_HOST, Addresses
from idp.demo.vendors import CMS
from idp.demo.vendors.service import Service, check_refusal
from idp.demo.vendors.site import Site, see

RETURN_PATH = "/signed-in"
_COOKIE = f"idp_{CMS.id}"
_DOMAIN = IDP_HOST.partition(".")[2]


def cookie_site(addresses: Addresses, secret: str) -> Flask:
    """The cookie holds a single-use token; the site's server redeems it, and takes the cookie away."""
    site = Site(CMS, addresses)
    service = Service(site, "cookie", secret)
    site.take_notices()
    service.add_sign_out()

    @site.app.get("/sign-in")
    def sign_in() -> Response:
        return see(service.signon_url(f"{site.url}{RETURN_PATH}"))

    @site.app.get(RETURN_PATH)
    def signed_in() -> Response:
        check_refusal(request.args)
        response = site.let_in(service.redeem(request.cookies.get(_COOKIE, "")))
        response.delete_cookie(_COOKIE, domain=_DOMAIN)
        return response

    return site.app
