"""The claims of OpenID Connect Core §2 about the login itself: what is kept of it, and what a token tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.sso.session import Session

_TOLD = ("auth_time", "acr", "amr")


def login_of(session: Session) -> dict[str, Any]:
    """For our own records. `sid` is the session's own id, which no client is told: each has its own name for the session."""
    kept = {"auth_time": session.auth_time, "sid": session.id, "acr": session.context, "amr": list(session.methods)}
    return kept if session.dated else {**kept, "dated": False}


def told_of(login: Mapping[str, Any]) -> dict[str, Any]:
    """For a token. Where iMIS alone vouched, nobody here knows when the password was typed: then there is no auth_time."""
    return {name: login[name] for name in _TOLD if name in login and (name != "auth_time" or login.get("dated", True))}
