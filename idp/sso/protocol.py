"""What each protocol provides to the one sequence, in full. Its `read(...) -> SignOnRequest` is called by its own views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from idp.directory import Subject
from idp.errors import Refusal
from idp.sso.answer import Answer
from idp.sso.client import Client
from idp.sso.notice import Notice
from idp.sso.session import Participant, Session


@dataclass(frozen=True)
class SignOnRequest:
    """A client asks for a member. It exists only after the return address was validated, so that `refuse` may use it (S2).

    `state` is the protocol's own (JSON), kept while the member signs in. `max_age` is in seconds.
    """

    protocol: str
    client_id: str
    state: Mapping[str, Any] = field(default_factory=dict)
    passive: bool = False
    fresh: bool = False
    max_age: int | None = None
    login_hint: str = ""
    ask_consent: bool = False
    hand_over: bool = False
    """Whether the answer goes to the page's script by the browser's own hand (FedCM), and not to the return address."""


@dataclass(frozen=True)
class Grant:
    """What the sequence found: the client may have this subject, and of it these attributes under the client's names."""

    client: Client
    session: Session
    subject: Subject
    attributes: Mapping[str, tuple[str, ...]]


class ClientProtocol(Protocol):
    """A way to ask and to answer."""

    name: str

    def respond(self, request: SignOnRequest, grant: Grant) -> tuple[Answer, Mapping[str, Any] | None]:
        """The good answer, and the participant state (JSON) that `logout_notice` will need. The state should stay the same from
        answer to answer, so that a repeated sign-on of a known participant costs no write. None in its place: the answer gives nothing
        that ends with the session, so the client does not become a participant by it."""

    def refuse(self, request: SignOnRequest, refusal: Refusal, reference: str) -> Answer:
        """The protocol's own way to say no, sent to the validated return address, with the reference where the protocol has room for it."""

    def logout_notice(self, participant: Participant, session: Session) -> Notice | None:
        """How this client is to be told that the session has ended; None when it has no way to be told."""

    def logout_answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:
        """The answer to the client that began the logout, from the state that its request left; `complete` is False when another client
        could not be told."""


@runtime_checkable
class Launches(Protocol):
    """A protocol by which a member can begin on our side, without a request of the client."""

    def launch_url(self, client: Client) -> str:
        """Where; empty if this client allows it nowhere."""


@runtime_checkable
class BoundsSessions(Protocol):
    """A protocol whose answer says until when the client may keep its own session: ours at the longest."""

    bounds_sessions: bool
