"""Makes this process resolve every name under .localhost to loopback, as browsers do (RFC 6761 §6.3) and the C library often does not.

For the demo's own processes alone: the product never changes how names are resolved.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from idp.demo.address import LOOPBACK

Resolve = Callable[..., Any]


def stay_on_this_machine() -> None:
    """From now on `socket.getaddrinfo`, which every HTTP library of Python ends up in, knows the names, and no proxy is asked.

    Doing it twice does no harm.
    """
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
    if not hasattr(socket.getaddrinfo, "knows_localhost"):
        socket.getaddrinfo = _knowing_localhost(socket.getaddrinfo)


def _knowing_localhost(resolve: Resolve) -> Resolve:
    def getaddrinfo(host: Any, port: Any, *arguments: Any, **options: Any) -> Any:
        return resolve(LOOPBACK if _is_local(host) else host, port, *arguments, **options)

    getaddrinfo.knows_localhost = True  # type: ignore[attr-defined]
    return getaddrinfo


def _is_local(host: object) -> bool:
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    return isinstance(name, str) and name.lower().rstrip(".").endswith(".localhost")
