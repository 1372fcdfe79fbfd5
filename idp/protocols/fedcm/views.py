"""The URLs of FedCM. What concerns a member is answered only to the browser itself: no script can send Sec-Fetch-Dest (S107)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, jsonify, request

from idp.errors import BadRequest, IdpError, new_reference
from idp.protocols.fedcm import protocol as paths
from idp.protocols.fedcm.protocol import Asker, FedcmProtocol, FedcmRefused
from idp.sso.answer import Answer, Handover
from idp.sso.protocol import SignOnRequest
from idp.web.gateway import FEDCM_LOGIN, WINDOW, Gateway, see
from idp.web.page import nonce, render


def fedcm_pages(gateway: Gateway, protocol: FedcmProtocol) -> Blueprint:
    """GET /.well-known/web-identity, and everything under /fedcm/."""
    pages = Blueprint("fedcm", __name__)

    @pages.get("/.well-known/web-identity")
    def well_known() -> Response:
        return _public(protocol.well_known())

    @pages.get(paths.CONFIG)
    def config() -> Response:
        return _public(protocol.config())

    @pages.get(paths.ACCOUNTS)
    def accounts() -> Response:
        """The browser does not say which page asks; nothing here may depend on it."""
        return answer(list_accounts)

    @pages.get(paths.METADATA)
    def metadata() -> Response:
        return answer_page(lambda asker: _machine(jsonify(protocol.metadata(asker))), request.args)

    @pages.post(paths.ASSERTION)
    def assertion() -> Response:
        return answer_page(assert_member, request.form)

    @pages.post(paths.DISCONNECT)
    def disconnect() -> Response:
        return answer_page(part_from, request.form)

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

    def answer(ask: Callable[[], Response]) -> Response:
        """For the browser's eyes."""
        try:
            _check_that_the_browser_asks()
            return ask()
        except IdpError as error:
            return refuse(error)

    def answer_page(ask: Callable[[Asker], Response], given: Mapping[str, str]) -> Response:
        """For the page, which may read it only when it is the client's own (S111); before that is known, nothing else is looked at."""

        def known() -> Response:
            asker = protocol.asker(given.get("client_id", ""), request.headers.get("Origin", ""))
            try:
                response = ask(asker)
            except IdpError as error:
                response = refuse(error)
            response.headers["Access-Control-Allow-Origin"] = asker.origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            return response

        return answer(known)

    def refuse(error: IdpError) -> Response:
        code = error.code if isinstance(error, FedcmRefused) else "temporarily_unavailable" if error.status == 503 else "invalid_request"
        reference = new_reference()
        told = {"client": error.client_id, "expected": error.expected, "received": error.received}
        gateway.audit.record("request.refused", cause=error.cause, reference=reference, **told)
        response = jsonify(error={"code": code}, cause=error.cause, reference=reference)
        response.status_code = error.status
        return _machine(response)

    def list_accounts() -> Response:
        session = gateway.browser.federated_session()
        found = protocol.accounts(session) if session else []
        response = _machine(jsonify(accounts=found))
        if not found:
            response.status_code = 401
            response.headers["Set-Login"] = "logged-out"
        return response

    def assert_member(found: Asker) -> Response:
        session = gateway.browser.federated_session(used=True)
        if session is None:
            response = _machine(jsonify(error={"code": "access_denied"}))
            response.status_code = 401
            response.headers["Set-Login"] = "logged-out"
            return response
        protocol.check_account(session, request.form.get("account_id", ""))
        asked, refusal = protocol.read(found, request.form.get("params", ""))
        told = gateway.signon.refuse(asked, refusal) if refusal else start(asked)
        if isinstance(told, Handover) and not told.cause:
            return _machine(jsonify(token=told.token))
        return refer(found, told)

    def start(asked: SignOnRequest) -> Answer:
        """Without a page of ours: what wants one goes on in a window."""
        return gateway.signon.start(replace(asked, passive=True), "", gateway.browser.federated_session())

    def refer(found: Asker, told: Answer) -> Response:
        """A no, to a browser that acted by itself; else a window in which the member can do what is missing."""
        cause = told.cause if isinstance(told, Handover) else ""
        if cause in _HELPABLE and request.form.get("is_auto_selected") != "true":
            query = {"client_id": found.client.id, "origin": found.origin, "params": request.form.get("params", "")}
            return _machine(jsonify(continue_on=f"{gateway.url}{paths.CONTINUE}?{urlencode(query)}"))
        response = _machine(jsonify(error={"code": "access_denied"}))
        response.status_code = 403
        return response

    def part_from(found: Asker) -> Response:
        session = gateway.browser.federated_session()
        if session is None:
            raise FedcmRefused("access_denied", "fedcm.not_signed_in", "Nobody is signed in here.", status=401, client_id=found.client.id)
        gateway.signon.revoke_consent(session, found.client.id)
        gateway.audit.record("fedcm.disconnected", client=found.client.id, subject=session.subject_id, session=session.id)
        return _machine(jsonify(account_id=protocol.account_id(session.subject_id)))

    return pages


_HELPABLE = ("consent.required", "signon.login_required", "entry.denied")
"""Refusals that the member may be able to do something about."""


def _check_that_the_browser_asks() -> None:
    if request.headers.get("Sec-Fetch-Dest") != "webidentity":
        message = "Only the browser itself may ask this."
        raise BadRequest("fedcm.not_the_browser", message, expected="Sec-Fetch-Dest: webidentity")


def _machine(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["Vary"] = "Cookie, Origin, Sec-Fetch-Dest"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _public(document: dict[str, Any]) -> Response:
    """The same for everybody; fetched without cookies."""
    response = Response(json.dumps(document, indent=2), mimetype="application/json")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = "max-age=300"
    return response
