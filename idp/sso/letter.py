"""Letters: what is to be mailed waits in the store, so that none is lost when a worker or the whole server is killed.

What waits is the order ("a reset link, to whoever has this address"), never a letter with its link: the link is made when the letter is
about to go out, and the store keeps only its SHA-256. So nothing that lies there lets anybody in, and nothing need be sealed.
How it waits is told in `queue.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from idp.audit import Audit
from idp.clock import Now
from idp.secret import digest, new_id
from idp.sso.queue import Hopeless, Pace, Queue
from idp.store import Record, Store

_PACE = Pace(
    lease=60,  # a slow mail server may take longer, and then one letter goes out twice
    first_wait=5,
    longest_wait=300,  # 5, 15, 45, 135, 300, ...
    pause=300,  # so that the work for a known address is no part of answering for it (S83)
)


@dataclass(frozen=True)
class Order:
    """What is to be written: `what` names it; `values` say for whom, without any secret."""

    what: str
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Letter:
    """A mail: `template` and `values` make its text."""

    to: str
    template: str
    values: Mapping[str, Any] = field(repr=False)
    about: str = ""
    """Tells two letters of one order apart."""


class Undeliverable(Hopeless):
    """No other try will help: the address is none, or the mail server will never take it."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause, "The letter cannot be delivered.")


class Outbox(Protocol):
    """Takes orders for mail, which is sent later; nothing of that is seen by whoever asked."""

    def put(self, order: Order) -> None:
        """When it returns, the order survives kill -9. Raises StoreUnavailable."""


class LetterQueue:
    """The `Outbox` in the store. `write` makes an order's letters, `send` hands one over; both may raise anything."""

    def __init__(
        self,
        store: Store,
        *,
        write: Callable[[Order], Iterable[Letter]],
        send: Callable[[Letter], None],
        life: int,
        audit: Audit,
        now: Now,
    ) -> None:
        """`life` is the time in seconds after which an order is not worth sending any more."""
        self._write = write
        self._send = send
        self._life = life
        self._audit = audit
        self._now = now
        self._queue = Queue(store, "letter", carry=self._send_all, pace=_PACE, events="mail", audit=audit, now=now)

    def put(self, order: Order) -> None:
        now = self._now()
        key = f"{now:012d}{new_id()}"  # a store lists by key: the oldest first
        record = {"what": order.what, "values": dict(order.values), "sent": []}
        self._queue.put(key, record, expires=now + self._life)

    def begin(self) -> None:
        """Starts the thread of this process that sends. Once, after the fork."""
        self._queue.begin()

    def settle(self) -> None:
        """Sends all that is due, and comes back: for commands and tests."""
        self._queue.settle()

    def _send_all(self, record: Record) -> None:
        for letter in self._write(Order(record["what"], record["values"])):
            mark = digest(f"{letter.template}\n{letter.to}\n{letter.about}")
            if mark not in record["sent"]:
                self._send(letter)
                record["sent"] = [*record["sent"], mark]
                self._audit.record("mail.sent", template=letter.template)
