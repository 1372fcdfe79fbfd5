"""Client authentication (RFC 6749 §2.3) at every machine endpoint (S27): a secret, an assertion (RFC 7523) or a certificate (RFC 8705).

Beside pyop, whose own compares secrets in the clear, fails on a colon in a secret, and knows no hashed secret.
"""

from __future__ import annotations

import base64
from urllib.parse import unquote_plus

from idp.protocols.oidc.assertion import ASSERTION_TYPE, Assertions, issuer_of
from idp.protocols.oidc.caller import Caller
from idp.protocols.oidc.certificate import is_certificate_of
from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.gate import oidc_client, settings_of
from idp.protocols.oidc.parameter import Parameters
from idp.protocols.oidc.settings import BY_CERTIFICATE
from idp.secret import Secret
from idp.sso.client import Client, Clients

_BY_ASSERTION = ("private_key_jwt", "client_secret_jwt")


class ClientAuthentication:
    """Who calls a machine endpoint."""

    def __init__(self, clients: Clients, assertions: Assertions) -> None:
        self._clients = clients
        self._assertions = assertions

    def prove(self, form: Parameters, caller: Caller) -> Client:
        """The client that proved itself, or a public one that named itself. Raises OAuthError."""
        if form.repeated:
            raise OAuthError("invalid_request", "parameter_repeated", "A parameter came more than once (RFC 6749 3.2).")
        ways = (bool(caller.authorization), bool(form.get("client_secret")), bool(form.get("client_assertion")))
        if sum(ways) > 1:
            message = "The client authenticated in more than one way (RFC 6749 2.3)."
            raise OAuthError("invalid_request", "client_authentication_twice", message)
        if caller.authorization:
            return self._by_header(form, caller.authorization)
        if form.get("client_assertion") or form.get("client_assertion_type"):
            return self._by_assertion(form)
        client = oidc_client(self._clients, form.get("client_id"))
        if client is None:
            raise _failed(form.get("client_id"))
        if settings_of(client).token_endpoint_auth_method in BY_CERTIFICATE:
            return self._by_certificate(client, caller)
        return _proven(client, (form.get("client_secret"),), "client_secret_post")

    def _by_header(self, form: Parameters, authorization: str) -> Client:
        client_id, secret = _basic(authorization)
        if form.get("client_id") not in ("", client_id):
            raise _failed(client_id)
        client = oidc_client(self._clients, client_id)
        if client is None:
            raise _failed(client_id)
        # the header's parts are form-encoded (RFC 6749 §2.3.1), which many clients forget: their secret is taken as it stands
        return _proven(client, (unquote_plus(secret), secret), "client_secret_basic")

    def _by_assertion(self, form: Parameters) -> Client:
        """RFC 7523 §3: issuer and subject of the assertion are the client's id; the `client_id` beside it may be missing."""
        assertion = form.get("client_assertion")
        client_id = issuer_of(assertion) if form.get("client_assertion_type") == ASSERTION_TYPE else ""
        client = oidc_client(self._clients, client_id) if client_id else None
        if client is None or form.get("client_id") not in ("", client.id):
            raise _failed(form.get("client_id") or client_id)
        if settings_of(client).token_endpoint_auth_method not in _BY_ASSERTION:
            raise _failed(client.id, "it has no key for an assertion")
        if problem := self._assertions.problem(client, assertion):
            raise _failed(client.id, problem)
        return client

    def _by_certificate(self, client: Client, caller: Caller) -> Client:
        if not caller.certificate or not is_certificate_of(caller.certificate, client, self._assertions.keys):
            raise _failed(client.id, "no certificate of the client came with the connection")
        return client


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, credentials = authorization.partition(" ")
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
    except ValueError:
        raise _failed("") from None
    client_id, colon, secret = decoded.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise _failed("")
    return unquote_plus(client_id), secret


def _proven(client: Client, secrets: tuple[str, ...], method: str) -> Client:
    settings = settings_of(client)
    if settings.public:
        if any(secrets):
            raise _failed(client.id)
        return client
    matches = [client.accepts(Secret(secret)) for secret in secrets]
    if not any(matches) or settings.token_endpoint_auth_method not in ("any_secret", method):
        raise _failed(client.id)
    return client


def _failed(client_id: str, problem: str = "") -> OAuthError:
    """401 and the header as RFC 6749 §5.2 asks. One sentence for every way to fail with a secret; what is wrong with an assertion helps
    its sender, and nobody else."""
    message = f"The client did not prove itself: {problem}." if problem else "The client is not known or did not prove itself."
    return OAuthError("invalid_client", "client_authentication", message, status=401, scheme="Basic", client_id=client_id[:128])
