"""More than can be served: who waits, who is turned away, and that everybody who came in goes out."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flask import Flask, request
from werkzeug.test import TestResponse

from idp.web.crowd import Crowd, never_turned_away
from idp.web.refusal import install
from tests.standin import Events


class House:
    """An application with one slow page; `at_once` may be in it, `waiting` may wait for them."""

    def __init__(self, *, at_once: int, waiting: int, patience: float) -> None:
        self.app = Flask("idp.web")
        self.app.jinja_env.globals["server"] = type("Named", (), {"name": "House", "home_url": ""})
        install(self.app, Events())
        Crowd(at_once=at_once, waiting=waiting, patience=patience).watch(self.app)
        self.inside = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.answers: list[TestResponse] = []

        @self.app.get("/slow")
        def slow() -> str:
            self.inside.release()
            self.go_on.wait(20)
            return "done"

        @self.app.get("/redeem")
        @never_turned_away
        def redeem() -> str:
            return slow()

        @self.app.get("/fails")
        def fails() -> str:
            raise ValueError

    def ask(self, path: str = "/slow") -> threading.Thread:
        thread = threading.Thread(target=lambda: self.answers.append(self.app.test_client().get(path)))
        thread.start()
        return thread

    def statuses(self) -> list[int]:
        return sorted(answer.status_code for answer in self.answers)


def finish(house: House, threads: list[threading.Thread]) -> None:
    house.go_on.set()
    for thread in threads:
        thread.join()


def test_F21_who_finds_no_place_to_wait_is_told_at_once_when_to_come_back() -> None:
    house = House(at_once=1, waiting=0, patience=20)
    inside = house.ask()
    house.inside.acquire()
    refused = house.app.test_client().get("/slow")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert "Very many people are signing in" in refused.text
    finish(house, [inside])
    assert house.statuses() == [200]


def test_F21_who_waits_is_served_when_another_leaves() -> None:
    house = House(at_once=1, waiting=1, patience=20)
    threads = [house.ask()]
    house.inside.acquire()
    threads.append(house.ask())
    finish(house, threads)
    assert house.statuses() == [200, 200]


def test_F21_nobody_waits_for_ever() -> None:
    house = House(at_once=1, waiting=1, patience=0.05)
    inside = house.ask()
    house.inside.acquire()
    assert house.app.test_client().get("/slow").status_code == 503
    finish(house, [inside])


def test_F21_what_finishes_a_sign_on_is_never_turned_away() -> None:
    house = House(at_once=1, waiting=0, patience=20)
    threads = [house.ask(), house.ask("/redeem")]
    for _ in threads:
        house.inside.acquire()
    finish(house, threads)
    assert house.statuses() == [200, 200]


@pytest.mark.parametrize("spoil", [lambda client: client.get("/fails"), lambda client: client.get("/nowhere")], ids=["500", "404"])
def test_whoever_failed_has_left(spoil: Callable[[object], TestResponse]) -> None:
    house = House(at_once=1, waiting=0, patience=20)
    house.go_on.set()
    for _ in range(3):
        spoil(house.app.test_client())
    assert house.app.test_client().get("/slow").status_code == 200


def test_whoever_comes_in_still_has_their_body_raw_and_as_a_form() -> None:
    house = House(at_once=1, waiting=0, patience=1)

    @house.app.post("/echo")
    def echo() -> list[str]:
        return [request.get_data().decode(), request.form["a"]]

    assert house.app.test_client().post("/echo", data={"a": "1"}).get_json() == ["a=1", "1"]
