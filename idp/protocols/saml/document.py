"""The one XML parser of this folder, the schemas, the canonical form. Nothing else here turns octets into elements.

Two parsers that disagree are how signatures get bypassed (V6), so a document is read by this one or not at all.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from lxml import etree

from idp.errors import BadRequest

Element: TypeAlias = etree._Element

SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
MD = "urn:oasis:names:tc:SAML:2.0:metadata"
MDUI = "urn:oasis:names:tc:SAML:metadata:ui"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
XENC11 = "http://www.w3.org/2009/xmlenc11#"
XML = "http://www.w3.org/XML/1998/namespace"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
ARTIFACT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Artifact"
PAOS = "urn:oasis:names:tc:SAML:2.0:bindings:PAOS"
SOAP = "urn:oasis:names:tc:SAML:2.0:bindings:SOAP"

SchemaName = Literal["protocol", "metadata"]
_COMPILING = threading.Lock()
_SCHEMA_FILES: dict[SchemaName, str] = {"protocol": "saml-schema-protocol-2.0.xsd", "metadata": "saml-schema-metadata-2.0.xsd"}
_DECLARATION = re.compile(r"<\?xml\s[^<>]*?\?>")
_ENCODING = re.compile(r"""encoding\s*=\s*["']([^"']*)["']""")
_FORBIDDEN = re.compile(r"[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Bounds:
    """What a document may be at most (S54): octets, depth, elements, namespace declarations and attributes of one element."""

    size: int
    elements: int
    depth: int = 32
    names: int = 64
    comments: bool = False


MESSAGE = Bounds(size=262_144, elements=2_000)
METADATA = Bounds(size=1_048_576, elements=20_000, comments=True)
"""Metadata may hold comments, because Shibboleth's generator begins with one; the parser drops them before anything is read or verified."""


def qualified(namespace: str, name: str) -> str:
    """The name as lxml writes it: `{namespace}name`."""
    return f"{{{namespace}}}{name}"


def parse(raw: bytes, bounds: Bounds = MESSAGE) -> Element:
    """The root element of a well-formed, small, plain UTF-8 document in which no ID occurs twice. Raises BadRequest."""
    if len(raw) > bounds.size:
        raise BadRequest(
            "saml.xml_too_large", "The SAML document is too large.", expected=f"at most {bounds.size} octets", received=str(len(raw))
        )
    text = _plain(raw, bounds)
    try:
        root = etree.fromstring(text.encode(), _parser())
    except etree.XMLSyntaxError as error:
        raise BadRequest("saml.xml_malformed", "The SAML document is not well-formed XML.", received=str(error.msg)) from None
    _check_shape(root, bounds)
    return root


def _parser() -> Any:
    """A parser that knows no DTD, entity, network or disk. Made for each document, so that no two threads share one."""
    return etree.XMLParser(
        encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, huge_tree=False, remove_comments=True, remove_pis=True
    )


def _plain(raw: bytes, bounds: Bounds) -> str:
    """The document without its XML declaration; refuses all markup but elements before a parser sees it (S54, V4, V5).

    In well-formed XML `<!` opens only a DOCTYPE, a comment or CDATA, and `<?` only an instruction: no attribute or text can hold them.
    """
    try:
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise BadRequest("saml.xml_encoding", "The SAML document is not UTF-8.", expected="UTF-8") from None
    text = _without_declaration(text.lstrip(" \t\r\n"))
    checked = _without_comments(text) if bounds.comments else text
    if "<!" in checked or "<?" in checked:
        raise BadRequest(
            "saml.xml_forbidden",
            "The SAML document has a document type, comment, CDATA section or processing instruction.",
            expected="elements, attributes and text only",
        )
    return text


def _without_declaration(text: str) -> str:
    declaration = _DECLARATION.match(text)
    if declaration is None:
        return text
    encoding = _ENCODING.search(declaration[0])
    if encoding is not None and encoding[1].lower() not in ("utf-8", "utf8"):
        raise BadRequest("saml.xml_encoding", "The SAML document is not declared as UTF-8.", expected="UTF-8", received=encoding[1])
    return text[declaration.end() :]


def _without_comments(text: str) -> str:
    """The text outside of comments, in one pass: a regular expression would need quadratic time for `<!--` repeated (V22)."""
    kept, start = [], 0
    while (begin := text.find("<!--", start)) >= 0:
        end = text.find("-->", begin + 4)
        if end < 0:
            break
        kept.append(text[start:begin])
        start = end + 3
    return "".join([*kept, text[start:]])


def _check_shape(root: Element, bounds: Bounds) -> None:
    """Refuses documents that would be slow to handle (V22) or in which one ID names two elements (S56)."""
    seen: set[str] = set()
    depth = count = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if event == "start":
            count += 1
            _check_names(element, bounds)
            _check_ids(element, seen)
        if depth > bounds.depth or count > bounds.elements:
            raise BadRequest("saml.xml_too_complex", "The SAML document is nested too deeply, or has too many elements.")


def _check_names(element: Element, bounds: Bounds) -> None:
    if len(element.attrib) > bounds.names or len(element.nsmap) > bounds.names:
        raise BadRequest("saml.xml_too_complex", "An element of the SAML document has too many attributes or namespaces.")


def _check_ids(element: Element, seen: set[str]) -> None:
    for value in _ids(element):
        if value in seen:
            raise BadRequest("saml.xml_duplicate_id", "Two elements of the SAML document have the same ID.", received=value)
        seen.add(value)


def _ids(element: Element) -> Iterator[str]:
    """Values of ID, Id, id and xml:id, whichever vocabulary they come from."""
    return (value for name, value in element.attrib.items() if name.rpartition("}")[2].lower() == "id")


def canonical(element: Element, prefixes: Sequence[str] = ()) -> bytes:
    """The element in exclusive canonical XML without comments; `prefixes` is its InclusiveNamespaces PrefixList.

    A canonicaliser that fails means an invalid document, never an empty one that anybody could have signed (V7, V8).
    """
    try:
        octets: bytes = etree.tostring(
            element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=list(prefixes) or None
        )
    except (etree.C14NError, ValueError) as error:
        raise BadRequest("saml.xml_not_canonical", "The SAML document has no canonical form.", received=type(error).__name__) from None
    if not octets:
        raise BadRequest("saml.xml_not_canonical", "The SAML document has no canonical form.", received="nothing")
    return octets


def printable(text: str) -> str:
    """The text with each character that XML 1.0 cannot carry replaced, so that a stray one from iMIS never stops a sign-on."""
    return _FORBIDDEN.sub("\ufffd", text)


class Schema:
    """One compiled XSD. Its error log belongs to the object, therefore one thread at a time."""

    def __init__(self, file_name: str) -> None:
        self._compiled = etree.XMLSchema(etree.parse(str(_schema_path(file_name)), _schema_parser()))
        self._lock = threading.Lock()

    def check(self, root: Element) -> None:
        """Raises BadRequest with the first thing that is wrong."""
        with self._lock:
            if self._compiled.validate(root):
                return
            problem = self._compiled.error_log[0].message
        raise BadRequest("saml.schema_invalid", "The SAML document does not follow the SAML schema.", received=problem)


def schema(name: SchemaName) -> Schema:
    """The OASIS schema, compiled once in a process from the copy that pysaml2 carries (S55)."""
    with _COMPILING:  # libxml2 does not compile two at once: the first requests of a worker would fail
        return _compiled(name)


@cache
def _compiled(name: SchemaName) -> Schema:
    return Schema(_SCHEMA_FILES[name])


def _schema_path(file_name: str) -> Any:
    return files("saml2").joinpath("data", "schemas", file_name)


def _schema_parser() -> Any:
    parser = etree.XMLParser(no_network=True, load_dtd=False, resolve_entities=False)
    parser.resolvers.add(_LocalFiles())
    return parser


class _LocalFiles(etree.Resolver):  # type: ignore[misc, name-defined, unused-ignore]
    """Answers every import of a schema with pysaml2's file of that name, and never with anything else."""

    def resolve(self, url: str, public_id: str, context: Any) -> Any:  # noqa: ARG002  lxml names the arguments
        return self.resolve_filename(str(_schema_path(url.rsplit("/", 1)[-1])), context)
