"""The URLs of grants beside the token endpoint: introspection, member data, and devices with their page."""

from __future__ import annotations

from flask import Blueprint, Response, request

from idp.errors import IdpError, new_reference
from idp.protocols.oidc.gate import oidc_client
from idp.protocols.oidc.grant.device import TRIES_WINDOW, Waiting
from idp.protocols.oidc.protocol import OidcProtocol
from idp.protocols.oidc.views import Machine
from idp.sso.client import Client
from idp.sso.throttle import counter, network
from idp.web.gateway import Gateway
from idp.web.page import render

_SIGNED = "application/token-introspection+jwt"
_WRONG_CODES = 20  # from one network in a window: 34 bits are not found by trying (RFC 8628 §5.1)


class _WrongCode(IdpError):
    """The code is not one that waits."""

    def __init__(self) -> None:
        message = "This code is not right, or its time is over. Please look at your device again: it may show a new one."
        super().__init__("oidc.user_code_unknown", message)


class _TooManyCodes(IdpError):
    """Somebody tries codes."""

    status = 429

    def __init__(self) -> None:
        super().__init__("oidc.user_code_throttled", "There were too many wrong codes. Please wait 15 minutes.", retry_after=TRIES_WINDOW)


def grant_pages(gateway: Gateway, protocol: OidcProtocol) -> Blueprint:
    """POST /oauth/introspect, /oauth/me, POST /oauth/device; GET and POST /device, POST /device/allow."""
    pages = Blueprint("oidc_grant", __name__)
    machine = Machine(gateway, protocol)
    devices = protocol.desk.devices

    @pages.post("/oauth/introspect")
    def introspect() -> Response:
        if request.accept_mimetypes.best_match(["application/json", _SIGNED], default="application/json") != _SIGNED:
            return machine.answer_server(lambda: machine.json(protocol.introspect(machine.body(), machine.caller())[0]))
        return machine.answer_server(lambda: Response(protocol.introspect_signed(machine.body(), machine.caller()), content_type=_SIGNED))

    @pages.route("/oauth/me", methods=["GET", "POST", "OPTIONS"])
    def me() -> Response:
        return machine.answer(lambda: protocol.desk.resource.me(machine.caller(), machine.body()))

    @pages.route("/oauth/device", methods=["POST", "OPTIONS"])
    def begin() -> Response:
        return machine.answer(lambda: protocol.begin_device(machine.body(), machine.caller()))

    @pages.get("/device")
    def ask() -> Response:
        return form(request.args.get("user_code", "")[:40])

    @pages.post("/device")
    def look() -> Response:
        """The code was typed in: which application is it?"""
        code = request.form.get("user_code", "")[:40]
        if not gateway.browser.is_own_form("device"):
            return form(code, IdpError("login.form_stale", "This page was open for too long. Please try again."))
        try:
            waiting, client = found(code)
        except IdpError as error:
            return form(code, error)
        return render(
            "device_allow.html",
            client=client,
            waiting=waiting,
            session=gateway.session(),
            form_token=gateway.browser.form_token(waiting.key),
        )

    @pages.post("/device/allow")
    def decide() -> Response:
        waiting = devices.waiting_at(f"device|{request.form.get('device', '')[:64]}")
        if waiting is None or not gateway.browser.is_own_form(waiting.key):
            return form("", _WrongCode())
        if request.form.get("decision") != "allow":
            devices.deny(waiting.key)
            gateway.audit.record("device.denied", client=waiting.client_id)
            return render("device_done.html", allowed=False)
        return gateway.start(protocol.desk.device_sign_on.request(waiting))

    def found(code: str) -> tuple[Waiting, Client]:
        """Raises IdpError. Only wrong codes are counted."""
        key = counter("user_code", network(gateway.address()))
        if devices.wrong_codes(key) >= _WRONG_CODES:
            raise _TooManyCodes
        waiting = devices.waiting(code)
        client = oidc_client(gateway.clients, waiting.client_id) if waiting else None
        if waiting is None or client is None:
            devices.wrong_codes(key, more=1)
            raise _WrongCode
        return waiting, client

    def form(code: str, error: IdpError | None = None) -> Response:
        reference = new_reference() if error else ""
        if error:
            gateway.audit.record("device.refused", cause=error.cause, reference=reference, address=gateway.address())
        return render(
            "device.html",
            status=error.status if error else 200,
            user_code=code,
            error=error,
            reference=reference,
            form_token=gateway.browser.form_token("device"),
        )

    return pages
