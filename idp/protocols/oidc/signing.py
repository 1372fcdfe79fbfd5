"""What leaves us signed, and encrypted where a client asks for that: ID tokens, userinfo, answers of the authorization endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from idp.keys import EdwardsKey, EllipticKey, KeyRing, SigningKey
from idp.protocols.oidc.client_key import ClientKeys
from idp.protocols.oidc.encryption import encrypted
from idp.protocols.oidc.error import OAuthRefusal
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.settings import OidcSettings
from idp.sso.client import Client

SIGNED = (
    "id_token_signed_response_alg",
    "userinfo_signed_response_alg",
    "authorization_signed_response_alg",
    "introspection_signed_response_alg",
)
"""The settings of a client that name an algorithm with which we sign for it."""
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

    def for_access_token(self, client: Client, claims: Mapping[str, Any]) -> str:
        """RFC 9068 §2.1. Nobody registers an algorithm for it: it has that of the client's ID tokens."""
        return self.sign(settings_of(client).id_token_signed_response_alg, claims, type="at+jwt")

    def for_introspection(self, client: Client, claims: Mapping[str, Any]) -> str:
        """RFC 9701 §5. Its `typ` keeps it from passing for a token."""
        settings = settings_of(client)
        algorithm = settings.introspection_signed_response_alg or settings.id_token_signed_response_alg
        return self.sign(algorithm, claims, type="token-introspection+jwt")

    def check(self, client: Client) -> None:
        """That all can be signed that the client will get: asked before anything is spent that it would have to ask for again.

        Raises OAuthRefusal.
        """
        for _, algorithm in unsignable(settings_of(client), self._keys):
            raise _no_key(algorithm)

    def sign(self, algorithm: str, claims: Mapping[str, Any], *, type: str) -> str:
        """A JWS. Raises OAuthRefusal when the operator has made no key for the algorithm."""
        if algorithm == "RS256":
            return self._keys.current.jwt(claims, type=type)
        if algorithm == "PS256":
            return self._keys.current.jwt_pss(claims, type=type)
        key = current_key(self._keys, algorithm)
        if key is None:
            raise _no_key(algorithm)
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
    return ["RS256", "PS256", *(algorithm for algorithm in _KINDS if current_key(keys, algorithm))]


def unsignable(settings: OidcSettings, keys: KeyRing) -> list[tuple[str, str]]:
    """The settings of a client that name an algorithm for which no key is active, with the algorithm."""
    wanted = [(name, getattr(settings, name)) for name in SIGNED]
    return [(name, algorithm) for name, algorithm in wanted if algorithm in _KINDS and current_key(keys, algorithm) is None]


def signing_problems(clients: Iterable[Client], keys: KeyRing) -> list[str]:
    """Everything that could not be signed for these clients, each with the command that helps."""
    return [
        f"clients.{client.id}.oidc.{name}: no active key signs {algorithm}. {_command(algorithm)}"
        for client in clients
        if client.protocol == "oidc"
        for name, algorithm in unsignable(settings_of(client), keys)
    ]


def _command(algorithm: str) -> str:
    return f"Run: idp keys rotate oidc --kind {_KINDS[algorithm]} --publish, then the same with --activate"


def _no_key(algorithm: str) -> OAuthRefusal:
    """Our own trouble, in OAuth's words; the command that helps is for our log alone."""
    message = f"This server has no key for {algorithm}, with which the application wants its tokens signed."
    refusal = OAuthRefusal("server_error", "signing_key_missing", message, expected=_command(algorithm))
    refusal.status = 503  # at a machine endpoint: it is nobody's fault but ours, and passes when the key is there
    return refusal
