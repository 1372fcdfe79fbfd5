"""A client metadata document (RFC 7591 §2, OpenID Connect Registration §2) -> the settings of [clients.ID.oidc]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.errors import IdpError

CODE = "authorization_code"


@dataclass(frozen=True)
class Registration:
    """What a client says of itself: for [clients.ID] `name` and `url`, for [clients.ID.oidc] `settings`; `notes` on what was left out."""

    name: str = ""
    url: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class RegistrationRefused(IdpError):
    """A registration document that cannot be honoured; the cause names the member."""

    def __init__(self, member: str, message: str) -> None:
        super().__init__(f"oidc.registration.{member}", f"{member}: {message}")
        self.member = member


_LISTS = ("redirect_uris", "post_logout_redirect_uris", "request_uris", "response_types", "grant_types")
_TEXTS = (
    "authorization_signed_response_alg",
    "backchannel_logout_uri",
    "frontchannel_logout_uri",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "id_token_signed_response_alg",
    "initiate_login_uri",
    "introspection_signed_response_alg",
    "jwks_uri",
    "policy_uri",
    "request_object_signing_alg",
    "sector_identifier_uri",
    "subject_type",
    "tls_client_auth_san_dns",
    "tls_client_auth_subject_dn",
    "token_endpoint_auth_signing_alg",
    "tos_uri",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "userinfo_signed_response_alg",
)
_SWITCHES = (
    "dpop_bound_access_tokens",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "tls_client_certificate_bound_access_tokens",
)
_METHODS = (
    "none",
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
)
"""client_secret_jwt is not among them: of a secret that we gave we keep SHA-256 alone, which verifies no MAC."""
_UNSUPPORTED = ("request_object_encryption_alg", "authorization_encrypted_response_alg", "introspection_encrypted_response_alg")
"""Members that demand of us what is not there. Others that are not known are ignored (RFC 7591 §2)."""
UNDERSTOOD = frozenset({*_LISTS, *_TEXTS, *_SWITCHES, "client_name", "client_uri", "scope", "jwks", "application_type", "default_max_age"})


def read_registration(document: Mapping[str, Any]) -> Registration:
    """One client metadata document. Raises RegistrationRefused; the settings' own rules are checked when they are read."""
    if not isinstance(document, Mapping):
        raise RegistrationRefused("document", "a registration is one JSON object")
    for member in _UNSUPPORTED:
        if document.get(member):
            raise RegistrationRefused(member, "is not supported here")
    settings: dict[str, Any] = {name: _texts(document, name) for name in _LISTS if name in document}
    if not settings.get("redirect_uris"):
        raise RegistrationRefused("redirect_uris", "is missing or empty: at least one is needed")
    settings |= {name: _text(document, name) for name in _TEXTS if document.get(name)}
    settings |= {name: _switch(document, name) for name in _SWITCHES if name in document}
    settings |= _authentication(document) | _keys(document) | _default_age(document)
    _check_grants(settings)
    _check_algorithms(settings)
    if document.get("application_type") == "native":
        settings["native"] = True
    if document.get("scope"):
        settings["scopes"] = _text(document, "scope").split()
    return Registration(_text(document, "client_name"), _text(document, "client_uri"), settings)


def _check_grants(settings: dict[str, Any]) -> None:
    """A client gets codes, and may refresh; all other grants are the association's to give."""
    kinds = {frozenset(each.split()) for each in settings.get("response_types", ["code"])}
    grants = settings.get("grant_types", [CODE])
    if kinds != {frozenset({"code"})}:
        raise RegistrationRefused("response_types", "only code is supported for clients that register themselves")
    if others := set(grants) - {CODE, "refresh_token"}:
        raise RegistrationRefused("grant_types", f"{min(others)[:60]} is not supported, only {CODE} and refresh_token")
    if CODE not in grants:
        raise RegistrationRefused("grant_types", f"must have {CODE}")
    settings.pop("response_types", None)


def _check_algorithms(settings: Mapping[str, Any]) -> None:
    for member, value in settings.items():
        if member.endswith("_alg") and value == "none":
            raise RegistrationRefused(member, "unsigned tokens are not issued, and none are taken")


def _authentication(document: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7591's default is client_secret_basic; a document that does not say may mean either."""
    method = _text(document, "token_endpoint_auth_method")
    if method and method not in _METHODS:
        raise RegistrationRefused("token_endpoint_auth_method", f"{method[:60]} is not supported; there are {', '.join(_METHODS)}")
    if method in ("private_key_jwt", "self_signed_tls_client_auth") and not document.get("jwks") and not document.get("jwks_uri"):
        raise RegistrationRefused("token_endpoint_auth_method", f"{method} needs jwks or jwks_uri")
    if method == "none":
        return {"public": True}
    return {"token_endpoint_auth_method": method} if method else {}


def _keys(document: Mapping[str, Any]) -> dict[str, Any]:
    if "jwks" not in document:
        return {}
    if not isinstance(document["jwks"], dict):
        raise RegistrationRefused("jwks", "must be a JWK set")
    return {"jwks": document["jwks"]}


def _default_age(document: Mapping[str, Any]) -> dict[str, Any]:
    if "default_max_age" not in document:
        return {}
    seconds = document["default_max_age"]
    if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 0:
        raise RegistrationRefused("default_max_age", "must be a number of seconds")
    return {"default_max_age": seconds}


def _text(document: Mapping[str, Any], member: str) -> str:
    value = document.get(member, "")
    if not isinstance(value, str):
        raise RegistrationRefused(member, "must be a text")
    return value


def _switch(document: Mapping[str, Any], member: str) -> bool:
    value = document[member]
    if not isinstance(value, bool):
        raise RegistrationRefused(member, "must be true or false")
    return value


def _texts(document: Mapping[str, Any], member: str) -> list[str]:
    """A list and nothing else: a plain text in its place would be searched for parts (S3)."""
    value = document[member]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RegistrationRefused(member, "must be a list of texts")
    return value
