"""Our pages, and the headers that every answer carries (S116, S117, G-S9)."""

from __future__ import annotations

import re
import secrets
from typing import Any

from flask import Response, g, make_response, render_template, request

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")
_PROTECTING = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
_HTTPS = (("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),)


def render(template: str, *, status: int = 200, **values: Any) -> Response:
    """A page from `templates/`; one that has a script of its own calls `nonce()`, which lets that run and no other."""
    return make_response(render_template(template, nonce=nonce, **values), status)


def nonce() -> str:
    """The page's nonce for its Content-Security-Policy."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


def allow_frames(origins: set[str]) -> None:
    """Lets this one page hold frames of these origins (front-channel logout). What is no origin could smuggle in a directive."""
    g.frame_origins = {origin for origin in origins if _ORIGIN.fullmatch(origin)}


def protect(response: Response, *, secure: bool) -> Response:
    """Adds the protecting headers; what a view has set already stays."""
    there = {name.lower() for name, _ in response.headers}  # looked through once: `setdefault` would do it for each
    for name, value in (*_PROTECTING, *(_HTTPS if secure else ())):
        if name.lower() not in there:
            response.headers.add(name, value)
    if "content-security-policy" not in there:
        response.headers.add("Content-Security-Policy", _policy(secure))
    return response


def _policy(secure: bool) -> str:
    """Chromium applies `form-action` to every redirect that follows a post, also to the vendor's own: so it names schemes, not hosts.
    Nothing foreign is ever written into our pages unescaped, so no foreign form can stand there. Plain http to this very machine is how
    applications on it get their answer (RFC 8252 §7.3)."""
    frames = " ".join(sorted(g.get("frame_origins", ()))) or "'none'"
    posts = "https: http://127.0.0.1:* http://localhost:*" if secure else "https: http:"
    own = f"'nonce-{nonce()}'" if "nonce" in g else "'none'"
    return (
        f"default-src 'none'; script-src {own}; style-src 'self'; img-src 'self' data:; frame-src {frames}; "
        f"form-action 'self' {posts}; frame-ancestors 'none'; base-uri 'none'"
    )


def wants_json() -> bool:
    """Whether whoever asks is a program that reads JSON rather than a person."""
    best = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
    return bool(best == "application/json")
