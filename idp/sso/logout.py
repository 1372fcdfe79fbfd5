"""Logout: end first, then tell. Whatever ends a session comes through `end`: the member, a client, an operator, a disabled account.

The session is taken out of the store in one atomic step: one caller wins, double clicks and replays do nothing. Then
everything issued in it is deleted, back-channel notices go out together, and a *run* is kept for what needs the browser:
front-channel clients are visited one after the other, then iMIS's own sign-out if it is known, and the page shows what became of each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from idp.audit import Audit
from idp.clock import Now
from idp.directory.door import Exit
from idp.secret import Secret, digest, new_id
from idp.sso.answer import Answer, Redirect, SharedCookie
from idp.sso.notice import BackChannel, ClearCookie, Frame, FrontChannel, Messenger, Notice
from idp.sso.protocol import ClientProtocol
from idp.sso.session import Participant, Session, Sessions
from idp.store import Store, StoreUnavailable
from idp.store.reading import read_as

RowState = Literal["done", "asked", "waiting", "failed", "untold"]
_RUN_LIFE = 3600
_FIRST_TRY = 1.5


@dataclass(frozen=True)
class Row:
    """What became of one client: `done` is proven by its answer, `asked` is not, `waiting` is still to be visited,
    `failed` could not be reached or said no, `untold` has no way to be told. iMIS itself has a row, too: its id begins with "@", which
    no client's does, `account` is what members call their account there, and `done` means that it sent the browser back."""

    client_id: str
    state: RowState
    url: str = ""
    reply_to: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    account: str = ""

    @property
    def is_imis(self) -> bool:
        return self.client_id.startswith("@")


@dataclass(frozen=True)
class Beginning:
    """The client that began a logout, and what its protocol needs to answer it."""

    protocol: str
    client_id: str
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One logout under way in one browser. `frames` are shown by the page; `cookies` are cleared with the first answer.
    `onward` is a URL of ours where the browser goes in the end, when the logout only cleared the way for something else.
    `browser` is the digest of the secret of the one browser that may go through it: the run tells where a member was signed in, and
    as whom; a client, which learns the run's id when it answers, shall not read that of the others."""

    id: str
    rows: tuple[Row, ...]
    frames: tuple[str, ...] = ()
    cookies: tuple[SharedCookie, ...] = ()
    beginning: Beginning | None = None
    onward: str = ""
    browser: str = field(default="", repr=False)

    def belongs_to(self, browser: str) -> bool:
        """Whether this is the secret of the run's browser."""
        return bool(self.browser) and Secret(browser).matches(self.browser)

    @property
    def next(self) -> Row | None:
        """The next client that the browser has to visit."""
        return next((row for row in self.rows if row.state == "waiting"), None)

    @property
    def complete(self) -> bool:
        """Whether every client has proven that it heard, and iMIS, too; `asked` proves nothing."""
        return all(row.state == "done" for row in self.rows)

    @property
    def heard(self) -> bool:
        """The same of the clients alone: iMIS takes part in no client's session."""
        return all(row.state == "done" for row in self.rows if not row.is_imis)


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
    ) -> None:
        """`url` is ours; `exit_of` tells iMIS's sign-out for a member's id."""
        self._url = url
        self._exit_of = exit_of
        self._sessions = sessions
        self._protocols = protocols
        self._messenger = messenger
        self._store = store
        self._audit = audit
        self._now = now

    def end(self, session_id: str, *, reason: str, beginning: Beginning | None = None, onward: str = "") -> Run | None:
        """Ends the session and tells everyone but the beginner; None when somebody else has ended it already."""
        session = self._sessions.take(session_id)
        if session is None:
            return None
        self._forget_issued(session)
        told = self._tell(session, [each for each in session.participants if not beginning or each.client_id != beginning.client_id])
        run = replace(told, rows=(*told.rows, *(() if onward else self._imis(session))), beginning=beginning, onward=onward)
        self._store.put("logout", run.id, {"run": asdict(run)}, expires=self._now() + _RUN_LIFE)
        for row in run.rows:
            if row.reply_to:
                self._store.put("logout", row.reply_to, {"run_id": run.id}, expires=self._now() + _RUN_LIFE)
        self._audit.record(
            "logout.ended",
            cause=reason,
            subject=session.subject_id,
            session=session.id,
            began=beginning.client_id if beginning else "",
            clients={row.client_id: row.state for row in run.rows},
        )
        return run

    def end_all_of(self, subject_id: str, *, reason: str) -> int:
        """Ends every session of a member; how many there were."""
        return sum(self.end(session.id, reason=reason) is not None for session in self._sessions.of_subject(subject_id))

    def run(self, run_id: str) -> Run | None:
        """A logout under way, by its id."""
        stored = self._store.get("logout", run_id)
        return _run(stored.record["run"]) if stored and "run" in stored.record else None

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

    def _awaiting(self, reply_to: str) -> Run | None:
        stored = self._store.get("logout", reply_to)
        return self.run(stored.record["run_id"]) if stored and "run_id" in stored.record else None

    def visited(self, run: Run, row: Row) -> bool:
        """The browser is being sent to the client. False when another request does that already: nobody is visited twice.
        Until the client answers, its row says `asked`, so that a dead one holds nobody up."""
        return self._mark(run.id, row, ("waiting",), "asked") is not None

    def answer(self, run: Run) -> Answer | None:
        """How it ends: what the client that began it is told, or the way onward; None when the member wanted just this."""
        if run.beginning is not None:
            return self._protocols[run.beginning.protocol].logout_answer(run.beginning.state, complete=run.heard)
        return Redirect(run.onward) if run.onward else None

    def bind(self, run: Run, browser: str) -> None:
        """Gives the run to the browser with this secret, if it has none yet."""
        self._change(run.id, lambda found: None if found.browser else replace(found, browser=digest(browser)))

    def take_frames(self, run: Run) -> tuple[str, ...]:
        """The frames, for the one page that shows them: nobody is asked twice."""
        frames: tuple[str, ...] = ()

        def without_frames(found: Run) -> Run | None:
            nonlocal frames
            frames = found.frames
            return replace(found, frames=()) if frames else None

        return frames if self._change(run.id, without_frames) else ()

    def _mark(self, run_id: str, row: Row, before: tuple[RowState, ...], after: RowState) -> Run | None:
        """The run with the row's new state; None when the row was in none of the states `before` any more."""

        def marked(run: Run) -> Run | None:
            found = [each for each in run.rows if (each.client_id, each.reply_to) == (row.client_id, row.reply_to) and each.state in before]
            return replace(run, rows=tuple(replace(each, state=after) if each in found else each for each in run.rows)) if found else None

        return self._change(run_id, marked)

    def _change(self, run_id: str, alter: Callable[[Run], Run | None]) -> Run | None:
        """The run as `alter` made it out of what is stored; None when it is gone, or `alter` has nothing to change."""
        while stored := self._store.get("logout", run_id):
            changed = alter(_run(stored.record["run"]))
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

    def _tell(self, session: Session, participants: list[Participant]) -> Run:
        notices = [(each, self._notice(each, session)) for each in participants]
        posts = [(each, notice) for each, notice in notices if isinstance(notice, BackChannel)]
        delivered = self._messenger.deliver([notice for _, notice in posts], within=_FIRST_TRY)
        heard = {each.client_id: outcome.heard for (each, _), outcome in zip(posts, delivered, strict=True)}
        return Run(
            id=new_id(),
            rows=tuple(_row(each, notice, heard) for each, notice in notices),
            frames=tuple(notice.url for _, notice in notices if isinstance(notice, Frame)),
            cookies=tuple(notice.cookie for _, notice in notices if isinstance(notice, BackChannel | ClearCookie) and notice.cookie),
        )

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

    def _notice(self, participant: Participant, session: Session) -> Notice | None:
        """A client that was removed or whose settings broke must not keep the others signed in."""
        try:
            return self._protocols[participant.protocol].logout_notice(participant, session)
        except Exception as error:
            self._audit.record("logout.notice_failed", client=participant.client_id, cause=type(error).__name__)
            return None


def _row(participant: Participant, notice: Notice | None, heard: Mapping[str, bool]) -> Row:
    match notice:
        case BackChannel():
            return Row(participant.client_id, "done" if heard[participant.client_id] else "failed")
        case FrontChannel(url, reply_to, fields):
            return Row(participant.client_id, "waiting", url, reply_to, fields)
        case Frame():
            return Row(participant.client_id, "asked")
        case ClearCookie():
            return Row(participant.client_id, "done")
        case None:
            return Row(participant.client_id, "untold")


def _run(fields: Mapping[str, Any]) -> Run:
    beginning = fields["beginning"]
    return Run(
        id=fields["id"],
        rows=tuple(read_as(Row, row) for row in fields["rows"]),
        frames=tuple(fields["frames"]),
        cookies=tuple(read_as(SharedCookie, cookie) for cookie in fields["cookies"]),
        beginning=read_as(Beginning, beginning) if beginning else None,
        onward=fields["onward"],
        browser=fields["browser"],
    )
