"""Run: one logout under way, and what became of each client. `logout.py` makes runs and changes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from idp.secret import Secret
from idp.sso.answer import SharedCookie
from idp.sso.notice import BackChannel, ClearCookie, Frame, FrontChannel, Notice, Outcome
from idp.store.reading import read_as

RowState = Literal["done", "asked", "waiting", "failed", "cleared", "untold"]


@dataclass(frozen=True)
class Row:
    """What became of one client: `done` is proven by its answer, `asked` is not, `waiting` is still to be visited,
    `failed` could not be reached or said no, of `cleared` the cookie that it shared with us is gone and nothing else is known,
    `untold` has no way to be told. iMIS itself has a row, too: its id begins with "@", which no client's does, `account` is what members
    call their account there, and `done` means that it sent the browser back.

    `until` is in seconds since 1970, 0 for unknown: of `asked` and `failed` until when our server goes on trying, of `untold` and
    `cleared` until when we told the client that it may keep its own session."""

    client_id: str
    state: RowState
    url: str = ""
    reply_to: str = ""
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    account: str = ""
    until: int = 0

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
    as whom; a client, which learns the run's id when it answers, shall not read that of the others. `made` is when the messages of the
    rows were made, in seconds since 1970: they are good for some minutes. `session_id` is that of the session that has ended."""

    id: str
    rows: tuple[Row, ...]
    frames: tuple[str, ...] = ()
    cookies: tuple[SharedCookie, ...] = ()
    beginning: Beginning | None = None
    onward: str = ""
    browser: str = field(default="", repr=False)
    made: int = 0
    session_id: str = ""

    def belongs_to(self, browser: str) -> bool:
        """Whether this is the secret of the run's browser."""
        return bool(self.browser) and Secret(browser).matches(self.browser)

    @property
    def next(self) -> Row | None:
        """The next client that the browser has to visit."""
        return next((row for row in self.rows if row.state == "waiting"), None)

    @property
    def complete(self) -> bool:
        """Whether every client has proven that it heard, and iMIS, too; `asked` and `cleared` prove nothing."""
        return all(row.state == "done" for row in self.rows)

    @property
    def heard(self) -> bool:
        """The same of the clients alone: iMIS takes part in no client's session."""
        return all(row.state == "done" for row in self.rows if not row.is_imis)

    @property
    def retrying(self) -> bool:
        """Whether our server goes on telling somebody."""
        return any(row.until and row.state in ("asked", "failed") for row in self.rows)

    def with_row(self, row: Row, before: tuple[RowState, ...], after: RowState) -> Run | None:
        """With the row's new state; None when the row was in none of the states `before` any more."""
        found = [each for each in self.rows if (each.client_id, each.reply_to) == (row.client_id, row.reply_to) and each.state in before]
        return replace(self, rows=tuple(replace(each, state=after) if each in found else each for each in self.rows)) if found else None


def row_of(client_id: str, notice: Notice | None, outcome: Outcome | None, *, retried: int, ends: int) -> Row:
    """The row of a client that was told like this. `retried` and `ends` are what `until` can be."""
    match notice:
        case BackChannel() if outcome is None or not outcome.heard:
            return Row(client_id, "asked" if outcome and outcome.silent else "failed", until=retried)
        case BackChannel():
            return Row(client_id, "done")
        case FrontChannel(url, reply_to, fields):
            return Row(client_id, "waiting", url, reply_to, fields)
        case Frame():
            return Row(client_id, "asked")
        case ClearCookie():
            return Row(client_id, "cleared", until=ends)
        case None:
            return Row(client_id, "untold", until=ends)


def read_run(fields: Mapping[str, Any]) -> Run:
    """A run as it was stored."""
    beginning = fields["beginning"]
    return read_as(
        Run,
        fields,
        rows=tuple(read_as(Row, row) for row in fields["rows"]),
        frames=tuple(fields["frames"]),
        cookies=tuple(read_as(SharedCookie, cookie) for cookie in fields["cookies"]),
        beginning=read_as(Beginning, beginning) if beginning else None,
    )
