"""OpenID Connect and OAuth 2.0 as one of the ways to ask and to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from oic.oauth2.message import Message
from oic.oic.message import AuthorizationErrorResponse

from idp.clock import Now
from idp.errors import Refusal
from idp.keys import KeyRing
from idp.protocols.oidc.authentication import authenticate
from idp.protocols.oidc.claim import Member, claims_of, read_claims_parameter
from idp.protocols.oidc.error import OAuthError, OAuthRefusal, describe, front_channel_code
from idp.protocols.oidc.gate import (
    check_rules,
    echoed_state,
    granted_scopes,
    known_client,
    oidc_client,
    registered_redirect,
    requested_max_age,
    response_mode,
    settings_of,
)
from idp.protocols.oidc.hint import read_hint
from idp.protocols.oidc.logout import Ending, ending_for, notice_to, read_logout_parameters, return_url
from idp.protocols.oidc.metadata import Documents, metadata_of
from idp.protocols.oidc.parameter import Parameters, read_parameters
from idp.protocols.oidc.provider import OidcProvider, subject_for
from idp.protocols.oidc.settings import origin_of
from idp.protocols.oidc.state import OidcState, Token
from idp.sso.answer import Answer, FormPost, Redirect
from idp.sso.client import Client, Clients, Snapshot
from idp.sso.notice import Notice
from idp.sso.protocol import Grant, SignOnRequest
from idp.sso.session import Participant, Session, Sessions
from idp.sso.ticket import Tickets
from idp.store import Store

_READ_BESIDE_PYOP = frozenset({"claims", "id_token_hint", "max_age", "response_mode"})
_KEPT = ("client_id", "redirect_uri", "response_type", "state", "nonce", "code_challenge")


class OidcProtocol:
    """The authorization server. Every store operation of a request is listed in README.md."""

    name = "oidc"

    def __init__(self, url: str, *, clients: Clients, keys: KeyRing, store: Store, sessions: Sessions, codes: Tickets, now: Now) -> None:
        self.documents = Documents(url, keys)
        self._url = url
        self._clients = clients
        self._keys = keys
        self._now = now
        self._state = OidcState(store, sessions, codes, now=now)
        self._provider = OidcProvider(metadata_of(url), state=self._state, clients=clients, keys=keys, now=now)
        self._origins: tuple[Snapshot | None, frozenset[str]] = (None, frozenset())

    def read(self, text: str) -> tuple[SignOnRequest, Refusal | None]:
        """An authorization request, from its query string or form body; with a Refusal when it must be refused.

        Raises BadRequest while there is no address to which a refusal may go (S2).
        """
        parameters = read_parameters(text)
        client = known_client(self._clients, parameters)
        back = {
            "redirect_uri": registered_redirect(client, parameters),
            "response_mode": response_mode(client, parameters),
            "state": echoed_state(parameters),
        }
        try:
            return self._asked(client, parameters, back), None
        except Refusal as refusal:
            return SignOnRequest(self.name, client.id, back), refusal

    def _asked(self, client: Client, parameters: Parameters, back: Mapping[str, str]) -> SignOnRequest:
        check_rules(client, parameters)
        requested, demanded = read_claims_parameter(parameters.get("claims"), client.release)
        demanded = self._hinted(client, parameters) or demanded
        scopes = granted_scopes(client, parameters)
        read_by_pyop = {**parameters.without(_READ_BESIDE_PYOP), "scope": " ".join(scopes)}
        message = self._provider.parse_authentication_request(urlencode(read_by_pyop))
        prompts = set(parameters.get("prompt").split())
        max_age = requested_max_age(parameters)
        asked = {**back, **{name: message[name] for name in _KEPT if name in message}, "scope": scopes, "claims": requested}
        return SignOnRequest(
            self.name,
            client.id,
            asked | ({"demanded_sub": demanded} if demanded else {}),
            passive="none" in prompts,
            # choosing an account means signing in; consent is the association's, which registered the client (S14)
            fresh=bool(prompts & {"login", "select_account"}) or max_age == 0,
            max_age=max_age,
            login_hint=parameters.get("login_hint")[:256],
        )

    def _hinted(self, client: Client, parameters: Parameters) -> str:
        """The member of the id_token_hint; an expired one of ours is as good. Raises OAuthRefusal."""
        token = parameters.get("id_token_hint")
        if not token:
            return ""
        hint = read_hint(token, issuer=self._url, keys=self._keys, now=self._now)
        if hint is None or hint.client_id != client.id:
            message = "The id_token_hint is not an ID token that was issued here to this application."
            raise OAuthRefusal("invalid_request", "hint_invalid", message)
        return hint.subject_id

    def respond(self, request: SignOnRequest, grant: Grant) -> tuple[Answer, Mapping[str, Any]]:
        """The code. The participant state is empty: session and client have all that a logout notice needs."""
        member = Member(grant, claims_of(grant.client.release, grant.attributes))
        return _answer(request.state, self._provider.authorize(request.state, member)), {}

    def refuse(self, request: SignOnRequest, refusal: Refusal, reference: str) -> Answer:
        told = {"error": front_channel_code(refusal), "error_description": describe(refusal, reference), "iss": self._url}
        state = {"state": request.state["state"]} if request.state["state"] else {}
        return _answer(request.state, AuthorizationErrorResponse(**told, **state))  # type: ignore[no-untyped-call]

    def logout_notice(self, participant: Participant, session: Session) -> Notice | None:
        client = oidc_client(self._clients, participant.client_id)
        return notice_to(client, session, issuer=self._url, keys=self._keys, now=self._now) if client else None

    def logout_answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:  # noqa: ARG002
        """Back to the client with its state; there is no way to tell it that another client could not be told."""
        return Redirect(return_url(state) or f"{self._url}/logout")

    def token(self, body: str, authorization: str) -> dict[str, Any]:
        """The token endpoint. Raises OAuthError."""
        response: dict[str, Any] = self._provider.handle_token_request(body, {"Authorization": authorization}).to_dict()
        return response

    def userinfo(self, authorization: str, body: str) -> dict[str, Any]:
        """What the bearer may see of the member (Core §5.3). Raises OAuthError."""
        token = self._state.find_access_token(_bearer(authorization, body))
        client = oidc_client(self._clients, token.client_id) if token else None
        if token is None or client is None:
            message = "The access token is not known, or its time or its session is over."
            raise OAuthError("invalid_token", "token_unknown", message, status=401, scheme="Bearer")
        return {**token.claims, "sub": subject_for(client, token.subject_id)}

    def introspect(self, body: str, authorization: str) -> dict[str, Any]:
        """RFC 7662: a client with a secret learns of its own tokens; of all others, that they are not active (S31). Raises OAuthError."""
        form = read_parameters(body)
        client = authenticate(self._clients, form, authorization)
        if settings_of(client).public:
            message = "Introspection is for clients with a secret."
            raise OAuthError("invalid_client", "client_authentication", message, status=401, scheme="Basic")
        token = self._state.find_access_token(form.get("token"))
        if token is None or token.client_id != client.id:
            return {"active": False}
        return self._active(client, token)

    def revoke(self, body: str, authorization: str) -> None:
        """RFC 7009. Raises OAuthError."""
        form = read_parameters(body)
        client = authenticate(self._clients, form, authorization)
        if not form.get("token"):
            raise OAuthError("invalid_request", "token_missing", "The parameter token is missing.", client_id=client.id)
        self._state.revoke_access_token(form.get("token"), client.id)

    def read_logout(self, text: str, session: Session | None) -> Ending | None:
        """A client's logout request in the browser of `session`; None when nothing proves it, so that the member must be asked (S42).

        The proof is an ID token that we signed for this client about the session of this browser. Raises BadRequest.
        """
        parameters = read_logout_parameters(text)
        hint = read_hint(parameters.get("id_token_hint"), issuer=self._url, keys=self._keys, now=self._now)
        client = oidc_client(self._clients, hint.client_id) if hint else None
        if hint is None or client is None or parameters.get("client_id") not in ("", client.id):
            return None
        if session is not None and session.id != hint.session_id:
            return None
        return ending_for(client, parameters, session_id=session.id if session else "")

    def allows_origin(self, origin: str) -> bool:
        """Whether scripts of that origin may call the machine endpoints: those of public clients' redirect URIs."""
        seen, origins = self._origins
        snapshot = self._clients.snapshot()
        if seen is not snapshot:
            public = [client for client in snapshot.of("oidc") if settings_of(client).public]
            origins = frozenset(origin_of(uri) for client in public for uri in settings_of(client).redirect_uris)
            self._origins = (snapshot, origins)
        return origin in origins

    def _active(self, client: Client, token: Token) -> dict[str, Any]:
        return {
            "active": True,
            "token_type": "Bearer",
            "client_id": client.id,
            "sub": subject_for(client, token.subject_id),
            "scope": token.scope,
            "iss": self._url,
            "iat": token.issued,
            "exp": token.expires,
        }


def _answer(state: Mapping[str, Any], message: Message) -> Answer:
    """By the response mode that was settled when the request was read."""
    uri = str(state["redirect_uri"])
    if state["response_mode"] == "form_post":
        return FormPost(uri, {name: str(value) for name, value in message.items()})  # type: ignore[no-untyped-call]
    return Redirect(str(message.request(uri)))  # type: ignore[no-untyped-call]


def _bearer(authorization: str, body: str) -> str:
    """The token of the header, or of a form body (RFC 6750 §2.1, §2.2); never of the query (§5.3). Raises OAuthError."""
    scheme, _, token = authorization.partition(" ")
    in_body = read_parameters(body).get("access_token")
    if authorization and in_body:
        raise OAuthError("invalid_request", "token_twice", "The access token came in the header and in the body.", scheme="Bearer")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if in_body and not authorization:
        return in_body
    raise OAuthError("", "token_missing", "An access token is needed: Authorization: Bearer ...", status=401, scheme="Bearer")
