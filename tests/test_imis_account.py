"""Accounts in cloud iMIS: making them, new passwords, everybody of one address; and what must not be possible."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from idp.directory import AccountRefused, Accounts, Directory, DirectoryUnavailable, NewPerson
from idp.directory.choice import open_directory
from idp.secret import Secret
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import DEMO, SERVICE, Clock, SimulatedImis, rest_settings, simulated_imis

EVE = NewPerson("Eve", "Lindqvist", "eve@mail.example")
GOOD = Secret("letters-and-1")


class AccountDirectory(Directory, Accounts):
    """Both abilities, for the type checker."""


@pytest.fixture
def imis() -> Iterator[SimulatedImis]:
    with simulated_imis(now=Clock()) as found:
        yield found


@pytest.fixture
def accounts(imis: SimulatedImis, tmp_path: Path) -> Iterator[AccountDirectory]:
    clock = Clock()
    with contextlib.closing(SqliteStore(tmp_path / "store.sqlite", now=clock)) as store:
        yield cast(AccountDirectory, open_directory(rest_settings(imis.url), store=store, now=clock))


def test_a_new_account_signs_in_and_is_found(accounts: AccountDirectory) -> None:
    made = accounts.create_account(EVE, "eve", GOOD)
    assert accounts.authenticate("eve", GOOD) == made == accounts.find(made.id)
    assert made.attributes["email"] == ("eve@mail.example",)
    assert made.attributes["full_name"] == ("Eve Lindqvist",)
    assert made.active


@pytest.mark.parametrize("username", ["ada", "ADA", " ada ", SERVICE])
def test_S39_a_user_name_that_is_taken_is_refused_and_leaves_no_contact(
    accounts: AccountDirectory, imis: SimulatedImis, username: str
) -> None:
    with pytest.raises(AccountRefused) as caught:
        accounts.create_account(EVE, username, GOOD)
    assert caught.value.cause == "directory.username_taken"
    assert imis.requests("POST /api/person") == 0


@pytest.mark.parametrize("password", ["short1", "onlyletters", "12345678", ""])
def test_a_password_against_the_rule_is_refused_before_anything_is_made(
    accounts: AccountDirectory, imis: SimulatedImis, password: str
) -> None:
    with pytest.raises(AccountRefused):
        accounts.create_account(EVE, "eve", Secret(password))
    assert imis.requests() == 0


def test_a_duplicate_that_only_imis_sees_is_told_kindly(accounts: AccountDirectory, imis: SimulatedImis) -> None:
    imis.order("raw", path="/api/person", status=400, body=json.dumps({"Message": "x DuplicateProviderUserKey y"}))
    with pytest.raises(AccountRefused) as caught:
        accounts.create_account(EVE, "eve", GOOD)
    assert "taken" in caught.value.message


def test_the_reasons_of_imis_are_shown_if_they_are_plain(accounts: AccountDirectory, imis: SimulatedImis) -> None:
    imis.order("raw", path="/api/person", status=400, body=json.dumps({"Errors": {"$values": [{"Message": "Last name is required."}]}}))
    with pytest.raises(AccountRefused, match="Last name is required"):
        accounts.create_account(EVE, "eve", GOOD)
    imis.order("raw", path="/api/person", status=400, body=json.dumps({"Errors": [{"Message": "<script>alert(1)</script>"}]}))
    with pytest.raises(AccountRefused) as caught:
        accounts.create_account(EVE, "eve", GOOD)
    assert "script" not in caught.value.message


def test_F12_a_broken_imis_is_no_refusal_and_nothing_is_made_twice(accounts: AccountDirectory, imis: SimulatedImis) -> None:
    imis.order("status", path="/api/person", status=500)
    with pytest.raises(DirectoryUnavailable):
        accounts.create_account(EVE, "eve", GOOD)
    assert imis.requests("POST /api/person") == 1


def test_a_new_password_takes_the_place_of_the_old_and_opens_a_lock(accounts: AccountDirectory) -> None:
    loretta = accounts.find("1015")
    assert loretta is not None
    assert accounts.authenticate("lock", DEMO) is None
    accounts.set_password(loretta, GOOD)
    assert accounts.authenticate("lock", DEMO) is None
    assert accounts.authenticate("lock", GOOD) == loretta


def test_a_rule_that_only_imis_has_refuses_the_password_and_keeps_the_old(imis: SimulatedImis, tmp_path: Path) -> None:
    clock = Clock()
    with contextlib.closing(SqliteStore(tmp_path / "other.sqlite", now=clock)) as store:
        lax = cast(AccountDirectory, open_directory(rest_settings(imis.url, password_rule=".*"), store=store, now=clock))
        ada = lax.find("1001")
        assert ada is not None
        with pytest.raises(AccountRefused, match="at least 7 characters"):
            lax.set_password(ada, Secret("short"))
        assert lax.authenticate("ada", DEMO) == ada


def test_an_administrators_password_is_not_reset_from_outside(accounts: AccountDirectory, imis: SimulatedImis) -> None:
    imis.change("1001", attributes={"roles": ["Member", "SysAdmin"]})
    ada = accounts.find("1001")
    assert ada is not None
    with pytest.raises(AccountRefused) as caught:
        accounts.set_password(ada, GOOD)
    assert caught.value.cause == "directory.reset_forbidden"
    assert accounts.authenticate("ada", DEMO) is not None


def test_everybody_of_an_address_is_found(accounts: AccountDirectory) -> None:
    assert {found.username for found in accounts.find_by_email("NOVAK.family@mail.example ")} == {"pat", "robin"}
    assert [found.username for found in accounts.find_by_email("ada@mail.example")] == ["ada"]


@pytest.mark.parametrize(
    "email", ["", "nobody@mail.example", "contains:@mail.example", "ne:x@y", "ada", "other-1001@mail.example", "x" * 500]
)
def test_S98_no_trick_with_an_address_finds_anybody(accounts: AccountDirectory, email: str) -> None:
    assert accounts.find_by_email(email) == []


def test_the_service_account_is_nobodys(accounts: AccountDirectory, imis: SimulatedImis) -> None:
    imis.change("9001", attributes={"email": "service@mail.example"})
    assert accounts.find_by_email("service@mail.example") == []
