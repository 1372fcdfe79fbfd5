"""pyop's Provider, held: it parses requests, builds answers and filters claims; state, authentication, policy and signatures are ours.

OVERRIDDEN lists the private names of pyop that this class replaces: a test fails when one disappears, because then our
rule would silently no longer be asked. pyproject.toml pins the version.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import hmac
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

from oic.exception import PyoidcError
from oic.oic.message import AccessTokenResponse, AuthorizationResponse
from pyop.exceptions import InvalidTokenRequest
from pyop.exceptions import OAuthError as PyopError
from pyop.message import AuthorizationRequest
from pyop.provider import Provider
from pyop.request_validator import authorization_request_verify, response_type_is_in_registered_response_types
from pyop.userinfo import Userinfo

from idp.clock import Now
from idp.keys import KeyRing
from idp.protocols.oidc.authentication import authenticate
from idp.protocols.oidc.claim import Member, ReleasedClaims, claims_by_scope
from idp.protocols.oidc.error import OAuthError, OAuthRefusal
from idp.protocols.oidc.gate import oidc_client, settings_of
from idp.protocols.oidc.parameter import read_parameters
from idp.protocols.oidc.state import OidcState
from idp.sso.client import Client, Clients
from idp.sso.session import Session
from idp.sso.ticket import Ticket

ID_TOKEN_LIFE = 3600  # seconds; some clients take it for the length of their own session
OVERRIDDEN = (
    "_check_subject_identifier_matches_requested",
    "_create_signed_id_token",
    "_create_subject_identifier",
    "_do_code_exchange",
    "_do_token_refresh",
    "_verify_client_authentication",
)
CALLED = ("_add_access_token_to_response", "_get_requested_claims_in")
"""Private names of pyop that are called here, as they are."""

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 §4.1


class OidcProvider(Provider):  # type: ignore[misc]  # pyop has no types
    """One for the process; it keeps nothing of a request."""

    def __init__(self, metadata: Mapping[str, Any], *, state: OidcState, clients: Clients, keys: KeyRing, now: Now) -> None:
        # pyop refuses an http issuer, which a trial on this machine has; our own settings allow http on loopback alone
        secured = {"issuer": re.sub("^http:", "https:", metadata["issuer"]), "scopes_supported": list(metadata["scopes_supported"])}
        super().__init__(
            None, {**metadata, **secured}, state, _Registered(clients), Userinfo(ReleasedClaims()), id_token_lifetime=ID_TOKEN_LIFE
        )
        self.configuration_information["issuer"] = metadata["issuer"]
        self.authentication_request_validators = [
            _verify,
            functools.partial(response_type_is_in_registered_response_types, self),
        ]
        self._issuer: str = metadata["issuer"]
        self._state = state
        self._our_clients = clients
        self._keys = keys
        self._now = now
        logging.getLogger("pyop").setLevel(logging.WARNING)  # below that it writes codes, tokens and claims to the log (S30, G-S10)

    @property
    def provider_configuration(self) -> Any:
        """pyop would copy all of it for every request."""
        return self.configuration_information

    @property
    def jwks(self) -> dict[str, Any]:
        return self._keys.jwks()

    def parse_authentication_request(self, request_body: str, http_headers: Mapping[str, str] | None = None) -> Any:
        """pyop's message, after `gate` has let the parameters through. Raises OAuthRefusal."""
        try:
            return super().parse_authentication_request(request_body, http_headers)
        except (PyopError, PyoidcError, ValueError, TypeError, AttributeError, KeyError) as error:
            message = "The request has a value that OpenID Connect Core 3.1.2.1 does not allow."
            raise OAuthRefusal("invalid_request", "malformed", message) from error

    def authorize(self, authentication_request: Mapping[str, Any], user_id: Member) -> AuthorizationResponse:
        """pyop's answer with a code in it, and our issuer (RFC 9207, S4)."""
        kept = {
            "session": user_id.grant.session,
            "id_token": self._claims(authentication_request, user_id, "id_token"),
            "userinfo": self._claims(authentication_request, user_id, "userinfo"),
        }
        response: AuthorizationResponse = super().authorize(authentication_request, user_id, kept)
        response["iss"] = self._issuer
        return response

    def handle_token_request(self, request_body: str, http_headers: Mapping[str, str] | None = None) -> Any:
        """pyop's dispatch by grant type. Raises OAuthError."""
        try:
            return super().handle_token_request(request_body, http_headers)
        except InvalidTokenRequest as error:
            message = f"Only the grant_type authorization_code is offered ({error.oauth_error})."
            raise OAuthError(str(error.oauth_error), "grant_type", message) from None

    def _claims(self, request: Mapping[str, Any], member: Member, place: str) -> dict[str, Any]:
        """What was released of the member, less what this request did not ask for."""
        wanted = self._get_requested_claims_in(request, place)
        if place == "userinfo":
            wanted |= claims_by_scope(request["scope"], member.claims)
        claims: dict[str, Any] = self.userinfo.get_claims_for(member, wanted)
        return claims

    def _create_subject_identifier(self, user_id: Member, *_: str) -> str:
        return subject_for(user_id.grant.client, user_id.grant.session.subject_id)

    def _check_subject_identifier_matches_requested(self, authentication_request: Mapping[str, Any], sub: str) -> None:
        """The `sub` of an id_token_hint or of the claims parameter. Raises OAuthRefusal (Core §3.1.2.1)."""
        if authentication_request.get("demanded_sub", sub) != sub:
            message = "Another member is signed in than the one that the application asked for."
            raise OAuthRefusal("login_required", "other_subject", message)

    def _verify_client_authentication(self, request_body: str, http_headers: Mapping[str, str] | None = None) -> dict[str, str]:
        form = read_parameters(request_body)
        client = authenticate(self._our_clients, form, (http_headers or {}).get("Authorization", ""))
        return {**form.values, "client_id": client.id}

    def _do_code_exchange(self, request: Mapping[str, str], *_: object) -> AccessTokenResponse:
        if not request.get("code"):
            raise OAuthError("invalid_request", "code_missing", "The parameter code is missing.", client_id=request["client_id"])
        ticket = self._state.redeem_code(request["code"], request["client_id"])
        _check_binding(ticket, request)
        client = oidc_client(self._our_clients, ticket.client_id)
        assert client is not None  # it has just authenticated
        access_token = self._state.create_access_token(ticket)
        response = AccessTokenResponse()  # type: ignore[no-untyped-call]
        self._add_access_token_to_response(response, access_token)
        response["scope"] = list(ticket.data["scope"])
        if "openid" in ticket.data["scope"]:
            response["id_token"] = self._create_signed_id_token(
                client.id,
                subject_for(client, ticket.session.subject_id),
                ticket.data["id_token"],
                ticket.data.get("nonce"),
                None,
                access_token.value,
                _session_claims(ticket.session),
            )
        return response

    def _do_token_refresh(self, request: Mapping[str, str]) -> AccessTokenResponse:
        raise OAuthError("unsupported_grant_type", "grant_type", "Refresh tokens are not offered.", client_id=request["client_id"])

    def _create_signed_id_token(
        self,
        client_id: str,
        sub: str,
        user_claims: Mapping[str, Any] | None = None,
        nonce: str | None = None,
        authorization_code: str | None = None,  # noqa: ARG002  only flows that are not offered have one here
        access_token_value: str | None = None,
        extra_id_token_claims: Mapping[str, Any] | None = None,
    ) -> str:
        """S33, signed with the current key: pyop knows one key, and takes four times as long."""
        claims = {**(user_claims or {}), **(extra_id_token_claims or {}), "iss": self._issuer, "sub": sub, "aud": client_id}
        claims |= {"iat": self._now(), "exp": self._now() + self.id_token_lifetime}
        if nonce:
            claims["nonce"] = nonce
        if access_token_value:
            claims["at_hash"] = _base64url(hashlib.sha256(access_token_value.encode()).digest()[:16])
        return self._keys.current.jwt(claims, type="JWT")


def subject_for(client: Client, subject_id: str) -> str:
    """The member's `sub` at this client. Here pairwise identifiers would come in, from the client's sector alone (S39)."""
    assert settings_of(client).subject_type == "public"
    return subject_id


def _session_claims(session: Session) -> dict[str, Any]:
    return {"auth_time": session.auth_time, "sid": session.id, "acr": session.context, "amr": list(session.methods)}


def _check_binding(ticket: Ticket, request: Mapping[str, str]) -> None:
    """S19, S21: the redirect URI is the same, and the verifier belongs to the challenge or both are missing (V38). Raises OAuthError."""
    if request.get("redirect_uri") != ticket.data["redirect_uri"]:
        message = "The redirect_uri is not the one of the authorization request."
        raise OAuthError("invalid_grant", "code_redirect_uri", message, client_id=ticket.client_id)
    challenge, verifier = ticket.data.get("code_challenge", ""), request.get("code_verifier", "")
    if not challenge and not verifier:
        return
    if not _VERIFIER.fullmatch(verifier) or not hmac.compare_digest(_base64url(hashlib.sha256(verifier.encode()).digest()), challenge):
        message = "The code_verifier does not belong to the authorization request."
        raise OAuthError("invalid_grant", "pkce_verifier", message, client_id=ticket.client_id)


def _verify(request: AuthorizationRequest) -> None:
    """pyop's check of values and required ones; it knows OpenID Connect alone, so plain OAuth 2.0 is left to `gate`."""
    if "openid" in request.get("scope", []):
        authorization_request_verify(request)


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class _Registered(Mapping[str, Mapping[str, Any]]):
    """Our clients as pyop reads them: the members of RFC 7591 that it asks for."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def __getitem__(self, client_id: str) -> Mapping[str, Any]:
        client = oidc_client(self._clients, client_id)
        if client is None:
            raise KeyError(client_id)
        return {
            "redirect_uris": settings_of(client).redirect_uris,
            "response_types": ["code"],
            "subject_type": settings_of(client).subject_type,
        }

    def __iter__(self) -> Iterator[str]:
        return (client.id for client in self._clients.snapshot().of("oidc"))

    def __len__(self) -> int:
        return len(self._clients.snapshot().of("oidc"))
