"""The URLs of FedCM. What concerns a member is answered only to the browser itself: no script can send Sec-Fetch-Dest (S107)."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, jsonify, request

from idp.errors import BadRequest, IdpError, new_reference
from idp.protocols.fedcm import protocol as paths
from idp.protocols.fedcm.desk import FedcmDesk, Wish
from idp.protocols.fedcm.protocol import Asker, FedcmProtocol, FedcmRefused
from idp.web.gateway import FEDCM_LOGIN, WINDOW, Gateway, see
from idp.web.page import nonce, render


def fedcm_pages(gateway: Gateway, protocol: FedcmProtocol) -> Blueprint:
    """GET /.well-known/web-identity, and everything under /fedcm/."""
    pages = Blueprint("fedcm", __name__)
    desk = FedcmDesk(protocol, gateway.signon, gateway.audit, url=gateway.url)
    screen = Screen(gateway, protocol)

    @pages.get(paths.WELL_KNOWN)
    def well_known() -> Response:
        return _public(protocol.well_known())

    @pages.get(paths.CONFIG)
    def config() -> Response:
        return _public(protocol.config())

    @pages.get(paths.ACCOUNTS)
    @screen.for_browser
    def accounts() -> Response:
        """The browser does not say which page asks; nothing here may depend on it."""
        session = gateway.browser.federated_session()
        found = protocol.accounts(session) if session else []
        return _machine({"accounts": found}) if found else _signed_out({"accounts": []})

    @pages.get(paths.METADATA)
    @screen.for_page
    def metadata(asker: Asker) -> Response:
        return _machine(protocol.metadata(asker))

    @pages.post(paths.ASSERTION)
    @screen.for_page
    def assertion(asker: Asker) -> Response:
        session, sent = gateway.browser.federated_session(used=True), request.form
        if session is None:
            return _signed_out(_DENIED)
        wish = Wish(sent.get("account_id", ""), sent.get("params", ""), unasked=sent.get("is_auto_selected") == "true")
        given = desk.sign_on(asker, session, wish)
        return _machine(_DENIED, 403) if given is None else _machine(given)

    @pages.post(paths.DISCONNECT)
    @screen.for_page
    def disconnect(asker: Asker) -> Response:
        return _machine({"account_id": desk.part(asker, gateway.browser.federated_session())})

    @pages.get(FEDCM_LOGIN)
    def log_in() -> Response:
        """In a window that the browser has opened by itself, and closes when somebody is signed in."""
        session = gateway.session()
        if session is None:
            gateway.browser.keep(WINDOW, "1")
            return see(f"{gateway.url}/login")
        gateway.browser.forget(WINDOW)
        gateway.browser.mend_fedcm(session)
        response = render("fedcm.html", resolve=None)
        response.headers["Set-Login"] = "logged-in"
        return response

    @pages.get(paths.CONTINUE)
    def go_on() -> Response:
        """In such a window: the request that could not be answered without the member, read and checked anew."""
        given = request.args
        try:
            found = protocol.asker(given.get("client_id", ""), given.get("origin", ""))
            asked, refusal = protocol.read(found, given.get("params", ""))
        except FedcmRefused as error:
            raise BadRequest(error.cause, error.message, received=error.received, client_id=error.client_id, status=error.status) from None
        return gateway.send(gateway.signon.refuse(asked, refusal)) if refusal else gateway.start(asked)

    @pages.get("/fedcm/frame")
    def frame() -> Response:
        """A frame in a page of the client's: asks the browser who has signed in there before, and tells that page alone (S105)."""
        client_id = request.args.get("client", "")
        origins = protocol.frame_origins(client_id)
        told = {"configURL": gateway.url + paths.CONFIG, "clientId": client_id}
        response = render("fedcm_frame.html", provider=told, origins=origins, greet=protocol.greets(client_id))
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'nonce-{nonce()}'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors {' '.join(origins) or chr(39) + 'none' + chr(39)}"
        )
        return response

    return pages


class Screen:
    """Stands before the views that concern a member, and decides who may ask and who may read the answer."""

    def __init__(self, gateway: Gateway, protocol: FedcmProtocol) -> None:
        self._gateway = gateway
        self._protocol = protocol

    def for_browser(self, view: Callable[[], Response]) -> Callable[[], Response]:
        """For the browser's eyes."""

        @functools.wraps(view)
        def screened() -> Response:
            try:
                _check_that_the_browser_asks()
                return view()
            except IdpError as error:
                return self._refuse(error)

        return screened

    def for_page(self, view: Callable[[Asker], Response]) -> Callable[[], Response]:
        """For the page, which may read it only when it is the client's own (S111); before that is known, nothing else is looked at."""

        @functools.wraps(view)
        def known() -> Response:
            given = request.form if request.method == "POST" else request.args
            asker = self._protocol.asker(given.get("client_id", ""), request.headers.get("Origin", ""))
            try:
                response = view(asker)
            except IdpError as error:
                response = self._refuse(error)
            response.headers["Access-Control-Allow-Origin"] = asker.origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            return response

        return self.for_browser(known)

    def _refuse(self, error: IdpError) -> Response:
        code = error.code if isinstance(error, FedcmRefused) else "temporarily_unavailable" if error.status == 503 else "invalid_request"
        reference = new_reference()
        told = {"client": error.client_id, "expected": error.expected, "received": error.received}
        self._gateway.audit.record("request.refused", cause=error.cause, reference=reference, **told)
        return _machine({"error": {"code": code}, "cause": error.cause, "reference": reference}, error.status)


_DENIED = {"error": {"code": "access_denied"}}


def _check_that_the_browser_asks() -> None:
    if request.headers.get("Sec-Fetch-Dest") != "webidentity":
        message = "Only the browser itself may ask this."
        raise BadRequest("fedcm.not_the_browser", message, expected="Sec-Fetch-Dest: webidentity")


def _machine(document: dict[str, Any], status: int = 200) -> Response:
    response = jsonify(document)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Cookie, Origin, Sec-Fetch-Dest"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _signed_out(document: dict[str, Any]) -> Response:
    """The browser need not ask again before somebody signs in (S112)."""
    response = _machine(document, 401)
    response.headers["Set-Login"] = "logged-out"
    return response


def _public(document: dict[str, Any]) -> Response:
    """The same for everybody; fetched without cookies."""
    response = Response(json.dumps(document, indent=2), mimetype="application/json")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = "max-age=300"
    return response
