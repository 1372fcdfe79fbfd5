"""What leaves us signed, and encrypted where a client asks for that: ID tokens, userinfo, answers of the authorization endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from idp.keys import EdwardsKey, EllipticKey, KeyProblem, KeyRing, SigningKey
from idp.protocols.oidc.client_key import ClientKeys
from idp.protocols.oidc.encryption import encrypted
from idp.protocols.oidc.gate import settings_of
from idp.sso.client import Client

Algorithm = Literal["RS256", "PS256", "ES256", "EdDSA"]
_KINDS: Mapping[str, str] = {"ES256": "p-256", "EdDSA": "ed25519"}
_ALGORITHM_OF: Mapping[tuple[type, int], str] = {(EllipticKey, 256): "ES256", (EdwardsKey, 256): "EdDSA"}


class Signer:
    """Signs with the algorithm that each client registered; RS256 where it did not say. Keys are parsed once, by the ring."""

    def __init__(self, keys: KeyRing, client_keys: ClientKeys) -> None:
        self._keys = keys
        self._client_keys = client_keys

    def for_id_token(self, client: Client, claims: Mapping[str, Any]) -> str:
        settings = settings_of(client)
        token = self.sign(settings.id_token_signed_response_alg, claims, type="JWT")
        return self._sealed(client, token, settings.id_token_encrypted_response_alg, settings.id_token_encrypted_response_enc)

    def for_userinfo(self, client: Client, claims: Mapping[str, Any]) -> str:
        """OpenID Connect Core §5.3.2; empty where the client takes plain JSON."""
        settings = settings_of(client)
        algorithm = settings.userinfo_signed_response_alg or (settings.userinfo_encrypted_response_alg and "RS256")
        if not algorithm:
            return ""
        token = self.sign(algorithm, claims, type="userinfo+jwt")
        return self._sealed(client, token, settings.userinfo_encrypted_response_alg, settings.userinfo_encrypted_response_enc)

    def for_response(self, client: Client, claims: Mapping[str, Any]) -> str:
        """An answer of the authorization endpoint (JARM). Its `typ` keeps it from passing for an ID token (S37)."""
        return self.sign(settings_of(client).authorization_signed_response_alg, claims, type="oauth-authz-resp+jwt")

    def sign(self, algorithm: str, claims: Mapping[str, Any], *, type: str) -> str:
        """A JWS. Raises KeyProblem when the operator has made no key for the algorithm."""
        if algorithm == "RS256":
            return self._keys.current.jwt(claims, type=type)
        if algorithm == "PS256":
            return self._keys.current.jwt_pss(claims, type=type)
        key = current_key(self._keys, algorithm)
        if key is None:
            kind = _KINDS[algorithm]
            raise KeyProblem(
                f"No active key signs {algorithm}. Run: idp keys rotate oidc --kind {kind} --publish, then the same with --activate"
            )
        return key.jwt(claims, type=type)

    def _sealed(self, client: Client, token: str, algorithm: str | None, encryption: str) -> str:
        return encrypted(token, self._client_keys.all(client), algorithm, encryption) if algorithm else token


def current_key(keys: KeyRing, algorithm: str) -> EllipticKey | EdwardsKey | None:
    """The active key for ES256 or EdDSA, if the operator has made one."""
    for key in keys.every:
        if key.state == "current" and _ALGORITHM_OF.get((type(key), key.size)) == algorithm:
            assert not isinstance(key, SigningKey)  # it has none in that table
            return key
    return None


def algorithms_of(keys: KeyRing) -> list[str]:
    """What can be signed with the keys that are active now."""
    return ["RS256", "PS256", *(algorithm for algorithm in ("ES256", "EdDSA") if current_key(keys, algorithm))]
