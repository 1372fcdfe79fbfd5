"""The pages' shared part: parameters, the way in, and the vendor's own link to sign out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from flask import Response, redirect, request

from idp.errors import BadRequest, Refusal
from idp.sso.answer import SharedCookie
from idp.sso.client import Client
from idp.sso.logout import Beginning
from idp.sso.protocol import SignOnRequest
from idp.sso.return_address import origin_of
from idp.sso.session import Session
from idp.web.gateway import Gateway
from idp.web.vendors.desk import VendorLogout


class VendorProtocol(Protocol):
    """What the pages need of the token, cookie and JSONP protocols."""

    name: str

    def read(self, parameters: Mapping[str, str]) -> SignOnRequest: ...

    def objection(self, request: SignOnRequest) -> Refusal | None: ...

    def read_logout(self, parameters: Mapping[str, str]) -> VendorLogout: ...


@runtime_checkable
class SharesCookie(Protocol):
    """A protocol whose vendors find their token in a cookie."""

    def shared_cookie(self, client: Client) -> SharedCookie: ...


def parameters() -> dict[str, str]:
    """Query and form together. Raises BadRequest when one comes twice: two programs might read two different ones (S15)."""
    given: dict[str, str] = {}
    for source in (request.args, request.form):
        for told, values in source.lists():
            name = told or ""  # werkzeug says None where a part of a multipart form has no name
            if name in given or len(values) > 1:
                raise BadRequest("request.parameter_repeated", "The application's request names one thing twice.", received=name)
            given[name] = values[0]
    return given


def sign_on(gateway: Gateway, protocol: VendorProtocol) -> Response:
    """The way in."""
    return start(gateway, protocol, parameters())


def start(gateway: Gateway, protocol: VendorProtocol, given: Mapping[str, str]) -> Response:
    """The way in with these parameters."""
    asked = protocol.read(given)
    refusal = protocol.objection(asked)
    return gateway.send(gateway.signon.refuse(asked, refusal)) if refusal else gateway.start(asked)


def log_out(gateway: Gateway, protocol: VendorProtocol) -> Response:
    """The vendor's sign-out link. It ends the session when the member follows it from the vendor's own page; else we ask (S50, V37)."""
    asked = protocol.read_logout(parameters())
    session = gateway.session()
    if session is None and asked.return_url:
        return _go(asked.return_url)
    if session is None or not _is_participant(session, asked, protocol.name) or not _is_followed_from(asked.origins):
        return _go(f"{gateway.url}/logout")
    state = {"return": asked.return_url, "client": asked.client.id}
    beginning = Beginning(protocol.name, asked.client.id, state) if asked.return_url else None
    return gateway.end(session.id, reason="client", beginning=beginning)


def _is_participant(session: Session, asked: VendorLogout, protocol: str) -> bool:
    participant = asked.client.part_in(session)
    return participant is not None and participant.protocol == protocol


def _is_followed_from(origins: frozenset[str]) -> bool:
    """Whether this is a whole page's navigation that began on one of these origins. An image, a frame, another site, a page that
    hides where it is: no. Browsers without Sec-Fetch headers send the Lax session cookie across sites on such navigations only."""
    sent = request.headers
    navigates = sent.get("Sec-Fetch-Mode", "navigate") == "navigate" and sent.get("Sec-Fetch-Dest", "document") == "document"
    return request.method == "GET" and navigates and origin_of(sent.get("Referer", "")) in origins


def _go(url: str) -> Response:
    return redirect(url, code=302, Response=Response)  # type: ignore[return-value]
