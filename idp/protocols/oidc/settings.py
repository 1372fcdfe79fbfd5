"""[clients.ID.oidc]: one OpenID Connect or OAuth 2.0 client, and how a client's own registration document becomes that."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from idp.protocols.oidc.address import client_url, https, is_same_but_port, origin_of
from idp.protocols.oidc.grant.settings import GrantName, TokenPolicy
from idp.settings import Settings
from idp.sso.settings import ReleaseSetting

_BY_SECRET = ("any_secret", "client_secret_basic", "client_secret_post", "client_secret_jwt")
BY_CERTIFICATE = ("tls_client_auth", "self_signed_tls_client_auth")
_FAPI_PROOFS = ("private_key_jwt", *BY_CERTIFICATE)
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,64}")  # RFC 6749 §3.3


def _scope(value: str) -> str:
    if not _SCOPE.fullmatch(value):
        raise ValueError("a scope is a word of visible ASCII characters without quotes or backslash")
    return value


ClientUrl = Annotated[str, AfterValidator(client_url)]
InitiateUrl = Annotated[str, AfterValidator(client_url), AfterValidator(https)]
ResponseType = Literal["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"]
SignatureName = Literal["RS256", "PS256", "ES256", "EdDSA"]
KeyAgreement = Literal["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"]
Encryption = Literal["A128GCM", "A256GCM", "A128CBC-HS256"]


class OidcSettings(Settings):
    """[clients.ID.oidc]: an OpenID Connect or plain OAuth 2.0 client."""

    redirect_uris: tuple[ClientUrl, ...] = ()
    """Where answers may go. Compared character by character. Only a client without the grant authorization_code has none."""
    public: bool = False
    """True for an application that cannot keep a secret: it runs in the browser or on the member's device."""
    native: bool = False
    """True for an application on the member's device: the port of its http://127.0.0.1, [::1] or localhost redirect URI may vary."""
    profile: Literal["default", "fapi2"] = "default"
    """"fapi2" holds the client to the FAPI 2.0 Security Profile."""
    require_pkce: bool = True
    """False admits a client with a secret that knows no PKCE. A public client always needs it."""
    token_endpoint_auth_method: Literal[
        "any_secret",
        "client_secret_basic",
        "client_secret_post",
        "client_secret_jwt",
        "private_key_jwt",
        "tls_client_auth",
        "self_signed_tls_client_auth",
    ] = "any_secret"  # noqa: S105
    """How the client's server shows who it is. "any_secret" takes its secret in the header or in the body: vendors differ, and seldom say
    which. "private_key_jwt" signs with a key of the client's own (jwks or jwks_uri). The two with tls want server.certificate_header."""
    token_endpoint_auth_signing_alg: Literal["RS256", "PS256", "ES256", "EdDSA", "Ed25519"] | None = None
    """The one algorithm with which it signs its assertions; any of these, if it is not given."""
    jwks: dict[str, Any] | None = None
    """The client's public keys, as a JWK set."""
    jwks_uri: ClientUrl | None = None
    """Where the client publishes its public keys; they are fetched when they are needed."""
    tls_client_auth_subject_dn: str = ""
    """For tls_client_auth: the subject of its certificate, as RFC 4514 writes it."""
    tls_client_auth_san_dns: str = ""
    """For tls_client_auth: a host name in its certificate, in place of the subject."""
    post_logout_redirect_uris: tuple[ClientUrl, ...] = ()
    """Where the browser may be sent after a logout that this client began. Compared character by character."""
    backchannel_logout_uri: ClientUrl | None = None
    """Where our server posts a logout token when the session ends."""
    frontchannel_logout_uri: ClientUrl | None = None
    """What our logout page shows in a frame when the session ends. Used where there is no back channel."""
    session_management: bool = False
    """True lets pages of the client watch for a sign-out in a hidden frame of ours (Session Management 1.0). Only for old applications
    that know nothing better: browsers that withhold cookies from frames tell them nothing."""
    scopes: tuple[Annotated[str, AfterValidator(_scope)], ...] = ("openid", "profile", "email", "phone")
    """Scopes that this client may ask for; others that it asks for are not granted."""
    grant_types: Annotated[tuple[GrantName, ...], Field(min_length=1)] = ("authorization_code",)
    """How it may get tokens: authorization_code, refresh_token, client_credentials, urn:ietf:params:oauth:grant-type:device_code,
    urn:ietf:params:oauth:grant-type:token-exchange."""
    tokens: TokenPolicy = TokenPolicy()
    """Which tokens it gets, and how long they live."""
    member_data: dict[Annotated[str, AfterValidator(_scope)], ReleaseSetting] = Field(default_factory=dict)
    """What a token of each of these scopes reads at /oauth/me of its own member: names as in `release`, such as
    "iqa:committees" = ["committees"]."""
    response_types: Annotated[tuple[ResponseType, ...], Field(min_length=1)] = ("code",)
    """What may come through the browser. Besides "code" there are "id_token", "id_token token", "code id_token", "code token" and
    "code id_token token": for old applications that know nothing else (they want the scope openid)."""
    response_modes: Annotated[
        tuple[Literal["query", "form_post", "fragment", "query.jwt", "form_post.jwt", "fragment.jwt"], ...], Field(min_length=1)
    ] = ("query", "form_post")
    """How answers may come back; the first is used when a request does not say. Those with .jwt are signed (JARM)."""
    require_pushed_authorization_requests: bool = False
    """True refuses requests that were not pushed to /oauth/par first (RFC 9126)."""
    require_signed_request_object: bool = False
    """True refuses requests that are not signed with a key of the client (RFC 9101)."""
    request_object_signing_alg: Literal["RS256", "PS256", "ES256", "EdDSA", "Ed25519"] | None = None
    """The one algorithm with which it signs its requests; any of these, if it is not given."""
    request_uris: tuple[ClientUrl, ...] = ()
    """Addresses at which our server may fetch signed requests of this client, compared character by character."""
    dpop_bound_access_tokens: bool = False
    """True binds its tokens to a key of its own, by DPoP (RFC 9449). Without it they are bound whenever the client sends a proof."""
    dpop_nonce: bool = True
    """Whether its DPoP proofs must name a nonce of ours. False is for software that knows none."""
    tls_client_certificate_bound_access_tokens: bool = False
    """True binds its tokens to its TLS certificate (RFC 8705); wants server.certificate_header."""
    id_token_signed_response_alg: SignatureName = "RS256"  # noqa: S105
    """How its ID tokens, logout tokens and JWT access tokens are signed. ES256 and EdDSA need a key of that kind:
    `idp keys rotate oidc --kind p-256`."""
    userinfo_signed_response_alg: SignatureName | None = None
    """How its userinfo is signed; plain JSON, if it is not given."""
    authorization_signed_response_alg: SignatureName = "RS256"
    """How its answers are signed in the response modes with .jwt."""
    introspection_signed_response_alg: SignatureName | None = None
    """How introspection is signed where it asks for that (RFC 9701); as its ID tokens are, if it is not given."""
    id_token_encrypted_response_alg: KeyAgreement | None = None
    """Encrypts its ID tokens to a key of its own (jwks or jwks_uri), beside the signature."""
    id_token_encrypted_response_enc: Encryption = "A128CBC-HS256"  # noqa: S105
    """With what the content of its ID tokens is encrypted."""
    userinfo_encrypted_response_alg: KeyAgreement | None = None
    """Encrypts its userinfo in the same way."""
    userinfo_encrypted_response_enc: Encryption = "A128CBC-HS256"
    """With what the content of its userinfo is encrypted."""
    subject_type: Literal["public", "pairwise"] = "public"
    """"public": every client sees the same `sub`, the iMIS ID. "pairwise": only clients of the same sector see the same one."""
    sector_identifier_uri: ClientUrl | None = None
    """Its host is the sector of pairwise subjects (OpenID Connect Core 8.1); that of the redirect URIs, if it is not given."""
    default_max_age: Annotated[int, Field(ge=0)] | None = None
    """How many seconds old a sign-in may be where a request does not say (max_age)."""
    policy_uri: ClientUrl | None = None
    """Its privacy policy, linked where members are asked what to share."""
    tos_uri: ClientUrl | None = None
    """Its terms of service, linked in the same place."""
    initiate_login_uri: InitiateUrl | None = None
    """Where this client begins a sign-in when it is sent a member (OpenID Connect Core 4)."""

    @model_validator(mode="after")
    def _fits_together(self) -> OidcSettings:
        if self.public and not self.require_pkce:
            raise ValueError("require_pkce = false is for clients with a secret: a public client always needs PKCE")
        if "authorization_code" in self.grant_types and not self.redirect_uris:
            raise ValueError("redirect_uris is missing or empty: at least one is needed")
        if "client_credentials" in self.grant_types and self.public:
            raise ValueError("the grant client_credentials is for clients with a secret: a public client proves nothing (RFC 6749 4.4)")
        if self.subject_type == "pairwise" and not (self.redirect_uris or self.sector_identifier_uri):
            raise ValueError("pairwise subjects need a redirect URI or a sector_identifier_uri (Core 8.1)")
        if self.binds_tokens and any("token" in kind.split() for kind in self.response_types):
            raise ValueError("a token that comes through the browser cannot be bound to a key: take it out of response_types (RFC 9449 5)")
        origins = {origin_of(uri) for uri in self.redirect_uris}
        if self.frontchannel_logout_uri and origin_of(self.frontchannel_logout_uri) not in origins:
            raise ValueError("frontchannel_logout_uri must have the scheme, host and port of a redirect URI (Front-Channel Logout 2)")
        if (
            self.subject_type == "pairwise"
            and not self.sector_identifier_uri
            and len({urlsplit(uri).hostname for uri in self.redirect_uris}) > 1
        ):
            raise ValueError("pairwise subjects with redirect URIs of several hosts need a sector_identifier_uri (Core 8.1)")
        self._has_its_keys()
        if self.fapi and (problem := self._breaks_fapi()):
            raise ValueError(f'profile = "fapi2" {problem} (FAPI 2.0 Security Profile 5.3, 5.4)')
        return self

    def _breaks_fapi(self) -> str:
        """The first rule of the profile that these settings break; what a request must keep is checked with the request."""
        signed = (
            self.id_token_signed_response_alg,
            self.authorization_signed_response_alg,
            self.userinfo_signed_response_alg,
            self.introspection_signed_response_alg,
        )
        rules = (
            (self.token_endpoint_auth_method in _FAPI_PROOFS, "wants token_endpoint_auth_method private_key_jwt or one with tls"),
            (self.binds_tokens, "wants tokens that are bound to a key"),
            (self.require_pkce, "wants require_pkce"),
            (self.response_types == ("code",), 'wants response_types = ["code"]'),
            (not self.native and all(uri.startswith("https://") for uri in self.redirect_uris), "wants redirect URIs with https://"),
            ("RS256" not in signed, "wants PS256, ES256 or EdDSA for all that is signed for the client"),
            # §5.3.2.1: no rotation "except in extraordinary circumstances": the tokens are bound to the client and to its key
            ("refresh_token" not in self.grant_types or not self.tokens.rotate, "wants tokens.rotate = false"),
        )
        return next((problem for keeps, problem in rules if not keeps), "")

    def _has_its_keys(self) -> None:
        if self.jwks is not None and self.jwks_uri:
            raise ValueError("give jwks or jwks_uri, not both (RFC 7591 2)")
        if self.require_signed_request_object and self.jwks is None and not self.jwks_uri:
            raise ValueError("require_signed_request_object needs the client's public keys: jwks or jwks_uri")
        if (self.id_token_encrypted_response_alg or self.userinfo_encrypted_response_alg) and self.jwks is None and not self.jwks_uri:
            raise ValueError("encryption needs the client's public keys: jwks or jwks_uri")
        method = self.token_endpoint_auth_method
        if method in ("private_key_jwt", "self_signed_tls_client_auth") and self.jwks is None and not self.jwks_uri:
            raise ValueError(f"token_endpoint_auth_method = {method} needs the client's public keys: jwks or jwks_uri")
        if method == "tls_client_auth" and bool(self.tls_client_auth_subject_dn) == bool(self.tls_client_auth_san_dns):
            raise ValueError("tls_client_auth needs one of tls_client_auth_subject_dn and tls_client_auth_san_dns")
        if self.public and method not in ("any_secret", "client_secret_basic", "client_secret_post"):
            raise ValueError(f"a public client proves nothing: it has no token_endpoint_auth_method = {method}")

    @property
    def fapi(self) -> bool:
        return self.profile == "fapi2"

    @property
    def must_push(self) -> bool:
        return self.require_pushed_authorization_requests or self.fapi

    @property
    def sector(self) -> str:
        """Of pairwise subjects (Core §8.1): a host of the registration, never of a request (S39)."""
        return urlsplit(self.sector_identifier_uri or self.redirect_uris[0]).hostname or ""

    @property
    def needs_secret(self) -> bool:
        """Whether it shows who it is by a secret that both of us know."""
        return not self.public and self.token_endpoint_auth_method in _BY_SECRET

    @property
    def needs_plain_secret(self) -> bool:
        """Whether it proves itself by a MAC under the secret, of which a SHA-256 is not enough."""
        return self.token_endpoint_auth_method == "client_secret_jwt"  # noqa: S105

    @property
    def binds_tokens(self) -> bool:
        """Whether all its tokens are bound to a key of its own."""
        return self.dpop_bound_access_tokens or self.tls_client_certificate_bound_access_tokens

    @property
    def needs_certificate(self) -> bool:
        """Whether it proves itself, or holds its tokens, by the TLS certificate of its connection."""
        return self.token_endpoint_auth_method in BY_CERTIFICATE or self.tls_client_certificate_bound_access_tokens

    @property
    def allowed_scopes(self) -> tuple[str, ...]:
        """Every scope that a member's sign-on may give it."""
        return tuple(dict.fromkeys((*self.scopes, *self.member_data)))

    @property
    def start_url(self) -> str:
        """The home of the application, as far as its redirect URIs tell."""
        return f"{origin_of(self.redirect_uris[0])}/" if self.redirect_uris and not self.native else ""

    def allows_redirect(self, uri: str) -> bool:
        """S1: the exact text; for a native client the loopback port may differ (RFC 8252 §7.3)."""
        if uri in self.redirect_uris:
            return True
        return self.native and any(is_same_but_port(uri, registered) for registered in self.redirect_uris)

    def is_told_of_logout(self) -> bool:
        return bool(self.backchannel_logout_uri or self.frontchannel_logout_uri)


def _digests(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(re.fullmatch("[0-9a-f]{64}", digest) for digest in value):
        raise ValueError("a SHA-256 is 64 hexadecimal digits in lower case")
    return value


class OidcServerSettings(Settings):
    """[oidc]: ourselves as an OpenID Connect provider."""

    registration: bool = False
    """Whether applications may register themselves at /oauth/register (RFC 7591). They need an initial access token from you."""
    registration_tokens_sha256: Annotated[tuple[str, ...], AfterValidator(_digests)] = ()
    """SHA-256 of the initial access tokens, in hex. Give out long random ones, one for each vendor, and take them out when it is done."""
    registration_pkce: bool = True
    """Whether applications that registered themselves must use PKCE. The conformance suite's Dynamic plan, for one, does not."""

    @model_validator(mode="after")
    def _has_tokens(self) -> OidcServerSettings:
        if self.registration and not self.registration_tokens_sha256:
            raise ValueError("registration = true needs registration_tokens_sha256: nobody registers without a token of yours")
        return self
