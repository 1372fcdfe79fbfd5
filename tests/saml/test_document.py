"""The one parser: what it refuses, and that refusing is quick."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from lxml import etree

from idp.errors import BadRequest
from idp.protocols.saml import document
from idp.protocols.saml.document import METADATA, canonical, parse, printable, schema

from .wiring import authn_request, octets


def cause_of(raw: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        parse(raw)
    assert caught.value.status == 400
    return caught.value.cause


@pytest.mark.parametrize(
    "raw",
    [
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>',
        b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>',
        b'<!DOCTYPE a [<!ENTITY % p SYSTEM "http://127.0.0.1:9/x.dtd"> %p;]><a/>',
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/x.dtd"><a/>',
    ],
)
def test_V4_a_document_type_is_refused_before_anything_is_parsed_or_fetched(raw: bytes) -> None:
    assert cause_of(raw) == "saml.xml_forbidden"


def test_V4_an_undeclared_entity_is_not_well_formed() -> None:
    assert cause_of(b"<a>&e;</a>") == "saml.xml_malformed"


@pytest.mark.parametrize(
    "raw",
    [b"<a>x<!-- -->y</a>", b"<a><![CDATA[x]]></a>", b"<a><?x y?></a>", b"<?x?><a/>", b'<?xml version="1.0"?><?xml version="1.0"?><a/>'],
)
def test_V5_S54_comments_cdata_and_instructions_are_refused(raw: bytes) -> None:
    assert cause_of(raw) == "saml.xml_forbidden"


def test_V5_a_comment_in_metadata_does_not_cut_the_text_around_it() -> None:
    assert parse(b"<!-- sample --><a>x<!-- -->y</a>", METADATA).text == "xy"


@pytest.mark.parametrize("raw", [b"<<!-- -->!DOCTYPE a><a/>", b"<a><!--", b"<![CDATA[<!-- ]]><a/> -->", b"<?x <!-- ?><a/><!-- -->"])
def test_V6_comments_in_metadata_cannot_hide_other_markup(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(raw, METADATA)
    assert caught.value.cause == "saml.xml_forbidden"


@pytest.mark.parametrize(
    "raw", ["<a/>".encode("utf-16"), b'<?xml version="1.0" encoding="utf-16"?><a/>', b"<a>\xed\xa0\x80</a>", b"<a>\xff</a>"]
)
def test_S54_only_utf_8_is_read(raw: bytes) -> None:
    assert cause_of(raw) == "saml.xml_encoding"


def test_a_byte_order_mark_and_a_declaration_of_utf_8_are_taken() -> None:
    assert parse('\ufeff<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n<a>ü</a>'.encode()).text == "ü"


@pytest.mark.parametrize("raw", [b'<a ID="1"><b ID="1"/></a>', b'<a ID="1"><b Id="1"/></a>', b'<a ID="_1"><b xml:id="_1"/></a>'])
def test_S56_an_id_that_names_two_elements_is_refused_whatever_its_attribute_is_called(raw: bytes) -> None:
    assert cause_of(raw) == "saml.xml_duplicate_id"


def test_S54_a_document_over_256_KB_is_refused() -> None:
    assert cause_of(b"<a>" + b"x" * 262_144 + b"</a>") == "saml.xml_too_large"


@pytest.mark.parametrize(
    "raw",
    [
        b"<a>" * 33 + b"</a>" * 33,
        b"<a>" * 30_000 + b"</a>" * 30_000,
        b"<a>" + b"<b/>" * 60_000 + b"</a>",
        b"<a " + b" ".join(b'a%d=""' % number for number in range(25_000)) + b"/>",
        b"<a " + b" ".join(b'xmlns:a%d="u"' % number for number in range(15_000)) + b"/>",
    ],
    ids=["deep", "very deep", "wide", "attributes", "namespaces"],
)
def test_V22_a_document_that_is_costly_to_handle_is_refused(raw: bytes) -> None:
    assert cause_of(raw) in ("saml.xml_too_complex", "saml.xml_malformed")


def test_V22_half_open_comments_come_to_an_end() -> None:
    """In one pass; with a regular expression this one document took many minutes."""
    with pytest.raises(BadRequest):
        parse(b"<!--" * 262_144, METADATA)


@pytest.mark.parametrize("raw", [b'<a xmlns="relative/uri"/>', b'<a xmlns:x="1" x:c="1"/>'])
def test_V7_V8_a_document_without_canonical_form_is_invalid_and_not_empty(raw: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        canonical(parse(raw))
    assert caught.value.cause == "saml.xml_not_canonical"


def test_canonical_form_of_a_part_does_not_take_in_what_follows_it() -> None:
    assert canonical(parse(b"<a><b/>tail</a>")[0]) == b"<b></b>"


def test_S55_the_protocol_schema_takes_a_request_and_refuses_one_with_an_attribute_too_many() -> None:
    schema("protocol").check(authn_request())
    with pytest.raises(BadRequest) as caught:
        schema("protocol").check(authn_request(Surprise="1"))
    assert caught.value.cause == "saml.schema_invalid"
    assert "Surprise" in caught.value.received


def test_V2_a_message_wrapped_in_another_is_not_valid() -> None:
    inner = octets(authn_request(identifier="_inner")).decode()
    with pytest.raises(BadRequest):
        schema("protocol").check(authn_request(inner))


def test_characters_that_xml_cannot_carry_are_replaced() -> None:
    element = etree.Element("a")
    element.text = printable("A\x00B\x1f\ud800\uffff\tC")
    assert element.text == "A\ufffdB\ufffd\ufffd\ufffd\tC"


def test_the_first_requests_of_a_worker_that_come_at_once_compile_one_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """libxml2 fails when two threads compile at once, now and then."""
    made: list[str] = []

    class Slow(document.Schema):
        def __init__(self, file_name: str) -> None:
            made.append(file_name)
            threading.Event().wait(0.05)
            super().__init__(file_name)

    monkeypatch.setattr(document, "Schema", Slow)
    document._compiled.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: schema("protocol"), range(8)))) == 1
    assert len(made) == 1
    document._compiled.cache_clear()
