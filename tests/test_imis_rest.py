"""Cloud iMIS where it is awkward: tokens, faults, builds that differ, and secrets. What every directory promises is in `conformance/`."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest

from idp.demo.imis import SimulatorSettings
from idp.directory import STANDARD_ATTRIBUTES, Directory, DirectoryUnavailable, Subject
from idp.directory.choice import open_directory
from idp.directory.deadline import Deadline
from idp.directory.people_file import read_people
from idp.secret import Secret
from idp.store import Record
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import DEMO, PEOPLE, SERVICE, Clock, SimulatedImis, rest_settings, simulated_imis

LIFE = 1199  # seconds that an access token lives (facts on iMIS 2.1)


@dataclass
class Town:
    """A simulated iMIS and workers that share a store; each worker is a directory with connections and memory of its own."""

    imis: SimulatedImis
    clock: Clock
    folder: Path
    stack: contextlib.ExitStack

    def worker(self, **changes: Any) -> Directory:
        store = self.stack.enter_context(contextlib.closing(SqliteStore(self.folder / "store.sqlite", now=self.clock)))
        return open_directory(rest_settings(self.imis.url, **changes), store=store, now=self.clock)


@contextlib.contextmanager
def town_of(folder: Path, settings: SimulatorSettings | None = None, people: Path = PEOPLE) -> Iterator[Town]:
    clock = Clock()
    with contextlib.ExitStack() as stack:
        imis = stack.enter_context(simulated_imis(people, settings, now=clock))
        yield Town(imis, clock, folder, stack)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with town_of(tmp_path) as found:
        yield found


Outcome = TypeVar("Outcome")


def all_at_once(count: int, ask: Callable[[int], Outcome]) -> list[Outcome]:
    """Every call in a thread of its own, begun together."""
    gate = threading.Barrier(count)

    def run(number: int) -> Outcome:
        gate.wait()
        return ask(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def unavailable(ask: Callable[[], object]) -> DirectoryUnavailable:
    with pytest.raises(DirectoryUnavailable) as caught:
        ask()
    return caught.value


# The service token


def test_F14_a_hundred_sign_ins_at_expiry_fetch_one_token(town: Town) -> None:
    worker = town.worker(wait_timeout=20)
    worker.check()
    town.clock.time += LIFE
    found = all_at_once(100, lambda _: worker.authenticate("ada", DEMO))
    assert all(subject is not None for subject in found)
    assert town.imis.tokens_issued() == 2


def test_F14_workers_share_one_token_through_the_store(town: Town) -> None:
    workers = [town.worker(), town.worker(), town.worker(), town.worker()]
    found = all_at_once(20, lambda number: workers[number % 4].authenticate("ada", DEMO))
    assert all(subject is not None for subject in found)
    assert town.imis.tokens_issued() == 1


def test_F14_a_purge_costs_one_token_and_no_sign_in(town: Town) -> None:
    workers = [town.worker(wait_timeout=20), town.worker(wait_timeout=20)]
    assert all(worker.authenticate("ada", DEMO) for worker in workers)
    town.imis.purge()
    found = all_at_once(30, lambda number: workers[number % 2].authenticate("ada", DEMO))
    assert all(subject is not None for subject in found)
    assert town.imis.tokens_issued() == 2


def test_F13_a_token_that_died_costs_one_renewal_and_no_second_password_check(town: Town) -> None:
    worker = town.worker()
    assert worker.authenticate("ada", DEMO)
    town.imis.purge()
    assert worker.authenticate("ada", DEMO)
    assert town.imis.password_checks("ada") == 2
    assert town.imis.tokens_issued() == 2


def test_a_token_is_renewed_before_it_ends(town: Town) -> None:
    worker = town.worker()
    worker.check()
    town.clock.time += LIFE - 61
    worker.check()
    assert town.imis.tokens_issued() == 1
    town.clock.time += 1
    worker.check()
    assert town.imis.tokens_issued() == 2
    assert town.imis.requests("POST /api/usersecurity") == 3  # none of them met a 401


def test_a_worker_that_starts_later_takes_the_token_that_is_there(town: Town) -> None:
    town.worker().check()
    town.worker().check()
    assert town.imis.tokens_issued() == 1


class _LateStore(SqliteStore):
    """Another worker gets through everything between our look for a token and our lease."""

    other: Directory | None = None

    def put_new(self, kind: str, key: str, record: Record, *, expires: int | None) -> bool:
        other, self.other = self.other, None
        if other is not None:
            other.check()
        return super().put_new(kind, key, record, expires=expires)


def test_F14_who_gets_the_lease_late_looks_once_more_before_it_asks(town: Town) -> None:
    with contextlib.closing(_LateStore(town.folder / "store.sqlite", now=town.clock)) as store:
        store.other = town.worker()
        open_directory(rest_settings(town.imis.url), store=store, now=town.clock).check()
    assert town.imis.tokens_issued() == 1


def test_a_lease_that_a_killed_worker_left_ends_by_itself(town: Town) -> None:
    store = SqliteStore(town.folder / "store.sqlite", now=town.clock)
    worker = town.worker(operation_timeout=0.3)
    key = worker._api._token._key  # type: ignore[attr-defined]
    store.put_new("setting", f"{key}:lease", {}, expires=town.clock.time + 10)
    unavailable(worker.check)
    assert town.imis.tokens_issued() == 0
    town.clock.time += 10
    worker.check()
    assert town.imis.tokens_issued() == 1
    store.close()


def test_S92_the_store_has_neither_the_token_nor_the_password_in_the_clear(tmp_path: Path) -> None:
    people = tmp_path / "people.toml"
    people.write_text(
        PEOPLE.read_text(encoding="utf-8").replace('"idp-service"\npassword = "demo"', '"idp-service"\npassword = "canary-5"')
    )
    with town_of(tmp_path, people=people) as town:
        worker = town.worker(service_password=Secret("canary-5"))
        worker.check()
        token = worker._api._token._held.secret.reveal()  # type: ignore[attr-defined]
        assert town.imis.ask("GET", "/api/Party/1001", token=token).status == 200  # it is the real one
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("store.sqlite*"))
    assert b"imis_token" in kept
    assert token.encode() not in kept
    assert b"canary" not in kept


def test_S92_what_was_sealed_with_another_password_is_passed_over(town: Town) -> None:
    town.worker().check()
    unavailable(town.worker(service_password=Secret("old")).check)
    assert town.worker(service_password=DEMO).authenticate("ada", DEMO)


@pytest.mark.parametrize("role", ["RemoteService", "SysAdmin"])
def test_a_service_account_without_its_role_is_unavailable_and_never_a_wrong_password(town: Town, role: str) -> None:
    town.imis.change("9001", attributes={"roles": [each for each in ("RemoteService", "SysAdmin") if each != role]})
    error = unavailable(lambda: town.worker().authenticate("ada", DEMO))
    assert role in error.received
    assert town.imis.password_checks("ada") == 0


def test_a_refused_service_account_is_not_tried_until_it_is_locked(town: Town) -> None:
    workers = [town.worker(service_password=Secret("wrong")) for _ in range(3)]
    for _ in range(10):
        for worker in workers:
            unavailable(lambda: worker.authenticate("ada", DEMO))  # noqa: B023  it is called at once
    assert town.imis.password_checks(SERVICE) == 1
    town.clock.time += 180
    unavailable(workers[0].check)
    assert town.imis.password_checks(SERVICE) == 2
    assert town.worker().authenticate("ada", DEMO), "another password is tried at once"


def test_V52_strangers_cannot_lock_the_service_account_by_signing_in_as_it(town: Town) -> None:
    worker = town.worker()
    for spelling in ("idp-service", "IDP-SERVICE", " idp-service ", "ｉｄｐ-service") * 3:
        assert worker.authenticate(spelling, Secret("wrong")) is None
    assert worker.authenticate(SERVICE, DEMO) is None, "nor with its password"
    assert town.imis.password_checks(SERVICE) == 1  # the one of the token
    assert worker.authenticate("ada", DEMO)


# Faults

BROKEN: dict[str, dict[str, Any]] = {
    "500": {"mode": "status", "status": 500},
    "501": {"mode": "status", "status": 501},
    "502": {"mode": "status", "status": 502},
    "503": {"mode": "status", "status": 503, "retry_after": "5"},
    "400": {"mode": "status", "status": 400},
    "405": {"mode": "status", "status": 405},
    "409": {"mode": "status", "status": 409},
    "403": {"mode": "status", "status": 403},
    "401 for ever": {"mode": "status", "status": 401},
    "429": {"mode": "429", "retry_after": "600"},
    "HTML with 200": {"mode": "html200"},
    "HTML with 404": {"mode": "raw", "status": 404, "content_type": "text/html", "body": "<h1>no</h1>"},
    "HTML said to be JSON": {"mode": "raw", "body": "<h1>no</h1>"},
    "redirect to the sign-in page": {"mode": "redirect"},
    "truncated JSON": {"mode": "truncated"},
    "body cut off": {"mode": "cut"},
    "wrong content type": {"mode": "wrong_type"},
    "empty": {"mode": "empty"},
    "200 MB": {"mode": "huge"},
    "no answer": {"mode": "down"},
    "slow": {"mode": "slow", "seconds": 5},
    "null": {"mode": "raw", "body": "null"},
    "a number": {"mode": "raw", "body": "1"},
    "true": {"mode": "raw", "body": "true"},
    "a text": {"mode": "raw", "body": '"no"'},
    "an empty object": {"mode": "raw", "body": "{}"},
    "a list of numbers": {"mode": "raw", "body": "[1, 2]"},
    "members of odd types": {"mode": "raw", "body": '{"Items": 5, "Result": "maybe", "UserId": [], "PartyId": {}}'},
    "not UTF-8": {"mode": "raw", "body": '{"Result": "\u00ff"}'},
    "nested too deep": {"mode": "raw", "body": "[" * 100_000},
    "a number too long": {"mode": "raw", "body": '{"Result": ' + "9" * 10_000 + "}"},
    "204": {"mode": "raw", "status": 204},
}


@pytest.mark.parametrize("name", BROKEN)
def test_F12_a_broken_answer_to_the_password_check_is_unavailable_and_asked_once(town: Town, name: str) -> None:
    worker = town.worker(call_timeout=0.5)
    worker.check()
    before = town.imis.requests("POST /api/usersecurity")
    town.imis.order(path="/api/usersecurity", after=True, **BROKEN[name])
    error = unavailable(lambda: worker.authenticate("ada", DEMO))
    assert error.cause == "directory.unavailable"
    assert "ValidateUser" in error.received
    asked = town.imis.requests("POST /api/usersecurity") - before
    assert asked == (2 if name == "401 for ever" else 1)  # F13; a 401 says that nothing was checked


@pytest.mark.parametrize("path", ["/api/user", "/api/party"])
@pytest.mark.parametrize("name", [name for name in BROKEN if name not in ("slow", "200 MB")])
def test_F12_a_broken_answer_to_a_read_is_unavailable_and_nobody_is_gone(town: Town, name: str, path: str) -> None:
    worker = town.worker()
    worker.check()
    town.imis.order(path=path, **BROKEN[name])
    unavailable(lambda: worker.find("1001"))
    unavailable(lambda: worker.authenticate("ada", DEMO))
    assert town.imis.password_checks("ada") <= 1


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in ("slow", "200 MB", "401 for ever")])
def test_F12_a_broken_answer_to_the_token_is_unavailable_and_no_refusal_that_lasts(town: Town, name: str) -> None:
    worker = town.worker()
    town.imis.order(path="/token", **BROKEN[name])
    unavailable(lambda: worker.authenticate("ada", DEMO))
    town.imis.order("none")
    town.clock.time += 600
    assert worker.authenticate("ada", DEMO)
    assert town.imis.password_checks("ada") == 1


@pytest.mark.parametrize("name", ["500", "no answer", "slow", "HTML with 200", "body cut off"])
def test_F13_a_password_that_was_checked_before_the_answer_broke_is_checked_once(town: Town, name: str) -> None:
    worker = town.worker(call_timeout=0.5)
    worker.check()
    town.imis.order(path="/api/usersecurity", after=True, times=1, **BROKEN[name])
    unavailable(lambda: worker.authenticate("ada", DEMO))
    assert town.imis.password_checks("ada") == 1


@pytest.mark.parametrize("name", ["500", "no answer", "HTML with 200", "empty"])
def test_a_read_that_failed_once_is_asked_again_and_nobody_notices(town: Town, name: str) -> None:
    worker = town.worker()
    worker.check()
    for path in ("/api/user", "/api/party", "/api/groupmember"):
        town.imis.order(path=path, times=1, **BROKEN[name])
        assert worker.authenticate("ada", DEMO)
    assert town.imis.password_checks("ada") == 3


def test_F14_a_token_request_that_failed_once_is_asked_again(town: Town) -> None:
    town.imis.order("down", path="/token", times=1)
    assert town.worker().authenticate("ada", DEMO)


def test_F17_a_name_that_cannot_be_resolved_is_named(town: Town) -> None:
    worker = town.worker(site_url="http://imis.invalid")
    assert "cannot be resolved" in unavailable(worker.check).received


def test_F17_a_refused_connection_is_named(town: Town) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        worker = town.worker(site_url=f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert "no connection" in unavailable(worker.check).received


def test_F17_a_server_without_tls_is_named(town: Town) -> None:
    worker = town.worker(site_url=town.imis.url.replace("http:", "https:"))
    assert "TLS" in unavailable(worker.check).received


def test_F11_a_slow_drip_ends_at_the_deadline(town: Town) -> None:
    """Every piece comes in time, the whole never does."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def drip() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n")
                    while not done.wait(0.05):
                        connection.sendall(b" ")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    worker = town.worker(site_url=f"http://127.0.0.1:{listener.getsockname()[1]}", call_timeout=0.3, operation_timeout=0.6)
    assert "within" in unavailable(worker.check).received
    done.set()
    with contextlib.suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


def test_F13_429_is_told_to_the_member_and_until_then_nothing_is_asked(town: Town) -> None:
    worker = town.worker()
    worker.check()
    town.imis.order("429", path="/api/usersecurity", retry_after="120", times=1)
    assert unavailable(lambda: worker.authenticate("ada", DEMO)).retry_after == 120
    asked = town.imis.requests()
    town.clock.time += 20
    assert unavailable(lambda: worker.authenticate("ada", DEMO)).retry_after == 100
    assert town.imis.requests() == asked
    town.clock.time += 100
    assert worker.authenticate("ada", DEMO)
    assert town.imis.password_checks("ada") == 1


def test_F13_a_short_retry_after_is_sat_out(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = town.worker()
    worker.check()
    waits: list[float] = []

    def sleep(_: Deadline, seconds: float) -> None:
        waits.append(seconds)
        town.clock.time += int(seconds)

    monkeypatch.setattr(Deadline, "sleep", sleep)
    town.imis.order("429", path="/api/party", retry_after="3", times=1)
    assert worker.find("1001")
    assert waits == [3]


@pytest.mark.parametrize(
    ("header", "seconds"), [("", 1), ("soon", 1), ("-5", 1), ("99999999999999999999", 3600), ("Fri, 15 Jan 2027 08:01:00 GMT", 60)]
)
def test_F13_every_form_of_retry_after_is_read(town: Town, header: str, seconds: int) -> None:
    worker = town.worker()
    worker.check()
    town.imis.order("429", path="/api/usersecurity", retry_after=header)
    assert unavailable(lambda: worker.authenticate("ada", DEMO)).retry_after == seconds


def test_G_R4_after_many_failures_nothing_is_asked_until_one_call_succeeds(town: Town) -> None:
    worker = town.worker()
    worker.check()
    town.imis.order("status", path="/api")
    for _ in range(10):
        unavailable(lambda: worker.find("1001"))
    asked = town.imis.requests("GET /api")
    assert asked < 15
    assert unavailable(lambda: worker.find("1001")).retry_after
    assert town.imis.requests("GET /api") == asked
    town.clock.time += 15
    unavailable(lambda: worker.find("1001"))
    assert town.imis.requests("GET /api") == asked + 1, "half open: one call tries"
    town.imis.order("none")
    town.clock.time += 15
    assert worker.find("1001")
    assert worker.find("1002")


def test_G_R5_no_more_sign_ins_wait_for_imis_than_are_allowed(town: Town) -> None:
    worker = town.worker(max_concurrent=2, max_waiting=1, wait_timeout=0.2, call_timeout=3)
    worker.check()
    before = town.imis.requests("GET /api/user/")
    town.imis.order("slow", path="/api/user", seconds=1)

    def find(_: int) -> Subject | str | None:
        try:
            return worker.find("1001")
        except DirectoryUnavailable as error:
            return error.received

    outcomes = all_at_once(8, find)
    assert sum(isinstance(outcome, Subject) for outcome in outcomes) == 2
    assert outcomes.count("too many sign-ins wait for iMIS already") == 5
    assert outcomes.count("iMIS is busy with earlier sign-ins") == 1
    assert town.imis.requests("GET /api/user/") == before + 2


@pytest.mark.parametrize("entity", ["User", "Party"])
def test_an_answer_for_another_id_is_unavailable_and_nobody_signs_in_as_them(town: Town, entity: str) -> None:
    worker = town.worker()
    worker.check()
    other = town.imis.ask("GET", f"/api/{entity}/1002", token=_token(worker)).text
    town.imis.order("raw", path=f"/api/{entity.lower()}/1001", body=other)
    assert "another id" in unavailable(lambda: worker.find("1001")).received


ADA, BEN, CARLA = ({"UserId": user_id, "UserName": name} for user_id, name in (("1001", "ada"), ("1002", "ben"), ("1003", "carla")))


@pytest.mark.parametrize(
    "found", [[], [BEN, CARLA], [ADA, {**BEN, "UserName": "ADA"}], [{"UserName": "ada"}], [{**ADA, "UserId": "../1002"}]]
)
def test_a_filter_that_imis_passes_over_signs_nobody_else_in(town: Town, found: list[dict[str, str]]) -> None:
    worker = town.worker()
    town.imis.order("raw", path="/api/user", body=json.dumps(found))
    assert "logins of a name" in unavailable(lambda: worker.authenticate("ada", DEMO)).received


def test_the_one_login_of_the_name_is_taken_from_among_others(town: Town) -> None:
    town.imis.order("raw", path="/api/user", body=json.dumps([BEN, ADA, CARLA]))
    ada = town.worker().authenticate("Ada", DEMO)
    assert ada is not None
    assert ada.id == "1001"


# Builds that differ

BUILDS = {
    "bare arrays": SimulatorSettings(bare_arrays=True),
    "typed results": SimulatorSettings(typed_results=True),
    "false members absent": SimulatorSettings(false_members=False),
    "404 for no groups": SimulatorSettings(empty_group_status=404),
    "small pages": SimulatorSettings(page_limit=1, page_maximum=1),
    "another envelope": SimulatorSettings(execute_type="Something.Else"),
    "ValidateUser does not mind a disabled login": SimulatorSettings(disabled_validates=True),
    "refresh tokens once": SimulatorSettings(refresh_reuse="once"),
}


@pytest.mark.parametrize("build", BUILDS)
def test_every_build_tells_the_same_of_everybody(tmp_path: Path, build: str) -> None:
    with town_of(tmp_path, BUILDS[build]) as town:
        worker = town.worker()
        for person in read_people(PEOPLE):
            found, expected = worker.find(person.id), person.subject()
            assert found is not None
            shared = {name: found.attributes.get(name) for name in expected.attributes if name in STANDARD_ATTRIBUTES}
            assert shared == {name: expected.attributes[name] for name in shared}
            assert found.active == expected.active
        assert worker.authenticate("ada", DEMO)
        assert worker.authenticate("ada", Secret("wrong")) is None
        assert worker.authenticate("nobody", DEMO) is None
        assert worker.authenticate("viktor", DEMO) is None


def test_the_arguments_of_validate_user_follow_the_template(tmp_path: Path) -> None:
    with town_of(tmp_path, SimulatorSettings(validate_user_arguments=("", "password", "username"))) as town:
        worker = town.worker(validate_user_arguments=[False, "{password}", "{username}"])
        assert worker.authenticate("ada", DEMO)
        assert worker.authenticate("ada", Secret("wrong")) is None
        unavailable(lambda: town.worker().authenticate("ada", DEMO))


def test_braces_in_what_was_typed_are_not_filled_in(town: Town) -> None:
    worker = town.worker()
    assert worker.authenticate("{password}", DEMO) is None
    assert worker.authenticate("ada", Secret("{password}")) is None
    assert town.imis.password_checks("{password}") == 1


def test_a_field_that_says_disabled_may_have_another_name(tmp_path: Path) -> None:
    with town_of(tmp_path, SimulatorSettings(disabled_field="LoginDisabled", disabled_validates=True)) as town:
        assert town.worker(disabled_fields=["LoginDisabled"]).authenticate("viktor", DEMO) is None


def test_a_forbidden_operation_may_be_403(tmp_path: Path) -> None:
    with town_of(tmp_path, SimulatorSettings(not_allowed_status=403)) as town:
        town.imis.change("9001", attributes={"roles": ["RemoteService"]})
        assert "(403)" in unavailable(lambda: town.worker().authenticate("ada", DEMO)).received


def test_on_premise_paths_are_a_setting(town: Town) -> None:
    worker = town.worker(api_base=f"{town.imis.url}/Asi.Scheduler_iMIS", token_path="/Token")
    assert worker.authenticate("ada", DEMO)


def test_roles_that_look_like_a_guid_are_left_out(town: Town) -> None:
    worker = town.worker()
    worker.check()
    listed = town.imis.ask("POST", "/api/UserSecurity/_execute", token=_token(worker), body=_operation("GetUserRoles", "ada"))
    assert len(listed.json["Result"]["$values"]) == 2
    ada = worker.find("1001")
    assert ada is not None
    assert ada.attributes["roles"] == ("Member",)


def test_calls_that_are_not_wanted_are_not_made(town: Town) -> None:
    worker = town.worker(read_roles=False, read_committees=False)
    ada = worker.find("1001")
    assert ada is not None
    assert not {"roles", "committees"} & ada.attributes.keys()
    assert town.imis.requests() == 3  # token, User, Party


def test_more_attributes_come_from_party_and_from_cs_contact(town: Town) -> None:
    ada = town.worker(more_attributes={"chapter": "Chapter", "months": "RenewMonths"}, read_contact=True).find("1001")
    assert ada is not None
    assert (ada.attributes["chapter"], ada.attributes["months"]) == (("North",), ("12",))
    assert ada.attributes["member_type"] == ("REG",)


def test_what_staff_change_is_seen_at_the_next_look(town: Town) -> None:
    worker = town.worker()
    town.imis.change("1001", attributes={"email": "new@mail.example", "committees": [], "status": "Suspended"})
    ada = worker.find("1001")
    assert ada is not None
    assert (ada.attributes["email"], ada.attributes["status"], "committees" in ada.attributes) == (
        ("new@mail.example",),
        ("Suspended",),
        False,
    )


class _KeptAlive(BaseHTTPRequestHandler):
    """As much of iMIS as a `find` needs, over connections that stay open, which the simulator's server does not have."""

    protocol_version = "HTTP/1.1"
    connections: ClassVar[list[socket.socket]] = []

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.connection)

    def do_GET(self) -> None:
        self._answer({"UserId": "1001", "PartyId": "1001", "UserName": "ada", "Items": []})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer({"access_token": "token", "expires_in": 1199, "Result": [], "Message": None})

    def _answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        return None


@pytest.fixture
def kept_alive(town: Town) -> Iterator[Directory]:
    """A worker of an iMIS that keeps connections open."""
    _KeptAlive.connections.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _KeptAlive) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        worker = town.worker(site_url=f"http://127.0.0.1:{server.server_port}")
        yield worker
        worker._api._http._pool.clear()  # type: ignore[attr-defined]
        server.shutdown()


def test_a_connection_is_used_again(kept_alive: Directory) -> None:
    assert kept_alive.find("1001")
    assert kept_alive.find("1001")
    assert len(_KeptAlive.connections) == 1


def test_a_connection_that_imis_has_closed_meanwhile_costs_no_password_check(kept_alive: Directory) -> None:
    kept_alive.check()
    _KeptAlive.connections[0].shutdown(socket.SHUT_RDWR)
    error = unavailable(lambda: kept_alive.authenticate("ada", DEMO))
    assert "neither true nor false" in error.received, "ValidateUser arrived, over a new connection"
    assert len(_KeptAlive.connections) == 2


# Secrets


def test_G_S7_no_secret_comes_into_errors_or_logs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    people = tmp_path / "people.toml"
    people.write_text(PEOPLE.read_text(encoding="utf-8").replace('password = "demo"', 'password = "canary-7"'), encoding="utf-8")
    secret = Secret("canary-7")
    printed: list[str] = []
    with caplog.at_level(logging.DEBUG), town_of(tmp_path, people=people) as town:
        worker = town.worker(service_password=secret, call_timeout=0.5)
        assert worker.authenticate("ada", secret)
        token = _token(worker)
        for name, path in itertools.product(BROKEN.keys() - {"200 MB"}, ["/api/usersecurity", "/api/party", "/token"]):
            town.clock.time += 3600
            town.imis.order(path=path, **BROKEN[name])
            printed += _everything(unavailable(lambda: worker.authenticate("ada", secret)))
        printed += [repr(worker), repr(vars(worker)), repr(worker._settings)]  # type: ignore[attr-defined]
    text = "\n".join(printed) + caplog.text
    assert "canary" not in text
    assert token not in text


def _everything(error: BaseException | None) -> list[str]:
    """What a logger might print of an error and of those behind it."""
    if error is None:
        return []
    return [str(error), repr(error), repr(vars(error)), *_everything(error.__cause__), *_everything(error.__context__)]


def test_an_error_names_no_member(town: Town) -> None:
    worker = town.worker()
    worker.check()
    town.imis.order("html200", path="/api")
    for ask in (lambda: worker.authenticate("kim.park@work.example", DEMO), lambda: worker.find("1017")):
        said = unavailable(ask).received
        assert "kim" not in said
        assert "1017" not in said


def _token(worker: Directory) -> str:
    return str(worker._api._token._held.secret.reveal())  # type: ignore[attr-defined]


def _operation(name: str, *arguments: str) -> dict[str, Any]:
    return {"OperationName": name, "EntityTypeName": "UserSecurity", "Parameters": {"$values": list(arguments)}}
