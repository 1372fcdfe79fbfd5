"""The gate of the authorization endpoint: rules that a request must keep before pyop reads it.

First the client and its redirect URI: until both are good, an error can only be our own page (S1, S2). After that every
broken rule is an OAuthRefusal, which the client is told. The rules stand in a list; each is one function.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from idp.errors import BadRequest
from idp.protocols.oidc.error import OAuthRefusal
from idp.protocols.oidc.parameter import Parameters
from idp.protocols.oidc.settings import OidcSettings
from idp.sso.client import Client, Clients

_MOST_BYTES = 2048  # of state and of nonce (S8)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # RFC 7636 §4.2: a SHA-256 in base64url
_THUMBPRINT = _CHALLENGE  # RFC 9449 §10: a SHA-256 in base64url, too
_SECONDS = re.compile(r"[0-9]+")
_PROMPTS = {"none", "login", "consent", "select_account"}


def settings_of(client: Client) -> OidcSettings:
    settings = client.settings
    assert isinstance(settings, OidcSettings)
    return settings


def oidc_client(clients: Clients, client_id: str) -> Client | None:
    """The client of that id, if it speaks this protocol."""
    client = clients.get(client_id)
    return client if client is not None and client.protocol == "oidc" else None


def known_client(clients: Clients, parameters: Parameters) -> Client:
    """Who asks. Raises BadRequest: there is nobody to tell."""
    client_id = _one(parameters, "client_id")
    client = oidc_client(clients, client_id)
    if client is None:
        raise BadRequest("oidc.client_unknown", "The application that sent you here is not known here.", received=client_id)
    return client


def registered_redirect(client: Client, parameters: Parameters) -> str:
    """Where the answer may go (S1). Raises BadRequest: nothing is sent to an address that the client did not register (S2)."""
    uri = _one(parameters, "redirect_uri", client_id=client.id)
    if not settings_of(client).allows_redirect(uri):
        raise BadRequest(
            "oidc.redirect_uri_unknown",
            "The application asked to return to an address that is not registered for it.",
            expected=" ".join(settings_of(client).redirect_uris),
            received=uri,
            client_id=client.id,
        )
    return uri


def _one(parameters: Parameters, name: str, *, client_id: str = "") -> str:
    if name in parameters.repeated:
        message = f"The application's request has the parameter {name} more than once."
        raise BadRequest(f"oidc.{name}_repeated", message, client_id=client_id)
    if not parameters.get(name):
        raise BadRequest(f"oidc.{name}_missing", f"The application's request lacks the parameter {name}.", client_id=client_id)
    return parameters.get(name)


def echoed_state(parameters: Parameters) -> str:
    """The `state` that goes back unchanged with every answer; none that would break the rules goes back at all."""
    state = parameters.get("state")
    return "" if "state" in parameters.repeated or not _is_fit(state) else state


def response_mode(client: Client, parameters: Parameters) -> str:
    """The asked mode if the client may have it, otherwise its first one, which also carries the refusal (S7)."""
    modes = settings_of(client).response_modes
    asked = _asked_mode(parameters)
    if is_code_alone(parameters.get("response_type")):
        return next((mode for mode in modes if mode == asked), modes[0])
    # a query is seen by servers and their logs: tokens never go there (OAuth 2.0 Multiple Response Types §2.1)
    return asked if asked in modes and not asked.startswith("query") else "fragment"


def _asked_mode(parameters: Parameters) -> str:
    """`jwt` is the signed form of what the response type has by default (JARM §2.3.4)."""
    mode = parameters.get("response_mode")
    if mode != "jwt":
        return mode
    return "query.jwt" if is_code_alone(parameters.get("response_type")) else "fragment.jwt"


def is_code_alone(kind: str) -> bool:
    """Whether nothing but a code would come through the browser."""
    return not set(kind.split()) & {"token", "id_token"}


def check_rules(client: Client, parameters: Parameters) -> None:
    """Raises OAuthRefusal with the first rule that is broken."""
    asked = _Asked(settings_of(client), parameters)
    for rule in _RULES:
        rule(asked)


def check_way(client: Client, *, is_pushed: bool, is_signed: bool) -> None:
    """That the request came by the way that this client's requests must come by. Raises OAuthRefusal."""
    settings = settings_of(client)
    if settings.must_push and not is_pushed:
        message = "This application must push its requests first (RFC 9126)."
        raise OAuthRefusal("invalid_request", "not_pushed", message, expected="request_uri of /oauth/par")
    if settings.require_signed_request_object and not is_signed:
        raise OAuthRefusal("invalid_request", "not_signed", "This application must sign its requests (RFC 9101).", expected="request")


def granted_resources(client: Client, parameters: Parameters) -> list[str]:
    """The resources that the tokens are for (RFC 8707 §2.1); of a client that has none the parameter is ignored. Raises OAuthRefusal."""
    asked, allowed = parameters.every("resource"), settings_of(client).tokens.resources
    if not allowed:
        return []
    if unknown := set(asked) - set(allowed):
        message = "This application may not ask for tokens for this resource."
        raise OAuthRefusal("invalid_target", "resource_unknown", message, expected=" ".join(allowed), received=min(unknown))
    return list(asked)


def granted_scopes(client: Client, parameters: Parameters) -> list[str]:
    """What was asked for, less what this client may not have (S25); plain OAuth may ask for nothing and gets all. Raises OAuthRefusal."""
    allowed = settings_of(client).allowed_scopes
    asked = parameters.get("scope").split() or [each for each in settings_of(client).scopes if each not in ("openid", "offline_access")]
    granted = [scope for scope in dict.fromkeys(asked) if scope in allowed]
    if asked and not granted:
        raise OAuthRefusal("invalid_scope", "scope_unknown", "None of the requested scopes may be granted.", expected=" ".join(allowed))
    return granted


def requested_max_age(parameters: Parameters) -> int | None:
    """Seconds; None when the request does not say."""
    text = parameters.get("max_age")
    return min(int(text[:12]), 10**9) if text else None


@dataclass(frozen=True)
class _Asked:
    """What a rule looks at."""

    settings: OidcSettings
    parameters: Parameters

    def get(self, name: str) -> str:
        return self.parameters.get(name)


def _nothing_repeated(asked: _Asked) -> None:
    if asked.parameters.repeated:
        name = min(asked.parameters.repeated)
        raise OAuthRefusal("invalid_request", "parameter_repeated", "A parameter came more than once (RFC 6749 3.1).", received=name)


def _no_request_object(asked: _Asked) -> None:
    """By now all of these were read and replaced (S10); `registration` is for providers that know no clients beforehand (Core §7)."""
    for name in ("request", "request_uri", "registration"):
        if asked.get(name):
            raise OAuthRefusal(f"{name}_not_supported", f"{name}_not_supported", f"The parameter {name} is not supported here.")


def _type_is_allowed(asked: _Asked) -> None:
    """S5: codes, unless the client's settings name more."""
    kind, allowed = asked.get("response_type"), asked.settings.response_types
    if not kind:
        raise OAuthRefusal("invalid_request", "response_type_missing", "The parameter response_type is missing.", expected=allowed[0])
    if sorted(kind.split()) not in [sorted(each.split()) for each in allowed]:
        message = "This response_type is not offered to the application."
        raise OAuthRefusal("unsupported_response_type", "response_type", message, expected=" or ".join(allowed), received=kind)


def _nonce_where_an_id_token_comes(asked: _Asked) -> None:
    """Core §3.2.2.1, §3.3.2.11: nothing else ties it to this browser."""
    if "id_token" in asked.get("response_type").split() and not asked.get("nonce"):
        raise OAuthRefusal("invalid_request", "nonce_missing", "An ID token through the browser needs a nonce (Core 3.2.2.1).")


def _mode_is_allowed(asked: _Asked) -> None:
    mode, modes = _asked_mode(asked.parameters), asked.settings.response_modes
    if not is_code_alone(asked.get("response_type")):
        modes = ("fragment", *(each for each in modes if not each.startswith("query")))
    if mode and mode not in modes:
        message = "This response_mode is not offered."
        raise OAuthRefusal("invalid_request", "response_mode", message, expected=" ".join(modes), received=mode)


def _texts_are_bounded(asked: _Asked) -> None:
    for name in ("state", "nonce"):
        if not _is_fit(asked.get(name)):
            raise OAuthRefusal("invalid_request", f"{name}_unfit", f"The {name} is longer than 2048 bytes or has control characters.")


def _prompt_makes_sense(asked: _Asked) -> None:
    """S9: `none` stands alone (Core §3.1.2.1)."""
    prompts = set(asked.get("prompt").split())
    if prompts - _PROMPTS or ("none" in prompts and len(prompts) > 1):
        message = "The prompt has a value that is not known, or none beside another."
        raise OAuthRefusal("invalid_request", "prompt", message, received=asked.get("prompt"))


def _max_age_is_a_number(asked: _Asked) -> None:
    text = asked.get("max_age")
    if text and not _SECONDS.fullmatch(text):
        raise OAuthRefusal("invalid_request", "max_age", "The max_age is not a number of seconds.", received=text)


def _pkce(asked: _Asked) -> None:
    """S20: S256 and nothing else; asked of everyone who is not marked otherwise."""
    challenge, method = asked.get("code_challenge"), asked.get("code_challenge_method")
    if not challenge and not method:
        if asked.settings.require_pkce and "code" in asked.get("response_type").split():
            raise OAuthRefusal("invalid_request", "pkce_missing", "PKCE is required: the request has no code_challenge (RFC 7636).")
        return
    if method != "S256":
        message = "The code_challenge_method must be S256."
        raise OAuthRefusal("invalid_request", "pkce_method", message, expected="S256", received=method or "plain")
    if not _CHALLENGE.fullmatch(challenge):
        message = "The code_challenge is not a SHA-256 in base64url."
        raise OAuthRefusal("invalid_request", "pkce_challenge", message, expected="43 characters")


def _dpop_key_is_a_thumbprint(asked: _Asked) -> None:
    if asked.get("dpop_jkt") and not _THUMBPRINT.fullmatch(asked.get("dpop_jkt")):
        message = "The dpop_jkt is not a SHA-256 in base64url."
        raise OAuthRefusal("invalid_request", "dpop_jkt_unfit", message, expected="43 characters")


def _is_fit(text: str) -> bool:
    return len(text.encode(errors="replace")) <= _MOST_BYTES and not _CONTROL.search(text)


_RULES: tuple[Callable[[_Asked], None], ...] = (
    _nothing_repeated,
    _no_request_object,
    _type_is_allowed,
    _nonce_where_an_id_token_comes,
    _mode_is_allowed,
    _texts_are_bounded,
    _prompt_makes_sense,
    _max_age_is_a_number,
    _pkce,
    _dpop_key_is_a_thumbprint,
)
