"""/ : the member's own page, and what it does. /livez and /readyz: health."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify, request

from idp.errors import BadRequest, IdpError, Unavailable
from idp.keys import KeyRing
from idp.sso.client import Client
from idp.sso.member import MemberDesk
from idp.sso.session import Session
from idp.store import Store
from idp.web.consent import labels_of
from idp.web.crowd import never_turned_away
from idp.web.gateway import Gateway, see
from idp.web.page import render

_SAID = "_said"
"""What the cookie is kept for that tells the page what was just done."""
_SENTENCES = {
    "disconnected": "Disconnected. The application no longer sees anything new of you until you go there again.",
    "ended": "That device is signed out.",
    "others_ended": "You are signed out on all other devices.",
}


def home_pages(gateway: Gateway, desk: MemberDesk | None = None) -> Blueprint:
    """GET /, POST /member/disconnect, /member/sign-out, /member/sign-out-others. Without a desk the page only greets."""
    pages = Blueprint("home", __name__)

    @pages.get("/")
    def home() -> Response:
        session = gateway.session()
        said = gateway.browser.kept(_SAID)
        gateway.browser.forget(_SAID)
        applications = desk.applications(session) if session and desk else None
        if session is None or desk is None or applications is None:
            return render("home.html", session=None if desk else session, mine=False, said="")
        return render(
            "home.html",
            session=session,
            mine=True,
            said=_SENTENCES.get(said, ""),
            applications=applications,
            devices=desk.devices(session),
            sign_ins=desk.sign_ins(session),
            form_token=gateway.browser.form_token("member"),
            label_of=lambda name: labels_of([name])[0],
        )

    @pages.post("/member/disconnect")
    def disconnect() -> Response:
        return act(lambda desk, session: desk.disconnect(session, request.form.get("client", "")), "disconnected")

    @pages.post("/member/sign-out")
    def sign_out() -> Response:
        return act(lambda desk, session: desk.end(session, request.form.get("session", "")), "ended")

    @pages.post("/member/sign-out-others")
    def sign_out_others() -> Response:
        return act(lambda desk, session: desk.end_others(session), "others_ended")

    def act(do: Callable[[MemberDesk, Session], object], said: str) -> Response:
        """What a form of the page wants, and back to it."""
        session = gateway.session()
        if session is not None and desk is not None:
            if not gateway.browser.is_own_form("member"):
                raise BadRequest("member.form_stale", "This page was open for too long. Please try again.")
            do(desk, session)
            gateway.browser.keep(_SAID, said)
        return see(f"{gateway.url}/")

    @pages.app_context_processor
    def of_dead_ends() -> dict[str, object]:
        """Where a page that leads nowhere can lead to: the application that it is about, if there is one."""
        return {"application_of": application_of}

    def application_of(error: IdpError) -> Client | None:
        try:
            client = gateway.clients.get(error.client_id) if error.client_id else None
        except Unavailable:
            return None
        return client if client and client.start_url else None

    return pages


def health_pages(store: Store, keys: KeyRing, warnings: Callable[[], list[str]] = list) -> Blueprint:
    """GET /livez: the process answers. GET /readyz: it can serve, because store and keys are there; `warnings` do not stop it."""
    pages = Blueprint("health", __name__)

    @pages.get("/livez")
    @never_turned_away
    def live() -> Response:
        return jsonify(status="ok")

    @pages.get("/readyz")
    @never_turned_away
    def ready() -> Response:
        problems = [problem for problem in (_problem(store.ping), _problem(lambda: keys.current)) if problem]
        response = jsonify(status="unavailable" if problems else "ok", problems=problems, warnings=[] if problems else warnings())
        response.status_code = 503 if problems else 200
        return response

    return pages


def _problem(look: Callable[[], object]) -> str:
    try:
        look()
    except IdpError as error:
        return error.cause
    return ""
