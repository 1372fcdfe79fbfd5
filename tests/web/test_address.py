"""Whose address counts: ours to decide, not the sender's (S119, V53)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.web.address import Proxies

PROXIES = Proxies(["10.0.0.0/8", "2001:db8::/32", "192.0.2.7"])


@pytest.mark.parametrize(
    ("peer", "header", "expected"),
    [
        ("198.51.100.1", "", "198.51.100.1"),
        ("198.51.100.1", "203.0.113.1", "198.51.100.1"),  # it came to us directly: what it says of itself is nothing
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.1, 198.51.100.1", "198.51.100.1"),  # the first was there when it reached our proxy
        ("10.0.0.1", "203.0.113.1, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
        ("2001:db8::1", "2001:db8:ffff::2,198.51.100.1, 192.0.2.7", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),  # a server that listens on :: sees IPv4 so
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1:40001", "198.51.100.1"),  # some proxies write the port
        ("10.0.0.1", "[2001:470::1]:40001", "2001:470::1"),
        ("10.0.0.1", "[2001:470::1]", "2001:470::1"),
        ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, , 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "<script>", "10.0.0.1"),
        ("", "198.51.100.1", ""),
        ("unix:", "198.51.100.1", "unix:"),
    ],
)
def test_S119_the_last_address_that_is_not_our_proxys(peer: str, header: str, expected: str) -> None:
    assert PROXIES.client_address(peer, header) == expected


def test_S119_without_proxies_the_header_counts_for_nothing() -> None:
    assert Proxies([]).client_address("127.0.0.1", "198.51.100.1") == "127.0.0.1"


@given(st.text(max_size=40), st.ip_addresses(v=4))
def test_S119_whatever_stands_left_of_what_our_proxy_wrote_changes_nothing(left: str, seen: object) -> None:
    expected = PROXIES.client_address("192.0.2.7", str(seen))
    if not str(seen).startswith(("10.", "192.0.2.7")):
        assert PROXIES.client_address("192.0.2.7", f"{left}, {seen}") == expected
