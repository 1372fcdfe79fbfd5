"""Schemathesis reads a description of the whole HTTP surface, and sends what fits it and what does not (S121): nothing fails, and nothing
leads to a stranger. Nobody is spared: the description is made from the application's own map of URLs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from idp.app import create_app
from idp.audit import NullAudit
from idp.config import load
from idp.keys import KeyRing
from idp.secret import digest
from idp.store.sqlite import SqliteStore

from .wiring import CALLBACK, CHALLENGE, VERIFIER, asked

pytestmark = pytest.mark.long

URL = "https://login.assoc.example"
OWN = {urlsplit(each).hostname for each in (URL, CALLBACK)} | {"vendor.example.org"}
"""Our own host, and those of registered addresses."""
SECRET = "a-secret-of-every-client"
GRANTS = ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code",
          "urn:ietf:params:oauth:grant-type:token-exchange"]  # fmt: skip
CONFIG = f"""
[server]
url = "{URL}"
[directory]
kind = "people"
people = "people.toml"
[oidc]
registration = true
registration_tokens_sha256 = ["{digest(SECRET)}"]
[clients.rp]
consent = "ask"
secret_sha256 = ["{digest(SECRET)}"]
[clients.rp.oidc]
redirect_uris = ["{CALLBACK}"]
grant_types = {GRANTS}
scopes = ["openid", "profile", "email", "offline_access"]
session_management = true
response_types = ["code", "id_token", "code id_token token"]
[clients.lms]
secret_sha256 = ["{digest(SECRET)}"]
token.return_urls = ["https://vendor.example.org/back"]
token.ats.service = "wsweb"
fedcm.origins = ["https://vendor.example.org"]
[clients.journal]
secret_sha256 = ["{digest(SECRET)}"]
jsonp.origins = ["https://vendor.example.org"]
jsonp.expires = 2099-12-31
"""
PEOPLE = '[people.ada]\nid = "101"\npassword = "demo"\nemail = "ada@example.org"\n'
_TEXTS = {
    **asked(),
    "grant_type": GRANTS[0], "code_verifier": VERIFIER, "client_secret": SECRET, "redirect_uri": CALLBACK, "code_challenge": CHALLENGE,
    "prompt": "none", "max_age": "0", "claims": '{"userinfo": {"name": {"essential": true}}}', "response_mode": "form_post",
    "client": "lms", "return": "https://vendor.example.org/back", "callback": "f", "passive": "1", "username": "ada", "password": "demo",
    "SAMLRequest": "fZFBa8MwDIX", "RelayState": "r", "decision": "allow", "answer": "agree", "format": "json",
}  # fmt: skip
_ANYTHING = ("code", "token", "access_token", "refresh_token", "id_token_hint", "request", "request_uri", "device_code", "user_code",
             "client_assertion", "subject_token", "form_token", "post_logout_redirect_uri", "ticket", "login_hint")  # fmt: skip
FIELDS: dict[str, dict[str, Any]] = {
    **{name: {"anyOf": [{"enum": [value]}, {"type": "string", "maxLength": 200}]} for name, value in _TEXTS.items()},
    **{name: {"type": "string", "maxLength": 400} for name in _ANYTHING},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """The application as it runs, with clients of several kinds."""
    folder: Path = tmp_path_factory.mktemp("surface")
    for name, text in {"idp.toml": CONFIG, "people.toml": PEOPLE}.items():
        (folder / name).write_text(text, encoding="utf-8")
    loaded = load(folder / "idp.toml", {})
    KeyRing(loaded.config.keys.folder).create_if_empty()
    store = SqliteStore(folder / "store.sqlite")
    yield create_app(loaded, store, audit=NullAudit())
    store.close()


@pytest.fixture(scope="module")
def cookies(app: Flask) -> str:
    """Those of a browser in which a member has signed in."""
    client = app.test_client()
    token = re.search(r'name="form_token" value="([^"]*)"', client.get("/login", base_url=URL).text)
    assert token
    form = {"username": "ada", "password": "demo", "form_token": token[1]}
    response = client.post("/login", base_url=URL, data=form)
    assert response.status_code == 303, response.text
    names = ("__Host-idp_browser", "__Host-idp_session")
    kept = {name: client.get_cookie(name, domain="login.assoc.example") for name in names}
    return "; ".join(f"{name}={cookie.value}" for name, cookie in kept.items() if cookie)


def description_of(app: Flask) -> dict[str, Any]:
    """OpenAPI 3: each URL, each of its methods, and all parameters that some URL of ours knows."""
    paths: dict[str, Any] = {}
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        in_path = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in sorted(rule.arguments)]
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            paths.setdefault(path, {})[method.lower()] = _operation(in_path, has_body=method in ("POST", "PUT"))
    return {"openapi": "3.0.3", "info": {"title": "the surface", "version": "1"}, "paths": paths}


def _operation(in_path: list[dict[str, Any]], *, has_body: bool) -> dict[str, Any]:
    answers = {"default": {"description": "an answer or a refusal"}}
    if not has_body:
        in_query = [{"name": name, "in": "query", "schema": schema} for name, schema in FIELDS.items()]
        return {"parameters": [*in_path, *in_query], "responses": answers}
    whole = {"schema": {"type": "object", "properties": FIELDS}}
    kinds = {"application/x-www-form-urlencoded": whole, "application/json": whole, "multipart/form-data": whole}
    return {"parameters": in_path, "requestBody": {"content": kinds}, "responses": answers}


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Authorization": st.sampled_from(["Bearer x.y.z", f"Bearer {SECRET}", "Basic cnA6YS1zZWNyZXQtb2YtZXZlcnktY2xpZW50", "DPoP x"]),
        "DPoP": st.just("x.y.z"),
        "Origin": st.sampled_from(["null", "https://vendor.example.org"]),
        "Referer": st.just("https://vendor.example.org/"),
        "Accept": st.sampled_from(["application/json", "text/html", "application/token-introspection+jwt"]),
        "Sec-Fetch-Dest": st.just("webidentity"),
    },
)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["as-described", "otherwise"])
def test_S121_schemathesis_finds_no_failure_on_the_whole_surface(app: Flask, cookies: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_dict(description_of(app))
    schema.app = app
    asked_of = []
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()

        @settings(max_examples=6, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy(generation_mode=mode), headers=HEADERS, signed_in=st.booleans())
        def survives(case: schemathesis.Case[Any], headers: dict[str, str], signed_in: bool) -> None:
            response = case.call(base_url=URL, headers={**headers, **({"Cookie": cookies} if signed_in else {})})
            assert response.status_code < 500, f"{case.method} {case.formatted_path}: {response.text}"
            target = (response.headers.get("location") or [URL])[0]
            assert urlsplit(target).hostname in {*OWN, None}, f"{case.method} {case.formatted_path} leads to {target}"

        survives()
        asked_of.append(operation.label)
    assert {"GET /oauth/authorize", "POST /oauth/token", "GET /oauth/session", "POST /login"} <= set(asked_of)
    assert len(asked_of) > 60


@pytest.mark.parametrize("path", ["/token/signon", "/ats/lms/wsweb.asmx/GetBridgeSettings", "/oauth/token", "/login"])
def test_S121_parts_of_a_form_without_a_name_are_no_failure(app: Flask, path: str) -> None:
    """What Schemathesis found: for such a part werkzeug says None. (The face of ATS tells errors as ASMX does, by 500 and a sentence.)"""
    body = "".join(f"--x\r\nContent-Disposition: form-data\r\n\r\n{value}\r\n" for value in "ab") + "--x--\r\n"
    client = app.test_client()
    for sent in (body, body.partition("a\r\n")[0] + "a\r\n--x--\r\n"):
        response = client.post(path, base_url=URL, data=sent, content_type="multipart/form-data; boundary=x")
        assert response.status_code in (200, 400, 401) or "request.parameter_repeated" in response.text, response.text
