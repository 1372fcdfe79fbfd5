"""/service: the web service. A token, cookie or JSONP vendor's server brings a token, and gets what it may see (S97).

The secret comes in the Authorization header alone, the token in the body alone: addresses end up in logs. With a handle, which it
gets with the profile if it wants one, it may ask again while the member's session lives. JSON, XML, or SOAP 1.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from idp.errors import IdpError, new_reference
from idp.secret import Secret
from idp.sso.client import Client
from idp.sso.ticket import TicketRefused
from idp.web import soap
from idp.web.admission import Admission, ServiceError
from idp.web.crowd import never_turned_away
from idp.web.gateway import Gateway
from idp.web.profile import Profile, error_xml
from idp.web.profile_desk import ProfileDesk

BIGGEST_BODY = 16 * 1024
NAMESPACE = "urn:imis-idp:service"
_Ask = Callable[[Client, Mapping[str, str]], Profile]
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_MEMBER_SCHEMA = (
    '<xs:sequence><xs:element name="attribute" minOccurs="0" maxOccurs="unbounded"><xs:complexType><xs:sequence>'
    '<xs:element name="value" type="xs:string" minOccurs="0" maxOccurs="unbounded"/></xs:sequence>'
    '<xs:attribute name="name" type="xs:string" use="required"/></xs:complexType></xs:element></xs:sequence>'
    '<xs:attribute name="subject" type="xs:string" use="required"/><xs:attribute name="session" type="xs:string" use="required"/>'
    '<xs:attribute name="handle" type="xs:string"/><xs:attribute name="auth_time" type="xs:long" use="required"/>'
)
OPERATIONS = (
    soap.Operation("Redeem", ("token", "return", "handle"), _MEMBER_SCHEMA),
    soap.Operation("Profile", ("handle",), _MEMBER_SCHEMA),
)
"""What the service does, as SOAP has it; /service/redeem and /service/profile do the same."""


def service_pages(gateway: Gateway, admission: Admission, desk: ProfileDesk) -> Blueprint:
    """POST /service/redeem, /service/profile and /service/soap; GET /service/soap for the WSDL."""
    pages = Blueprint("service", __name__, url_prefix="/service")

    @pages.route("/redeem", methods=_METHODS, provide_automatic_options=False)
    @never_turned_away
    def redeem() -> Response:
        return answer(_redeem, "token")

    @pages.route("/profile", methods=_METHODS, provide_automatic_options=False)
    @never_turned_away
    def profile() -> Response:
        return answer(_again, "handle")

    @pages.route("/soap", methods=_METHODS, provide_automatic_options=False)
    @never_turned_away
    def call() -> Response:
        if request.method == "GET":
            location = f"{gateway.url}/service/soap"
            return _xml(soap.describe("MemberService", namespace=NAMESPACE, location=location, operations=OPERATIONS))
        client: Client | None = None
        try:
            _check_method()
            client = admission.admit()
            asked = soap.read_call(read_body(("text/xml",)))
            fields = {name.casefold(): value for name, value in asked.parameters.items()}
            found = _operation(asked.operation)(client, fields)
            return protected(_soap(soap.envelope(found.as_element(f"{asked.operation}Response", NAMESPACE))))
        except IdpError as error:
            reference = note(error, client)
            return protected(_soap(soap.fault(error, reference), error.status if error.status in (401, 405, 429) else 500), error)

    def answer(ask: _Ask, secret_name: str) -> Response:
        client: Client | None = None
        fields: dict[str, str] = {}
        try:
            _check_request(secret_name)
            client = admission.admit()
            fields = _read_fields()
            found = ask(client, fields)
            return protected(_xml(found.as_xml()) if _wants_xml(fields) else jsonify(found.as_json()))
        except IdpError as error:
            return refuse(error, client, xml=_wants_xml(fields))

    def _redeem(client: Client, fields: Mapping[str, str]) -> Profile:
        token = _given(fields, "token")
        return desk.redeem(client, token, sent_to=fields.get("return", ""), keep=fields.get("handle") in ("1", "true"))

    def _again(client: Client, fields: Mapping[str, str]) -> Profile:
        return desk.again(client, _given(fields, "handle"))

    def _operation(name: str) -> _Ask:
        asks: dict[str, _Ask] = {"Redeem": _redeem, "Profile": _again}
        if name not in asks:
            raise ServiceError("soap.operation_unknown", "There is no such operation.", expected=" or ".join(asks), received=name)
        return asks[name]

    def refuse(error: IdpError, client: Client | None, *, xml: bool) -> Response:
        reference = note(error, client)
        body = {"error": error.cause, "message": error.message, "expected": error.expected, "reference": reference}
        response = _xml(error_xml(error.cause, error.message, reference)) if xml else jsonify(body)
        response.status_code = error.status
        return protected(response, error)

    def note(error: IdpError, client: Client | None) -> str:
        return note_refusal(gateway, error, client)

    return pages


def note_refusal(gateway: Gateway, error: IdpError, client: Client | None) -> str:
    """The reference under which the audit log has the refusal."""
    reference = new_reference()
    family = error.family if isinstance(error, TicketRefused) else ""
    who = {"client": client.id if client else "", "address": gateway.address(), "family": family}
    gateway.audit.record("service.refused", cause=error.cause, reference=reference, **who)
    return reference


def _given(fields: Mapping[str, str], name: str) -> Secret:
    if not fields.get(name):
        raise ServiceError(f"service.{name}_missing", f"There is no {name} in the body.", expected=f"{name}=... as a form, or as JSON")
    return Secret(fields[name])


def _check_request(secret_name: str) -> None:
    _check_method()
    if secret_name in request.args:
        message = f"The {secret_name} stands in the address, where it ends up in logs."
        raise ServiceError(f"service.{secret_name}_in_address", message, expected=f"the {secret_name} in the body")


def _check_method() -> None:
    if request.method != "POST":
        raise ServiceError("service.method", "This is reached by POST alone.", expected="POST", received=request.method, status=405)


def read_body(content_types: tuple[str, ...]) -> bytes:
    """The body, if it is of one of these types and not too large. Raises ServiceError."""
    if request.mimetype not in content_types:
        raise _wrong_type(" or ".join(content_types))
    request.max_content_length = BIGGEST_BODY
    try:
        return request.get_data()
    except RequestEntityTooLarge:
        raise _too_large() from None


def _read_fields() -> dict[str, str]:
    """The body's fields, each given once and as text (S15, V58). Raises ServiceError."""
    request.max_content_length = BIGGEST_BODY
    try:
        if request.mimetype == "application/json":
            return _checked(_parsed())
        if request.mimetype == "application/x-www-form-urlencoded":
            return {name: _single(name, values) for name, values in request.form.lists()}
    except RequestEntityTooLarge:
        raise _too_large() from None
    raise _wrong_type("application/x-www-form-urlencoded or application/json")


def _wrong_type(expected: str) -> ServiceError:
    message = "The body has a content type that is not taken here."
    return ServiceError("service.content_type", message, expected=expected, received=request.mimetype, status=415)


def _too_large() -> ServiceError:
    return ServiceError("service.body_too_large", "The body is too large.", status=413)


def _parsed() -> Any:
    """The JSON in the body; None when it is none."""
    try:
        return request.get_json(silent=True)
    except RecursionError:  # a thousand brackets, one in the other
        return None


def _checked(body: Any) -> dict[str, str]:
    if not isinstance(body, dict) or not all(isinstance(value, str) and value.isascii() for value in body.values()):
        message = "The body is not a JSON object of plain texts."
        raise ServiceError("service.body_unreadable", message, expected='{"token": "..."}')
    return body


def _single(name: str, values: list[str]) -> str:
    if len(values) > 1:
        raise ServiceError("service.field_repeated", "The body names one thing twice.", received=name)
    return values[0]


def _wants_xml(fields: dict[str, str]) -> bool:
    """`format` in the body or the address decides; else the Accept header; else it is JSON."""
    wanted = fields.get("format") or request.args.get("format", "")
    if wanted in ("xml", "json"):
        return wanted == "xml"
    best = request.accept_mimetypes.best_match(["application/json", "application/xml", "text/xml"], default="application/json")
    return best != "application/json"


def _xml(text: str) -> Response:
    return Response(text, mimetype="application/xml")


def _soap(text: str, status: int = 200) -> Response:
    """A fault goes with status 500 (SOAP 1.1 §6.2), unless HTTP itself has something to say."""
    return Response(text, status=status, content_type=soap.CONTENT_TYPE)


def protected(response: Response, error: IdpError | None = None) -> Response:
    """With the headers that say whom it is for, and what the caller should do next."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept, Authorization"
    if error and error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="vendors", charset="UTF-8"'
    if error and error.status == 405:
        response.headers["Allow"] = "POST"
    if error and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response
