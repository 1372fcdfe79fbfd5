"""/metrics and /statusz: what they tell, and that nobody but an operator reads them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from idp import __version__
from idp.app import create_app_of
from idp.config import load
from idp.keys import KeyRing
from idp.parts import Parts, build_parts
from idp.sso.last_signon import LastSignOns
from idp.store.mongo import MongoStore
from idp.store.sqlite import SqliteStore
from idp.web.metric import Metrics
from tests.standin import Clock

CONFIG = """
[server]
url = "https://login.example.org"
trusted_proxies = ["10.0.0.1"]
[directory]
kind = "people"
people = "people.toml"
[operators]
networks = ["127.0.0.1", "192.0.2.0/24"]
{more}
[clients.events]
name = "Events"
token.return_urls = ["https://events.example.org/back"]
"""
PEOPLE = '[people.ada]\nid = "101"\npassword = "demo"\n'
NOON = 1_800_000_000

Make = Callable[[str], tuple[Flask, Parts]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """The application as it is wired, with more configuration."""
    store = SqliteStore(tmp_path / "store.sqlite")
    for name, text in {"people.toml": PEOPLE, "token": "the operators' own token"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")

    def wired(more: str = "") -> tuple[Flask, Parts]:
        (tmp_path / "idp.toml").write_text(CONFIG.format(more=more), encoding="utf-8")
        loaded = load(tmp_path / "idp.toml", {})
        KeyRing(loaded.config.keys.folder).create_if_empty()
        metrics = Metrics()
        parts = build_parts(loaded, store, listeners=(metrics.hear,))
        return create_app_of(parts, metrics), parts

    yield wired
    store.close()


def ask(app: Flask, path: str, peer: str = "127.0.0.1", **headers: str) -> TestResponse:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return app.test_client().get(path, base_url="https://login.example.org", headers=sent, environ_base={"REMOTE_ADDR": peer})


def figures(answer: TestResponse) -> dict[tuple[str, ...], float]:
    """Every sample, by its name and its labels' values."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


@pytest.mark.parametrize("path", ["/metrics", "/statusz"])
@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("192.0.2.77", {}, 200),
        ("198.51.100.1", {}, 404),
        ("10.0.0.1", {"X_Forwarded_For": "192.0.2.7"}, 200),
        ("10.0.0.1", {"X_Forwarded_For": "198.51.100.1"}, 404),
        ("10.0.0.1", {}, 404),
        ("127.0.0.1", {"X_Forwarded_For": "127.0.0.1"}, 404),
        ("127.0.0.1", {"X_Real_IP": "198.51.100.1"}, 404),
        ("127.0.0.1", {"Forwarded": "for=198.51.100.1"}, 404),
        ("127.0.0.1", {"Via": "1.1 somewhere"}, 404),
    ],
    ids=str,
)
def test_S119_only_named_networks_read_them_and_no_proxy_lends_its_address(
    make: Make, path: str, peer: str, headers: dict[str, str], status: int
) -> None:
    assert ask(make("")[0], path, peer, **headers).status_code == status


def test_they_are_never_public_by_default(make: Make, tmp_path: Path) -> None:
    make("")
    text = (tmp_path / "idp.toml").read_text().replace('networks = ["127.0.0.1", "192.0.2.0/24"]', "")
    (tmp_path / "idp.toml").write_text(text)
    loaded = load(tmp_path / "idp.toml", {})
    store = SqliteStore(tmp_path / "other.sqlite")
    app = create_app_of(build_parts(loaded, store))
    assert [ask(app, path).status_code for path in ("/metrics", "/statusz")] == [404, 404]
    store.close()


def test_a_token_is_asked_for_where_one_is_set(make: Make) -> None:
    app, _ = make('token = { file = "token" }')
    assert ask(app, "/metrics").status_code == 401
    assert ask(app, "/metrics", Authorization="Bearer wrong").status_code == 401
    assert ask(app, "/metrics", Authorization="Bearer the operators' own token").status_code == 200
    assert app.test_client().get("/statusz", auth=("any", "the operators' own token")).status_code == 200
    assert ask(app, "/metrics", "198.51.100.1", Authorization="Bearer the operators' own token").status_code == 404


def test_metrics_count_events_with_their_causes_and_time_requests(make: Make) -> None:
    app, parts = make("")
    ask(app, "/nowhere")
    ask(app, "/livez")
    parts.audit.record("login.ok", subject="101")
    found = figures(ask(app, "/metrics"))
    assert found["idp_events_total", "http.404", "request.refused"] == 1
    assert found["idp_events_total", "", "login.ok"] == 1
    assert found["idp_request_seconds_count", "none", "404"] == 1
    assert found["idp_request_seconds_count", "health.live", "200"] == 1
    assert found["idp_build", platform.python_version(), __version__] == 1
    assert found[("idp_store_up",)] == 1


def test_no_label_holds_what_a_stranger_chose(make: Make) -> None:
    app, _ = make("")
    for path in ("/canary", "/token/signon?client=canary", "/oauth/authorize?client_id=canary", "/logout/canary"):
        ask(app, path)
    assert "canary" not in ask(app, "/metrics").text


def test_the_page_tells_version_store_keys_and_when_each_application_was_last_entered(make: Make) -> None:
    app, parts = make("")
    before = ask(app, "/statusz").text
    parts.audit.record("signon.ok", client="events", subject="101")
    page = ask(app, "/statusz").text
    assert "All is well" in page
    for text in (f"imis-idp {__version__}", "sqlite", parts.keys.current.kid, "certificate until", "Events"):
        assert text in page
    assert "last sign-on –" in before
    assert "last sign-on 20" in page


def test_F7_without_a_store_the_page_still_says_what_is_wrong(make: Make, tmp_path: Path) -> None:
    make("")
    away = MongoStore("mongodb://127.0.0.1:1/", timeout=200)
    app = create_app_of(build_parts(load(tmp_path / "idp.toml", {}), away))
    page = ask(app, "/statusz")
    assert (page.status_code, "Something is wrong" in page.text, "store.unavailable" in page.text) == (200, True, True)
    assert figures(ask(app, "/metrics"))[("idp_store_up",)] == 0
    away.close()


def test_the_last_sign_on_is_written_once_a_minute_and_client(tmp_path: Path) -> None:
    store, now = SqliteStore(tmp_path / "s.sqlite"), Clock()
    last = LastSignOns(store, now=now)
    for second in (0, 30, 59, 60, 90):
        now.seconds = NOON + second
        last.hear("signon.ok", {"client": "events"})
        last.hear("signon.refused", {"client": "other"})
    assert last.of("events") == NOON + 60
    assert last.of("other") is None
    stored = store.get("setting", "last_signon:events")
    assert stored is not None
    assert stored.revision == 2
    store.close()


WORKER = """
import sys
from pathlib import Path
from idp.web.metric import Metrics
metrics = Metrics(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    metrics.hear("login.ok", {})
print(metrics.text().decode())
"""


def test_any_worker_tells_the_figures_of_all(tmp_path: Path) -> None:
    """One that was killed, too: its logins were logins."""

    def worker(times: int) -> str:
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
        command = [sys.executable, "-c", WORKER, str(tmp_path), str(times)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert 'idp_events_total{cause="",event="login.ok"} 3.0' in worker(3)
    assert 'idp_events_total{cause="",event="login.ok"} 8.0' in worker(5)
