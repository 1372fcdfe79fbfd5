"""Who of the vendors' servers may call, and how often: shared by every face of the web service."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from flask import request

from idp.clock import Now
from idp.errors import IdpError
from idp.secret import Secret, digest
from idp.settings import Settings
from idp.sso.client import Client
from idp.store import Store
from idp.web.allowance import MINUTE, Allowance
from idp.web.gateway import Gateway

PROTOCOLS = ("token", "cookie", "jsonp")
"""Whose vendors have servers that call."""


class ServiceSettings(Settings):
    """[service]: how often vendors' servers may call."""

    calls_per_minute: int = 1200
    """Calls of one vendor with a good secret."""
    wrong_secrets_per_minute: int = 60
    """Calls from one address with a wrong secret."""


class ServiceError(IdpError):
    """What the vendor's server did wrong."""


class BadClient(ServiceError):
    """One sentence for an unknown client and for a wrong secret, so that neither can be found out."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "service.bad_client",
            "The client id or the secret is not right.",
            expected="HTTP Basic authentication with the client's id and secret in the Authorization header",
        )


class Admission:
    """The door of the web service.

    An address from which a good secret came is not looked up again for the rest of the minute, unless a wrong one comes from there, too:
    who guesses from elsewhere always is, and who shares a vendor's address has one guess more for each process (S27).
    """

    def __init__(self, gateway: Gateway, settings: ServiceSettings, *, store: Store, now: Now) -> None:
        self._gateway = gateway
        self._settings = settings
        self._store = store
        self._now = now
        self._allowance = Allowance(store, most=settings.calls_per_minute, now=now)
        self._trusted: dict[str, int] = {}  # addresses, and the minute for which they are

    def admit(self, authenticate: Callable[[], Client | None] | None = None) -> Client:
        """The client whose server calls, by the Authorization header unless another way is given. Raises ServiceError."""
        address = self._gateway.address()
        self._check_guesses(address)
        client = (authenticate or self.by_header)()
        if client is None:
            self._trusted.pop(address, None)
            self._store.bump("throttle", _wrong(address), 1, expires=self._now() + MINUTE)
            raise BadClient
        check_address(client, address)
        self._trust(address)
        if not self._allowance.take(client.id):
            raise _too_many(self._allowance.wait())
        return client

    def _check_guesses(self, address: str) -> None:
        """Before the secret is looked at, so that the right one does not show among too many wrong ones."""
        if self._trusted.get(address) == self._now() // MINUTE:
            return
        stored = self._store.get("throttle", _wrong(address))
        if stored and stored.record["count"] >= self._settings.wrong_secrets_per_minute:
            raise _too_many((stored.expires or 0) - self._now())

    def _trust(self, address: str) -> None:
        """Those of minutes gone by make room: there are never more than vendors have addresses."""
        minute = self._now() // MINUTE
        if self._trusted.get(address) != minute:
            self._trusted = {each: of for each, of in self._trusted.copy().items() if of == minute} | {address: minute}

    def by_header(self) -> Client | None:
        """The client of the Authorization header, if its secret is right."""
        sent = request.authorization
        if sent is None or sent.type != "basic" or not sent.username:
            return None
        client = self._gateway.clients.get(sent.username)
        if client is None or client.protocol not in PROTOCOLS or not client.accepts(Secret(sent.password or "")):
            return None
        return client


def _wrong(address: str) -> str:
    return f"service.wrong|{digest(address)[:32]}"


def _too_many(wait: int) -> ServiceError:
    return ServiceError("service.throttled", "There were too many calls. Please wait a minute.", status=429, retry_after=max(1, wait))


def check_address(client: Client, address: str) -> None:
    """Whether the caller is one of the client's servers, where it says which those are. Raises ServiceError."""
    networks = [ip_network(each, strict=False) for each in client.settings.addresses]
    if not networks:
        return
    if not any(_is_inside(address, network) for network in networks):
        message = "Calls from this address are not allowed."
        raise ServiceError("service.address_not_allowed", message, received=address, status=403)


def _is_inside(address: str, network: IPv4Network | IPv6Network) -> bool:
    try:
        return ip_address(address) in network
    except ValueError:  # the caller's address is not known, as on a Unix socket without a proxy's header
        return False
