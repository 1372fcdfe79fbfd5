"""client_credentials (RFC 6749 §4.4): a token for the client itself. No member stands behind it, so it opens no member's data, ever."""

from __future__ import annotations

from typing import Any

from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.grant.access_token import Access, AccessTokens
from idp.protocols.oidc.grant.answer import narrowed_resources, narrowed_scope, token_answer
from idp.protocols.oidc.grant.request import TokenRequest
from idp.secret import new_id


class ServiceGrant:
    """Gives tokens to servers."""

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    def __call__(self, request: TokenRequest) -> dict[str, Any]:
        client, settings = request.client, settings_of(request.client)
        if settings.public:
            raise request.refusal("unauthorized_client", "service_public", "This grant is for clients with a secret (RFC 6749 4.4).")
        scope = narrowed_scope(request, settings.tokens.service_scopes)
        resources = narrowed_resources(request, settings.tokens.resources)
        access = Access(client.id, scope, new_id(), resources=resources, confirmation=request.confirmation)
        issued = self._tokens.issue(client, access)
        return token_answer(issued, scope)
