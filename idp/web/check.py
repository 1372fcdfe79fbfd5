"""/sso-check/: a script for vendors' pages, which asks in the best way a browser has whether a member is signed in; and how to use it.

The script never changes under its version, so that a page may name its hash (Subresource Integrity). It is the same at every
association: where we are, it knows from where it came.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from pathlib import Path

from flask import Blueprint, Response

from idp.sso.client import Client
from idp.web.gateway import Gateway
from idp.web.page import render

VERSION = 1
_PATH = f"/sso-check/{VERSION}.js"
_FILE = Path(__file__).parent / "static" / f"sso-check-{VERSION}.js"


def integrity() -> str:
    """What a page names beside the script's address."""
    return "sha384-" + base64.b64encode(hashlib.sha384(_FILE.read_bytes()).digest()).decode()


def script_line(url: str, client: Client) -> str:
    """What a token or JSONP vendor pastes into a page; empty for who asks by another protocol, which the script does not speak. `url` is
    ours."""
    if client.protocol not in ("token", "jsonp"):
        return ""
    parameter = getattr(client.settings, "token_parameter", "token")
    told = {
        "src": url + _PATH,
        "integrity": integrity(),
        "crossorigin": "anonymous",
        "data-client": client.id,
        "data-kind": "" if client.protocol == "token" else client.protocol,
        "data-return": next(iter(client.settings.return_urls), ""),
        "data-parameter": "" if parameter == "token" else parameter,
    }
    written = (f'{name}="{escape(text)}"' for name, text in told.items() if text)
    return f"<script {' '.join(written)}></script>"


def check_pages(gateway: Gateway) -> Blueprint:
    """GET /sso-check, /sso-check.js and /sso-check/<version>.js."""
    pages = Blueprint("check", __name__)
    script, hashed = _FILE.read_text(encoding="utf-8"), integrity()

    @pages.get("/sso-check")
    def explain() -> Response:
        return render("sso_check.html", url=gateway.url + _PATH, integrity=hashed)

    @pages.get(_PATH)
    def versioned() -> Response:
        return _script(script, life=365 * 86400)

    @pages.get("/sso-check.js")
    def newest() -> Response:
        """For who cannot name a hash; it may change."""
        return _script(script, life=3600)

    return pages


def _script(text: str, *, life: int) -> Response:
    """The same for everybody, on any page; it is fetched with CORS where a hash is named."""
    response = Response(text, content_type="text/javascript; charset=utf-8")
    response.headers["Cache-Control"] = f"public, max-age={life}" + (", immutable" if life > 86400 else "")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
