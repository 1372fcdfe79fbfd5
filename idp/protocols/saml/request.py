"""AuthnRequest -> what the one sequence needs: where the answer goes, what is asked, and what must be refused (Core section 3.4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from idp.errors import BadRequest, Refusal
from idp.protocols.saml.document import POST
from idp.protocols.saml.entity import Endpoint, ServiceProvider
from idp.protocols.saml.gate import Admitted
from idp.sso.protocol import SignOnRequest
from idp.sso.session import PASSWORD

_RELAY_STATE = 2048  # octets: vendors send more than the 80 of Bindings section 3.4.3 (S63); it goes back unchanged
_CLASSES = "urn:oasis:names:tc:SAML:2.0:ac:classes:"
_ACHIEVED = (PASSWORD, _CLASSES + "Password", _CLASSES + "unspecified")  # strongest first; a sign-in here satisfies each of them


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
    policy = message.name_id_policy
    if message.subject is not None:
        return Refusal("saml.subject", "The application asks for a certain member; that is not supported.", expected="no Subject")
    if message.protocol_binding not in (None, POST):
        return Refusal("saml.binding", "Answers go by HTTP-POST only.", expected=POST, received=message.protocol_binding)
    if len(admitted.relay_state.encode()) > _RELAY_STATE:
        return Refusal("saml.relay_state_too_long", "RelayState is too long.", expected=f"at most {_RELAY_STATE} octets")
    if policy is not None and policy.sp_name_qualifier not in (None, "", admitted.issuer):
        # another service provider's pairwise identifier would let the two compare notes
        return Refusal("saml.name_qualifier", "SPNameQualifier is another's.", expected=admitted.issuer, received=policy.sp_name_qualifier)
    if context(message) is None:
        return Refusal("saml.authn_context", "The application asks for another way to sign in.", expected=" or ".join(_ACHIEVED))
    return None


def relay_state_to_return(relay_state: str) -> str:
    """RelayState as it goes back: unchanged, or not at all when it is over the limit."""
    return relay_state if len(relay_state.encode()) <= _RELAY_STATE else ""


def name_id_format(message: Any) -> str:
    """The format of NameIDPolicy; empty when the request leaves it open."""
    policy = message.name_id_policy
    return str(policy.format or "").strip() if policy is not None else ""


def context(message: Any) -> str | None:
    """The class to state in the answer; None when the request asks for one that a password is not (S66, IIP-IDP08).

    With "exact" or "maximum" it is the class that was asked for, even when more was achieved: the asker compares texts.
    """
    asked = message.requested_authn_context
    if asked is None:
        return PASSWORD
    references = [str(each.text or "").strip() for each in asked.authn_context_class_ref]
    met = [each for each in references if each in _ACHIEVED]
    match asked.comparison:
        case "better":
            return PASSWORD if references and all(each in _ACHIEVED[1:] for each in references) else None
        case "minimum":
            return PASSWORD if met else None
        case _:
            return met[0] if met else None


def is_true(value: str | None) -> bool:
    """An xs:boolean: "true" or "1" (SDP-IDP07)."""
    return value in ("true", "1")
