"""What the server is to the outside: addresses, proxies, who may look in, and its certificate."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from urllib.parse import urlsplit

from idp.cli.doctor.advice import Found, Look, Patient
from idp.cli.doctor.certificate import ending_of
from idp.cli.run import parse_listen
from idp.errors import ConfigError
from idp.web.settings import is_loopback
from idp.worker import telemetry_type


def plain_http(patient: Patient) -> Iterator[Found]:
    if not patient.config.server.secure and not patient.config.server.production:
        yield Found("members' passwords travel unprotected", 'set [server] url to "https://..." before members use it')


def not_production(patient: Patient) -> Iterator[Found]:
    if patient.config.server.secure and not patient.config.server.production:
        yield Found("what is for trials only is still allowed", "set [server] production = true")


def no_proxy(patient: Patient) -> Iterator[Found]:
    server = patient.config.server
    if server.secure and not server.trusted_proxies:
        detail = "the server itself speaks no TLS, and no proxy before it is trusted: all members share the proxy's address"
        yield Found(detail, 'name the proxy in [server] trusted_proxies, such as ["127.0.0.1"]')


def proxies_wide(patient: Patient) -> Iterator[Found]:
    for text in patient.config.server.trusted_proxies:
        if _is_wide(text):
            detail = f"trusted_proxies has {text}: anybody may say that they are somebody else"
            yield Found(detail, "name the addresses of your proxies alone", serious=True)


def listens_to_all(patient: Patient) -> Iterator[Found]:
    host, _ = parse_listen(patient.config.server.listen)
    if patient.config.server.secure and not is_loopback(host) and not patient.config.server.trusted_proxies:
        detail = f"it listens on {host} without TLS, and whoever reaches it there goes round the proxy"
        yield Found(detail, 'set [server] listen = "127.0.0.1:8080", or let a firewall admit the proxy alone')


def certificate_header(patient: Patient) -> Iterator[Found]:
    server = patient.config.server
    if server.certificate_header and not server.trusted_proxies:
        detail = "certificate_header is believed from trusted_proxies alone, and there are none"
        yield Found(detail, "name the proxy in [server] trusted_proxies")


def no_certificate_header(patient: Patient) -> Iterator[Found]:
    for client in patient.clients("oidc"):
        if client.settings.needs_certificate and not patient.config.server.certificate_header:
            detail = f"{client.id} shows a TLS certificate, and nobody tells us of any"
            fix = "let the proxy ask for certificates, and name its header in [server] certificate_header"
            yield Found(detail, fix, serious=True)


def certificate(patient: Patient) -> Iterator[Found]:
    """What browsers see at our own address; F17. Where that cannot be reached from here, nothing is said."""
    address = urlsplit(patient.config.server.url)
    if patient.config.server.secure:
        for detail, serious in ending_of(address.hostname or "", address.port or 443, now=patient.now):
            yield Found(
                f"{patient.config.server.url}: {detail}", "renew the certificate of the proxy, and let it load the new one", serious
            )


def workers(patient: Patient) -> Iterator[Found]:
    cores = os.cpu_count() or 1
    if patient.config.server.workers > 4 * cores:
        yield Found(f"{patient.config.server.workers} workers share {cores} cores", f"set [server] workers = {cores}")


def operators_wide(patient: Patient) -> Iterator[Found]:
    operators = patient.config.operators
    if any(_is_wide(text) for text in operators.networks) and not operators.token:
        yield Found("anybody may read /metrics and /statusz", "name your own networks, or set [operators] token", serious=True)


def operators_behind_proxy(patient: Patient) -> Iterator[Found]:
    config = patient.config
    if config.operators.networks and config.server.secure and not config.server.trusted_proxies:
        detail = "a proxy on this machine that adds no forwarding header would lend its address to the world"
        yield Found(detail, "name the proxy in [server] trusted_proxies, and let it refuse /metrics and /statusz")


def private_calls(patient: Patient) -> Iterator[Found]:
    if patient.config.server.production and patient.config.outbound.allow_private:
        detail = "vendors' settings may make the server call addresses inside your network"
        yield Found(detail, "set [outbound] allow_private = false, unless a vendor is in the house")


def _is_wide(text: str) -> bool:
    """More than a /8 of IPv4, or a /16 of IPv6."""
    network = ip_network(text, strict=False)
    return network.prefixlen < (8 if network.version == 4 else 16)


def telemetry_missing(patient: Patient) -> Iterator[Found]:
    try:
        telemetry_type(patient.config.telemetry)
    except ConfigError as error:
        detail, _, fix = error.problems[0].partition(": ")
        yield Found(detail, fix, serious=True)


LOOKS: Mapping[str, Look] = {
    "server.plain_http": plain_http,
    "server.not_production": not_production,
    "server.no_proxy": no_proxy,
    "server.proxies_wide": proxies_wide,
    "server.listens_to_all": listens_to_all,
    "server.certificate_header": certificate_header,
    "server.no_certificate_header": no_certificate_header,
    "server.certificate": certificate,
    "server.workers": workers,
    "operators.wide": operators_wide,
    "operators.proxy": operators_behind_proxy,
    "outbound.private": private_calls,
    "telemetry.missing": telemetry_missing,
}
