"""One JSON line for each event, whatever is in it and whatever becomes of the disk."""

from __future__ import annotations

import errno
import io
import json
import threading

import pytest

from idp.audit import AuditLog, NullAudit, typed_label
from idp.audit.chain import BEGUN, ENDED, Problem, Verification
from idp.keys import KeyProblem
from idp.log import begin_request, end_request
from idp.secret import Secret

NOON = 1_800_000_000
KEY = b"the deployment's own secret"


PLACE = {"chain", "seq", "prev", "hash"}


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    """The events, without their places in the chain and without the beginnings of chains."""
    read = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [{name: value for name, value in each.items() if name not in PLACE} for each in read if each["event"] != BEGUN]


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
    assert stream.getvalue().count("\n") == 2


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
    late = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)

    def flush(self) -> None:
        if self.late:
            raise OSError(errno.ENOSPC, "No space left on device")


def test_F10_a_full_disk_stops_nobody_and_the_gap_is_told_afterwards() -> None:
    stream = FullDisk()
    log = AuditLog(stream, now=lambda: NOON)
    log.record("login.ok")
    log.record("login.ok")
    stream.full = False
    log.record("logout.ended")
    log.record("login.ok")
    begun = json.loads(stream.getvalue().splitlines()[0])
    assert (begun["event"], begun["lost"]) == (BEGUN, 2)
    assert lines(stream) == [{"time": NOON, "event": "logout.ended"}, {"time": NOON, "event": "login.ok"}]


def test_F10_a_line_that_a_full_disk_kept_back_and_wrote_later_is_no_forgery() -> None:
    """The stream may hold a line whose flush failed, and write it with the next one."""
    stream = FullDisk()
    stream.full = False
    log = AuditLog(stream, key=lambda: KEY, now=lambda: NOON)
    log.record("login.ok")
    stream.late = True
    log.record("login.ok")
    stream.late = False
    log.record("login.ok")
    assert found(stream.getvalue()) == []


def test_without_a_stream_events_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    log = AuditLog(now=lambda: NOON)
    log.record("login.ok")
    assert '"login.ok"' in capsys.readouterr().err


def test_the_null_audit_takes_everything() -> None:
    NullAudit().record("login.ok", anything=object())


# The chain


def written(*, ended: bool = True, events: int = 5) -> list[str]:
    """The lines of one writer."""
    stream = io.StringIO()
    log = AuditLog(stream, key=lambda: KEY, now=lambda: NOON)
    for number in range(events):
        log.record("login.ok", subject=str(number), more={"a": ["ü", 1.5, None]})
    if ended:
        log.close()
    return stream.getvalue().splitlines()


def found(*files: str, key: bytes = KEY) -> list[Problem]:
    reading = Verification(key)
    return [problem for number, text in enumerate(files) for problem in reading.read(f"file {number}", text.splitlines())]


def first(lines_of_file: list[str]) -> tuple[str, int]:
    problem = found("\n".join(lines_of_file))[0]
    return problem.kind, problem.line


def test_S123_a_log_as_it_was_written_has_no_problem() -> None:
    assert found("\n".join(written())) == []


@pytest.mark.parametrize("number", range(7))
def test_S123_a_line_that_was_altered_is_named(number: int) -> None:
    log = written()
    log[number] = log[number].replace(str(NOON), str(NOON + 1))
    assert first(log) == ("altered", number + 1)


@pytest.mark.parametrize("number", range(1, 6))
def test_S123_the_line_after_a_missing_one_is_named(number: int) -> None:
    log = written()
    del log[number]
    assert first(log) == ("missing", number + 1)


def test_S123_a_line_made_without_the_key_is_named() -> None:
    """Somebody who knows the way but not the secret replaces the end of the log."""
    log = written()
    stream = io.StringIO()
    forger = AuditLog(stream, key=lambda: b"guess", now=lambda: NOON)
    forger.record("login.ok", subject="mallory")
    assert first([*log, *stream.getvalue().splitlines()]) == ("altered", 8)


def test_S123_a_line_that_was_copied_to_another_place_is_named() -> None:
    log = written()
    assert first([*log[:4], log[2], *log[4:]]) == ("inserted", 5)


def test_S123_two_lines_that_changed_places_are_named() -> None:
    log = written()
    log[2], log[3] = log[3], log[2]
    assert first(log) == ("missing", 3)


def test_S123_an_event_without_a_place_in_a_chain_is_named() -> None:
    log = written()
    assert first([*log[:2], '{"time": 1800000000, "event": "login.ok", "subject": "101"}', *log[2:]]) == ("inserted", 3)


def test_S123_a_line_after_the_end_of_its_chain_is_named() -> None:
    log = written()
    assert first([*log, log[3]]) == ("inserted", 8)


def test_S123_of_a_log_that_was_cut_off_it_says_that_its_end_is_not_known() -> None:
    whole, cut = Verification(KEY), Verification(KEY)
    assert [*whole.read("log", written())] == [*cut.read("log", written()[:-2])] == []
    assert whole.open == []
    assert len(cut.open) == 1


def test_S123_writers_may_share_a_file_with_one_another_and_with_other_messages() -> None:
    mixed = [line for pair in zip(written(), written(), strict=True) for line in pair]
    reading = Verification(KEY)
    assert [*reading.read("log", [*mixed, "store: a private mongod", '{"level": "WARNING"}', "{broken", "[1]"])] == []
    assert (reading.events, reading.other_lines, len(reading.chains)) == (14, 4, 2)


def test_S123_a_chain_goes_on_over_rotated_files() -> None:
    log = written()
    assert found("\n".join(log[:3]), "\n".join(log[3:])) == []
    assert [problem.kind for problem in found("\n".join(log[:3]), "\n".join(log[4:]))] == ["missing"]


def test_S123_a_chain_that_began_before_the_first_file_is_said_so() -> None:
    reading = Verification(KEY)
    assert [*reading.read("log", written()[3:])] == []
    assert len(reading.continued) == 1


def test_S123_each_start_begins_its_own_chain() -> None:
    assert json.loads(written()[0])["chain"] != json.loads(written()[0])["chain"]
    assert json.loads(written()[0])["event"] == BEGUN
    assert json.loads(written()[-1])["event"] == ENDED


def test_an_event_is_taken_down_even_when_the_key_cannot_be_read_and_verification_says_so() -> None:
    def missing() -> bytes:
        raise KeyProblem("The file cannot be read.")

    stream = io.StringIO()
    AuditLog(stream, key=missing, now=lambda: NOON).record("login.ok")
    assert len(lines(stream)) == 1
    assert found(stream.getvalue())[0].kind == "unsealed"


def test_a_reader_of_the_log_cannot_try_names() -> None:
    """G-S10: what somebody typed stands under a label that is made with the deployment's key."""
    stream = io.StringIO()
    AuditLog(stream, key=lambda: KEY, now=lambda: NOON).record(
        "login.failed", account="account|6f1c", counter="x", recipient="y", address="::1"
    )
    (line,) = lines(stream)
    assert line == {
        "time": NOON,
        "event": "login.failed",
        "account": typed_label(KEY, "account|6f1c"),
        "counter": typed_label(KEY, "x"),
        "recipient": typed_label(KEY, "y"),
        "address": "::1",
    }
    assert typed_label(KEY, "x") != typed_label(b"another", "x")


def test_a_line_names_its_request() -> None:
    stream = io.StringIO()
    log = AuditLog(stream, now=lambda: NOON)
    given = begin_request("from-the-proxy-1")
    log.record("login.ok")
    end_request()
    log.record("login.ok")
    assert given == "from-the-proxy-1"
    assert lines(stream) == [{"time": NOON, "event": "login.ok", "request": given}, {"time": NOON, "event": "login.ok"}]


@pytest.mark.parametrize("given", ["", "short", "x" * 65, "with space", "new\nline-here", '"quoted-here"'])
def test_a_request_id_that_is_none_is_replaced(given: str) -> None:
    assert begin_request(given) not in ("", given)
    end_request()
