"""`idp keys rotate saml|oidc`: the steps, who has fetched the next key, and what speaks against activating it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from idp.config import load
from idp.keys import KeyRing
from idp.parts import build_parts
from idp.store.sqlite import SqliteStore

from .command import Run, last
from .test_cli import folder, idp

__all__ = ["folder", "idp"]


@pytest.fixture
def ready(idp: Run, folder: Path) -> Run:
    """Two SAML applications, and keys."""
    idp("keys", "create")
    assert idp("clients", "add", "saml", "--metadata", str(folder / "sp.xml"), "--id", "lms").exit_code == 0
    (folder / "other.xml").write_text((folder / "sp.xml").read_text().replace("sp.example.org", "crm.example.org"))
    assert idp("clients", "add", "saml", "--metadata", str(folder / "other.xml"), "--id", "crm").exit_code == 0
    return idp


def fetch(folder: Path, client_id: str = "", agent: str = "curl/8") -> None:
    """As a running server writes it down."""
    store = SqliteStore(folder / "store.sqlite3")
    saml = build_parts(load(folder / "idp.toml"), store).protocols.saml
    saml.readers.note(client_id, address="192.0.2.7", agent=agent, kids=saml.document(client_id).kids)
    store.close()


def settle(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day later, as far as this command can tell."""
    monkeypatch.setattr("idp.cli.rotation.time.time", lambda now=time.time: now() + 86400)


def test_keys_create_prepares_the_next_key_and_it_is_in_our_metadata(idp: Run) -> None:
    made = last(idp("keys", "create", "--json"))
    assert (made["key"]["state"], made["next"]["state"]) == ("current", "next")
    assert made["next"]["certificate"] in last(idp("metadata", "--json"))["metadata"]


def test_S38_the_three_steps_move_the_key_and_the_metadata_follow(ready: Run) -> None:
    old = last(ready("keys", "rotate", "saml", "--json"))["keys"][0]
    new = last(ready("keys", "rotate", "saml", "--publish", "--json"))["key"]
    assert last(ready("keys", "rotate", "saml", "--activate", "--json"))["key"]["kid"] == new["kid"] != old["kid"]
    both = last(ready("metadata", "--json"))["metadata"]
    assert both.index(new["certificate"]) < both.index(old["certificate"])
    assert last(ready("keys", "rotate", "saml", "--retire", "--json"))["retired"] == [old["kid"]]
    assert old["certificate"] not in last(ready("metadata", "--json"))["metadata"]


def test_the_tokens_keep_their_key_meanwhile_and_change_it_in_the_same_steps(ready: Run, folder: Path) -> None:
    before = KeyRing(folder / "keys").current.kid
    ready("keys", "rotate", "saml", "--activate")
    assert KeyRing(folder / "keys").current.kid == before
    for step in ("--publish", "--activate"):
        assert ready("keys", "rotate", "oidc", step).exit_code == 0
    assert KeyRing(folder / "keys").current.kid != before
    assert last(ready("keys", "rotate", "oidc", "--retire", "--json"))["retired"] == [before]


def test_who_fetched_the_next_key_is_listed_and_who_did_not_is_warned_of(ready: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(folder, "lms")
    fetch(folder, agent="Shibboleth/3")
    said = last(ready("keys", "rotate", "saml", "--json"))
    assert {each["id"]: each["state"] for each in said["applications"]} == {"crm": "unknown", "lms": "has fetched the key"}
    assert [(each["address"], each["agent"]) for each in said["others"]] == [("192.0.2.7", "Shibboleth/3")]
    settle(monkeypatch)
    done = ready("keys", "rotate", "saml", "--activate")
    assert done.exit_code == 0
    assert "these applications have fetched the new key: crm." in done.output


def test_no_warning_when_all_have_it_and_a_day_has_passed(ready: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for client_id in ("lms", "crm"):
        fetch(folder, client_id)
    settle(monkeypatch)
    assert "WARNING" not in ready("keys", "rotate", "saml", "--activate").output


def test_a_visit_before_the_key_was_published_says_nothing_of_it(ready: Run, folder: Path) -> None:
    fetch(folder, "lms")
    ready("keys", "rotate", "saml", "--activate")
    said: dict[str, Any] = last(ready("keys", "rotate", "saml", "--publish", "--json"))
    assert {each["state"] for each in said["applications"]} == {"unknown"}


def test_a_key_that_was_published_just_now_is_warned_of(ready: Run) -> None:
    assert "published 0 hours ago" in ready("keys", "rotate", "saml", "--activate").output


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (("--publish",), "keys.use_missing"),
        (("oidc", "--publish", "--kind", "p-384"), "keys.kind_unfit"),
        (("saml", "--publish", "--kind", "ed25519"), "keys.kind_unfit"),
    ],
)
def test_words_that_do_not_go_together_are_refused(ready: Run, words: tuple[str, ...], cause: str) -> None:
    refused = ready("keys", "rotate", *words, "--json")
    assert (refused.exit_code, cause in refused.output) == (1, True)


def test_an_application_keeps_the_key_that_its_settings_name(ready: Run, folder: Path) -> None:
    old = KeyRing(folder / "keys", use="saml").current
    text = (folder / "idp.toml").read_text()
    table = f'[clients.old]\n[clients.old.saml]\nentity_id = "urn:old"\nacs = "https://old.example/acs"\nsigning_key = "{old.kid}"\n'
    (folder / "idp.toml").write_text(text + table)
    for step in ("--activate", "--retire"):
        assert ready("keys", "rotate", "saml", step).exit_code == 0
    for step in ("--publish", "--activate", "--retire"):
        assert ready("keys", "rotate", "oidc", step).exit_code == 0
    own = last(ready("metadata", "--client", "old", "--json"))["metadata"]
    assert old.certificate_base64 in own
    assert old.certificate_base64 not in last(ready("metadata", "--json"))["metadata"]
    assert last(ready("check", "--json"))["ok"]
    said = last(ready("keys", "rotate", "saml", "--json"))
    assert {each["id"]: each["state"] for each in said["applications"]}["old"] == "has a key of its own"


def test_F20_check_names_the_application_that_no_key_can_sign_for(ready: Run, folder: Path) -> None:
    table = '[clients.ec]\n[clients.ec.saml]\nentity_id = "urn:ec"\nacs = "https://ec.example/acs"\nsignature_algorithm = "ecdsa-sha256"\n'
    (folder / "idp.toml").write_text((folder / "idp.toml").read_text() + table)
    failed = ready("check")
    assert failed.exit_code == 1
    assert 'The application "ec"' in failed.output
    for step in ("--publish", "--activate"):
        assert ready("keys", "rotate", "saml", step, "--kind", "p-256").exit_code == 0
    assert ready("check").exit_code == 0


def test_what_an_operator_does_by_hand_is_an_event_for_each_key(ready: Run) -> None:
    kids = [each["kid"] for each in last(ready("keys", "rotate", "oidc", "--json"))["keys"]]
    told = [event(ready("keys", "rotate", "oidc", step)) for step in ("--publish", "--activate", "--retire")]
    assert told == [[], [("keys.activated", kids[1], "operator")], [("keys.retired", kids[0], "operator")]], "it was published already"
    assert [name for name, *_ in event(ready("keys", "rotate", "oidc", "--publish"))] == ["keys.published"]
    assert [name for name, *_ in event(ready("keys", "rotate"))] == ["keys.activated"] * 2


def event(done: Result) -> list[tuple[str, str, str]]:
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    return [(line["event"], line["kid"], line["by"]) for line in lines if line["event"].startswith("keys.")]


def test_what_the_calendar_will_do_is_told_with_its_time(ready: Run, folder: Path) -> None:
    assert last(ready("keys", "rotate", "oidc", "--json"))["calendar"] == []
    with (folder / "idp.toml").open("a") as file:
        file.write('[keys]\ncalendar = ["oidc"]\ncurrent_life = "10d"\nnext_life = "2d"\n')
    said = last(ready("keys", "rotate", "oidc", "--json"))
    since, following = said["keys"][0]["since"], said["keys"][1]["kid"]
    assert said["calendar"] == [{"step": "activate", "kid": following, "at": since + 10 * 86400}]
    assert last(ready("keys", "rotate", "saml", "--json"))["calendar"] == []
