"""The cookie protocol: a good answer puts a single-use ticket into a cookie on the shared domain, and goes back to the vendor's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from idp.clock import Now
from idp.errors import ConfigError, IdpError, Refusal
from idp.keys import KeyRing
from idp.protocols.cookie.domain import SharedDomains
from idp.protocols.cookie.settings import CookieSettings
from idp.sso.answer import Answer, Redirect, SharedCookie
from idp.sso.client import Client, Clients
from idp.sso.notice import ClearCookie, Notice
from idp.sso.protocol import Grant, SignOnRequest
from idp.sso.session import Participant, Session
from idp.sso.ticket import Tickets
from idp.web.vendors.desk import VendorDesk, VendorLogout

_LIFE = 30  # seconds, as long as the ticket in it lives (S94)
_OUR_OWN = ("idp_session", "idp_browser", "idp_ping")  # where we run without https our cookies carry no prefix to protect them


class CookieProtocol:
    """`ClientProtocol` for vendors that read a cookie on a domain they share with us."""

    name = "cookie"

    def __init__(self, *, url: str, clients: Clients, keys: KeyRing, tickets: Tickets, now: Now) -> None:
        """Raises ConfigError when a vendor of the configuration file has no domain in common with us (S106)."""
        self._desk = VendorDesk(self.name, url=url, clients=clients, keys=keys, now=now)
        self._tickets = tickets
        self._domains = SharedDomains(url)
        self._check_all(clients.of_file(self.name))

    def check(self, client: Client) -> None:
        """Whether the cookie of this client can be shared. Raises IdpError."""
        self._cookie(client, "")

    def shared_cookie(self, client: Client) -> SharedCookie:
        """The cookie's name and domain as they are in force, empty of any value. Raises IdpError."""
        return self._cookie(client, "")

    def read(self, parameters: Mapping[str, str]) -> SignOnRequest:
        """Raises BadRequest until the return address is known to be good; IdpError when the vendor's cookie cannot be shared."""
        request = self._desk.read(parameters)
        self.check(self._desk.client(request.client_id))
        return request

    def objection(self, request: SignOnRequest) -> Refusal | None:
        return self._desk.objection(request)

    def respond(self, request: SignOnRequest, grant: Grant) -> tuple[Answer, Mapping[str, Any]]:
        target = self._desk.target(request, grant.client)
        ticket = self._tickets.issue(grant.client.id, grant.session, {"return": request.state["return"]}).reveal()
        return Redirect(target, cookies=(self._cookie(grant.client, ticket),)), {}

    def refuse(self, request: SignOnRequest, refusal: Refusal, reference: str) -> Answer:
        return self._desk.refusal(request, refusal, reference)

    def launch_url(self, client: Client) -> str:
        """These vendors need no request of their own."""
        return self._desk.launch_url(client)

    def read_logout(self, parameters: Mapping[str, str]) -> VendorLogout:
        return self._desk.read_logout(parameters)

    def logout_notice(self, participant: Participant, session: Session) -> Notice | None:
        cleared = self._cookie(self._desk.client(participant.client_id), "")
        return self._desk.notice(participant, session, cookie=cleared) or ClearCookie(cleared)

    def logout_answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:  # noqa: ARG002  these vendors are told nothing more
        """The client that began is not told of the end; its cookie is cleared here."""
        return Redirect(state["return"], cookies=(self._cookie(self._desk.client(state["client"]), ""),))

    def _cookie(self, client: Client, value: str) -> SharedCookie:
        settings: CookieSettings = client.settings
        domain = self._domains.of(settings, client_id=client.id)
        return SharedCookie(_cookie_name(client), domain, value, _LIFE, settings.http_only)

    def _check_all(self, clients: Iterable[Client]) -> None:
        problems = []
        for client in clients:
            try:
                self.check(client)
            except IdpError as error:
                problems.append(f"clients.{client.id}.cookie: {error.message} Given: {error.received}")
        if problems:
            raise ConfigError(problems)


def _cookie_name(client: Client) -> str:
    """Raises IdpError when it is the name of a cookie of our own."""
    settings: CookieSettings = client.settings
    name = settings.cookie_name or f"idp_{client.id}"
    if name.lower() in _OUR_OWN:
        message = f"The cookie name {name} is our own: give the application {client.id} another."
        raise IdpError("cookie.name_taken", message, client_id=client.id, status=500)
    return name
