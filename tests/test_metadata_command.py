"""`idp clients refresh`, `diff`, `accept` and what `idp check` says of metadata: names, exit statuses, the last line's JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from idp.cli import main
from tests.saml.publisher import Publisher
from tests.test_cli import CONFIG, PEOPLE, SP

CLIENT = """
[outbound]
allow_private = true
[clients.sp.saml]
metadata_url = "{url}/sp"
[clients.waiting.saml]
entity_id = "https://waiting.example.org/"
"""
Run = Callable[..., Result]


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    running = Publisher()
    running.pages["/sp"] = SP.encode()
    yield running
    running.close()


@pytest.fixture
def idp(tmp_path: Path, publisher: Publisher) -> Run:
    (tmp_path / "idp.toml").write_text(CONFIG.replace("{folder}", str(tmp_path)) + CLIENT.format(url=publisher.url))
    (tmp_path / "people.toml").write_text(PEOPLE)

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, [*words, "--config", str(tmp_path / "idp.toml")])

    run("keys", "create")
    return run


def last(result: Result) -> dict[str, object]:
    value: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return value


def test_a_change_is_fetched_shown_and_accepted(idp: Run, publisher: Publisher) -> None:
    assert last(idp("clients", "refresh", "--json")) == {"refreshed": [{"source": "client:sp", "state": "applied", "lines": []}]}
    publisher.pages["/sp"] = SP.replace("/acs", "/new").encode()
    assert "client:sp: staged" in idp("clients", "refresh", "sp").output
    shown = idp("clients", "diff", "sp").output.splitlines()
    assert shown[:2] == [
        "- address for answers https://sp.example.org/acs (HTTP-POST, number 0)",
        "+ address for answers https://sp.example.org/new (HTTP-POST, number 0)",
    ]
    accepted = idp("clients", "accept", "sp")
    assert accepted.exit_code == 0
    assert idp("clients", "accept", "sp").exit_code == 1
    assert last(idp("clients", "diff", "sp", "--json")) == {"id": "sp", "changes": []}


def test_a_source_that_fails_is_said_with_status_1(idp: Run, publisher: Publisher) -> None:
    del publisher.pages["/sp"]
    result = idp("clients", "refresh", "sp")
    assert result.exit_code == 1
    assert "refused" in result.output


def test_what_nothing_is_fetched_for_is_said(idp: Run) -> None:
    assert last(idp("clients", "refresh", "nobody", "--json"))["error"] == "saml.source_unknown"
    assert last(idp("clients", "diff", "waiting", "--json"))["error"] == "saml.no_metadata_url"
    assert "no [saml.federation.none]" in idp("clients", "add", "saml", "--federation", "none", "--entity-id", "x").output


def test_check_names_clients_whose_metadata_are_not_here(idp: Run, tmp_path: Path) -> None:
    assert "waiting: its metadata are not here" in idp("check").output
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "waiting.xml").write_text(SP.replace("https://sp.example.org/metadata", "https://waiting.example.org/"))
    (tmp_path / "metadata" / "broken.xml").write_text("<html>")
    idp("clients", "refresh")
    checked = idp("check")
    assert checked.exit_code == 0, checked.output
    assert "warn metadata folder: broken.xml" in checked.output
