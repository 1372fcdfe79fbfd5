"""Letters that wait: none is lost when a worker is killed, one worker wins each, and nothing that lies in the store lets anybody in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from idp.directory import DirectoryUnavailable
from idp.sso.letter import Letter, LetterQueue, Order, Undeliverable
from idp.store.sqlite import SqliteStore
from tests.sso.house import at_once
from tests.standin import Clock, Events

ORDER = Order("reset", {"who": "ada@assoc.example"})
LIFE = 1200


class Killed(BaseException):
    """kill -9: nothing after it is done."""


class Post:
    """A post office over one store; `workers` are its processes."""

    def __init__(self, folder: Path) -> None:
        self.now = Clock()
        self.store = SqliteStore(folder / "store.sqlite", now=self.now)
        self.audit = Events()
        self.sent: list[Letter] = []
        self.fails: list[BaseException] = []
        self.write: Callable[[Order], Iterable[Letter]] = lambda order: [Letter(order.values["who"], order.what, {"link": "s3cret"})]

    def worker(self) -> LetterQueue:
        return LetterQueue(self.store, write=lambda order: self.write(order), send=self.send, life=LIFE, audit=self.audit, now=self.now)

    def send(self, letter: Letter) -> None:
        if self.fails:
            raise self.fails.pop(0)
        self.sent.append(letter)

    def pass_time(self, seconds: int) -> None:
        self.now.seconds += seconds
        self.worker().settle()

    def waiting(self) -> int:
        return len(self.store.list("letter"))


@pytest.fixture
def post(tmp_path: Path) -> Post:
    return Post(tmp_path)


def test_what_was_ordered_is_sent_by_whoever_lives_when_the_first_worker_was_killed(post: Post) -> None:
    post.worker().put(ORDER)
    post.worker().settle()
    assert [letter.to for letter in post.sent] == ["ada@assoc.example"]
    assert post.waiting() == 0


def test_a_letter_whose_carrier_is_killed_goes_out_when_its_lease_is_over(post: Post) -> None:
    post.worker().put(ORDER)
    post.fails = [Killed()]
    with pytest.raises(Killed):
        post.worker().settle()
    post.pass_time(59)
    assert post.sent == []
    post.pass_time(1)
    assert len(post.sent) == 1


def test_of_many_workers_one_sends_it(post: Post) -> None:
    post.worker().put(ORDER)
    workers = [post.worker() for _ in range(8)]
    at_once(8, lambda number: workers[number].settle())
    assert len(post.sent) == 1


def test_a_mail_server_that_is_away_is_tried_again_ever_more_slowly(post: Post) -> None:
    post.worker().put(ORDER)
    post.fails = [ConnectionRefusedError()] * 4
    tried_at = []
    for second in range(300):
        post.pass_time(0 if second == 0 else 1)
        if len(post.audit.lines) > len(tried_at):
            tried_at.append(second)
    assert tried_at == [0, 5, 20, 65, 200]
    assert [line["event"] for line in post.audit.lines] == ["mail.failed"] * 4 + ["mail.sent"]


def test_an_imis_that_is_away_loses_no_letter(post: Post) -> None:
    def write(order: Order) -> Iterable[Letter]:
        raise DirectoryUnavailable("status 500")

    good, post.write = post.write, write
    post.worker().put(ORDER)
    post.pass_time(0)
    assert post.audit.last == {"event": "mail.failed", "cause": "directory.unavailable", "detail": "status 500"}
    post.write = good
    post.pass_time(5)
    assert len(post.sent) == 1


def test_after_twenty_minutes_nothing_is_sent_any_more_and_the_log_says_so(post: Post) -> None:
    post.worker().put(ORDER)
    post.fails = [ConnectionRefusedError()] * 100
    for _ in range(LIFE + 10):
        post.pass_time(1)
    assert post.waiting() == 0
    assert post.sent == []
    assert post.audit.of("mail.given_up") == [{"event": "mail.given_up", "cause": "mail.too_late"}]


def test_what_cannot_be_delivered_is_given_up_at_once(post: Post) -> None:
    post.worker().put(ORDER)
    post.fails = [Undeliverable("mail.recipient_refused")]
    post.worker().settle()
    assert post.waiting() == 0
    assert post.audit.last["cause"] == "mail.recipient_refused"


def test_of_two_letters_in_one_order_the_first_is_not_sent_again_for_the_second(post: Post) -> None:
    post.write = lambda order: [Letter("ada@assoc.example", "reset", {}, "101"), Letter("ada@assoc.example", "reset", {}, "201")]
    post.worker().put(ORDER)
    calls = 0

    def send(letter: Letter) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ConnectionRefusedError
        post.sent.append(letter)

    post.send = send  # type: ignore[method-assign]
    post.worker().settle()
    post.pass_time(5)
    assert [letter.about for letter in post.sent] == ["101", "201"]


def test_S84_no_link_waits_in_the_store(post: Post) -> None:
    post.worker().put(ORDER)
    post.fails = [ConnectionRefusedError()]
    post.worker().settle()
    assert post.waiting() == 1
    assert "s3cret" not in repr(post.store.list("letter"))
