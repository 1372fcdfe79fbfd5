"""Every kind of message that comes in, by every binding that takes it, altered in hundreds of ways: after it was signed nothing is answered
and no session ends, and before it was signed, as if by its own application, nothing fails and no answer goes astray (G-S5)."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any, NoReturn
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from idp.errors import BadRequest
from idp.protocols.saml.document import MESSAGE, PAOS, Element, canonical, parse
from idp.protocols.saml.gate import Opened
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.settings import SamlServerSettings
from idp.protocols.saml.soap import ENVELOPE
from tests.simple.wiring import posted
from tests.standin import PASSWORD

from .fuzz import Change, altered, changes
from .test_artifact import artifact_of, bring, with_artifact
from .test_logout import crm_client
from .wiring import ACS, IDP, SP_SLO, deflated, key_of, octets, post_form, redirect_query, signed
from .world import Provider, World, saml_client

FOLDER = Path(__file__).parent / "corpus"
KEPT: dict[str, list[Change]] = {
    name: [(what, where, how) for what, where, how in made] for name, made in json.loads((FOLDER / "kept.json").read_text()).items()
}
_LONG = os.environ.get("FUZZ_EXAMPLES", "")
FUZZ = settings(
    max_examples=int(_LONG or "300"),
    derandomize=not _LONG,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
OURS = (f"{IDP}/", ACS, f"{ACS}/artifact", "https://lms.example/paos", SP_SLO, "https://crm.example/slo")
_SETS = (
    '<md:AttributeConsumingService index="1"><md:ServiceName xml:lang="en">x</md:ServiceName><md:RequestedAttribute Name="email"/>'
    "</md:AttributeConsumingService>"
)


@dataclass(frozen=True)
class Way:
    """A seed, and how it comes in."""

    seed: str
    binding: str
    path: str

    @property
    def kind(self) -> Any:
        return "SAMLResponse" if self.seed == "logout_response" else "SAMLRequest"


WAYS = {
    "AuthnRequest by Redirect": Way("authn_request", "redirect", "/saml/sso"),
    "AuthnRequest by POST": Way("authn_request", "post", "/saml/sso"),
    "AuthnRequest by ECP": Way("ecp_request", "soap", "/saml/ecp"),
    "LogoutRequest by Redirect": Way("logout_request", "redirect", "/saml/slo"),
    "LogoutRequest by POST": Way("logout_request", "post", "/saml/slo"),
    "LogoutRequest by SOAP": Way("logout_request", "soap", "/saml/soap"),
    "LogoutResponse by Redirect": Way("logout_response", "redirect", "/saml/slo"),
    "LogoutResponse by POST": Way("logout_response", "post", "/saml/slo"),
    "ArtifactResolve by SOAP": Way("artifact_resolve", "soap", "/saml/soap"),
    "AttributeQuery by SOAP": Way("attribute_query", "soap", "/saml/soap"),
}


class Arena:
    """A world in which a member has signed on at two applications, and messages of the first that fit it."""

    def __init__(self, folder: Path) -> None:
        paos = f'<md:AssertionConsumerService Binding="{PAOS}" Location="https://lms.example/paos" index="9"/>'
        text = with_artifact().replace("</md:SPSSODescriptor>", f"{paos}{_SETS}</md:SPSSODescriptor>")
        lms = saml_client(metadata_xml=text, require_signed_requests=True, attribute_query=True)
        self.world = World(folder, (lms, crm_client()), SamlServerSettings(ecp=True))
        self._number = 0
        self.renew()

    def renew(self) -> None:
        """Old sessions are gone, and there is a new one."""
        for session in self.world.sessions.list():
            self.world.store.delete("session", session.id)
        visitor = self.world.signed_in()
        self.provider = Provider(self.world, visitor)
        self.provider._number = self._number = self._number + 1000
        told = self.provider.sign_on()
        other = Provider(self.world, visitor, entity_id="https://crm.example/metadata", key="crm")
        other._number = self._number
        other.sign_on()
        artifact = artifact_of(bring(self.provider, AssertionConsumerServiceIndex="5"))
        name_id = told.name_id
        self._values = {"name_id": name_id.text, "format": name_id.get("Format"), "index": told.session_index, "artifact": artifact}

    def message(self, way: Way) -> bytes:
        """The seed, filled in; no two have the same ID."""
        self._number += 1
        more = {"id": f"_{self._number}", "issued": write_time(self.world.now()), "destination": f"{IDP}{way.path}"}
        return Template((FOLDER / f"{way.seed}.xml").read_text().strip()).substitute(self._values, **more).encode()

    def bring(self, way: Way, raw: bytes, *, query: Callable[[bytes], bytes]) -> TestResponse:
        visitor = self.provider.visitor
        if way.binding == "redirect":
            return visitor.get(f"{way.path}?{query(raw).decode()}")
        if way.binding == "post":
            return visitor.post(way.path, data={name: values[0] for name, values in post_form(raw, kind=way.kind).items()})
        body = f'<S:Envelope xmlns:S="{ENVELOPE}"><S:Body>'.encode() + raw + b"</S:Body></S:Envelope>"
        program = self.world.app.test_client(use_cookies=False)
        return program.post(way.path, data=body, base_url=IDP, content_type="text/xml", auth=("anne", PASSWORD))


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    made = Arena(tmp_path_factory.mktemp("corpus"))
    yield made
    made.world.store.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Arena, list[Element]]]:
    """One in which every message has been seen before, and what the gate has found to be genuine."""
    made = Arena(tmp_path_factory.mktemp("guarded"))
    genuine: list[Element] = []

    def seen(_: Opened, element: Element, __: int) -> NoReturn:
        genuine.append(element)
        raise BadRequest("saml.message_replayed", "This request was used before.")

    made.world.saml._gate._check_new = seen  # type: ignore[method-assign,assignment]  # the last thing that it looks at
    yield made, genuine
    made.world.store.close()


def after_signing(guarded: tuple[Arena, list[Element]], way: Way, made: Sequence[Change]) -> None:
    """The application signed, and somebody altered."""
    arena, genuine = guarded
    genuine.clear()
    message = arena.message(way)
    said = canonical(parse(message, MESSAGE))
    if way.binding == "redirect":
        first, _, rest = redirect_query(message, kind=way.kind, key=key_of("sp")).partition(b"&")
        assert first.startswith(way.kind.encode())
        raw, sessions = altered(message, made), _sessions(arena)
        response = arena.bring(way, raw, query=lambda raw: f"{way.kind}={quote_plus(deflated(raw))}&".encode() + rest)
    else:
        raw, sessions = altered(octets(signed(parse(message, MESSAGE))), made), _sessions(arena)
        response = arena.bring(way, raw, query=bytes)
    assert 400 <= response.status_code < 500, f"{response.status_code} {raw!r}"
    assert [canonical(each) for each in genuine] in ([], [said]), f"taken for genuine: {raw!r}"
    assert _sessions(arena) == sessions


def before_signing(arena: Arena, way: Way, made: Sequence[Change]) -> None:
    """The application itself sends what is strange."""
    if not 0 < len(_sessions(arena)) < 20:
        arena.renew()
    raw = _signed_if_it_can_be(altered(arena.message(way), made), way)
    response = arena.bring(way, raw, query=lambda raw: redirect_query(raw, kind=way.kind, key=key_of("sp")))
    assert response.status_code < 500, f"{response.status_code} {raw!r}"
    target = response.location or (posted(response)[0] if '<form method="post" action="http' in response.text else f"{IDP}/")
    assert target.startswith(OURS), f"{target} {raw!r}"


def _signed_if_it_can_be(raw: bytes, way: Way) -> bytes:
    if way.binding == "redirect":
        return raw
    try:
        root = parse(raw, MESSAGE)
        return octets(signed(root)) if re.fullmatch("[A-Za-z_][A-Za-z0-9_.-]*", root.get("ID", "")) else raw
    except BadRequest:  # not well-formed, or without a canonical form
        return raw


def _sessions(arena: Arena) -> list[str]:
    return sorted(session.id for session in arena.world.sessions.list())


ways = st.sampled_from(sorted(WAYS)).map(WAYS.__getitem__)


@FUZZ
@given(way=ways, made=changes())
def test_G_S5_S46_whatever_was_altered_after_signing_is_refused_and_ends_no_session(
    guarded: tuple[Arena, list[Element]], way: Way, made: list[Change]
) -> None:
    after_signing(guarded, way, made)


@FUZZ
@given(way=ways, made=changes())
def test_G_S5_whatever_an_application_signs_is_no_failure_and_no_answer_goes_astray(arena: Arena, way: Way, made: list[Change]) -> None:
    before_signing(arena, way, made)


@pytest.mark.parametrize("name", KEPT)
def test_V1_V25_what_is_kept_is_refused_by_every_way(guarded: tuple[Arena, list[Element]], arena: Arena, name: str) -> None:
    for way in WAYS.values():
        after_signing(guarded, way, KEPT[name])
        before_signing(arena, way, KEPT[name])


@pytest.mark.parametrize("name", WAYS)
def test_each_seed_is_a_message_that_is_answered_as_it_is(arena: Arena, name: str) -> None:
    arena.renew()
    way = WAYS[name]
    raw = _signed_if_it_can_be(arena.message(way), way)
    response = arena.bring(way, raw, query=lambda raw: redirect_query(raw, kind=way.kind, key=key_of("sp")))
    assert response.status_code in (200, 302, 303), response.text
    assert arena.world.audit.last["event"] != "request.refused"


@pytest.mark.parametrize("name", WAYS)
def test_each_seed_is_genuine_for_the_gate_as_long_as_nothing_is_altered(guarded: tuple[Arena, list[Element]], name: str) -> None:
    arena, genuine = guarded
    genuine.clear()
    way = WAYS[name]
    raw = _signed_if_it_can_be(arena.message(way), way)
    arena.bring(way, raw, query=lambda raw: redirect_query(raw, kind=way.kind, key=key_of("sp")))
    assert len(genuine) == 1


def test_the_seeds_are_all_there_is() -> None:
    assert {path.stem for path in FOLDER.glob("*.xml")} == {way.seed for way in WAYS.values()}
