"""`idp demo` as a process: it starts with one command, ends without a trace, and keeps its data (U35)."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from idp.demo.address import LOOPBACK, Addresses
from idp.demo.vendors import VENDORS
from tests.flows.town import Town
from tests.port import free_ports
from tests.process import is_alive

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("demo")]

_PATIENCE = 30.0  # seconds for processes to end


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path / "data")
    town.start()
    yield town
    town.stop()


def comes_true(condition: Callable[[], bool]) -> bool:
    ending = time.monotonic() + _PATIENCE
    while not condition() and time.monotonic() < ending:
        time.sleep(0.05)
    return condition()


def assert_all_gone(processes: set[int]) -> None:
    assert comes_true(lambda: not any(is_alive(pid) for pid in processes)), [pid for pid in processes if is_alive(pid)]


def run_in_vain(port: int, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "idp.cli", "demo", "--port", str(port), "--data", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_U35_it_prints_one_address_and_three_lines_and_serves_every_site(town: Town) -> None:
    assert len(town.said) == 4
    assert re.findall(r"http\S+", "\n".join(town.said)) == [f"{town.addresses.portal}/"]
    for host in ("localhost", *(vendor.host for vendor in VENDORS)):
        answer = requests.get(f"http://{LOOPBACK}:{town.addresses.port}/", headers={"Host": f"{host}:{town.addresses.port}"}, timeout=5)
        assert answer.ok, host
    unknown = requests.get(f"http://{LOOPBACK}:{town.addresses.port}/", headers={"Host": "other.localhost"}, timeout=5)
    assert unknown.status_code == 404


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_every_process_in_good_order(town: Town, number: signal.Signals) -> None:
    processes = town.processes()
    assert len(processes) >= 5  # itself, the service, two workers, and mongod
    assert town.stop(number) == 0
    assert_all_gone(processes)  # its own database may be closing its files yet


def test_F2_no_process_is_left_after_a_kill(town: Town) -> None:
    processes = town.processes()
    assert town.stop(signal.SIGKILL) == -signal.SIGKILL
    assert_all_gone(processes)


def test_it_says_so_when_the_sign_in_service_ends_by_itself(town: Town) -> None:
    service = min(town.processes() - {town.process.pid})
    subprocess.run(["kill", "-9", str(service)], check=True)
    output, _ = town.process.communicate(timeout=_PATIENCE)
    assert town.process.returncode == 1
    assert "The sign-in service has ended." in output


def test_a_port_in_use_gives_one_clear_sentence(tmp_path: Path) -> None:
    port = free_ports(3)
    for taken in (port, port + 1, port + 2):
        with socket.create_server((LOOPBACK, taken)):
            done = run_in_vain(port, tmp_path / "data")
        assert done.returncode == 1
        assert done.stderr.startswith(f"idp: Port {taken} is in use")
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""


def test_a_second_demo_on_the_same_folder_is_refused_in_words(town: Town) -> None:
    done = run_in_vain(free_ports(3), town.folder)
    assert done.returncode == 1
    assert done.stderr.startswith(f"idp: Another demo runs on {town.folder}.")


def test_a_second_start_keeps_keys_secrets_and_who_is_signed_in(town: Town) -> None:
    browser = requests.Session()
    browser.headers["Host"] = f"idp.assoc.localhost:{town.addresses.idp_port}"
    page = f"http://{LOOPBACK}:{town.addresses.idp_port}"
    token = re.search('name="form_token" value="([^"]+)"', browser.get(f"{page}/login", timeout=5).text)
    assert token is not None
    form = {"form_token": token[1], "username": "ada", "password": "demo"}
    browser.post(f"{page}/login", data=form, timeout=10, allow_redirects=False)
    kept = [*(town.folder / "keys").glob("*.pem"), *(town.folder / "lms").glob("*.pem"), *(town.folder / "secrets").iterdir()]
    before = {file: file.read_bytes() for file in kept}
    assert len(before) == 10  # our key, our next one, the learning center's; five vendors' secrets; two that iMIS knows us by
    assert "You are signed in" in browser.get(f"{page}/", timeout=5).text
    assert town.stop() == 0
    town.start()
    assert {file: file.read_bytes() for file in kept} == before
    assert "You are signed in" in browser.get(f"{page}/", timeout=5).text


def test_the_start_page_can_switch_imis_off_and_who_is_signed_in_does_not_notice(town: Town) -> None:
    portal, page = f"http://{LOOPBACK}:{town.addresses.port}", f"http://{LOOPBACK}:{town.addresses.idp_port}"
    member, newcomer = requests.Session(), requests.Session()

    def sign_in(browser: requests.Session) -> int:
        browser.headers["Host"] = f"idp.assoc.localhost:{town.addresses.idp_port}"
        token = re.search('name="form_token" value="([^"]+)"', browser.get(f"{page}/login", timeout=5).text)
        assert token
        form = {"form_token": token[1], "username": "ada", "password": "demo"}
        return browser.post(f"{page}/login", data=form, timeout=30, allow_redirects=False).status_code

    def press(weather: str) -> None:
        token = re.search('name="token" value="([^"]+)"', requests.get(portal, timeout=5).text)
        assert token
        assert requests.post(f"{portal}/imis", data={"token": token[1], "weather": weather}, timeout=10).ok

    assert sign_in(member) == 303
    press("down")
    assert sign_in(newcomer) == 503
    assert "You are signed in" in member.get(f"{page}/", timeout=5).text
    press("none")
    assert comes_true(lambda: sign_in(requests.Session()) == 303), "the breaker may rest for a while"


def test_S70_what_is_secret_can_be_read_by_its_owner_alone(town: Town) -> None:
    secret = [town.folder / "idp.toml", *(town.folder / "secrets").iterdir(), *town.folder.rglob("*.pem")]
    assert [file for file in secret if file.stat().st_mode & 0o077] == []
    assert town.folder.stat().st_mode & 0o077 == 0


def test_addresses_are_three_ports_in_a_row() -> None:
    addresses = Addresses(8000)
    assert (addresses.portal, addresses.idp, addresses.imis) == (
        "http://localhost:8000",
        "http://idp.assoc.localhost:8001",
        "http://localhost:8002",
    )
