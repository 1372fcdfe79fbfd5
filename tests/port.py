"""Ports of this machine for programs that must be told theirs before they take it."""

from __future__ import annotations

import os
import secrets
import socket

_SHARE = 2_000
_LOWEST = 20_000 + _SHARE * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 6)
"""Each test process has its share, all below those that the kernel lends to outgoing connections (`ip_local_port_range`): what was
found free is taken by nobody else before it is used."""


def free_port() -> int:
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of so many in a row."""
    for _ in range(200):
        first = _LOWEST + secrets.randbelow(_SHARE - count)
        if all(_is_free(port) for port in range(first, first + count)):
            return first
    raise RuntimeError(f"there are no {count} free ports in a row")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
