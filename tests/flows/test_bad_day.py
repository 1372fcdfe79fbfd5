"""A bad day at iMIS, on the real server: who is signed in notices nothing, whoever comes is told kindly, and no letter is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.bad_day import MEMBERS, BadDay, bad_day

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]
AGED = '[freshness]\nchecked = "1s"\nfresh = "1s"\n'


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BadDay]:
    with bad_day(tmp_path_factory.mktemp("day"), more=AGED) as made:
        yield made


@pytest.fixture(autouse=True)
def fair(day: BadDay) -> Iterator[None]:
    yield
    day.imis.order("none")


def test_G_R4_imis_is_off_and_fifty_members_who_are_signed_in_notice_nothing(day: BadDay) -> None:
    members = day.signed_in()
    day.imis.order("down")
    time.sleep(2)  # so that what is stored of each has aged, and would be asked for
    with ThreadPoolExecutor(8) as pool:
        failed = list(pool.map(lambda member: member.every_protocol(), members))
    assert failed == [[]] * len(MEMBERS)


def test_G_R5_single_sign_on_asks_nothing_of_imis_while_the_browser_waits(day: BadDay) -> None:
    member = day.member(MEMBERS[0])
    assert member.log_in() == 303
    day.imis.order("slow", seconds=600)
    assert member.every_protocol() == [], "and not after 600 seconds"


def test_F12_a_new_sign_in_gets_a_page_that_blames_nobody(day: BadDay) -> None:
    day.imis.order("html200")
    status, _, page = day.member(MEMBERS[1]).fill("/login", username=MEMBERS[1], password="demo")
    assert status == 503
    assert "Your password may well be right" in page
    assert day.imis.password_checks(MEMBERS[1]) <= 1


def test_no_letter_is_lost_when_the_server_is_killed_before_it_could_be_sent(tmp_path: Path) -> None:
    with bad_day(tmp_path) as day:
        assert day.member(MEMBERS[7]).fill("/account/forgot-password", email=MEMBERS[7])[0] == 200
        day.server.kill()
        with day.mail() as mailbox:
            day.server.start()
            ending = time.monotonic() + 100
            while not mailbox.mails() and time.monotonic() < ending:
                time.sleep(0.1)
            assert [mail.to for mail in mailbox.mails()] == [f"{MEMBERS[7]}@mail.example"]
