"""/service/redeem: the one web service. A token, cookie or JSONP vendor's server brings a ticket, and gets what it may see (S97).

The secret comes in the Authorization header alone, the ticket in the body alone: addresses end up in logs. What is sent back is
chosen by the client's release and by the ticket's own session; nothing in the request can widen it (S98, S41).
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from idp.clock import Now
from idp.errors import IdpError, new_reference
from idp.secret import Secret, digest
from idp.settings import Settings
from idp.sso.client import Client
from idp.sso.subject import Subjects
from idp.sso.ticket import Ticket, TicketRefused, Tickets
from idp.store import Store
from idp.web.gateway import Gateway
from idp.web.profile import Profile, error_xml, make_profile

_PROTOCOLS = ("token", "cookie", "jsonp")
_BIGGEST_BODY = 16 * 1024
_WINDOW = 60
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class ServiceSettings(Settings):
    """[service]: how often vendors' servers may call."""

    calls_per_minute: int = 1200
    """Calls of one vendor with a good secret."""
    wrong_secrets_per_minute: int = 60
    """Calls from one address with a wrong secret."""


class ServiceError(IdpError):
    """What the vendor's server did wrong."""


class BadClient(ServiceError):
    """One sentence for an unknown client and for a wrong secret, so that neither can be found out."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "service.bad_client",
            "The client id or the secret is not right.",
            expected="HTTP Basic authentication with the client's id and secret in the Authorization header",
        )


def service_pages(
    gateway: Gateway,
    settings: ServiceSettings,
    *,
    tickets: Tickets,
    subjects: Subjects,
    store: Store,
    now: Now,
) -> Blueprint:
    """POST /service/redeem."""
    pages = Blueprint("service", __name__, url_prefix="/service")
    admission = _Admission(gateway, settings, store=store, now=now)

    @pages.route("/redeem", methods=_METHODS, provide_automatic_options=False)
    def redeem() -> Response:
        client: Client | None = None
        fields: dict[str, str] = {}
        try:
            _check_request()
            client = admission.admit()
            fields = _read_fields()
            return answer(profile_of(client, fields), xml=_wants_xml(fields))
        except IdpError as error:
            return refuse(error, client, xml=_wants_xml(fields))

    def profile_of(client: Client, fields: dict[str, str]) -> Profile:
        if not fields.get("token"):
            raise ServiceError("service.token_missing", "There is no token in the body.", expected="token=... as a form, or as JSON")
        ticket = tickets.redeem(Secret(fields["token"]), client.id)
        _check_return(ticket, fields.get("return", ""))
        subject = subjects.current(ticket.session.subject_id, max_age=client.max_age)
        if subject is None:
            gateway.logout.end(ticket.session.id, reason="subject_gone")  # V51
            raise ServiceError("subject.gone", "The member's account was closed or disabled.")
        profile = make_profile(ticket.session, subject, client.release, now)
        gateway.audit.record(
            "service.redeemed", client=client.id, subject=subject.id, session=ticket.session.id, released=sorted(profile.attributes)
        )
        return profile

    def answer(profile: Profile, *, xml: bool) -> Response:
        return _protected(_xml(profile.as_xml()) if xml else jsonify(profile.as_json()))

    def refuse(error: IdpError, client: Client | None, *, xml: bool) -> Response:
        reference = new_reference()
        family = error.family if isinstance(error, TicketRefused) else ""
        who = {"client": client.id if client else "", "address": gateway.address(), "family": family}
        gateway.audit.record("service.refused", cause=error.cause, reference=reference, **who)
        body = {"error": error.cause, "message": error.message, "expected": error.expected, "reference": reference}
        response = _xml(error_xml(error.cause, error.message, reference)) if xml else jsonify(body)
        response.status_code = error.status
        return _protected(response, error)

    return pages


class _Admission:
    """Who may call, and how often."""

    def __init__(self, gateway: Gateway, settings: ServiceSettings, *, store: Store, now: Now) -> None:
        self._gateway = gateway
        self._settings = settings
        self._store = store
        self._now = now

    def admit(self) -> Client:
        """The client whose server calls. Raises ServiceError."""
        address = self._gateway.address()
        wrong = f"service.wrong|{digest(address)[:32]}"
        stored = self._store.get("throttle", wrong)
        if stored and stored.record["count"] >= self._settings.wrong_secrets_per_minute:
            raise self._too_many(wrong)
        client = self._authenticated()
        if client is None:
            self._store.bump("throttle", wrong, 1, expires=self._now() + _WINDOW)
            raise BadClient
        _check_address(client, address)
        calls = f"service.calls|{digest(client.id)[:32]}"
        if self._store.bump("throttle", calls, 1, expires=self._now() + _WINDOW) > self._settings.calls_per_minute:
            raise self._too_many(calls)
        return client

    def _authenticated(self) -> Client | None:
        sent = request.authorization
        if sent is None or sent.type != "basic" or not sent.username:
            return None
        client = self._gateway.clients.get(sent.username)
        if client is None or client.protocol not in _PROTOCOLS or not client.accepts(Secret(sent.password or "")):
            return None
        return client

    def _too_many(self, counter: str) -> ServiceError:
        stored = self._store.get("throttle", counter)
        wait = stored.expires - self._now() if stored and stored.expires else _WINDOW
        return ServiceError("service.throttled", "There were too many calls. Please wait a minute.", status=429, retry_after=max(1, wait))


def _check_request() -> None:
    if request.method != "POST":
        raise ServiceError("service.method", "This is reached by POST alone.", expected="POST", received=request.method, status=405)
    if "token" in request.args:
        message = "The token stands in the address, where it ends up in logs."
        raise ServiceError("service.token_in_address", message, expected="the token in the body")


def _read_fields() -> dict[str, str]:
    """The body's fields, each given once and as text (S15, V58). Raises ServiceError."""
    request.max_content_length = _BIGGEST_BODY
    try:
        if request.mimetype == "application/json":
            return _checked(_parsed())
        if request.mimetype == "application/x-www-form-urlencoded":
            return {name: _single(name, values) for name, values in request.form.lists()}
    except RequestEntityTooLarge:
        raise ServiceError("service.body_too_large", "The body is too large.", status=413) from None
    raise ServiceError(
        "service.content_type",
        "The body has a content type that is not taken here.",
        expected="application/x-www-form-urlencoded or application/json",
        received=request.mimetype,
        status=415,
    )


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


def _check_return(ticket: Ticket, given: str) -> None:
    """A vendor that says on which of its pages the token arrived has that compared with where it was sent (S94)."""
    if given and given != ticket.data["return"]:
        raise ServiceError("ticket.other_return", "This token was sent to another address.")


def _check_address(client: Client, address: str) -> None:
    networks = [ip_network(each, strict=False) for each in client.settings.addresses]
    if not networks:
        return
    if not any(_is_inside(address, network) for network in networks):
        message = "Calls from this address are not allowed."
        raise ServiceError("service.address_not_allowed", message, received=address, status=403)


def _is_inside(address: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(address) in network
    except ValueError:  # the caller's address is not known, as on a Unix socket without a proxy's header
        return False


def _wants_xml(fields: dict[str, str]) -> bool:
    """`format` in the body or the address decides; else the Accept header; else it is JSON."""
    wanted = fields.get("format") or request.args.get("format", "")
    if wanted in ("xml", "json"):
        return wanted == "xml"
    best = request.accept_mimetypes.best_match(["application/json", "application/xml", "text/xml"], default="application/json")
    return best != "application/json"


def _xml(text: str) -> Response:
    return Response(text, mimetype="application/xml")


def _protected(response: Response, error: IdpError | None = None) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Accept, Authorization"
    if error and error.status == 401:
        response.headers["WWW-Authenticate"] = 'Basic realm="vendors", charset="UTF-8"'
    if error and error.status == 405:
        response.headers["Allow"] = "POST"
    if error and error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response
