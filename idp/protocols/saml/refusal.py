"""How a refusal is said in SAML: the status of the Response that says no (Core section 3.2.2.2)."""

from __future__ import annotations

from collections.abc import Mapping

from idp.errors import Refusal
from idp.protocols.saml.message import Status

_STATUSES: Mapping[str, tuple[str, str]] = {
    "signon.login_required": ("Responder", "NoPassive"),
    "signon.cannot_tell": ("Responder", "NoPassive"),
    "consent.required": ("Responder", "NoPassive"),
    "signon.cancelled": ("Responder", "AuthnFailed"),
    "imis.fresh_impossible": ("Responder", "AuthnFailed"),
    "saml.authn_context": ("Responder", "NoAuthnContext"),
    "saml.binding": ("Requester", "UnsupportedBinding"),
    "saml.attribute_service": ("Requester", "RequestUnsupported"),
    "saml.idp_list": ("Responder", "NoSupportedIDP"),
    "saml.name_id_not_there": ("Requester", "InvalidNameIDPolicy"),
    "saml.subject_other": ("Requester", "UnknownPrincipal"),
    "saml.name_id_policy": ("Requester", "InvalidNameIDPolicy"),
    "saml.name_id_missing": ("Responder", "InvalidNameIDPolicy"),
    "saml.name_qualifier": ("Requester", "InvalidNameIDPolicy"),
    "saml.relay_state_too_long": ("Requester", "RequestUnsupported"),
    "saml.subject": ("Requester", "RequestUnsupported"),
}
"""Cause -> status codes (Core section 3.2.2.2); any other refusal is Responder, RequestDenied."""


def status_of(refusal: Refusal, reference: str) -> Status:
    """With our reference in its message, by which the log line is found."""
    code, second = _STATUSES.get(refusal.cause, ("Responder", "RequestDenied"))
    return Status(code, second, f"{refusal.message} [{refusal.cause}, reference {reference}]")
