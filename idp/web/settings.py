"""[server], [outbound], [operators] and [telemetry]: the public face, calls to others, who may look inside, and who is told."""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from idp.settings import Duration, SecretSetting, Settings

_HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?")  # a name in another alphabet is written in punycode


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only mean this machine (RFC 6761 §6.3 for `localhost`)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _public_url(value: str) -> str:
    parts = urlsplit(value)
    if not _HOST_AND_PORT.fullmatch(parts.netloc) or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError('the public URL is a scheme and a host, such as "https://login.example.org"')
    if parts.scheme not in ("http", "https") or not parts.hostname or not 0 < (parts.port or 1) < 65536:
        raise ValueError("the public URL begins with https://, and its port is from 1 to 65535")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is for trials on one machine (localhost); members' passwords need https")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _collector(value: str) -> str:
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not _HOST_AND_PORT.fullmatch(parts.netloc) or parts.query or parts.fragment):
        raise ValueError('the collector\'s address is a scheme and a host, such as "http://127.0.0.1:4318", without a user name')
    return value.rstrip("/")


def _networks(value: tuple[str, ...]) -> tuple[str, ...]:
    for network in value:
        ip_network(network, strict=False)  # its ValueError says what is wrong
    return value


class ServerSettings(Settings):
    """[server]: who we are to the outside. The public URL is never taken from a request (S119)."""

    url: Annotated[str, AfterValidator(_public_url)]
    """The public URL, such as "https://login.example.org". Issuer and entity ID are built from it: choose it once."""
    name: str = "Member sign-in"
    """The association's name, as members read it."""
    listen: str = "127.0.0.1:8080"
    """Address and port to listen on."""
    workers: int = 2
    """Worker processes; one for each core serves best."""
    trusted_proxies: Annotated[tuple[str, ...], AfterValidator(_networks)] = ()
    """Addresses or networks of our reverse proxies; X-Forwarded-For is believed only when it comes from them."""
    certificate_header: str = ""
    """The header in which our reverse proxy passes on a client's TLS certificate (PEM, percent-encoded PEM, or RFC 9440), such as
    "X-Client-Cert". Believed from trusted_proxies alone; the proxy must set or clear it on every request."""
    production: bool = False
    """True refuses what is for trials only: the embedded database, plain http, the built-in people directory."""
    home_url: str = ""
    """The association's own site, linked from our pages."""

    @property
    def secure(self) -> bool:
        return self.url.startswith("https://")


class OutboundSettings(Settings):
    """[outbound]: calls to vendors (logout notices, metadata, jwks_uri) go through one guarded door (V47)."""

    allow_private: bool = False
    """Allows private and loopback addresses and plain http: for vendors inside the house, and for trials."""
    connect_timeout: Duration = 2
    """Seconds until a connection must stand."""
    timeout: Duration = 5
    """Seconds until an answer must be there."""
    max_bytes: int = 1_048_576
    """Largest answer that is read."""


class OperatorSettings(Settings):
    """[operators]: who may read /metrics and /statusz. Nobody, unless networks are named."""

    networks: Annotated[tuple[str, ...], AfterValidator(_networks)] = ()
    """Addresses or networks from which they are read, such as ["127.0.0.1", "10.2.0.0/16"]. What comes through a reverse proxy counts
    by its own address if trusted_proxies names the proxy, and is turned away if it does not."""
    token: SecretSetting | None = None
    """A secret that must come with it, too: as a bearer token (Prometheus), or as the password of HTTP Basic (a browser)."""


class TelemetrySettings(Settings):
    """[telemetry]: spans for an OpenTelemetry collector. Wants the extra `telemetry`."""

    endpoint: Annotated[str, AfterValidator(_collector)] = ""
    """The collector's address for OTLP over HTTP, such as "http://127.0.0.1:4318". Without it nobody is told anything. With it: how long
    each request took, by route, and what it waited for; never a query, a name, a code, a token or what was asked of the database."""
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of requests that are told, from 0 to 1. A trusted proxy that sends `traceparent` decides for its own."""
    service: str = "imis-idp"
    """The name of this service there."""

    @property
    def traces_url(self) -> str:
        """OTLP 1.x, "OTLP/HTTP Request": a base address and this path."""
        return f"{self.endpoint}/v1/traces"
