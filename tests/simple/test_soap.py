"""The web service by SOAP 1.1: another's library by the WSDL alone, and what is no call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import zeep
from werkzeug.test import TestResponse

from idp.web.soap import ENVELOPE, SoapRefused, read_call

from .conftest import MakeWorld
from .test_browser import running
from .wiring import ANNE, World, make_client, posted

LMS = "https://lms.example.com/sso"
XSD = "http://www.w3.org/2001/XMLSchema"


def call(inner: str = "<Redeem xmlns='urn:imis-idp:service'><token>x</token></Redeem>", header: str = "", before: str = "") -> bytes:
    return f'{before}<S:Envelope xmlns:S="{ENVELOPE}">{header}<S:Body>{inner}</S:Body></S:Envelope>'.encode()


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(make_client("lms", "token", return_urls=(LMS,), release=["email", "committees"]))


def post(world: World, body: bytes, *, secret: str = "lms-secret", content_type: str = "text/xml") -> TestResponse:
    server = world.app.test_client(use_cookies=False)
    return server.post("/service/soap", base_url=world.url, auth=("lms", secret), data=body, content_type=content_type)


def fault(response: TestResponse) -> tuple[int, str, str]:
    """Status, fault code, cause."""
    body = ElementTree.fromstring(response.data)
    return response.status_code, body.findtext(".//faultcode") or "", body.findtext(".//detail/cause") or ""


@pytest.fixture
def service(make_world: MakeWorld) -> Iterator[tuple[World, Any]]:
    """The operations as zeep makes them from the address of the WSDL."""
    ours = running(lambda environ, start_response: [])
    world = make_world(
        make_client("lms", "token", return_urls=("http://localhost:9/sso",), release=["email", "committees"]),
        url=f"http://127.0.0.1:{ours.port}",
    )
    ours.app = world.app
    with requests.Session() as session:
        session.auth = ("lms", "lms-secret")
        yield world, zeep.Client(f"{world.url}/service/soap?wsdl", transport=zeep.Transport(session=session)).service
    ours.shutdown()
    ours.server_close()


def token_for(world: World) -> str:
    return posted(world.signed_in().get("/token/signon?client=lms"))[1]["token"]


def test_Redeem_by_the_WSDL_gives_the_released_fields(service: tuple[World, Any]) -> None:
    world, operations = service
    member = operations.Redeem(token=token_for(world))
    assert (member.subject, member.auth_time, member.handle) == (ANNE.id, world.now(), None)
    given = {each.name: each.value for each in member.attribute}
    assert given == {"email": ["anne@assoc.example"], "committees": ["Ethics", "Finance"]}


def test_Profile_by_the_WSDL_asks_again(service: tuple[World, Any]) -> None:
    world, operations = service
    first = operations.Redeem(token=token_for(world), handle="1")
    assert operations.Profile(handle=first.handle).subject == ANNE.id
    world.logout.end(first.session, reason="test")
    with pytest.raises(zeep.exceptions.Fault, match="signed out") as raised:
        operations.Profile(handle=first.handle)
    assert raised.value.detail.findtext("cause") == "handle.session_ended"


def test_S16_a_token_is_redeemed_once(service: tuple[World, Any]) -> None:
    world, operations = service
    token = token_for(world)
    operations.Redeem(token=token)
    with pytest.raises(zeep.exceptions.Fault, match=r"ticket\.replayed"):
        operations.Redeem(token=token)


def test_a_fault_has_the_reference_of_the_audit_log(world: World) -> None:
    response = post(world, call())
    assert fault(response) == (500, "S:Client", "ticket.unknown")
    assert world.audit.last["reference"] in response.text
    assert response.content_type == "text/xml; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"


def test_S27_without_the_secret_there_is_a_fault_and_401(world: World) -> None:
    response = post(world, call(), secret="wrong")
    assert fault(response) == (401, "S:Client", "service.bad_client")
    assert response.headers["WWW-Authenticate"].startswith("Basic")


ENTITY = '<!DOCTYPE S:Envelope [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
WRONG = {
    "not XML": (b"token=x", "soap.unreadable"),
    "nothing": (b"", "soap.unreadable"),
    "cut off": (call()[:-9], "soap.unreadable"),
    "two roots": (call() + b"<x/>", "soap.unreadable"),
    "an unbound prefix": (call("<t:Redeem/>"), "soap.unreadable"),
    "no such encoding": (b"<?xml version='1.0' encoding='x-none'?><a/>", "soap.unreadable"),
    "NUL": (call("<Redeem><token>\0</token></Redeem>"), "soap.unreadable"),
    "not UTF-8": (call().replace(b">x<", b">\xff<"), "soap.unreadable"),
    "a document type": (call(before="<!DOCTYPE a>"), "soap.document_type"),
    "entities": (call("<Redeem><token>&b;</token></Redeem>", before=ENTITY), "soap.document_type"),
    "an outer entity": (call(before='<!DOCTYPE a SYSTEM "file:///etc/passwd">'), "soap.document_type"),
    "a stylesheet": (call(before="<?xml-stylesheet href='x'?>"), "soap.document_type"),
    "another root": (b"<Redeem><token>x</token></Redeem>", "soap.shape"),
    "SOAP 1.2": (call().replace(ENVELOPE.encode(), b"http://www.w3.org/2003/05/soap-envelope"), "soap.shape"),
    "no call": (call(""), "soap.shape"),
    "two calls": (call("<Redeem/><Redeem/>"), "soap.shape"),
    "two bodies": (call().replace(b"</S:Envelope>", b"<S:Body/></S:Envelope>"), "soap.shape"),
    "a token twice": (call("<Redeem><token>a</token><token>b</token></Redeem>"), "soap.parameters"),
    "a token in two cases": (call("<Redeem><token>a</token><TOKEN>b</TOKEN></Redeem>"), "soap.parameters"),
    "an element in a token": (call("<Redeem><token>a<b/>c</token></Redeem>"), "soap.parameters"),
    "too deep": (call("<a>" * 40 + "</a>" * 40), "soap.too_large"),
    "too many": (call("<Redeem>" + "<a/>" * 300 + "</Redeem>"), "soap.too_large"),
    "another operation": (call("<Delete/>"), "soap.operation_unknown"),
    "no token": (call("<Redeem/>"), "service.token_missing"),
}


@pytest.mark.parametrize(("body", "cause"), WRONG.values(), ids=WRONG)
def test_V12_V58_what_is_no_call_is_refused_with_a_fault(world: World, body: bytes, cause: str) -> None:
    assert fault(post(world, body)) == (500, "S:Client", cause)


def test_a_header_that_must_be_understood_is_not(world: World) -> None:
    header = '<S:Header><wsse:Security xmlns:wsse="urn:x" S:mustUnderstand="1"/></S:Header>'
    assert fault(post(world, call(header=header))) == (500, "S:MustUnderstand", "soap.must_understand")
    assert read_call(call(header=header.replace('"1"', '"0"'))).operation == "Redeem"


def test_the_parameters_types_and_prefixes_do_not_matter() -> None:
    inner = f'<n:Redeem xmlns:n="urn:any" xmlns:i="{XSD}-instance"><n:token i:type="s"> x\n</n:token></n:Redeem>'
    assert read_call(call(inner)).parameters == {"token": "x"}


def test_a_token_does_not_show_in_the_call() -> None:
    assert "secret-token" not in repr(read_call(call("<Redeem><token>secret-token</token></Redeem>")))


@pytest.mark.parametrize(
    ("content_type", "size", "status", "cause"),
    [("application/json", 0, 500, "service.content_type"), ("text/xml", 20_000, 500, "service.body_too_large")],
)
def test_another_body_is_refused(world: World, content_type: str, size: int, status: int, cause: str) -> None:
    assert fault(post(world, call() + b" " * size, content_type=content_type)) == (status, "S:Client", cause)


def test_reading_refuses_by_itself() -> None:
    with pytest.raises(SoapRefused):
        read_call(b"<a/>")
