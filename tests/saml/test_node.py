"""A service provider in another language, through the running application: @node-saml/node-saml in its strictest settings."""

from __future__ import annotations

import base64
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from werkzeug.test import TestResponse

from idp.clock import utc_now
from tests.oracles.node import Node, ready_node
from tests.simple.wiring import Visitor, form_token, posted

from .conftest import MakeWorld
from .wiring import ACS, IDP_ENTITY, SLO, SP, SP_SLO, SSO, key_of
from .world import Provider, World, saml_client

SIGNED = [{"sign": "assertion"}, {"sign": "both"}, {"sign": "both", "encrypt": True}, {"sign": "assertion", "encrypt": True}]


@pytest.fixture(scope="session")
def node() -> Node:
    return ready_node()


class NodeProvider:
    """The service provider of `wiring.metadata`, in one visitor's browser."""

    def __init__(self, node: Node, world: World, visitor: Visitor, *, both: bool = False, **more: Any) -> None:
        self._node, self._world, self._visitor = node, world, visitor
        private = key_of("sp").private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        self._options = {
            "entryPoint": SSO,
            "logoutUrl": SLO,
            "issuer": SP,
            "idpIssuer": IDP_ENTITY,
            "audience": SP,
            "callbackUrl": ACS,
            "logoutCallbackUrl": SP_SLO,
            "idpCert": [key.certificate_base64 for key in world.keys.published],
            "privateKey": private,
            "decryptionPvk": private,
            "signatureAlgorithm": "sha256",
            "digestAlgorithm": "sha256",
            "wantAssertionsSigned": True,
            "wantAuthnResponseSigned": both,
            "validateInResponseTo": "always",
            "acceptedClockSkewMs": 0,
            "identifierFormat": None,
            **more,
        }
        self._requests: list[str] = []

    def do(self, deed: str, **given: Any) -> dict[str, Any]:
        said = self._node.run("saml.js", {"do": deed, "options": self._options, "requests": self._requests, **given})
        self._requests = said.get("requests", self._requests)
        return said

    def ask(self, relay_state: str = "") -> dict[str, str]:
        """The fields of our answer to its signed request by Redirect."""
        url = self.do("ask", relayState=relay_state)["result"]
        return posted(Provider(self._world, self._visitor).follow(self._visitor.get(url)))[1]

    def read(self, fields: dict[str, str]) -> dict[str, Any]:
        """The member's profile, or {"error"}."""
        said = self.do("read", fields=fields)
        return said if "error" in said else dict(said["result"]["profile"])

    def hear(self, url: str) -> dict[str, Any]:
        query = urlsplit(url).query
        return self.do("hear", query={name: values[0] for name, values in parse_qs(query).items()}, originalQuery=query)


def begin(make_world: MakeWorld, **settings: Any) -> tuple[World, Visitor]:
    world = make_world(saml_client(release=["mail", "committees"], **settings))
    world.now.seconds = utc_now()
    return world, world.signed_in()


def onward(visitor: Visitor, world: World, response: TestResponse) -> str:
    """Where the browser is sent in the end."""
    while response.location.startswith(world.url):
        response = visitor.get(response.location)
    return response.location


@pytest.mark.parametrize("settings", SIGNED, ids=str)
def test_SDP_IDP01_node_saml_takes_our_answer(node: Node, make_world: MakeWorld, settings: dict[str, Any]) -> None:
    world, visitor = begin(make_world, **settings)
    provider = NodeProvider(node, world, visitor, both=settings["sign"] == "both")
    fields = provider.ask("https://lms.example/courses?id=1&x=2")
    profile = provider.read(fields)
    assert (profile.get("error"), fields["RelayState"]) == (None, "https://lms.example/courses?id=1&x=2")
    assert profile["attributes"] == {"mail": "anne@assoc.example", "committees": ["Ethics", "Finance"]}
    assert (profile["issuer"], profile["sessionIndex"][0]) == (IDP_ENTITY, "s")


def _changed(fields: dict[str, str], pattern: bytes, new: bytes) -> dict[str, str]:
    raw = base64.b64decode(fields["SAMLResponse"])
    changed = re.sub(pattern, new, raw, count=1)
    assert changed != raw
    return {**fields, "SAMLResponse": base64.b64encode(changed).decode()}


@pytest.mark.parametrize(
    ("settings", "pattern", "new"),
    [
        ({"sign": "assertion"}, b"anne@assoc.example", b"bert@assoc.example"),
        ({"sign": "both"}, b"anne@assoc.example", b"bert@assoc.example"),
        ({"sign": "both"}, b"status:Success", b"status:Responder"),
        ({"sign": "assertion"}, b"(?s)<ds:Signature .*?</ds:Signature>", b""),
        ({"sign": "both"}, b"(?s)<ds:Signature .*?</ds:Signature>", b""),
        ({"sign": "both", "encrypt": True}, b"(<xenc:CipherValue>.{30}).{4}", rb"\1AAAA"),
    ],
    ids=str,
)
def test_V5_node_saml_refuses_it_once_it_is_changed(
    node: Node, make_world: MakeWorld, settings: dict[str, Any], pattern: bytes, new: bytes
) -> None:
    """The oracle looks: what it takes above it does not take in any case."""
    world, visitor = begin(make_world, **settings)
    provider = NodeProvider(node, world, visitor, both=settings["sign"] == "both")
    assert "error" in provider.read(_changed(provider.ask(), pattern, new))


def test_node_saml_refuses_an_answer_to_a_request_that_it_did_not_send(node: Node, make_world: MakeWorld) -> None:
    world, visitor = begin(make_world)
    provider = NodeProvider(node, world, visitor)
    fields = provider.ask()
    provider._requests = []
    assert "InResponseTo" in provider.read(fields)["error"]


def test_S38_node_saml_takes_our_answers_before_and_after_a_change_of_key(node: Node, make_world: MakeWorld) -> None:
    world, visitor = begin(make_world)
    world.keys.publish()
    provider = NodeProvider(node, world, visitor)
    before = provider.read(provider.ask())
    world.keys.activate()
    after = provider.read(provider.ask())
    assert before["nameID"] == after["nameID"]


def test_SDP_IDP21_node_saml_ends_the_session_and_takes_our_answer(node: Node, make_world: MakeWorld) -> None:
    world, visitor = begin(make_world)
    provider = NodeProvider(node, world, visitor)
    profile = provider.read(provider.ask())
    url = provider.do("leave", profile=profile, relayState="bye")["result"]
    answer = onward(visitor, world, visitor.get(url))
    assert world.sessions.list() == []
    assert provider.hear(answer)["result"] == {"profile": None, "loggedOut": True}
    assert "error" in provider.hear(answer.replace("RelayState=bye", "RelayState=hello"))


def test_SDP_IDP24_node_saml_hears_of_a_logout_that_began_here(node: Node, make_world: MakeWorld) -> None:
    world, visitor = begin(make_world)
    provider = NodeProvider(node, world, visitor)
    profile = provider.read(provider.ask())
    visit = onward(visitor, world, visitor.post("/logout", data={"form_token": form_token(visitor.get("/logout").text)}))
    heard = provider.hear(visit)["result"]
    assert (heard["profile"]["nameID"], heard["profile"]["sessionIndex"]) == (profile["nameID"], profile["sessionIndex"])
