"""`idp notices`: what waits, told now, or given up."""

from __future__ import annotations

from pathlib import Path

import pytest

from idp.config import load
from idp.directory import Subject
from idp.parts import build_parts
from idp.sso.session import Participant
from idp.store.sqlite import SqliteStore
from tests.command import Run, command_in, furnish, last

CLIENT = """
[outbound]
allow_private = true
[clients.store]
[clients.store.token]
return_urls = ["https://store.example.org/in"]
logout_url = "http://127.0.0.1:9/out"
"""


@pytest.fixture
def idp(tmp_path: Path) -> Run:
    run = command_in(furnish(tmp_path, CLIENT))
    assert run("keys", "create").exit_code == 0
    return run


@pytest.fixture
def session_id(idp: Run, tmp_path: Path) -> str:
    """A session that was ended while nobody listened at port 9."""
    store = SqliteStore(tmp_path / "store.sqlite3")
    parts = build_parts(load(tmp_path / "idp.toml"), store)
    session, _ = parts.sessions.open(Subject("101", "ada", {}), None)
    assert parts.sessions.join(session.id, Participant("store", "token"))
    run = parts.logout.end(session.id, reason="test")
    assert run is not None
    assert [row.state for row in run.rows] == ["failed"]
    store.close()
    return session.id


def test_the_list_says_who_was_not_told_of_what_and_why(idp: Run, session_id: str) -> None:
    (notice,) = last(idp("notices", "list", "--json"))["notices"]
    assert (notice["client_id"], notice["session_id"], notice["subject_id"]) == ("store", session_id, "101")
    assert (notice["tries"], notice["cause"]) == (1, "outbound.connection")
    assert notice["until"] > notice["due"]
    assert notice["id"] in idp("notices", "list").output
    assert last(idp("notices", "list", "--client", "other", "--json")) == {"notices": []}


def test_a_retry_says_what_came_of_it_and_what_failed_goes_on_waiting(idp: Run, session_id: str) -> None:
    (notice,) = last(idp("notices", "list", "--json"))["notices"]
    assert last(idp("notices", "retry", notice["id"], "--json"))["retried"] == [{"id": notice["id"], "outcome": "outbound.connection"}]
    assert "outbound.connection" in idp("notices", "retry", "--client", "store").output
    (again,) = last(idp("notices", "list", "--json"))["notices"]
    assert again["tries"] == 3


def test_what_is_dropped_is_gone(idp: Run, session_id: str) -> None:
    (notice,) = last(idp("notices", "list", "--json"))["notices"]
    assert last(idp("notices", "drop", "--all", "--json")) == {"dropped": [notice["id"]]}
    assert "nothing waits" in idp("notices", "list").output


@pytest.mark.parametrize("command", ["retry", "drop"])
def test_a_notice_that_is_not_there_is_status_1_and_no_choice_is_status_2(idp: Run, command: str) -> None:
    assert idp("notices", command, "_none").exit_code == 1
    assert idp("notices", command).exit_code == 2
    assert idp("notices", command, "_none", "--all").exit_code == 2
