"""/token/signon and /token/logout."""

from __future__ import annotations

from flask import Blueprint, Response

from idp.protocols.token.protocol import TokenProtocol
from idp.web.gateway import Gateway
from idp.web.vendors import views


def token_pages(gateway: Gateway, protocol: TokenProtocol) -> Blueprint:
    """GET and POST /token/signon, GET /token/logout."""
    pages = Blueprint("token", __name__, url_prefix="/token")

    @pages.route("/signon", methods=["GET", "POST"])
    def sign_on() -> Response:
        return views.sign_on(gateway, protocol)

    @pages.get("/logout")
    def log_out() -> Response:
        return views.log_out(gateway, protocol)

    return pages
