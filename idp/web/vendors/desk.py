"""The desk for token, cookie and JSONP vendors: finds the client, checks where members return to, tells of a logout. No HTTP here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from idp.clock import Now
from idp.errors import BadRequest, LoginRequired, Refusal
from idp.keys import KeyRing
from idp.sso.answer import Redirect, SharedCookie
from idp.sso.client import Client, Clients
from idp.sso.logout_token import LogoutTokens
from idp.sso.notice import BackChannel
from idp.sso.protocol import SignOnRequest
from idp.sso.return_address import choose_return, is_prefix, is_registered, origin_of, replace_parameters
from idp.sso.session import Participant, Session
from idp.web.vendors.settings import VendorSettings

_LONGEST_DEEP_LINK = 1000


@dataclass(frozen=True)
class VendorLogout:
    """A client wants its member signed out everywhere. `return_url` is validated, or empty when it named none; `origins` are its pages'."""

    client: Client
    return_url: str
    origins: frozenset[str]


class VendorDesk:
    """One for each of the three protocols, which it serves by name."""

    def __init__(self, protocol: str, *, url: str, clients: Clients, keys: KeyRing, now: Now) -> None:
        self._protocol = protocol
        self._url = url
        self._clients = clients
        self._tokens = LogoutTokens(keys, issuer=url, now=now)

    def client(self, client_id: str) -> Client:
        """Raises BadRequest."""
        client = self._clients.get(client_id)
        if client is None or client.protocol != self._protocol:
            message = "The application that sent you here is not known to this sign-in service."
            raise BadRequest("client.unknown", message, received=client_id)
        return client

    def read(self, parameters: Mapping[str, str]) -> SignOnRequest:
        """`client`, `return`, `passive`, `fresh` and the client's deep-link parameter as a request. Raises BadRequest."""
        client = self.client(parameters.get("client", ""))
        settings: VendorSettings = client.settings
        url = choose_return(parameters.get("return", ""), settings.pages, client_id=client.id)
        state = {"return": url, "deep_link": _deep_link(client, parameters)}
        return SignOnRequest(self._protocol, client.id, state, passive=_is_on(parameters, "passive"), fresh=_is_on(parameters, "fresh"))

    def launch_url(self, client: Client) -> str:
        """Where a member begins on our side, and comes to the client's only page; empty when it has none, or several."""
        settings: VendorSettings = client.settings
        if len([page for page in settings.pages if not is_prefix(page)]) != 1:
            return ""
        return f"{self._url}/{self._protocol}/signon?{urlencode({'client': client.id})}"

    def objection(self, request: SignOnRequest) -> Refusal | None:
        """Why a validated request is refused all the same."""
        settings: VendorSettings = self.client(request.client_id).settings
        if request.passive and not settings.passive:
            return Refusal("signon.passive_forbidden", "This application may not ask without showing the sign-in page.")
        return None

    def target(self, request: SignOnRequest, client: Client) -> str:
        """Where the member goes now, deep link and all. What is registered may have changed while the sign-in page was open.
        Raises BadRequest."""
        settings: VendorSettings = client.settings
        if client.protocol != self._protocol or not is_registered(request.state["return"], settings.pages):
            message = "The address to return to is no longer registered for this application."
            raise BadRequest("return.not_registered", message, client_id=client.id)
        return _target(request)

    def refusal(self, request: SignOnRequest, refusal: Refusal, reference: str) -> Redirect:
        """Back with `signed_in=0`; unless the member is simply not signed in, also with the cause and the reference."""
        told: dict[str, str | None] = {"signed_in": "0", "error": None, "reference": None}
        if type(refusal) is not LoginRequired:
            told |= {"error": refusal.cause, "reference": reference}
        return Redirect(replace_parameters(_target(request), told))

    def read_logout(self, parameters: Mapping[str, str]) -> VendorLogout:
        """`client` and `return`, which may also be the client's start page. Raises BadRequest."""
        client = self.client(parameters.get("client", ""))
        settings: VendorSettings = client.settings
        url = parameters.get("return", "")
        if url and url != client.url:  # the start page for itself alone, though it may end in "/"
            url = choose_return(url, settings.pages, client_id=client.id)
        pages = (*settings.pages, client.url)
        return VendorLogout(client, url, frozenset(filter(None, map(origin_of, pages))))

    def notice(self, participant: Participant, session: Session, *, cookie: SharedCookie | None = None) -> BackChannel | None:
        """A logout token for the client's server; None when it takes none."""
        settings: VendorSettings = self.client(participant.client_id).settings
        if not settings.logout_url:
            return None
        return self._tokens.notice(settings.logout_url, client_id=participant.client_id, session=session, cookie=cookie)


def _is_on(parameters: Mapping[str, str], name: str) -> bool:
    return parameters.get(name) in ("1", "true")


def _deep_link(client: Client, parameters: Mapping[str, str]) -> dict[str, str]:
    settings: VendorSettings = client.settings
    value = parameters.get(settings.deep_link_parameter, "") if settings.deep_link_parameter else ""
    if len(value) > _LONGEST_DEEP_LINK:
        raise BadRequest(
            "vendor.deep_link_too_long",
            "The link into the application is too long.",
            expected=f"{settings.deep_link_parameter} of at most {_LONGEST_DEEP_LINK} characters",
            received=f"{len(value)} characters",
            client_id=client.id,
        )
    return {settings.deep_link_parameter: value} if value else {}


def _target(request: SignOnRequest) -> str:
    return replace_parameters(request.state["return"], request.state["deep_link"])
