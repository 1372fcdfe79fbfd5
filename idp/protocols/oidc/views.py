"""The URLs of OpenID Connect and OAuth 2.0. A view reads, calls, sends; machine endpoints answer errors in OAuth's own JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, Response, redirect, request

from idp.errors import BadRequest, IdpError, new_reference
from idp.protocols.oidc.caller import Caller
from idp.protocols.oidc.certificate import read_certificate
from idp.protocols.oidc.error import OAuthError, back_channel_code, describe
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.grant.guess import claimed_client
from idp.protocols.oidc.logout import read_logout_parameters
from idp.protocols.oidc.parameter import read_parameters
from idp.protocols.oidc.protocol import OidcProtocol
from idp.sso.answer import BROWSER_STATE, Redirect
from idp.sso.logout import Beginning
from idp.web.crowd import never_turned_away
from idp.web.gateway import Gateway
from idp.web.page import nonce, render

_FORM = "application/x-www-form-urlencoded"
_LOGOUT_PARAMETERS = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state")


def oidc_pages(gateway: Gateway, protocol: OidcProtocol) -> Blueprint:
    """Everything under /oauth/, and the two documents under /.well-known/."""
    pages = Blueprint("oidc", __name__)
    documents = protocol.documents
    machine = Machine(gateway, protocol)

    @pages.get("/.well-known/openid-configuration")
    @pages.get("/.well-known/oauth-authorization-server")
    def discovery() -> Response:
        return _public(documents.discovery)

    @pages.get("/oauth/jwks")
    def jwks() -> Response:
        return _public(documents.jwks())

    @pages.route("/oauth/authorize", methods=["GET", "POST"])
    def authorize() -> Response:
        asked, refusal = protocol.read(_sent())
        return gateway.send(gateway.signon.refuse(asked, refusal)) if refusal else gateway.start(asked)

    @pages.route("/oauth/token", methods=["POST", "OPTIONS"])
    @never_turned_away
    def token() -> Response:
        return machine.answer(lambda: protocol.token(_body(), machine.caller()))

    @pages.post("/oauth/par")
    def push() -> Response:
        return machine.answer(lambda: protocol.push(_body(), machine.caller()), status=201)

    @pages.route("/oauth/userinfo", methods=["GET", "POST", "OPTIONS"])
    def userinfo() -> Response:
        return machine.answer(lambda: protocol.userinfo(machine.caller(), _body()))

    @pages.route("/oauth/revoke", methods=["POST", "OPTIONS"])
    def revoke() -> Response:
        return machine.answer(lambda: protocol.revoke(_body(), machine.caller()))

    @pages.get("/oauth/session")
    def check_session() -> Response:
        """The frame of Session Management 1.0 §3.2, for pages of the clients that use it (S13, S105)."""
        origins = protocol.watching_origins()
        if not origins:
            raise BadRequest("oidc.session_management_off", "There is no such page here.", status=404)
        gateway.session()  # with the cookie of a session that has ended, the browser state goes, too
        response = render("check_session.html", cookie=BROWSER_STATE, origins=origins)
        response.headers["Content-Security-Policy"] = (
            f"default-src 'none'; script-src 'nonce-{nonce()}'; base-uri 'none'; form-action 'none'; frame-ancestors {' '.join(origins)}"
        )
        return response

    @pages.route("/oauth/logout", methods=["GET", "POST"])
    def logout() -> Response:
        if request.method == "POST":  # a cross-site POST comes without our Lax cookies: once more, by a GET
            sent = read_logout_parameters(_sent())
            return _see(f"{gateway.url}/oauth/logout?{urlencode({name: sent.get(name) for name in _LOGOUT_PARAMETERS if sent.get(name)})}")
        ending = protocol.read_logout(_sent(), gateway.session())
        if ending is None:
            if "id_token_hint" in request.args:
                gateway.audit.record("logout.unproven", cause="oidc.hint_refused", client=request.args.get("client_id", "")[:128])
            return gateway.send(Redirect(f"{gateway.url}/logout"))
        if ending.unregistered:
            gateway.audit.record(
                "logout.return_refused",
                cause="oidc.post_logout_redirect_uri_unknown",
                client=ending.client.id,
                expected=" ".join(settings_of(ending.client).post_logout_redirect_uris),
                received=ending.unregistered[:300],
            )
        if not ending.session_id:
            return gateway.send(protocol.logout_answer(ending.state, complete=True))
        return gateway.end(ending.session_id, reason="oidc.client", beginning=Beginning("oidc", ending.beginner, ending.state))

    return pages


class Machine:
    """Answers programs: in JSON, with OAuth's own errors, readable by scripts of public clients' own sites, and by no others."""

    def __init__(self, gateway: Gateway, protocol: OidcProtocol) -> None:
        self._gateway = gateway
        self._protocol = protocol
        self._guesses = protocol.desk.guesses

    def caller(self) -> Caller:
        return Caller(
            authorization=request.headers.get("Authorization", ""),
            proofs=tuple(request.headers.getlist("DPoP")),
            certificate=read_certificate(self._gateway.certificate_text()),
            method=request.method,
            url=f"{self._gateway.url}{request.path}",
        )

    def body(self) -> str:
        return _body()

    def answer(self, act: Callable[[], dict[str, Any] | str | None], *, status: int = 200) -> Response:
        """What was done, as JSON or as a JWT, or why it was not."""
        response = self.answer_server(lambda: _json(act(), status=status))
        return _readable(response) if self._protocol.allows_origin(request.headers.get("Origin", "")) else response

    def answer_server(self, act: Callable[[], Response]) -> Response:
        """The same for what no script ever calls, because it takes a secret."""
        if request.method == "OPTIONS":
            response = Response(status=204)
        else:
            try:
                response = self._guarded(act)
            except IdpError as error:
                response = self._refused(error)
        if "DPoP" in request.headers:
            response.headers["DPoP-Nonce"] = self._protocol.proofs.nonce()  # so that the next proof has it (RFC 9449 §8.2)
        return response

    def json(self, value: dict[str, Any]) -> Response:
        """An answer that no cache keeps."""
        return _json(value)

    def _guarded(self, act: Callable[[], Response]) -> Response:
        """Raises IdpError; a wrong client secret is counted."""
        if self._guesses.any_shut:
            self._guesses.admit(*self._who())
        try:
            return act()
        except IdpError as error:
            if error.cause == "oidc.client_authentication":
                self._guesses.failed(*self._who())
            raise

    def _who(self) -> tuple[str, str]:
        """The client that the caller says to be, and where from."""
        client_id = claimed_client(request.headers.get("Authorization", ""), read_parameters(_body()))
        return client_id, self._gateway.address()

    def _refused(self, error: IdpError) -> Response:
        reference = new_reference()
        self._gateway.audit.record(
            "request.refused",
            cause=error.cause,
            reference=reference,
            client=error.client_id,
            expected=error.expected,
            received=error.received,
        )
        code = back_channel_code(error)
        response = _json({"error": code, "error_description": describe(error, reference)} if code else None)
        response.status_code = error.status
        if isinstance(error, OAuthError) and error.scheme:
            challenge = f'{error.scheme} realm="{self._gateway.url}"'
            response.headers["WWW-Authenticate"] = (
                f'{challenge}, error="{code}"' if code and error.scheme in ("Bearer", "DPoP") else challenge
            )
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response


def _sent() -> str:
    """The parameters as they came: of the query or, posted, of the body alone."""
    return _body() if request.method == "POST" else request.query_string.decode(errors="replace")


def _body() -> str:
    """The form body; a body of another kind counts as empty (RFC 6749 §4.1.3, Appendix B)."""
    return request.get_data().decode(errors="replace") if request.mimetype == _FORM else ""


def _see(url: str) -> Response:
    return redirect(url, code=303, Response=Response)  # type: ignore[return-value]


def _public(document: bytes) -> Response:
    """The same for everybody, so every site may read it and every cache may keep it for a while (S38)."""
    response = Response(document, mimetype="application/json")
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


def _json(value: dict[str, Any] | str | None, *, status: int = 200) -> Response:
    """RFC 6749 §5.1 wants it out of every cache (S29); `Cache-Control: no-store` stands on all our answers that do not say otherwise."""
    if isinstance(value, str):
        return Response(value, status=status, content_type="application/jwt")
    response = Response(b"" if value is None else json.dumps(value).encode(), status=status, mimetype="application/json")
    response.headers["Pragma"] = "no-cache"
    return response


def _readable(response: Response) -> Response:
    """CORS for one origin, without credentials: what these endpoints answer depends on no cookie."""
    response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
    response.headers["Access-Control-Allow-Headers"] = "authorization, content-type, dpop"
    response.headers["Access-Control-Allow-Methods"] = "GET, POST"
    response.headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, DPoP-Nonce"
    response.headers["Access-Control-Max-Age"] = "600"
    response.headers["Vary"] = "Origin"
    return response
