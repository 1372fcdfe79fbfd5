"""Addresses that a client registers: which may stand in its settings, and when two are the same."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from idp.web.settings import is_loopback

_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::[0-9]{1,5})?(/[^\s]*)?")


def client_url(value: str) -> str:
    """S3: https, or http on this machine alone; nothing that another parser could read as something else. Raises ValueError."""
    if not value.isascii() or len(value) > 2000 or any(character <= " " or character in '\\*<>"{}|^`\x7f' for character in value):
        raise ValueError("is not a plain URL: ASCII, no spaces, no wildcard, no backslash, at most 2000 characters")
    parts = _split(value)
    if not parts.hostname or "@" in parts.netloc or "#" in value:
        raise ValueError("needs a host, and has neither a fragment nor a user name")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError("must begin with https:// (http:// is for localhost alone)")
    return value


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        raise ValueError("is not a URL") from None
    return parts


def https(value: str) -> str:
    """Without the exception for this machine. Raises ValueError."""
    if not value.startswith("https://"):
        raise ValueError("must begin with https:// (OpenID Connect Core 4)")
    return value


def origin_of(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}".lower()


def is_same_but_port(uri: str, registered: str) -> bool:
    """RFC 8252 §7.3: an application on the member's device takes whatever port of this machine is free."""
    asked, known = _LOOPBACK.fullmatch(uri), _LOOPBACK.fullmatch(registered)
    return asked is not None and known is not None and asked.groups() == known.groups()
