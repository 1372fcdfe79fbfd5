"""`idp bridges`, and `idp clients add --bridge NAME`: names, options, exit statuses and the JSON of the last line."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from idp.cli import main
from tests.command import Run, command_in, furnish, last


@pytest.fixture
def idp(tmp_path: Path) -> Run:
    return command_in(furnish(tmp_path))


def test_bridges_list_needs_no_configuration_and_says_protocol_and_confidence() -> None:
    result = CliRunner().invoke(main, ["bridges", "list"])
    lines = {line.split()[0]: line.split()[1:4] for line in result.output.splitlines()}
    assert lines["canvas"] == ["saml", "learning", "SEEN"]
    assert lines["umbraco"] == ["oidc", "web", "GK"]


def test_bridges_show_marks_each_setting() -> None:
    result = CliRunner().invoke(main, ["bridges", "show", "canvas"])
    assert 'SEEN     saml.entity_id = "https://{host}/saml2"' in result.output
    assert 'GK       saml.acs = ["https://{host}/login/saml"]' in result.output
    assert 'UNKNOWN  saml.name_id_source = "username"' in result.output
    assert "host: your Canvas host" in result.output


def test_bridges_show_says_the_command_that_adds_it() -> None:
    def how(name: str) -> str:
        output = CliRunner().invoke(main, ["bridges", "show", name]).output
        return next(line for line in output.splitlines() if line.startswith("idp clients add"))

    assert how("canvas") == "idp clients add --bridge canvas --set host=school.instructure.com"
    assert how("cvent") == "idp clients add --bridge cvent --metadata FILE|URL"
    assert how("thought-industries-oidc").endswith("--set host=association.thoughtindustries.com --redirect-uri URL")


def test_bridges_show_as_JSON_has_each_settings_confidence() -> None:
    shown = last(CliRunner().invoke(main, ["bridges", "show", "canvas", "--json"]))
    assert shown["settings"]["saml.acs"] == {"value": ["https://{host}/login/saml"], "confidence": "GK"}
    assert shown["placeholders"]["host"]["prompt"] == "your Canvas host"
    assert (shown["needs"], shown["protocol"], shown["confidence"]) == ("", "saml", "SEEN")


def test_bridges_show_of_an_unknown_name_names_those_there_are() -> None:
    result = CliRunner().invoke(main, ["bridges", "show", "canvass"])
    assert result.exit_code == 2
    assert "there are: absorb" in result.output


def test_clients_add_bridge_needs_no_more_than_what_it_asks_for(idp: Run) -> None:
    added = last(idp("clients", "add", "--bridge", "canvas", "--set", "host=learn.example.org", "--json"))
    assert (added["id"], added["entity_id"], added["name"]) == ("canvas", "https://learn.example.org/saml2", "Canvas (Instructure)")
    shown = last(idp("clients", "show", "canvas", "--json"))
    assert shown["settings"]["acs"] == ["https://learn.example.org/login/saml"]
    assert shown["origins"]["acs"] == "bridge"


def test_clients_add_bridge_gives_a_secret_where_the_protocol_has_one(idp: Run) -> None:
    oidc = last(idp("clients", "add", "--bridge", "umbraco", "--id", "www", "--set", "site=https://www.example.org", "--json"))
    assert (oidc["id"], len(oidc["client_secret"])) == ("www", 43)
    token = last(idp("clients", "add", "--bridge", "moodle-ats", "--set", "site=https://learn.example.org", "--json"))
    assert token["signon_url"].endswith("/token/signon")
    assert token["client_secret"]


def test_clients_add_bridge_with_metadata(idp: Run, tmp_path: Path) -> None:
    added = last(idp("clients", "add", "--bridge", "cvent", "--metadata", str(tmp_path / "sp.xml"), "--release", "email", "--json"))
    assert (added["entity_id"], added["release"]) == ("https://sp.example.org/metadata", {"email": "email"})


def test_clients_add_bridge_that_knows_no_address_says_what_to_give(idp: Run) -> None:
    result = idp("clients", "add", "--bridge", "cvent")
    assert result.exit_code == 2
    assert "idp clients add --bridge cvent --metadata FILE|URL" in result.output


def test_clients_add_bridge_says_what_is_missing_when_nobody_can_be_asked(idp: Run) -> None:
    result = idp("clients", "add", "--bridge", "canvas")
    assert result.exit_code == 2
    assert "wants host: your Canvas host" in result.output
    assert last(idp("clients", "list", "--json")) == {"clients": []}


def test_clients_add_bridge_asks_a_person_for_what_is_missing(tmp_path: Path, idp: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["idp.cli.add"], "_is_a_person", lambda: True)  # idp.cli.add is also the command
    words = ["clients", "add", "--bridge", "canvas", "--config", str(tmp_path / "idp.toml")]
    result = CliRunner().invoke(main, words, input="learn.example.org\n")
    assert "Your Canvas host (such as school.instructure.com): " in result.output
    assert "added canvas: https://learn.example.org/saml2" in result.output


@pytest.mark.parametrize("pair", ["host", "host=", "=x", ""])
def test_set_is_key_and_value(idp: Run, pair: str) -> None:
    result = idp("clients", "add", "--bridge", "canvas", "--set", pair)
    assert (result.exit_code, "it is KEY=VALUE" in result.output) == (2, True)


def test_clients_add_by_protocol_takes_a_bridge_and_its_values_too(idp: Run) -> None:
    words = ("--bridge", "thought-industries-oidc", "--set", "host=a.thoughtindustries.com")
    added = last(idp("clients", "add", "oidc", "--redirect-uri", "https://a.thoughtindustries.com/x", *words, "--json"))
    assert added["url"] == "https://a.thoughtindustries.com/access/openId/login"


def test_clients_add_alone_says_what_there_is(idp: Run) -> None:
    result = idp("clients", "add")
    assert (result.exit_code, "--bridge NAME" in result.output) == (2, True)


def test_clients_add_takes_no_option_before_the_protocol(idp: Run) -> None:
    result = CliRunner().invoke(main, ["clients", "add", "--bridge", "canvas", "saml", "--metadata", "x"])
    assert (result.exit_code, "Options stand after the protocol" in result.output) == (2, True)


# ---- JSONP, which has to be renewed


def add_journal(idp: Run, *more: str) -> dict[str, Any]:
    return last(idp("clients", "add", "jsonp", "--id", "journal", "--return-url", "https://j.example.org/", *more, "--json"))


def test_S99_a_JSONP_page_is_added_for_a_year_at_most_unless_somebody_says_otherwise(idp: Run) -> None:
    days = (date.fromisoformat(add_journal(idp)["expires"]) - datetime.now(UTC).date()).days
    assert days in (364, 365)


def test_S99_the_list_has_a_banner_for_each_JSONP_page(idp: Run) -> None:
    assert "!" not in idp("clients", "list").output
    add_journal(idp, "--expires", "2031-05-01")
    output = idp("clients", "list").output
    assert "! journal asks by JSONP" in output
    assert "until 2031-05-01 (" in output
    assert "idp clients renew journal" in output


def test_S99_the_banner_says_when_the_time_is_over(idp: Run) -> None:
    add_journal(idp, "--expires", "2021-05-01")
    assert "no more: its time was over on 2021-05-01" in idp("clients", "list").output


def test_S99_renewing_puts_the_last_day_off_and_changes_nothing_else(idp: Run) -> None:
    add_journal(idp, "--expires", "2021-05-01")
    before = last(idp("clients", "show", "journal", "--json"))["settings"]
    assert last(idp("clients", "renew", "journal", "--until", "2032-01-31", "--json"))["expires"] == "2032-01-31"
    assert last(idp("clients", "show", "journal", "--json"))["settings"] == {**before, "expires": "2032-01-31"}
    renewed = last(idp("clients", "renew", "journal", "--json"))["expires"]
    assert (date.fromisoformat(renewed) - datetime.now(UTC).date()).days in (364, 365)


def test_only_a_JSONP_page_is_renewed(idp: Run) -> None:
    last(idp("clients", "add", "--bridge", "canvas", "--set", "host=learn.example.org", "--json"))
    for name in ("canvas", "nobody"):
        assert idp("clients", "renew", name).exit_code == 1


def test_a_JSONP_page_of_the_file_is_renewed_there(idp: Run, tmp_path: Path) -> None:
    jsonp = '[clients.news.jsonp]\norigins = ["https://n.example.org"]\nexpires = 2021-05-01\n'
    (tmp_path / "idp.toml").write_text((tmp_path / "idp.toml").read_text() + jsonp)
    assert "Then: expires in [clients.news.jsonp]" in idp("clients", "list").output
    assert last(idp("clients", "renew", "news", "--json"), status=1)["error"] == "clients.in_file"
