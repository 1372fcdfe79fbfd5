"""/jsonp/ping, /jsonp/fetch, /jsonp/signon and /jsonp/logout."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request

from idp.errors import IdpError, new_reference
from idp.protocols.jsonp.protocol import Asker, JsonpProtocol
from idp.sso.answer import Script
from idp.web.gateway import Gateway
from idp.web.vendors import views


def jsonp_pages(gateway: Gateway, protocol: JsonpProtocol) -> Blueprint:
    """GET /jsonp/ping, GET /jsonp/fetch, GET /jsonp/signon, GET /jsonp/logout."""
    pages = Blueprint("jsonp", __name__, url_prefix="/jsonp")

    @pages.get("/ping")
    def ping() -> Response:
        """Whatever is wrong with the question is found before the session is looked at."""
        try:
            asked = protocol.read_ping(views.parameters(), _asker())
            session = gateway.browser.pinged_session()
            return gateway.send(gateway.signon.start(asked, "", session))  # what is passive leaves nothing waiting for this browser
        except IdpError as error:
            return refuse(error)

    @pages.get("/fetch")
    def fetch() -> Response:
        """The same for fetch(url, {credentials: "include"}). Only an origin that is registered is told to the browser as welcome (S104)."""
        sent = request.headers
        try:
            asked = protocol.read_fetch(views.parameters(), sent.get("Origin", ""), sent.get("Sec-Fetch-Mode", ""))
            answer = gateway.signon.start(asked, "", gateway.browser.pinged_session())
        except IdpError as error:
            return refuse(error, "Cookie, Origin")
        assert isinstance(answer, Script)  # what is passive is answered at once
        response = jsonify(answer.value)
        response.headers["Access-Control-Allow-Origin"] = asked.state["return"]
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.headers["Vary"] = "Cookie, Origin"
        return response

    @pages.get("/signon")
    def sign_on() -> Response:
        return views.sign_on(gateway, protocol)

    @pages.get("/logout")
    def log_out() -> Response:
        return views.log_out(gateway, protocol)

    def refuse(error: IdpError, vary: str = "Cookie, Referer, Sec-Fetch-Site") -> Response:
        """Plain text: a script element does not run it, and a page of ours would be of no use there."""
        reference = new_reference()
        told = {"client": error.client_id, "expected": error.expected, "received": error.received}
        gateway.audit.record("request.refused", cause=error.cause, reference=reference, **told)
        response = Response(f"{error.cause} {reference}\n", status=error.status, mimetype="text/plain")
        response.headers["Vary"] = vary
        return response

    return pages


def _asker() -> Asker:
    sent = request.headers
    return Asker(sent.get("Referer", ""), sent.get("Sec-Fetch-Dest", ""), sent.get("Sec-Fetch-Site", ""))
