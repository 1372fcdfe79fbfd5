"""SOAP 1.1 for vendors' servers: one call in a Body, read without DTD, and what goes back (W3C Note of May 2000).

The reader is expat with our own limits. A document type is refused as soon as it begins, so there are no entities to expand and
nothing outside to fetch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from idp.errors import IdpError
from idp.web import xml

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
CONTENT_TYPE = "text/xml; charset=utf-8"
_DEEPEST = 16
_MOST_ELEMENTS = 200


@dataclass(frozen=True)
class Call:
    """An operation by its local name, and its parameters as they were written."""

    operation: str
    parameters: Mapping[str, str] = field(repr=False)


class SoapRefused(IdpError):
    """What came is no SOAP call that we take."""


@dataclass
class _Node:
    name: str
    attributes: Mapping[str, str]
    children: list[_Node] = field(default_factory=list)
    text: str = ""

    @property
    def local(self) -> str:
        return self.name.rpartition(" ")[2]


def read_call(raw: bytes) -> Call:
    """The call in an Envelope. Raises SoapRefused."""
    root = _read(raw)
    parts = {part.name: part for part in root.children}
    body = parts.get(f"{ENVELOPE} Body")
    if root.name != f"{ENVELOPE} Envelope" or body is None or len(body.children) != 1 or len(parts) != len(root.children):
        raise SoapRefused("soap.shape", "This is not a SOAP 1.1 call.", expected="one Body with one element in an Envelope")
    for header in parts[f"{ENVELOPE} Header"].children if f"{ENVELOPE} Header" in parts else ():
        if header.attributes.get(f"{ENVELOPE} mustUnderstand") in ("1", "true"):
            raise SoapRefused("soap.must_understand", "The call has a header that is not understood here.", received=header.local)
    call = body.children[0]
    parameters = {child.local: child.text.strip() for child in call.children}
    if len({name.casefold() for name in parameters}) != len(call.children) or any(child.children for child in call.children):
        raise SoapRefused("soap.parameters", "The call names one thing twice, or holds more than plain values.")
    return Call(call.local, parameters)


def _read(raw: bytes) -> _Node:
    document = _Node("", {})
    stack, count = [document], 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > _DEEPEST or count > _MOST_ELEMENTS:
            raise SoapRefused("soap.too_large", "The call has too many elements.")
        node = _Node(name, attributes)
        stack[-1].children.append(node)
        stack.append(node)

    def end(_: str) -> None:
        stack.pop()

    def say(text: str) -> None:
        stack[-1].text += text

    def refuse(*_: object) -> None:
        raise SoapRefused("soap.document_type", "The call has a document type, which SOAP forbids.")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = begin, end, say
    parser.StartDoctypeDeclHandler = parser.ProcessingInstructionHandler = refuse
    try:
        parser.Parse(raw, True)
    except (expat.ExpatError, ValueError, LookupError):  # an encoding that nobody knows is a LookupError
        raise SoapRefused("soap.unreadable", "This is not XML.") from None
    return document.children[0]


def envelope(content: str) -> str:
    """What is XML already, in an Envelope."""
    body = xml.element("S:Body", content)
    return xml.HEAD + xml.element("S:Envelope", body, {"xmlns:S": ENVELOPE})


def fault(error: IdpError, reference: str) -> str:
    """A refusal: whose fault it is, a sentence, and for programs the cause."""
    code = "MustUnderstand" if error.cause == "soap.must_understand" else "Client" if error.status < 500 else "Server"
    sentence = f"{error.message} [{error.cause}, reference {reference}]"
    detail = xml.element("cause", xml.text(error.cause)) + xml.element("reference", xml.text(reference))
    return envelope(
        xml.element(
            "S:Fault",
            xml.element("faultcode", f"S:{code}") + xml.element("faultstring", xml.text(sentence)) + xml.element("detail", detail),
        )
    )


@dataclass(frozen=True)
class Operation:
    """What a WSDL says of an operation: its parameters, and the schema of its result."""

    name: str
    parameters: tuple[str, ...]
    result: str


def describe(service: str, *, namespace: str, location: str, operations: tuple[Operation, ...]) -> str:
    """A WSDL 1.1 of the style document/literal wrapped."""
    schema = "".join(_element_schema(each) for each in operations)
    messages = "".join(_messages(each.name) for each in operations)
    ports = "".join(_port_operation(each.name) for each in operations)
    bound = "".join(_bound_operation(each.name, namespace) for each in operations)
    transport = "http://schemas.xmlsoap.org/soap/http"
    port = {"name": "Soap", "binding": f"t:{service}Soap"}
    return xml.HEAD + xml.element(
        "wsdl:definitions",
        xml.element(
            "wsdl:types",
            xml.element("xs:schema", schema, {"targetNamespace": namespace, "elementFormDefault": "qualified"}),
        )
        + messages
        + xml.element("wsdl:portType", ports, {"name": f"{service}Port"})
        + xml.element(
            "wsdl:binding", f'<soap:binding transport="{transport}"/>{bound}', {"name": f"{service}Soap", "type": f"t:{service}Port"}
        )
        + xml.element(
            "wsdl:service",
            xml.element("wsdl:port", xml.element("soap:address", "", {"location": location}), port),
            {"name": service},
        ),
        {
            "xmlns:wsdl": "http://schemas.xmlsoap.org/wsdl/",
            "xmlns:soap": "http://schemas.xmlsoap.org/wsdl/soap/",
            "xmlns:xs": "http://www.w3.org/2001/XMLSchema",
            "xmlns:t": namespace,
            "targetNamespace": namespace,
        },
    )


def _element_schema(operation: Operation) -> str:
    given = "".join(f'<xs:element name="{name}" type="xs:string" minOccurs="0"/>' for name in operation.parameters)
    asked = f'<xs:element name="{operation.name}"><xs:complexType><xs:sequence>{given}</xs:sequence></xs:complexType></xs:element>'
    return f'{asked}<xs:element name="{operation.name}Response"><xs:complexType>{operation.result}</xs:complexType></xs:element>'


def _messages(name: str) -> str:
    return "".join(
        f'<wsdl:message name="{name}{way}"><wsdl:part name="parameters" element="t:{name}{element}"/></wsdl:message>'
        for way, element in (("In", ""), ("Out", "Response"))
    )


def _port_operation(name: str) -> str:
    return f'<wsdl:operation name="{name}"><wsdl:input message="t:{name}In"/><wsdl:output message="t:{name}Out"/></wsdl:operation>'


def _bound_operation(name: str, namespace: str) -> str:
    action = f"{namespace.rstrip('/')}/{name}"
    body = '<soap:body use="literal"/>'
    ways = f"<wsdl:input>{body}</wsdl:input><wsdl:output>{body}</wsdl:output>"
    return f'<wsdl:operation name="{name}"><soap:operation soapAction="{action}" style="document"/>{ways}</wsdl:operation>'
