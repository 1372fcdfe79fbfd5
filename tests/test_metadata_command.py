"""`idp clients refresh`, `diff`, `accept` and what `idp check` says of metadata: names, exit statuses, the last line's JSON."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command import Run, command_in, furnish, last
from tests.saml.publisher import Publisher
from tests.server import SP_METADATA

CLIENT = """
[outbound]
allow_private = true
[clients.sp.saml]
metadata_url = "{url}/sp"
[clients.waiting.saml]
entity_id = "https://waiting.example.org/"
"""


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    running = Publisher()
    running.pages["/sp"] = SP_METADATA.encode()
    yield running
    running.close()


@pytest.fixture
def idp(tmp_path: Path, publisher: Publisher) -> Run:
    run = command_in(furnish(tmp_path, CLIENT.format(url=publisher.url)))
    run("keys", "create")
    return run


def test_a_change_is_fetched_shown_and_accepted(idp: Run, publisher: Publisher) -> None:
    assert last(idp("clients", "refresh", "--json")) == {"refreshed": [{"source": "client:sp", "state": "applied", "lines": []}]}
    publisher.pages["/sp"] = SP_METADATA.replace("/acs", "/new").encode()
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
    assert last(idp("clients", "refresh", "nobody", "--json"), status=1)["error"] == "saml.source_unknown"
    assert last(idp("clients", "diff", "waiting", "--json"), status=1)["error"] == "saml.no_metadata_url"
    assert "no [saml.federation.none]" in idp("clients", "add", "saml", "--federation", "none", "--entity-id", "x").output


def test_check_names_clients_whose_metadata_are_not_here(idp: Run, tmp_path: Path) -> None:
    assert "waiting: its metadata are not here" in idp("check").output
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "waiting.xml").write_text(
        SP_METADATA.replace("https://sp.example.org/metadata", "https://waiting.example.org/")
    )
    (tmp_path / "metadata" / "broken.xml").write_text("<html>")
    idp("clients", "refresh")
    checked = idp("check")
    assert checked.exit_code == 0, checked.output
    assert "warn saml.folder: metadata folder: broken.xml" in checked.output
