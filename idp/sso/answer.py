"""Answer: what goes back to the browser, said without HTTP. `web/gateway.py` turns it into a response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

BROWSER_STATE = "__Host-idp_state"
"""The cookie that our frame on a client's page compares (OpenID Connect Session Management 1.0). It is no secret and opens nothing."""


@dataclass(frozen=True)
class SharedCookie:
    """A cookie on a parent domain that a vendor shares with us; without a value it is cleared. Without a domain it is ours alone;
    `cross_site` is for one that is read in a frame of ours on other sites' pages."""

    name: str
    domain: str = ""
    value: str = field(default="", repr=False)
    life: int = 0
    http_only: bool = True
    cross_site: bool = False


@dataclass(frozen=True)
class Redirect:
    """Send the browser there (SAML HTTP-Redirect, OAuth `query`)."""

    url: str
    cookies: tuple[SharedCookie, ...] = ()


@dataclass(frozen=True)
class FormPost:
    """Have the browser post these fields there, by a button where there is no script (SAML HTTP-POST, OAuth `form_post`)."""

    url: str
    fields: Mapping[str, str] = field(repr=False)
    cookies: tuple[SharedCookie, ...] = ()


@dataclass(frozen=True)
class Script:
    """A script for a registered page (JSONP): `callback` is called with `value`."""

    callback: str
    value: Mapping[str, Any] = field(repr=False)
    cookies: tuple[SharedCookie, ...] = ()


@dataclass(frozen=True)
class Page:
    """One of our own pages."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200
    cookies: tuple[SharedCookie, ...] = ()


@dataclass(frozen=True)
class Login:
    """Show the sign-in page for a pending request; after a good login it is resumed."""

    request_id: str
    cookies: tuple[SharedCookie, ...] = ()


@dataclass(frozen=True)
class Resume:
    """Come back for a pending request with a GET: a cross-site POST came without the session cookie (SameSite=Lax)."""

    request_id: str
    cookies: tuple[SharedCookie, ...] = ()


@dataclass(frozen=True)
class Handover:
    """What the answer would have told the client, for the browser to hand to the client's page (FedCM). With a `cause`, it is a no."""

    parameters: Mapping[str, str] = field(repr=False)
    cause: str = ""
    cookies: tuple[SharedCookie, ...] = ()

    @property
    def token(self) -> str | dict[str, str]:
        """What the page gets: one thing for itself alone, several by their names."""
        values = list(self.parameters.values())
        return values[0] if len(values) == 1 else dict(self.parameters)


Answer = Redirect | FormPost | Script | Page | Login | Resume | Handover


def hand_over(answer: Answer, cause: str = "") -> Answer:
    """An answer that was made for the return address, for the browser to hand over. One of our own pages stays what it is."""
    match answer:
        case Redirect(url):
            parts = urlsplit(url)
            return Handover(dict(parse_qsl(parts.query) + parse_qsl(parts.fragment)), cause)
        case FormPost(_, fields):
            return Handover(fields, cause)
        case Script(_, value):
            return Handover({name: told for name, told in value.items() if isinstance(told, str)}, cause)
        case _:
            return answer
