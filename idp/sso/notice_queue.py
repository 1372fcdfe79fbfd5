"""Logout notices that wait: what a client's server did not acknowledge at once is told again, after 1 minute, 3, 9, ... up to a day, for
three days in all.

What waits is who took part in which session, never a message: a logout token is good for two minutes and a LogoutRequest for five, so
each try makes its own, with the keys and the settings of that moment. A client that is gone by then is not told any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace

from idp.audit import Audit
from idp.clock import Now
from idp.errors import IdpError
from idp.sso.notice import BackChannel, Messenger, Notice, Outcome
from idp.sso.queue import Hopeless, Pace, Queue
from idp.sso.session import Participant, Session
from idp.store import Record, Store, Stored
from idp.store.reading import read_as

LIFE = 3 * 86400
"""Seconds after which a notice is not worth telling: hardly any application keeps a session for longer."""

_PACE = Pace(lease=60, first_wait=60, longest_wait=86400, at_once=8)
_TRY = 10  # seconds for one try; outbound.timeout is less by default, and then counts
_REST = 30  # seconds for which this process leaves a server alone that did not answer: others, too, wait for their turn


class NotHeard(IdpError):
    """The client's server did not say yes; another try may help."""


@dataclass(frozen=True)
class Waiting:
    """A notice that waits, for operators. Times in seconds since 1970; `cause` is why the last try failed."""

    id: str
    client_id: str
    session_id: str
    subject_id: str
    tries: int
    due: int
    until: int
    cause: str


class NoticeQueue:
    """Notices by the back channel. `make` makes one, `knows` says whether that client is still there, `heard` hears of every success."""

    def __init__(
        self,
        store: Store,
        *,
        make: Callable[[Participant, Session], Notice | None],
        messenger: Messenger,
        knows: Callable[[Participant], bool],
        heard: Callable[[str, str], object],
        audit: Audit,
        now: Now,
    ) -> None:
        self._store = store
        self._make = make
        self._messenger = messenger
        self._knows = knows
        self._heard = heard
        self._audit = audit
        self._now = now
        self._rests: dict[str, tuple[int, str]] = {}
        self._queue = Queue(store, "notice", carry=self._tell, pace=_PACE, events="notice", audit=audit, now=now, label=_label)

    def first_try(self, notices: Mapping[str, BackChannel], *, within: float) -> dict[str, Outcome]:
        """All at once, by client id; whoever is known not to answer at the moment is not asked."""
        asked = {client_id: notice for client_id, notice in notices.items() if not self._resting(client_id)}
        outcomes = dict(zip(asked, self._messenger.deliver(list(asked.values()), within=within), strict=True))
        for client_id, outcome in outcomes.items():
            self._learn(client_id, outcome)
        return {client_id: Outcome(False, self._resting(client_id)) for client_id in notices.keys() - asked.keys()} | outcomes

    def put(self, session: Session, participant: Participant, *, run_id: str, cause: str) -> int:
        """Keeps a notice that was not acknowledged; until when it will be tried. Raises StoreUnavailable."""
        now = self._now()
        record: Record = {
            "client_id": participant.client_id,
            "participant": asdict(participant),
            "session": asdict(replace(session, username="", participants=())),
            "run_id": run_id,
            "cause": cause,
        }
        self._queue.put(f"{session.id}~{participant.client_id}", record, expires=now + LIFE, tries=1)
        return now + LIFE

    def begin(self, first: Callable[[], object]) -> None:
        """Starts the thread of this process that tells; `first` is called now and then before it does. Once, after the fork."""
        self._queue.begin(first)

    def settle(self) -> None:
        """Tells all that is due, and comes back."""
        self._queue.settle()

    def list(self) -> list[Waiting]:
        """What waits, the next first."""
        return sorted((_waiting(stored) for stored in self._store.list("notice")), key=lambda each: (each.due, each.id))

    def retry(self, notice_id: str) -> str | None:
        """Tries one now: why it failed again, or "" for a success; None when there is none, or a worker is about it at this moment."""
        stored = self._store.get("notice", notice_id)
        if stored is None:
            return None
        self._rests.pop(stored.record["client_id"], None)
        if not self._queue.carry(stored):
            return None
        left = self._store.get("notice", notice_id)
        return str(left.record["cause"]) if left else ""

    def drop(self, notice_id: str) -> bool:
        """Whether there was one to be given up."""
        stored = self._store.take("notice", notice_id)
        if stored is not None:
            self._audit.record("notice.dropped", cause="operator", **_label(stored.record))
        return stored is not None

    def _tell(self, record: Record) -> None:
        participant, session = read_as(Participant, record["participant"]), read_as(Session, record["session"])
        client_id = participant.client_id
        if not self._knows(participant):
            raise Hopeless("notice.client_gone", "There is no such application any more.")
        if cause := self._resting(client_id):
            raise NotHeard(cause, "The application's server did not answer a moment ago.")
        notice = self._make(participant, session)
        if not isinstance(notice, BackChannel):
            raise Hopeless("notice.no_address", "The application takes no notices any more.")
        (outcome,) = self._messenger.deliver([notice], within=_TRY)
        self._learn(client_id, outcome)
        if not outcome.heard:
            raise NotHeard(outcome.cause, "The application's server did not say yes.")
        self._audit.record("notice.told", **_label(record))
        self._heard(record["run_id"], client_id)

    def _resting(self, client_id: str) -> str:
        """Why the client's server is left alone at the moment; empty if it is not."""
        until, cause = self._rests.get(client_id, (0, ""))
        return cause if self._now() < until else ""

    def _learn(self, client_id: str, outcome: Outcome) -> None:
        self._rests.pop(client_id, None)
        if outcome.unreachable:  # a server that said no may say yes to the next
            self._rests[client_id] = (self._now() + _REST, outcome.cause)


def _label(record: Record) -> dict[str, object]:
    return {"client": record["client_id"], "session": record["session"]["id"], "tries": record["tries"]}


def _waiting(stored: Stored) -> Waiting:
    record, session = stored.record, stored.record["session"]
    return Waiting(
        stored.key,
        record["client_id"],
        session["id"],
        session["subject_id"],
        record["tries"],
        record["due"],
        stored.expires or 0,
        record["cause"],
    )
