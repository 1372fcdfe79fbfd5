"""What all sample vendors have in common: the page with three buttons, the cookie, /whoami, and the door for logout notices."""

from __future__ import annotations

from typing import Literal

from flask import Flask, Response, jsonify, make_response, redirect, render_template, request

from idp.demo.address import Addresses
from idp.demo.vendors import Vendor
from idp.demo.vendors.member import Member, Members
from idp.demo.vendors.notice import BadNotice, read_notice
from idp.secret import new_secret

_COOKIE = "vendor_session"


class SignInFailed(Exception):
    """The sign-in service said no, or what came from it is not good; the message goes on the page."""


class Site:
    """One vendor's site. Its protocol adds /sign-in (GET), /sign-out (POST) and what else it needs."""

    def __init__(self, vendor: Vendor, addresses: Addresses) -> None:
        self.vendor = vendor
        self.url = addresses.of(vendor.host)
        self.idp = addresses.idp
        self.portal = addresses.portal
        self.ping_url = ""
        """What the start page's script asks while nobody is signed in here; empty where the protocol has no such thing."""
        self.members = Members()
        self.app = Flask("idp.demo", static_folder=None)
        self.app.secret_key = new_secret()
        self._add_pages()

    def member(self) -> Member | None:
        """Who is signed in here in this browser."""
        return self.members.get(request.cookies.get(_COOKIE, ""))

    def let_in(self, member: Member) -> Response:
        """Signs the member in here and shows the start page."""
        return self.remember(member, see(f"{self.url}/"))

    def remember(self, member: Member, response: Response) -> Response:
        """Signs the member in here, under a new key that goes with the response."""
        self.let_out()
        response.set_cookie(_COOKIE, self.members.open(member), httponly=True, samesite="Lax")
        return response

    def let_out(self) -> Member | None:
        """Ends the session of this browser here; whose it was."""
        return self.members.close(request.cookies.get(_COOKIE, ""))

    def page(self, template: str, **values: object) -> Response:
        vendor, member = self.vendor, self.member()
        return make_response(render_template(template, site=self, vendor=vendor, colour=vendor.colour, member=member, **values))

    def failed(self, error: SignInFailed) -> tuple[Response, int]:
        """The page that says why a sign-in came to nothing."""
        return self.page("vendor_failed.html", reason=str(error)), 403

    def take_notices(self, claim: Literal["sid", "sub"] = "sid") -> None:
        """POST /logout-notice: the sign-in service's server says that a session has ended (OpenID Connect Back-Channel Logout 1.0 §2.5).

        `claim` is what `Member.session` holds here: the id of the session, or the member's own where the vendor was told no other.
        """

        @self.app.post("/logout-notice")
        def notice() -> tuple[Response, int]:
            try:
                claims = read_notice(request.form.get("logout_token", ""), idp=self.idp, client_id=self.vendor.id)
            except BadNotice as error:
                return jsonify(error="invalid_request", error_description=str(error)), 400
            return jsonify(ended=self.members.close_all_of(claims[claim])), 200

    def _add_pages(self) -> None:
        app = self.app

        @app.get("/")
        def start() -> Response:
            return self.page("vendor.html")

        @app.get("/me")
        def me() -> Response:
            return self.page("vendor_member.html")

        @app.get("/whoami")
        def whoami() -> Response:
            member = self.member()
            if member is None:
                return jsonify(signed_in=False)
            return jsonify(signed_in=True, name=member.name, subject=member.subject, attributes=member.attributes)

        app.register_error_handler(SignInFailed, self.failed)

        @app.after_request
        def finish(response: Response) -> Response:
            """Pages of the member's are nobody else's, and the sign-in service wants to know from which site a member comes."""
            response.headers["Cache-Control"] = "no-store"
            response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
            response.headers["X-Frame-Options"] = "DENY"
            return response


def see(url: str) -> Response:
    """Go there by GET."""
    return redirect(url, code=303, Response=Response)  # type: ignore[return-value]
