"""The settings that token, cookie and JSONP vendors share, and the types of their values."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from idp.settings import Settings
from idp.sso.return_address import is_plain, origin_of
from idp.web.settings import is_loopback


def check_web_address(url: str) -> str:
    """The URL of a vendor's page, as it may be registered. Raises ValueError."""
    if not is_plain(url):
        raise ValueError(
            f'{url!r} is not an address such as "https://app.example.org/sso": scheme, host in lower case, path; '
            "no default port, user name, wildcard, fragment, backslash, empty segment or .."
        )
    if url.startswith("http:") and not is_loopback(urlsplit(url).hostname or ""):
        raise ValueError(f"{url!r} is plain http: a member's token needs https (localhost may do without, for trials)")
    return url


def _each_address(urls: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(check_web_address(url) for url in urls)


def _each_origin(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins:
        if origin_of(origin) != origin:
            raise ValueError(f'{origin!r} is not an origin such as "https://app.example.org": no path, no slash at the end, lower case')
        check_web_address(f"{origin}/")
    return origins


def _each_network(networks: tuple[str, ...]) -> tuple[str, ...]:
    for network in networks:
        ip_network(network, strict=False)  # its ValueError says what is wrong
    return networks


def _notice_url(url: str) -> str:
    """The door of our calls to vendors has its own rules of what it lets out; here only what can never be right is refused."""
    if url and not is_plain(url):
        raise ValueError(f'{url!r} is not an address such as "https://app.example.org/sso/logout"')
    return url


WebAddresses = Annotated[tuple[str, ...], AfterValidator(_each_address)]
"""URLs of a vendor's pages."""

Origins = Annotated[tuple[str, ...], AfterValidator(_each_origin)]
"""Origins: scheme, host and port."""

Networks = Annotated[tuple[str, ...], AfterValidator(_each_network)]
"""IP addresses or networks."""

NoticeUrl = Annotated[str, AfterValidator(_notice_url)]
"""Where a vendor's server takes notice; empty for nowhere."""


class VendorSettings(Settings):
    """What the three have in common."""

    return_urls: WebAddresses = ()
    """Where members may be sent back: an exact URL, or a prefix of pages that ends in "/"."""
    deep_link_parameter: str = ""
    """A parameter of our sign-on address that is handed on to the return URL, such as "course"."""
    passive: bool = True
    """Whether the vendor may ask with passive=1, which comes back with signed_in=0 instead of showing the sign-in page."""
    logout_url: NoticeUrl = ""
    """Where the vendor's server takes notice of a logout: a POST with `logout_token`, as OpenID Connect Back-Channel Logout has it."""
    addresses: Networks = ()
    """IP addresses or networks of the vendor's servers; when given, only they may redeem."""

    @property
    def pages(self) -> tuple[str, ...]:
        """The registered return addresses."""
        return self.return_urls
