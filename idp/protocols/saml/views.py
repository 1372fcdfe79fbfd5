"""The URLs under /saml/. A view reads, calls, sends; what is refused becomes a page in web/refusal.

GET       /saml/metadata   our metadata, signed
GET POST  /saml/sso        AuthnRequest by HTTP-Redirect or HTTP-POST
GET POST  /saml/slo        LogoutRequest and LogoutResponse by either
GET       /saml/start      ?sp=ENTITYID: a sign-on that begins here, for applications that allow it
"""

from __future__ import annotations

from flask import Blueprint, Response, request

from idp.protocols.saml.gate import Envelope, from_post, from_redirect
from idp.protocols.saml.protocol import SamlProtocol
from idp.sso.answer import Redirect
from idp.web.gateway import Gateway


def saml_pages(gateway: Gateway, protocol: SamlProtocol) -> Blueprint:
    """All SAML routes."""
    pages = Blueprint("saml", __name__, url_prefix="/saml")

    @pages.get("/metadata")
    def metadata() -> Response:
        response = Response(protocol.metadata(), mimetype="application/samlmetadata+xml")
        response.headers["Cache-Control"] = "public, max-age=300"
        return response

    @pages.route("/sso", methods=["GET", "POST"])
    def sign_on() -> Response:
        asked = protocol.read(_envelope())
        if asked.objection:
            return gateway.send(gateway.signon.refuse(asked.request, asked.objection))
        return gateway.start(asked.request)

    @pages.get("/start")
    def start() -> Response:
        return gateway.start(protocol.start(request.args.get("sp", ""), request.args.get("RelayState", "")))

    @pages.route("/slo", methods=["GET", "POST"])
    def log_out() -> Response:
        envelope = _envelope()
        if envelope.kind == "SAMLResponse":
            return come_back(envelope)
        asked = protocol.logout.read_request(envelope, gateway.session())
        if asked.session_id is None:
            return gateway.send(protocol.logout.answer(asked.beginning.state, complete=True))
        return gateway.end(asked.session_id, reason="client", beginning=asked.beginning)

    def come_back(envelope: Envelope) -> Response:
        """A visited application answered: on to the next one, or to the end."""
        reply = protocol.logout.read_response(envelope)
        run = gateway.logout.replied(reply.in_response_to, reply.client_id, done=reply.done)
        return gateway.send(Redirect(gateway.run_url(run) if run else f"{gateway.url}/logout"))

    return pages


def _envelope() -> Envelope:
    if request.method == "POST":
        return from_post(request.form.to_dict(flat=False))
    return from_redirect(request.query_string)
