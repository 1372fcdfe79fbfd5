"""A login that iMIS says is locked, or whose password is too old: the page says so, and leads to a new password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .abroad import URL, Abroad, abroad, buttons, single

_SOAP = """
soap_check = "LoginUser"
locked_answers = ["LockedOut"]
expired_answers = ["Expired"]
[login]
forgot_password_url = "https://members.example.org/reset"
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Abroad]:
    directory = (
        single(_SOAP).replace('"imis-rest"', '"imis-soap"').replace("allow_http", 'api_base = "IMIS/Asi.Scheduler_iMIS"\nallow_http')
    )
    with abroad(tmp_path, directory, generation="2017", expired_usernames=("ben",)) as built:
        yield built


@pytest.mark.parametrize(
    ("username", "cause", "word"),
    [("lock", "directory.login_locked", "is locked"), ("ben", "directory.password_expired", "has expired")],
)
def test_the_page_says_it_and_leads_to_a_new_password(world: Abroad, username: str, cause: str, word: str) -> None:
    visitor = world.visitor()
    page = visitor.submits(visitor.begins(), "/login", username=username, password="demo")
    assert page.status == 403
    assert word in page.text
    assert buttons(page)["Ask for a new password"] == "https://members.example.org/reset"
    assert world.causes() == [cause]
    assert world.audit.of("login.refused")[0]["reference"] in page.text
    assert not visitor.is_signed_in()


def test_S82_it_counts_as_a_try(world: Abroad) -> None:
    visitor = world.visitor()
    page = visitor.opens(f"{URL}/login")
    statuses = [visitor.submits(page, "/login", username="lock", password="demo").status for _ in range(6)]
    assert statuses == [403] * 5 + [429]
    assert world.imis.password_checks("lock") == 5


def test_a_wrong_password_is_what_it_was(world: Abroad) -> None:
    visitor = world.visitor()
    page = visitor.submits(visitor.begins(), "/login", username="ben", password="wrong")
    assert page.status == 401
    assert "Ask for a new password" not in page.text
