"""Answer: what goes back to the browser, said without HTTP. `web/gateway.py` turns it into a response."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SharedCookie:
    """A cookie on a parent domain that a vendor shares with us; without a value it is cleared."""

    name: str
    domain: str
    value: str = field(default="", repr=False)
    life: int = 0
    http_only: bool = True


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


Answer = Redirect | FormPost | Script | Page | Login | Resume
