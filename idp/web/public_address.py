"""Which network addresses our server may call at a URL that somebody else has written (V47).

The check looks through every notation that wraps an IPv4 address in an IPv6 one: a packet to ::ffff:127.0.0.1 ends on this machine.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

# What the cloud tells a machine about itself, credentials among it. Never a vendor, whatever is allowed.
_METADATA = {ip_address("169.254.169.254"), ip_address("fd00:ec2::254"), ip_address("100.100.100.200")}
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052 §2.1
_NEVER = (
    ip_network("0.0.0.0/8"),  # "this network": Linux takes 0.0.0.0 for loopback
    ip_network("192.0.0.0/24"),  # protocol assignments; one cloud's metadata is at 192.0.0.192
    ip_network("192.88.99.0/24"),  # 6to4 relays (RFC 7526)
    ip_network("::/96"),  # IPv4-compatible, long deprecated (RFC 4291 §2.5.5.1)
    ip_network("64:ff9b:1::/48"),  # local translation: may lead anywhere (RFC 8215)
    ip_network("2001::/32"),  # Teredo carries an IPv4 address in disguise
    ip_network("fec0::/10"),  # site-local (RFC 3879)
)


def may_call(address: str, *, allow_private: bool) -> bool:
    """Whether a connection may go there. `allow_private` adds private networks and loopback, never link-local or metadata."""
    try:
        target = _unwrapped(ip_address(address))
    except ValueError:
        return False
    if target == IPv6Address("::1"):
        return allow_private
    if target in _METADATA or target.is_multicast or target.is_link_local or any(target in each for each in _NEVER):
        return False
    if target.is_private or target.is_loopback:
        return allow_private and not target.is_reserved
    return target.is_global and not target.is_reserved


def _unwrapped(address: Address) -> Address:
    """The IPv4 address in an IPv4-mapped, 6to4 (RFC 3056) or NAT64 one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
