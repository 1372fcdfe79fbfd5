"""The token protocol: a good answer is a single-use ticket in a form, or by choice in the address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.clock import Now
from idp.errors import Refusal
from idp.keys import KeyRing
from idp.protocols.token.settings import TokenSettings
from idp.sso.answer import Answer, FormPost, Redirect
from idp.sso.client import Client, Clients
from idp.sso.notice import Notice
from idp.sso.protocol import Grant, SignOnRequest
from idp.sso.return_address import replace_parameters
from idp.sso.session import Participant, Session
from idp.sso.ticket import Tickets
from idp.web.vendors.desk import VendorDesk, VendorLogout


class TokenProtocol:
    """`ClientProtocol` for vendors that take a token on their return URL."""

    name = "token"

    def __init__(self, *, url: str, clients: Clients, keys: KeyRing, tickets: Tickets, now: Now) -> None:
        self._desk = VendorDesk(self.name, url=url, clients=clients, keys=keys, now=now)
        self._tickets = tickets

    def read(self, parameters: Mapping[str, str]) -> SignOnRequest:
        """Raises BadRequest until the return address is known to be good."""
        return self._desk.read(parameters)

    def objection(self, request: SignOnRequest) -> Refusal | None:
        return self._desk.objection(request)

    def respond(self, request: SignOnRequest, grant: Grant) -> tuple[Answer, Mapping[str, Any]]:
        settings: TokenSettings = grant.client.settings
        target = self._desk.target(request, grant.client)
        ticket = self._tickets.issue(grant.client.id, grant.session, {"return": request.state["return"]}).reveal()
        if settings.method == "get" and not request.hand_over:
            return Redirect(replace_parameters(target, {settings.token_parameter: ticket})), {}
        return FormPost(replace_parameters(target, {settings.token_parameter: None}), {settings.token_parameter: ticket}), {}

    def refuse(self, request: SignOnRequest, refusal: Refusal, reference: str) -> Answer:
        return self._desk.refusal(request, refusal, reference)

    def launch_url(self, client: Client) -> str:
        """These vendors need no request of their own."""
        return self._desk.launch_url(client)

    def read_logout(self, parameters: Mapping[str, str]) -> VendorLogout:
        return self._desk.read_logout(parameters)

    def logout_notice(self, participant: Participant, session: Session) -> Notice | None:
        return self._desk.notice(participant, session)

    def logout_answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:  # noqa: ARG002  these vendors are told nothing more
        return Redirect(state["return"])
