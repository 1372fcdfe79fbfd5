"""The journal: a script element of its page asks whether the visitor is signed in, and its server redeems the token that the page gets.

Works only where the browser sends cookies to other sites; the button "Sign in" works everywhere.
"""

from __future__ import annotations

from flask import Flask, Response, jsonify, request

from idp.demo.address import Addresses
from idp.demo.vendors import JOURNAL
from idp.demo.vendors.service import Service, check_refusal
from idp.demo.vendors.site import Site, see

RETURN_PATH = "/welcome"


def jsonp_site(addresses: Addresses, secret: str) -> Flask:
    """The common pages, whose script asks while nobody is signed in here."""
    site = Site(JOURNAL, addresses)
    service = Service(site, "jsonp", secret)
    site.ping_url = service.ping_url("greet")
    site.take_notices()
    service.add_sign_out()

    @site.app.get("/sign-in")
    def sign_in() -> Response:
        return see(service.signon_url(f"{site.url}{RETURN_PATH}"))

    @site.app.get(RETURN_PATH)
    def welcome() -> Response:
        """The member comes back with nothing in hand: the page's script asks once more."""
        check_refusal(request.args)
        return site.page("vendor.html", came_back=True)

    @site.app.post("/greet")
    def greet() -> Response:
        """The page brings the token that its script got. Another site's page cannot: its JSON would need our leave (CORS)."""
        told = request.get_json(silent=True)
        member = service.redeem(str(told.get("token", "")) if isinstance(told, dict) else "")
        return site.remember(member, jsonify(name=member.name))

    return site.app
