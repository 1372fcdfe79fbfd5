"""What is done with what the browser asks for a member who is signed in: a sign-on, and its end. No HTTP here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from idp.audit import Audit
from idp.protocols.fedcm.protocol import CONTINUE, Asker, FedcmProtocol, FedcmRefused
from idp.sso.answer import Handover
from idp.sso.session import Session
from idp.sso.signon import SignOn

_HELPABLE = ("consent.required", "signon.login_required", "entry.denied")
"""Refusals that the member may be able to do something about."""


@dataclass(frozen=True)
class Wish:
    """The account that was chosen, the page's own parameters as it sent them, and whether the browser acted by itself."""

    account_id: str
    parameters: str
    unasked: bool


class FedcmDesk:
    """Takes a page's wish through the one sequence, without a page of ours."""

    def __init__(self, protocol: FedcmProtocol, signon: SignOn, audit: Audit, *, url: str) -> None:
        self._protocol = protocol
        self._signon = signon
        self._audit = audit
        self._url = url

    def sign_on(self, asker: Asker, session: Session, wish: Wish) -> dict[str, Any] | None:
        """The token; or where the member can do what is missing, in a window; None for a no. Raises FedcmRefused."""
        self._protocol.check_account(session, wish.account_id)
        asked, refusal = self._protocol.read(asker, wish.parameters)
        passive = replace(asked, passive=True)  # what wants a page of ours goes on in a window
        answer = self._signon.refuse(asked, refusal) if refusal else self._signon.start(passive, "", session)
        if isinstance(answer, Handover) and not answer.cause:
            return {"token": answer.token}
        if isinstance(answer, Handover) and answer.cause in _HELPABLE and not wish.unasked:
            return {"continue_on": self._window(asker, wish.parameters)}
        return None

    def _window(self, asker: Asker, parameters: str) -> str:
        query = {"client_id": asker.client.id, "origin": asker.origin, "params": parameters}
        return f"{self._url}{CONTINUE}?{urlencode(query)}"

    def part(self, asker: Asker, session: Session | None) -> str:
        """The member has left the client, in the browser's settings or on its page: the account. Raises FedcmRefused."""
        client_id = asker.client.id
        if session is None:
            raise FedcmRefused("access_denied", "fedcm.not_signed_in", "Nobody is signed in here.", status=401, client_id=client_id)
        self._signon.revoke_consent(session, client_id)
        self._audit.record("fedcm.disconnected", client=client_id, subject=session.subject_id, session=session.id)
        return self._protocol.account_id(session.subject_id)
