"""A small protocol of the tests' own: it answers with a redirect that says everything, and is told of a logout in any way there is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from idp.errors import AccessDenied, Refusal
from idp.sso.answer import Answer, FormPost, Redirect, SharedCookie
from idp.sso.client import Client, Clients
from idp.sso.notice import BackChannel, ClearCookie, Frame, FrontChannel, Notice
from idp.sso.protocol import Grant, SignOnRequest
from idp.sso.release import read_release
from idp.sso.session import Participant, Session
from idp.sso.ticket import Tickets

COOKIE = SharedCookie("shared", "assoc.example")


@dataclass(frozen=True)
class EchoSettings:
    """`tell` is how the client hears of a logout: back, front, mute (visited, and does not come back), frame,
    cookie, both (back and cookie), never, broken."""

    return_url: str
    tell: str = "back"


def make_client(client_id: str, *, tell: str = "back", name: str = "", release: Any = ("email",), **keywords: Any) -> Client:
    settings = EchoSettings(f"https://{client_id}.example/back", tell)
    return Client(client_id, name or f"The {client_id}", "echo", settings, read_release(release), **keywords)


def ask(client_id: str, **keywords: Any) -> SignOnRequest:
    return SignOnRequest("echo", client_id, {"return": f"https://{client_id}.example/back"}, **keywords)


class EchoProtocol:
    """`ClientProtocol`. `meanwhile` is called while an answer is being made: for what happens in between."""

    name = "echo"

    def __init__(self, clients: Clients, tickets: Tickets) -> None:
        self._clients = clients
        self._tickets = tickets
        self.grants: list[Grant] = []
        self.asked_to_tell: list[str] = []
        self.meanwhile: Callable[[Grant], object] = lambda grant: None

    def respond(self, request: SignOnRequest, grant: Grant) -> tuple[Answer, Mapping[str, Any]]:
        if "unwelcome" in request.state:
            raise AccessDenied("echo.unwelcome", "The member may not enter.")
        ticket = self._tickets.issue(grant.client.id, grant.session, {}).reveal()
        self.grants.append(grant)
        self.meanwhile(grant)
        told = {"ticket": ticket, "subject": grant.subject.id, **request.state.get("echo", {})}
        if "post" in request.state:
            return FormPost(request.state["return"], told), {"subject": grant.subject.id}
        cookies = (SharedCookie("shared", "assoc.example", "a-shared-value", 30),) if "cookie" in request.state else ()
        return Redirect(f"{request.state['return']}?{urlencode(told)}", cookies), {"subject": grant.subject.id}

    def refuse(self, request: SignOnRequest, refusal: Refusal, reference: str) -> Answer:
        return Redirect(f"{request.state['return']}?{urlencode({'error': refusal.cause, 'reference': reference})}")

    def logout_notice(self, participant: Participant, session: Session) -> Notice | None:
        self.asked_to_tell.append(participant.client_id)
        client = self._clients.get(participant.client_id)
        assert client is not None
        url = f"https://{client.id}.example/out"
        match client.settings.tell:
            case "back":
                return BackChannel(url, {"sid": session.id})
            case "both":
                return BackChannel(url, {"sid": session.id}, COOKIE)
            case "front":
                return FrontChannel(f"{url}?sid={session.id}", f"reply-{client.id}-{session.id}")
            case "mute":
                return FrontChannel(f"{url}?sid={session.id}", "")
            case "frame":
                return Frame(f"{url}?sid={session.id}")
            case "cookie":
                return ClearCookie(COOKIE)
            case "broken":
                raise LookupError("a password stands here: hunter2")
        return None

    def logout_answer(self, state: Mapping[str, Any], *, complete: bool) -> Answer:
        return Redirect(f"{state['return']}?{urlencode({'complete': str(complete).lower()})}")
