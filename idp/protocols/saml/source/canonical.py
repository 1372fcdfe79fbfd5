"""Exclusive canonical XML of a document that is too large to hold: it goes in by pieces and comes out by pieces.

lxml has it for trees only, and the tree of a federation's metadata takes ten times their size. So this is the one place where
another parser reads: expat, which hands out prefixes as they stand there. Two parsers that disagree are how signatures get bypassed
(V6); here they cannot, since nobody reads the document but its canonical octets, which are the very ones whose digest was signed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import BinaryIO
from xml.parsers import expat

from idp.errors import BadRequest
from idp.protocols.saml.document import DS, METADATA

_MARK = "\x01"  # XML can hold it in no form, so no namespace has it
_PIECE = 65536
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DEEPEST = METADATA.depth
_MOST_NAMES = METADATA.names
_REMEMBERED = 2000
_HEAD = 65536
_LONGEST_TAG = 1_048_576
_MOST_ELEMENTS = 5_000_000
_SIGNATURE = f"{DS}{_MARK}Signature"
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;"})
_VALUE = str.maketrans({"&": "&amp;", "<": "&lt;", '"': "&quot;", "\t": "&#x9;", "\n": "&#xA;", "\r": "&#xD;"})

Write = Callable[[bytes], object]
Name = tuple[str, str, str]
"""Namespace, local name, and the name as it is written, with its prefix."""


class _Enough(Exception):
    """The head has been read."""


def canonical_head(file: BinaryIO) -> bytes:
    """The root with its first child alone, where a signature stands, as a small document with every namespace that is in scope.

    Raises BadRequest.
    """
    head = bytearray()

    def write(octets: bytes) -> None:
        head.extend(octets)
        if len(head) > _HEAD:
            raise BadRequest("saml.xml_too_large", "The head of the metadata is too large.", expected=f"at most {_HEAD} octets")

    writer = _Writer(write, prefixes=None)
    with suppress(_Enough):
        _feed(file, writer, stop=lambda: writer.children > 0)
    return bytes(head)


def write_canonical(file: BinaryIO, write: Write, *, prefixes: Collection[str]) -> None:
    """The canonical form without the signature that is the root's first child. Raises BadRequest."""
    _feed(file, _Writer(write, prefixes=prefixes, skip=True))


def _feed(file: BinaryIO, writer: _Writer, *, stop: Callable[[], bool] | None = None) -> None:
    writer.stop = stop
    parser = _parser(writer)
    fed = 0
    try:
        while piece := file.read(_PIECE):
            if not fed and piece[:2] in _UTF_16:  # expat would go by the mark, whatever it was told
                raise BadRequest("saml.xml_encoding", "The SAML document is not UTF-8.", expected="UTF-8")
            parser.Parse(piece, False)
            fed += len(piece)
            if fed - max(parser.CurrentByteIndex, 0) > _LONGEST_TAG:  # expat would look through it again with each piece (CVE-2023-52425)
                raise BadRequest(
                    "saml.xml_too_complex", "A tag of the SAML document is too long.", expected=f"at most {_LONGEST_TAG} octets"
                )
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        message = expat.errors.messages.get(error.code, "")
        raise BadRequest("saml.xml_malformed", "The SAML document is not well-formed XML.", received=message) from None
    except UnicodeError:
        raise BadRequest("saml.xml_encoding", "The SAML document is not UTF-8.", expected="UTF-8") from None
    writer.flush()


def _parser(writer: _Writer) -> expat.XMLParserType:
    """Knows no document type, and so no entity; refuses what `document` refuses. Comments are passed over, as there."""
    parser = expat.ParserCreate("utf-8", _MARK)
    parser.namespace_prefixes = True
    parser.ordered_attributes = True
    parser.buffer_text = True
    parser.buffer_size = _PIECE
    parser.XmlDeclHandler = _check_declaration
    parser.StartDoctypeDeclHandler = _refuse
    parser.ProcessingInstructionHandler = _refuse
    parser.StartCdataSectionHandler = _refuse
    parser.StartNamespaceDeclHandler = writer.declare
    parser.StartElementHandler = writer.start
    parser.EndElementHandler = writer.end
    parser.CharacterDataHandler = writer.text
    return parser


def _check_declaration(version: str, encoding: str | None, standalone: int) -> None:  # noqa: ARG001  expat passes all three
    if encoding is not None and encoding.lower() not in ("utf-8", "utf8"):
        raise BadRequest("saml.xml_encoding", "The SAML document is not declared as UTF-8.", expected="UTF-8", received=encoding)


def _refuse(*_: object) -> None:
    raise BadRequest(
        "saml.xml_forbidden",
        "The SAML document has a document type, comment, CDATA section or processing instruction.",
        expected="elements, attributes and text only",
    )


class _Writer:
    """Takes a parser's events and writes canonical XML (Exclusive XML Canonicalization 1.0 section 3).

    `prefixes` is the InclusiveNamespaces PrefixList; None writes every namespace that is in scope, as inclusive canonical XML does.
    """

    def __init__(self, write: Write, *, prefixes: Collection[str] | None, skip: bool = False) -> None:
        self.children = 0
        self.stop: Callable[[], bool] | None = None
        self._write = write
        self._skip = skip
        self._prefixes = None if prefixes is None else {"" if each == "#default" else each for each in prefixes}
        self._scopes: list[Mapping[str, str]] = [{}]
        self._rendered: list[Mapping[str, str]] = [{}]
        self._open: list[str] = []
        self._declared: dict[str, str] = {}
        self._skipped = 0
        self._waiting: list[str] = []
        self._names: dict[str, Name] = {}
        self._elements = 0

    def declare(self, prefix: str | None, uri: str | None) -> None:
        self._declared[prefix or ""] = uri or ""

    def start(self, marked: str, attributes: list[str]) -> None:
        scope = {**self._scopes[-1], **self._declared} if self._declared else self._scopes[-1]
        self._declared.clear()
        self._scopes.append(scope)
        self._elements += 1
        _check_shape(len(self._scopes) - 1, self._elements, max(len(attributes) // 2, len(scope)))
        if self._skipped or self._is_skipped(marked):
            self._skipped += 1
            return
        name = self._name(marked)
        pairs = [(self._name(attributes[index]), attributes[index + 1]) for index in range(0, len(attributes), 2)]
        fresh = self._fresh(name, pairs, scope)
        self._rendered.append({**self._rendered[-1], **fresh} if fresh else self._rendered[-1])
        self._open.append(name[2])
        self._put(_start_tag(name[2], fresh, pairs))

    def end(self, _: str) -> None:
        self._scopes.pop()
        if self._skipped:
            self._skipped -= 1
        else:
            self._rendered.pop()
            self._put(f"</{self._open.pop()}>")
        self.children += len(self._scopes) == 2
        self._look_whether_it_is_enough()

    def text(self, text: str) -> None:
        if not self._skipped and self._open:
            self._put(text.translate(_TEXT))

    def flush(self) -> None:
        octets = "".join(self._waiting).encode()  # the parser lets no lone surrogate through
        self._waiting.clear()
        self._write(octets)

    def _is_skipped(self, marked: str) -> bool:
        """The enveloped-signature transform. A second signature beside the first has no business there."""
        is_signature = len(self._scopes) == 3 and marked.startswith(_SIGNATURE) and self._name(marked)[1] == "Signature"
        if is_signature and self.children and self._skip:
            raise BadRequest(
                "saml.signature_shape", "The signature of the SAML message does not have the form that SAML prescribes.",
                expected="one signature, the first child of the root",
            )  # fmt: skip
        return is_signature and self._skip

    def _fresh(self, name: Name, pairs: list[tuple[Name, str]], scope: Mapping[str, str]) -> dict[str, str]:
        """The namespaces to write here: those that the tag uses, or that are listed, and that do not stand in force above."""
        rendered = self._rendered[-1]
        if self._prefixes is None:
            used = set(scope)
        else:
            used = {prefix for prefix in self._prefixes if prefix in scope}
            used.add(_prefix(name[2]))
            used.update(_prefix(each[0][2]) for each in pairs if each[0][0])
        used.discard("xml")
        return {prefix: scope.get(prefix, "") for prefix in used if rendered.get(prefix, "") != scope.get(prefix, "")}

    def _name(self, marked: str) -> Name:
        name = self._names.get(marked)
        if name is None:
            parts = marked.split(_MARK)
            uri, local = (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])
            name = (uri, local, f"{parts[2]}:{local}" if len(parts) == 3 else local)
            if len(self._names) >= _REMEMBERED:
                self._names.clear()
            self._names[marked] = name
        return name

    def _put(self, text: str) -> None:
        self._waiting.append(text)
        if len(self._waiting) >= 1000 or self.stop is not None:
            self.flush()

    def _look_whether_it_is_enough(self) -> None:
        if self.stop is not None and self._open and self.stop():
            while self._open:
                self._put(f"</{self._open.pop()}>")
            raise _Enough


def _start_tag(name: str, namespaces: Mapping[str, str], pairs: list[tuple[Name, str]]) -> str:
    written = [f"<{name}"]
    for prefix in sorted(namespaces):
        written.append(f' xmlns{":" if prefix else ""}{prefix}="{namespaces[prefix].translate(_VALUE)}"')
    for each, value in sorted(pairs) if len(pairs) > 1 else pairs:
        written.append(f' {each[2]}="{value.translate(_VALUE)}"')
    written.append(">")
    return "".join(written)


def _prefix(name: str) -> str:
    return name.rpartition(":")[0]


def _check_shape(depth: int, elements: int, names: int) -> None:
    """The bounds of `document` (V22), but for the number of elements."""
    if depth > _DEEPEST or elements > _MOST_ELEMENTS:
        raise BadRequest("saml.xml_too_complex", "The SAML document is nested too deeply, or has too many elements.")
    if names > _MOST_NAMES:
        raise BadRequest("saml.xml_too_complex", "An element of the SAML document has too many attributes or namespaces.")
