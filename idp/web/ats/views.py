"""/ats/CLIENT/sso.aspx, and /ats/CLIENT/SERVICE.asmx with its operations by GET, POST and SOAP 1.1."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, Response, request

from idp.errors import BadRequest, IdpError
from idp.secret import Secret
from idp.sso.answer import SharedCookie
from idp.sso.client import Client
from idp.web import soap, xml
from idp.web.admission import PROTOCOLS, Admission, ServiceError
from idp.web.ats.message import document
from idp.web.ats.operation import Answer, Given, Operation, Operations, ats_of
from idp.web.crowd import never_turned_away
from idp.web.gateway import Gateway
from idp.web.profile_desk import ProfileDesk
from idp.web.service import note_refusal, protected, read_body
from idp.web.vendors import views
from idp.web.vendors.settings import VendorSettings

_ANY_RESULT = '<xs:sequence><xs:any minOccurs="0" maxOccurs="unbounded" processContents="skip"/></xs:sequence>'
_OWN_STATUS = (401, 403, 404, 405, 413, 415, 429, 503)


def ats_pages(gateway: Gateway, admission: Admission, desk: ProfileDesk, protocols: Mapping[str, views.VendorProtocol]) -> Blueprint:
    """GET /ats/CLIENT/sso.aspx, GET and POST /ats/CLIENT/SERVICE.asmx and /ats/CLIENT/SERVICE.asmx/OPERATION."""
    pages = Blueprint("ats", __name__, url_prefix="/ats")

    def cookie_of(client: Client) -> SharedCookie | None:
        protocol: object = protocols[client.protocol]
        return protocol.shared_cookie(client) if isinstance(protocol, views.SharesCookie) else None

    operations = Operations(desk, url=gateway.url, cookie_of=cookie_of)

    @pages.get("/<client_id>/sso.aspx")
    def sign_on(client_id: str) -> Response:
        """The vendor's sign-in link. The client is in the path: vendors write ?id=COURSE behind the address that they were given."""
        client = _client_of(gateway, client_id)
        given = {"client": client.id, **views.parameters()}
        if given["client"] != client.id:
            raise _repeated("client")
        return views.start(gateway, protocols[client.protocol], _as_configured(client, given))

    @pages.route("/<client_id>/<service>", methods=["GET", "POST"])
    @never_turned_away
    def call(client_id: str, service: str) -> Response:
        """SOAP; a GET gives the WSDL."""
        client = _client_of(gateway, client_id, service)
        if request.method == "GET":
            return _xml(_describe(client, operations))
        try:
            asked = soap.read_call(read_body(("text/xml",)))
            given = {name.casefold(): value for name, value in asked.parameters.items()}
            operation = operations.find(client, asked.operation)
            return _xml(soap.envelope(_enveloped(client, operation, perform(client, operation, given))))
        except IdpError as error:
            fault = soap.fault(error, note_refusal(gateway, error, client))
            return protected(Response(fault, status=401 if error.status == 401 else 500, content_type=soap.CONTENT_TYPE), error)

    @pages.route("/<client_id>/<service>/<name>", methods=["GET", "POST"])
    @never_turned_away
    def ask(client_id: str, service: str, name: str) -> Response:
        client = _client_of(gateway, client_id, service)
        try:
            answer = perform(client, operations.find(client, name), _given())
            return _xml(document(answer.root, ats_of(client).namespace, answer.content))
        except IdpError as error:
            return _refused(error, note_refusal(gateway, error, client))

    def perform(client: Client, operation: Operation, given: dict[str, str]) -> Answer:
        """The answer, once the vendor's server has shown that it is the one that calls. Raises IdpError."""
        if request.method == "HEAD":  # which Flask takes for GET: it would spend a token and give nothing for it
            raise ServiceError("service.method", "This is reached by GET or POST.", expected="GET or POST", received="HEAD", status=405)
        auth_token = given.pop("authtoken", "")
        if not operation.is_public:
            admission.admit(lambda: _proven(client, admission, auth_token))
        return operation.answer(client, given)

    return pages


def _client_of(gateway: Gateway, client_id: str, service: str = "") -> Client:
    """The client, if it has this face and the service is called that. Raises BadRequest."""
    client = gateway.clients.get(client_id)
    ats = client.settings.ats if client is not None and client.protocol in PROTOCOLS else None
    if client is None or ats is None or (service and service.casefold() != f"{ats.service}.asmx".casefold()):
        raise BadRequest("http.404", "There is no such page here.", status=404)
    return client


def _proven(client: Client, admission: Admission, auth_token: str) -> Client | None:
    """By the secret in the header, or as AuthToken in the body; or by the address alone, which the door compares for every client."""
    if ats_of(client).proof == "address":
        return client
    if auth_token:
        return client if client.accepts(Secret(auth_token)) else None
    known = admission.by_header()
    return known if known is not None and known.id == client.id else None


def _given() -> dict[str, str]:
    """Query and form, names in lower case: vendors write `token`, `TOKEN` and `Token` (8.3). Raises IdpError."""
    given: dict[str, str] = {}
    for name, value in views.parameters().items():
        if name.casefold() in given:
            raise _repeated(name)
        given[name.casefold()] = value
    if any(name.casefold() == "authtoken" for name in request.args):
        message = "The AuthToken stands in the address, where it ends up in logs."
        raise ServiceError("service.secret_in_address", message, expected="POST, or HTTP Basic authentication")
    return given


def _repeated(name: str) -> BadRequest:
    return BadRequest("request.parameter_repeated", "The application's request names one thing twice.", received=name)


def _as_configured(client: Client, given: Given) -> dict[str, str]:
    """Parameters of the sign-in link under our own names, in whatever case they came."""
    settings: VendorSettings = client.settings
    own = {name.casefold(): name for name in ("client", "return", "passive", "fresh", settings.deep_link_parameter) if name}
    named = {own.get(name.casefold(), name): value for name, value in given.items()}
    if len(named) < len(given):
        raise _repeated("one parameter in upper and in lower case")
    return named


def _enveloped(client: Client, operation: Operation, answer: Answer) -> str:
    result = xml.element(f"{operation.name}Result", answer.content)
    return xml.element(f"{operation.name}Response", result, {"xmlns": ats_of(client).namespace})


def _describe(client: Client, operations: Operations) -> str:
    ats = ats_of(client)
    described = tuple(soap.Operation(each.name, each.parameters, _ANY_RESULT) for each in operations.of(client))
    return soap.describe(ats.service, namespace=ats.namespace, location=operations.address(client), operations=described)


def _refused(error: IdpError, reference: str) -> Response:
    """As text with status 500, which vendors' code for ATS takes for a bad token (8.3), or with what HTTP has for it."""
    text = f"{error.message} [{error.cause}, reference {reference}]\n"
    return protected(Response(text, status=error.status if error.status in _OWN_STATUS else 500, mimetype="text/plain"), error)


def _xml(text: str) -> Response:
    return protected(Response(text, content_type=soap.CONTENT_TYPE))
