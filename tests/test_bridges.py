"""A bridge is data: each says where its values come from, and each builds a client that its own settings can change."""

from __future__ import annotations

from pathlib import Path

import pytest

from idp.bridges import bridge_names, read_bridge
from idp.config import PROTOCOLS, load
from idp.sso.client import Client

BASE = """
[server]
url = "https://login.example.org"
[directory]
kind = "people"
people = "people.toml"
"""
SAML = {"entity_id": "https://vendor.example/sp", "acs": "https://vendor.example/acs"}


def client(folder: Path, table: dict[str, object]) -> Client:
    (folder / "idp.toml").write_text(BASE)
    return load(folder / "idp.toml", {}).read_client("vendor", table)


@pytest.mark.parametrize("name", bridge_names())
def test_each_bridge_says_its_product_its_source_and_how_sure_it_is(name: str) -> None:
    header = read_bridge(name)["bridge"]
    assert header["product"]
    assert header["document"]
    assert header["confidence"] in ("SEEN", "GK", "UNKNOWN")


@pytest.mark.parametrize("name", bridge_names())
def test_each_bridge_builds_a_client(name: str, tmp_path: Path) -> None:
    protocols = [key for key in read_bridge(name) if key in PROTOCOLS]
    assert protocols == ["saml"]
    assert client(tmp_path, {"bridge": name, "saml": SAML}).protocol == "saml"


def test_what_the_client_says_stands_over_what_its_bridge_says(tmp_path: Path) -> None:
    by_bridge = client(tmp_path, {"bridge": "cvent", "saml": SAML})
    assert by_bridge.release.names["email"] == "email_address"
    assert by_bridge.settings.name_id_format.endswith("emailAddress")
    own = client(tmp_path, {"bridge": "cvent", "release": ["email"], "saml": {**SAML, "name_id_format": "transient"}})
    assert dict(own.release.names) == {"email": "email"}
    assert own.settings.name_id_format.endswith("transient")
