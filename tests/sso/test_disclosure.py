"""What is kept of a sign-on for the member's page: names, not values; and for how long."""

from __future__ import annotations

import pytest

from idp.sso.disclosure import Disclosures
from idp.sso.sign_in_log import part_of
from idp.store import Store, StoreUnavailable

from .house import Clock

DAY = 86400


@pytest.fixture
def disclosures(store: Store, now: Clock) -> Disclosures:
    return Disclosures(store, session_life=DAY, now=now)


def hear(disclosures: Disclosures, *released: str, client: str = "lms", event: str = "signon.ok") -> None:
    disclosures.hear(event, {"client": client, "subject": "101", "released": list(released)})


def test_the_last_answer_counts_with_its_names(disclosures: Disclosures, now: Clock) -> None:
    hear(disclosures, "email", "full_name")
    now.time += 10
    hear(disclosures, "email")
    hear(disclosures, "email", client="wiki", event="signon.refused")
    (last,) = disclosures.of_subject("101").values()
    assert (last.client_id, last.names, last.at) == ("lms", ("email",), now())


def test_the_same_again_within_the_hour_costs_no_write(disclosures: Disclosures, store: Store, now: Clock) -> None:
    hear(disclosures, "email")
    for passed, revision in ((3599, 1), (1, 2)):
        now.time += passed
        hear(disclosures, "email")
        assert store.list("disclosure")[0].revision == revision


def test_it_is_forgotten_thirty_days_after_the_longest_session(disclosures: Disclosures, now: Clock) -> None:
    hear(disclosures, "email")
    now.time += 31 * DAY - 1
    assert disclosures.of_subject("101")
    now.time += 1
    assert disclosures.of_subject("101") == {}


def test_a_store_that_is_away_stops_no_sign_on_and_the_next_one_is_noted(
    disclosures: Disclosures, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("it is switched off")

    monkeypatch.setattr(store, "put", fail)
    hear(disclosures, "email")
    monkeypatch.undo()
    hear(disclosures, "email")
    assert disclosures.of_subject("101")


@pytest.mark.parametrize(
    ("address", "part"),
    [
        ("203.0.113.77", "203.0.113.*"),
        ("::ffff:203.0.113.77", "203.0.113.*"),
        ("2001:db8:0:5678::1", "2001:db8:0:*"),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_no_full_address_is_kept(address: str, part: str) -> None:
    assert part_of(address) == part
