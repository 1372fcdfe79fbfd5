"""Single Logout, both directions: a service provider begins it, or hears of it (Profiles section 4.4).

The browser goes from one to the next by top-level redirects, never in frames, where third-party cookies are blocked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from idp.clock import Now
from idp.errors import BadRequest, IdpError, Refusal
from idp.keys import KeyRing
from idp.keys.session_name import SessionNames
from idp.protocols.saml.assertion import NameId
from idp.protocols.saml.decryption import decrypt_name_id
from idp.protocols.saml.document import POST, REDIRECT, SAML, SOAP, Element, qualified
from idp.protocols.saml.entity import Endpoint
from idp.protocols.saml.gate import Admitted, Envelope, Gate
from idp.protocols.saml.message import Status, Writer, post_value, redirect_url
from idp.protocols.saml.provider import Known, Providers, naming
from idp.protocols.saml.request import object_to_relay_state, relay_state_to_return
from idp.protocols.saml.settings import UNSPECIFIED
from idp.protocols.saml.signature import sign_enveloped
from idp.protocols.saml.signer import Signer, Signers
from idp.protocols.saml.soap import CONTENT_TYPE, from_soap, to_soap
from idp.protocols.saml.subject_name import SubjectNames
from idp.sso.answer import Answer, FormPost, Redirect
from idp.sso.logout import Beginning
from idp.sso.notice import BackChannel, FrontChannel, Letter, Notice
from idp.sso.session import Participant, Session, Sessions
from idp.store import Store
from idp.store.reading import read_as

_ASYNCHRONOUS = "urn:oasis:names:tc:SAML:2.0:protocol:ext:async-slo"
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_PARTIAL = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"
_CHOICE_LIFE = 3600
_MOST_SESSIONS = 50  # of one LogoutRequest; each costs a look into the store
_BINDINGS = {"auto": (REDIRECT, SOAP, POST), "redirect": (REDIRECT,), "post": (POST,), "soap": (SOAP,)}


@dataclass(frozen=True)
class LogoutAsked:
    """A good LogoutRequest. `session_ids` are the sessions to end, this browser's first; none when only the answer remains.
    With `choice` the member is asked first whether everything shall end, or this application's session alone (eGOV-096).
    `objection` is why nothing ends, where the application is told of it."""

    session_ids: tuple[str, ...]
    beginning: Beginning
    choice: bool = False
    objection: Refusal | None = None

    def incomplete(self) -> LogoutAsked:
        """The same, after one of the sessions ended without everybody hearing of it."""
        state = {**self.beginning.state, "partial": True}
        return replace(self, beginning=replace(self.beginning, state=state))


@dataclass(frozen=True)
class LogoutReplied:
    """A good LogoutResponse to a request of ours; `done` is False when the application could not end its session."""

    client_id: str
    in_response_to: str
    done: bool


class SamlLogout:
    """Reads and writes logout messages. All that come in must be signed (S46, SDP-IDP26), all that go out are (SDP-IDP30)."""

    def __init__(
        self,
        url: str,
        *,
        gate: Gate,
        writer: Writer,
        providers: Providers,
        sessions: Sessions,
        names: SubjectNames,
        keys: KeyRing,
        signers: Signers,
        store: Store,
        relay_state_limit: int,
        now: Now,
        new_id: Callable[[], str],
    ) -> None:
        self.slo_url = f"{url}/saml/slo"
        self.soap_url = f"{url}/saml/soap"
        self._end_url = f"{url}/logout"
        self._gate = gate
        self._writer = writer
        self._providers = providers
        self._sessions = sessions
        self._names = names
        self._keys = keys
        self._signers = signers
        self.indexes = SessionNames(keys, protocol="saml")
        self._store = store
        self._relay_state_limit = relay_state_limit
        self._now = now
        self._new_id = new_id

    def read_request(self, envelope: Envelope, browser_session: Session | None) -> LogoutAsked:
        """Which sessions a service provider ends. Raises BadRequest."""
        known, admitted = self._admit(envelope, "LogoutRequest")
        name_id = self._name_id(admitted)
        indexes = [str(each.text or "").strip() for each in admitted.message.session_index][:_MOST_SESSIONS]
        sessions: list[Session] = []
        status = ["Requester", "RequestUnsupported"]
        objection = object_to_relay_state(admitted.relay_state, self._relay_state_limit)
        if name_id is not None and objection is None:
            sessions, status = self._find(name_id, indexes, known, browser_session)
        state = {
            "client_id": known.client.id,
            "request_id": admitted.message.id,
            "relay_state": relay_state_to_return(admitted.relay_state, self._relay_state_limit),
            "status": status,
            "asynchronous": _is_asynchronous(admitted.message),
            "partial": False,
        }
        here = browser_session.id if browser_session else ""
        identifiers = sorted({session.id for session in sessions}, key=lambda each: (each != here, each))
        choice = known.settings.logout_choice and here in identifiers
        return LogoutAsked(tuple(identifiers), Beginning("saml", known.client.id, state), choice, objection)

    def hold(self, asked: LogoutAsked) -> str:
        """Keeps the request while the member chooses; the name under which it is taken up again."""
        identifier = self._new_id()
        record = {"asked": asdict(asked)}
        self._store.put("logout", identifier, record, expires=self._now() + _CHOICE_LIFE)
        return identifier

    def take_up(self, identifier: str, session: Session | None) -> LogoutAsked:
        """A request that was kept, once, in the browser of its session. Raises BadRequest."""
        stored = self._store.get("logout", identifier)
        fields = stored.record.get("asked") if stored else None
        if fields is None or session is None or session.id not in fields["session_ids"] or self._store.take("logout", identifier) is None:
            raise BadRequest("saml.choice_gone", "You have signed out already, or waited too long.")
        return LogoutAsked(tuple(fields["session_ids"]), read_as(Beginning, fields["beginning"]))

    def leave(self, asked: LogoutAsked) -> Answer:
        """Takes the application alone out of the sessions. Ours goes on, and the status says so (SDP-IDP31)."""
        client_id = asked.beginning.client_id
        for session_id in asked.session_ids:
            self._sessions.leave(session_id, client_id)
        return self.answer({**asked.beginning.state, "status": ["Responder", "PartialLogout"]}, complete=False)

    def read_response(self, envelope: Envelope) -> LogoutReplied:
        """A visited service provider's answer. Raises BadRequest."""
        known, admitted = self._admit(envelope, "LogoutResponse")
        return LogoutReplied(known.client.id, str(admitted.message.in_response_to or ""), _is_done(admitted.message))

    def index_of(self, session: Session, client_id: str) -> str:
        """What the application knows the session by: what it was told first, for as long as the session lasts (Profiles 4.1.4.2)."""
        told = session.participant(client_id)
        return (str(told.state.get("session_index", "")) if told else "") or self.indexes.name(session.id, client_id)

    def participant_state(self, name_id: NameId | None, session_index: str) -> Mapping[str, Any]:
        """What a later LogoutRequest needs: the same NameID as in the assertion, and its SessionIndex."""
        if name_id is None:
            return {}
        return {"name_id": asdict(name_id), "session_index": session_index}

    def notice(self, participant: Participant) -> Notice | None:
        """A LogoutRequest by a binding that the application has; None when it has none, or knows no NameID."""
        known = self._providers.by_client(participant.client_id)
        if known is None or not participant.state:
            return None
        found = (known.provider.slo_by(binding) for binding in _BINDINGS[known.settings.logout_binding])
        endpoint = next((each for each in found if each is not None), None)
        if endpoint is None:
            return None
        identifier = self._new_id()
        root = self._writer.logout_request(
            read_as(NameId, participant.state["name_id"]),
            destination=endpoint.location,
            session_index=participant.state["session_index"],
            identifier=identifier,
        )
        return self._notice(known, endpoint, root, identifier)

    def answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:
        """The LogoutResponse; our own page for an application that wants none, or has no address for it.

        The top status says whether our session has ended, the second whether everybody else heard (SDP-IDP31, Core section 3.7.3.2).
        """
        known = self._providers.by_client(state["client_id"])
        endpoint = (known.provider.slo_by(REDIRECT) or known.provider.slo_by(POST)) if known else None
        if endpoint is None or state["asynchronous"]:
            return Redirect(self._end_url)
        root = self._response(state, endpoint.answer_location, complete=complete)
        return self._deliver(endpoint, root, state["relay_state"], self._signers.of(known))

    def soap_answer(self, state: Mapping[str, Any], *, complete: bool) -> bytes:
        """The LogoutResponse to a LogoutRequest that came by SOAP."""
        root = self._response(state, "", complete=complete)
        signer = self._signers.of(self._providers.by_client(state["client_id"]))
        sign_enveloped(root, signer.key, signer.suite)
        return to_soap(root)

    def _response(self, state: Mapping[str, Any], destination: str, *, complete: bool) -> Element:
        complete = complete and not state["partial"]
        status = Status(*state["status"]) if state["status"] else Status(second="" if complete else "PartialLogout")
        return self._writer.logout_response(status, destination=destination, in_response_to=state["request_id"])

    def _notice(self, known: Known, endpoint: Endpoint, root: Element, identifier: str) -> Notice:
        location, signer = endpoint.location, self._signers.of(known)
        if endpoint.binding == REDIRECT:
            return FrontChannel(redirect_url(location, "SAMLRequest", root, relay_state="", key=signer.key, suite=signer.suite), identifier)
        sign_enveloped(root, signer.key, signer.suite)
        if endpoint.binding == POST:
            return FrontChannel(location, identifier, {"SAMLRequest": post_value(root)})
        letter = Letter(to_soap(root), CONTENT_TYPE, lambda answer: self._is_accepted(answer, known, location, identifier))
        return BackChannel(location, {}, letter=letter)

    def _is_accepted(self, answer: bytes, known: Known, location: str, identifier: str) -> bool:
        """Whether the answer by SOAP is a success of that very application. Over TLS its server has proven who it is (Bindings 3.2.2.2);
        a signature that is there is verified in any case."""
        try:
            opened = self._gate.open(from_soap(answer), "LogoutResponse")
            must_be_signed = not location.startswith("https://")
            admitted = self._gate.admit(opened, known.provider, location=self.soap_url, must_be_signed=must_be_signed)
        except IdpError:
            return False
        return admitted.message.in_response_to == identifier and _is_done(admitted.message)

    def _deliver(self, endpoint: Endpoint, root: Element, relay_state: str, signer: Signer) -> Answer:
        location = endpoint.answer_location
        if endpoint.binding == REDIRECT:
            return Redirect(redirect_url(location, "SAMLResponse", root, relay_state=relay_state, key=signer.key, suite=signer.suite))
        sign_enveloped(root, signer.key, signer.suite)
        return FormPost(location, {"SAMLResponse": post_value(root), **({"RelayState": relay_state} if relay_state else {})})

    def _admit(self, envelope: Envelope, name: str) -> tuple[Known, Admitted]:
        opened = self._gate.open(envelope, name)
        known = self._providers.by_entity(opened.issuer)
        until = known.settings.legacy_algorithms_until
        location = self.soap_url if envelope.binding == SOAP else self.slo_url
        with naming(known):
            return known, self._gate.admit(opened, known.provider, location=location, must_be_signed=True, legacy_until=until)

    def _name_id(self, admitted: Admitted) -> NameId | None:
        """Whose session it is; None when that cannot be read."""
        element = admitted.element.find(qualified(SAML, "NameID"))
        encrypted = admitted.element.find(qualified(SAML, "EncryptedID"))
        if element is None and encrypted is not None:
            try:
                element = decrypt_name_id(encrypted, self._keys)
            except BadRequest:
                return None
        return NameId((element.text or "").strip(), str(element.get("Format", ""))) if element is not None else None

    def _find(
        self, name_id: NameId, indexes: Sequence[str], known: Known, browser_session: Session | None
    ) -> tuple[list[Session], list[str]]:
        """The sessions that are meant: by SessionIndex, which needs no cookie, else all of the member (Core section 3.7.1); or the status
        that says why none. Success without one needs proof that there was such a member: the session has ended already."""
        subject_id = self._subject_of(name_id, known)
        live = [session for index in indexes if (session := self._named(index, known.client.id))]
        if not indexes:
            member = browser_session.subject_id if browser_session and _knows(browser_session, known, name_id) else subject_id
            live = self._sessions.of_subject(member) if member else []
        found = [session for session in live if _knows(session, known, name_id)]
        if found:
            return found, []
        nothing_left = subject_id is not None and not (indexes and live)
        return [], [] if nothing_left else ["Requester", "UnknownPrincipal"]

    def _named(self, index: str, client_id: str) -> Session | None:
        """The session that the application was given this SessionIndex for, and under no other name."""
        session = self._sessions.get(self.indexes.session_id(index, client_id))
        participant = session.participant(client_id) if session else None
        return session if participant is not None and participant.state.get("session_index") == index else None

    def _subject_of(self, name_id: NameId, known: Known) -> str | None:
        holders = filter(None, (known.provider.entity_id, known.settings.affiliation))
        return next((found for holder in holders if (found := self._names.subject_of(holder, name_id.value))), None)


def _knows(session: Session, known: Known, name_id: NameId) -> bool:
    """Whether the application takes part in the session, under the NameID that we gave (Core section 3.3.4: strongly matches);
    some applications leave its format out."""
    participant = known.client.part_in(session)
    given = participant.state.get("name_id") if participant else None
    if given is None or given["value"] != name_id.value:
        return False
    return name_id.format in ("", UNSPECIFIED, given["format"])


def _is_done(message: Any) -> bool:
    code = message.status.status_code
    partial = code.status_code is not None and code.status_code.value == _PARTIAL
    return bool(code.value == _SUCCESS and not partial)


def _is_asynchronous(message: Any) -> bool:
    """Whether the application wants no answer (Asynchronous Single Logout, IIP-IDP17)."""
    extensions = message.extensions.extension_elements if message.extensions is not None else []
    return any(each.namespace == _ASYNCHRONOUS and each.tag == "Asynchronous" for each in extensions)
