"""AuthnRequest -> what the one sequence needs: where the answer goes, what is asked, and what must be refused (Core section 3.4.1)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from idp.errors import BadRequest, Refusal
from idp.protocols.saml.document import POST
from idp.protocols.saml.entity import Endpoint, ServiceProvider
from idp.protocols.saml.gate import Admitted
from idp.protocols.saml.name_id import Policy, read_name_id
from idp.sso.protocol import SignOnRequest

_RELAY_STATE = 2048  # octets: vendors send more than the 80 of Bindings section 3.4.3 (S63); it goes back unchanged


@dataclass(frozen=True)
class Asked:
    """A request whose return address is good, and the objection that its client is to be told instead of an answer."""

    request: SignOnRequest
    objection: Refusal | None = None


def choose_acs(message: Any, provider: ServiceProvider) -> Endpoint:
    """Where the answer goes: an address of the metadata, never one that only the request knows (S52, SDP-IDP06). Raises BadRequest."""
    location, index = message.assertion_consumer_service_url, message.assertion_consumer_service_index
    if location is not None and index is not None:
        raise BadRequest("saml.acs_unclear", "The request names two return addresses.", expected="AssertionConsumerServiceURL or …Index")
    if location is None and index is None:
        return provider.default_acs
    found = provider.acs_at(location.strip()) if location is not None else provider.acs_of(int(index))
    if found is None:
        raise BadRequest(
            "saml.acs_unknown",
            "The application asks for the answer at an address that is not registered for it.",
            expected=" or ".join(each.location if location is not None else str(each.index) for each in provider.acs),
            received=str(location if location is not None else index),
        )
    return found


def find_objection(admitted: Admitted) -> Refusal | None:
    """What this request asks for and cannot have, where that can be said before anybody signs in."""
    message = admitted.message
    if message.subject is not None and (message.subject.name_id is None or message.subject.subject_confirmation):
        return Refusal("saml.subject", "The Subject of the request cannot be read here.", expected="a NameID and nothing else")
    if message.protocol_binding not in (None, POST):
        return Refusal("saml.binding", "Answers go by HTTP-POST only.", expected=POST, received=message.protocol_binding)
    if len(admitted.relay_state.encode()) > _RELAY_STATE:
        return Refusal("saml.relay_state_too_long", "RelayState is too long.", expected=f"at most {_RELAY_STATE} octets")
    return None


def relay_state_to_return(relay_state: str) -> str:
    """RelayState as it goes back: unchanged, or not at all when it is over the limit."""
    return relay_state if len(relay_state.encode()) <= _RELAY_STATE else ""


def read_policy(message: Any) -> Policy:
    """NameIDPolicy and Subject. The answer must be of the Subject's format where the policy leaves that open (Core section 3.3.4)."""
    policy, asked = message.name_id_policy, message.subject
    subject = read_name_id(asked.name_id) if asked is not None and asked.name_id is not None else None
    format = str(policy.format or "").strip() if policy is not None else ""
    return Policy(
        format or (subject.format if subject else ""),
        str(policy.sp_name_qualifier or "").strip() if policy is not None else "",
        policy is None or policy.allow_create not in ("false", "0"),
        asdict(subject) if subject else None,
    )


def is_true(value: str | None) -> bool:
    """An xs:boolean: "true" or "1" (SDP-IDP07)."""
    return value in ("true", "1")
