"""The URLs under /saml/. A view reads, calls, sends; what is refused becomes a page in web/refusal.

GET       /saml/metadata   our metadata, signed; /saml/metadata/ID those for one application, and its sign that it follows our keys
GET POST  /saml/sso        AuthnRequest by HTTP-Redirect or HTTP-POST
GET POST  /saml/slo        LogoutRequest and LogoutResponse by either
POST      /saml/ecp        AuthnRequest of an enhanced client by SOAP, where [saml] ecp is on
POST      /saml/soap       LogoutRequest, ArtifactResolve, AttributeQuery by SOAP
POST      /saml/slo/choice what the member chose: sign out everywhere, or of one application
GET       /saml/start      ?sp=ENTITYID: a sign-on that begins here, for applications that allow it
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from flask import Blueprint, Response, request

from idp.errors import BadRequest, IdpError, new_reference
from idp.protocols.saml.gate import Envelope, from_post, from_redirect
from idp.protocols.saml.logout import LogoutAsked
from idp.protocols.saml.protocol import SamlProtocol
from idp.protocols.saml.soap import CONTENT_TYPE, fault, from_soap
from idp.secret import Secret, new_secret
from idp.sso.answer import Page, Redirect
from idp.sso.login import LoginDesk
from idp.web.crowd import never_turned_away
from idp.web.gateway import Gateway

_SHOWN = 8192  # octets of a refused message


def saml_pages(gateway: Gateway, protocol: SamlProtocol, desk: LoginDesk) -> Blueprint:
    """All SAML routes."""
    pages = Blueprint("saml", __name__, url_prefix="/saml")

    @pages.get("/metadata")
    @pages.get("/metadata/<client_id>")
    def metadata(client_id: str = "") -> Response:
        document = protocol.document(client_id)
        if request.method == "GET":  # who asks by HEAD has seen nothing
            protocol.readers.note(client_id, address=gateway.address(), agent=request.headers.get("User-Agent", ""), kids=document.kids)
        response = Response(document.octets, mimetype="application/samlmetadata+xml")
        response.headers["Cache-Control"] = "public, max-age=300"
        response.set_etag(document.tag)
        if request.if_none_match:
            response.make_conditional(request)
        return response

    @pages.route("/sso", methods=["GET", "POST"])
    def sign_on() -> Response:
        envelope = _envelope()
        with _showing(envelope):
            asked = protocol.read(envelope)
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
        with _showing(envelope):
            asked = protocol.logout.read_request(envelope, gateway.session())
        if asked.choice:
            return choose(asked)
        return end(asked)

    def choose(asked: LogoutAsked) -> Response:
        client, session = gateway.clients.get(asked.beginning.client_id), gateway.session()
        values = {
            "name": client.name if client else "",
            "username": session.username if session else "",
            "choice": protocol.logout.hold(asked),
            "form_token": gateway.browser.form_token("logout-choice"),
        }
        return gateway.send(Page("logout_choice.html", values))

    @pages.post("/slo/choice")
    def chosen() -> Response:
        if not gateway.browser.is_own_form("logout-choice"):
            raise BadRequest("logout.form_stale", "This page was open for too long. Please try again.")
        asked = protocol.logout.take_up(request.form.get("choice", ""), gateway.session())
        if request.form.get("where") != "here":
            return end(asked)
        gateway.audit.record("logout.left", client=asked.beginning.client_id, session=asked.session_ids[0])
        return gateway.send(protocol.logout.leave(asked))

    def end(asked: LogoutAsked) -> Response:
        if asked.objection:
            told = {"expected": asked.objection.expected, "client": asked.beginning.client_id}
            gateway.audit.record("request.refused", cause=asked.objection.cause, reference=new_reference(), **told)
        if not asked.session_ids:
            return gateway.send(protocol.logout.answer(asked.beginning.state, complete=True))
        if not end_all(asked, asked.session_ids[1:]):
            asked = asked.incomplete()
        return gateway.end(asked.session_ids[0], reason="client", beginning=asked.beginning)

    @pages.post("/soap")
    @never_turned_away
    def soap() -> Response:
        return in_soap(answer_soap)

    if protocol.has_ecp:

        @pages.post("/ecp")
        def enhanced_client() -> Response:
            return in_soap(sign_on_by_soap)

    def in_soap(answer: Callable[[Envelope], bytes]) -> Response:
        """The answer to a program, or a fault where others would get a page. No form of another site can send this content type."""
        try:
            if request.mimetype != "text/xml":
                raise IdpError("saml.soap_type", "SOAP has a content type of its own.", expected="text/xml", status=415)
            return Response(answer(from_soap(request.get_data())), content_type=CONTENT_TYPE)
        except IdpError as error:
            reference = new_reference()
            gateway.audit.record("request.refused", cause=error.cause, reference=reference, client=error.client_id, received=error.received)
            response = Response(fault(error, reference), status=error.status, content_type=CONTENT_TYPE)
            if error.status == 401:
                response.headers["WWW-Authenticate"] = 'Basic realm="imis-idp", charset="UTF-8"'
            if error.retry_after is not None:
                response.headers["Retry-After"] = str(error.retry_after)
            return response

    def sign_on_by_soap(envelope: Envelope) -> bytes:
        """ECP with HTTP Basic (IIP-IDP14): through the one desk, with its throttle; the sign-in is as fresh as can be."""
        asked = protocol.read(envelope)
        if asked.objection is not None:
            return protocol.ecp_answer(gateway.signon.refuse(asked.request, asked.objection))
        given = request.authorization
        if given is None or given.type != "basic":
            raise IdpError("saml.ecp_password_missing", "Sign in with HTTP Basic.", expected="Authorization: Basic", status=401)
        password = Secret(given.password or "")
        signed_in = desk.sign_in(given.username or "", password, address=gateway.address(), previous=None)
        fresh_enough = replace(asked.request, fresh=False, passive=True)  # no page can be shown: who may not enter is refused at once
        return protocol.ecp_answer(gateway.signon.start(fresh_enough, new_secret(), signed_in.session))

    def answer_soap(envelope: Envelope) -> bytes:
        kind = protocol.kind(envelope)
        if kind == "ArtifactResolve":
            return protocol.authority.resolve(envelope)
        if kind == "AttributeQuery":
            return protocol.authority.attributes(envelope)
        asked = protocol.logout.read_request(envelope, None)
        complete = end_all(asked, asked.session_ids)
        return protocol.logout.soap_answer(asked.beginning.state, complete=complete)

    def end_all(asked: LogoutAsked, session_ids: Sequence[str]) -> bool:
        """Ends sessions that this browser cannot be taken through; whether everybody heard."""
        runs = [gateway.logout.end(each, reason="client", beginning=asked.beginning) for each in session_ids]
        return all(run.complete for run in runs if run is not None)

    def come_back(envelope: Envelope) -> Response:
        """A visited application answered: on to the next one, or to the end."""
        with _showing(envelope):
            reply = protocol.logout.read_response(envelope)
        run = gateway.logout.replied(reply.in_response_to, reply.client_id, done=reply.done)
        return gateway.send(Redirect(gateway.run_url(run) if run else f"{gateway.url}/logout"))

    return pages


@contextmanager
def _showing(envelope: Envelope) -> Iterator[None]:
    """Puts the decoded message beside a refusal: the page shows it, to the browser that brought it."""
    try:
        yield
    except IdpError as error:
        error.document = envelope.xml[:_SHOWN].decode("utf-8", "replace")
        raise


def _envelope() -> Envelope:
    if request.method == "POST":
        return from_post(request.form.to_dict(flat=False))
    return from_redirect(request.query_string)
