"""/cookie/signon and /cookie/logout."""

from __future__ import annotations

from flask import Blueprint, Response

from idp.protocols.cookie.protocol import CookieProtocol
from idp.web.gateway import Gateway
from idp.web.vendors import views


def cookie_pages(gateway: Gateway, protocol: CookieProtocol) -> Blueprint:
    """GET /cookie/signon, GET /cookie/logout."""
    pages = Blueprint("cookie", __name__, url_prefix="/cookie")

    @pages.get("/signon")
    def sign_on() -> Response:
        return views.sign_on(gateway, protocol)

    @pages.get("/logout")
    def log_out() -> Response:
        return views.log_out(gateway, protocol)

    return pages
