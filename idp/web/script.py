"""The script answer for registered pages (JSONP), hardened as S100 and S102 ask."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask import Response


def render_script(callback: str, value: Mapping[str, Any]) -> Response:
    """`callback` was checked against its pattern by the protocol. The comment in front stops Rosetta Flash, the file name stops
    reflected downloads."""
    text = json.dumps(value, ensure_ascii=True).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    response = Response(f"/**/typeof {callback}==='function'&&{callback}({text});", mimetype="application/javascript")
    response.headers["Content-Type"] = "application/javascript; charset=utf-8"
    response.headers["Content-Disposition"] = 'attachment; filename="f.txt"'
    response.headers["Vary"] = "Cookie, Referer, Sec-Fetch-Site"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
