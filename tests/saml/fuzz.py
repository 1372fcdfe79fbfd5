"""Alters SAML messages: octets and elements, by lines that can be written down, kept, and tried again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy

from hypothesis import strategies as st
from lxml import etree

from idp.protocols.saml.document import DS, MESSAGE, SAML, SAMLP, Element, parse, qualified

Change = tuple[str, int, int]
"""What is done, where, and with what. The numbers go round: each fits every message."""

_TOKENS: Sequence[bytes] = (
    *(b"<", b">", b"/", b'"', b"'", b"&", b";", b"=", b" ", b"\x00", b"\xff", b"2", b"_", b"A", b"samlp:", b"saml:", b"ds:"),
    *(b"<!--", b"-->", b"<!-- x -->", b"<![CDATA[", b"]]>", b"<!DOCTYPE x>", b"<?x?>", b"&lt;", b"&#0;", b"&x;", b"<x/>", b"</x>"),
    *(b"\xef\xbb\xbf", b'<?xml version="1.0" encoding="utf-16"?>', b' xmlns="x"', b' xmlns:saml="urn:evil"', b"<ds:Signature/>"),
)
_VALUES = (
    *("", "true", "1", "-1", "99999999999999999999", "_1", "2.0", "1.1", "\u202e", "a b", "x" * 5000, "javascript:alert(1)"),
    *("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "0000-00-00T00:00:00Z", "P1D", "https://evil.example/", "https://lms.example/acs"),
    *("https://lms.example/metadata", "https://crm.example/metadata", "https://login.assoc.example/saml/sso", "urn:x", "#_1"),
    *("urn:oasis:names:tc:SAML:2.0:nameid-format:entity", "urn:oasis:names:tc:SAML:2.0:nameid-format:encrypted", "exact", "better"),
    "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact",
)
_ATTRIBUTES = (
    *("ID", "Version", "IssueInstant", "Destination", "ForceAuthn", "IsPassive", "ProtocolBinding", "NotOnOrAfter", "InResponseTo"),
    *("AssertionConsumerServiceURL", "AssertionConsumerServiceIndex", "AttributeConsumingServiceIndex", "Format", "SPNameQualifier"),
    *("Comparison", "ProxyCount", "AllowCreate", "Algorithm", "URI", "Value", "Consent", "{urn:x}y"),
)
_WRAPPERS = (
    *(qualified(SAMLP, name) for name in ("Extensions", "AuthnRequest", "LogoutRequest", "Response", "StatusDetail")),
    *(qualified(DS, name) for name in ("Object", "KeyInfo", "Signature")),
    *(qualified(SAML, name) for name in ("Subject", "EncryptedID", "Advice")),
)


def _flip(raw: bytes, where: int, what: int) -> bytes:
    at = where % len(raw)
    return raw[:at] + bytes([raw[at] ^ (what % 255 + 1)]) + raw[at + 1 :]


def _cut(raw: bytes, where: int, what: int) -> bytes:
    at = where % len(raw)
    return raw[:at] + raw[at + what % 80 + 1 :]


def _repeat(raw: bytes, where: int, what: int) -> bytes:
    at = where % len(raw)
    return raw[:at] + raw[at : at + what % 80 + 1] + raw[at:]


def _insert(raw: bytes, where: int, what: int) -> bytes:
    at = where % (len(raw) + 1)
    return raw[:at] + _TOKENS[what % len(_TOKENS)] + raw[at:]


def _drop(elements: Sequence[Element], where: int, _: int) -> None:
    element = _below(elements, where)
    if element is not None:
        element.getparent().remove(element)


def _double(elements: Sequence[Element], where: int, what: int) -> None:
    """A copy beside it, or anywhere else."""
    _put(elements, deepcopy(elements[where % len(elements)]), what)


def _move(elements: Sequence[Element], where: int, what: int) -> None:
    element = _below(elements, where)
    target = elements[what % len(elements)]
    if element is not None and element not in (target, *target.iterancestors()):
        target.insert(what % (len(target) + 1), element)


def _wrap(elements: Sequence[Element], where: int, what: int) -> None:
    element = _below(elements, where)
    if element is not None:
        parent, wrapper = element.getparent(), etree.Element(_WRAPPERS[what % len(_WRAPPERS)])
        parent.replace(element, wrapper)
        wrapper.append(element)


def _wrap_copy(elements: Sequence[Element], where: int, what: int) -> None:
    """The genuine message kept inside, while another ID stands outside: how signatures are wrapped."""
    root = elements[0]
    wrapper = etree.Element(_WRAPPERS[what % len(_WRAPPERS)])
    wrapper.append(deepcopy(root))
    root.set("ID", "_evil")
    _put(elements, wrapper, where)


def _set(elements: Sequence[Element], where: int, what: int) -> None:
    names = _ATTRIBUTES[what % len(_ATTRIBUTES)], _VALUES[(what // len(_ATTRIBUTES)) % len(_VALUES)]
    elements[where % len(elements)].set(*names)


def _unset(elements: Sequence[Element], where: int, what: int) -> None:
    attributes = elements[where % len(elements)].attrib
    if attributes:
        del attributes[sorted(attributes)[what % len(attributes)]]


def _write(elements: Sequence[Element], where: int, what: int) -> None:
    elements[where % len(elements)].text = _VALUES[what % len(_VALUES)]


def _follow(elements: Sequence[Element], where: int, what: int) -> None:
    element = _below(elements, where)
    if element is not None:
        element.tail = _VALUES[what % len(_VALUES)]


def _rename(elements: Sequence[Element], where: int, what: int) -> None:
    elements[where % len(elements)].tag = _WRAPPERS[what % len(_WRAPPERS)]


def _comment(elements: Sequence[Element], where: int, what: int) -> None:
    node = etree.Comment("x") if what % 2 else etree.ProcessingInstruction("x")
    _put(elements, node, where)


OF_OCTETS: Mapping[str, Callable[[bytes, int, int], bytes]] = {"flip": _flip, "cut": _cut, "repeat": _repeat, "insert": _insert}
OF_ELEMENTS: Mapping[str, Callable[[Sequence[Element], int, int], None]] = {
    "drop": _drop,
    "double": _double,
    "move": _move,
    "wrap": _wrap,
    "wrap copy": _wrap_copy,
    "set": _set,
    "unset": _unset,
    "write": _write,
    "follow": _follow,
    "rename": _rename,
    "comment": _comment,
}


def changes() -> st.SearchStrategy[list[Change]]:
    """One to four alterations; those of elements come first, for what they are made of need not be well-formed afterwards."""
    number = st.integers(0, 4095)
    of_elements = st.lists(st.tuples(st.sampled_from(sorted(OF_ELEMENTS)), number, number), max_size=3)
    of_octets = st.lists(st.tuples(st.sampled_from(sorted(OF_OCTETS)), number, number), max_size=2)
    return st.tuples(of_elements, of_octets).map(lambda each: [*each[0], *each[1]]).filter(bool)


def altered(raw: bytes, made: Sequence[Change]) -> bytes:
    """The message after all of them."""
    root = parse(raw, MESSAGE)
    for what, where, how in made:
        if what in OF_ELEMENTS:
            OF_ELEMENTS[what](list(root.iter(etree.Element)), where, how)
    octets: bytes = etree.tostring(root, encoding="utf-8", xml_declaration=False)
    for what, where, how in made:
        if what in OF_OCTETS:
            octets = OF_OCTETS[what](octets or b"<", where, how)
    return octets


def _below(elements: Sequence[Element], where: int) -> Element | None:
    """Any but the root."""
    return elements[1 + where % (len(elements) - 1)] if len(elements) > 1 else None


def _put(elements: Sequence[Element], element: Element, where: int) -> None:
    target = elements[where % len(elements)]
    target.insert(where % (len(target) + 1), element)
