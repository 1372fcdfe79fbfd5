"""Codes in the store: what stands in the place of pyop's AuthorizationState and its four stores. Tokens are made in `grant`.

pyop's is read-then-write, so that one code can be exchanged several times at once, and nothing in it expires. Here a code
is a Ticket, taken in one atomic step (S16), of which only SHA-256 is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from idp.sso.ticket import Tickets

_KEPT = ("redirect_uri", "scope", "nonce", "code_challenge", "resource", "claims", "dpop_jkt")


class OidcState:
    """The methods that pyop's Provider calls on the paths that we keep, and our own. pyop calling any other fails loudly."""

    stateless = False  # pyop asks for it

    def __init__(self, codes: Tickets) -> None:
        self._codes = codes

    def create_authorization_code(
        self, authentication_request: Mapping[str, Any], *_: object, extra_id_token_claims: Mapping[str, Any], **__: object
    ) -> str:
        """Called by pyop. `extra_id_token_claims` goes through pyop untouched: it holds the session, the family of
        all tokens that come from this sign-on, and the claims for each place."""
        kept = dict(extra_id_token_claims)
        session, family = kept.pop("session"), kept.pop("family")
        request = {name: authentication_request[name] for name in _KEPT if authentication_request.get(name)}
        return self._codes.issue(authentication_request["client_id"], session, request | kept, family=family).reveal()
