"""OAuth errors: what a client is told, through the browser or at a machine endpoint, in the registered words."""

from __future__ import annotations

import re

from idp.errors import CannotTell, IdpError, LoginRequired, Refusal, Unavailable
from idp.sso.consent import ConsentRequired

_NOT_ALLOWED = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")  # RFC 6749 §4.1.2.1, §5.2: what error_description may hold
_APOSTROPHES = str.maketrans({'"': "'", "“": "'", "”": "'", "’": "'", "–": "-"})


class OAuthRefusal(Refusal):
    """Told to the client at its validated redirect URI; `error` is a code of RFC 6749 §4.1.2.1 or OpenID Connect Core §3.1.2.6."""

    def __init__(self, error: str, cause: str, message: str, *, expected: str = "", received: str = "") -> None:
        super().__init__(f"oidc.{cause}", message, expected=expected, received=received)
        self.error = error


class OAuthError(IdpError):
    """Told to the client's server as JSON; `error` is a code of RFC 6749 §5.2 or RFC 6750 §3.1.

    `scheme` is the one of the WWW-Authenticate header that goes with it, "Basic", "Bearer" or "DPoP".
    """

    def __init__(
        self,
        error: str,
        cause: str,
        message: str,
        *,
        status: int = 400,
        scheme: str = "",
        client_id: str = "",
    ) -> None:
        super().__init__(cause if "." in cause else f"oidc.{cause}", message, status=status, client_id=client_id)
        self.error = error
        self.scheme = scheme


def front_channel_code(refusal: Refusal) -> str:
    """The registered code for a refusal that goes through the browser; the sequence's own refusals know nothing of OAuth."""
    if isinstance(refusal, OAuthRefusal):
        return refusal.error
    if isinstance(refusal, CannotTell):
        return "temporarily_unavailable"
    if isinstance(refusal, ConsentRequired):
        return "consent_required"
    return "login_required" if isinstance(refusal, LoginRequired) else "access_denied"


def back_channel_code(error: IdpError) -> str:
    """The registered code for whatever a machine endpoint raised."""
    if isinstance(error, OAuthError | OAuthRefusal):
        return error.error
    if isinstance(error, Unavailable):
        return "temporarily_unavailable"
    return "server_error" if error.status >= 500 else "invalid_request"


def describe(error: IdpError, reference: str) -> str:
    """The `error_description`: the sentence and its reference number, in the characters that RFC 6749 allows."""
    return _NOT_ALLOWED.sub("?", f"{error.message} (reference {reference})".translate(_APOSTROPHES))
