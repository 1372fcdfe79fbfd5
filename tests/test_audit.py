"""One JSON line for each event, whatever is in it and whatever becomes of the disk."""

from __future__ import annotations

import errno
import io
import json
import threading

import pytest

from idp.audit import AuditLog, NullAudit
from idp.secret import Secret

NOON = 1_800_000_000


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_with_its_time() -> None:
    stream = io.StringIO()
    AuditLog(stream, now=lambda: NOON).record("login.ok", subject="101", age=0, clients={"lms": "done"}, detail="", cause=None)
    assert lines(stream) == [{"time": NOON, "event": "login.ok", "subject": "101", "age": 0, "clients": {"lms": "done"}}]


def test_nobody_forges_a_line() -> None:
    """Log injection: what strangers send stays inside its JSON text."""
    stream = io.StringIO()
    evil = 'x\n{"time": 1, "event": "login.ok"}\r\n\u2028\x1b[2J\ud800\0'
    AuditLog(stream, now=lambda: NOON).record("signon.refused", received=evil)
    (line,) = lines(stream)
    assert line["received"] == evil
    assert stream.getvalue().isascii()
    assert stream.getvalue().count("\n") == 1


def test_G_S10_a_secret_that_comes_here_by_mistake_is_stars() -> None:
    stream = io.StringIO()
    AuditLog(stream, now=lambda: NOON).record("login.ok", password=Secret("canary-7f3a"), more=[Secret("canary-7f3a")])
    assert "canary" not in stream.getvalue()
    assert stream.getvalue().count("***") == 2


def test_many_threads_write_whole_lines() -> None:
    stream = io.StringIO()
    log = AuditLog(stream, now=lambda: NOON)

    def write() -> None:
        for _ in range(50):
            log.record("login.ok", text="x" * 500)

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(stream)) == 400


class FullDisk(io.StringIO):
    """A stream on a disk that is full for a while."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_F10_a_full_disk_stops_nobody_and_the_gap_is_told_afterwards() -> None:
    stream = FullDisk()
    log = AuditLog(stream, now=lambda: NOON)
    log.record("login.ok")
    log.record("login.ok")
    stream.full = False
    log.record("logout.ended")
    log.record("login.ok")
    assert lines(stream) == [{"time": NOON, "event": "logout.ended", "lost": 2}, {"time": NOON, "event": "login.ok"}]


def test_without_a_stream_events_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log = AuditLog(now=lambda: NOON)
    log.record("login.ok")
    assert '"login.ok"' in capsys.readouterr().err


def test_the_null_audit_takes_everything() -> None:
    NullAudit().record("login.ok", anything=object())
