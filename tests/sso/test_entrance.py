"""Which requests of a browser wait while its member is at iMIS."""

from __future__ import annotations

import pytest

from idp.sso.entrance import Entrances
from idp.store import Store

from .house import ADA, BROWSER, OTHER_BROWSER, Clock, at_once


@pytest.fixture
def entrances(store: Store, now: Clock) -> Entrances:
    return Entrances(store, now=now)


def waiting(entrances: Entrances, browser: str = BROWSER, door: str = "") -> list[str]:
    return [each.request_id for each in entrances.waiting(browser, door)]


def test_what_a_browser_was_sent_for_waits_the_newest_first(entrances: Entrances) -> None:
    for name in ("lms", "wiki"):
        entrances.depart(BROWSER, "", f"request-{name}", name, leave=False)
    assert waiting(entrances) == ["request-wiki", "request-lms"]
    assert entrances.was_sent(BROWSER, "request-lms")
    assert not entrances.was_sent(BROWSER, "request-other")


def test_S80_another_browser_and_another_door_have_nothing_of_it(entrances: Entrances) -> None:
    entrances.depart(BROWSER, "members", "request", "lms", leave=False)
    assert waiting(entrances, OTHER_BROWSER, "members") == []
    assert waiting(entrances, BROWSER, "staff") == []
    assert waiting(entrances, BROWSER, "members") == ["request"]


def test_a_client_that_asks_again_takes_its_own_place(entrances: Entrances) -> None:
    for name in ("lms", "wiki", "lms"):
        entrances.depart(BROWSER, "", f"{name}-{len(waiting(entrances))}", name, leave=False)
    assert waiting(entrances) == ["lms-2", "wiki-1"]


def test_there_are_never_more_than_eight(entrances: Entrances) -> None:
    for number in range(20):
        entrances.depart(BROWSER, "", f"{number}", f"client-{number}", leave=False)
    assert waiting(entrances) == [str(number) for number in range(19, 11, -1)]


def test_nobody_waits_for_longer_than_an_hour(entrances: Entrances, now: Clock) -> None:
    entrances.depart(BROWSER, "", "early", "lms", leave=False)
    now.time += 1800
    entrances.depart(BROWSER, "", "late", "wiki", leave=False)
    now.time += 1800
    assert waiting(entrances) == ["late"]


def test_the_way_back_from_the_exit_is_good_once_and_in_its_own_browser(entrances: Entrances) -> None:
    leaving = entrances.depart(BROWSER, "", "request", "lms", leave=True).leaving
    entrances.depart(BROWSER, "", "other", "wiki", leave=False)
    assert entrances.come_from_exit(OTHER_BROWSER, leaving) is None
    assert entrances.come_from_exit(BROWSER, "") is None
    back = entrances.come_from_exit(BROWSER, leaving)
    assert back is not None
    assert (back.request_id, back.left) == ("request", True)
    assert entrances.come_from_exit(BROWSER, leaving) is None
    assert [(each.request_id, each.left) for each in entrances.waiting(BROWSER, "")] == [("other", False), ("request", True)]


def test_who_has_arrived_must_leave_again_for_the_next_fresh_sign_in(entrances: Entrances) -> None:
    leaving = entrances.depart(BROWSER, "", "request", "lms", leave=True).leaving
    entrances.depart(BROWSER, "", "", "", leave=False)
    entrances.come_from_exit(BROWSER, leaving)
    entrances.arrive(BROWSER, "")
    assert [(each.request_id, each.left) for each in entrances.waiting(BROWSER, "")] == [("request", False)]


def test_S120_whom_iMIS_named_is_kept_for_one_browser_once_and_not_for_long(entrances: Entrances, now: Clock) -> None:
    held = entrances.hold(BROWSER, ADA)
    assert entrances.take(OTHER_BROWSER, held) is None
    assert entrances.take(BROWSER, held) == ADA
    assert entrances.take(BROWSER, held) is None
    late = entrances.hold(BROWSER, ADA)
    now.time += 600
    assert entrances.take(BROWSER, late) is None


def test_the_list_of_a_browser_is_nobody_that_could_be_taken(entrances: Entrances, store: Store) -> None:
    entrances.depart(BROWSER, "", "request", "lms", leave=False)
    (stored,) = store.list("entrance")
    assert entrances.take(BROWSER, stored.key) is None
    assert waiting(entrances) == ["request"]


def test_tabs_that_depart_at_the_same_moment_all_wait(either_store: Store, now: Clock) -> None:
    entrances = Entrances(either_store, now=now)
    at_once(8, lambda number: entrances.depart(BROWSER, "", f"{number}", f"client-{number}", leave=False))
    assert sorted(waiting(entrances)) == [str(number) for number in range(8)]
