"""Requests that wait for a login take a bounded room for each browser."""

from __future__ import annotations

import pytest

from .conftest import MakeHouse
from .echo import ask, make_client
from .house import BROWSER, OTHER_BROWSER, Clock, House, pending_of


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    return make_house(make_client("lms"))


def test_of_more_requests_than_anybody_has_tabs_the_oldest_make_room(house: House, now: Clock) -> None:
    kept = []
    for _ in range(25):
        kept.append(pending_of(house.signon.start(ask("lms"), BROWSER, None)))
        now.time += 1
    assert sorted(each.key for each in house.store.list("pending")) == sorted(kept[-20:])


def test_a_request_of_another_browser_makes_no_room(house: House) -> None:
    theirs = pending_of(house.signon.start(ask("lms"), OTHER_BROWSER, None))
    for _ in range(25):
        house.signon.start(ask("lms"), BROWSER, None)
    assert house.signon.pending(theirs, OTHER_BROWSER) is not None
