"""Whatever comes in, the answer is an OAuth error or our own page: never a failure of ours, never a redirect to a stranger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from .wiring import CALLBACK, SIGNED_OUT, URL, VERIFIER, Visitor, World, asked, make_client

FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
NAMES = [*asked(), "prompt", "max_age", "claims", "id_token_hint", "login_hint", "response_mode", "request", "request_uri",
       "registration", "display",
         "ui_locales", "claims_locales", "acr_values", "code", "grant_type", "code_verifier", "client_secret", "token", "access_token",
         "post_logout_redirect_uri", "resource"]  # fmt: skip
ODD = ["", " ", "\x00", "%", "+", "none", "none login", "0", "-1", "9" * 5000, "{}", "[]", "null",
       '{"userinfo": {"sub": {"value": "\\ud800"}}}', "[" * 9000,
       '{"id_token": {"sub": {"value": "\\ud800"}}}', '{"userinfo": {"\\ud800": null}}', "a.b.c", "e30.e30.e30", "openid openid",
       "\ud7ff", "\U0001f600" * 600,
       "urn:x", "query.jwt", "form_post", "code", "S256", "authorization_code", VERIFIER, "rp", CALLBACK, SIGNED_OUT,
       "offline_access openid"]  # fmt: skip
values = st.one_of(st.sampled_from(ODD), st.text(max_size=40), st.sampled_from(list(asked().values())))
changes = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
raw = st.binary(max_size=60).map(lambda octets: quote(octets, safe="&=%+;"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("garbage")
    made = World(folder, [make_client(post_logout_redirect_uris=(SIGNED_OUT,)), make_client("spa", public=True)])
    yield made
    made.store.close()


@pytest.fixture(scope="module")
def browser(world: World) -> Visitor:
    return world.signed_in()


def is_sound(response: TestResponse) -> bool:
    target = urlsplit(response.location or URL)
    return response.status_code < 500 and f"{target.scheme}://{target.netloc}" in (URL, "https://rp.example.org")


@FEW
@given(changed=changes, tail=raw, post=st.booleans())
def test_the_authorization_endpoint_survives_anything(browser: Visitor, changed: dict[str, str], tail: str, post: bool) -> None:
    text = f"{urlencode({**asked(), **changed})}&{tail}"
    form = "application/x-www-form-urlencoded"
    response = browser.post("/oauth/authorize", data=text, content_type=form) if post else browser.get(f"/oauth/authorize?{text}")
    assert is_sound(response), response.text


@FEW
@given(changed=changes, tail=raw, authorization=st.one_of(st.none(), values.filter(lambda text: "\n" not in text and "\r" not in text)))
@pytest.mark.parametrize("path", ["token", "userinfo", "revoke", "introspect"])
def test_the_machine_endpoints_survive_anything(
    world: World, path: str, changed: dict[str, str], tail: str, authorization: str | None
) -> None:
    own = {
        "grant_type": "authorization_code",
        "code": "x",
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        "client_id": "rp",
        "client_secret": "rp-secret",
    }
    headers = {} if authorization is None else {"Authorization": authorization.encode().decode("latin-1")}
    body = f"{urlencode({**own, **changed})}&{tail}"
    response = world.machine().post(
        f"/oauth/{path}", base_url=URL, data=body, headers=headers, content_type="application/x-www-form-urlencoded"
    )
    assert response.status_code in (200, 400, 401, 413), response.text
    assert response.content_type == "application/json"


@FEW
@given(changed=changes, tail=raw, post=st.booleans())
def test_the_logout_endpoint_survives_anything(browser: Visitor, changed: dict[str, str], tail: str, post: bool) -> None:
    text = f"{urlencode(changed)}&{tail}"
    form = "application/x-www-form-urlencoded"
    response = browser.post("/oauth/logout", data=text, content_type=form) if post else browser.get(f"/oauth/logout?{text}")
    assert is_sound(response), response.text


def test_too_much_of_anything_is_refused(world: World) -> None:
    for path in ("authorize", "token", "logout"):
        for body in ("a=b&" * 101, "a=" + "b" * 70_000):
            response = world.machine().post(f"/oauth/{path}", base_url=URL, data=body, content_type="application/x-www-form-urlencoded")
            assert response.status_code in (400, 413)
