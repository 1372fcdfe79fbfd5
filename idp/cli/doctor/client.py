"""The applications."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from idp.cli.doctor.advice import DAY, MONTH, Found, Look, Patient
from idp.errors import IdpError
from idp.protocols.cookie.domain import SharedDomains, site_of
from idp.protocols.fedcm.protocol import WELL_KNOWN, well_known_of
from idp.sso.attribute import today_of
from idp.sso.notice_queue import LIFE
from idp.web.gateway import FEDCM_LOGIN

_UNUSED = 365  # days
_LONG = 1  # days that a notice may wait before somebody should look


def unreadable(patient: Patient) -> Iterator[Found]:
    """Such a client is left out, and the others go on."""
    for stored in patient.parts.store.list("client") if patient.parts else ():
        try:
            patient.loaded.read_client(stored.key, stored.record)
        except IdpError as error:
            detail = f"{stored.key} was added by the command and cannot be read: {error.message}"
            yield Found(detail, f"run: idp clients remove {stored.key}, and add it again", serious=True)


def hidden(patient: Patient) -> Iterator[Found]:
    for stored in patient.parts.store.list("client") if patient.parts else ():
        if stored.key in patient.config.clients:
            detail = f"{stored.key} stands in the file and in the store, and the file's counts"
            yield Found(detail, f"take [clients.{stored.key}] out of the file, or out of the store: give one of them another id")


def two_secrets(patient: Patient) -> Iterator[Found]:
    for client in patient.clients():
        if len(client.secrets) > 1:
            detail = f"{client.id} may come with any of {len(client.secrets)} secrets"
            yield Found(detail, "when its vendor has changed over, take the old one out (old_secret, or its secret_sha256)")


def unused(patient: Patient) -> Iterator[Found]:
    for client in patient.clients() if patient.parts else ():
        last = patient.parts.last_signons.of(client.id) if patient.parts else None
        if last is not None and (days := (patient.now() - last) // DAY) > _UNUSED:
            gone = f"idp clients remove {client.id}" if client.source == "store" else f"take [clients.{client.id}] out of the file"
            yield Found(f"nobody has gone to {client.id} for {days} days", f"if it is not used any more: {gone}")


def notices_waiting(patient: Patient) -> Iterator[Found]:
    """Told at once in most cases; one that is never acknowledged is given up after three days."""
    longest: dict[str, int] = {}
    for waiting in patient.parts.logout.notices.list() if patient.parts else ():
        days = (patient.now() - (waiting.until - LIFE)) // DAY
        longest[waiting.client_id] = max(days, longest.get(waiting.client_id, 0))
    for client_id, days in longest.items():
        if days >= _LONG:
            detail = f"the server of {client_id} has not acknowledged for {days} days that a session ended"
            yield Found(detail, f"run: idp notices list --client {client_id}, and ask its vendor")


def jsonp_ending(patient: Patient) -> Iterator[Found]:
    for client in patient.clients("jsonp"):
        left = (client.settings.expires - today_of(patient.now())).days
        if left <= MONTH:
            when = f"in {left} days" if left >= 0 else f"since {client.settings.expires}"
            here = f"run: idp clients renew {client.id}" if client.source == "store" else f"in [clients.{client.id}.jsonp] put off expires"
            yield Found(
                f"the page of {client.id} may not ask by JSONP any more {when} (S99)", f"ask whether it still needs to; if so, {here}"
            )


def cookie_readable(patient: Patient) -> Iterator[Found]:
    for client in patient.clients("cookie"):
        if not client.settings.http_only:
            detail = f"scripts can read the cookie of {client.id}, also one that was smuggled into its pages (S78)"
            yield Found(detail, f"let its server read it, and take http_only out of [clients.{client.id}.cookie]")


def cookie_domain(patient: Patient) -> Iterator[Found]:
    """Of those in the store; the file's are refused at the start. Our own address may have changed since they were added."""
    domains = SharedDomains(patient.config.server.url)
    for client in patient.clients("cookie"):
        try:
            domains.of(client.settings, client_id=client.id)
        except IdpError as error:
            yield Found(f"{error.message} ({error.received})", f"give both hosts names under one domain of yours: {error.expected}", True)


def without_pkce(patient: Patient) -> Iterator[Found]:
    for client in patient.clients("oidc"):
        if "authorization_code" in client.settings.grant_types and not client.settings.require_pkce:
            detail = f"{client.id} may come without PKCE, which stops stolen codes (RFC 9700 2.1.1)"
            yield Found(detail, f"ask its vendor; then take require_pkce out of [clients.{client.id}.oidc]")


def browser_tokens(patient: Patient) -> Iterator[Found]:
    for client in patient.clients("oidc"):
        if any("token" in kind.split() for kind in client.settings.response_types):
            detail = f"access tokens of {client.id} travel through the browser's address line (RFC 9700 2.1.2)"
            yield Found(detail, f'ask its vendor for the code flow; then set response_types = ["code"] in [clients.{client.id}.oidc]')


def fedcm_well_known(patient: Patient) -> Iterator[Found]:
    """Browsers ask for it at the registrable domain, on the usual port, wherever we are (S114); no redirect is followed there."""
    url = patient.config.server.url
    place = f"https://{site_of(urlsplit(url).hostname or '')}"
    if patient.parts is None or place in ("https://", url) or not any(client.fedcm for client in patient.clients()):
        return
    fix = f"let {place}{WELL_KNOWN} say what {url}{WELL_KNOWN} says, as application/json, to anybody and without a redirect"
    try:
        wrong = _differing(json.loads(patient.parts.outbound.get(place + WELL_KNOWN)), well_known_of(url, FEDCM_LOGIN))
    except IdpError as error:
        yield Found(f"{place}{WELL_KNOWN} cannot be asked from here, and no page can ask by FedCM without it: {error.message}", fix)
    except ValueError:
        yield Found(f"{place}{WELL_KNOWN} is no JSON, and no page can ask by FedCM", fix)
    else:
        if wrong:
            yield Found(f"{place}{WELL_KNOWN} says something else of {', '.join(wrong)}, and no page can ask by FedCM", fix)


def _differing(found: Any, wanted: Mapping[str, Any]) -> list[str]:
    """The names of what is not as it has to be; what else is there may be there."""
    return [name for name, value in wanted.items() if not isinstance(found, dict) or found.get(name) != value]


LOOKS: Mapping[str, Look] = {
    "clients.unreadable": unreadable,
    "clients.hidden": hidden,
    "clients.two_secrets": two_secrets,
    "clients.unused": unused,
    "notices.waiting": notices_waiting,
    "jsonp.ending": jsonp_ending,
    "fedcm.well_known": fedcm_well_known,
    "cookie.readable": cookie_readable,
    "cookie.domain": cookie_domain,
    "oidc.without_pkce": without_pkce,
    "oidc.browser_tokens": browser_tokens,
}
