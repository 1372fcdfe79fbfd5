"""A bridge is data: each says where its values come from, builds a client that its own settings can change, and sends what it sent."""

from __future__ import annotations

import json
import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from lxml import etree

from idp.bridges import Bridge, bridge_names, read_bridge
from idp.bridges.settings import BridgeSettings, PlaceholderSettings, read_header
from idp.config import PROTOCOLS, ClientTable, load
from idp.directory import Subject
from idp.errors import ConfigError
from idp.parts import Parts, build_parts
from idp.protocols.oidc.claim import claims_of
from idp.sso.answer import FormPost, Redirect
from idp.sso.client import Client
from idp.sso.protocol import Grant
from idp.store.sqlite import SqliteStore
from idp.web.ats.message import document, profile_content
from idp.web.profile import make_profile
from tests.standin import Clock

BASE = """
[server]
url = "https://login.example.org"
[directory]
kind = "people"
people = "people.toml"
"""
SAML = {"entity_id": "https://vendor.example/sp", "acs": "https://vendor.example/acs"}
METADATA = """<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://vendor.example/sp">
<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://vendor.example/acs" index="0"/>
</md:SPSSODescriptor></md:EntityDescriptor>"""
ADDRESSES: dict[str, dict[str, Any]] = {
    "": {},
    "metadata": {"metadata_xml": METADATA},
    "redirect_uris": {"redirect_uris": ["https://vendor.example/callback"]},
    "return_urls": {"return_urls": ["https://vendor.example/return"]},
}
GOLDEN = Path(__file__).parent / "golden" / "bridges"
VERIFIER = "v" * 43
ANNE = Subject(
    "00471",
    "anne",
    {
        "imis_id": ("00471",),
        "username": ("anne",),
        "email": ("anne@assoc.example",),
        "full_name": ("Dr. Anne B. Example",),
        "first_name": ("Anne",),
        "middle_name": ("B.",),
        "last_name": ("Example",),
        "prefix": ("Dr.",),
        "suffix": ("Jr.",),
        "title": ("Head of <Everything>",),
        "company": ("Example & Sons",),
        "phone": ("+1 555 0100",),
        "member_type": ("REG",),
        "status": ("Active",),
        "roles": ("Board", "Staff"),
    },
)


def examples(bridge: Bridge) -> dict[str, str]:
    return {key: placeholder.example for key, placeholder in bridge.header.placeholders.items()}


def table_of(bridge: Bridge) -> dict[str, Any]:
    """A client with the example of each placeholder, and addresses where the bridge has none."""
    own: dict[str, Any] = {"bridge": bridge.name, "bridge_values": examples(bridge), bridge.protocol: ADDRESSES[bridge.needs]}
    return own if bridge.protocol == "saml" else {**own, "secret_sha256": ["0" * 64]}


def client(folder: Path, table: dict[str, object]) -> Client:
    (folder / "idp.toml").write_text(BASE)
    return load(folder / "idp.toml", {}).read_client("vendor", table)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """A server that knows every bridge as a client."""
    folder = tmp_path_factory.mktemp("bridges")
    (folder / "idp.toml").write_text(BASE)
    (folder / "people.toml").write_text('[[people]]\nid = "1"\nusername = "a"\npassword = "b"\n')
    now = Clock()
    store = SqliteStore(folder / "store.sqlite", now=now)
    parts = build_parts(load(folder / "idp.toml", {}), store, now=now)
    parts.keys.create_if_empty(now=now)
    for name in bridge_names():
        parts.clients.add(name, table_of(read_bridge(name)))
    yield parts
    store.close()


def test_there_are_at_least_forty() -> None:
    assert len(bridge_names()) >= 40


@pytest.mark.parametrize("name", bridge_names())
def test_each_bridge_says_its_product_and_where_it_was_seen(name: str) -> None:
    bridge = read_bridge(name)
    assert bridge.header.product
    assert bridge.header.notes
    assert bool(bridge.header.document) or bridge.header.confidence != "SEEN"


@pytest.mark.parametrize("name", bridge_names())
def test_each_mark_of_a_bridge_names_a_setting_that_it_has(name: str) -> None:
    bridge = read_bridge(name)
    assert set(bridge.header.marks) <= set(bridge.settings())


@pytest.mark.parametrize("name", bridge_names())
def test_each_bridge_has_one_protocol_and_settings_that_exist(name: str) -> None:
    bridge = read_bridge(name)
    assert len([key for key in bridge.table if key in PROTOCOLS]) == 1
    assert set(bridge.table) <= set(ClientTable.model_fields)


@pytest.mark.parametrize("name", bridge_names())
def test_each_placeholder_is_used_and_each_that_is_used_is_asked_for(name: str) -> None:
    bridge = read_bridge(name)
    assert set(re.findall(r"\{([a-z_]+)\}", json.dumps(bridge.table))) == set(bridge.header.placeholders)


@pytest.mark.parametrize("name", bridge_names())
def test_each_bridge_builds_a_client(name: str, tmp_path: Path) -> None:
    bridge = read_bridge(name)
    built = client(tmp_path, table_of(bridge))
    assert built.protocol == bridge.protocol
    assert not re.search(r"\{[a-z_]+\}", json.dumps(built.settings.model_dump(mode="json")))


@pytest.mark.parametrize("name", bridge_names())
def test_what_each_bridge_would_send_is_what_it_was(name: str, parts: Parts) -> None:
    """UPDATE_GOLDEN=1 writes the files anew."""
    text = message_of(parts, name)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def test_every_golden_message_is_of_a_bridge_that_exists() -> None:
    assert sorted(file.stem for file in GOLDEN.iterdir()) == bridge_names()


def message_of(parts: Parts, name: str) -> str:
    """What the vendor's product gets for Anne: where it goes, and what stands in it. Ids and tokens are left out."""
    found = parts.clients.get(name)
    assert found is not None
    session, _ = parts.sessions.open(ANNE)
    grant = Grant(found, session, ANNE, found.release.apply(ANNE, parts.now))
    match found.protocol:
        case "saml":
            text = _saml_message(parts, grant)
        case "oidc":
            text = _oidc_message(parts, grant)
        case _:
            text = _token_message(parts, grant)
    return text.rstrip() + "\n"


def _saml_message(parts: Parts, grant: Grant) -> str:
    provider = grant.client.settings.provider()
    assertion = etree.fromstring(parts.protocols.saml.preview(grant.client.id, ANNE, grant.session))
    etree.indent(assertion)
    text = etree.tostring(assertion, encoding="unicode")
    text = re.sub(r'((?: ID|SessionIndex)=")[^"]*', r"\1...", text)
    text = re.sub(r'(nameid-format:(?:persistent|transient)"[^>]*>)[^<]*', r"\1...", text)
    ending = f"logout: {provider.slo[0].location}\n" if provider.slo else ""
    return f"POST {provider.default_acs.location}\n{ending}\n{text}"


def _oidc_message(parts: Parts, grant: Grant) -> str:
    asked = {
        "client_id": grant.client.id,
        "redirect_uri": grant.client.settings.redirect_uris[0],
        "response_type": "code",
        "scope": "openid profile email",
        "state": "state-of-the-client",
        "nonce": "nonce-of-the-client",
        "code_challenge": urlsafe_b64encode(sha256(VERIFIER.encode()).digest()).decode().rstrip("="),
        "code_challenge_method": "S256",
    }
    request, refusal = parts.protocols.oidc.read(urlencode(asked))
    assert refusal is None
    answer, _ = parts.protocols.oidc.respond(request, grant)
    assert isinstance(answer, Redirect)
    claims = json.dumps(claims_of(grant.client.release, grant.attributes), indent=2, ensure_ascii=False)
    return f"GET {re.sub('code=[^&]*', 'code=...', answer.url)}\n\nsub: {ANNE.id}\n{claims}"


def _token_message(parts: Parts, grant: Grant) -> str:
    settings = grant.client.settings
    request = parts.protocols.token.read({"client": grant.client.id, "return": settings.return_urls[0]})
    answer, _ = parts.protocols.token.respond(request, grant)
    assert isinstance(answer, Redirect | FormPost)
    sent = re.sub(rf"({settings.token_parameter}=)[^&]*", r"\1...", answer.url) if isinstance(answer, Redirect) else answer.url
    form = f"\n{' '.join(answer.fields)}=..." if isinstance(answer, FormPost) else ""
    profile = make_profile(grant.session, ANNE, grant.client.release, parts.now)
    text = json.dumps(profile.as_json(), indent=2, ensure_ascii=False).replace(grant.session.id, "...")
    if settings.ats is not None:
        text = document(settings.ats.root, settings.ats.namespace, profile_content(settings.ats, profile)).replace("><", ">\n<")
    return f"{'GET' if isinstance(answer, Redirect) else 'POST'} {sent}{form}\n\n{text}"


def test_what_the_client_says_stands_over_what_its_bridge_says(tmp_path: Path) -> None:
    by_bridge = client(tmp_path, {"bridge": "cvent", "saml": SAML})
    assert by_bridge.release.names["email"] == "email_address"
    assert by_bridge.settings.name_id_format.endswith("emailAddress")
    own = client(tmp_path, {"bridge": "cvent", "release": ["email"], "saml": {**SAML, "name_id_format": "transient"}})
    assert dict(own.release.names) == {"email": "email"}
    assert own.settings.name_id_format.endswith("transient")


def test_a_client_that_brings_its_metadata_takes_no_address_from_the_bridge_and_is_asked_for_none(tmp_path: Path) -> None:
    built = client(tmp_path, {"bridge": "canvas", "saml": {"metadata_xml": METADATA}})
    assert built.settings.provider().entity_id == "https://vendor.example/sp"
    assert built.settings.name_id_source == "username"


def test_a_client_that_gives_all_addresses_itself_is_asked_for_none(tmp_path: Path) -> None:
    assert client(tmp_path, {"bridge": "zoom", "saml": SAML}).settings.entity_id == SAML["entity_id"]


def test_a_missing_value_is_said_with_its_prompt_and_an_example(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"wants host: your Canvas host.*such as school\.instructure\.com") as raised:
        client(tmp_path, {"bridge": "canvas", "saml": {}})
    assert len(raised.value.problems) == 1


def test_all_missing_values_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        client(tmp_path, {"bridge": "blackboard", "saml": {}})
    assert [problem.split()[4] for problem in raised.value.problems] == ["host:", "alias:"]


def test_a_value_that_the_bridge_does_not_ask_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not ask for hots; it asks for host"):
        client(tmp_path, {"bridge": "canvas", "bridge_values": {"hots": "x.example"}, "saml": {}})


@pytest.mark.parametrize(
    "value",
    [
        "https://learn.example.org",
        "learn.example.org/",
        "a b",
        "Learn.example.org",
        "a@b",
        "a\\b",
        "a/../b",
        "",
        ".a",
        "a..b",
        "a:0",
        "{host}",
    ],
)
def test_a_host_is_a_host_and_nothing_more(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a host name"):
        client(tmp_path, {"bridge": "canvas", "bridge_values": {"host": value}, "saml": {}})


@pytest.mark.parametrize(
    "value", ["learn.example.org", "https://learn.example.org/", "https://a@b", "https://a/?x", "https://a/#x", "ftp://a"]
)
def test_a_site_has_no_slash_at_its_end_and_no_query(value: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="without a slash at the end"):
        client(tmp_path, {"bridge": "umbraco", "bridge_values": {"site": value}, "secret_sha256": ["0" * 64], "oidc": {}})


def test_what_was_seen_names_its_document() -> None:
    with pytest.raises(ConfigError, match="document is missing"):
        read_header("x", {"product": "The X", "confidence": "GK", "marks": {"saml.acs": "SEEN"}})


@pytest.mark.parametrize("wrong", [{"confidence": "sure"}, {"colour": "red"}, {"placeholders": {"host": {"prompt": "your host"}}}])
def test_a_header_that_says_something_else_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="bridge x"):
        read_header("x", {"product": "The X", "document": "its manual", "confidence": "SEEN", **wrong})


def test_a_placeholder_has_an_example_that_would_do() -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        PlaceholderSettings(prompt="your host", example="https://x.example/")


def test_a_setting_without_a_mark_of_its_own_is_as_sure_as_its_bridge() -> None:
    header = BridgeSettings(product="The X", document="its manual", confidence="SEEN", marks={"saml.acs": "GK"})
    settings = Bridge("x", header, {"saml": {"acs": ["https://x.example/"], "encrypt": False}}).settings()
    assert settings == {"saml.acs": (["https://x.example/"], "GK"), "saml.encrypt": (False, "SEEN")}
