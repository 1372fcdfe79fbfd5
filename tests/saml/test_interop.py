"""Others' service providers, through the running application: pysaml2, which verifies with the xmlsec1 program, and python3-saml."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.idp_metadata_parser import OneLogin_Saml2_IdPMetadataParser
from saml2.client import Saml2Client
from saml2.config import SPConfig

from idp.clock import utc_now
from tests.simple.wiring import Visitor, form_token, posted

from .conftest import MakeWorld
from .test_message import request_data, sp_settings
from .wiring import ACS, SP, SP_SLO, SSO, key_of
from .world import Provider, World, saml_client

needs_xmlsec1 = pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="no xmlsec1 here: it is an oracle for tests only")
POST, REDIRECT = (f"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-{name}" for name in ("POST", "Redirect"))
SHA256 = {
    "signing_algorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    "digest_algorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
}


def pysaml2_client(folder: Path, idp_metadata: bytes, **service: Any) -> Saml2Client:
    key = key_of("sp")
    (folder / "sp.key").write_bytes(key.private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    (folder / "sp.crt").write_bytes(key.certificate.public_bytes(Encoding.PEM))
    files = {"key_file": str(folder / "sp.key"), "cert_file": str(folder / "sp.crt")}
    endpoints = {"assertion_consumer_service": [(ACS, POST)], "single_logout_service": [(SP_SLO, REDIRECT)]}
    settings = {
        "entityid": SP,
        "service": {"sp": {"endpoints": endpoints, "authn_requests_signed": True, **SHA256, **service}},
        "metadata": {"inline": [idp_metadata.decode()]},
        "xmlsec_binary": shutil.which("xmlsec1"),
        "encryption_keypairs": [files],
        "allow_unknown_attributes": True,
        "accepted_time_diff": 60,
        **files,
    }
    return Saml2Client(config=SPConfig().load(settings))


def walk(world: World, visitor: Visitor, client: Saml2Client, binding: str) -> dict[str, Any]:
    """From pysaml2's request by that binding to what it makes of our answer."""
    if binding == REDIRECT:
        asked, request = client.prepare_for_authenticate(entityid=world.saml.entity_id, binding=binding, relay_state="r", sign=True)
        response = visitor.get(dict(request["headers"])["Location"])
    else:
        asked, message = client.create_authn_request(SSO, sign=True)
        response = visitor.post("/saml/sso", data={"SAMLRequest": base64.b64encode(str(message).encode()).decode()})
    _, fields = posted(Provider(world, visitor).follow(response))
    answer = client.parse_authn_request_response(fields["SAMLResponse"], POST, outstanding={asked: "/"})
    return dict(answer.ava)


@needs_xmlsec1
@pytest.mark.parametrize("binding", [REDIRECT, POST])
@pytest.mark.parametrize("settings", [{"sign": "assertion"}, {"sign": "both"}, {"sign": "both", "encrypt": True}], ids=str)
def test_pysaml2_asks_signed_and_takes_our_answer(make_world: MakeWorld, tmp_path: Path, settings: dict[str, Any], binding: str) -> None:
    world = make_world(saml_client(release=["mail"], **settings))
    world.now.seconds = utc_now()
    service = {"want_assertions_signed": True, "want_response_signed": settings["sign"] == "both"}
    client = pysaml2_client(tmp_path, world.saml.metadata(), **service)
    assert walk(world, world.signed_in(), client, binding)["mail"] == ["anne@assoc.example"]


SIGNED = {"authnRequestsSigned": True, "logoutRequestSigned": True, "logoutResponseSigned": True, "wantAssertionsSigned": True}


def onelogin(world: World, path: str, *, query: str = "", fields: dict[str, str] | None = None) -> Any:
    """python3-saml's object for one request at the service provider, in strict mode; it learns of us from our metadata."""
    ours = OneLogin_Saml2_IdPMetadataParser.parse(world.saml.metadata())["idp"]
    settings = sp_settings(idp=ours, **SIGNED, wantMessagesSigned=bool(query))
    return OneLogin_Saml2_Auth(request_data(path, query) | {"post_data": fields or {}}, old_settings=settings)


def test_python3_saml_signs_on_and_ends_the_session(make_world: MakeWorld) -> None:
    world = make_world(saml_client(release=["mail"]))
    world.now.seconds = utc_now()
    visitor = world.signed_in()
    asks = onelogin(world, "/login")
    response = visitor.get(asks.login(return_to="https://lms.example/courses?id=1&x=2"))
    _, fields = posted(response)
    told = onelogin(world, "/acs", fields=fields)
    told.process_response(request_id=asks.get_last_request_id())
    assert told.get_errors() == [], told.get_last_error_reason()
    assert (fields["RelayState"], told.get_attributes()) == ("https://lms.example/courses?id=1&x=2", {"mail": ["anne@assoc.example"]})
    ends = onelogin(world, "/logout")
    url = ends.logout(name_id=told.get_nameid(), session_index=told.get_session_index(), name_id_format=told.get_nameid_format())
    answer = Provider(world, visitor).visitor.get(url)
    while answer.location.startswith(world.url):
        answer = visitor.get(answer.location)
    hears = onelogin(world, "/slo", query=urlsplit(answer.location).query)
    hears.process_slo(keep_local_session=True, request_id=ends.get_last_request_id())
    assert hears.get_errors() == [], hears.get_last_error_reason()
    assert world.sessions.list() == []


def test_python3_saml_hears_of_a_logout_that_began_here(make_world: MakeWorld) -> None:
    world = make_world(saml_client())
    world.now.seconds = utc_now()
    provider = Provider(world, world.signed_in())
    provider.sign_on()
    visit = provider.visitor.post("/logout", data={"form_token": form_token(provider.visitor.get("/logout").text)})
    while visit.location.startswith(world.url):
        visit = provider.visitor.get(visit.location)
    hears = onelogin(world, "/slo", query=urlsplit(visit.location).query)
    back = hears.process_slo(keep_local_session=True)
    assert hears.get_errors() == [], hears.get_last_error_reason()
    done = provider.visitor.get(provider.visitor.get(back).location)
    assert done.status_code == 200
    assert world.audit.of("logout.ended")[0]["clients"] == {"lms": "waiting"}
