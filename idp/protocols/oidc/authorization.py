"""The authorization request, whichever way it came: in the query, pushed before (RFC 9126), or signed by its client (RFC 9101)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from idp.clock import Now
from idp.errors import BadRequest, Refusal
from idp.keys import KeyRing
from idp.protocols.oidc.authentication import ClientAuthentication
from idp.protocols.oidc.caller import Caller
from idp.protocols.oidc.claim import demanded_contexts, read_claims_parameter
from idp.protocols.oidc.error import OAuthError, OAuthRefusal
from idp.protocols.oidc.gate import (
    check_rules,
    check_way,
    echoed_state,
    granted_resources,
    granted_scopes,
    known_client,
    registered_redirect,
    requested_max_age,
    response_mode,
    settings_of,
)
from idp.protocols.oidc.hint import read_hint
from idp.protocols.oidc.parameter import Parameters, read_parameters
from idp.protocols.oidc.proof import Proofs
from idp.protocols.oidc.provider import OidcProvider
from idp.protocols.oidc.pushed import LIFE, PREFIX, PushedRequests
from idp.protocols.oidc.request_object import RequestObjects
from idp.protocols.oidc.signing import Signer
from idp.sso.client import Client, Clients
from idp.sso.protocol import SignOnRequest

_READ_BESIDE_PYOP = frozenset({"claims", "id_token_hint", "max_age", "response_mode", "resource", "dpop_jkt"})
_KEPT = ("client_id", "redirect_uri", "response_type", "state", "nonce", "code_challenge")
_OF_AUTHENTICATION = frozenset({"client_secret", "client_assertion", "client_assertion_type"})


@dataclass(frozen=True)
class _Came:
    """A request's parameters, the reference under which they were pushed, and whether their client signed them."""

    parameters: Parameters
    pushed: str = ""
    signed: bool = False


class Requests:
    """Reads authorization requests."""

    def __init__(
        self,
        url: str,
        *,
        clients: Clients,
        keys: KeyRing,
        provider: OidcProvider,
        signer: Signer,
        authentication: ClientAuthentication,
        pushed: PushedRequests,
        objects: RequestObjects,
        proofs: Proofs,
        now: Now,
    ) -> None:
        self._url = url
        self._clients = clients
        self._keys = keys
        self._provider = provider
        self._signer = signer
        self._authentication = authentication
        self._pushed = pushed
        self._objects = objects
        self._proofs = proofs
        self._now = now

    def read(self, text: str) -> tuple[SignOnRequest, Refusal | None]:
        """An authorization request, from its query string or form body; with a Refusal when it must be refused.

        Raises BadRequest while there is no address to which a refusal may go (S2).
        """
        sent = read_parameters(text)
        client = known_client(self._clients, sent)
        try:
            came = self._resolved(client, sent)
        except OAuthRefusal as refusal:
            if not settings_of(client).allows_redirect(sent.get("redirect_uri")) or "redirect_uri" in sent.repeated:
                raise BadRequest(refusal.cause, refusal.message, client_id=client.id) from None
            return SignOnRequest("oidc", client.id, _way_back(client, sent)), refusal
        back = _way_back(client, came.parameters)
        try:
            check_way(client, is_pushed=bool(came.pushed), is_signed=came.signed)
            return self._asked(client, came, back), None
        except Refusal as refusal:
            return SignOnRequest("oidc", client.id, back), refusal

    def push(self, body: str, caller: Caller) -> dict[str, Any]:
        """The pushed authorization request endpoint (RFC 9126 §2). Raises OAuthError, or the request's own refusal."""
        form = read_parameters(body)
        client = self._authentication.prove(form, caller)
        if form.get("request_uri"):
            message = "A pushed request has no request_uri (RFC 9126 2.1)."
            raise OAuthError("invalid_request", "request_uri_pushed", message, client_id=client.id)
        sent = Parameters({**form.without(_OF_AUTHENTICATION), "client_id": client.id}, form.repeated, form.lists)
        came = self._resolved(client, sent)
        parameters = self._with_proof(client, came.parameters, caller)
        check_way(client, is_pushed=True, is_signed=came.signed)
        self._asked(client, _Came(parameters), _way_back(client, parameters))
        return {"request_uri": self._pushed.keep(client.id, parameters), "expires_in": LIFE}

    def _with_proof(self, client: Client, parameters: Parameters, caller: Caller) -> Parameters:
        """A DPoP proof at this endpoint binds the code to its key, as `dpop_jkt` does (RFC 9449 §10.1)."""
        thumb = self._proofs.thumb(client, caller)
        if not thumb:
            return parameters
        if parameters.get("dpop_jkt") not in ("", thumb):
            message = "The dpop_jkt is not the thumbprint of the key behind the DPoP proof."
            raise OAuthError("invalid_dpop_proof", "dpop_jkt", message, client_id=client.id)
        return parameters.with_values({"dpop_jkt": thumb})

    def _resolved(self, client: Client, sent: Parameters) -> _Came:
        """What the request says, wherever it says it. Raises BadRequest, OAuthRefusal."""
        for name in ("request", "request_uri"):
            if name in sent.repeated:
                raise OAuthRefusal(
                    "invalid_request", "parameter_repeated", "A parameter came more than once (RFC 6749 3.1).", received=name
                )
        uri, token = sent.get("request_uri"), sent.get("request")
        if uri and token:
            raise OAuthRefusal("invalid_request", "request_twice", "A request has a request or a request_uri, not both (RFC 9101 5).")
        if uri.startswith(PREFIX):
            return self._pushed_before(client, uri)
        if uri:
            token = self._objects.fetch(client, uri)
        if not token:
            return _Came(sent)
        inside = self._objects.read(client, token)
        return _Came(Parameters({**inside, "client_id": client.id}, frozenset()), signed=True)

    def _pushed_before(self, client: Client, uri: str) -> _Came:
        parameters = self._pushed.find(uri, client.id)
        if parameters is None:
            message = "This sign-in was completed before, or took too long to begin. Go back to the application and start again."
            raise BadRequest("oidc.request_uri_unknown", message, client_id=client.id)
        return _Came(parameters, uri, signed=True)  # what had to be signed was looked at when it was pushed

    def _asked(self, client: Client, came: _Came, back: Mapping[str, str]) -> SignOnRequest:
        parameters = came.parameters
        self._signer.check(client)
        check_rules(client, parameters)
        requested, demanded = read_claims_parameter(parameters.get("claims"), client.release)
        demanded = self._hinted(client, parameters) or demanded
        scopes = granted_scopes(client, parameters)
        # pyop refuses offline_access without prompt=consent; Core §11 lets the association's own policy stand in its place
        read_by_pyop = {**parameters.without(_READ_BESIDE_PYOP), "scope": " ".join(each for each in scopes if each != "offline_access")}
        message = self._provider.parse_authentication_request(urlencode(read_by_pyop))
        prompts = set(parameters.get("prompt").split())
        max_age = requested_max_age(parameters)
        if max_age is None:
            max_age = settings_of(client).default_max_age
        asked: dict[str, Any] = {**back, **{name: message[name] for name in _KEPT if name in message}, "scope": scopes, "claims": requested}
        asked |= {"demanded_sub": demanded, "dpop_jkt": parameters.get("dpop_jkt"), "pushed": came.pushed}
        asked["contexts"] = demanded_contexts(parameters.get("claims"))
        asked["resource"] = granted_resources(client, parameters)
        return SignOnRequest(
            "oidc",
            client.id,
            {name: value for name, value in asked.items() if value or name in ("state", "scope", "claims")},
            passive="none" in prompts,
            # choosing an account means signing in
            fresh=bool(prompts & {"login", "select_account"}) or max_age == 0,
            max_age=max_age,
            login_hint=parameters.get("login_hint")[:256],
            ask_consent="consent" in prompts,
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
        return hint.subject


def _way_back(client: Client, parameters: Parameters) -> dict[str, str]:
    return {
        "redirect_uri": registered_redirect(client, parameters),
        "response_mode": response_mode(client, parameters),
        "state": echoed_state(parameters),
    }
