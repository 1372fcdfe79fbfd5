"""[clients.ID.oidc]: one OpenID Connect or OAuth 2.0 client, and how a client's own registration document becomes that."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, model_validator

from idp.errors import IdpError
from idp.settings import Settings
from idp.web.settings import is_loopback

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,64}")  # RFC 6749 §3.3
_LOOPBACK = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]|localhost))(?::[0-9]{1,5})?(/[^\s]*)?")


def _client_url(value: str) -> str:
    """S3: https, or http on this machine alone; nothing that a browser or another parser could read as something else."""
    if not value.isascii() or len(value) > 2000 or any(character <= " " or character in '\\*<>"{}|^`\x7f' for character in value):
        raise ValueError("is not a plain URL: ASCII, no spaces, no wildcard, no backslash, at most 2000 characters")
    parts = _split(value)
    if not parts.hostname or "@" in parts.netloc or "#" in value:
        raise ValueError("needs a host, and has neither a fragment nor a user name")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise ValueError("must begin with https:// (http:// is for localhost alone)")
    return value


def _split(value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        raise ValueError("is not a URL") from None
    return parts


def _scope(value: str) -> str:
    if not _SCOPE.fullmatch(value):
        raise ValueError("a scope is a word of visible ASCII characters without quotes or backslash")
    return value


def _subject_type(value: str) -> str:
    if value != "public":
        raise ValueError('only "public" is there: pairwise subject identifiers are not supported yet')
    return value


ClientUrl = Annotated[str, AfterValidator(_client_url)]


class OidcSettings(Settings):
    """[clients.ID.oidc]: an OpenID Connect or plain OAuth 2.0 client."""

    redirect_uris: Annotated[tuple[ClientUrl, ...], Field(min_length=1)]
    """Where answers may go. Compared character by character."""
    public: bool = False
    """True for an application that cannot keep a secret: it runs in the browser or on the member's device."""
    native: bool = False
    """True for an application on the member's device: the port of its http://127.0.0.1, [::1] or localhost redirect URI may vary."""
    require_pkce: bool = True
    """False admits a client with a secret that knows no PKCE. A public client always needs it."""
    token_endpoint_auth_method: Literal["any_secret", "client_secret_basic", "client_secret_post"] = "any_secret"  # noqa: S105
    """How the secret must come. "any_secret" takes it in the header or in the body: vendors differ, and seldom say which."""
    post_logout_redirect_uris: tuple[ClientUrl, ...] = ()
    """Where the browser may be sent after a logout that this client began. Compared character by character."""
    backchannel_logout_uri: ClientUrl | None = None
    """Where our server posts a logout token when the session ends."""
    frontchannel_logout_uri: ClientUrl | None = None
    """What our logout page shows in a frame when the session ends. Used where there is no back channel."""
    scopes: tuple[Annotated[str, AfterValidator(_scope)], ...] = ("openid", "profile", "email", "phone")
    """Scopes that this client may ask for; others that it asks for are not granted."""
    response_modes: Annotated[tuple[Literal["query", "form_post"], ...], Field(min_length=1)] = ("query", "form_post")
    """How answers may come back; the first is used when a request does not say."""
    subject_type: Annotated[str, AfterValidator(_subject_type)] = "public"
    """"public": every client sees the same `sub`, the iMIS ID."""
    initiate_login_uri: ClientUrl | None = None
    """Where this client begins a sign-in when it is sent a member (OpenID Connect Core 4)."""

    @model_validator(mode="after")
    def _fits_together(self) -> OidcSettings:
        if self.public and not self.require_pkce:
            raise ValueError("require_pkce = false is for clients with a secret: a public client always needs PKCE")
        origins = {origin_of(uri) for uri in self.redirect_uris}
        if self.frontchannel_logout_uri and origin_of(self.frontchannel_logout_uri) not in origins:
            raise ValueError("frontchannel_logout_uri must have the scheme, host and port of a redirect URI (Front-Channel Logout 2)")
        return self

    def allows_redirect(self, uri: str) -> bool:
        """S1: the exact text; for a native client the loopback port may differ (RFC 8252 §7.3)."""
        if uri in self.redirect_uris:
            return True
        return self.native and any(_is_same_but_port(uri, registered) for registered in self.redirect_uris)

    def is_told_of_logout(self) -> bool:
        return bool(self.backchannel_logout_uri or self.frontchannel_logout_uri)


def origin_of(uri: str) -> str:
    parts = urlsplit(uri)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _is_same_but_port(uri: str, registered: str) -> bool:
    asked, known = _LOOPBACK.fullmatch(uri), _LOOPBACK.fullmatch(registered)
    return asked is not None and known is not None and asked.groups() == known.groups()


@dataclass(frozen=True)
class Registration:
    """What a client says of itself: for [clients.ID] `name` and `url`, for [clients.ID.oidc] `settings`; `notes` on what was left out."""

    name: str = ""
    url: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


_LISTS = ("redirect_uris", "post_logout_redirect_uris")
_TEXTS = ("backchannel_logout_uri", "frontchannel_logout_uri", "initiate_login_uri", "subject_type")
_METHODS = ("none", "client_secret_basic", "client_secret_post")
_ONLY: Mapping[str, object] = {
    "response_types": ["code"],
    "subject_type": "public",
    "id_token_signed_response_alg": "RS256",
}
"""Members that may have this value and no other."""
_UNSUPPORTED = (
    "authorization_signed_response_alg",
    "default_max_age",
    "dpop_bound_access_tokens",
    "id_token_encrypted_response_alg",
    "request_object_encryption_alg",
    "request_object_signing_alg",
    "request_uris",
    "require_pushed_authorization_requests",
    "require_signed_request_object",
    "tls_client_certificate_bound_access_tokens",
    "userinfo_encrypted_response_alg",
    "userinfo_signed_response_alg",
)
"""Members that demand of us what is not there. Others that are not known are ignored (RFC 7591 §2)."""


class RegistrationRefused(IdpError):
    """A registration document that cannot be honoured; the cause names the member."""

    def __init__(self, member: str, message: str) -> None:
        super().__init__(f"oidc.registration.{member}", f"{member}: {message}")


def read_registration(document: Mapping[str, Any]) -> Registration:
    """One client metadata document (RFC 7591 §2). Raises RegistrationRefused; the settings' own rules are checked when they are read."""
    if not isinstance(document, Mapping):
        raise RegistrationRefused("document", "a registration is one JSON object")
    _refuse_unsupported(document)
    settings: dict[str, Any] = {name: _texts(document, name) for name in _LISTS if name in document}
    if not settings.get("redirect_uris"):
        raise RegistrationRefused("redirect_uris", "is missing or empty: at least one is needed")
    settings |= {name: _text(document, name) for name in _TEXTS if document.get(name)}
    settings |= _authentication(document)
    if document.get("application_type") == "native":
        settings["native"] = True
    notes = []
    if "refresh_token" in _grants(document):
        notes.append("grant_types: refresh tokens are not issued; the client gets access tokens of ten minutes")
    if document.get("scope"):
        asked = _text(document, "scope").split()
        settings["scopes"] = [scope for scope in asked if scope != "offline_access"]
        notes += ["scope: offline_access is not granted"] if "offline_access" in asked else []
    return Registration(_text(document, "client_name"), _text(document, "client_uri"), settings, tuple(notes))


def _refuse_unsupported(document: Mapping[str, Any]) -> None:
    for member, value in _ONLY.items():
        if document.get(member, value) != value:
            raise RegistrationRefused(member, f"only {value} is supported")
    for member in _UNSUPPORTED:
        if document.get(member):
            raise RegistrationRefused(member, "is not supported here")
    if others := set(_grants(document)) - {"authorization_code", "refresh_token"}:
        raise RegistrationRefused("grant_types", f"{sorted(others)[0][:60]} is not supported, only authorization_code")
    if "authorization_code" not in _grants(document):
        raise RegistrationRefused("grant_types", "must have authorization_code")


def _grants(document: Mapping[str, Any]) -> list[str]:
    return _texts(document, "grant_types") if "grant_types" in document else ["authorization_code"]


def _authentication(document: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7591's default is client_secret_basic; a document that does not say may mean either."""
    method = _text(document, "token_endpoint_auth_method")
    if method and method not in _METHODS:
        raise RegistrationRefused("token_endpoint_auth_method", f"{method[:60]} is not supported; there are {', '.join(_METHODS)}")
    if method == "none":
        return {"public": True}
    return {"token_endpoint_auth_method": method} if method else {}


def _text(document: Mapping[str, Any], member: str) -> str:
    value = document.get(member, "")
    if not isinstance(value, str):
        raise RegistrationRefused(member, "must be a text")
    return value


def _texts(document: Mapping[str, Any], member: str) -> list[str]:
    """A list and nothing else: a plain text in its place would be searched for parts (S3)."""
    value = document[member]
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise RegistrationRefused(member, "must be a list of texts")
    return value
