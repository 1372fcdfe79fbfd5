"""The one place where a refusal becomes a page: a sentence, a reference number, a way on; the audit line with that number has the cause."""

from __future__ import annotations

import logging
import traceback

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException

from idp.audit import Audit
from idp.errors import IdpError, new_reference
from idp.web.page import render, wants_json

_log = logging.getLogger("idp")


def install(app: Flask, audit: Audit) -> None:
    """Registers the handlers; nothing that is raised in a view reaches the browser by another way."""

    def refuse(error: IdpError) -> Response:
        reference = new_reference()
        audit.record(
            "request.refused",
            cause=error.cause,
            reference=reference,
            client=error.client_id,
            expected=error.expected,
            received=error.received,
            detail="" if _may_be_shown(error) else error.message,
        )
        return refusal_response(error, reference)

    def refuse_http(error: HTTPException) -> Response:
        sentence = _HTTP_SENTENCES.get(error.code or 0, "This request cannot be answered.")
        response = refuse(IdpError(f"http.{error.code}", sentence, status=error.code or 400))
        if error.code == 405 and error.get_response().headers.get("Allow"):
            response.headers["Allow"] = error.get_response().headers["Allow"]
        return response

    def fail(error: Exception) -> Response:
        reference = new_reference()
        # the message of an unforeseen exception may hold personal data or a secret: only its type and its place are logged
        place = "".join(traceback.format_tb(error.__traceback__))
        _log.error("unforeseen %s, reference %s\n%s", type(error).__name__, reference, place)
        audit.record("server.failed", cause=f"server.{type(error).__name__}", reference=reference)
        return refusal_response(IdpError("server.failed", _OUR_FAULT, status=500), reference)

    app.url_map.merge_slashes = False  # werkzeug would redirect `//login` to whatever host the request names (S119, V53)
    app.register_error_handler(IdpError, refuse)
    app.register_error_handler(HTTPException, refuse_http)
    app.register_error_handler(Exception, fail)


def refusal_response(error: IdpError, reference: str) -> Response:
    """The page, or JSON for a program; `expected` and `received` are shown to help whoever connects a vendor."""
    error = _outside(error)
    if wants_json():
        response = jsonify(
            error=error.cause, error_description=error.message, expected=error.expected, received=error.received, reference=reference
        )
        response.status_code = error.status
    else:
        response = render("refusal.html", status=error.status, error=error, reference=reference)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def _outside(error: IdpError) -> IdpError:
    """The face that strangers see. Of our own trouble they learn that there is some: paths, hosts and commands are for the log."""
    if error.status < 500:
        return error
    message = error.message if _may_be_shown(error) else _OUR_FAULT
    return IdpError(error.cause, message, status=error.status, retry_after=error.retry_after)


def _may_be_shown(error: IdpError) -> bool:
    """Whether the sentence is for members; one of status 500 tells operators what to mend."""
    return error.status != 500


_OUR_FAULT = "Something went wrong on our side. Nothing was lost."
_HTTP_SENTENCES = {
    400: "This request could not be read.",
    404: "There is no such page here.",
    405: "This page is not reached that way.",
    413: "This request is too large.",
    415: "This request has a content type that is not taken here.",
}
