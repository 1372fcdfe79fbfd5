"""ECDSA signatures of ours, for applications that want them: judged by xmlsec1, pysaml2 and python3-saml."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from idp.clock import utc_now
from idp.keys import EllipticKey, KeyProblem, Kind
from idp.protocols.saml.algorithm import RSA_SHA256, elliptic_methods
from idp.protocols.saml.document import DS, MD, SAML, parse, qualified
from idp.protocols.saml.query import read_query, verify_query
from idp.protocols.saml.signature import verify_enveloped
from tests.simple.wiring import posted

from .conftest import MakeWorld
from .test_interop import REDIRECT, onelogin, pysaml2_client, walk
from .test_suite import MORE, declaring
from .wiring import octets
from .world import Provider, World, saml_client

ECDSA = {"p-256": MORE + "ecdsa-sha256", "p-384": MORE + "ecdsa-sha384"}
SHORT = {"p-256": "ecdsa-sha256", "p-384": "ecdsa-sha384"}
needs_xmlsec1 = pytest.mark.skipif(shutil.which("xmlsec1") is None, reason="no xmlsec1 here: it is an oracle for tests only")


def with_elliptic(world: World, kind: Kind) -> EllipticKey:
    """An active key of that kind."""
    world.keys.publish(kind)
    made = world.keys.activate(kind)
    assert isinstance(made, EllipticKey)
    return made


def response_of(world: World, *, after: int = 0) -> bytes:
    """The Response to a request, the number `after` + 1 of its application."""
    provider = Provider(world, world.signed_in())
    provider._number = after
    return base64.b64decode(posted(provider.ask())[1]["SAMLResponse"])


def methods_of(raw: bytes) -> list[str]:
    return [str(each.get("Algorithm")) for each in parse(raw).iter(qualified(DS, "SignatureMethod"))]


@pytest.mark.parametrize("kind", ["p-256", "p-384"])
def test_IIP_ALG03_an_application_whose_settings_want_ECDSA_gets_it(make_world: MakeWorld, kind: Kind) -> None:
    world = make_world(saml_client(signature_algorithm=SHORT[kind], sign="both"))
    key = with_elliptic(world, kind)
    raw = response_of(world)
    assert methods_of(raw) == [ECDSA[kind]] * 2
    verify_enveloped(_without_inner(raw), [key.private.public_key()])


def _without_inner(raw: bytes) -> Any:
    """Our verifier takes one signature: the assertion's goes by itself."""
    return parse(octets(parse(raw).find(qualified(SAML, "Assertion"))))


@pytest.mark.parametrize(
    ("declared", "expected"),
    [(ECDSA["p-256"], ECDSA["p-256"]), (ECDSA["p-384"], ECDSA["p-384"]), (RSA_SHA256, RSA_SHA256)],
)
def test_SDP_ALG01_IIP_MD10_metadata_that_declare_it_get_it_once_there_is_a_key(
    make_world: MakeWorld, declared: str, expected: str
) -> None:
    world = make_world(saml_client(metadata_xml=declaring(f'<alg:SigningMethod Algorithm="{declared}"/>')))
    assert methods_of(response_of(world)) == [RSA_SHA256]
    with_elliptic(world, "p-256")
    with_elliptic(world, "p-384")
    assert methods_of(response_of(world, after=1)) == [expected]


def test_a_key_that_is_published_and_not_active_signs_nothing(make_world: MakeWorld) -> None:
    world = make_world(saml_client(metadata_xml=declaring(f'<alg:SigningMethod Algorithm="{ECDSA["p-256"]}"/>')))
    world.keys.publish("p-256")
    assert methods_of(response_of(world)) == [RSA_SHA256]


def test_a_new_elliptic_key_changes_nothing_for_an_application_that_takes_the_usual_method(make_world: MakeWorld) -> None:
    both = f'<alg:SigningMethod Algorithm="{ECDSA["p-256"]}"/><alg:SigningMethod Algorithm="{RSA_SHA256}"/>'
    world = make_world(saml_client(metadata_xml=declaring(both)))
    with_elliptic(world, "p-256")
    assert methods_of(response_of(world)) == [RSA_SHA256]


def test_each_hash_goes_with_the_curve_of_its_strength(make_world: MakeWorld) -> None:
    world = make_world(saml_client(signature_algorithm="ecdsa-sha384"), saml_client("other", signature_algorithm="ecdsa-sha256"))
    with_elliptic(world, "p-256")
    large = with_elliptic(world, "p-384")
    verify_enveloped(_without_inner(response_of(world)), [large.private.public_key()])
    assert elliptic_methods(384)[0] == ECDSA["p-384"]
    assert elliptic_methods(256)[0] == ECDSA["p-256"]


def test_without_such_a_key_the_operator_reads_what_to_run(make_world: MakeWorld) -> None:
    world = make_world(saml_client(signature_algorithm="ecdsa-sha256"))
    with pytest.raises(KeyProblem, match="idp keys rotate saml --publish --kind p-256"):
        world.saml.check_keys()


def test_the_signature_of_a_redirect_is_by_the_same_key(make_world: MakeWorld) -> None:
    world = make_world(saml_client(signature_algorithm="ecdsa-sha256"))
    key = with_elliptic(world, "p-256")
    provider = Provider(world, world.signed_in())
    fields = posted(provider.ask())[1]
    told = parse(base64.b64decode(fields["SAMLResponse"]))
    name = told.find(f".//{qualified(SAML, 'NameID')}")
    answer = provider.visitor.get(provider.log_out(f'<saml:NameID Format="{name.get("Format")}">{name.text}</saml:NameID>').location)
    assert "ecdsa-sha256" in answer.location
    verify_query(read_query(answer.location.partition("?")[2].encode()), [key.private.public_key()])


def test_what_is_encrypted_for_us_is_encrypted_for_an_RSA_key(make_world: MakeWorld) -> None:
    world = make_world()
    with_elliptic(world, "p-256")
    root = parse(world.saml.metadata())
    uses = {
        str(each.get("use")): each.findtext(f".//{qualified(DS, 'X509Certificate')}") for each in root.iter(qualified(MD, "KeyDescriptor"))
    }
    assert uses["encryption"] == world.keys.current.certificate_base64


@needs_xmlsec1
@pytest.mark.parametrize("kind", ["p-256", "p-384"])
def test_xmlsec1_verifies_our_ECDSA(make_world: MakeWorld, tmp_path: Path, kind: Kind) -> None:
    world = make_world(saml_client(signature_algorithm=SHORT[kind]))
    key = with_elliptic(world, kind)
    (tmp_path / "response.xml").write_bytes(response_of(world))
    (tmp_path / "idp.crt").write_bytes(key.certificate.public_bytes(Encoding.PEM))
    name = "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"
    command = ["xmlsec1", "--verify", "--id-attr:ID", name, "--pubkey-cert-pem", "idp.crt", "response.xml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["p-256", "p-384"])
def test_python3_saml_takes_our_ECDSA(make_world: MakeWorld, kind: Kind) -> None:
    world = make_world(saml_client(signature_algorithm=SHORT[kind], release=["mail"], sign="both"))
    world.now.seconds = utc_now()
    with_elliptic(world, kind)
    visitor = world.signed_in()
    asks = onelogin(world, "/login")
    _, fields = posted(visitor.get(asks.login()))
    told = onelogin(world, "/acs", fields=fields)
    told.process_response(request_id=asks.get_last_request_id())
    assert told.get_errors() == [], told.get_last_error_reason()
    assert told.get_attributes() == {"mail": ["anne@assoc.example"]}


@needs_xmlsec1
def test_pysaml2_takes_our_ECDSA(make_world: MakeWorld, tmp_path: Path) -> None:
    world = make_world(saml_client(signature_algorithm="ecdsa-sha256", release=["mail"], sign="both"))
    world.now.seconds = utc_now()
    with_elliptic(world, "p-256")
    client = pysaml2_client(tmp_path, world.saml.metadata(), want_assertions_signed=True, want_response_signed=True)
    assert walk(world, world.signed_in(), client, REDIRECT)["mail"] == ["anne@assoc.example"]
