"""/consent: what a member has agreed to, and taking it back; /signon/<id>/consent: the answer to the question."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flask import Blueprint, Response, request

from idp.errors import BadRequest
from idp.sso.signon import PendingGone
from idp.web.gateway import Gateway, see
from idp.web.page import render

_LABELS: Mapping[str, str] = {
    "name": "Your name",
    "full_name": "Your name",
    "given_name": "Your first name",
    "first_name": "Your first name",
    "middle_name": "Your middle name",
    "family_name": "Your last name",
    "last_name": "Your last name",
    "nickname": "What you like to be called",
    "informal_name": "What you like to be called",
    "preferred_username": "Your user name",
    "username": "Your user name",
    "imis_id": "Your membership number",
    "email": "Your email address",
    "phone": "Your phone number",
    "phone_number": "Your phone number",
    "address": "Your address",
    "roles": "Your roles",
    "committees": "Your committees",
    "member_type": "Your kind of membership",
    "offline_access": "All this also while you are not signed in",
}


def consent_pages(gateway: Gateway) -> Blueprint:
    """GET /consent, POST /consent/revoke, POST /signon/<id>/consent."""
    pages = Blueprint("consent", __name__)

    @pages.post("/signon/<request_id>/consent")
    def answer(request_id: str) -> Response:
        if not gateway.browser.is_own_form("consent"):
            raise PendingGone(request_id)
        signon, secret = gateway.signon, gateway.browser.secret()
        if request.form.get("answer") == "agree":
            return gateway.send(signon.agree(request_id, secret, gateway.session()))
        return gateway.send(signon.disagree(request_id, secret))

    @pages.get("/consent")
    def show() -> Response:
        session = gateway.session()
        given = gateway.signon.consents.of_subject(session.subject_id) if session else []
        rows = [(client, consent) for consent in given if (client := gateway.clients.get(consent.client_id)) and consent.is_for(client)]
        return render("consents.html", session=session, rows=sorted(rows, key=lambda row: row[0].name.casefold()))

    @pages.post("/consent/revoke")
    def revoke() -> Response:
        session = gateway.session()
        if session is None:
            return see(f"{gateway.url}/consent")
        if not gateway.browser.is_own_form("consent"):
            raise BadRequest("consent.form_stale", "This page was open for too long. Please try again.")
        gateway.signon.revoke_consent(session, request.form.get("client", ""))
        return see(f"{gateway.url}/consent")

    @pages.app_context_processor
    def of_question() -> dict[str, object]:
        """What the pages need, whichever view shows them."""
        return {"consent_token": lambda: gateway.browser.form_token("consent"), "consent_labels": labels_of}

    return pages


def labels_of(things: Iterable[str]) -> list[str]:
    """In a member's words; a name that only the application knows stands as it is."""
    return list(dict.fromkeys(_LABELS.get(thing, thing.replace("_", " ").capitalize()) for thing in sorted(things)))
