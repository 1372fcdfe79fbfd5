"""Faults to order: what may come from iMIS or from anything between it and us (reliability, F11-F14)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Literal

from flask import Flask, Response, g, request

from idp.settings import Settings

_HUGE = 200 * 1024 * 1024  # F12
_TROUBLE = "An error occurred. Please contact the administrator."  # 4.6, SEEN
_PAGE = "<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>We will be back soon</h1></body></html>"


class Fault(Settings):
    """One kind of trouble, and when it happens."""

    mode: Literal["none", "down", "slow", "status", "429", "html200", "truncated", "cut", "empty", "huge", "wrong_type", "redirect", "raw"]
    """down: the connection is closed. cut: closed in the middle of the body. status, raw: as the other keys say."""
    path: str = ""
    """Only this path and those under it, in lower case: "/token", "/api/user"; empty: all."""
    times: int | None = None
    """How often; without it until another fault, or "none", is ordered."""
    after: bool = False
    """Whether iMIS does what was asked of it first (4.6: an error "though the write happened", SEEN)."""
    seconds: float = 30.0
    """How slow."""
    status: int | None = None
    """Of status (otherwise 500) and raw (otherwise 200)."""
    retry_after: str = ""
    """The header Retry-After, if any: whether iMIS sends one is UNKNOWN."""
    content_type: str = "application/json"
    body: str = ""
    """What comes with status and raw."""


class Faults:
    """The fault that is ordered now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault = Fault(mode="none")
        self._left: int | None = None
        self._hurry = threading.Event()

    def order(self, fault: Fault) -> None:
        """From now on this one; whoever is being kept waiting by the last is let go."""
        with self._lock:
            self._hurry.set()
            self._hurry = threading.Event()
            self._fault = fault
            self._left = fault.times

    @property
    def ordered(self) -> Fault:
        return self._fault

    def attach(self, app: Flask) -> None:
        """Puts itself around every request but those of the panel."""
        app.before_request(self._before)
        app.after_request(self._after)

    def _before(self) -> Response | None:
        request.get_data()  # a body left unread would be taken for the next request of the connection
        g.fault = self._next(request.path)
        return self._happen(g.fault) if g.fault and not g.fault.after else None

    def _after(self, response: Response) -> Response:
        fault: Fault | None = g.get("fault")
        return (self._happen(fault) or response) if fault and fault.after else response

    def _next(self, path: str) -> Fault | None:
        with self._lock:
            meant = f"{path}/".startswith(f"{self._fault.path.rstrip('/')}/")
            if self._fault.mode == "none" or path.startswith("/_simulator") or not meant or self._left == 0:
                return None
            self._left = None if self._left is None else self._left - 1
            return self._fault

    def _happen(self, fault: Fault) -> Response | None:
        if fault.mode == "slow":
            self._hurry.wait(fault.seconds)
            return None
        response = _RESPONSES[fault.mode](fault)
        if fault.retry_after:
            response.headers["Retry-After"] = fault.retry_after
        return response


def _down(_: Fault) -> Response:
    """The connection ends without an answer, where the server lets us reach it."""
    connection = request.environ.get("werkzeug.socket")
    if isinstance(connection, socket.socket):
        connection.shutdown(socket.SHUT_RDWR)
    return Response(_TROUBLE, 503, content_type="text/plain")


def _huge(_: Fault) -> Response:
    def pieces() -> Iterator[bytes]:
        yield b'{"Result":"'
        for _ in range(_HUGE // 65536):
            yield b"x" * 65536
        yield b'"}'

    return Response(pieces(), 200, content_type="application/json")


def _cut(_: Fault) -> Response:
    response = Response(b'{"$type":"', 200, content_type="application/json")
    response.headers["Content-Length"] = "1000"
    response.headers["Connection"] = "close"
    return response


def _redirect(_: Fault) -> Response:
    return Response("", 302, {"Location": "/SignIn?LoginRedirect=true"})


def _fixed(status: int, body: str, content_type: str) -> Callable[[Fault], Response]:
    return lambda _: Response(body, status, content_type=content_type)


_RESPONSES: dict[str, Callable[[Fault], Response]] = {
    "down": _down,
    "status": lambda fault: Response(fault.body or _TROUBLE, fault.status or 500, content_type="text/plain; charset=utf-8"),
    "429": _fixed(429, "", "text/plain"),
    "html200": _fixed(200, _PAGE, "text/html; charset=utf-8"),
    "truncated": _fixed(200, '{"$type":"Asi.Soa.Core.DataContracts.Serv', "application/json"),
    "cut": _cut,
    "empty": _fixed(200, "", "application/json"),
    "huge": _huge,
    "wrong_type": _fixed(200, '{"Result":true,"IsSuccessStatusCode":true}', "text/plain"),
    "redirect": _redirect,
    "raw": lambda fault: Response(fault.body.encode("latin-1", "replace"), fault.status or 200, content_type=fault.content_type),
}
