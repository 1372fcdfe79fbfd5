"""The network address of whoever asks. X-Forwarded-For counts only when a configured proxy sent it (S119, V53)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address
_WITH_PORT = re.compile(r"\[(?P<six>[^\]]*)\](:\d+)?|(?P<four>[\d.]+):\d+")  # some proxies write the port, too


class Proxies:
    """Our reverse proxies, by address or network."""

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks = [ip_network(text, strict=False) for text in networks]

    def trusts(self, peer: str) -> bool:
        """Whether the peer is one of them."""
        address = _address(peer)
        return address is not None and any(address in network for network in self._networks)

    def client_address(self, peer: str, forwarded_for: str) -> str:
        """The peer, or behind our proxies the last address in the header that is not one of them."""
        address = _address(peer)
        for hop in reversed(forwarded_for.split(",")):
            if address is None or not any(address in network for network in self._networks):
                break
            found = _address(hop.strip())
            if found is None:
                break  # what stands left of it anybody may have written
            address = found
        return peer if address is None else str(address)


def _address(text: str) -> Address | None:
    """An IPv4 address in IPv6's clothes (RFC 4291 §2.5.5.2) is the IPv4 address. None if it is none at all."""
    match = _WITH_PORT.fullmatch(text)
    try:
        address = ip_address((match["six"] or match["four"] or "") if match else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
