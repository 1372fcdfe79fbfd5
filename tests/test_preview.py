"""`idp preview` shows what an application would get of a member, in every form, and why it would not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from idp.cli import main

CONFIG = """
[server]
url = "http://127.0.0.1:8089"
[directory]
kind = "people"
people = "people.toml"
[store]
url = "sqlite:///{folder}/store.sqlite3"

[clients.shop]
[clients.shop.entry]
member_types = ["REG"]
[clients.shop.release]
email = "mail"
member = {{ from = "paid_through", rule = "after_today" }}
points = {{ from = "points", type = "number", required = true }}
[clients.shop.token]
return_urls = ["https://shop.example/back"]

[clients.lms]
release = ["mail"]
[clients.lms.saml]
metadata = "sp.xml"
"""
PEOPLE = """
[[people]]
id = "101"
username = "ada"
password = "demo"
email = "ada@example.org"
member_type = "REG"
paid_through = "2999-12-31"
points = "42"
[[people]]
id = "102"
username = "ben"
password = "demo"
email = "<b&n>@example.org"
"""
SP = """<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://sp.example.org/metadata">
<md:SPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
<md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://sp.example.org/acs" index="0"/>
</md:SPSSODescriptor></md:EntityDescriptor>"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "idp.toml").write_text(CONFIG.format(folder=tmp_path))
    (tmp_path / "people.toml").write_text(PEOPLE)
    (tmp_path / "sp.xml").write_text(SP)
    return tmp_path


def preview(folder: Path, client: str, user: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["preview", "--client", client, "--user", user, "--json", "--config", str(folder / "idp.toml")])
    assert result.exit_code == 0, result.output
    shown: dict[str, Any] = json.loads(result.output.splitlines()[-1])
    return shown


def test_source_decision_release_and_each_rendering_are_shown(folder: Path) -> None:
    shown = preview(folder, "shop", "101")
    assert shown["source"]["paid_through"] == ["2999-12-31"]
    assert shown["entry"] == {"allowed": True, "cause": "", "missing": []}
    assert shown["released"] == {"mail": ["ada@example.org"], "member": ["true"], "points": ["42"]}
    assert shown["claims"] == {"mail": "ada@example.org", "member": True, "points": 42}
    assert shown["service"]["attributes"] == shown["claims"]
    assert '<attribute name="member"><value>true</value></attribute>' in shown["service_xml"]


def test_a_member_is_named_by_user_name_too_whether_or_not_they_ever_signed_in(folder: Path) -> None:
    assert preview(folder, "shop", "ADA")["source"] == preview(folder, "shop", "101")["source"]


def test_who_would_be_turned_away_is_shown_with_the_cause(folder: Path) -> None:
    shown = preview(folder, "shop", "102")
    assert shown["entry"] == {"allowed": False, "cause": "entry.member_type", "missing": ["points"]}


def test_a_saml_application_sees_its_assertion(folder: Path) -> None:
    assert "&lt;b&amp;n&gt;@example.org" in preview(folder, "lms", "102")["saml"]


def test_without_json_it_is_for_people_to_read(folder: Path) -> None:
    result = CliRunner().invoke(main, ["preview", "--client", "shop", "--user", "102", "--config", str(folder / "idp.toml")])
    assert "entry: refused, entry.member_type points" in result.output


@pytest.mark.parametrize(("client", "user"), [("gone", "101"), ("shop", "nobody")])
def test_what_is_not_there_is_an_error(folder: Path, client: str, user: str) -> None:
    result = CliRunner().invoke(main, ["preview", "--client", client, "--user", user, "--config", str(folder / "idp.toml")])
    assert result.exit_code == 1


def test_U31_a_wrong_rule_says_its_line(folder: Path) -> None:
    text = (folder / "idp.toml").read_text().replace('rule = "after_today"', 'rul = "after_today"')
    (folder / "idp.toml").write_text(text)
    result = CliRunner().invoke(main, ["preview", "--client", "shop", "--user", "101", "--config", str(folder / "idp.toml")])
    assert result.exit_code == 2
    assert "clients.shop.release.member.rul is not a setting; did you mean rule?" in result.output
