"""SAML as one of the ways to ask and to answer: AuthnRequest -> SignOnRequest, session -> signed Response."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from idp.audit import Audit
from idp.clock import Now
from idp.directory import Subject
from idp.errors import BadRequest, IdpError, Refusal
from idp.keys import KeyRing
from idp.protocols.saml.artifact import Artifacts, artifact_url
from idp.protocols.saml.assertion import NameId, Statement, write_assertion
from idp.protocols.saml.attribute import Attributes, asked_index, requested
from idp.protocols.saml.authority import Authority, FindSubject
from idp.protocols.saml.context import PREVIOUS_SESSION, ContextOrder, achieved_in, read_context
from idp.protocols.saml.descriptor import Descriptor, Document
from idp.protocols.saml.document import ARTIFACT, SOAP, Element, parse
from idp.protocols.saml.entity import Endpoint, ServiceProvider
from idp.protocols.saml.gate import Envelope, Gate
from idp.protocols.saml.logout import SamlLogout
from idp.protocols.saml.message import Protection, Writer, post_value
from idp.protocols.saml.metadata import read_metadata
from idp.protocols.saml.name_id import NameIds, Policy
from idp.protocols.saml.provider import Known, Providers, naming
from idp.protocols.saml.reader import Follower, Readers
from idp.protocols.saml.refusal import status_of
from idp.protocols.saml.request import Asked, choose_acs, find_objection, is_true, read_policy, relay_state_to_return
from idp.protocols.saml.settings import SamlServerSettings
from idp.protocols.saml.signer import Signer, Signers
from idp.protocols.saml.soap import ecp_response
from idp.protocols.saml.source.federation import Federations
from idp.protocols.saml.source.library import Library
from idp.protocols.saml.subject_name import Pairwise, SubjectNames
from idp.secret import new_id
from idp.sso.answer import Answer, FormPost, Redirect
from idp.sso.client import Client, Clients
from idp.sso.notice import Notice
from idp.sso.protocol import Grant, SignOnRequest
from idp.sso.session import PASSWORD, Participant, Session, Sessions
from idp.store import Store
from idp.store.reading import read_as

_ANY_CONTEXT: Mapping[str, Any] = {"classes": None, "comparison": "exact"}
_ANY_AGE = 2**31
"""A `max_age` in seconds that no session reaches: what is wanted is a sign-in whose time is known."""


class SamlProtocol:
    """The identity provider's side of Web Browser SSO; `logout` has the Single Logout side."""

    name = "saml"
    bounds_sessions = True  # by SessionNotOnOrAfter

    def __init__(
        self,
        settings: SamlServerSettings,
        *,
        url: str,
        clients: Clients,
        sessions: Sessions,
        keys: KeyRing,
        pairwise: Pairwise,
        store: Store,
        audit: Audit,
        now: Now,
        find_subject: FindSubject | None = None,
        federations: Federations | None = None,
        new_id: Callable[[], str] = new_id,
    ) -> None:
        self.sso_url = f"{url}/saml/sso"
        self.ecp_url = f"{url}/saml/ecp"
        self._start_url = f"{url}/saml/start"
        self.has_ecp = settings.ecp
        self._descriptor = Descriptor(url, settings, keys=keys, now=now, new_id=new_id)
        self.entity_id = self._descriptor.entity_id
        self._settings = settings
        self._audit = audit
        self._library = Library(settings, store, audit=audit, now=now)
        self._providers = Providers(clients, library=self._library, federations=federations, audit=audit, now=now)
        self._signers = Signers(keys)
        self._clients = clients
        self.readers = Readers(store, now=now)
        self._now = now
        self._gate = Gate(store, now=now, window=settings.message_window)
        self._writer = Writer(self.entity_id, now=now, new_id=new_id)
        names = SubjectNames(store, pairwise=pairwise)
        self._name_ids = NameIds(self.entity_id, names=names, new_id=new_id)
        self._attributes = Attributes(settings, names=names)
        self._contexts = ContextOrder(settings.context_order)
        self._artifacts = Artifacts(self.entity_id, store=store, now=now)
        self.authority = Authority(
            settings,
            url=url,
            issuer=self.entity_id,
            gate=self._gate,
            writer=self._writer,
            providers=self._providers,
            signers=self._signers,
            artifacts=self._artifacts,
            attributes=self._attributes,
            names=names,
            find_subject=find_subject,
            now=now,
        )
        self.logout = SamlLogout(
            url,
            gate=self._gate,
            writer=self._writer,
            providers=self._providers,
            sessions=sessions,
            names=names,
            keys=keys,
            signers=self._signers,
            store=store,
            relay_state_limit=settings.relay_state_limit,
            now=now,
            new_id=new_id,
        )

    def metadata(self, client_id: str = "") -> bytes:
        """Our own metadata, signed; for one application, with the key that its settings name. Raises IdpError when there is none such."""
        return self.document(client_id).octets

    def document(self, client_id: str = "") -> Document:
        """As `metadata`, with what a server needs to know of them."""
        client = self._clients.get(client_id) if client_id else None
        if client_id and (client is None or client.protocol != self.name):
            raise IdpError("saml.client_unknown", "There is no such SAML application.", received=client_id, status=404)
        return self._descriptor.document(client.settings.signing_key if client else "")

    def followers(self, kid: str) -> list[Follower]:
        """Every service provider, and whether it is known to have this key of ours."""
        return self.readers.followers(self._clients.snapshot().of(self.name), kid)

    def named_keys(self) -> frozenset[str]:
        """The keys of ours that settings of service providers name."""
        return frozenset(client.settings.signing_key for client in self._clients.snapshot().of(self.name)) - {""}

    def check_keys(self) -> None:
        """Raises KeyProblem when there is a service provider for which we could not sign."""
        for client in self._clients.snapshot().of(self.name):
            self._signers.of(self._providers.by_client(client.id))

    def read_provider(self, metadata: str, entity_id: str = "") -> ServiceProvider:
        """The service provider in a metadata document, as `SamlSettings.metadata_xml` would hold it; the entity ID says which of several.
        Raises MetadataProblem."""
        return read_metadata(metadata.encode(), entity_id=entity_id)

    def known(self) -> list[Known]:
        """Every client with what its metadata say, for `idp check`."""
        return self._providers.all()

    def unusable(self) -> list[str]:
        """A sentence for each client to which no member can sign on, with the reason."""
        return self._providers.unusable()

    def folder_problems(self) -> list[str]:
        """A sentence for each file of the metadata folder that cannot be used."""
        return self._library.folder_problems()

    def kind(self, envelope: Envelope) -> str:
        """Which of the messages that come by SOAP it is; nothing is verified yet. Raises BadRequest."""
        return self._gate.open(envelope, "LogoutRequest", "ArtifactResolve", "AttributeQuery").name

    def read(self, envelope: Envelope) -> Asked:
        """What a service provider asks, by a browser or, in SOAP, by an enhanced client (ECP). Raises BadRequest while no return address is
        known to be good."""
        by_soap = envelope.binding == SOAP
        location = self.ecp_url if by_soap else self.sso_url
        opened = self._gate.open(envelope, "AuthnRequest")
        known = self._providers.by_entity(opened.issuer)
        until = known.settings.legacy_algorithms_until
        with naming(known):
            admitted = self._gate.admit(
                opened, known.provider, location=location, must_be_signed=known.must_sign_requests, legacy_until=until
            )
            acs = choose_acs(admitted.message, known.provider, by_soap=by_soap)
        message = admitted.message
        classes, comparison = read_context(message)
        request = self._sign_on_request(
            known,
            acs,
            request_id=message.id,
            relay_state=relay_state_to_return(admitted.relay_state, self._settings.relay_state_limit),
            policy=read_policy(message),
            context={"classes": classes, "comparison": comparison},
            attributes=asked_index(message),
            passive=is_true(message.is_passive),
            fresh=is_true(message.force_authn),
        )
        limit = self._settings.relay_state_limit
        objection = find_objection(admitted, acs, entity_id=self.entity_id, relay_state_limit=limit)
        return Asked(request, objection or self._object(request, known))

    def ecp_answer(self, answer: Answer) -> bytes:
        """The answer to an enhanced client, in SOAP. Raises BadRequest when the sequence wants a browser."""
        if not isinstance(answer, FormPost):
            raise BadRequest("saml.ecp_browser", "This sign-in needs a browser.")
        return ecp_response(parse(base64.b64decode(answer.fields["SAMLResponse"])), answer.url)

    def launch_url(self, client: Client) -> str:
        """Where a member starts: here, where the client allows it (S62), else where its metadata say that it begins by itself; or empty."""
        known = self._providers.by_client(client.id)
        if known is None:
            return ""
        if known.settings.idp_initiated:
            return f"{self._start_url}?{urlencode({'sp': known.provider.entity_id})}"
        return _begun_with(self.entity_id, known.provider.initiator) if known.provider.initiator else ""

    def start(self, entity_id: str, relay_state: str) -> SignOnRequest:
        """A sign-on that the member starts here, where the client allows it (S62). Raises BadRequest."""
        known = self._providers.by_entity(entity_id)
        if not known.settings.idp_initiated:
            raise BadRequest(
                "saml.idp_initiated_off",
                "This application has to be opened at its own address.",
                expected="idp_initiated = true for the application",
                client_id=known.client.id,
            )
        wanted = relay_state_to_return(relay_state, self._settings.relay_state_limit) or known.settings.relay_state
        return self._sign_on_request(known, known.provider.default_acs, relay_state=wanted)

    def respond(self, request: SignOnRequest, grant: Grant) -> tuple[Answer, Mapping[str, Any]]:
        """The signed Response, and what a LogoutRequest will need. Raises Refusal when the member lacks the identifier."""
        known = self._known(request)
        state = request.state
        earlier = known.client.part_in(grant.session)
        before = read_as(NameId, earlier.state["name_id"]) if earlier and earlier.state else None
        name_id = self._name_ids.make(read_as(Policy, state["policy"]), known, grant.subject, before=before)
        attributes = self._attributes.choose(grant.attributes, known, grant.subject, index=state["attributes"])
        if attributes.keys() - grant.attributes.keys():  # `signon.ok` names what the client's own release holds, and no more
            self._audit.record("saml.released_beside", client=known.client.id, released=sorted(attributes.keys() - grant.attributes.keys()))
        context = self._context(request, achieved_in(grant.session))
        statement = self._statement(known, state, grant.session, name_id=name_id, attributes=attributes, context=context)
        signer = self._signers.of(known)
        root = self._writer.response(statement, _protection(known, signer), signer.key)
        self.authority.remember(known, grant.subject, name_id, ends=grant.session.ends)
        return self._send(request, root, grant.session.id), self.logout.participant_state(name_id, statement.session_index)

    def _statement(
        self,
        known: Known,
        state: Mapping[str, Any],
        session: Session,
        *,
        name_id: NameId | None,
        attributes: Mapping[str, tuple[str, ...]],
        context: str,
    ) -> Statement:
        issued = self._now()
        return Statement(
            issuer=self.entity_id,
            audience=known.provider.entity_id,
            recipient=state["acs"],
            in_response_to=state["request_id"],
            issued=issued,
            not_before=issued - self._settings.not_before_margin,
            not_on_or_after=issued + self._settings.assertion_life,
            auth_time=session.auth_time,
            session_index=self.logout.index_of(session, known.client.id),
            session_ends=session.ends,
            context=context,
            name_id=name_id,
            attributes=attributes,
            attribute_format=known.settings.attribute_format,
            consent=known.settings.consent,
        )

    def refuse(self, request: SignOnRequest, refusal: Refusal, reference: str) -> Answer:
        """A signed Response that says no, with our reference in its StatusMessage (IIP-IDP05)."""
        status = status_of(refusal, reference)
        state, signer = request.state, self._signers.of(self._providers.by_client(request.client_id))
        root = self._writer.refusal(status, recipient=state["acs"], in_response_to=state["request_id"], key=signer.key, suite=signer.suite)
        return self._send(request, root, "")

    def preview(self, client_id: str, subject: Subject, session: Session) -> bytes:
        """The assertion that the client would get for the member, unsigned, for whoever connects it; nothing is stored. Raises Refusal."""
        known = self._providers.by_client(client_id)
        if known is None:
            raise BadRequest("client.unknown", "There is no such SAML application.", received=client_id)
        request = self._sign_on_request(known, known.provider.default_acs)
        released = self._attributes.choose(known.client.release.apply(subject, self._now), known, subject, index=None)
        name_id = self._name_ids.preview(known, subject)
        statement = self._statement(known, request.state, session, name_id=name_id, attributes=released, context=achieved_in(session))
        return write_assertion(statement)

    def logout_notice(self, participant: Participant, session: Session) -> Notice | None:  # noqa: ARG002  SessionIndex is in the state
        """A LogoutRequest; None when the application takes none."""
        return self.logout.notice(participant)

    def logout_answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:
        """The LogoutResponse to the application that began the logout."""
        return self.logout.answer(state, complete=complete)

    def _sign_on_request(
        self,
        known: Known,
        acs: Endpoint,
        *,
        request_id: str = "",
        relay_state: str = "",
        policy: Policy = Policy(),  # noqa: B008  it is frozen
        context: Mapping[str, Any] = _ANY_CONTEXT,
        attributes: int | None = None,
        passive: bool = False,
        fresh: bool = False,
    ) -> SignOnRequest:
        state = {
            "acs": acs.location,
            "binding": acs.binding,
            "request_id": request_id,
            "relay_state": relay_state,
            "policy": asdict(policy),
            "context": dict(context),
            "attributes": attributes,
        }
        max_age = None if self._is_met_by(PREVIOUS_SESSION, context) else _ANY_AGE
        return SignOnRequest(self.name, known.client.id, state, passive=passive, fresh=fresh, max_age=max_age)

    def _object(self, request: SignOnRequest, known: Known) -> Refusal | None:
        """What cannot be had whoever signs in: with a password, the one way to sign in that there is."""
        objection = self._name_ids.object_to(read_as(Policy, request.state["policy"]), known)
        try:
            self._context(request, PASSWORD)
            if known.settings.release_requested != "ignore":
                requested(known, request.state["attributes"])
        except Refusal as refusal:
            return objection or refusal
        return objection

    def _context(self, request: SignOnRequest, achieved: str) -> str:
        """The class to state. Raises Refusal when the sign-in is not what was asked for."""
        asked = request.state["context"]
        stated = self._contexts.state(asked["classes"], asked["comparison"], achieved)
        if stated is None:
            raise Refusal(
                "saml.authn_context",
                "The application asks for another way to sign in.",
                expected=" or ".join(self._contexts.names()),
                received=f"{asked['comparison']} {' '.join(asked['classes'])}",
            )
        return stated

    def _is_met_by(self, achieved: str, asked: Mapping[str, Any]) -> bool:
        return self._contexts.state(asked["classes"], asked["comparison"], achieved) is not None

    def _send(self, request: SignOnRequest, root: Element, session_id: str) -> Answer:
        """By the binding of the return address."""
        state = request.state
        if state["binding"] == ARTIFACT:
            artifact = self._artifacts.issue(request.client_id, session_id, root)
            return Redirect(artifact_url(state["acs"], artifact, state["relay_state"]))
        return _post(state, root)

    def _known(self, request: SignOnRequest) -> Known:
        """The client as it is now: its return address may have been withdrawn while the member signed in."""
        known = self._providers.by_client(request.client_id)
        if known is None or known.provider.acs_at(request.state["acs"], request.state["binding"]) is None:
            raise BadRequest(
                "saml.acs_withdrawn",
                "The application's settings were changed meanwhile. Please start again there.",
                client_id=request.client_id,
            )
        return known


def _protection(known: Known, signer: Signer) -> Protection:
    sign = known.settings.sign
    return Protection(
        sign_assertion=sign != "response" or known.provider.want_assertions_signed,
        sign_response=sign != "assertion",
        encrypt_for=known.provider.encryption_keys if known.settings.encrypt else None,
        suite=signer.suite,
    )


def _begun_with(entity_id: str, initiator: str) -> str:
    """The application's RequestInitiator, told which identity provider is meant, so that it asks nobody."""
    return f"{initiator}{'&' if '?' in initiator else '?'}{urlencode({'entityID': entity_id})}"


def _post(state: Mapping[str, Any], root: Any) -> FormPost:
    fields = {"SAMLResponse": post_value(root)}
    if state["relay_state"]:
        fields["RelayState"] = state["relay_state"]
    return FormPost(state["acs"], fields)
