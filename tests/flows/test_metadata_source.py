"""Metadata that a real server fetches: by which process, how often, and that every worker then has them."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.bare_browser import BareBrowser, saml_path
from tests.saml.publisher import DAY, Publisher, aggregate_of
from tests.saml.wiring import key_of
from tests.server import IDP, SP_METADATA, Server

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]

FEDERATION = """
[saml.federation.edu]
url = "{url}/all"
certificate = "federation.pem"
members = "all"
release = ["email"]
"""
ACS = "https://sp.example.org/acs"


def edition(*entities: str) -> bytes:
    return aggregate_of(key_of("federation"), entities, valid_until=int(time.time()) + 7 * DAY)


@pytest.fixture(scope="module")
def publisher() -> Iterator[Publisher]:
    running = Publisher()
    running.pages["/all"] = edition(SP_METADATA)
    running.pages["/own"] = SP_METADATA.replace("sp.example.org", "own.example.org").encode()
    yield running
    running.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, publisher: Publisher) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    pem = f"-----BEGIN CERTIFICATE-----\n{key_of('federation').certificate_base64}\n-----END CERTIFICATE-----\n"
    (folder / "federation.pem").write_text(pem)
    running = Server(folder, workers=3, more=FEDERATION.format(url=publisher.url))
    yield running
    running.stop()


def status_of(server: Server, path: str) -> int:
    """Of a new connection, which falls on any of the workers."""
    return BareBrowser(server.port).ask("GET", path)[0]


def wait_until_known(server: Server, path: str) -> None:
    deadline = time.monotonic() + 30
    while status_of(server, path) != 302 and time.monotonic() < deadline:
        time.sleep(0.1)


def test_IIP_MD02_a_running_server_fetches_a_federation_by_itself_once_and_every_worker_knows_its_members(
    server: Server, publisher: Publisher
) -> None:
    wait_until_known(server, saml_path(server.url))
    assert {status_of(server, saml_path(server.url)) for _ in range(24)} == {302}
    assert [path for path, _ in publisher.asked].count("/all") == 1
    browser = BareBrowser(server.port)
    assert f'action="{ACS}"' in browser.sign_in(browser.ask("GET", saml_path(server.url))[1])


def test_two_commands_at_once_fetch_once(server: Server, publisher: Publisher) -> None:
    wait_until_known(server, saml_path(server.url))
    begun, go_on = threading.Event(), threading.Event()
    body = edition(SP_METADATA)

    def slow(handler: BaseHTTPRequestHandler) -> None:
        begun.set()
        go_on.wait(30)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    before = len(publisher.asked)
    publisher.pages["/all"] = slow
    command = [*IDP, "clients", "refresh", "edu", "--json", "--config", str(server.folder / "idp.toml")]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert begun.wait(30)
    second = server.command("clients", "refresh", "edu")
    go_on.set()
    said = json.loads(first.communicate(timeout=30)[0].splitlines()[-1])
    states = [each["refreshed"][0]["state"] for each in (said, second)]
    assert states == ["applied", "busy"]
    assert len(publisher.asked) - before == 1


def own_path(server: Server) -> str:
    return f"/saml/start?sp={quote('https://own.example.org/metadata', safe='')}"


def answered_at(server: Server, place: str) -> bool:
    browser = BareBrowser(server.port)
    return f'action="{place}"' in browser.sign_in(browser.ask("GET", own_path(server))[1])


def test_eGov_016_a_change_is_staged_shown_accepted_and_then_known_to_every_worker(server: Server, publisher: Publisher) -> None:
    added = server.command(
        "clients", "add", "saml", "--metadata", f"{publisher.url}/own", "--follow", "--idp-initiated", "--id", "own"
    )  # fmt: skip
    assert added["entity_id"] == "https://own.example.org/metadata"
    wait_until_known(server, own_path(server))
    publisher.pages["/own"] = SP_METADATA.replace("sp.example.org", "own.example.org").replace("/acs", "/new").encode()
    refreshed = server.command("clients", "refresh", "own")["refreshed"][0]
    assert refreshed["state"] == "staged"
    assert server.command("clients", "diff", "own")["changes"] == refreshed["lines"]
    assert any("idp clients accept own" in each["detail"] for each in server.command("check")["advice"])
    assert answered_at(server, "https://own.example.org/acs"), "what is staged does not act"
    server.command("clients", "accept", "own")
    deadline = time.monotonic() + 20
    while not answered_at(server, "https://own.example.org/new") and time.monotonic() < deadline:
        time.sleep(0.1)
    time.sleep(2.5)  # the other workers look every two seconds
    assert all(answered_at(server, "https://own.example.org/new") for _ in range(12))


def test_what_cannot_be_fetched_is_not_added(server: Server, publisher: Publisher, tmp_path: Path) -> None:
    command = [*IDP, "clients", "add", "saml", "--metadata", f"{publisher.url}/none", "--follow", "--id", "none", "--json"]
    done = subprocess.run([*command, "--config", str(server.folder / "idp.toml")], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout.splitlines()[-1])["error"] == "saml.metadata_refused"
    assert "none" not in [each["id"] for each in server.command("clients", "list")["clients"]]


def test_metadata_may_be_pasted(server: Server) -> None:
    command = [*IDP, "clients", "add", "saml", "--metadata", "-", "--entity-id", "https://two.example.org/metadata", "--json"]
    pasted = edition(*(SP_METADATA.replace("sp.example.org", f"{name}.example.org") for name in ("one", "two"))).decode()
    done = subprocess.run(
        [*command, "--config", str(server.folder / "idp.toml")], input=pasted, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert json.loads(done.stdout.splitlines()[-1])["entity_id"] == "https://two.example.org/metadata", done.stderr


def test_a_named_member_of_a_federation_is_added_by_its_name(server: Server) -> None:
    wait_until_known(server, saml_path(server.url))
    added = server.command("clients", "add", "saml", "--federation", "edu", "--entity-id", "https://sp.example.org/metadata", "--id", "sp")
    assert added["entity_id"] == "https://sp.example.org/metadata"
