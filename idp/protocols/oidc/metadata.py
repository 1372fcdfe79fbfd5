"""What clients read of us: the discovery document (OpenID Connect Discovery 1.0 §3, RFC 8414) and the JWK set."""

from __future__ import annotations

import json
from typing import Any

from idp.keys import KeyRing, SigningKey
from idp.protocols.oidc.claim import CLAIM_OF
from idp.sso.session import PASSWORD

SCOPES = ("openid", "profile", "email", "phone")
_PROTOCOL_CLAIMS = ("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "sid", "acr", "amr")
_WITH_SECRET = ["client_secret_basic", "client_secret_post"]


def metadata_of(issuer: str) -> dict[str, Any]:
    """Only what is there is named: no refresh tokens, no implicit flow, no request objects."""
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "end_session_endpoint": f"{issuer}/oauth/logout",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "scopes_supported": list(SCOPES),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query", "form_post"],
        "grant_types_supported": ["authorization_code"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [*_WITH_SECRET, "none"],
        "revocation_endpoint_auth_methods_supported": [*_WITH_SECRET, "none"],
        "introspection_endpoint_auth_methods_supported": _WITH_SECRET,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "acr_values_supported": [PASSWORD],
        "prompt_values_supported": ["none", "login", "consent", "select_account"],
        "display_values_supported": ["page"],
        "claim_types_supported": ["normal"],
        "claims_supported": [*_PROTOCOL_CLAIMS, *CLAIM_OF.values()],
        "claims_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
    }


class Documents:
    """Both documents as bytes."""

    def __init__(self, issuer: str, keys: KeyRing) -> None:
        self._keys = keys
        self.discovery = json.dumps(metadata_of(issuer), indent=2).encode()
        self._jwks: tuple[tuple[SigningKey, ...], bytes] = ((), b'{"keys": []}')

    def jwks(self) -> bytes:
        """The published keys; written anew only when the ring has changed."""
        ring, document = self._jwks
        keys = self._keys.keys()
        if ring is not keys:
            document = json.dumps(self._keys.jwks(), indent=2).encode()
            self._jwks = (keys, document)
        return document
