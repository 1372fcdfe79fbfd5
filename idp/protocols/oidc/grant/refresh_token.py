"""Refresh tokens: one record for each family, which knows the current token, the one before, and when they changed places (S22-S24).

A token is `<family>.<root>.<secret>`. The root is the same through all rotations: with it, a token that is neither the current
one nor the last is known to have been good once, so it was stolen or copied, and the family is dropped. Without it the word is just
wrong, and a stranger who has seen a family's id can drop nothing.
Rotation is one atomic change of the record: of any number of callers one wins. The others show the token that has just been
replaced, and within the replay window get the same successor, which `seal` keeps for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from idp.clock import Now
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.grant.access_token import AccessTokens, incarnation_of, was_issued_to
from idp.protocols.oidc.grant.seal import seal, unseal
from idp.secret import Secret, digest, new_secret
from idp.sso.client import Client, Clients
from idp.store import Store, Stored

_LONGEST = 250  # characters
_TOUCH = 60  # seconds between two notes of the last use, where nothing rotates


@dataclass(frozen=True)
class Lasting:
    """What a family of tokens may do. `asked` is the sign-on's claims request by place; `login` its auth_time, acr and amr, and the sid.
    `session_id` is empty for a family that outlives the session; `ends` is in seconds since 1970."""

    family: str
    client_id: str
    subject_id: str
    scope: tuple[str, ...]
    ends: int
    session_id: str = ""
    resources: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)
    login: Mapping[str, Any] = field(default_factory=dict)
    confirmation: Mapping[str, str] = field(default_factory=dict)


Part = Literal["current", "previous"]


@dataclass(frozen=True)
class Presented:
    """A refresh token that was found good: the family it is of, and which of its tokens it is."""

    lasting: Lasting
    value: str = field(repr=False)
    part: Part
    stored: Stored = field(repr=False)


class Reused(Exception):
    """A token that was good once is shown again, too late: its family has been dropped."""


class RefreshTokens:
    """The refresh tokens in the store."""

    def __init__(self, store: Store, tokens: AccessTokens, *, clients: Clients, now: Now) -> None:
        self._store = store
        self._clients = clients
        self._tokens = tokens
        self._now = now

    def begin(self, client: Client, lasting: Lasting) -> str:
        """The first token of a family."""
        root = new_secret()
        value = f"{lasting.family}.{root}.{new_secret()}"
        record = {**_record(lasting), **incarnation_of(client), "root": digest(root), "current": digest(value), "used": self._now()}
        self._store.put("token", _key(lasting.family), record, expires=self._expires(client, lasting))
        return value

    def find(self, value: str) -> Lasting | None:
        """The family of a token that would still be taken; using it is not meant."""
        stored = self._stored(value)
        if stored is None or not was_issued_to(self._clients.get(stored.record["client_id"]), stored.record):
            return None
        is_either = [Secret(value).matches(stored.record.get(part, "")) for part in ("current", "previous")]
        return _lasting(stored.record) if any(is_either) else None

    def present(self, value: str, client: Client) -> Presented | None:
        """The token as a client shows it; None when it is none of that client's (S22). Raises Reused."""
        stored = self._stored(value)
        if stored is None or not was_issued_to(client, stored.record):
            return None
        record, presented = stored.record, Secret(value)
        if presented.matches(record["current"]):
            return Presented(_lasting(record), value, "current", stored)
        window = settings_of(client).tokens.replay_window
        if window and presented.matches(record.get("previous", "")) and self._now() - record["rotated"] <= window:
            return Presented(_lasting(record), value, "previous", stored)
        self.drop(record["family"])
        raise Reused

    def succeed(self, presented: Presented, client: Client) -> str | None:
        """The token that the client goes on with: a new one, the one that was made for this token before, or the same where nothing
        rotates. None when the family has moved on or gone meanwhile: look again."""
        if presented.part == "previous":
            return self._again(presented)
        if not rotates(client):
            return presented.value if self._used(presented, client) else None
        family, root, _ = presented.value.split(".")
        successor = f"{family}.{root}.{new_secret()}"
        changes = {
            "current": digest(successor),
            "previous": digest(presented.value),
            "sealed": seal(successor, under=presented.value),
            "rotated": self._now(),
            "used": self._now(),
        }
        return successor if self._change(presented, client, changes) else None

    def drop(self, family: str) -> None:
        """The whole family. Its record goes first: an access token that a refresh under way has made is deleted with the others then, or
        taken back by that refresh, which cannot change the record any more."""
        self._store.delete("token", _key(family))
        self._tokens.revoke_family(family)

    def _again(self, presented: Presented) -> str | None:
        """Read once more: an access token was made meanwhile, which must not outlive a family that was dropped."""
        stored = self._store.get("token", presented.stored.key)
        return unseal(stored.record.get("sealed", ""), under=presented.value) if stored else None

    def _used(self, presented: Presented, client: Client) -> bool:
        if self._now() - presented.stored.record["used"] >= _TOUCH:
            self._change(presented, client, {"used": self._now()})
        return self._store.get("token", presented.stored.key) is not None

    def _change(self, presented: Presented, client: Client, changes: Mapping[str, Any]) -> bool:
        stored = presented.stored
        expires = self._expires(client, presented.lasting)
        return self._store.change("token", stored.key, {**stored.record, **changes}, revision=stored.revision, expires=expires)

    def _expires(self, client: Client, lasting: Lasting) -> int:
        idle = settings_of(client).tokens.refresh_idle
        return lasting.ends if lasting.session_id else min(lasting.ends, self._now() + idle)

    def _stored(self, value: str) -> Stored | None:
        family, _, rest = value.partition(".")
        root, _, secret = rest.partition(".")
        if not secret or len(value) > _LONGEST:
            return None
        stored = self._store.get("token", _key(family))
        return stored if stored and Secret(root).matches(stored.record["root"]) else None


def rotates(client: Client) -> bool:
    """S23: a client without a secret always, others unless their settings say no (FAPI 2.0)."""
    settings = settings_of(client)
    return settings.public or settings.tokens.rotate


def _key(family: str) -> str:
    return f"refresh|{family}"


_TEXTS = ("family", "client_id", "subject_id", "session_id")
_TABLES = ("asked", "login", "confirmation")


def _record(lasting: Lasting) -> dict[str, Any]:
    fields: dict[str, Any] = {name: getattr(lasting, name) for name in (*_TEXTS, "ends")}
    fields |= {name: dict(getattr(lasting, name)) for name in _TABLES}
    fields |= {"scope": list(lasting.scope), "resources": list(lasting.resources)}
    return {name: value for name, value in fields.items() if value}


def _lasting(record: Mapping[str, Any]) -> Lasting:
    texts = {name: record.get(name, "") for name in _TEXTS}
    tables = {name: record.get(name, {}) for name in _TABLES}
    scope, resources = tuple(record.get("scope", ())), tuple(record.get("resources", ()))
    return Lasting(ends=record["ends"], scope=scope, resources=resources, **texts, **tables)
