"""The browser's cookies: its own secret, to which pending requests and forms are bound; its session; the ping and the FedCM cookie.

With an https issuer all carry the `__Host-` prefix, Secure, HttpOnly and SameSite=Lax (S71). Two alone go across sites
(SameSite=None), and are set only where a client may ask by them: the ping cookie is good for one question, "is she signed in?", the FedCM
cookie for what the browser itself asks (Sec-Fetch-Dest: webidentity, which no script can send). One more, which says nothing and opens
nothing, comes with the answers to clients that watch for a sign-out (BROWSER_STATE), and goes here when the sign-in does.
Set-Login tells the browser whether somebody is signed in here (Login Status API): it does not ask us while nobody is (S112).
What began with a cross-site POST, which comes without these cookies, has one of its own for a while: to set the browser's secret
anew would cut off the sign-in page that another tab may have open.
"""

from __future__ import annotations

import hashlib
import hmac

from flask import Request, Response, g, request

from idp.secret import Secret, digest, new_secret
from idp.sso.answer import BROWSER_STATE
from idp.sso.session import Ended, Session, SessionCookies, Sessions

_BROWSER_LIFE = 86400  # from the last use on
_KEPT_LIFE = 3600


class Browser:
    """The cookies of the request under way."""

    def __init__(self, sessions: Sessions, *, secure: bool) -> None:
        self._sessions = sessions
        self._secure = secure
        prefix = "__Host-" if secure else ""
        self._browser_name = f"{prefix}idp_browser"
        self._session_name = f"{prefix}idp_session"
        self._kept_name = f"{prefix}idp_kept"
        self._fedcm_name = "__Host-idp_fedcm"
        self._ping_name = "__Host-idp_ping"  # SameSite=None needs Secure; browsers allow that on loopback even with plain http

    def secret(self) -> str:
        """The browser's own secret. It is set again with every response that rests on it, so that it outlives what waits for it."""
        if "browser_secret" not in g:
            sent = _one_cookie(request, self._browser_name)
            g.browser_secret = sent if 40 <= len(sent) <= 64 else new_secret()
        return str(g.browser_secret)

    def keep(self, what: str, secret: str) -> None:
        """Sets the cookie of a held request, by its id, or of the logout under way, with the response."""
        g.kept = (what, secret)

    def kept(self, what: str) -> str:
        """The secret of that request or logout; empty when it is not this browser's."""
        return _one_cookie(request, self._kept_name + what)

    def forget(self, what: str) -> None:
        """Clears the cookie of what is over, with the response."""
        if self.kept(what):
            g.kept = (what, "")

    def shared(self, name: str) -> str:
        """A cookie that another site of our parent domain has set; empty when there is none, or two."""
        return _one_cookie(request, name)

    def session(self) -> Session | None:
        """The live session of this browser; asked of the store once in a request."""
        if "session" not in g:
            cookie = _one_cookie(request, self._session_name)
            g.session = self._sessions.current(Secret(cookie)) if cookie else None
        session: Session | None = g.session
        return session

    def ended(self) -> Ended | None:
        """The session of this browser that somebody has ended, if it is still remembered."""
        cookie = _one_cookie(request, self._session_name)
        return self._sessions.ended(Secret(cookie)) if cookie else None

    def secret_of_ending(self) -> str:
        """A secret that this browser alone can have, and always the same for the session whose cookie it brings; empty without one."""
        cookie = _one_cookie(request, self._session_name)
        return digest(f"ending {cookie}") if cookie else ""

    def pinged_session(self) -> Session | None:
        """The live session by the ping cookie, or by the session cookie where the asking page is of our own site."""
        cookie = _one_cookie(request, self._ping_name)
        return (self._sessions.pinged(Secret(cookie)) if cookie else None) or self.session()

    def federated_session(self, *, used: bool = False) -> Session | None:
        """The live session by the FedCM cookie; `used` for a sign-on. Only for requests that the browser itself makes."""
        cookie = _one_cookie(request, self._fedcm_name)
        return self._sessions.federated(Secret(cookie), used=used) if cookie else None

    def mend_fedcm(self, session: Session) -> None:
        """Gives the browser a FedCM cookie for this session of its own, if it has none that is good."""
        federated = self.federated_session()
        if federated is None or federated.id != session.id:
            g.set_fedcm = self._sessions.new_fedcm_cookie(session.id)

    def form_token(self, form: str) -> str:
        """What a form of ours carries so that no other site can send it (S120): a MAC of its name under the browser's secret."""
        return hmac.new(self.secret().encode(), f"form:{form}".encode(), hashlib.sha256).hexdigest()

    def is_own_form(self, form: str) -> bool:
        """Whether the posted form came from our page in this browser. (Origin is no help: with our Referrer-Policy it is `null`.)"""
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            return False
        sent = request.form.get("form_token", "")
        return hmac.compare_digest(sent.encode(), self.form_token(form).encode())

    def signed_in(self, session: Session, cookies: SessionCookies, *, ping: bool, fedcm: bool = False) -> None:
        """Sets the session cookie, and the ping and FedCM cookies where some client may ask by them, with the response."""
        g.session = session
        g.clear_session = False
        g.set_session = cookies.session
        if ping:
            g.set_ping = cookies.ping
        if fedcm:
            g.set_fedcm = cookies.fedcm

    def signed_out(self) -> None:
        """Clears the session's cookies with the response."""
        g.session = None
        g.clear_session = True
        g.set_session = g.set_ping = g.set_fedcm = None

    def apply(self, response: Response) -> None:
        """Puts what was decided during the request into the response."""
        if "browser_secret" in g:
            self._set(response, self._browser_name, str(g.browser_secret), life=_BROWSER_LIFE)
        if "kept" in g:
            what, secret = g.kept
            self._set(response, self._kept_name + what, secret, life=_KEPT_LIFE if secret else 0)
        if g.get("set_session"):
            self._set(response, self._session_name, g.set_session.reveal())
        if g.get("set_ping"):
            response.set_cookie(self._ping_name, g.set_ping.reveal(), path="/", secure=True, httponly=True, samesite="None")
        if g.get("set_fedcm"):
            response.set_cookie(self._fedcm_name, g.set_fedcm.reveal(), path="/", secure=True, httponly=True, samesite="None")
        if status := self._login_status():
            response.headers["Set-Login"] = status
        if g.get("clear_session"):
            if self._session_name in request.cookies:  # a cross-site POST brings none, and what is there may be another session's
                response.delete_cookie(self._session_name, path="/", secure=self._secure, httponly=True, samesite="Lax")
            for name in (self._ping_name, self._fedcm_name):
                if name in request.cookies:
                    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="None")
        if (status or g.get("clear_session")) and BROWSER_STATE in request.cookies:  # pages of clients see that it changed, and ask
            response.delete_cookie(BROWSER_STATE, path="/", secure=True, samesite="None")

    def _login_status(self) -> str:
        """What to tell the browser; "" when nothing has changed. A session cookie that is good for nothing any more has expired."""
        if g.get("set_session"):
            return "logged-in"
        gone = "session" in g and g.session is None and self._session_name in request.cookies
        return "logged-out" if gone else ""

    def _set(self, response: Response, name: str, value: str, *, life: int | None = None) -> None:
        response.set_cookie(name, value, max_age=life, path="/", secure=self._secure, httponly=True, samesite="Lax")


def _one_cookie(sent: Request, name: str) -> str:
    """The cookie's value; empty when it was sent twice, which only a tossed cookie can bring about (S77)."""
    values = sent.cookies.getlist(name)
    return str(values[0]) if len(values) == 1 else ""
