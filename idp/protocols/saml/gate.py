"""The gate: from what a browser brought to a message that may be believed, in two steps with one question between them.

`Gate.open` decodes and reads the message, believing nothing; its Issuer says which service provider to look up.
`Gate.admit` then refuses what is unsigned, stale, meant for another, or seen before, and hands out the signed content
as pysaml2's message object. Nothing else in this folder reads an inbound message.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from saml2 import create_class_from_element_tree, samlp

from idp.clock import Now
from idp.errors import BadRequest
from idp.protocols.saml.algorithm import decode_base64
from idp.protocols.saml.document import MESSAGE, POST, REDIRECT, SAML, SAMLP, SOAP, Element, parse, qualified, schema
from idp.protocols.saml.entity import ServiceProvider
from idp.protocols.saml.moment import read_time, write_time
from idp.protocols.saml.query import Kind, RedirectQuery, read_query, verify_query
from idp.protocols.saml.signature import is_signed, verify_enveloped
from idp.secret import digest
from idp.store import Store

_RAW_SIZE = 65_536  # of the base64 text (S54)
_CLASSES = {"AuthnRequest": samlp.AuthnRequest, "LogoutRequest": samlp.LogoutRequest, "LogoutResponse": samlp.LogoutResponse}
_KINDS: dict[str, Kind] = {"AuthnRequest": "SAMLRequest", "LogoutRequest": "SAMLRequest", "LogoutResponse": "SAMLResponse"}


@dataclass(frozen=True)
class Envelope:
    """One message as it came by a binding: decoded, not yet read."""

    kind: Kind
    binding: str
    xml: bytes
    relay_state: str
    query: RedirectQuery | None = None


@dataclass(frozen=True)
class Opened:
    """A well-formed, schema-valid message of a kind that was expected. `root` is not verified."""

    envelope: Envelope
    name: str
    root: Element
    issuer: str


@dataclass(frozen=True)
class Admitted:
    """A message that may be acted upon: `element` is the signed content if there is a signature, and `message` an object of
    saml2.samlp made of it, for the kinds that are read that way."""

    message: Any
    issuer: str
    relay_state: str
    signed: bool
    element: Element


def from_redirect(raw_query: bytes) -> Envelope:
    """The message of an HTTP-Redirect request, from its raw query string. Raises BadRequest."""
    query = read_query(raw_query)
    return Envelope(query.kind, REDIRECT, _inflate(_decode(query.message)), query.relay_state, query)


def from_post(form: Mapping[str, Sequence[str]]) -> Envelope:
    """The message of an HTTP-POST request, from the fields of its form. Raises BadRequest."""
    found: list[Kind] = [kind for kind in ("SAMLRequest", "SAMLResponse") if form.get(kind)]
    relay_states = form.get("RelayState") or [""]
    if not found:
        raise BadRequest(
            "saml.message_missing", "There is no SAML message in this form. Please start again at the application that you want to use."
        )
    if len(found) > 1 or len(form[found[0]]) > 1 or len(relay_states) > 1:
        raise BadRequest("saml.form_unclear", "The form holds more than one SAML message.", expected="SAMLRequest or SAMLResponse, once")
    if form.get("SigAlg") or form.get("Signature"):  # a signature that is there is verified or refused, never passed over (SDP-IDP05)
        raise BadRequest(
            "saml.simple_sign",
            "The application signs its form in a way that this sign-in service does not take (HTTP-POST-SimpleSign).",
            expected="HTTP-Redirect, or HTTP-POST with the signature inside the message",
            received="SigAlg and Signature beside the message",
        )
    return Envelope(found[0], POST, _decode(form[found[0]][0]), relay_states[0])


class Gate:
    """Opens and admits messages. `window` is how many seconds IssueInstant may lie in the past or future (S60, SDP-G01)."""

    def __init__(self, store: Store, *, now: Now, window: int = 300) -> None:
        self._store = store
        self._now = now
        self._window = window

    def open(self, envelope: Envelope, *names: str) -> Opened:
        """Reads a message that must be one of `names`, such as AuthnRequest. Raises BadRequest."""
        root = parse(envelope.xml)
        name = str(root.tag).removeprefix(f"{{{SAMLP}}}")
        if name not in names or not _is_of_kind(name, envelope):
            raise BadRequest(
                "saml.message_unexpected", "This address does not take such a SAML message.", expected=" or ".join(names), received=name
            )
        schema("protocol").check(root)
        _check_version(root)
        _check_id(root)
        issuer = root.findtext(qualified(SAML, "Issuer"), "").strip()
        if not issuer:
            raise BadRequest("saml.issuer_missing", "The SAML message does not say which application sent it.", expected="an Issuer")
        return Opened(envelope, name, root, issuer)

    def admit(
        self, opened: Opened, provider: ServiceProvider, *, location: str, must_be_signed: bool, legacy_until: date | None = None
    ) -> Admitted:
        """The message, if it is this provider's, fresh, for our `location`, and new. Raises BadRequest.

        A signature is verified wherever there is one, demanded or not (SDP-IDP05), up to the day `legacy_until` even
        one with SHA-1. `opened` must not be used again.
        """
        signed = _is_signed(opened)
        if must_be_signed and not signed:
            raise BadRequest(
                "saml.signature_missing", "The application must sign its SAML messages, and this one is not signed.", expected="a signature"
            )
        legacy = legacy_until is not None and datetime.fromtimestamp(self._now(), UTC).date() <= legacy_until
        element = _verified(opened, provider, legacy=legacy)
        _check_issuer(element, provider)
        _check_destination(element, location, demanded=signed and opened.envelope.binding != SOAP)
        issued = self._check_time(element)
        self._check_new(opened, element, issued)
        known = _CLASSES.get(opened.name)
        message = create_class_from_element_tree(known, element) if known else None
        return Admitted(message, provider.entity_id, opened.envelope.relay_state, signed, element)

    def _check_time(self, element: Element) -> int:
        issued = read_time(element.get("IssueInstant"))
        if abs(self._now() - issued) > self._window:
            raise BadRequest(
                "saml.message_stale",
                "This sign-in request is too old, or the application's clock is wrong. Go back to the application and start again.",
                expected=f"IssueInstant within {self._window} s of {write_time(self._now())}",
                received=str(element.get("IssueInstant")),
            )
        ends = element.get("NotOnOrAfter")  # of a LogoutRequest (S61, V19)
        if ends is not None and self._now() - self._window >= read_time(ends):
            raise BadRequest(
                "saml.message_expired",
                "The SAML message has expired.",
                expected=f"NotOnOrAfter after {write_time(self._now())}",
                received=ends,
            )
        return issued

    def _check_new(self, opened: Opened, element: Element, issued: int) -> None:
        """Each message once (S60). The record outlives the window in which its IssueInstant would pass again."""
        key = digest(f"{opened.name}|{opened.issuer}|{element.get('ID')}")
        if not self._store.put_new("replay", key, {}, expires=issued + self._window + 60):
            raise BadRequest(
                "saml.message_replayed",
                "This request was used before: perhaps you came back with the Back button, or loaded the page again."
                " You can open the application again, or choose it on the start page.",
                expected="a new ID for each message",
                received=str(element.get("ID")),
            )


def _is_of_kind(name: str, envelope: Envelope) -> bool:
    """A request comes as a request and a response as a response, where the binding tells them apart."""
    return envelope.binding == SOAP or _KINDS.get(name) == envelope.kind


def _decode(text: str) -> bytes:
    if len(text) > _RAW_SIZE:
        raise BadRequest(
            "saml.message_too_large", "The SAML message is too large.", expected=f"at most {_RAW_SIZE} characters", received=str(len(text))
        )
    return decode_base64(text)


def _inflate(deflated: bytes) -> bytes:
    """Raw DEFLATE, stopped at the bound: a few hundred kB can stand for gigabytes (V22)."""
    stream = zlib.decompressobj(-15)
    try:
        xml = stream.decompress(deflated, MESSAGE.size + 1)
    except zlib.error:
        raise BadRequest(
            "saml.deflate_invalid", "The SAML message is not compressed as HTTP-Redirect wants it.", expected="raw DEFLATE"
        ) from None
    if len(xml) > MESSAGE.size:
        raise BadRequest(
            "saml.message_too_large", "The SAML message is too large.", expected=f"at most {MESSAGE.size} octets when inflated"
        )
    if not stream.eof or stream.unused_data:
        raise BadRequest("saml.deflate_invalid", "The SAML message is cut off, or something follows it.", expected="raw DEFLATE, complete")
    return xml


def _is_signed(opened: Opened) -> bool:
    query = opened.envelope.query
    return is_signed(opened.root) or (query is not None and query.is_signed)


def _verified(opened: Opened, provider: ServiceProvider, *, legacy: bool) -> Element:
    """The content under the signature; the root as it is when there is none. A query and its message may both be signed."""
    query = opened.envelope.query
    if query is not None and query.is_signed:
        verify_query(query, provider.signing_keys, legacy=legacy)
    if is_signed(opened.root):
        return verify_enveloped(opened.root, provider.signing_keys, legacy=legacy)
    return opened.root


def _check_version(root: Element) -> None:
    if root.get("Version") != "2.0":
        raise BadRequest("saml.version", "The message is of another version of SAML.", expected="2.0", received=str(root.get("Version")))


def _check_id(root: Element) -> None:
    """The ID goes into our answer and into the store; 256 characters are what everybody must be able to take (IIP-G02)."""
    if len(str(root.get("ID"))) > 256:
        raise BadRequest("saml.id_too_long", "The ID of the SAML message is too long.", expected="at most 256 characters")


def _check_issuer(element: Element, provider: ServiceProvider) -> None:
    """The provider was found by what the message said before it was verified; what was signed must say the same."""
    issuer = element.findtext(qualified(SAML, "Issuer"), "").strip()
    if issuer != provider.entity_id:
        raise BadRequest("saml.issuer_wrong", "The SAML message is another application's.", expected=provider.entity_id, received=issuer)


def _check_destination(element: Element, location: str, *, demanded: bool) -> None:
    """Present on a signed message from a browser, and ours wherever it is present (S59, Bindings sections 3.4.5.2 and 3.5.5.2)."""
    destination = element.get("Destination")
    if destination is None and not demanded:
        return
    if destination != location:
        raise BadRequest(
            "saml.destination_wrong",
            "The SAML message was made for another address. The application's settings for this sign-in service have to be corrected.",
            expected=location,
            received=destination or "no Destination",
        )
