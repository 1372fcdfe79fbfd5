"""Where everything of the demo is: three ports in a row, and a host name for each site."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from idp.errors import IdpError

LOOPBACK = "127.0.0.1"
PORTAL_HOSTS = ("localhost", LOOPBACK)
MAILBOX_HOST = "mailbox.localhost"
IDP_HOST = "idp.assoc.localhost"
"""Shares the parent domain `assoc.localhost` with the cookie vendor."""


@dataclass(frozen=True)
class Addresses:
    """`port` is the start page's and the vendors'; the sign-in service and the simulated iMIS have the next two."""

    port: int

    @property
    def portal(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def idp(self) -> str:
        return f"http://{IDP_HOST}:{self.idp_port}"

    @property
    def idp_port(self) -> int:
        return self.port + 1

    @property
    def imis(self) -> str:
        return f"http://localhost:{self.imis_port}"

    @property
    def imis_port(self) -> int:
        return self.port + 2

    @property
    def mailbox(self) -> str:
        return self.of(MAILBOX_HOST)

    def of(self, host: str) -> str:
        """The origin of a vendor's site."""
        return f"http://{host}:{self.port}"

    def require_free(self) -> None:
        """Raises IdpError with the first port that another program has."""
        for port in (self.port, self.idp_port, self.imis_port):
            if not _is_free(port):
                raise IdpError(
                    "demo.port_in_use",
                    f"Port {port} is in use by another program. The demo needs three free ports in a row: "
                    f"choose another first one, such as: idp demo --port {self.port + 100}",
                )


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has closed and only lingers is no obstacle
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
