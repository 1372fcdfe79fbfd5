"""Client authentication (RFC 6749 §2.3) at the token, revocation and introspection endpoints (S27).

Beside pyop, whose own compares secrets in the clear, fails on a colon in a secret, and knows no hashed secret.
"""

from __future__ import annotations

import base64
from urllib.parse import unquote_plus

from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.gate import oidc_client, settings_of
from idp.protocols.oidc.parameter import Parameters
from idp.secret import Secret
from idp.sso.client import Client, Clients


def authenticate(clients: Clients, form: Parameters, authorization: str) -> Client:
    """The client that proved itself, or a public one that named itself. Raises OAuthError."""
    if form.repeated:
        raise OAuthError("invalid_request", "parameter_repeated", "A parameter came more than once (RFC 6749 3.2).")
    if authorization:
        return _by_header(clients, form, authorization)
    client = oidc_client(clients, form.get("client_id"))
    if client is None:
        raise _failed(form.get("client_id"))
    return _proven(client, (form.get("client_secret"),), "client_secret_post")


def _by_header(clients: Clients, form: Parameters, authorization: str) -> Client:
    if form.get("client_secret"):
        message = "The client authenticated in the header and in the body (RFC 6749 2.3)."
        raise OAuthError("invalid_request", "client_authentication_twice", message)
    client_id, secret = _basic(authorization)
    if form.get("client_id") not in ("", client_id):
        raise _failed(client_id)
    client = oidc_client(clients, client_id)
    if client is None:
        raise _failed(client_id)
    # the header's parts are form-encoded (RFC 6749 §2.3.1), which many clients forget: their secret is taken as it stands
    return _proven(client, (unquote_plus(secret), secret), "client_secret_basic")


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


def _failed(client_id: str) -> OAuthError:
    """One sentence for every way to fail; 401 and the header as RFC 6749 §5.2 asks."""
    message = "The client is not known or did not prove itself."
    return OAuthError("invalid_client", "client_authentication", message, status=401, scheme="Basic", client_id=client_id[:128])
