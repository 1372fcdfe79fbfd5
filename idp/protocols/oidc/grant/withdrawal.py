"""Withdrawal: a member takes back that an application may see them, and everything ends that came of it (S14)."""

from __future__ import annotations

from idp.protocols.oidc.grant.access_token import AccessTokens
from idp.sso.session import Sessions
from idp.store import Store


class Withdrawal:
    """Ends what a client has of one member: also codes, and devices, that have not fetched their tokens yet."""

    def __init__(self, store: Store, sessions: Sessions, tokens: AccessTokens) -> None:
        self._store = store
        self._sessions = sessions
        self._tokens = tokens

    def __call__(self, subject_id: str, client_id: str) -> None:
        for session in self._sessions.of_subject(subject_id):
            for code in self._store.find("code", "session_id", session.id):
                if code.record["client_id"] == client_id:
                    self._store.delete("code", code.key)
                    self._tokens.revoke_family(code.record["family"])  # tokens of an exchange under way have no place any more
        self._tokens.withdraw_from(client_id, subject_id)
