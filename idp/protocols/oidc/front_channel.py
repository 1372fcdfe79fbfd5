"""The implicit and hybrid flows (OpenID Connect Core §3.2, §3.3): tokens that come through the browser. Off, unless a client's settings
name such a response type; OAuth 2.1 has dropped them (S5). Beside pyop, whose own would know nothing of our tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.protocols.oidc.claim import Member
from idp.protocols.oidc.grant.access_token import Access, AccessTokens
from idp.protocols.oidc.login_claim import login_of
from idp.protocols.oidc.provider import OidcProvider
from idp.secret import new_id


class FrontChannel:
    """Makes what stands beside the code, or in its place."""

    def __init__(self, provider: OidcProvider, tokens: AccessTokens) -> None:
        self._provider = provider
        self._tokens = tokens

    def answer(self, request: Mapping[str, Any], member: Member) -> dict[str, Any]:
        """The answer's parameters, without `iss`. Raises OAuthRefusal."""
        kinds, family = set(request["response_type"]), new_id()
        told: dict[str, Any] = {}
        if "code" in kinds:
            told = self._provider.authorize({**request, "response_type": ["code"], "family": family}, member).to_dict()  # type: ignore[no-untyped-call]
        else:
            self._provider.check_subject(request, member)
            told = {"state": request["state"]} if request["state"] else {}
        if "token" in kinds:
            told |= self._access_token(request, member, family)
        if "id_token" in kinds:
            told["id_token"] = self._id_token(request, member, told)
        return told

    def _access_token(self, request: Mapping[str, Any], member: Member, family: str) -> dict[str, Any]:
        """Of one family with the code beside it: a replay of that ends it, too (S17)."""
        grant = member.grant
        access = Access(
            grant.client.id,
            tuple(request["scope"]),
            family,
            subject_id=grant.session.subject_id,
            session_id=grant.session.id,
            resources=tuple(request.get("resource", ())),
            claims=self._provider.claims_at("userinfo", request, member),
            login=login_of(grant.session),
        )
        issued = self._tokens.issue(grant.client, access)
        return {"access_token": issued.value, "token_type": issued.type, "expires_in": issued.life, "scope": list(request["scope"])}

    def _id_token(self, request: Mapping[str, Any], member: Member, told: Mapping[str, Any]) -> str:
        """Where no access token will ever come, it has all claims (Core §5.4)."""
        grant = member.grant
        claims = self._provider.claims_at("id_token", request, member)
        if set(request["response_type"]) == {"id_token"}:
            claims |= self._provider.claims_at("userinfo", request, member)
        return self._provider.id_token(
            grant.client,
            grant.session.subject_id,
            claims,
            login=login_of(grant.session),
            nonce=request.get("nonce"),
            access_token=told.get("access_token", ""),
            code=told.get("code", ""),
        )
