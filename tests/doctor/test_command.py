"""`idp check` as scripts see it, and that no check is without a test."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from idp.cli import main
from idp.cli.doctor import CHECKS
from tests.doctor.house import House

TESTS = Path(__file__).parent.parent


def test_U32_every_check_is_broken_by_a_test() -> None:
    """Its id stands in one; `server.not_production` is said of the house in good order itself."""
    written = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    usual = (TESTS / "doctor" / "house.py").read_text(encoding="utf-8")
    assert [check for check in CHECKS if f'"{check}"' not in written + usual] == []
    assert len(CHECKS) >= 40


def test_the_command_tells_the_advice_and_fails_on_what_is_serious(house: House) -> None:
    house.put("server", url='"http://localhost:8080"')
    house.put("store", url=f'"sqlite://{house.folder}/store.sqlite"')
    words = ["check", "--config", str(house.write())]
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, "warn server.plain_http" in done.output, "Fix: set [server] url" in done.output) == (0, True, True)
    (house.folder / "secret").chmod(0o644)
    done = CliRunner().invoke(main, [*words, "--json"])
    told = json.loads(done.output.splitlines()[-1])
    assert (done.exit_code, told["ok"], told["checks"]) == (1, False, list(CHECKS))
    assert {"server.plain_http", "secrets.open"} <= {each["check"] for each in told["advice"]}


def test_without_a_store_the_rest_is_still_looked_at(house: House) -> None:
    house.put("store", url='"mongodb://127.0.0.1:1/idp?replicaSet=rs0"', timeout="200")
    (house.folder / "secret").chmod(0o644)
    done = CliRunner().invoke(main, ["check", "--config", str(house.write()), "--json"])
    told = json.loads(done.output.splitlines()[-1])
    assert {each["part"]: each["cause"] for each in told["findings"] if not each["ok"]}["store"] == "store.unavailable"
    assert "secrets.open" in {each["check"] for each in told["advice"]}
