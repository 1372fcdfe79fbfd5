"""The domain that we share with a cookie vendor. It is never a public suffix, else strangers would share it too (S106)."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

from publicsuffixlist import PublicSuffixList

from idp.errors import IdpError
from idp.protocols.cookie.settings import CookieSettings


class SharedDomains:
    """Finds and checks the shared domain of a vendor's settings and our public URL. Holds the public suffix list: keep it."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).hostname or ""
        self._suffixes = PublicSuffixList()

    def of(self, settings: CookieSettings, *, client_id: str) -> str:
        """The cookie's domain. Raises IdpError when a cookie could not be shared, or would be shared with strangers."""
        hosts = [self._host, *(urlsplit(url).hostname or "" for url in settings.return_urls)]
        domain = settings.domain or _longest_common(hosts)
        if any(_is_address(host) for host in hosts):
            raise _refused("An IP address has no parent domain: give both hosts names.", hosts, client_id)
        if not all(host == domain or host.endswith(f".{domain}") for host in hosts):
            raise _refused("The sign-in service and the vendor do not both lie under the cookie's domain.", hosts, client_id, domain=domain)
        if not domain or self._suffixes.privatesuffix(domain) is None:
            raise _refused("The sign-in service and the vendor are not under one registrable domain.", hosts, client_id, domain=domain)
        return domain


def site_of(host: str) -> str:
    """The registrable domain that a host belongs to, such as "example.org" for login.example.org; empty where there is none."""
    return "" if _is_address(host) else PublicSuffixList().privatesuffix(host) or ""


def _longest_common(hosts: Sequence[str]) -> str:
    """The labels that all hosts have in common, from the right."""
    common = []
    for labels in zip(*(reversed(host.split(".")) for host in hosts), strict=False):
        if len(set(labels)) > 1:
            break
        common.append(labels[0])
    return ".".join(reversed(common))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _refused(message: str, hosts: Sequence[str], client_id: str, *, domain: str = "") -> IdpError:
    return IdpError(
        "cookie.domain_not_shared",
        f"The cookie of the application {client_id} cannot be shared. {message}",
        expected="hosts under one parent domain of their own, such as login.example.org and www.example.org",
        received=", ".join(dict.fromkeys(hosts)) + (f"; domain {domain}" if domain else ""),
        client_id=client_id,
        status=500,
    )
