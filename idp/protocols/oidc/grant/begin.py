"""The first tokens after a sign-on, whether they come by a code or by a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from idp.clock import Now
from idp.protocols.oidc.claim import less_scopes
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.grant.access_token import Access, AccessTokens
from idp.protocols.oidc.grant.answer import narrowed_resources, still_allowed, token_answer
from idp.protocols.oidc.grant.refresh_token import Lasting, RefreshTokens
from idp.protocols.oidc.grant.request import TokenRequest
from idp.protocols.oidc.grant.settings import REFRESH
from idp.protocols.oidc.grant.standing import Standing
from idp.protocols.oidc.login_claim import login_of
from idp.protocols.oidc.provider import OidcProvider
from idp.sso.session import Session

OFFLINE = "offline_access"


@dataclass(frozen=True)
class SignedOn:
    """What a sign-on left for its client: `id_token` and `userinfo` are claims; `asked` is the claims request, for refreshes."""

    session: Session
    family: str
    scope: tuple[str, ...]
    id_token: Mapping[str, Any]
    userinfo: Mapping[str, Any]
    resources: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)
    nonce: str | None = None


class Beginning:
    """Makes the first access token, the ID token and the refresh token of a family."""

    def __init__(
        self, tokens: AccessTokens, refresh_tokens: RefreshTokens, provider: OidcProvider, *, standing: Standing, now: Now
    ) -> None:
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens
        self._provider = provider
        self._standing = standing
        self._now = now

    def answer(self, request: TokenRequest, signed_on: SignedOn) -> dict[str, Any]:
        """The token answer. Raises OAuthError, DirectoryUnavailable."""
        client, session = request.client, signed_on.session
        signed_on = _still(request, signed_on)
        self._standing.check(client, session)
        resources = narrowed_resources(request, signed_on.resources)
        lasting = self._lasting(request, signed_on)
        # first the refresh token: if the code is being replayed now, whoever sees that finds it, or the access token has no place any more
        refresh_token = self._refresh_tokens.begin(client, lasting) if lasting else ""
        outlives = lasting is not None and not lasting.session_id
        access = Access(
            client.id,
            signed_on.scope,
            signed_on.family,
            subject_id=session.subject_id,
            session_id="" if outlives else session.id,
            resources=resources,
            claims=signed_on.userinfo,
            login=login_of(session),
            confirmation=request.confirmation,
        )
        issued = self._tokens.issue(client, access, key=signed_on.family)
        if issued.dead:
            self._refresh_tokens.drop(signed_on.family)
        id_token = ""
        if "openid" in signed_on.scope:
            id_token = self._provider.id_token(
                client,
                session.subject_id,
                signed_on.id_token,
                login=login_of(session),
                nonce=signed_on.nonce,
                access_token=issued.value,
            )
        return token_answer(issued, signed_on.scope, id_token=id_token, refresh_token=refresh_token)

    def _lasting(self, request: TokenRequest, signed_on: SignedOn) -> Lasting | None:
        """None where the client gets no refresh token."""
        settings, session = settings_of(request.client), signed_on.session
        offline = OFFLINE in signed_on.scope
        if REFRESH not in settings.grant_types or not (offline or settings.tokens.refresh_with_session):
            return None
        outlives = offline and settings.tokens.offline_survives_logout
        return Lasting(
            signed_on.family,
            request.client.id,
            session.subject_id,
            signed_on.scope,
            ends=self._now() + settings.tokens.refresh_absolute if outlives else session.ends,
            session_id="" if outlives else session.id,
            resources=signed_on.resources,
            asked=signed_on.asked,
            login=login_of(session),
            confirmation=request.confirmation if settings.public else {},  # RFC 9449 §5: others are bound by their authentication
        )


def _still(request: TokenRequest, signed_on: SignedOn) -> SignedOn:
    """As far as the client may have it now: its settings may have changed since the sign-on. Raises OAuthError."""
    scope = still_allowed(request, signed_on.scope)
    userinfo = less_scopes(signed_on.userinfo, {*signed_on.scope} - {*scope}, scope, signed_on.asked.get("userinfo", ()))
    return replace(signed_on, scope=scope, userinfo=userinfo)
