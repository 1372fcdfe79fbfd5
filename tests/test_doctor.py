"""The doctor: each thing that is broken is named, with its fix, and nothing is said of a house in good order."""

from __future__ import annotations

import json
import resource
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import idp.keys.folder
from idp.app import build_parts
from idp.cli import main
from idp.cli.doctor import CHECKS, Advice, Patient, examine
from idp.config import load
from idp.keys import KeyRing
from idp.store.sqlite import SqliteStore


@dataclass
class House:
    """A deployment in good order, in a folder. Tests change a line, or break a thing."""

    folder: Path
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    store: SqliteStore | None = None

    def write(self) -> Path:
        lines = []
        for section, values in self.settings.items():
            lines += [f"[{section}]", *(f"{name} = {value}" for name, value in values.items())]
        path = self.folder / "idp.toml"
        path.write_text("\n".join(lines), encoding="utf-8")
        path.chmod(0o600)
        return path

    def advice(self) -> list[Advice]:
        loaded = load(self.write(), {})
        assert self.store is not None
        return examine(Patient(loaded, build_parts(loaded, self.store)))

    def said(self) -> list[str]:
        return [each.check for each in self.advice()]

    def set(self, section: str, **values: str) -> None:
        self.settings.setdefault(section, {}).update(values)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (65536, 65536))
    (tmp_path / "people.toml").write_text('[people.ada]\nid = "101"\npassword = "demo"\n')
    (tmp_path / "secret").write_text("a vendor's secret")
    (tmp_path / "secret").chmod(0o600)
    house = House(tmp_path, store=SqliteStore(tmp_path / "store.sqlite"))
    house.set("server", url='"https://login.example.org"', trusted_proxies='["127.0.0.1"]', workers="1")
    house.set("directory", kind='"people"', people='"people.toml"')
    house.set("clients.lms", secret='{ file = "secret" }', token='{ return_urls = ["https://lms.example.org/sso"] }')
    ring = KeyRing(tmp_path / "keys")
    ring.create_if_empty()
    ring.publish(uses=idp.keys.folder.USES)
    yield house
    house.store.close() if house.store else None


USUAL = {"server.not_production"}
"""What is said of the house in good order: it is a trial, or it could have no built-in people."""


def oidc_client(house: House, **settings: str) -> None:
    house.set("clients.app", secret='{ file = "secret" }')
    house.set("clients.app.oidc", redirect_uris='["https://app.example.org/cb"]', **settings)


def operators_behind_an_unknown_proxy(house: House) -> None:
    house.set("operators", networks='["127.0.0.1"]')
    house.set("server", trusted_proxies="[]")


def jsonp_client(house: House, *, days: int) -> None:
    last_day = (datetime.now(UTC) + timedelta(days=days)).date()
    house.set("clients.news", jsonp=f'{{ origins = ["https://news.example.org"], expires = {last_day} }}')


BROKEN: dict[str, Callable[[House], None]] = {
    "server.plain_http": lambda house: house.set("server", url='"http://localhost:8080"'),
    "server.no_proxy": lambda house: house.set("server", trusted_proxies="[]"),
    "server.proxies_wide": lambda house: house.set("server", trusted_proxies='["0.0.0.0/0"]'),
    "server.listens_to_all": lambda house: house.set("server", trusted_proxies="[]", listen='"0.0.0.0:8080"'),
    "server.certificate_header": lambda house: house.set("server", trusted_proxies="[]", certificate_header='"X-Client-Cert"'),
    "server.workers": lambda house: house.set("server", workers="64000"),
    "operators.wide": lambda house: house.set("operators", networks='["::/0"]'),
    "operators.proxy": operators_behind_an_unknown_proxy,
    "session.idle": lambda house: house.set("session", idle='"2d"', absolute='"1d"'),
    "session.long": lambda house: house.set("session", absolute='"60d"'),
    "login.tries": lambda house: house.set("login", tries_per_account="1000"),
    "secrets.open": lambda house: (house.folder / "secret").chmod(0o644),
    "keys.missing": lambda house: oidc_client(house, id_token_signed_response_alg='"ES256"'),
    "server.no_certificate_header": lambda house: oidc_client(house, tls_client_certificate_bound_access_tokens="true"),
    "cookie.readable": lambda house: house.set("clients.www", cookie='{ return_urls = ["https://www.example.org/"], http_only = false }'),
    "jsonp.ending": lambda house: jsonp_client(house, days=-1),
    "keys.small": lambda house: house.set("keys", rsa_bits="1024"),
    "store.in_clear": lambda house: house.set("store", url='"mongodb://db.example.org/idp?replicaSet=rs0"'),
    "store.alone": lambda house: house.set("store", url='"mongodb://127.0.0.1/idp"'),
}


def test_U32_of_a_house_in_good_order_nothing_more_is_said(house: House) -> None:
    assert set(house.said()) == USUAL


@pytest.mark.parametrize("check", BROKEN)
def test_U32_what_is_broken_is_named_with_its_fix(house: House, check: str) -> None:
    BROKEN[check](house)
    (found,) = [each for each in house.advice() if each.check == check]
    assert found.detail
    assert found.fix


@pytest.mark.parametrize(("days", "said"), [(29, True), (32, False)])
def test_S99_a_page_whose_time_ends_within_a_month_is_named(house: House, days: int, said: bool) -> None:
    jsonp_client(house, days=days)
    assert ("jsonp.ending" in house.said()) is said


def test_U32_a_configuration_that_others_may_change_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    path = house.write()
    path.chmod(0o666)
    assert "config.writable" in [each.check for each in examine(Patient(load(path, {}), None))]


def test_U32_calls_into_the_own_network_are_named_in_production(house: House) -> None:
    house.set("outbound", allow_private="true")
    loaded = load(house.write(), {})
    server = loaded.config.server.model_copy(update={"production": True})
    production = replace(loaded, config=loaded.config.model_copy(update={"server": server}))
    assert {each.check for each in examine(Patient(production, None))} == {"outbound.private"}


def test_U32_a_key_without_a_successor_is_named(tmp_path: Path, house: House) -> None:
    house.set("keys", folder='"alone"')
    KeyRing(tmp_path / "alone").create_if_empty()
    assert "keys.no_next" in house.said()


def test_U32_a_certificate_that_ends_soon_is_named(tmp_path: Path, house: House) -> None:
    house.set("keys", folder='"old"')
    long_ago = int((datetime.now(UTC) - timedelta(days=3600)).timestamp())
    KeyRing(tmp_path / "old").create_if_empty(now=lambda: long_ago)
    assert "keys.ending" in house.said()


def test_U32_a_pairwise_secret_that_others_can_read_is_named(tmp_path: Path, house: House) -> None:
    KeyRing(tmp_path / "keys").pairwise("x")
    assert set(house.said()) == USUAL
    (tmp_path / "keys" / "pairwise.secret").chmod(0o644)
    assert "keys.pairwise" in house.said()


def test_U32_a_store_that_forgets_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "take", lambda *_: None)
    assert "store.write" in house.said()


def test_U32_mail_that_piles_up_is_named(house: House) -> None:
    assert house.store is not None
    for number in range(100):
        house.store.put("letter", str(number), {}, expires=None)
    assert "mail.waiting" in house.said()


def test_U32_few_open_files_are_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert "machine.files" in house.said()


def test_U32_a_temporary_folder_that_cannot_be_written_is_named(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/proc")
    monkeypatch.setattr("os.access", lambda path, mode: path != "/proc")
    assert "machine.temporary" in house.said()


def test_U32_every_check_was_broken_here() -> None:
    """One test for each look; server.not_production is said of the house itself."""
    by_hand = 10
    assert len(CHECKS) == len(BROKEN) + by_hand


def test_the_command_tells_the_advice_and_fails_on_what_is_serious(house: House) -> None:
    house.set("server", url='"http://localhost:8080"')
    house.set("store", url=f'"sqlite://{house.folder}/store.sqlite"')
    words = ["check", "--config", str(house.write())]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, "warn server.plain_http" in done.output, "Fix: set [server] url" in done.output) == (0, True, True)
    (house.folder / "secret").chmod(0o644)
    done = CliRunner().invoke(main, [*words, "--json"])
    told = json.loads(done.output.splitlines()[-1])
    assert (done.exit_code, told["ok"]) == (1, False)
    assert {"server.plain_http", "secrets.open"} <= {each["check"] for each in told["advice"]}
