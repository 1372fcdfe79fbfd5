"""Canonical XML by pieces: the same octets as lxml's, which are judged by xmlsec1 elsewhere; and what is refused on the way."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lxml import etree

from idp.errors import BadRequest
from idp.protocols.saml.document import DS, METADATA, canonical, parse
from idp.protocols.saml.source.canonical import canonical_head, write_canonical

from .wiring import metadata, octets, signed

DOCUMENTS = [
    "<a/>",
    '<a xmlns="urn:x"><b xmlns=""><c/></b><d/></a>',
    '<x:a xmlns:x="urn:x" xmlns:y="urn:y" xmlns:z="urn:z" y:b="1" a="2" z:b="3" x:a="4"><y:b/><x:c/></x:a>',
    '<x:a xmlns:x="urn:x"><x:b xmlns:x="urn:other"><x:c xmlns:x="urn:x"/></x:b></x:a>',
    '<a xmlns:p="urn:1" xmlns:q="urn:1" q:c="1" p:b="2"/>',
    '<a xml:lang="en" xml:space="preserve"> <b xml:lang="de"/>\n</a>',
    '<a b="&lt;&gt;&amp;&quot;\'&#9;&#10;&#13; x">&lt;&gt;&amp;"\'&#9;&#10;&#13;</a>',
    "<a>\r\nx\ry\n</a>",
    "<a b='1\n2\t3'/>",
    "<!-- before --><a>one<!-- in --> two<b/>three</a><!-- after -->",
    "<a>\u00fc\U0001f600</a>",
    '<a xmlns="urn:x" b="1"/>',
    '<a xmlns="urn:x"><b xmlns="urn:x"><b xmlns="urn:y"/></b></a>',
]


def streamed(text: str | bytes, prefixes: Sequence[str] = ()) -> bytes:
    out = bytearray()
    write_canonical(BytesIO(text.encode() if isinstance(text, str) else text), out.extend, prefixes=prefixes)
    return bytes(out)


@pytest.mark.parametrize("text", [*DOCUMENTS, metadata()], ids=range(len(DOCUMENTS) + 1))
def test_V7_the_octets_are_those_of_lxml(text: str) -> None:
    assert streamed(text) == canonical(parse(text.encode(), METADATA))


@pytest.mark.parametrize("prefixes", [("y",), ("y", "z", "none"), ("#default",), ("x", "#default")])
@pytest.mark.parametrize("text", DOCUMENTS)
def test_listed_prefixes_are_written_as_lxml_writes_them(text: str, prefixes: tuple[str, ...]) -> None:
    assert streamed(text, prefixes) == canonical(parse(text.encode(), METADATA), prefixes)


PREFIXES = ("", "p", "q", "r", "P", "p1")
URIS = ("urn:1", "urn:2", "urn:3", "http://x.example/?a=1")
LOCALS = ("a", "b", "B", "a-b", "a1", "\u00fc")
PLAIN = st.text(alphabet="ax>'\u00fc\u0085\u2028\ufffd\U0001f600\U0010ffff \t\n\r", max_size=6)
WRITTEN = st.sampled_from(
    ["&lt;", "&amp;", "&gt;", "&quot;", "&apos;", "&#13;", "&#10;", "&#9;", "&#x1F600;", "&#x85;", "&#60;", "\r\n", "]]&gt;"]
)
COMMENTS = st.sampled_from(["<!---->", "<!-- <a b='1'> & -->", "<!--\r\n\U0001f600-->"])


def texts() -> st.SearchStrategy[str]:
    """Character data as it may be written: in the clear, by reference, with the three ends of lines."""
    return st.lists(PLAIN | WRITTEN, max_size=3).map("".join)


@st.composite
def start_tags(draw: st.DrawFn, scope: frozenset[str]) -> tuple[str, str, frozenset[str]]:
    """A start tag without its end, the name in it, and the prefixes that are in scope within. Declarations and attributes stand mixed;
    some are repeated, which is not well-formed."""
    declared = draw(st.dictionaries(st.sampled_from(PREFIXES), st.sampled_from(URIS), max_size=4))
    if not draw(st.booleans()):
        declared |= {"": ""} if draw(st.booleans()) else {}
    within = scope | {prefix for prefix in declared if prefix}
    prefixes = st.sampled_from(["", *sorted(within)])
    qualified = st.tuples(prefixes, st.sampled_from(LOCALS)).map(lambda pair: f"{pair[0]}:{pair[1]}" if pair[0] else pair[1])
    xml = st.sampled_from(["xml:lang", "xml:space", "xml:base"])
    pairs = [(f"xmlns:{prefix}" if prefix else "xmlns", uri) for prefix, uri in declared.items()]
    pairs += [(name, draw(texts()).replace("'", "&#39;")) for name in draw(st.lists(qualified | xml, max_size=3, unique=True))]
    written = "".join(f"{draw(st.sampled_from([' ', '  ', chr(10)]))}{name}='{value}'" for name, value in draw(st.permutations(pairs)))
    name = draw(qualified)
    return f"<{name}{written}", name, within


@st.composite
def elements(draw: st.DrawFn, depth: int = 0, scope: frozenset[str] = frozenset()) -> str:
    tag, name, within = draw(start_tags(scope))
    if draw(st.booleans()) and depth:
        return f"{tag}/>"
    inner = draw(st.lists(elements(depth + 1, within) | texts() | COMMENTS, max_size=4)) if depth < 3 else []
    return f"{tag}>{''.join(inner)}</{name}>"


def of_lxml(text: str, prefixes: Sequence[str] = ()) -> bytes:
    """Empty where lxml refuses the document."""
    try:
        return canonical(parse(text.encode(), METADATA), prefixes)
    except BadRequest:
        return b""


def of_ours(text: str, prefixes: Sequence[str] = ()) -> bytes:
    try:
        return streamed(text, prefixes)
    except BadRequest:
        return b""


def test_the_documents_that_are_made_are_mostly_well_formed_and_some_are_not() -> None:
    """Else the test below would compare refusals alone, or none."""
    refused: list[bool] = []

    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    @given(elements())
    def make(text: str) -> None:
        refused.append(not of_lxml(text))

    make()
    assert 0 < sum(refused) < len(refused) / 2


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(elements(), st.lists(st.sampled_from([*PREFIXES[1:], "none", "xml"]), max_size=3, unique=True))
@example("<p:a xmlns:p='urn:1'><a xmlns='urn:2'><b xmlns=''/></a></p:a>", ["#default"])
@example("<a xmlns:p='urn:1'><b xmlns:p='urn:2'><p:c xmlns:p='urn:1'/></b></a>", ["p"])
@example("<a>\U0001f600\u0085&#13;\r\n\r</a>", [])
def test_V6_V7_any_document_has_the_octets_of_lxml_or_is_refused_as_lxml_refuses_it(text: str, prefixes: list[str]) -> None:
    assert of_ours(text, prefixes) == of_lxml(text, prefixes)


def test_the_usual_namespace_is_written_where_it_is_listed_as_the_standard_says() -> None:
    """Exclusive XML Canonicalization 1.0 section 3; libxml2 passes over `#default` where no tag uses it."""
    assert streamed("<p:a xmlns='urn:1' xmlns:p='urn:2'/>", ["#default"]) == b'<p:a xmlns="urn:1" xmlns:p="urn:2"></p:a>'


def test_V7_a_namespace_with_an_ampersand_is_written_as_the_standard_says_and_can_be_read_again() -> None:
    """libxml2 leaves it bare; Canonical XML 1.0 section 2.3 has namespaces escaped as attributes are. What is no XML nobody should read."""
    assert streamed("<a xmlns='urn:x?a=1&amp;b=2'/>") == b'<a xmlns="urn:x?a=1&amp;b=2"></a>'
    assert parse(streamed("<a xmlns='urn:x?a=1&amp;b=2'/>")).tag == "{urn:x?a=1&b=2}a"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start_tags(frozenset()), elements(1), texts())
def test_V6_any_head_has_the_inclusive_form_of_lxml(tag: tuple[str, str, frozenset[str]], child: str, text: str) -> None:
    whole = f"{tag[0]}>{text}{child}</{tag[1]}>"
    if not of_lxml(whole):
        return
    root = parse(whole.encode(), METADATA)
    assert canonical_head(BytesIO(whole.encode())) == etree.tostring(root, method="c14n", exclusive=False, with_comments=False)


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_V6_where_a_piece_ends_makes_no_difference(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = streamed(DOCUMENTS[2] + " "), streamed("<a>\r\n\U0001f600\u00fc&#13;</a>")
    monkeypatch.setattr("idp.protocols.saml.source.canonical._PIECE", piece)
    assert (streamed(DOCUMENTS[2] + " "), streamed("<a>\r\n\U0001f600\u00fc&#13;</a>")) == whole


def test_the_enveloped_signature_is_left_out_and_nothing_else() -> None:
    root = signed(parse(metadata(attributes=' ID="_m"').encode(), METADATA))
    with_signature = octets(root)
    root.remove(root.find(f"{{{DS}}}Signature"))
    assert streamed(with_signature) == canonical(root)


def test_V13_a_second_signature_beside_the_first_is_refused() -> None:
    text = octets(signed(parse(metadata(attributes=' ID="_m"').encode(), METADATA))).decode()
    begin, end = text.index("<ds:Signature"), text.index("</ds:Signature>") + len("</ds:Signature>")
    with pytest.raises(BadRequest, match="signature_shape"):
        streamed(text.replace("</md:EntityDescriptor>", text[begin:end] + "</md:EntityDescriptor>"))


def test_the_head_is_the_root_with_its_first_child_and_reads_no_further() -> None:
    text = '<a xmlns="urn:x" xmlns:y="urn:y" ID="1"><b y:c="1">x</b><c/><not well-formed'
    assert canonical_head(BytesIO(text.encode())) == b'<a xmlns="urn:x" xmlns:y="urn:y" ID="1"><b y:c="1">x</b></a>'
    assert streamed("<a><b/></a>") == b"<a><b></b></a>"


REFUSED = {
    "document type": ("<!DOCTYPE a><a/>", "xml_forbidden"),
    "external DTD": ('<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>', "xml_forbidden"),
    "entity bomb": ('<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><a>&b;</a>', "xml_forbidden"),
    "parameter entity": ('<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><a/>', "xml_forbidden"),
    "unknown entity": ("<a>&b;</a>", "xml_malformed"),
    "instruction": ("<a><?php echo 1 ?></a>", "xml_forbidden"),
    "stylesheet": ('<?xml-stylesheet href="x.xsl"?><a/>', "xml_forbidden"),
    "CDATA": ("<a><![CDATA[x]]></a>", "xml_forbidden"),
    "other encoding": ('<?xml version="1.0" encoding="ISO-8859-1"?><a/>', "xml_encoding"),
    "cut off": ("<a><b>", "xml_malformed"),
    "two roots": ("<a/><a/>", "xml_malformed"),
    "undeclared prefix": ("<p:a/>", "xml_malformed"),
    "prefix taken back": ("<a xmlns:p='urn:1'><b xmlns:p=''/></a>", "xml_malformed"),
    "one attribute by two prefixes": ("<a xmlns:p='urn:1' xmlns:q='urn:1' p:b='1' q:b='2'/>", "xml_malformed"),
    "another's prefix xml": ("<a xmlns:xml='urn:1'/>", "xml_malformed"),
    "deep": ("<a>" * 40 + "</a>" * 40, "xml_too_complex"),
    "many attributes": ("<a " + " ".join(f'b{each}=""' for each in range(70)) + "/>", "xml_too_complex"),
    "nothing": ("", "xml_malformed"),
}


@pytest.mark.parametrize(("text", "cause"), REFUSED.values(), ids=REFUSED)
def test_V4_V22_what_may_not_be_in_a_document_is_refused(text: str, cause: str) -> None:
    with pytest.raises(BadRequest) as caught:
        streamed(text)
    assert caught.value.cause == f"saml.{cause}"


def test_octets_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(BadRequest):
        streamed("<a>ü</a>".encode("latin-1"))
    with pytest.raises(BadRequest):
        streamed("<a/>".encode("utf-16"))


def test_V22_a_tag_without_an_end_is_refused_long_before_all_of_it_was_read() -> None:
    class Endless(BytesIO):
        read_so_far = 0

        def read(self, size: int | None = -1) -> bytes:
            self.read_so_far += 65536
            if self.read_so_far > 8_000_000:
                return b""
            return b'<a b="' + b"x" * 65530 if self.read_so_far == 65536 else b"x" * 65536

    endless = Endless()
    with pytest.raises(BadRequest, match="too long"):
        write_canonical(endless, lambda _: None, prefixes=())
    assert endless.read_so_far < 2_000_000
