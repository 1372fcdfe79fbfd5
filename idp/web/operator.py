"""/metrics and /statusz: for operators alone. To everybody else there are no such pages."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from ipaddress import ip_address, ip_network

from flask import Blueprint, Response, abort, request

from idp.web.address import Proxies
from idp.web.metric import CONTENT_TYPE, Metrics
from idp.web.page import render
from idp.web.settings import OperatorSettings
from idp.web.status import Status

_FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via")


class OperatorDoor:
    """Whether the request under way is an operator's."""

    def __init__(self, settings: OperatorSettings, proxies: Proxies) -> None:
        self._networks = [ip_network(text, strict=False) for text in settings.networks]
        self._token = settings.token
        self._proxies = proxies

    def is_open(self) -> bool:
        """By the network. A proxy that we do not know would lend its own address to the whole world (S119)."""
        peer = request.remote_addr or ""
        if not self._proxies.trusts(peer) and any(name in request.headers for name in _FORWARDED):
            return False
        address = self._proxies.client_address(peer, request.headers.get("X-Forwarded-For", ""))
        try:
            return any(ip_address(address) in network for network in self._networks)
        except ValueError:
            return False

    def takes_token(self) -> bool:
        """By the token, where one is asked for."""
        if self._token is None:
            return True
        sent = request.authorization
        given = (sent.token or sent.password or "") if sent is not None else ""
        return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token.reveal().encode())


def operator_pages(door: OperatorDoor, metrics: Metrics, read_status: Callable[[], Status]) -> Blueprint:
    """GET /metrics, GET /statusz."""
    pages = Blueprint("operator", __name__)

    @pages.before_request
    def admit() -> Response | None:
        if not door.is_open():
            abort(404)
        if not door.takes_token():
            return Response("", status=401, headers={"WWW-Authenticate": 'Basic realm="operators"'})
        return None

    @pages.get("/metrics")
    def figures() -> Response:
        return Response(metrics.text(read_status().readings()), content_type=CONTENT_TYPE)

    @pages.get("/statusz")
    def status() -> Response:
        return render("status.html", reading=read_status())

    return pages
