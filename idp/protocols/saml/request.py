"""AuthnRequest -> what the one sequence needs: where the answer goes, what is asked, and what must be refused (Core section 3.4.1)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from idp.errors import BadRequest, Refusal
from idp.protocols.saml.document import PAOS
from idp.protocols.saml.entity import Endpoint, ServiceProvider
from idp.protocols.saml.gate import Admitted
from idp.protocols.saml.name_id import Policy, read_name_id
from idp.sso.protocol import SignOnRequest


@dataclass(frozen=True)
class Asked:
    """A request whose return address is good, and the objection that its client is to be told instead of an answer."""

    request: SignOnRequest
    objection: Refusal | None = None


def choose_acs(message: Any, provider: ServiceProvider, *, by_soap: bool) -> Endpoint:
    """Where the answer goes: an address of the metadata, never one that only the request knows (S52, SDP-IDP06). Raises BadRequest."""
    location, index = message.assertion_consumer_service_url, message.assertion_consumer_service_index
    if location is not None and index is not None:
        raise BadRequest("saml.acs_unclear", "The request names two return addresses.", expected="AssertionConsumerServiceURL or …Index")
    binding = PAOS if by_soap else message.protocol_binding or ""
    if location is None and index is None:
        found = next((each for each in provider.every_acs if each.binding == binding), None if by_soap else provider.default_acs)
    elif location is not None:
        found = provider.acs_at(location.strip(), binding) or provider.acs_at(location.strip())
    else:
        found = provider.acs_of(int(index))
    if found is not None and (found.binding == PAOS) != by_soap:
        found = None  # PAOS is for the enhanced client, and all else for the browser
    if found is None:
        raise BadRequest(
            "saml.acs_unknown",
            "The application asks for the answer at an address that is not registered for it.",
            expected=" or ".join(str(each.index) if index is not None else each.location for each in provider.every_acs),
            received=str(index if index is not None else location or binding),
        )
    return found


def find_objection(admitted: Admitted, acs: Endpoint, *, entity_id: str, relay_state_limit: int) -> Refusal | None:
    """What this request asks for and cannot have, where that can be said before anybody signs in."""
    message = admitted.message
    if message.subject is not None and (message.subject.name_id is None or message.subject.subject_confirmation):
        return Refusal("saml.subject", "The Subject of the request cannot be read here.", expected="a NameID and nothing else")
    if message.protocol_binding not in (None, acs.binding):
        return Refusal(
            "saml.binding",
            "The application asks for the answer by a binding that its metadata do not have there.",
            expected=acs.binding,
            received=message.protocol_binding,
        )
    listed = _acceptable(message)
    if listed and entity_id not in listed:
        return Refusal("saml.idp_list", "The application wants another identity provider.", expected=entity_id, received=" ".join(listed))
    return object_to_relay_state(admitted.relay_state, relay_state_limit)


def object_to_relay_state(relay_state: str, limit: int) -> Refusal | None:
    """One that is too long is an error of whoever sent it (Bindings sections 3.4.3 and 3.5.3)."""
    if relay_state == relay_state_to_return(relay_state, limit):
        return None
    return Refusal("saml.relay_state_too_long", "RelayState is too long.", expected=f"at most {limit} octets")


def _acceptable(message: Any) -> list[str]:
    """The identity providers of Scoping's IDPList; ProxyCount and RequesterID concern nobody who asks no other (Core section 3.4.1.2)."""
    listed = message.scoping.idp_list if message.scoping is not None else None
    return [str(each.provider_id) for each in listed.idp_entry] if listed is not None else []


def relay_state_to_return(relay_state: str, limit: int) -> str:
    """RelayState as it goes back: unchanged, or not at all when it has more octets than the limit."""
    return relay_state if len(relay_state.encode()) <= limit else ""


def read_policy(message: Any) -> Policy:
    """NameIDPolicy and Subject. The answer must be of the Subject's format where the policy leaves that open (Core section 3.3.4)."""
    policy, asked = message.name_id_policy, message.subject
    subject = read_name_id(asked.name_id) if asked is not None and asked.name_id is not None else None
    wanted = str(policy.format or "").strip() if policy is not None else ""
    return Policy(
        wanted or (subject.format if subject else ""),
        str(policy.sp_name_qualifier or "").strip() if policy is not None else "",
        policy is None or policy.allow_create not in ("false", "0"),
        asdict(subject) if subject else None,
    )


def is_true(value: str | None) -> bool:
    """An xs:boolean: "true" or "1" (SDP-IDP07)."""
    return value in ("true", "1")
