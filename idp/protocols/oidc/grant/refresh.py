"""refresh_token: another access token without the member (RFC 6749 §6, Core §12), as long as they may still enter."""

from __future__ import annotations

from typing import Any

from idp.audit import Audit
from idp.protocols.oidc.claim import Member, claims_of, less_scopes
from idp.protocols.oidc.error import OAuthError
from idp.protocols.oidc.grant.access_token import Access, AccessTokens, Issued
from idp.protocols.oidc.grant.answer import narrowed_resources, narrowed_scope, still_allowed, token_answer
from idp.protocols.oidc.grant.login import session_of
from idp.protocols.oidc.grant.refresh_token import Lasting, Presented, RefreshTokens, Reused
from idp.protocols.oidc.grant.request import TokenRequest
from idp.protocols.oidc.grant.standing import Standing
from idp.protocols.oidc.provider import OidcProvider
from idp.sso.protocol import Grant
from idp.sso.session import Session, Sessions


class RefreshGrant:
    """Takes refresh tokens."""

    def __init__(
        self,
        refresh_tokens: RefreshTokens,
        tokens: AccessTokens,
        provider: OidcProvider,
        *,
        sessions: Sessions,
        standing: Standing,
        audit: Audit,
    ) -> None:
        self._refresh_tokens = refresh_tokens
        self._tokens = tokens
        self._provider = provider
        self._sessions = sessions
        self._standing = standing
        self._audit = audit

    def __call__(self, request: TokenRequest) -> dict[str, Any]:
        value = request.needed("refresh_token")
        grant: Grant | None = None
        while presented := self._presented(request, value):
            lasting = presented.lasting
            scope = narrowed_scope(request, still_allowed(request, lasting.scope))
            grant = grant or self._grant(request, lasting)
            issued, claims = self._issue(request, lasting, grant, scope)
            # the access token is there before the family moves on, so that whoever drops the family finds it
            if successor := self._refresh_tokens.succeed(presented, request.client):
                id_token = self._id_token(request, lasting, issued, claims) if "openid" in scope else ""
                return token_answer(issued, scope, id_token=id_token, refresh_token=successor)
            self._tokens.withdraw(issued.value)
        raise request.refusal("invalid_grant", "refresh_unknown", "The refresh token is not known, or its time or its session is over.")

    def _presented(self, request: TokenRequest, value: str) -> Presented | None:
        """Raises OAuthError for one that was used before: somebody has a copy, and nobody knows which is the client's (S23, V40)."""
        try:
            presented = self._refresh_tokens.present(value, request.client)
        except Reused:
            self._audit.record("token.reused", client=request.client.id)
            message = "The refresh token was used before. All tokens of this sign-in have been revoked."
            raise request.refusal("invalid_grant", "refresh_reused", message) from None
        if presented and presented.lasting.confirmation not in ({}, request.confirmation):
            raise request.refusal("invalid_grant", "refresh_key", "The refresh token is bound to another key.")
        return presented

    def _grant(self, request: TokenRequest, lasting: Lasting) -> Grant:
        session: Session | None = session_of(lasting)
        if lasting.session_id:
            session = self._sessions.get(lasting.session_id)
        if session is None:
            self._refresh_tokens.drop(lasting.family)
            raise request.refusal("invalid_grant", "session_ended", "The member has signed out since this token was issued.")
        try:
            return self._standing.grant(request.client, session)
        except OAuthError as error:
            if error.cause == "oidc.subject_gone":
                self._refresh_tokens.drop(lasting.family)
            raise

    def _issue(self, request: TokenRequest, lasting: Lasting, grant: Grant, scope: tuple[str, ...]) -> tuple[Issued, dict[str, Any]]:
        """A new access token, and the claims of the ID token beside it: both as the member is now."""
        member = Member(grant, claims_of(request.client.release, grant.attributes))
        asked = {"scope": list(lasting.scope), "claims": lasting.asked}
        claims = self._provider.claims_at("userinfo", asked, member)
        access = Access(
            request.client.id,
            scope,
            lasting.family,
            subject_id=lasting.subject_id,
            session_id=lasting.session_id,
            resources=narrowed_resources(request, lasting.resources),
            claims=less_scopes(claims, {*lasting.scope} - {*scope}, scope, lasting.asked.get("userinfo", ())),
            login=lasting.login,
            confirmation=request.confirmation,
        )
        issued = self._tokens.issue(request.client, access)
        return issued, self._provider.claims_at("id_token", asked, member)

    def _id_token(self, request: TokenRequest, lasting: Lasting, issued: Issued, claims: dict[str, Any]) -> str:
        """Core §12.2: the same subject and auth_time as at first, and no nonce."""
        return self._provider.id_token(
            request.client, lasting.subject_id, claims, login=lasting.login, nonce=None, access_token=issued.value
        )
