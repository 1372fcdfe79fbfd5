"""Outgoing messages, as elements: Response, LogoutRequest, LogoutResponse, and how they travel by each binding."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from idp.clock import Now
from idp.keys import AnyKey
from idp.protocols.saml.algorithm import STANDARD, Suite
from idp.protocols.saml.assertion import NameId, Statement, add_assertion, add_issuer, add_name_id
from idp.protocols.saml.document import SAMLP, Element, printable, qualified
from idp.protocols.saml.encryption import encrypt_assertion
from idp.protocols.saml.entity import EncryptionKey
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.query import Kind, sign_query
from idp.protocols.saml.signature import sign_enveloped

_STATUS = "urn:oasis:names:tc:SAML:2.0:status:"
_CONSENT = "urn:oasis:names:tc:SAML:2.0:consent:"
_LOGOUT_LIFE = 300


@dataclass(frozen=True)
class Status:
    """Names of the status codes, such as Responder and NoPassive (Core section 3.2.2.2), and a sentence for people."""

    code: str = "Success"
    second: str = ""
    message: str = ""


@dataclass(frozen=True)
class Protection:
    """What is signed and encrypted of a Response; `encrypt_for` None means that the assertion goes in clear."""

    sign_assertion: bool = True
    sign_response: bool = False
    encrypt_for: tuple[EncryptionKey, ...] | None = None
    suite: Suite = STANDARD


class Writer:
    """Writes messages as the entity `issuer`."""

    def __init__(self, issuer: str, *, now: Now, new_id: Callable[[], str]) -> None:
        self._issuer = issuer
        self._now = now
        self._new_id = new_id

    def response(self, statement: Statement, protection: Protection, key: AnyKey) -> Element:
        """A good answer. The assertion is signed, then encrypted, then the whole is signed (Core section 5.4, IIP-SSO04)."""
        root = self._status_response("Response", statement.recipient, statement.in_response_to, Status())
        if statement.consent:
            root.set("Consent", _CONSENT + statement.consent)
        assertion = add_assertion(root, statement, self._new_id())
        if protection.sign_assertion:
            sign_enveloped(assertion, key, protection.suite)
        if protection.encrypt_for is not None:
            encrypt_assertion(assertion, protection.encrypt_for)
        if protection.sign_response:
            sign_enveloped(root, key, protection.suite)
        return root

    def refusal(self, status: Status, *, recipient: str, in_response_to: str, key: AnyKey, suite: Suite = STANDARD) -> Element:
        """An answer that says no; signed, so that nobody can forge one, and without an assertion (Profiles section 4.1.4.2)."""
        root = self._status_response("Response", recipient, in_response_to, status)
        sign_enveloped(root, key, suite)
        return root

    def artifact_response(self, message: Element | None, *, in_response_to: str, key: AnyKey, suite: Suite) -> Element:
        """The message that an artifact stood for, whose own signature stays as it is (Core section 3.5.2)."""
        root = self._status_response("ArtifactResponse", "", in_response_to, Status())
        if message is not None:
            root.append(message)
        sign_enveloped(root, key, suite)
        return root

    def logout_request(self, name_id: NameId, *, destination: str, session_index: str, identifier: str) -> Element:
        """The session of this name has ended; good for five minutes (Core section 3.7.1)."""
        root = self._message("LogoutRequest", destination, identifier)
        root.set("NotOnOrAfter", write_time(self._now() + _LOGOUT_LIFE))
        add_name_id(root, name_id)
        _add(root, "SessionIndex").text = session_index
        return root

    def logout_response(self, status: Status, *, destination: str, in_response_to: str) -> Element:
        """The answer to a LogoutRequest (Core section 3.7.2)."""
        return self._status_response("LogoutResponse", destination, in_response_to, status)

    def _status_response(self, name: str, destination: str, in_response_to: str, status: Status) -> Element:
        root = self._message(name, destination, self._new_id())
        if in_response_to:
            root.set("InResponseTo", in_response_to)
        element = _add(root, "Status")
        code = _add(element, "StatusCode", Value=_STATUS + status.code)
        if status.second:
            _add(code, "StatusCode", Value=_STATUS + status.second)
        if status.message:
            _add(element, "StatusMessage").text = printable(status.message)
        return root

    def _message(self, name: str, destination: str, identifier: str) -> Element:
        attributes = {"ID": identifier, "Version": "2.0", "IssueInstant": write_time(self._now())}
        if destination:
            attributes["Destination"] = destination
        root = etree.Element(qualified(SAMLP, name), attributes, nsmap={"samlp": SAMLP})
        add_issuer(root, self._issuer)
        return root


def post_value(root: Element) -> str:
    """The message as the form field of HTTP-POST (Bindings section 3.5.4)."""
    return base64.b64encode(etree.tostring(root, encoding="utf-8", xml_declaration=False)).decode()


def redirect_url(location: str, kind: Kind, root: Element, *, relay_state: str, key: AnyKey, suite: Suite = STANDARD) -> str:
    """The address that carries the message by HTTP-Redirect, with its detached signature (Bindings section 3.4.4)."""
    compress = zlib.compressobj(9, zlib.DEFLATED, -15)
    deflated = compress.compress(etree.tostring(root, encoding="utf-8", xml_declaration=False)) + compress.flush()
    query = sign_query(kind, base64.b64encode(deflated).decode(), relay_state=relay_state, key=key, method=suite.method)
    return f"{location}{'&' if '?' in location else '?'}{query}"


def _add(parent: Element, name: str, **attributes: str) -> Element:
    return etree.SubElement(parent, qualified(SAMLP, name), attributes)
