"""Access tokens: opaque, or JWTs (RFC 9068) for resource servers that check by themselves. Both stand in the store.

So a JWT, too, can be revoked, ends with its session (S48) and is known at our own endpoints. Of either the store keeps SHA-256 alone;
a JWT that comes back is found by its `jti` and compared whole, so that no signature of a stranger is ever looked at.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.clock import Now
from idp.keys import KeyRing
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.login_claim import told_of
from idp.protocols.oidc.provider import subject_for
from idp.protocols.oidc.signing import Signer
from idp.secret import Secret, digest, new_id, new_secret
from idp.sso.client import Client, Clients
from idp.sso.session import Sessions
from idp.store import Store, Stored

_LONGEST = 16_384  # characters
_DEAD_FOR = 86400  # seconds for which a revoked family's place stays taken; no exchange under way lasts that long

Exists = Callable[[str], bool]
"""Whether the directory still has a member of that id with a good login. Raises Unavailable."""


@dataclass(frozen=True)
class Access:
    """What a token opens. `family` names everything that comes from one sign-in at one client; `subject_id` is empty for a token of
    client_credentials, `session_id` where the token does not end with a session. No `resources` means ourselves."""

    client_id: str
    scope: tuple[str, ...]
    family: str
    subject_id: str = ""
    session_id: str = ""
    resources: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=dict)
    login: Mapping[str, Any] = field(default_factory=dict)
    actor: Mapping[str, Any] = field(default_factory=dict)
    confirmation: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Token:
    """A live access token. Times are seconds since 1970."""

    key: str
    access: Access
    issued: int
    expires: int


@dataclass(frozen=True)
class Issued:
    """A token as its client gets it; `life` in seconds. `dead`: the code was replayed meanwhile, so it is good for nothing (S17)."""

    value: str = field(repr=False)
    life: int
    dead: bool = False
    type: str = "Bearer"


class AccessTokens:
    """The access tokens in the store. Several may be of one family."""

    def __init__(
        self, issuer: str, *, store: Store, sessions: Sessions, keys: KeyRing, signer: Signer, clients: Clients, exists: Exists, now: Now
    ) -> None:
        self._issuer = issuer
        self._store = store
        self._sessions = sessions
        self._keys = keys
        self._signer = signer
        self._clients = clients
        self._exists = exists
        self._now = now

    def issue(self, client: Client, access: Access, *, key: str = "", most: int = 86400) -> Issued:
        """A new token that lives `most` seconds at most; dead when something stands in the place `key` already."""
        policy = settings_of(client).tokens
        life = min(policy.access_token_life, most)
        key = key or new_id()
        secret = new_secret()
        value = self._signed(client, access, key, life) if policy.access_token == "jwt" else f"{key}.{secret}"  # noqa: S105
        record = {**_record(access), **incarnation_of(client), "secret": digest(value), "issued": self._now()}
        is_new = self._store.put_new("token", key, record, expires=self._now() + life)
        return Issued(value, life, dead=not is_new, type=_type_of(access))

    def find(self, value: str) -> Token | None:
        """The live token of a live session (S48), or of a member who is still there; of a client that is, too. Raises Unavailable."""
        stored = self._stored(value)
        if stored is None or stored.expires is None or not was_issued_to(self._clients.get(stored.record["client_id"]), stored.record):
            return None
        token = Token(stored.key, _access(stored.record), stored.record["issued"], stored.expires)
        return token if self._is_live(token.access) else None

    def withdraw(self, value: str) -> None:
        """Takes back a token that never left."""
        self._store.delete("token", _key_of(value))

    def revoke(self, value: str, client_id: str) -> bool:
        """RFC 7009: the client's own token is gone; one of another stays."""
        stored = self._stored(value)
        return stored is not None and stored.record["client_id"] == client_id and self._store.delete("token", stored.key)

    def revoke_family(self, family: str) -> None:
        """All that came from one sign-in. First something in the place of the first token, which keeps out one that is just being issued to
        whoever was quicker."""
        self._store.put("token", family, {"revoked": True}, expires=self._now() + _DEAD_FOR)
        self._store.delete_where("token", "family", family)

    def withdraw_from(self, client_id: str, subject_id: str) -> None:
        """All families that the client has of the member, with the refresh tokens, and with what others got in exchange; also those
        that a refresh under way has just made."""
        while found := [each for each in self._store.find("token", "subject_id", subject_id) if each.record["client_id"] == client_id]:
            for each in found:
                if "actor" in each.record:  # it came by exchange, of a family that is another client's
                    self._store.delete("token", each.key)
                else:
                    self.revoke_family(each.record["family"])

    def _is_live(self, access: Access) -> bool:
        if access.session_id:
            return self._sessions.get(access.session_id) is not None
        return not access.subject_id or self._exists(access.subject_id)

    def _stored(self, value: str) -> Stored | None:
        key = _key_of(value)
        stored = self._store.get("token", key) if key else None
        return stored if stored and Secret(value).matches(stored.record.get("secret", "")) else None

    def _signed(self, client: Client, access: Access, key: str, life: int) -> str:
        """RFC 9068 §2.2. A member is named as their client knows them; a client that acts for itself is its own subject."""
        sub = subject_for(client, access.subject_id, self._keys) if access.subject_id else client.id
        audience = access.resources or (self._issuer,)
        claims = {
            "iss": self._issuer,
            "sub": sub,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "client_id": client.id,
            "iat": self._now(),
            "exp": self._now() + life,
            "jti": key,
            "scope": " ".join(access.scope),
            **told_of(access.login),
        }
        claims |= {"act": dict(access.actor)} if access.actor else {}
        claims |= {"cnf": dict(access.confirmation)} if access.confirmation else {}
        return self._signer.for_access_token(client, claims)


def incarnation_of(client: Client) -> dict[str, str]:
    """What the record of a token says of its client beside the id."""
    return {"incarnation": client.incarnation} if client.incarnation else {}


def was_issued_to(client: Client | None, record: Mapping[str, Any]) -> bool:
    """Whether the record of a token is this client's, and not of one that was removed and had the same id."""
    return client is not None and (record["client_id"], record.get("incarnation", "")) == (client.id, client.incarnation)


def _type_of(access: Access) -> str:
    """RFC 9449 §5; a token that is bound to a certificate is a Bearer (RFC 8705 §3)."""
    return "DPoP" if "jkt" in access.confirmation else "Bearer"


_TEXTS = ("client_id", "family", "subject_id", "session_id")
_TABLES = ("claims", "login", "actor", "confirmation")


def _record(access: Access) -> dict[str, Any]:
    """What is empty is left out; `session_id` would be looked for by the store otherwise."""
    fields: dict[str, Any] = {name: getattr(access, name) for name in _TEXTS}
    fields |= {name: dict(getattr(access, name)) for name in _TABLES}
    fields |= {"scope": list(access.scope), "resources": list(access.resources)}
    return {name: value for name, value in fields.items() if value}


def _access(record: Mapping[str, Any]) -> Access:
    texts = {name: record.get(name, "") for name in _TEXTS}
    tables = {name: record.get(name, {}) for name in _TABLES}
    return Access(scope=tuple(record.get("scope", ())), resources=tuple(record.get("resources", ())), **texts, **tables)


def _key_of(value: str) -> str:
    """Where the token stands in the store; empty for what is no token at all. It proves nothing."""
    if len(value) > _LONGEST:
        return ""
    if value.count(".") != 2:
        return value.rpartition(".")[0]
    try:
        payload = value.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        return ""
    key = claims.get("jti") if isinstance(claims, dict) else None
    return key if isinstance(key, str) and key.startswith("_") else ""
