"""Hazards of pyop (H) and hostile input (S, V) of which no other test speaks."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from werkzeug.test import TestResponse

from idp.keys import KeyRing
from idp.protocols.oidc.registration.document import RegistrationRefused, read_registration
from idp.protocols.oidc.settings import OidcSettings

from .conftest import MakeWorld
from .holder import Holder
from .wiring import CALLBACK, URL, VERIFIER, World, answer, asked, make_client, packed, unsigned

REFRESHING: dict[str, Any] = {"grant_types": ("authorization_code", "refresh_token"), "tokens": {"refresh_with_session": True}}
FORM = "application/x-www-form-urlencoded"


def test_H5_a_refresh_works_when_the_access_token_has_long_been_swept(make_world: MakeWorld) -> None:
    world = make_world(make_client(**REFRESHING))
    tokens = world.signed_in().tokens()
    world.protocol.desk.tokens.withdraw(tokens["access_token"])
    form = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    assert world.machine().post("/oauth/token", base_url=URL, data=form, auth=("rp", "rp-secret")).status_code == 200


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "None"}, {"alg": "NONE", "typ": "JWT"}])
def test_H7_an_unsigned_request_object_is_refused(make_world: MakeWorld, header: dict[str, str]) -> None:
    world = make_world(make_client(jwks=Holder().jwks))
    token = f"{packed(header)}.{packed({**asked(), 'iss': 'rp', 'aud': URL})}."
    assert answer(world.signed_in().ask(request=token))["error"] in ("request_not_supported", "invalid_request_object")


@pytest.mark.parametrize(
    "changes", [{"max_age": "abc"}, {"claims": "not-json"}, {"prompt": "login none"}, {"request_uri": "https://x.example"}]
)
def test_H9_what_cannot_be_obeyed_is_told_to_the_client(world: World, changes: dict[str, str]) -> None:
    assert answer(world.signed_in().ask(**changes))["error"].startswith(("invalid_request", "request_uri_not_supported"))


def test_H10e_a_client_that_registers_without_a_secret_is_public_and_works(make_world: MakeWorld) -> None:
    document = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    world = make_world(make_client("app", **read_registration(document).settings))
    code = world.signed_in().code(client_id="app")
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER, "client_id": "app"}
    assert world.machine().post("/oauth/token", base_url=URL, data=form).status_code == 200


@pytest.mark.parametrize("name", ["id_token_signed_response_alg", "userinfo_signed_response_alg"])
def test_H16_nothing_is_issued_unsigned_or_under_a_shared_secret(name: str) -> None:
    for algorithm in ("none", "None", "HS256"):
        unsafe: dict[str, Any] = {name: algorithm}
        with pytest.raises(ValidationError):
            OidcSettings(redirect_uris=(CALLBACK,), **unsafe)


def test_H17_jwkest_never_signs(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ECDSA takes the nonce from a generator that can be foreseen."""
    monkeypatch.setattr("jwkest.jws.JWS.sign_compact", None)
    keys: KeyRing = world.keys
    keys.publish("p-256")
    keys.activate("p-256")
    assert world.signed_in().tokens()["id_token"]


def test_H18_an_issuer_without_tls_serves_on_this_machine(make_world: MakeWorld) -> None:
    world = make_world(make_client(), url="http://127.0.0.1:8000")
    assert json.loads(world.protocol.documents.discovery)["issuer"] == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uris": ["javascript:alert(1)"]},
        {"initiate_login_uri": "http://rp.example.org/start"},
        {"grant_types": ["authorization_code", "password"]},
        {"request_object_encryption_alg": "RSA-OAEP"},
    ],
)
def test_H19_a_registration_that_cannot_be_honoured_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((RegistrationRefused, ValidationError)):
        OidcSettings(**read_registration({"redirect_uris": [CALLBACK], **change}).settings)


def test_H20_S3_redirect_uris_are_a_list() -> None:
    with pytest.raises(ValidationError):
        OidcSettings(redirect_uris=CALLBACK)  # type: ignore[arg-type]


def test_H23_discovery_names_nothing_that_is_not_there(world: World) -> None:
    told = json.loads(world.protocol.documents.discovery)
    assert "version" not in told
    assert "implicit" not in told["grant_types_supported"]
    assert told["response_types_supported"] == ["code"]


def test_H24_a_code_is_a_reference_and_holds_nothing(world: World) -> None:
    code = world.signed_in().code()
    flipped = code[:-1] + ("A" if code[-1] != "A" else "B")
    assert world.exchange(flipped).get_json()["error"] == "invalid_grant"
    assert world.exchange("").get_json()["error"] == "invalid_request"


TRICKS = [
    "https://rp.example.org",
    "https://rp.example.org/",
    "https://rp.example.org/cb/",
    "https://rp.example.org/cb/..",
    "https://rp.example.org/cb/../cb",
    "https://rp.example.org/%63b",
    "https://rp.example.org/cb%00",
    "https://rp.example.org/cb%0d%0aLocation:x",
    "https://rp.example.org/cb?",
    "https://rp.example.org/cb?x=1",
    "https://rp.example.org/cb#",
    "https://rp.example.org/cb#x",
    "https://rp.example.org/cb;x",
    "https://rp.example.org/CB",
    "https://RP.example.org/cb",
    "HTTPS://rp.example.org/cb",
    "http://rp.example.org/cb",
    "https://rp.example.org:443/cb",
    "https://rp.example.org./cb",
    "https://rp.example.org.evil.example/cb",
    "https://rp.example.org@evil.example/cb",
    "https://evil.example/https://rp.example.org/cb",
    "https://evil.example\\@rp.example.org/cb",
    "https:\\\\rp.example.org\\cb",
    "//rp.example.org/cb",
    "\thttps://rp.example.org/cb",
    "https://rp.example.org/cb ",
    "https://rp.example.org/cb\u200b",
    "https://rp\u3002example.org/cb",
    "javascript:location='https://rp.example.org/cb'",
]


@pytest.mark.parametrize("uri", TRICKS)
def test_S1_V30_V31_V33_the_address_is_compared_as_it_stands_where_it_is_pushed_and_where_the_code_is_exchanged(
    world: World, uri: str
) -> None:
    pushed = world.machine().post("/oauth/par", base_url=URL, data=asked(redirect_uri=uri), auth=("rp", "rp-secret"))
    assert pushed.status_code == 400
    assert world.exchange(world.signed_in().code(), redirect_uri=uri).get_json()["error"] == "invalid_grant"


@pytest.mark.parametrize("name", sorted(asked()))
def test_S15_a_repeated_parameter_is_refused_wherever_it_comes(world: World, name: str) -> None:
    twice = f"{urlencode(asked())}&{urlencode({name: asked()[name]})}"
    response = world.signed_in().get(f"/oauth/authorize?{twice}")
    assert response.status_code == 400 or answer(response)["error"] == "invalid_request"
    pushed = world.machine().post("/oauth/par", base_url=URL, data=twice, content_type=FORM, auth=("rp", "rp-secret"))
    assert (pushed.status_code, pushed.get_json()["error"]) == (400, "invalid_request")


BAD_HEADERS: list[dict[str, Any]] = [
    {"crit": ["typ"], "typ": "JWT"},
    {"crit": []},
    {"crit": ["b64"], "b64": False},
    {"jku": "https://evil.example/jwks"},
    {"x5u": "https://evil.example/cert"},
    {"zip": "DEF"},
]


@pytest.mark.parametrize("header", BAD_HEADERS, ids=str)
def test_S35_S36_V44_nothing_in_a_header_of_an_assertion_leads_us_anywhere(make_world: MakeWorld, header: dict[str, Any]) -> None:
    """What must be understood and is not spoils it; an address of keys is not looked at: the client's own keys count."""
    holder, stranger = Holder("ES256"), Holder("ES256", "k1")
    world = make_world(make_client(jwks=holder.jwks, token_endpoint_auth_method="private_key_jwt"))
    assert status_of(world, stranger.assertion(world, header=header)) == 401
    assert world.web.asked == []
    if "crit" in header:
        assert status_of(world, holder.assertion(world, name="two", header=header)) in (400, 401)


def status_of(world: World, assertion: str) -> int:
    form = {"client_assertion": assertion, "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    return world.machine().post("/oauth/introspect", base_url=URL, data={"token": "x", **form}).status_code


@pytest.mark.parametrize("audience", [[URL], [URL, "https://other.example"], {"a": 1}, None, "", f"{URL}/", "https://other.example"])
def test_V50_an_assertion_is_for_us_alone_and_says_so_in_one_text(make_world: MakeWorld, audience: Any) -> None:
    holder = Holder("ES256")
    world = make_world(make_client(jwks=holder.jwks, token_endpoint_auth_method="private_key_jwt"))
    assert status_of(world, holder.assertion(world, aud=audience)) == 401
    assert status_of(world, holder.assertion(world, name="two")) == 200


@pytest.mark.parametrize("size", [8_000, 20_000, 60_000])
def test_S35_V45_a_huge_token_is_refused_wherever_it_is_read(world: World, size: int) -> None:
    browser = world.signed_in()
    token = unsigned(browser.tokens()["id_token"], header={"alg": "RS256", "kid": world.keys.current.kid, "x": "y" * size}) + "AAAA"
    assert answer(browser.ask(id_token_hint=token)).get("error") in ("invalid_request", None)
    assert world.userinfo(token).status_code == 401
    assert status_of(world, token) in (400, 401, 413)


def test_S13_no_page_of_ours_can_be_framed(world: World) -> None:
    for response in (world.browser().ask(), world.browser().ask(redirect_uri="https://evil.example/"), world.signed_in().get("/logout")):
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


words = st.one_of(
    st.text(max_size=30), st.sampled_from(["", "rp", URL, CALLBACK, "none", "\x00", "e30.e30.e30", "{}", "[" * 500, "9" * 400])
)
NAMES = (*asked(), "request", "request_uri", "claims", "token", "code", "refresh_token", "grant_type", "client_secret", "device_code",
         "client_assertion", "client_assertion_type", "subject_token", "subject_token_type", "user_code", "device", "decision", "resource",
         "dpop_jkt", "answer", "client", "form_token", "username", "password")  # fmt: skip
FIELDS = st.dictionaries(st.one_of(st.sampled_from(NAMES), words), words, max_size=6)
GRANTS = ("authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code",
          "urn:ietf:params:oauth:grant-type:token-exchange")  # fmt: skip


HEADERS: list[dict[str, str]] = [
    {},
    {"DPoP": "x.y.z"},
    {"Authorization": "Bearer x.y.z"},
    {"Authorization": "Basic cnA6cnAtc2VjcmV0"},
    {"Accept": "application/token-introspection+jwt"},
    {"Origin": "null"},
]


@pytest.fixture(scope="module")
def open_world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every grant is there, so that as much code as can be is reached."""
    made = World(tmp_path_factory.mktemp("surface"), [make_client(grant_types=GRANTS, consent="ask"), make_client("spa", public=True)])
    yield made
    made.store.close()


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_S121_no_url_of_ours_fails_whatever_is_sent_there(open_world: World, data: st.DataObject) -> None:
    """Every rule of the application, every method, with and without a session, a client's secret, or odd headers."""
    rules = sorted({(rule.rule, method) for rule in open_world.app.url_map.iter_rules() for method in rule.methods or ()})
    path, method = data.draw(st.sampled_from(rules))
    path = path.replace("<path:filename>", "x").replace("<request_id>", "x").replace("<run_id>", "x").replace("<client_id>", "x")
    fields = data.draw(FIELDS)
    visitor = open_world.signed_in() if data.draw(st.booleans()) else open_world.browser()
    kind = data.draw(st.sampled_from([FORM, "application/json", "multipart/form-data; boundary=x", "text/xml", ""]))
    header = data.draw(st.sampled_from(HEADERS))
    text = urlencode(fields, errors="replace")
    body = json.dumps(fields) if kind == "application/json" else text
    keywords: dict[str, Any] = {"base_url": URL, "headers": header}
    keywords |= {"query_string": text} if method in ("GET", "HEAD", "OPTIONS") else {"data": body, "content_type": kind}
    response: TestResponse = visitor.http.open(path, method=method, **keywords)
    target = urlsplit(response.location or URL)
    assert response.status_code < 500, (method, path, fields, response.text)
    assert target.hostname in (urlsplit(URL).hostname, "rp.example.org"), response.location
