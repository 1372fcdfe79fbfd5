"""What clients read of us: the discovery document (OpenID Connect Discovery 1.0 §3, RFC 8414) and the JWK set."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, get_args

from idp.keys import KeyRing, SigningKey
from idp.protocols.oidc.claim import CLAIM_OF
from idp.protocols.oidc.encryption import CONTENT_ALGORITHMS, KEY_ALGORITHMS
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.grant.settings import GrantName
from idp.protocols.oidc.jose import SIGNATURES, STRONG
from idp.protocols.oidc.signing import algorithms_of
from idp.sso.client import Clients, Snapshot
from idp.sso.session import PASSWORD

SCOPES = ("openid", "profile", "email", "phone", "offline_access")
_PROTOCOL_CLAIMS = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "sid", "acr", "amr")
_WITH_SECRET = ("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt")
_WITH_CERTIFICATE = ("tls_client_auth", "self_signed_tls_client_auth")


@dataclass(frozen=True)
class Offer:
    """What depends on the installation: its keys and clients, a proxy that tells of certificates, registration by clients themselves."""

    algorithms: tuple[str, ...] = ("RS256", "PS256")
    response_types: tuple[str, ...] = ("code",)
    certificates: bool = False
    registration: bool = False
    session_management: bool = False


def metadata_of(issuer: str, offer: Offer = Offer()) -> dict[str, Any]:
    """Only what is there is named."""
    proving = [*_WITH_SECRET, *(_WITH_CERTIFICATE if offer.certificates else ())]
    signing = list(offer.algorithms)
    told = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "end_session_endpoint": f"{issuer}/oauth/logout",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "scopes_supported": list(SCOPES),
        "response_types_supported": list(offer.response_types),
        "response_modes_supported": ["query", "form_post", "fragment", "jwt", "query.jwt", "form_post.jwt", "fragment.jwt"],
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "require_pushed_authorization_requests": False,
        "grant_types_supported": [*get_args(GrantName), *(["implicit"] if offer.response_types != ("code",) else [])],
        "device_authorization_endpoint": f"{issuer}/oauth/device",
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*proving, "none"],
        "token_endpoint_auth_signing_alg_values_supported": [*SIGNATURES, "HS256"],
        "revocation_endpoint_auth_methods_supported": [*proving, "none"],
        "introspection_endpoint_auth_methods_supported": proving,
        "dpop_signing_alg_values_supported": [*STRONG, "RS256"],
        "tls_client_certificate_bound_access_tokens": offer.certificates,
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": signing,
        "id_token_encryption_alg_values_supported": list(KEY_ALGORITHMS),
        "id_token_encryption_enc_values_supported": list(CONTENT_ALGORITHMS),
        "userinfo_signing_alg_values_supported": signing,
        "userinfo_encryption_alg_values_supported": list(KEY_ALGORITHMS),
        "userinfo_encryption_enc_values_supported": list(CONTENT_ALGORITHMS),
        "authorization_signing_alg_values_supported": signing,
        "introspection_signing_alg_values_supported": signing,
        "request_object_signing_alg_values_supported": list(SIGNATURES),
        "acr_values_supported": [PASSWORD],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page"],
        "claim_types_supported": ["normal"],
        "claims_supported": [*_PROTOCOL_CLAIMS, *CLAIM_OF.values()],
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
    }
    told |= {"registration_endpoint": f"{issuer}/oauth/register"} if offer.registration else {}
    return told | ({"check_session_iframe": f"{issuer}/oauth/session"} if offer.session_management else {})


_Written = tuple[tuple[SigningKey, ...] | None, Snapshot | None, bytes, bytes]


class Documents:
    """Both documents as bytes, written anew only when the key ring or the clients have changed."""

    def __init__(self, issuer: str, keys: KeyRing, clients: Clients, offer: Offer = Offer()) -> None:
        self._issuer = issuer
        self._keys = keys
        self._clients = clients
        self._offer = offer
        self._written: _Written = (None, None, b"", b"")

    @property
    def discovery(self) -> bytes:
        return self._of_now()[2]

    def jwks(self) -> bytes:
        return self._of_now()[3]

    def _of_now(self) -> _Written:
        written, keys, snapshot = self._written, self._keys.keys(), self._clients.snapshot()
        if written[0] is not keys or written[1] is not snapshot:
            clients = [settings_of(client) for client in snapshot.of("oidc")]
            types = {kind for settings in clients for kind in settings.response_types} | {"code"}
            offer = replace(
                self._offer,
                algorithms=tuple(algorithms_of(self._keys)),
                response_types=tuple(sorted(types)),
                session_management=any(settings.session_management for settings in clients),
            )
            told = json.dumps(metadata_of(self._issuer, offer), indent=2).encode()
            written = self._written = (keys, snapshot, told, json.dumps(self._keys.jwks(), indent=2).encode())
        return written
