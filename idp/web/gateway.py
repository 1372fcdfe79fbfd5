"""Gateway: what protocol views and our own pages use to enter the one sequence and to send its answer. A view reads, calls, sends."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Response, redirect, request

from idp.audit import Audit
from idp.errors import CannotTell, Unavailable
from idp.secret import new_secret
from idp.sso.answer import Answer, FormPost, Handover, Login, Page, Redirect, Resume, Script, SharedCookie
from idp.sso.client import Clients
from idp.sso.login import SignedIn
from idp.sso.logout import Beginning, Logout, Run
from idp.sso.protocol import SignOnRequest
from idp.sso.session import Ended, Session
from idp.sso.sign_in_log import NoSignInLog, NotesSignIns
from idp.sso.signon import SignOn
from idp.web.address import Proxies
from idp.web.browser import Browser
from idp.web.device import device_name
from idp.web.page import render
from idp.web.script import render_script
from idp.web.settings import ServerSettings

LOGOUT = "_logout"
"""What the cookie of the logout under way is kept for; a browser has one at a time."""
WINDOW = "_fedcm"
"""What the cookie is kept for of a sign-in window that the browser has opened by itself (FedCM)."""
FEDCM_LOGIN = "/fedcm/login"
"""Where such a window begins, and is closed."""


NO_SIGN_IN_LOG = NoSignInLog()


class Gateway:
    """One for the whole application; every method concerns the HTTP request under way."""

    def __init__(
        self,
        server: ServerSettings,
        *,
        browser: Browser,
        signon: SignOn,
        logout: Logout,
        clients: Clients,
        audit: Audit,
        sign_ins: NotesSignIns = NO_SIGN_IN_LOG,
    ) -> None:
        self.server = server
        self.browser = browser
        self.signon = signon
        self.logout = logout
        self.clients = clients
        self.audit = audit
        self._sign_ins = sign_ins
        self._proxies = Proxies(server.trusted_proxies)

    @property
    def url(self) -> str:
        """Our public URL, without a slash at the end."""
        return self.server.url

    def session(self) -> Session | None:
        """The session of this browser."""
        return self.browser.session()

    def address(self) -> str:
        """The network address of this browser."""
        return self._proxies.client_address(request.remote_addr or "", request.headers.get("X-Forwarded-For", ""))

    def certificate_text(self) -> str:
        """The TLS client certificate of this connection, as a trusted proxy wrote it down; empty without one (RFC 8705 §6.5)."""
        name = self.server.certificate_header
        sent = request.headers.getlist(name) if name and self._proxies.trusts(request.remote_addr or "") else []
        return sent[0] if len(sent) == 1 else ""

    def start(self, asked: SignOnRequest) -> Response:
        """Enters the sequence. A cross-site POST comes without our Lax cookies: it goes round by a GET before the session is read."""
        if request.method == "POST":
            secret = new_secret()
            held = self.signon.hold(asked, secret)
            self.browser.keep(held.request_id, secret)
            return self.send(held)
        try:
            return self.send(self.signon.start(asked, self.browser.secret(), self.session()))
        except Unavailable:
            if not asked.passive:
                raise
            return self.send(self.signon.refuse(asked, CannotTell()))

    def welcome(self, signed: SignedIn, onward: str) -> Response:
        """After a good login: the cookies, and the way to `onward`, by way of what is left of another member's logout."""
        clients = self.clients.snapshot()
        fedcm = any(client.fedcm is not None for client in clients.clients.values())
        self._sign_ins.note(signed.session, browser=device_name(request.headers.get("User-Agent", "")), address=self.address())
        self.browser.signed_in(signed.session, signed.cookies, ping=bool(clients.of("jsonp")), fedcm=fedcm)
        if onward == f"{self.url}/" and self.browser.kept(WINDOW):
            onward = self.url + FEDCM_LOGIN
        return self.go_through(signed.ended) if signed.ended else see(onward)

    def end(self, session_id: str, *, reason: str, beginning: Beginning | None = None) -> Response:
        """Ends a session and takes the browser through what follows. When it had ended already, only the beginner is answered."""
        run = self.logout.end(session_id, reason=reason, beginning=beginning)
        if run is None and beginning is None:
            return see(f"{self.url}/logout")  # with the cookie of the session that has ended, by which its run is found
        session = self.session()
        is_own = session is not None and session.id == session_id
        if session is None or is_own:
            self.browser.signed_out()
        if run is None:
            run = Run(id="", rows=(), beginning=beginning)
            return self.send(self.logout.answer(run) or Redirect(f"{self.url}/logout"))
        return self.go_through(run, proven=is_own)

    def take_up(self, ended: Ended) -> Response | None:
        """Goes on with the logout of this browser's session, whoever began it; None when there is nothing to go on with."""
        run = self.logout.take_up(ended)
        if run is None:
            return None
        self.browser.signed_out()
        return self.go_through(run, proven=True)

    def go_through(self, run: Run, *, proven: bool = False) -> Response:
        """Takes this browser, and no other, to what is left of a logout; cookies that clients share with us are cleared on the way.
        `proven`: it was this browser's session. Then the secret is the same each time, so that of two answers either will do."""
        secret = f"{run.id}.{self.browser.secret_of_ending() if proven else new_secret()}"
        self.logout.bind(run, secret, anew=proven)
        self.browser.keep(LOGOUT, secret)
        return self.send(Redirect(self.run_url(run), cookies=run.cookies))

    def run_under_way(self) -> Run | None:
        """The logout that this browser is going through, or has gone through."""
        secret = self.browser.kept(LOGOUT)
        run = self.logout.run(secret.partition(".")[0]) if secret else None
        return run if run and run.belongs_to(secret) else None

    def run_url(self, run: Run) -> str:
        """Where a logout under way goes on."""
        return f"{self.url}/logout/{run.id}"

    def send(self, answer: Answer) -> Response:
        """The answer as an HTTP response."""
        response = self._response(answer)
        for cookie in answer.cookies:
            _set_shared(response, cookie, secure=self.server.secure)
        return response

    def _response(self, answer: Answer) -> Response:
        match answer:
            case Redirect(url):
                return see(url)
            case Login(request_id):
                return see(f"{self.url}/login?{urlencode({'request': request_id})}")
            case Resume(request_id):
                return see(f"{self.url}/signon/{request_id}")
            case FormPost(url, fields):
                assert url.startswith(("https://", "http://"))  # V41: every protocol has checked it long before
                return render("post.html", url=url, fields=fields)
            case Script(callback, value):
                return render_script(callback, value)
            case Handover():
                return render("fedcm.html", resolve=None if answer.cause else answer.token)
            case Page(template, values, status):
                return render(template, status=status, **values)


def see(url: str) -> Response:
    """303 after a POST, so that no credentials are posted on (S6)."""
    return redirect(url, code=303 if request.method == "POST" else 302, Response=Response)  # type: ignore[return-value]


def _set_shared(response: Response, cookie: SharedCookie, *, secure: bool) -> None:
    response.set_cookie(
        cookie.name,
        cookie.value,
        max_age=(cookie.life or None) if cookie.value else 0,
        expires=None if cookie.value else 0,
        domain=cookie.domain or None,
        path="/",
        secure=secure or cookie.cross_site,  # SameSite=None needs Secure; browsers allow that on loopback even with plain http
        httponly=cookie.http_only,
        samesite="None" if cookie.cross_site else "Lax",
    )
