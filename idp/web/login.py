"""/login and /signon: the sign-in page and the way back to a waiting request."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response, request

from idp.directory import SignInBarred
from idp.directory.door import Ways
from idp.errors import IdpError, Unavailable
from idp.secret import Secret
from idp.sso.login import BadCredentials, LoginDesk, LoginSettings, Throttled
from idp.sso.signon import PendingGone
from idp.web.door import Doorkeeper
from idp.web.gateway import Gateway, see
from idp.web.login_page import LoginPage


def login_pages(
    gateway: Gateway,
    desk: LoginDesk,
    settings: LoginSettings,
    keeper: Doorkeeper | None = None,
    *,
    try_store: Callable[[], object] = lambda: None,
) -> Blueprint:
    """GET /login, POST /login, POST /login/cancel, GET /signon/<id>, POST /signon/<id>/refuse. `keeper` knows iMIS's sign-in pages;
    `try_store` raises Unavailable where a sign-in would."""
    pages = Blueprint("login", __name__)
    page = keeper.page if keeper else LoginPage(gateway, settings, Ways())

    @pages.get("/login")
    def show() -> Response:
        pending = page.waiting(request.args.get("request", ""))
        session = gateway.session()
        if session is not None and not (pending and gateway.signon.needs_login(pending, session)):
            return see(page.onward(pending))
        if keeper and (answer := keeper.lead(pending)):
            return answer
        username = session.username if session else pending.request.login_hint if pending else ""
        return page.show(pending, username=username, error=trouble() if session is None and pending is None else None)

    def trouble() -> Unavailable | None:
        """A browser that brings nothing has not made us ask the store; members see what is wrong before they type a password (F7)."""
        try:
            try_store()
        except Unavailable as error:
            return error
        return None

    @pages.post("/login")
    def submit() -> Response:
        pending = page.waiting(request.form.get("request", ""))
        username = request.form.get("username", "")
        if not page.ways.form:
            return page.show(pending)
        if not gateway.browser.is_own_form("login"):
            stale = IdpError("login.form_stale", "This page was open for too long. Please try again.")
            return page.show(pending, username=username, error=stale)
        try:
            signed = desk.sign_in(
                username,
                Secret(request.form.get("password", "")),
                address=gateway.address(),
                previous=gateway.session(),
                onward=page.onward(pending),
            )
        except (BadCredentials, SignInBarred, Throttled, Unavailable) as error:
            return page.show(pending, username=username, error=error)
        return gateway.welcome(signed, page.onward(pending))

    @pages.post("/login/cancel")
    def cancel() -> Response:
        if not gateway.browser.is_own_form("login"):
            raise PendingGone(request.form.get("request", ""))
        return gateway.send(gateway.signon.cancel(request.form.get("request", ""), gateway.browser.secret()))

    @pages.post("/signon/<request_id>/refuse")
    def decline(request_id: str) -> Response:
        if not gateway.browser.is_own_form("decline"):
            raise PendingGone(request_id)
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

    return pages
