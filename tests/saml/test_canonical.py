"""Canonical XML by pieces: the same octets as lxml's, which are judged by xmlsec1 elsewhere; and what is refused on the way."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


NAMES = st.sampled_from(["a", "b", "p:a", "p:b", "q:a", "q:b"])
DECLARATIONS = st.dictionaries(st.sampled_from(["p", "q", "", "r"]), st.sampled_from(["urn:1", "urn:2", "urn:3"]), max_size=3)
TEXTS = st.text(alphabet="ax<>&\"'\t\n\r ü", max_size=6)


@st.composite
def elements(draw: Any, depth: int = 0, scope: frozenset[str] = frozenset()) -> str:
    declared = draw(DECLARATIONS)
    within = scope | set(declared)
    name = draw(NAMES.filter(lambda each: ":" not in each or each[0] in within))
    wanted = draw(st.dictionaries(NAMES.filter(lambda each: ":" not in each or each[0] in within), TEXTS, max_size=2))
    if sum(":" in each for each in wanted) > 1:
        wanted = {}  # two prefixes may stand for one namespace: not well-formed
    attributes = "".join(f' {key}="{escaped(value)}"' for key, value in wanted.items())
    namespaces = "".join(f' xmlns{":" if prefix else ""}{prefix}="{uri}"' for prefix, uri in declared.items())
    inner = "".join(draw(st.lists(elements(depth + 1, frozenset(within)) | TEXTS.map(escaped), max_size=3))) if depth < 3 else ""
    return f"<{name}{namespaces}{attributes}>{inner}</{name}>"


def escaped(text: str) -> str:
    for letter, name in (("&", "amp"), ("<", "lt"), (">", "gt"), ('"', "quot"), ("\r", "#13"), ("\n", "#10"), ("\t", "#9")):
        text = text.replace(letter, f"&{name};")
    return text


@settings(max_examples=300, deadline=None)
@given(elements())
def test_V6_any_document_has_the_octets_of_lxml(text: str) -> None:
    assert streamed(text) == canonical(parse(text.encode(), METADATA))


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
