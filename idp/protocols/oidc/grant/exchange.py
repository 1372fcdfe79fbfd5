"""Token exchange (RFC 8693): a client that was handed another client's access token gets one of its own, for the same member.

The client's settings name whose tokens it may exchange. What it gets is never more than the token it brought: the scopes of both, the
same session, no longer life; and it carries who acts (`act`, §4.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.clock import Now
from idp.protocols.oidc.claim import Member, claims_of, opened_by
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.grant.access_token import Access, AccessTokens, Token
from idp.protocols.oidc.grant.answer import narrowed_resources, narrowed_scope, token_answer
from idp.protocols.oidc.grant.request import TokenRequest
from idp.protocols.oidc.grant.standing import Standing
from idp.protocols.oidc.provider import OidcProvider
from idp.sso.consent import Consents
from idp.sso.session import Participant, Session, Sessions

_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  a name
_JWT = "urn:ietf:params:oauth:token-type:jwt"


class ExchangeGrant:
    """Exchanges access tokens of ours."""

    def __init__(
        self, tokens: AccessTokens, provider: OidcProvider, *, sessions: Sessions, standing: Standing, consents: Consents, now: Now
    ) -> None:
        self._tokens = tokens
        self._provider = provider
        self._sessions = sessions
        self._standing = standing
        self._consents = consents
        self._now = now

    def __call__(self, request: TokenRequest) -> dict[str, Any]:
        _check_types(request)
        brought = self._brought(request)
        access = brought.access
        grant = self._standing.grant(request.client, self._session(request, access))
        allowed = settings_of(request.client).allowed_scopes
        scope = narrowed_scope(request, tuple(each for each in access.scope if each in allowed and each != "offline_access"))
        member = Member(grant, claims_of(request.client.release, grant.attributes))
        claims = self._provider.claims_at("userinfo", {"scope": list(scope)}, member)
        self._check_consent(request, access.subject_id, scope, claims)
        given = Access(
            request.client.id,
            scope,
            access.family,
            subject_id=access.subject_id,
            session_id=access.session_id,
            resources=narrowed_resources(request, settings_of(request.client).tokens.resources),
            claims=claims,
            login=access.login,
            actor={"sub": request.client.id, **({"act": dict(access.actor)} if access.actor else {})},
            confirmation=request.confirmation,
        )
        part = Participant(request.client.id, "oidc", incarnation=request.client.incarnation)
        if not self._sessions.join(grant.session.id, part):  # it will be told of the session's end
            raise _not_good(request)
        issued = self._tokens.issue(request.client, given, most=brought.expires - self._now())
        if self._tokens.find(request.form.get("subject_token")) is None:  # revoked meanwhile: what was made of it must not outlive it
            self._tokens.withdraw(issued.value)
            raise _not_good(request)
        return token_answer(issued, scope, issued_token_type=_ACCESS_TOKEN)

    def _brought(self, request: TokenRequest) -> Token:
        """Raises OAuthError: one sentence for every token that will not do, so that nothing can be learnt by trying."""
        token = self._tokens.find(request.needed("subject_token"))
        if token is None or not token.access.subject_id or token.access.confirmation:
            raise _not_good(request)
        if token.access.client_id not in settings_of(request.client).tokens.exchange_from:
            raise _not_good(request)
        return token

    def _check_consent(self, request: TokenRequest, subject_id: str, scope: tuple[str, ...], claims: Mapping[str, Any]) -> None:
        """There is no page on which to ask here: the member has agreed before, or the application asks first (S14). Raises OAuthError."""
        things = {*claims, *opened_by(settings_of(request.client).member_data, scope)}
        if request.client.asks_consent and not self._consents.covers(subject_id, request.client, things):
            raise request.refusal("invalid_request", "exchange_consent", "The member has not agreed yet that this application sees them.")

    def _session(self, request: TokenRequest, access: Access) -> Session:
        """The live session that the token comes from. Raises OAuthError."""
        session = self._sessions.get(access.login.get("sid", ""))
        if session is None:
            raise _not_good(request)
        return session


def _check_types(request: TokenRequest) -> None:
    if request.needed("subject_token_type") not in (_ACCESS_TOKEN, _JWT):
        raise request.refusal("invalid_request", "exchange_type", "Only access tokens of ours are exchanged.")
    if request.form.get("requested_token_type") not in ("", _ACCESS_TOKEN, _JWT):
        raise request.refusal("invalid_request", "exchange_type", "Only access tokens are given.")
    if request.form.get("actor_token"):
        raise request.refusal("invalid_request", "exchange_actor", "An actor_token is not taken: whoever asks is the actor.")
    if request.form.get("audience"):
        raise request.refusal("invalid_target", "exchange_audience", "Name the resource by its URI, in the parameter resource.")


def _not_good(request: TokenRequest) -> Exception:
    return request.refusal("invalid_request", "exchange_refused", "The subject_token is not good, or this application may not exchange it.")
