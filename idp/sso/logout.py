"""Logout: end first, then tell. Whatever ends a session comes through `end`: the member, a client, an operator, a disabled account.

1. The session is ended in one atomic write, which is also the promise to tell its clients: one caller wins, double clicks and replays do
   nothing (S47). From here on nothing of it works.
2. What was issued in it is deleted. Back-channel notices go out together; the page does not wait for longer than `FIRST_TRY`.
3. Notices that were not acknowledged are put into a queue (`notice_queue.py`), where they are tried again for three days.
4. A *run* is kept for what needs the browser: front-channel clients are visited one after the other, then iMIS's own sign-out if it is
   known, and the page shows what became of each.
5. The promise is taken back.

Whoever is killed after 1 and before 5 leaves a session whose promise stands; any worker finds it within a minute and does 2 to 5 again
(`finish_left`). So no client is forgotten; one may be told twice, which does no harm: its session has ended already.

A browser that lost the answer (a double click, a closed lid), or that was not there when its session was ended by somebody else, comes
back with the cookie of the ended session: `take_up` finds the run by it, `refreshed` makes the messages of the visits that are left anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

from idp.audit import Audit
from idp.clock import Now
from idp.directory.door import Exit
from idp.secret import digest, new_id
from idp.sso.answer import Answer, Redirect
from idp.sso.logout_run import Beginning, Row, RowState, Run, read_run, row_of
from idp.sso.notice import BackChannel, ClearCookie, Frame, FrontChannel, Messenger, Notice
from idp.sso.notice_queue import NoticeQueue
from idp.sso.protocol import BoundsSessions, ClientProtocol
from idp.sso.session import Ended, Participant, Session, Sessions
from idp.store import Store, StoreUnavailable
from idp.store.reading import read_as

__all__ = ["FIRST_TRY", "Beginning", "Logout", "Row", "RowState", "Run"]

FIRST_TRY = 1.5
"""Seconds for which an ending waits for its back-channel clients, all together."""
_RUN_LIFE = 3600
_SECOND_CLICK = 120  # seconds for which a browser that lost the answer may come back for it
_LEFT_AFTER = 20  # seconds after which an ending that is not finished was left: with a good store it takes less than three
_MESSAGE_LIFE = 60  # seconds; the messages of a run that is taken up later are made anew


class Logout:
    """Ends sessions and tells their participants."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        protocols: Mapping[str, ClientProtocol],
        messenger: Messenger,
        store: Store,
        audit: Audit,
        now: Now,
        url: str = "",
        exit_of: Callable[[str], Exit | None] = lambda _: None,
        knows: Callable[[Participant], bool] = lambda _: True,
    ) -> None:
        """`url` is ours; `exit_of` tells iMIS's sign-out for a member's id; `knows` says whether that client is still there."""
        self._url = url
        self._exit_of = exit_of
        self._sessions = sessions
        self._protocols = protocols
        self._store = store
        self._audit = audit
        self._now = now
        self._knows = knows
        self.notices = NoticeQueue(store, make=self._make, messenger=messenger, knows=knows, heard=self._heard_later, audit=audit, now=now)

    def end(self, session_id: str, *, reason: str, beginning: Beginning | None = None, onward: str = "") -> Run | None:
        """Ends the session and tells everyone but the beginner; None when somebody else has ended it already."""
        note = {"run_id": new_id(), "reason": reason, "beginning": asdict(beginning) if beginning else None, "onward": onward}
        session = self._sessions.take(session_id, note)
        return self._finish(session, note) if session else None

    def end_all_of(self, subject_id: str, *, reason: str) -> int:
        """Ends every session of a member; how many there were."""
        return sum(self.end(session.id, reason=reason) is not None for session in self._sessions.of_subject(subject_id))

    def begin(self) -> None:
        """Starts the thread of this process that finishes what was left, and tells whom it could not tell before. Once, after the fork."""
        self.notices.begin(self.finish_left)

    def finish_left(self) -> int:
        """Goes on with endings whose worker was killed; how many there were. Raises StoreUnavailable."""
        left = self._sessions.untold(since=_LEFT_AFTER)
        for ended in left:
            self._audit.record("logout.left", session=ended.session.id)
            self._finish(ended.session, ended.note)
        return len(left)

    def run(self, run_id: str) -> Run | None:
        """A logout under way, by its id."""
        stored = self._store.get("logout", run_id)
        return read_run(stored.record["run"]) if stored and "run" in stored.record else None

    def take_up(self, ended: Ended) -> Run | None:
        """The run of a session that has ended, for the browser that had it. None when there is none any more, or not yet: while its
        clients are being told, `ended.told` is False."""
        return self.run(str(ended.note.get("run_id", "")))

    def refreshed(self, run: Run) -> Run:
        """The run with messages that are good for some minutes more, where visits are left."""
        if run.next is None or self._now() - run.made < _MESSAGE_LIFE:
            return run
        ended = self._sessions.over(run.session_id)
        changed = self._change(run.id, lambda found: self._anew(found, ended.session)) if ended else None
        if changed is None or ended is None:
            return self.run(run.id) or run
        self._await_replies(changed, expires=self._remembered_until(changed, ended.session))
        return changed

    def replied(self, reply_to: str, client_id: str, *, done: bool) -> Run | None:
        """A visited client came back; a second time, it changes nothing. None when nobody waits for that reply from that client."""
        run = self._awaiting(reply_to)
        row = next((row for row in run.rows if (row.reply_to, row.client_id) == (reply_to, client_id)), None) if run else None
        if run is None or row is None:
            return None
        return self._mark(run.id, row, ("waiting", "asked"), "done" if done else "failed") or run

    def returned(self, reply_to: str, browser: str) -> Run | None:
        """The browser with this secret came back from iMIS's sign-out. None when nobody waits for it."""
        run = self._awaiting(reply_to)
        row = next((row for row in run.rows if row.is_imis and row.reply_to == reply_to), None) if run else None
        return self.replied(reply_to, row.client_id, done=True) if run and row and run.belongs_to(browser) else None

    def visited(self, run: Run, row: Row) -> bool:
        """The browser is being sent to the client. False when another request does that already: nobody is visited twice.
        Until the client answers, its row says `asked`, so that a dead one holds nobody up."""
        return self._mark(run.id, row, ("waiting",), "asked") is not None

    def answer(self, run: Run) -> Answer | None:
        """How it ends: what the client that began it is told, or the way onward; None when the member wanted just this."""
        if run.beginning is not None:
            return self._protocols[run.beginning.protocol].logout_answer(run.beginning.state, complete=run.heard)
        return Redirect(run.onward) if run.onward else None

    def bind(self, run: Run, browser: str, *, anew: bool = False) -> None:
        """Gives the run to the browser with this secret, if it has none yet; `anew` in any case, for one that has proven itself."""
        self._change(run.id, lambda found: None if found.browser and not anew else replace(found, browser=digest(browser)))

    def take_frames(self, run: Run) -> tuple[str, ...]:
        """The frames, for the one page that shows them: nobody is asked twice."""
        frames: tuple[str, ...] = ()

        def without_frames(found: Run) -> Run | None:
            nonlocal frames
            frames = found.frames
            return replace(found, frames=()) if frames else None

        return frames if self._change(run.id, without_frames) else ()

    def _finish(self, session: Session, note: Mapping[str, Any]) -> Run:
        beginning = read_as(Beginning, note["beginning"]) if note["beginning"] else None
        self._forget_issued(session)
        told = self._tell(session, str(note["run_id"]), besides=beginning.client_id if beginning else "")
        run = replace(told, rows=(*told.rows, *(() if note["onward"] else self._imis(session))), beginning=beginning, onward=note["onward"])
        until = self._remembered_until(run, session)
        self._store.put("logout", run.id, {"run": asdict(run)}, expires=until)
        self._await_replies(run, expires=until)
        self._sessions.told(session.id, until=until if run.next else self._now() + _SECOND_CLICK)
        self._audit.record(
            "logout.ended",
            cause=note["reason"],
            subject=session.subject_id,
            session=session.id,
            began=beginning.client_id if beginning else "",
            clients={row.client_id: row.state for row in run.rows},
        )
        return run

    def _remembered_until(self, run: Run, session: Session) -> int:
        """An hour; where a browser has visits left, as long as the clients' own sessions may last."""
        return max(self._now() + _RUN_LIFE, session.ends if run.next else 0)

    def _await_replies(self, run: Run, *, expires: int) -> None:
        for row in run.rows:
            if row.reply_to:
                self._store.put("logout", row.reply_to, {"run_id": run.id}, expires=expires)

    def _awaiting(self, reply_to: str) -> Run | None:
        stored = self._store.get("logout", reply_to)
        return self.run(stored.record["run_id"]) if stored and "run_id" in stored.record else None

    def _mark(self, run_id: str, row: Row, before: tuple[RowState, ...], after: RowState) -> Run | None:
        """The run with the row's new state; None when the row was in none of the states `before` any more."""
        return self._change(run_id, lambda run: run.with_row(row, before, after))

    def _heard_later(self, run_id: str, client_id: str) -> None:
        """The queue told it: the member's page, if it is still open, can say so."""
        self._change(run_id, lambda run: run.with_row(Row(client_id, "done"), ("asked", "failed"), "done"))

    def _change(self, run_id: str, alter: Callable[[Run], Run | None]) -> Run | None:
        """The run as `alter` made it out of what is stored; None when it is gone, or `alter` has nothing to change."""
        while stored := self._store.get("logout", run_id):
            changed = alter(read_run(stored.record["run"]))
            if changed is None:
                return None
            if self._store.change("logout", run_id, {"run": asdict(changed)}, revision=stored.revision, expires=stored.expires):
                return changed
        return None

    def _forget_issued(self, session: Session) -> None:
        """Whatever redeems these asks for the session first, so one that stays behind is dead as well; the clients must still be told."""
        try:
            for kind in ("ticket", "code", "token"):
                self._store.delete_where(kind, "session_id", session.id)
        except StoreUnavailable as error:
            self._audit.record("logout.issued_left", cause=error.cause, session=session.id, detail=error.received)

    def _tell(self, session: Session, run_id: str, *, besides: str) -> Run:
        notices = [(each, self._notice(each, session)) for each in session.participants if each.client_id != besides]
        posts = {each.client_id: notice for each, notice in notices if isinstance(notice, BackChannel)}
        outcomes = self.notices.first_try(posts, within=FIRST_TRY)
        rows = []
        for each, notice in notices:
            outcome, retried = outcomes.get(each.client_id), 0
            if outcome is not None and not outcome.heard:
                retried = self.notices.put(session, each, run_id=run_id, cause=outcome.cause)
            rows.append(row_of(each.client_id, notice, outcome, retried=retried, ends=self._bound(each, session)))
        return Run(
            id=run_id,
            rows=tuple(rows),
            frames=tuple(notice.url for _, notice in notices if isinstance(notice, Frame)),
            cookies=tuple(notice.cookie for _, notice in notices if isinstance(notice, BackChannel | ClearCookie) and notice.cookie),
            made=self._now(),
            session_id=session.id,
        )

    def _bound(self, participant: Participant, session: Session) -> int:
        """Until when the client was told that it may keep its own session; 0 where it was told nothing."""
        protocol: object = self._protocols.get(participant.protocol)
        return session.ends if isinstance(protocol, BoundsSessions) else 0

    def _anew(self, run: Run, session: Session) -> Run:
        """With new messages to those who are still to be visited."""

        def fresh(row: Row) -> Row:
            participant = session.participant(row.client_id)
            if row.state != "waiting" or participant is None:
                return row
            notice = self._notice(participant, session)
            ends = self._bound(participant, session)
            return row_of(row.client_id, notice if isinstance(notice, FrontChannel) else None, None, retried=0, ends=ends)

        return replace(run, rows=tuple(map(fresh, run.rows)), made=self._now())

    def _imis(self, session: Session) -> tuple[Row, ...]:
        """Visited last: whatever comes back from there, or does not, all clients have heard before."""
        way_out = self._exit_of(session.subject_id)
        if way_out is None:
            return ()
        client_id, reply_to = f"@{way_out.name or 'imis'}", new_id()
        if not way_out.url:
            return (Row(client_id, "untold", account=way_out.label),)
        url = way_out.visit(f"{self._url}/logout/back/{reply_to}")
        return (Row(client_id, "waiting", url, reply_to, account=way_out.label),)

    def _make(self, participant: Participant, session: Session) -> Notice | None:
        return self._protocols[participant.protocol].logout_notice(participant, session)

    def _notice(self, participant: Participant, session: Session) -> Notice | None:
        """A client that was removed or whose settings broke must not keep the others signed in; and one that has only got a removed
        one's id must not hear of this."""
        try:
            if not self._knows(participant):
                raise LookupError
            return self._make(participant, session)
        except Exception as error:
            self._audit.record("logout.notice_failed", client=participant.client_id, cause=type(error).__name__)
            return None
