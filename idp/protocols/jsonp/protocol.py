"""The JSONP protocol: a passive question by a script element, answered with `signedIn` and a single-use ticket, never a name (S99).
Beside it the same question by fetch(), which browsers answer to exactly the origins that we name (CORS, S104)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from idp.clock import Now
from idp.errors import BadRequest, Refusal
from idp.keys import KeyRing
from idp.protocols.jsonp.settings import JsonpSettings
from idp.sso.answer import Answer, Redirect, Script
from idp.sso.client import Client, Clients
from idp.sso.notice import Notice
from idp.sso.protocol import Grant, SignOnRequest
from idp.sso.return_address import origin_of
from idp.sso.session import Participant, Session
from idp.sso.ticket import Tickets
from idp.web.vendors.desk import VendorDesk, VendorLogout

_CALLBACK = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,63}")  # S100


@dataclass(frozen=True)
class Asker:
    """What the browser says of the page that asks: Referer, Sec-Fetch-Dest, Sec-Fetch-Site; empty where it says nothing."""

    referer: str
    destination: str = ""
    site: str = ""


class JsonpProtocol:
    """`ClientProtocol` for pages that ask by a script."""

    name = "jsonp"

    def __init__(self, *, url: str, clients: Clients, keys: KeyRing, tickets: Tickets, now: Now) -> None:
        self._desk = VendorDesk(self.name, url=url, clients=clients, keys=keys, now=now)
        self._tickets = tickets
        self._now = now

    def read(self, parameters: Mapping[str, str]) -> SignOnRequest:
        """The way by the sign-in page. Raises BadRequest until the return address is known to be good."""
        return self._desk.read(parameters)

    def read_ping(self, parameters: Mapping[str, str], asker: Asker) -> SignOnRequest:
        """The script's question. Raises BadRequest; nothing was looked at then that concerns a member."""
        client = self._asking(parameters)
        origin = _admitted_origin(client, asker)
        callback = parameters.get("callback", "")
        if not _CALLBACK.fullmatch(callback):
            message = "The callback is not the name of a function."
            raise BadRequest("jsonp.callback_bad", message, expected=_CALLBACK.pattern, client_id=client.id)
        return self._question(client, parameters, callback, origin)

    def read_fetch(self, parameters: Mapping[str, str], origin: str, mode: str) -> SignOnRequest:
        """The question by fetch() from a page of that Origin, in that Sec-Fetch-Mode (S104). Raises BadRequest."""
        client = self._asking(parameters)
        settings: JsonpSettings = client.settings
        if mode not in ("", "cors") or origin not in settings.origins:
            raise BadRequest("jsonp.origin_not_registered", "This page may not ask.", received=origin, client_id=client.id, status=403)
        return self._question(client, parameters, "", origin)

    def _question(self, client: Client, parameters: Mapping[str, str], callback: str, origin: str) -> SignOnRequest:
        """With `token=0` the page wants to know and no more: then no token is made that nobody would redeem."""
        state = {"callback": callback, "return": origin, "token": parameters.get("token") != "0"}
        return SignOnRequest(self.name, client.id, state, passive=True)

    def _asking(self, parameters: Mapping[str, str]) -> Client:
        client = self._desk.client(parameters.get("client", ""))
        if self._has_expired(client):
            raise BadRequest("jsonp.expired", "The time in which this page may ask has passed.", client_id=client.id, status=403)
        return client

    def objection(self, request: SignOnRequest) -> Refusal | None:
        if self._has_expired(self._desk.client(request.client_id)):
            return Refusal("jsonp.expired", "The time in which this application may ask has passed.")
        return self._desk.objection(request)

    def respond(self, request: SignOnRequest, grant: Grant) -> tuple[Answer, Mapping[str, Any] | None]:
        callback = request.state.get("callback")  # empty where the page reads the answer itself
        if callback is None:
            return Redirect(self._desk.target(request, grant.client)), {}
        if not request.state["token"]:
            return Script(callback, {"signedIn": True}), None
        ticket = self._tickets.issue(grant.client.id, grant.session, {"return": request.state["return"]})
        return Script(callback, {"signedIn": True, "token": ticket.reveal()}), {}

    def refuse(self, request: SignOnRequest, refusal: Refusal, reference: str) -> Answer:
        """A script learns no reason: that a member is signed in and not welcome would say that one is signed in."""
        callback = request.state.get("callback")
        return Script(callback, {"signedIn": False}) if callback is not None else self._desk.refusal(request, refusal, reference)

    def read_logout(self, parameters: Mapping[str, str]) -> VendorLogout:
        return self._desk.read_logout(parameters)

    def logout_notice(self, participant: Participant, session: Session) -> Notice | None:
        return self._desk.notice(participant, session)

    def logout_answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:  # noqa: ARG002  these vendors are told nothing more
        return Redirect(state["return"])

    def _has_expired(self, client: Client) -> bool:
        settings: JsonpSettings = client.settings
        return settings.expires is not None and datetime.fromtimestamp(self._now(), UTC).date() > settings.expires


def _admitted_origin(client: Client, asker: Asker) -> str:
    """The registered origin of the page that asks. A page that hides it is turned away (S101): by `no-referrer` any site could ask."""
    settings: JsonpSettings = client.settings
    if asker.destination not in ("", "script") or asker.site not in ("", "cross-site", "same-site", "same-origin"):
        message = "This is only for a script element of a page."
        raise BadRequest("jsonp.not_a_script", message, received=asker.destination, client_id=client.id, status=403)
    origin = origin_of(asker.referer)
    if not origin:
        raise BadRequest(
            "jsonp.origin_hidden",
            "The page that asks does not say where it is.",
            expected="a Referrer-Policy of the page that sends its origin, such as strict-origin-when-cross-origin",
            client_id=client.id,
            status=403,
        )
    if origin not in settings.origins:
        raise BadRequest("jsonp.origin_not_registered", "This page may not ask.", received=origin, client_id=client.id, status=403)
    return origin
