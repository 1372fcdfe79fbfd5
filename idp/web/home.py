"""/ : the member's start page. /livez and /readyz: health."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, jsonify

from idp.errors import IdpError, Unavailable
from idp.keys import KeyRing
from idp.sso.client import Client
from idp.store import Store
from idp.web.gateway import Gateway
from idp.web.page import render


def home_pages(gateway: Gateway) -> Blueprint:
    """GET /."""
    pages = Blueprint("home", __name__)

    @pages.get("/")
    def home() -> Response:
        session = gateway.session()
        clients = [client for client in gateway.clients.snapshot().clients.values() if client.url] if session else []
        return render("home.html", session=session, clients=sorted(clients, key=lambda client: client.name.casefold()))

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
    def live() -> Response:
        return jsonify(status="ok")

    @pages.get("/readyz")
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
