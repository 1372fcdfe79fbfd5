"""Single Logout, both directions: a service provider begins it, or hears of it (Profiles section 4.4).

The browser goes from one to the next by top-level redirects, never in frames, where third-party cookies are blocked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from idp.keys import KeyRing
from idp.protocols.saml.assertion import NameId
from idp.protocols.saml.document import POST, REDIRECT, Element
from idp.protocols.saml.entity import Endpoint
from idp.protocols.saml.gate import Admitted, Envelope, Gate
from idp.protocols.saml.message import Status, Writer, post_value, redirect_url
from idp.protocols.saml.provider import Known, Providers, naming
from idp.protocols.saml.settings import UNSPECIFIED
from idp.protocols.saml.signature import sign_enveloped
from idp.sso.answer import Answer, FormPost, Redirect
from idp.sso.logout import Beginning
from idp.sso.notice import FrontChannel
from idp.sso.session import Participant, Session, Sessions

_ASYNCHRONOUS = "urn:oasis:names:tc:SAML:2.0:protocol:ext:async-slo"
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_PARTIAL = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout"


@dataclass(frozen=True)
class LogoutAsked:
    """A good LogoutRequest. `session_id` is the session to end, or None when there is nothing to end and only the answer remains."""

    session_id: str | None
    beginning: Beginning


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
        keys: KeyRing,
        new_id: Callable[[], str],
    ) -> None:
        self.slo_url = f"{url}/saml/slo"
        self._end_url = f"{url}/logout"
        self._gate = gate
        self._writer = writer
        self._providers = providers
        self._sessions = sessions
        self._keys = keys
        self._new_id = new_id

    def read_request(self, envelope: Envelope, browser_session: Session | None) -> LogoutAsked:
        """Which session a service provider ends. Raises BadRequest."""
        known, admitted = self._admit(envelope, "LogoutRequest")
        session, status = self._find(admitted.message, known, browser_session)
        state = {
            "client_id": known.client.id,
            "request_id": admitted.message.id,
            "relay_state": admitted.relay_state,
            "status": status,
            "asynchronous": _is_asynchronous(admitted.message),
        }
        return LogoutAsked(session.id if session else None, Beginning("saml", known.client.id, state))

    def read_response(self, envelope: Envelope) -> LogoutReplied:
        """A visited service provider's answer. Raises BadRequest."""
        known, admitted = self._admit(envelope, "LogoutResponse")
        code = admitted.message.status.status_code
        partial = code.status_code is not None and code.status_code.value == _PARTIAL
        return LogoutReplied(known.client.id, str(admitted.message.in_response_to or ""), code.value == _SUCCESS and not partial)

    def participant_state(self, name_id: NameId | None, session: Session) -> Mapping[str, Any]:
        """What a later LogoutRequest needs: the same NameID as in the assertion, and its SessionIndex."""
        if name_id is None:
            return {}
        return {"name_id": asdict(name_id), "session_index": session.id}

    def notice(self, participant: Participant) -> FrontChannel | None:
        """A visit with a LogoutRequest; None for an application that takes none by HTTP-Redirect, or knows no NameID."""
        known = self._providers.by_client(participant.client_id)
        endpoint = known.provider.slo_by(REDIRECT) if known else None
        if endpoint is None or not participant.state:
            return None
        identifier = self._new_id()
        root = self._writer.logout_request(
            NameId(**participant.state["name_id"]),
            destination=endpoint.location,
            session_index=participant.state["session_index"],
            identifier=identifier,
        )
        return FrontChannel(redirect_url(endpoint.location, "SAMLRequest", root, relay_state="", key=self._keys.current), identifier)

    def answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:
        """The LogoutResponse; our own page for an application that wants none, or has no address for it.

        The top status says whether our session has ended, the second whether everybody else heard (SDP-IDP31, Core section 3.7.3.2).
        """
        known = self._providers.by_client(state["client_id"])
        endpoint = (known.provider.slo_by(REDIRECT) or known.provider.slo_by(POST)) if known else None
        if endpoint is None or state["asynchronous"]:
            return Redirect(self._end_url)
        status = Status(*state["status"]) if state["status"] else Status(second="" if complete else "PartialLogout")
        root = self._writer.logout_response(status, destination=endpoint.answer_location, in_response_to=state["request_id"])
        return self._deliver(endpoint, root, state["relay_state"])

    def _deliver(self, endpoint: Endpoint, root: Element, relay_state: str) -> Answer:
        location, key = endpoint.answer_location, self._keys.current
        if endpoint.binding == REDIRECT:
            return Redirect(redirect_url(location, "SAMLResponse", root, relay_state=relay_state, key=key))
        sign_enveloped(root, key)
        return FormPost(location, {"SAMLResponse": post_value(root), **({"RelayState": relay_state} if relay_state else {})})

    def _admit(self, envelope: Envelope, name: str) -> tuple[Known, Admitted]:
        opened = self._gate.open(envelope, name)
        known = self._providers.by_entity(opened.issuer)
        with naming(known):
            return known, self._gate.admit(opened, known.provider, location=self.slo_url, must_be_signed=True)

    def _find(self, message: Any, known: Known, browser_session: Session | None) -> tuple[Session | None, list[str]]:
        """The session that is meant: by SessionIndex, which needs no cookie, else this browser's; or the status that says why none."""
        if message.name_id is None:
            return None, ["Requester", "RequestUnsupported"]  # EncryptedID or BaseID: we decrypt nothing
        indexes = [str(each.text or "") for each in message.session_index]
        sessions = [self._sessions.get(index) for index in indexes] if indexes else [browser_session]
        live = [session for session in sessions if session is not None]
        for session in live:
            participant = session.participant(known.client.id)
            if participant is not None and _is_same_name(participant.state, message.name_id):
                return session, []
        return None, ["Requester", "UnknownPrincipal"] if live else []  # a session that has ended already is a success


def _is_same_name(state: Mapping[str, Any], name_id: Any) -> bool:
    """Whether it is the NameID that we gave (Core section 3.3.4: strongly matches); some applications leave its format out."""
    given = state.get("name_id")
    if given is None or given["value"] != str(name_id.text or "").strip():
        return False
    return name_id.format in (None, UNSPECIFIED, given["format"])


def _is_asynchronous(message: Any) -> bool:
    """Whether the application wants no answer (Asynchronous Single Logout, IIP-IDP17)."""
    extensions = message.extensions.extension_elements if message.extensions is not None else []
    return any(each.namespace == _ASYNCHRONOUS and each.tag == "Asynchronous" for each in extensions)
