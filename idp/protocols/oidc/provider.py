"""pyop's Provider, held: it parses requests, builds answers and filters claims; state, authentication, policy and signatures are ours.

OVERRIDDEN lists the private names of pyop that this class replaces: a test fails when one disappears, because then our
rule would silently no longer be asked. pyproject.toml pins the version.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from oic.exception import PyoidcError
from oic.oic.message import AuthorizationResponse
from pyop.exceptions import OAuthError as PyopError
from pyop.message import AuthorizationRequest
from pyop.provider import Provider
from pyop.request_validator import authorization_request_verify, response_type_is_in_registered_response_types
from pyop.userinfo import Userinfo

from idp.clock import Now
from idp.keys import KeyRing
from idp.keys.session_name import SessionNames
from idp.protocols.oidc.claim import Member, ReleasedClaims, claims_by_scope, is_wanted
from idp.protocols.oidc.error import OAuthRefusal
from idp.protocols.oidc.gate import oidc_client, settings_of
from idp.protocols.oidc.login_claim import told_of
from idp.protocols.oidc.signing import Signer
from idp.protocols.oidc.state import OidcState
from idp.sso.client import Client, Clients

ID_TOKEN_LIFE = 3600  # seconds; some clients take it for the length of their own session
OVERRIDDEN = (
    "_check_subject_identifier_matches_requested",
    "_create_signed_id_token",
    "_create_subject_identifier",
)
CALLED = ("_get_requested_claims_in",)
"""Private names of pyop that are called here, as they are."""

Place = Literal["id_token", "userinfo"]
PLACES: tuple[Place, ...] = ("id_token", "userinfo")


class OidcProvider(Provider):  # type: ignore[misc]  # pyop has no types
    """One for the process; it keeps nothing of a request."""

    def __init__(
        self,
        metadata: Mapping[str, Any],
        *,
        state: OidcState,
        clients: Clients,
        keys: KeyRing,
        signer: Signer,
        now: Now,
    ) -> None:
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
        self._names = SessionNames(keys, protocol="oidc")
        self._signer = signer
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
            "family": authentication_request["family"],
            "id_token": self._claims(authentication_request, user_id, "id_token"),
            "userinfo": self._claims(authentication_request, user_id, "userinfo"),
        }
        response: AuthorizationResponse = super().authorize(authentication_request, user_id, kept)
        response["iss"] = self._issuer
        if not authentication_request.get("state"):  # none came, so none goes back
            response.pop("state", None)
        return response

    def id_token(
        self,
        client: Client,
        subject_id: str,
        claims: Mapping[str, Any],
        *,
        login: Mapping[str, Any],
        nonce: str | None,
        access_token: str,
        code: str = "",
    ) -> str:
        """An ID token, for the token endpoint or for the browser. `login` is what `login_of` kept of the sign-on."""
        told = {**claims, **told_of(login), "sid": self._names.name(login["sid"], client.id)}
        return self._create_signed_id_token(client.id, subject_for(client, subject_id, self._keys), told, nonce, code, access_token)

    def check_subject(self, request: Mapping[str, Any], member: Member) -> None:
        """That the member is the one that the request wants, if it wants one. Raises OAuthRefusal."""
        self._check_subject_identifier_matches_requested(request, self._create_subject_identifier(member))

    def claims_at(self, place: Place, request: Mapping[str, Any], member: Member) -> dict[str, Any]:
        """What a request of that scope and those `claims` reads of the member, in the ID token or at userinfo."""
        return self._claims(request, member, place)

    def _claims(self, request: Mapping[str, Any], member: Member, place: str) -> dict[str, Any]:
        """What was released of the member, less what this request did not ask for."""
        wanted = self._get_requested_claims_in(request, place)
        if place == "userinfo":
            wanted |= claims_by_scope(request["scope"], member.claims)
        claims: dict[str, Any] = self.userinfo.get_claims_for(member, wanted)
        return {name: value for name, value in claims.items() if is_wanted(wanted[name], value)}

    def _create_subject_identifier(self, user_id: Member, *_: str) -> str:
        return subject_for(user_id.grant.client, user_id.grant.session.subject_id, self._keys)

    def _check_subject_identifier_matches_requested(self, authentication_request: Mapping[str, Any], sub: str) -> None:
        """The `sub` of an id_token_hint or of the claims parameter. Raises OAuthRefusal (Core §3.1.2.1)."""
        if authentication_request.get("demanded_sub", sub) != sub:
            message = "Another member is signed in than the one that the application asked for."
            raise OAuthRefusal("login_required", "other_subject", message)

    def _create_signed_id_token(
        self,
        client_id: str,
        sub: str,
        user_claims: Mapping[str, Any] | None = None,
        nonce: str | None = None,
        authorization_code: str | None = None,
        access_token_value: str | None = None,
        extra_id_token_claims: Mapping[str, Any] | None = None,
    ) -> str:
        """S33, signed by us: pyop knows one key, and takes four times as long."""
        client = oidc_client(self._our_clients, client_id)
        assert client is not None  # it has just asked
        algorithm = settings_of(client).id_token_signed_response_alg
        claims = {**(user_claims or {}), **(extra_id_token_claims or {}), "iss": self._issuer, "sub": sub, "aud": client_id}
        claims |= {"iat": self._now(), "exp": self._now() + self.id_token_lifetime}
        if nonce:
            claims["nonce"] = nonce
        if access_token_value:
            claims["at_hash"] = half_hash(algorithm, access_token_value)
        if authorization_code:
            claims["c_hash"] = half_hash(algorithm, authorization_code)
        return self._signer.for_id_token(client, claims)


def subject_for(client: Client, subject_id: str, keys: KeyRing) -> str:
    """The member's `sub` at this client: the iMIS ID, or one that only clients of the same sector share (S39, Core §8.1). The sector
    is the client's own, never the request's; the identifier is a MAC, so that nothing of it has to be kept, moved or restored but
    the secret that lies beside the keys."""
    settings = settings_of(client)
    return subject_id if settings.subject_type == "public" else keys.pairwise("oidc.sub", settings.sector, subject_id)


def _verify(request: AuthorizationRequest) -> None:
    """pyop's check of values and required ones; it knows OpenID Connect alone, so plain OAuth 2.0 is left to `gate`."""
    if "openid" in request.get("scope", []):
        checked = request if "nonce" in request else request.copy()
        # pyop wants one for `code token`, too, although its ID token does not come through the browser; `gate` has asked for it elsewhere
        checked.setdefault("nonce", "none")
        authorization_request_verify(checked)


def half_hash(algorithm: str, value: str) -> str:
    """`at_hash` and `c_hash` (Core §3.1.3.6): of Ed25519 the hash is SHA-512, which it uses itself."""
    digest = hashlib.sha512 if algorithm == "EdDSA" else hashlib.sha256
    whole = digest(value.encode()).digest()
    return base64.urlsafe_b64encode(whole[: len(whole) // 2]).rstrip(b"=").decode()


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
            "response_types": settings_of(client).response_types,
            "subject_type": settings_of(client).subject_type,
        }

    def __iter__(self) -> Iterator[str]:
        return (client.id for client in self._clients.snapshot().of("oidc"))

    def __len__(self) -> int:
        return len(self._clients.snapshot().of("oidc"))
