"""OpenID Connect and OAuth 2.0 as one of the ways to ask and to answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, get_args
from urllib.parse import urlencode

from idp.audit import Audit
from idp.clock import Now
from idp.errors import Refusal
from idp.keys import KeyRing
from idp.protocols.oidc.address import origin_of
from idp.protocols.oidc.assertion import Assertions
from idp.protocols.oidc.authentication import ClientAuthentication
from idp.protocols.oidc.authorization import Requests
from idp.protocols.oidc.caller import Caller
from idp.protocols.oidc.claim import Member, claims_of, opened_by
from idp.protocols.oidc.client_key import ClientKeys, Fetch
from idp.protocols.oidc.error import OAuthError, OAuthRefusal, describe, front_channel_code
from idp.protocols.oidc.front_channel import FrontChannel
from idp.protocols.oidc.gate import oidc_client, settings_of
from idp.protocols.oidc.grant.desk import TokenDesk
from idp.protocols.oidc.grant.device_sign_on import is_of_device
from idp.protocols.oidc.grant.request import TokenRequest
from idp.protocols.oidc.grant.standing import Gone
from idp.protocols.oidc.hint import read_hint
from idp.protocols.oidc.logout import Ending, ending_for, notice_to, read_logout_parameters, return_url
from idp.protocols.oidc.metadata import Documents, Offer, metadata_of
from idp.protocols.oidc.parameter import read_parameters
from idp.protocols.oidc.proof import Proofs
from idp.protocols.oidc.provider import PLACES, OidcProvider
from idp.protocols.oidc.pushed import PushedRequests
from idp.protocols.oidc.registration.desk import RegistrationDesk
from idp.protocols.oidc.request_object import RequestObjects
from idp.protocols.oidc.response import Responses
from idp.protocols.oidc.session_state import asking_origins, browser_state, session_state, with_state
from idp.protocols.oidc.settings import OidcServerSettings, ResponseType
from idp.protocols.oidc.signing import Signer
from idp.protocols.oidc.state import OidcState
from idp.sso.answer import Answer, Redirect
from idp.sso.client import Client, Clients, Snapshot
from idp.sso.notice import Notice
from idp.sso.protocol import Grant, SignOnRequest
from idp.sso.session import Participant, Session, Sessions
from idp.sso.subject import Subjects
from idp.sso.ticket import Tickets
from idp.store import Store


class OidcProtocol:
    """The authorization server. Every store operation of a request is listed in README.md."""

    name = "oidc"

    def __init__(
        self,
        url: str,
        *,
        clients: Clients,
        keys: KeyRing,
        store: Store,
        sessions: Sessions,
        codes: Tickets,
        subjects: Subjects,
        gone: Gone,
        fetch: Fetch,
        audit: Audit,
        now: Now,
        server: OidcServerSettings,
        certificates: bool = False,
    ) -> None:
        self.documents = Documents(url, keys, clients, Offer(certificates=certificates, registration=server.registration))
        self.registration = RegistrationDesk(
            url, server, clients=clients, keys=keys, store=store, fetch=fetch, audit=audit, now=now, certificates=certificates
        )
        self._url = url
        self._clients = clients
        self._keys = keys
        self._now = now
        self._client_keys = ClientKeys(store, fetch, now=now)
        self._authentication = ClientAuthentication(clients, Assertions(url, store, self._client_keys, now=now))
        self._signer = Signer(keys, self._client_keys)
        self._provider = OidcProvider(
            metadata_of(url, Offer(response_types=get_args(ResponseType))),
            state=OidcState(codes),
            clients=clients,
            keys=keys,
            signer=self._signer,
            now=now,
        )
        self.proofs = Proofs(keys, store, now=now)
        self._pushed = PushedRequests(store, now=now)
        self._responses = Responses(url, self._signer, now=now)
        self._requests = Requests(
            url,
            clients=clients,
            keys=keys,
            provider=self._provider,
            signer=self._signer,
            authentication=self._authentication,
            pushed=self._pushed,
            objects=RequestObjects(url, self._client_keys, fetch, now=now),
            proofs=self.proofs,
            now=now,
        )
        self.desk = TokenDesk(
            url,
            authenticate=self._authentication.prove,
            provider=self._provider,
            clients=clients,
            keys=keys,
            signer=self._signer,
            store=store,
            sessions=sessions,
            subjects=subjects,
            codes=codes,
            gone=gone,
            audit=audit,
            now=now,
            confirm=self.proofs.confirm,
            check_holder=self.proofs.check_holder,
        )
        self._front_channel = FrontChannel(self._provider, self.desk.tokens)
        self._origins: tuple[Snapshot | None, frozenset[str]] = (None, frozenset())

    def read(self, text: str) -> tuple[SignOnRequest, Refusal | None]:
        """An authorization request; with a Refusal when it must be refused. Raises BadRequest (S2)."""
        return self._requests.read(text)

    def push(self, body: str, caller: Caller) -> dict[str, Any]:
        """A pushed authorization request (RFC 9126). Raises OAuthError, OAuthRefusal."""
        return self._requests.push(body, caller)

    def respond(self, request: SignOnRequest, grant: Grant) -> tuple[Answer, Mapping[str, Any]]:
        """The code. The participant state is empty: session and client have all that a logout notice needs."""
        if is_of_device(request):
            return self.desk.device_sign_on.let_in(request, grant), {}
        member = Member(grant, claims_of(grant.client.release, grant.attributes))
        _check_context(request, grant)
        told = self._front_channel.answer(request.state, member)
        if request.state.get("pushed"):
            self._pushed.spend(request.state["pushed"])
        if not settings_of(grant.client).session_management or "openid" not in request.state["scope"]:
            return self._responses.make(grant.client, request.state, told), {}
        state = browser_state(self._keys, grant.session)
        told["session_state"] = session_state(grant.client.id, request.state["redirect_uri"], state)
        return with_state(self._responses.make(grant.client, request.state, told), state), {}

    def discloses(self, request: SignOnRequest, grant: Grant) -> Collection[str]:
        """The claims of this request, and what its scopes open later."""
        member = Member(grant, claims_of(grant.client.release, grant.attributes))
        claims = {name for place in PLACES for name in self._provider.claims_at(place, request.state, member)}
        opened = opened_by(settings_of(grant.client).member_data, request.state["scope"])
        return claims | opened | ({"offline_access"} & set(request.state["scope"]))

    def launch_url(self, client: Client) -> str:
        """The client's page for logins that begin elsewhere, with our name (Core §4)."""
        uri = settings_of(client).initiate_login_uri
        return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'iss': self._url})}" if uri else ""

    def withdraw(self, subject_id: str, client_id: str) -> None:
        """Codes, access and refresh tokens of the client about the member."""
        self.desk.withdraw(subject_id, client_id)

    def refuse(self, request: SignOnRequest, refusal: Refusal, reference: str) -> Answer:
        if is_of_device(request):
            return self.desk.device_sign_on.refused(request, reference)
        told = {"error": front_channel_code(refusal), "error_description": describe(refusal, reference)}
        state = {"state": request.state["state"]} if request.state["state"] else {}
        return self._responses.make(oidc_client(self._clients, request.client_id), request.state, told | state)

    def logout_notice(self, participant: Participant, session: Session) -> Notice | None:
        client = oidc_client(self._clients, participant.client_id)
        return notice_to(client, session, issuer=self._url, keys=self._keys, signer=self._signer, now=self._now) if client else None

    def logout_answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:  # noqa: ARG002
        """Back to the client with its state; there is no way to tell it that another client could not be told."""
        return Redirect(return_url(state) or f"{self._url}/logout")

    def token(self, body: str, caller: Caller) -> dict[str, Any]:
        """The token endpoint. Raises OAuthError."""
        return self.desk.endpoint.answer(body, caller)

    def userinfo(self, caller: Caller, body: str) -> dict[str, Any] | str:
        """What the bearer may see of the member (Core §5.3), signed where the client wants it so. Raises OAuthError."""
        client, claims = self.desk.resource.userinfo(caller, body)
        return self._signer.for_userinfo(client, {"iss": self._url, "aud": client.id, **claims}) or claims

    def introspect(self, body: str, caller: Caller) -> tuple[dict[str, Any], Client]:
        """RFC 7662: what there is to know of a token, and who asked. Raises OAuthError."""
        form = read_parameters(body)
        client = self._authentication.prove(form, caller)
        return self.desk.inspection.describe(form.get("token"), client), client

    def revoke(self, body: str, caller: Caller) -> None:
        """RFC 7009. Raises OAuthError."""
        form = read_parameters(body)
        client = self._authentication.prove(form, caller)
        if not form.get("token"):
            raise OAuthError("invalid_request", "token_missing", "The parameter token is missing.", client_id=client.id)
        self.desk.inspection.revoke(form.get("token"), client)

    def introspect_signed(self, body: str, caller: Caller) -> str:
        """The same, signed (RFC 9701). Raises OAuthError."""
        described, client = self.introspect(body, caller)
        return self.desk.inspection.signed(described, client)

    def begin_device(self, body: str, caller: Caller) -> dict[str, Any]:
        """The device authorization endpoint (RFC 8628 §3.1). Raises OAuthError."""
        form = read_parameters(body)
        return self.desk.devices.begin(TokenRequest(self._authentication.prove(form, caller), form))

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

    def watching_origins(self) -> list[str]:
        """Whose pages may watch for a sign-out in our frame."""
        return asking_origins(self._clients)

    def allows_origin(self, origin: str) -> bool:
        """Whether scripts of that origin may call the machine endpoints: those of public clients' redirect URIs."""
        seen, origins = self._origins
        snapshot = self._clients.snapshot()
        if seen is not snapshot:
            public = [client for client in snapshot.of("oidc") if settings_of(client).public]
            origins = frozenset(origin_of(uri) for client in public for uri in settings_of(client).redirect_uris)
            self._origins = (snapshot, origins)
        return origin in origins


def _check_context(request: SignOnRequest, grant: Grant) -> None:
    """An essential `acr` is kept or refused; there is no stronger sign-in to step up to (Core §5.5.1.1). Raises OAuthRefusal."""
    wanted = request.state.get("contexts")
    if wanted and grant.session.context not in wanted:
        message = "The application insists on a way of signing in that is not offered here."
        raise OAuthRefusal(
            "unmet_authentication_requirements", "acr_unmet", message, expected=" ".join(wanted), received=grant.session.context
        )
