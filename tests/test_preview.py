"""`idp preview` shows what an application would get of a member, in every form, and why it would not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.command import Run, command_in, furnish, last

CLIENTS = """
[clients.shop]
[clients.shop.entry]
member_types = ["REG"]
[clients.shop.release]
email = "mail"
member = { from = "paid_through", rule = "after_today" }
points = { from = "points", type = "number", required = true }
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


@pytest.fixture
def idp(tmp_path: Path) -> Run:
    return command_in(furnish(tmp_path, CLIENTS, people=PEOPLE))


def preview(idp: Run, client: str, user: str) -> dict[str, Any]:
    return last(idp("preview", "--client", client, "--user", user, "--json"))


def test_source_decision_release_and_each_rendering_are_shown(idp: Run) -> None:
    shown = preview(idp, "shop", "101")
    assert shown["source"]["paid_through"] == ["2999-12-31"]
    assert shown["entry"] == {"allowed": True, "cause": "", "missing": []}
    assert shown["released"] == {"mail": ["ada@example.org"], "member": ["true"], "points": ["42"]}
    assert shown["claims"] == {"mail": "ada@example.org", "member": True, "points": 42}
    assert shown["service"]["attributes"] == shown["claims"]
    assert '<attribute name="member"><value>true</value></attribute>' in shown["service_xml"]


def test_a_member_is_named_by_user_name_too_whether_or_not_they_ever_signed_in(idp: Run) -> None:
    assert preview(idp, "shop", "ADA")["source"] == preview(idp, "shop", "101")["source"]


def test_who_would_be_turned_away_is_shown_with_the_cause(idp: Run) -> None:
    shown = preview(idp, "shop", "102")
    assert shown["entry"] == {"allowed": False, "cause": "entry.member_type", "missing": ["points"]}


def test_a_saml_application_sees_its_assertion(idp: Run) -> None:
    assert "&lt;b&amp;n&gt;@example.org" in preview(idp, "lms", "102")["saml"]


def test_without_json_it_is_for_people_to_read(idp: Run) -> None:
    result = idp("preview", "--client", "shop", "--user", "102")
    assert "entry: refused, entry.member_type points" in result.output


@pytest.mark.parametrize(("client", "user"), [("gone", "101"), ("shop", "nobody")])
def test_what_is_not_there_is_an_error(idp: Run, client: str, user: str) -> None:
    result = idp("preview", "--client", client, "--user", user)
    assert result.exit_code == 1


def test_U31_a_wrong_rule_says_its_line(idp: Run, tmp_path: Path) -> None:
    text = (tmp_path / "idp.toml").read_text().replace('rule = "after_today"', 'rul = "after_today"')
    (tmp_path / "idp.toml").write_text(text)
    result = idp("preview", "--client", "shop", "--user", "101")
    assert result.exit_code == 2
    assert "clients.shop.release.member.rul is not a setting; did you mean rule?" in result.output
