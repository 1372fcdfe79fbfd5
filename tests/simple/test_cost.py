"""What a vendor's question costs the store, counted: each operation is a round trip to the database."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from idp.store.sqlite import SqliteStore
from idp.web.admission import ServiceSettings
from tests.standin import Counted

from .conftest import MakeWorld
from .wiring import Visitor, World, make_client, posted, query_of

LMS = "https://lms.example.com/sso"
JOURNAL = "https://journal.example.com"
COURSE = "https://learn.example.org/course"
CALLS = 400
BLOCK = 4  # a hundredth of them


@pytest.fixture
def counted(make_world: MakeWorld, tmp_path: Path) -> tuple[World, Counted]:
    store = Counted(SqliteStore(tmp_path / "counted.sqlite", now=lambda: 1_800_000_000))
    world = make_world(
        make_client("lms", "token", return_urls=(LMS,), release=["email"]),
        make_client("journal", "jsonp", origins=(JOURNAL,), expires=date(2099, 12, 31)),
        make_client("moodle", "token", return_urls=(COURSE,), method="get", ats={"service": "wsmoodle"}),
        service=ServiceSettings(calls_per_minute=CALLS),
        store=store,
    )
    return world, store


def token_for(visitor: Visitor) -> str:
    return posted(visitor.get("/token/signon?client=lms"))[1]["token"]


def ping(visitor: Visitor, path: str = "ping", **parameters: str) -> None:
    asks = {"Referer": f"{JOURNAL}/", "Origin": JOURNAL}
    answer = visitor.get(f"/jsonp/{path}", query_string={"client": "journal", "callback": "f", **parameters}, headers=asks)
    assert answer.status_code == 200


def test_the_first_redemption_of_a_minute_looks_for_guesses_and_takes_a_block_of_calls(counted: tuple[World, Counted]) -> None:
    world, store = counted
    token = token_for(world.signed_in())
    store.since()
    world.redeem(token, "lms")
    assert store.since() == ["get throttle", "bump throttle", "get ticket", "put_new spent", "get session", "get subject"]


def test_a_redemption_asks_four_times_and_once_in_a_block_counts(counted: tuple[World, Counted]) -> None:
    world, store = counted
    visitor = world.signed_in()
    tokens = [token_for(visitor) for _ in range(BLOCK + 1)]
    world.redeem(tokens.pop(), "lms")
    store.since()
    for token in tokens:
        world.redeem(token, "lms")
    redemption = ["get ticket", "put_new spent", "get session", "get subject"]
    assert store.since() == [*redemption * (BLOCK - 1), "bump throttle", *redemption]


def test_asking_again_by_a_handle_reads_three_times(counted: tuple[World, Counted]) -> None:
    world, store = counted
    handle = world.redeem(token_for(world.signed_in()), "lms", handle="1").json["handle"]
    store.since()
    server = world.app.test_client(use_cookies=False)
    server.post("/service/profile", base_url=world.url, auth=("lms", "lms-secret"), data={"handle": handle})
    assert store.since() == ["get handle", "get session", "get subject"]


def test_ATS_face_costs_what_the_others_do(counted: tuple[World, Counted]) -> None:
    world, store = counted
    visitor = world.signed_in()
    tokens = [query_of(visitor.get("/ats/moodle/sso.aspx").location)["token"] for _ in range(2)]
    server = world.app.test_client(use_cookies=False)
    for token in tokens:
        store.since()
        server.get(f"/ats/moodle/wsmoodle.asmx/GetUserProfile?token={token}", base_url=world.url, auth=("moodle", "moodle-secret"))
    assert store.since() == ["get ticket", "put_new spent", "get session", "get subject"]


@pytest.mark.parametrize("path", ["ping", "fetch"])
def test_a_ping_of_somebody_who_is_not_signed_in_asks_nothing(counted: tuple[World, Counted], path: str) -> None:
    world, store = counted
    store.since()
    ping(world.browser(), path)
    assert store.since() == []


@pytest.mark.parametrize("path", ["ping", "fetch"])
def test_a_ping_of_a_member_that_wants_no_token_reads_twice_and_writes_nothing(counted: tuple[World, Counted], path: str) -> None:
    world, store = counted
    visitor = world.signed_in()
    store.since()
    ping(visitor, path, token="0")
    assert store.since() == ["get session", "get subject"]


def test_a_repeated_ping_of_a_member_writes_its_token_alone(counted: tuple[World, Counted]) -> None:
    world, store = counted
    visitor = world.signed_in()
    ping(visitor)
    store.since()
    ping(visitor)
    assert store.since() == ["get session", "get subject", "put ticket", "get session"]


def test_S101_a_page_that_may_not_ask_costs_nothing(counted: tuple[World, Counted]) -> None:
    world, store = counted
    visitor = world.signed_in()
    store.since()
    assert visitor.get("/jsonp/ping?client=journal&callback=f", headers={"Referer": "https://evil.example/"}).status_code == 403
    assert store.since() == []


def test_S27_a_wrong_secret_is_counted_and_looked_for_again(counted: tuple[World, Counted]) -> None:
    """Also where a good one came from just before."""
    world, store = counted
    world.redeem("x", "lms")
    store.since()
    world.redeem("x", "lms", secret="wrong")
    assert store.since() == ["bump throttle"]
    world.redeem("x", "lms", secret="wrong")
    assert store.since() == ["get throttle", "bump throttle"]


def test_S97_who_has_used_up_their_calls_costs_nothing_more(counted: tuple[World, Counted]) -> None:
    world, store = counted
    assert [world.redeem("x", "lms").status_code for _ in range(CALLS + 1)] == [400] * CALLS + [429]
    store.since()
    assert world.redeem("x", "lms").status_code == 429
    assert store.since() == []
