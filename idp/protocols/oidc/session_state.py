"""Session Management 1.0: what a client's page compares, without asking our server, to see whether it is still the same sign-in.

Off, unless a client's settings turn it on: browsers that withhold cookies from frames make it useless, and back-channel logout does
more. The *browser state* is a value in a cookie that scripts of our own frame can read. It is another for each sign-in, and it is a MAC
of the session's id and the login's, so nothing is stored, nothing can be learnt from it, and it opens nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from urllib.parse import urlsplit

from idp.keys import KeyRing
from idp.protocols.oidc.address import origin_of
from idp.protocols.oidc.gate import settings_of
from idp.secret import new_id
from idp.sso.answer import BROWSER_STATE, Answer, SharedCookie
from idp.sso.client import Clients
from idp.sso.session import Session

_DEFAULT_PORTS = {"https": ":443", "http": ":80"}


def browser_state(keys: KeyRing, session: Session) -> str:
    """What the cookie holds while this sign-in lasts."""
    return keys.pairwise("oidc", "browser state", session.id, session.login_id)


def session_state(client_id: str, redirect_uri: str, state: str, *, salt: str = "") -> str:
    """§2, §3.2. The frame's script (`web/static/check-session.js`) computes the same for the page that asks it."""
    salt = salt or new_id()
    hashed = hashlib.sha256(f"{client_id} {page_origin(redirect_uri)} {state} {salt}".encode()).hexdigest()
    return f"{hashed}.{salt}"


def with_state(answer: Answer, state: str) -> Answer:
    """The answer, with the cookie that the frame will read."""
    cookie = SharedCookie(BROWSER_STATE, value=state, http_only=False, cross_site=True)
    return replace(answer, cookies=(*answer.cookies, cookie))


def page_origin(uri: str) -> str:
    """The origin of pages at this address, as browsers write it: without the port that goes without saying."""
    return origin_of(uri).removesuffix(_DEFAULT_PORTS[urlsplit(uri).scheme])


def asking_origins(clients: Clients) -> list[str]:
    """Whose pages may hold the frame, and ask it."""
    asking = [settings_of(client) for client in clients.snapshot().of("oidc") if settings_of(client).session_management]
    return sorted({page_origin(uri) for settings in asking for uri in settings.redirect_uris})
