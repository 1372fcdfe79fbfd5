"""The sign-in page: our form, a button for each sign-in page of iMIS, or both; and what went wrong the last time."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Response

from idp.directory import SignInBarred
from idp.directory.door import Door, Ways
from idp.errors import IdpError, new_reference
from idp.sso.login import LoginSettings
from idp.sso.signon import Pending, PendingGone
from idp.web.account.link import with_way_back
from idp.web.gateway import Gateway
from idp.web.page import render


class LoginPage:
    """Shows it. A request that waits is named in all its forms and buttons."""

    def __init__(self, gateway: Gateway, settings: LoginSettings, ways: Ways) -> None:
        self._gateway = gateway
        self.settings = settings
        self.ways = ways

    def waiting(self, request_id: str) -> Pending | None:
        """None when the member came to sign in here, for no client. Raises PendingGone."""
        if not request_id:
            return None
        pending = self._gateway.signon.pending(request_id, self._gateway.browser.secret())
        if pending is None:
            raise PendingGone(request_id)
        return pending

    def onward(self, pending: Pending | None) -> str:
        """Where the browser goes after a good login."""
        return f"{self._gateway.url}/signon/{pending.id}" if pending else f"{self._gateway.url}/"

    def _here(self, pending: Pending | None) -> str:
        """This page once more, for whoever comes back from a page of others."""
        return f"{self._gateway.url}/login" + (f"?{urlencode({'request': pending.id})}" if pending else "")

    def show(self, pending: Pending | None, *, username: str = "", error: IdpError | None = None) -> Response:
        """With an error: its sentence, and a reference under which the log has the cause."""
        client = self._gateway.clients.get(pending.request.client_id) if pending else None
        reference = new_reference() if error else ""
        if error:
            received = error.received if error.status >= 500 else ""
            name = client.id if client else ""
            self._gateway.audit.record("login.refused", cause=error.cause, reference=reference, client=name, received=received)
        response = render(
            "login.html",
            status=error.status if error else 200,
            client=client,
            pending=pending,
            username=username[:256],
            settings=with_way_back(self.settings, self._here(pending)),
            ways=self.ways,
            start_url=_start_url,
            error=error,
            barred=isinstance(error, SignInBarred),
            reference=reference,
            form_token=self._gateway.browser.form_token("login"),
        )
        if error and error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response


def _start_url(door: Door, pending: Pending | None) -> str:
    """The address of a door's button."""
    query = f"?{urlencode({'request': pending.id})}" if pending else ""
    return f"/imis/start{f'/{door.name}' if door.name else ''}{query}"
