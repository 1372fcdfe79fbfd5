"""Spans on the real server: a member's way through all of it, told to a real collector; what is never told; and who is not hurt by it."""

from __future__ import annotations

import base64
import html
import http.client
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from idp.clock import utc_now
from idp.secret import digest
from tests.bare_browser import REDIRECT_URI, BareBrowser, Relying, saml_path
from tests.flows.collector import Collector, collecting
from tests.port import free_port
from tests.server import IDP, PEOPLE, Server
from tests.simulated_imis import SERVICE, simulated_imis

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("server")]

CLIENTS = """
[clients.lms.saml]
metadata = "sp.xml"
[clients.rp]
secret_sha256 = ["{digest}"]
[clients.rp.oidc]
redirect_uris = ["{redirect_uri}"]
[clients.shop.token]
return_urls = ["https://shop.example.org/in"]
logout_url = "{vendor}/shop/canary-of-the-path?canary-of-the-query"
"""
ACCOUNT = f'''
[[people]]
id = "9001"
username = "{SERVICE}"
password = "demo"
roles = ["RemoteService", "SysAdmin"]
'''
CANARIES = ("canary-user-name", "canary-password", "canary-of-the-path", "canary-of-the-query", "canary-agent", "canary-state")
TRACE = "0af7651916cd43dd8448eb211c80319c"


@dataclass
class Life:
    """What a member did, and all that must not be told of it."""

    collector: Collector
    server: Server
    secrets: set[str] = field(default_factory=set)
    request: str = ""
    reference: str = ""

    def live(self) -> None:
        browser = BareBrowser(self.server.port)
        self._try_in_vain(browser)
        page = browser.sign_in(browser.ask("GET", saml_path(self.server.url))[1])
        self._note_assertion(html.unescape(_found(r'name="SAMLResponse" value="([^"]+)"', page)))
        relying = Relying(browser, "rp-secret")
        location = browser.ask("GET", relying.authorize_path())[1]
        relying.finish(location)
        self.secrets |= {parse_qs(urlsplit(location).query)["code"][0], *relying.tokens, *relying.credentials.values()}
        self.secrets |= {value for value in browser.cookie_values() if value}
        self.secrets.add(_found(r'name="token" value="([^"]+)"', browser.ask("GET", "/token/signon?client=shop")[2]))
        self._ask_with_headers()
        browser.ask("GET", "/signon/canary-of-the-path?code=canary-of-the-query")
        browser.ask("GET", "/nowhere/canary-of-the-path?canary-of-the-query=1")
        browser.ask("CANARY-OF-THE-PATH", "/login")
        browser.ask("GET", "/readyz")
        form_token = _found(r'name="form_token" value="([^"]*)"', browser.ask("GET", "/logout")[2])
        browser.ask("POST", "/logout", urlencode({"form_token": form_token}))

    def _try_in_vain(self, browser: BareBrowser) -> None:
        fields = dict(re.findall(r'name="(form_token|request)" value="([^"]*)"', browser.ask("GET", "/login")[2]))
        fields |= {"username": "canary-user-name", "password": "canary-password"}
        assert browser.ask("POST", "/login", urlencode(fields))[0] == 401

    def _note_assertion(self, response: str) -> None:
        self.secrets |= {response, _found("<(?:[a-z0-9]+:)?NameID[^>]*>([^<]+)<", base64.b64decode(response).decode())}

    def _ask_with_headers(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        strange = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "a=canary-state", "User-Agent": "canary-agent"}
        connection.request("GET", "/oauth/authorize?client_id=unknown", headers={**strange, "Cookie": "idp_session=canary-state"})
        answer = connection.getresponse()
        self.request = answer.headers["X-Request-ID"]
        self.reference = _found(r"\b([2-9A-Z]{4}-[2-9A-Z]{4})\b", answer.read().decode())
        connection.close()


@pytest.fixture(scope="module")
def life(mongod: Path, tmp_path_factory: pytest.TempPathFactory) -> Life:
    """All told: the server has stopped, and sent what lay there. The environment goes over the file's directory."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "imis").write_text("demo")
    (folder / "association.toml").write_text(PEOPLE + ACCOUNT)
    with (
        collecting() as collector,
        simulated_imis(folder / "association.toml", now=utc_now) as imis,
        pytest.MonkeyPatch.context() as environment,
    ):
        keys = {"kind": "imis-rest", "site_url": imis.url, "allow_http": "true", "service_username": SERVICE}
        for name, value in {**keys, "service_password": '{ file = "imis" }'}.items():
            environment.setenv(f"IDP_DIRECTORY_{name.upper()}", value)
        environment.setenv("IDP_TELEMETRY_ENDPOINT", f"{collector.url}/")
        clients = CLIENTS.format(digest=digest("rp-secret"), redirect_uri=REDIRECT_URI, vendor=collector.url)
        living = Life(collector, Server(folder, workers=2, more=clients))
        try:
            living.live()
        finally:
            assert living.server.stop() == 0
    return living


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found, text
    return found[1]


def test_a_request_is_a_span_with_its_route_and_status(life: Life) -> None:
    statuses = {
        (span.name, span.known["http.route"], span.known["http.response.status_code"])
        for span in life.collector.spans()
        if "http.route" in span.known
    }
    for expected in (
        ("GET /saml/sso", "/saml/sso", 302),
        ("POST /login", "/login", 401),
        ("POST /login", "/login", 303),
        ("GET /oauth/authorize", "/oauth/authorize", 302),
        ("POST /oauth/token", "/oauth/token", 200),
        ("GET /oauth/userinfo", "/oauth/userinfo", 200),
    ):
        assert expected in statuses


def test_a_path_with_an_id_is_told_by_its_template_and_one_without_a_route_not_at_all(life: Life) -> None:
    signons = life.collector.requests("GET /signon/<request_id>")
    (unknown,) = life.collector.requests("GET")
    assert {(span.known["http.route"], span.known["http.response.status_code"]) for span in signons} == {
        ("/signon/<request_id>", 200),
        ("/signon/<request_id>", 400),
    }
    assert unknown.known["http.response.status_code"] == 404
    assert "http.route" not in unknown.known
    assert life.collector.requests("_OTHER"), "a method that nobody knows is not told either"


def test_the_span_has_the_request_id_of_the_log_and_the_reference_number_of_the_page(life: Life) -> None:
    (refused,) = [span for span in life.collector.spans() if span.known.get("idp.request") == life.request]
    assert refused.known["idp.reference"] == life.reference
    events = [json.loads(line) for line in life.server.log().splitlines() if f'"{life.reference}"' in line]
    assert [(event["request"], event["cause"]) for event in events] == [(life.request, refused.known["idp.cause"])]


def test_S119_a_stranger_cannot_put_his_request_into_a_trace(life: Life) -> None:
    assert TRACE not in {span.trace for span in life.collector.spans()}


def test_a_request_shows_what_it_waited_for_in_the_store(life: Life) -> None:
    (exchange,) = life.collector.requests("POST /oauth/token")
    stores = {span.known["db.mongodb.collection"] for span in life.collector.within(exchange) if span.name.startswith("idp.")}
    assert {"code", "session", "token"} <= stores


def test_a_login_shows_what_it_asked_imis(life: Life) -> None:
    (login,) = [span for span in life.collector.requests("POST /login") if span.known["http.response.status_code"] == 303]
    asked = {span.name: span.known for span in life.collector.within(login) if "server.address" in span.known}
    assert {"ValidateUser of UserSecurity", "GET /api/Party/ID"} <= set(asked)
    assert asked["GET /api/Party/ID"] == {"server.address": "127.0.0.1", "http.response.status_code": 200}


def test_a_logout_shows_whom_it_told_and_these_get_no_trace_id(life: Life) -> None:
    told = [span for request in life.collector.requests("POST /logout") for span in life.collector.within(request) if span.name == "POST"]
    assert [span.known for span in told] == [{"server.address": "127.0.0.1", "http.response.status_code": 200}]
    ((path, headers),) = life.collector.elsewhere
    assert path.startswith("/shop/")
    assert not {"traceparent", "tracestate", "baggage"} & set(headers)


def test_each_worker_names_itself_and_probes_and_duties_are_not_told(life: Life) -> None:
    spans = life.collector.spans()
    assert {span.of["service.name"] for span in spans} == {"imis-idp"}
    assert all(re.search(r"-\d+$", str(span.of["service.instance.id"])) for span in spans)
    assert not [span for span in spans if "/readyz" in span.name]
    assert not [span for span in spans if span.kind == "client" and not span.parent]


def test_G_S10_nothing_secret_and_nobodys_name_is_in_what_leaves(life: Life) -> None:
    octets = b"".join(life.collector.bodies).lower()
    assert len(life.secrets) > 6
    hidden = {*life.secrets, *CANARIES, "ada@", "ada example"}
    assert [text for text in sorted(hidden) if text.lower().encode() in octets] == []
    assert all(span.bare for span in life.collector.spans())


ALLOWED = {"http.request.method", "http.route", "http.response.status_code", "server.address", "error.type"}
ALLOWED |= {"idp.request", "idp.reference", "idp.cause", "db.system", "db.name", "db.mongodb.collection"}


def test_no_other_attribute_leaves_than_those_that_are_known_to_hold_nothing(life: Life) -> None:
    assert {name for span in life.collector.spans() for name in span.known} <= ALLOWED


def test_a_trusted_proxy_says_which_trace_a_request_belongs_to_and_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of its own requests the server tells none here."""
    with collecting() as collector:
        monkeypatch.setenv("IDP_SERVER_TRUSTED_PROXIES", '["127.0.0.1"]')
        server = Server(tmp_path, more=f'[telemetry]\nendpoint = "{collector.url}"\nshare = 0\nservice = "sign-in"')
        for address, path in (("127.0.0.1", "/login"), ("127.0.0.2", "/logout")):
            _get(server, address, path, {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "tracestate": "a=b"})
        _get(server, "127.0.0.1", "/login", {})
        assert server.stop() == 0
        (told,) = [span for span in collector.spans() if span.kind == "server"]
    assert (told.name, told.trace, told.parent, told.bare) == ("GET /login", TRACE, "b7ad6b7169203331", True)
    assert told.of["service.name"] == "sign-in"


def _get(server: Server, address: str, path: str, headers: dict[str, str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, source_address=(address, 0))
    connection.request("GET", path, headers=headers)
    connection.getresponse().read()
    connection.close()


def test_while_the_collector_is_away_members_sign_in_and_the_log_says_it_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")  # milliseconds: it tries again and again
    server = Server(tmp_path, more=f'[telemetry]\nendpoint = "http://127.0.0.1:{free_port()}"')
    for _ in range(10):
        browser = BareBrowser(server.port)
        browser.sign_in("/login")
        assert "You are signed in" in browser.ask("GET", "/")[2]
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    assert [line["level"] for line in lines if line.get("logger", "").startswith("opentelemetry")] == ["WARNING"]
    assert "Traceback" not in server.log()


BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "opentelemetry":
            print("ASKED FOR " + name, file=sys.stderr, flush=True)
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder; in processes begun from now on the libraries are not there."""
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "sitecustomize.py").write_text(BLOCKER)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "block"), str(Path(__file__).parents[2])]))
    return tmp_path


def test_without_the_setting_no_process_of_the_server_asks_for_the_libraries(without_the_extra: Path) -> None:
    server = Server(without_the_extra)
    browser = BareBrowser(server.port)
    browser.sign_in("/login")
    assert "You are signed in" in browser.ask("GET", "/")[2]
    server.stop()
    assert "ASKED FOR" not in server.log()


def test_with_the_setting_and_without_the_libraries_the_start_says_what_to_install(without_the_extra: Path) -> None:
    Server(without_the_extra).stop()
    with open(without_the_extra / "idp.toml", "a") as file:
        file.write('[telemetry]\nendpoint = "http://127.0.0.1:4318"\n')
    run = [*IDP, "run", "--config", str(without_the_extra / "idp.toml")]
    done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert 'pip install "imis-idp[telemetry]"' in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
