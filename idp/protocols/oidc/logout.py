"""Logout with clients: what a client asks (RP-Initiated Logout 1.0), and how a client is told (Back-Channel and Front-Channel Logout 1.0).

pyop has messages for these and no more; its own logout believes an unsigned hint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from oic.oic.message import BACK_CHANNEL_LOGOUT_EVENT

from idp.clock import Now
from idp.errors import BadRequest
from idp.keys import KeyRing
from idp.keys.session_name import SessionNames
from idp.protocols.oidc.gate import settings_of
from idp.protocols.oidc.parameter import Parameters, read_parameters
from idp.protocols.oidc.provider import subject_for
from idp.protocols.oidc.signing import Signer
from idp.secret import new_id
from idp.sso.client import Client
from idp.sso.notice import BackChannel, Frame, Notice
from idp.sso.session import Session

_LOGOUT_TOKEN_LIFE = 120  # seconds (S45)


@dataclass(frozen=True)
class Ending:
    """A proven wish of a client to end a session. `session_id` is empty when there is nothing left to end;
    `unregistered` is the return address that was asked for in vain."""

    client: Client
    session_id: str
    state: Mapping[str, Any]
    unregistered: str = ""

    @property
    def beginner(self) -> str:
        """`Logout` tells everyone but the one that began. A client that registered a logout URI waits for its notice there even
        when it began (modules `oidcc-backchannel-rp-initiated-logout`, `oidcc-frontchannel-rp-initiated-logout`), so it is not named."""
        return "" if settings_of(self.client).is_told_of_logout() else self.client.id


def read_logout_parameters(text: str) -> Parameters:
    """Raises BadRequest (S15)."""
    parameters = read_parameters(text)
    if parameters.repeated:
        name = min(parameters.repeated)
        raise BadRequest("oidc.parameter_repeated", "The application's request has a parameter more than once.", received=name)
    return parameters


def ending_for(client: Client, parameters: Parameters, *, session_id: str) -> Ending:
    """Where the browser goes afterwards: exactly a registered address or our own page (S44). Raises BadRequest."""
    uri, state = parameters.get("post_logout_redirect_uri"), parameters.get("state")
    if len(state) > 2048:
        raise BadRequest("oidc.state_unfit", "The application's state is longer than 2048 characters.", client_id=client.id)
    is_registered = uri in settings_of(client).post_logout_redirect_uris
    kept = {"client_id": client.id, "redirect": uri if is_registered else "", "state": state}
    return Ending(client, session_id, kept, "" if is_registered else uri)


def return_url(state: Mapping[str, Any]) -> str:
    """The client's address with its own state; empty when it gave none that is registered."""
    uri = str(state.get("redirect", ""))
    if not uri or not state.get("state"):
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode({'state': state['state']})}"


def notice_to(client: Client, session: Session, *, issuer: str, keys: KeyRing, signer: Signer, now: Now) -> Notice | None:
    """The back channel proves itself; the frame is for clients that have no other way."""
    settings = settings_of(client)
    if settings.backchannel_logout_uri:
        claims = _logout_claims(client, session, issuer, keys, now())
        token = signer.sign(settings.id_token_signed_response_alg, claims, type="logout+jwt")
        return BackChannel(settings.backchannel_logout_uri, {"logout_token": token})
    if settings.frontchannel_logout_uri:
        uri = settings.frontchannel_logout_uri
        return Frame(f"{uri}{'&' if '?' in uri else '?'}{urlencode({'iss': issuer, 'sid': _name(session, client, keys)})}")
    return None


def _name(session: Session, client: Client, keys: KeyRing) -> str:
    """The `sid` of the client's ID tokens."""
    return SessionNames(keys, protocol="oidc").name(session.id, client.id)


def _logout_claims(client: Client, session: Session, issuer: str, keys: KeyRing, now: int) -> dict[str, Any]:
    """S45. No nonce, so that it can never pass for an ID token (Back-Channel Logout §2.4)."""
    return {
        "iss": issuer,
        "sub": subject_for(client, session.subject_id, keys),
        "aud": client.id,
        "iat": now,
        "exp": now + _LOGOUT_TOKEN_LIFE,
        "jti": new_id(),
        "sid": _name(session, client, keys),
        "events": {BACK_CHANNEL_LOGOUT_EVENT: {}},
    }
