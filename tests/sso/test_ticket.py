"""Tickets: codes, artifacts and vendors' tokens are redeemed once, soon, by their own client, while the session lives."""

from __future__ import annotations

import json

import pytest

from idp.secret import Secret, digest
from idp.sso.session import Session, Sessions, SessionSettings
from idp.sso.ticket import Ticket, TicketRefused, Tickets
from idp.store import Store

from .house import ADA, Clock, at_once


class Counter:
    """Everything that one test redeems at."""

    def __init__(self, store: Store, now: Clock) -> None:
        self.store = store
        self.sessions = Sessions(store, SessionSettings(), now=now)
        self.tickets = Tickets(store, self.sessions, kind="ticket", life=30, now=now)
        self.codes = Tickets(store, self.sessions, kind="code", life=60, now=now)
        self.session: Session = self.sessions.open(ADA)[0]

    def refused(self, ticket: Secret, client_id: str = "lms") -> TicketRefused:
        with pytest.raises(TicketRefused) as caught:
            self.tickets.redeem(ticket, client_id)
        return caught.value


@pytest.fixture
def counter(store: Store, now: Clock) -> Counter:
    return Counter(store, now)


def test_a_ticket_gives_back_what_it_stands_for(counter: Counter) -> None:
    ticket = counter.tickets.issue("lms", counter.session, {"return": "https://lms.example/back"})
    redeemed = counter.tickets.redeem(ticket, "lms")
    assert redeemed == Ticket("lms", counter.session, redeemed.family, {"return": "https://lms.example/back"})
    assert redeemed.family


def test_S94_a_ticket_has_256_bits_prints_as_stars_and_is_kept_as_its_digest(counter: Counter) -> None:
    ticket = counter.tickets.issue("lms", counter.session, {})
    assert len(ticket.reveal()) == 43
    assert ticket.reveal() not in f"{ticket} {ticket!r} {[ticket]}"
    (stored,) = counter.store.list("ticket")
    assert stored.key == digest(ticket.reveal())
    assert ticket.reveal() not in json.dumps(stored.record)


def test_S18_it_lives_its_time_and_no_second_longer(counter: Counter, now: Clock) -> None:
    good, late = counter.tickets.issue("lms", counter.session, {}), counter.tickets.issue("lms", counter.session, {})
    now.time += 29
    assert counter.tickets.redeem(good, "lms")
    now.time += 1
    assert counter.refused(late).cause == "ticket.unknown"


def test_S17_a_replay_is_known_for_one_and_names_the_family(counter: Counter, now: Clock) -> None:
    ticket = counter.tickets.issue("lms", counter.session, {})
    family = counter.tickets.redeem(ticket, "lms").family
    now.time += 23 * 3600
    refused = counter.refused(ticket)
    assert (refused.cause, refused.family) == ("ticket.replayed", family)


def test_V39_a_ticket_that_another_client_brings_is_spent(counter: Counter) -> None:
    ticket = counter.tickets.issue("lms", counter.session, {})
    assert counter.refused(ticket, "shop").cause == "ticket.other_client"
    assert counter.refused(ticket, "lms").cause == "ticket.replayed"


def test_S48_a_ticket_is_dead_when_its_session_is_even_if_it_was_left_in_the_store(counter: Counter) -> None:
    ticket = counter.tickets.issue("lms", counter.session, {})
    counter.sessions.take(counter.session.id)
    assert counter.refused(ticket).cause == "ticket.session_ended"


def test_a_code_is_not_redeemed_where_tickets_are(counter: Counter) -> None:
    code = counter.codes.issue("lms", counter.session, {})
    assert counter.refused(code).cause == "ticket.unknown"
    assert counter.codes.redeem(code, "lms")


@pytest.mark.parametrize("text", ["", "x", "{'$gt': ''}", "\ud800", "\0", "k" * 100_000])
def test_V58_nonsense_is_an_unknown_ticket(counter: Counter, text: str) -> None:
    assert counter.refused(Secret(text)).cause == "ticket.unknown"


def test_S30_a_refusal_does_not_repeat_the_ticket(counter: Counter) -> None:
    ticket = counter.tickets.issue("lms", counter.session, {})
    counter.tickets.redeem(ticket, "lms")
    refused = counter.refused(ticket)
    assert ticket.reveal() not in f"{refused} {refused!r} {vars(refused)}"


def test_S16_of_sixteen_who_redeem_one_wins_and_S17_every_other_is_a_replay(either_store: Store, now: Clock) -> None:
    """The losers of the race, too: one that came between two steps and was called unknown would leave the thief's tokens alive."""
    counter = Counter(either_store, now)
    for _ in range(3):
        ticket = counter.tickets.issue("lms", counter.session, {})
        results = at_once(16, lambda _, ticket=ticket: counter.tickets.redeem(ticket, "lms"))  # type: ignore[misc]
        (won,) = [result for result in results if isinstance(result, Ticket)]
        lost = [result for result in results if isinstance(result, TicketRefused)]
        assert len(lost) == 15
        assert {(each.cause, each.family) for each in lost} == {("ticket.replayed", won.family)}
