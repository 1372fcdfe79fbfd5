"""/login and /signon: the sign-in page and the way back to a waiting request."""

from __future__ import annotations

from flask import Blueprint, Response, request

from idp.errors import IdpError, Unavailable, new_reference
from idp.secret import Secret
from idp.sso.login import BadCredentials, LoginDesk, LoginSettings, Throttled
from idp.sso.signon import Pending, PendingGone
from idp.web.gateway import Gateway, see
from idp.web.page import render


def login_pages(gateway: Gateway, desk: LoginDesk, settings: LoginSettings) -> Blueprint:
    """GET /login, POST /login, POST /login/cancel, GET /signon/<id>, POST /signon/<id>/refuse."""
    pages = Blueprint("login", __name__)

    @pages.get("/login")
    def show() -> Response:
        pending = waiting(request.args.get("request", ""))
        session = gateway.session()
        if session is not None and not (pending and gateway.signon.needs_login(pending, session)):
            return see(onward(pending))
        return form(pending, username=session.username if session else pending.request.login_hint if pending else "")

    @pages.post("/login")
    def submit() -> Response:
        pending = waiting(request.form.get("request", ""))
        username = request.form.get("username", "")
        if not gateway.browser.is_own_form("login"):
            stale = IdpError("login.form_stale", "This page was open for too long. Please try again.")
            return form(pending, username=username, error=stale)
        try:
            signed = desk.sign_in(
                username,
                Secret(request.form.get("password", "")),
                address=gateway.address(),
                previous=gateway.session(),
                onward=onward(pending),
            )
        except (BadCredentials, Throttled, Unavailable) as error:
            return form(pending, username=username, error=error)
        gateway.browser.signed_in(signed.session, signed.cookies, ping=bool(gateway.clients.snapshot().of("jsonp")))
        return gateway.go_through(signed.ended) if signed.ended else see(onward(pending))

    @pages.post("/login/cancel")
    def cancel() -> Response:
        if not gateway.browser.is_own_form("login"):
            raise PendingGone
        return gateway.send(gateway.signon.cancel(request.form.get("request", ""), gateway.browser.secret()))

    @pages.post("/signon/<request_id>/refuse")
    def decline(request_id: str) -> Response:
        if not gateway.browser.is_own_form("decline"):
            raise PendingGone
        return gateway.send(gateway.signon.decline(request_id, gateway.browser.secret()))

    @pages.app_context_processor
    def of_turned_away() -> dict[str, object]:
        """What the page needs that tells a member why they may not enter, whichever view shows it."""
        token = lambda: gateway.browser.form_token("decline")  # noqa: E731
        return {"renew_url": settings.renew_url, "help_text": settings.help_text, "decline_token": token}

    @pages.get("/signon/<request_id>")
    def resume(request_id: str) -> Response:
        browser = gateway.browser
        browser.forget(request_id)
        return gateway.send(gateway.signon.resume(request_id, browser.secret(), browser.session(), held=browser.kept(request_id)))

    def waiting(request_id: str) -> Pending | None:
        """None when the member came to sign in here, for no client. Raises PendingGone."""
        if not request_id:
            return None
        pending = gateway.signon.pending(request_id, gateway.browser.secret())
        if pending is None:
            raise PendingGone
        return pending

    def onward(pending: Pending | None) -> str:
        return f"{gateway.url}/signon/{pending.id}" if pending else f"{gateway.url}/"

    def form(pending: Pending | None, *, username: str, error: IdpError | None = None) -> Response:
        client = gateway.clients.get(pending.request.client_id) if pending else None
        reference = new_reference() if error else ""
        if error:
            gateway.audit.record("login.refused", cause=error.cause, reference=reference, client=client.id if client else "")
        response = render(
            "login.html",
            status=error.status if error else 200,
            client=client,
            pending=pending,
            username=username[:256],
            settings=settings,
            error=error,
            reference=reference,
            form_token=gateway.browser.form_token("login"),
        )
        if error and error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    return pages
