"""authorization_code: the code for tokens (RFC 6749 §4.1.3), with PKCE both ways."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any

from idp.protocols.oidc.grant.begin import Beginning, SignedOn
from idp.protocols.oidc.grant.refresh_token import RefreshTokens
from idp.protocols.oidc.grant.request import TokenRequest
from idp.secret import Secret
from idp.sso.ticket import Ticket, TicketRefused, Tickets

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1


class CodeGrant:
    """Takes codes."""

    def __init__(self, codes: Tickets, refresh_tokens: RefreshTokens, beginning: Beginning) -> None:
        self._codes = codes
        self._refresh_tokens = refresh_tokens
        self._beginning = beginning

    def __call__(self, request: TokenRequest) -> dict[str, Any]:
        ticket = self._redeemed(request)
        _check_binding(ticket, request)
        data = ticket.data
        signed_on = SignedOn(
            ticket.session,
            ticket.family,
            tuple(data.get("scope", ())),
            id_token=data["id_token"],
            userinfo=data["userinfo"],
            resources=tuple(data.get("resource", ())),
            asked=data.get("claims", {}),
            nonce=data.get("nonce"),
        )
        return self._beginning.answer(request, signed_on)

    def _redeemed(self, request: TokenRequest) -> Ticket:
        """What the code stood for; it is spent, whatever comes next. A replay revokes all that it gave (S17). Raises OAuthError."""
        code = Secret(request.needed("code"))
        try:
            return self._codes.redeem(code, request.client.id)
        except TicketRefused as refused:
            if refused.family:
                self._refresh_tokens.drop(refused.family)
            raise request.refusal("invalid_grant", refused.cause, refused.message) from None


def _check_binding(ticket: Ticket, request: TokenRequest) -> None:
    """S19, S21: the redirect URI is the same, and the verifier belongs to the challenge or both are missing (V38). Raises OAuthError."""
    if request.form.get("redirect_uri") != ticket.data["redirect_uri"]:
        raise request.refusal("invalid_grant", "code_redirect_uri", "The redirect_uri is not the one of the authorization request.")
    if ticket.data.get("dpop_jkt") not in (None, request.confirmation.get("jkt")):
        raise request.refusal("invalid_grant", "code_dpop_key", "The code is bound to another key than that of the DPoP proof.")
    challenge, verifier = ticket.data.get("code_challenge", ""), request.form.get("code_verifier")
    if not challenge and not verifier:
        return
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(_hashed(verifier), challenge):
        raise request.refusal("invalid_grant", "pkce_verifier", "The code_verifier does not belong to the authorization request.")


def _hashed(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
