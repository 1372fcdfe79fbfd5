"""Every answer of the whole application carries the protecting headers, and none repeats the host that a request names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.app import create_app
from idp.audit import NullAudit
from idp.config import load
from idp.keys import KeyRing
from idp.store.sqlite import SqliteStore
from idp.web.home import health_pages

from .site import hidden_fields

URL = "https://login.assoc.example"
PUBLIC = {"/.well-known/openid-configuration", "/.well-known/oauth-authorization-server", "/oauth/jwks", "/saml/metadata"}
"""The same for everybody, and asked often: caches may keep these for a while."""
OPEN = PUBLIC - {"/saml/metadata"} | {"/jsonp/ping"}
"""Pages of other origins read these."""
CONFIG = f"""
[server]
url = "{URL}"
[directory]
kind = "people"
people = "people.toml"
[clients.rp]
name = "Community"
secret = {{ file = "secret" }}
oidc.redirect_uris = ["https://rp.example.org/cb"]
oidc.require_pkce = false
[clients.events]
url = "https://events.example.org/"
token.return_urls = ["https://events.example.org/back"]
[clients.journal]
jsonp.origins = ["https://journal.example.org"]
jsonp.expires = 2099-12-31
"""
PEOPLE = '[people.ada]\nid = "101"\npassword = "demo"\n'


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application as it runs, with a client of every kind that needs no metadata file."""
    folder = tmp_path_factory.mktemp("whole")
    for name, text in {"idp.toml": CONFIG, "people.toml": PEOPLE, "secret": "a secret of the relying party"}.items():
        (folder / name).write_text(text, encoding="utf-8")
    loaded = load(folder / "idp.toml", {})
    KeyRing(loaded.config.keys.folder).create_if_empty()
    store = SqliteStore(folder / "store.sqlite")
    yield create_app(loaded, store, audit=NullAudit())
    store.close()


def ask(app: Flask, path: str, method: str = "GET", **headers: str) -> TestResponse:
    return app.test_client().open(path, method=method, base_url=URL, headers=headers, buffered=True)


def every_path(app: Flask) -> list[str]:
    return sorted({re.sub("<[^>]*>", "site.css" if rule.endpoint == "static" else "x", rule.rule) for rule in app.url_map.iter_rules()})


def signed_in_pages(app: Flask) -> Iterator[tuple[str, TestResponse]]:
    """The pages on one member's way: sign-in, a wrong password, home, an answer, the question before signing out, and after."""
    client = app.test_client()
    login = client.get("/login", base_url=URL)
    yield "login", login
    fields = hidden_fields(login) | {"username": "ada"}
    yield "wrong", client.post("/login", base_url=URL, data={**fields, "password": "wrong"})
    yield "right", client.post("/login", base_url=URL, data={**fields, "password": "demo"})
    yield "home", client.get("/", base_url=URL)
    asked = "client_id=rp&response_type=code&scope=openid&redirect_uri=https://rp.example.org/cb&state=s&nonce=n&response_mode="
    answer = client.get(f"/oauth/authorize?{asked}query", base_url=URL)
    assert answer.location.startswith("https://rp.example.org/cb?code=")
    yield "answer", answer
    yield "posted answer", client.get(f"/oauth/authorize?{asked}form_post", base_url=URL)
    script = client.get("/jsonp/ping?client=journal&callback=f", base_url=URL, headers={"Referer": "https://journal.example.org/"})
    assert script.mimetype == "application/javascript"
    yield "script", script
    question = client.get("/logout", base_url=URL)
    yield "question", question
    ended = client.post("/logout", base_url=URL, data=hidden_fields(question))
    yield "ended", ended
    yield "after", client.get(ended.location, base_url=URL)


def missing(response: TestResponse, path: str = "") -> list[str]:
    """What is wrong with the response's headers."""
    headers = response.headers
    is_open = path in OPEN and response.status_code == 200
    policy = headers.get("Content-Security-Policy", "")
    wanted = {
        "CSP": all(each in policy for each in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'")),
        "inline": "unsafe" not in policy and " *" not in policy,
        "script": ("script-src 'nonce-" if "<script" in response.text else "script-src 'none'") in policy,
        "nosniff": headers.get("X-Content-Type-Options") == "nosniff",
        "framing": headers.get("X-Frame-Options") == "DENY",
        "referrer": headers.get("Referrer-Policy") == "no-referrer",
        "COOP": headers.get("Cross-Origin-Opener-Policy") == "same-origin",
        "CORP": headers.get("Cross-Origin-Resource-Policy") == ("cross-origin" if is_open else "same-origin"),
        "HSTS": headers.get("Strict-Transport-Security") == "max-age=31536000; includeSubDomains",
        "cache": _is_kept_rightly(response, path),
        "type": not response.data or "charset=utf-8" in headers["Content-Type"] or response.mimetype not in ("text/html", "text/plain"),
    }
    return [name for name, good in wanted.items() if not good]


def _is_kept_rightly(response: TestResponse, path: str) -> bool:
    kept = response.headers.get("Cache-Control", "")
    if response.status_code == 200 and path in PUBLIC:
        return kept == "public, max-age=300"
    if response.status_code == 200 and path.startswith("/static/"):
        return kept in ("no-cache", "no-store")  # asked again each time, by its ETag
    return kept == "no-store"


def _foreign(path: str) -> tuple[str, ...]:
    """What is another on purpose where browsers and other sites' pages fetch: tests/fedcm has its own tests of these."""
    if path == "/fedcm/frame":
        return ("CSP", "script")
    return ("CORP", "cache") if path.startswith(("/fedcm/", "/sso-check", "/.well-known/web-identity")) else ()


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
def test_G_S9_every_route_answers_every_method_with_the_headers(app: Flask, method: str) -> None:
    paths = every_path(app)
    assert len(paths) > 25, "the crawl sees the whole map"
    wrong = {}
    for path in [*paths, "/nowhere"]:
        response = ask(app, path, method)
        assert response.status_code < 500, path
        found = [each for each in missing(response, "" if method == "OPTIONS" else path) if each not in _foreign(path)]
        if found:
            wrong[path] = found
    assert wrong == {}


def test_G_S9_so_does_every_page_on_a_members_way(app: Flask) -> None:
    wrong = {name: found for name, page in signed_in_pages(app) if (found := missing(page, "/jsonp/ping" if name == "script" else ""))}
    assert wrong == {}


def test_G_S9_a_nonce_is_used_once(app: Flask) -> None:
    policies = [page.headers["Content-Security-Policy"] for name, page in [*signed_in_pages(app)] if name == "posted answer"]
    policies += [page.headers["Content-Security-Policy"] for name, page in [*signed_in_pages(app)] if name == "posted answer"]
    nonces = {re.findall("'nonce-([^']{20,})'", policy)[0] for policy in policies}
    assert len(nonces) == 2


def test_S12_the_authorization_endpoint_has_no_cors(app: Flask) -> None:
    response = ask(app, "/oauth/authorize", Origin="https://rp.example.org")
    assert not [name for name, _ in response.headers if name.startswith("Access-Control")]


NAMES = ("Host", "X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded", "X-Forwarded-Server", "X-Original-URL", "X-Forwarded-Proto")
HOSTS = ("evil.example", "login.assoc.example@evil.example", "evil.example:8443", "[::1]:evil.example", '"><script>evil.example')


@pytest.mark.parametrize("host", HOSTS)
def test_S119_V53_no_output_repeats_the_host_that_a_request_names(app: Flask, host: str) -> None:
    client = app.test_client()
    for path in [*every_path(app), "/nowhere", "/login/", "/saml//sso", "/static//site.css"]:
        for method in ("GET", "POST"):
            headers = {name: f"host={host}" if name == "Forwarded" else host for name in NAMES}
            response = client.open(path, method=method, headers=headers, buffered=True)
            assert "evil" not in f"{response.headers}{response.text}", f"{method} {path}"


def test_S119_V53_not_even_a_path_of_two_slashes(app: Flask) -> None:
    """The router's own redirect would go to the host of the request."""
    for path in ("//login", "//evil.example/login", "/oauth//authorize", "/login//"):
        response = app.test_client().get("/", headers={"Host": "evil.example"}, environ_overrides={"PATH_INFO": path})
        assert response.status_code in (200, 404)
        assert "evil" not in f"{response.headers}{response.text}"


def test_S116_the_policy_of_a_form_lets_the_answer_go_to_the_clients(app: Flask) -> None:
    """Chromium holds every redirect after a post against it: https, and plain http to applications on this machine (RFC 8252)."""
    policy = ask(app, "/login").headers["Content-Security-Policy"]
    assert "form-action 'self' https: http://127.0.0.1:* http://localhost:*;" in policy


def test_S115_without_https_there_is_no_promise_of_it(tmp_path: Path) -> None:
    for name, text in {"idp.toml": CONFIG.replace(URL, "http://localhost:8080"), "people.toml": PEOPLE, "secret": "s"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    loaded = load(tmp_path / "idp.toml", {})
    store = SqliteStore(tmp_path / "store.sqlite")
    KeyRing(loaded.config.keys.folder).create_if_empty()
    response = create_app(loaded, store, audit=NullAudit()).test_client().get("/")
    assert "Strict-Transport-Security" not in response.headers
    store.close()


def test_V59_identity_headers_mean_nothing(app: Flask) -> None:
    page = ask(app, "/", **{"X-Remote-User": "ada", "Remote-User": "ada", "X-User": "ada", "X-Forwarded-User": "ada"})
    assert "You are signed in" not in page.text


def test_F21_health_and_the_calls_of_vendors_servers_are_never_turned_away(app: Flask) -> None:
    marked = {rule.rule for rule in app.url_map.iter_rules() if hasattr(app.view_functions[rule.endpoint], "never_turned_away")}
    health, services = {"/livez", "/readyz"}, {"/service/redeem", "/service/profile", "/service/soap"}
    ats = {"/ats/<client_id>/<service>", "/ats/<client_id>/<service>/<name>"}
    assert marked == health | services | ats | {"/oauth/token", "/saml/soap"}


def test_the_health_pages_answer_without_a_word_of_what_is_inside(app: Flask) -> None:
    assert ask(app, "/livez").json == {"status": "ok"}
    assert ask(app, "/readyz").json == {"status": "ok", "problems": [], "warnings": []}


def test_F7_readyz_is_red_when_keys_or_store_are_gone(tmp_path: Path) -> None:
    bare = Flask("idp.web")
    (tmp_path / "in the way").touch()
    bare.register_blueprint(health_pages(SqliteStore(tmp_path / "in the way" / "store.sqlite"), KeyRing(tmp_path / "no keys")))
    response = bare.test_client().get("/readyz")
    problems = ["store.unavailable", "keys.unusable"]
    assert (response.status_code, response.json) == (503, {"status": "unavailable", "problems": problems, "warnings": []})
