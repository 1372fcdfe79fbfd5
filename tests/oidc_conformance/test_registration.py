"""Modules of the plans Config, Dynamic and 3rd-Party-Init: metadata, and clients that register themselves with `private_key_jwt`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from joserfc.jwk import KeySet

from idp.keys import KeyRing
from tests.oidc.holder import Holder

from .conftest import Suite
from .party import CALLBACK, CODE, Browser, Outcome, Party, Reply, call


def consented(party: Party, browser: Browser, *, request: Mapping[str, str] | None = None, **changes: str | None) -> Outcome:
    """A client that registered itself asks each member once."""
    asked = dict(request or party.request(CODE, **changes))
    reply = agree(browser, browser.open(party.url_of(asked)))
    return party.finish(CODE, asked, reply)


def agree(browser: Browser, reply: Reply) -> Reply:
    if 'name="password"' in reply.text:
        reply = browser.sign_in(reply)
    return browser.press(reply, "/signon/", answer="agree") if "Share with" in reply.text else reply


def test_oidcc_discovery_endpoint_verification(suite: Suite) -> None:
    response = call("GET", f"{suite.provider.url}/.well-known/openid-configuration")
    told = response.json()
    assert response.headers["Content-Type"] == "application/json"
    assert told["issuer"] == suite.provider.url
    for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "registration_endpoint"):
        assert told[name].startswith(f"{suite.provider.url}/")
    assert {"code", "id_token", "id_token token"} <= set(told["response_types_supported"])
    assert {"authorization_code", "implicit"} <= set(told["grant_types_supported"])
    assert set(told["subject_types_supported"]) == {"public", "pairwise"}
    assert "RS256" in told["id_token_signing_alg_values_supported"]
    assert "openid" in told["scopes_supported"]
    assert {"sub", "name", "email"} <= set(told["claims_supported"])
    for name in ("claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported"):
        assert told[name] is True
    keys = call("GET", told["jwks_uri"]).json()["keys"]
    assert len({key["kid"] for key in keys}) == len(keys)
    assert not {"d", "p", "q", "k"} & {name for key in keys for name in key}


def test_oidcc_idtoken_rs256(suite: Suite, member: Browser) -> None:
    party, _ = suite.registered(id_token_signed_response_alg="RS256")
    outcome = consented(party, member)
    assert suite.provider.verified(outcome.tokens["id_token"])[0]["alg"] == "RS256"


def test_oidcc_userinfo_rs256(suite: Suite, member: Browser) -> None:
    party, _ = suite.registered(userinfo_signed_response_alg="RS256")
    outcome = consented(party, member)
    response = suite.provider.userinfo(outcome.tokens["access_token"])
    assert response.headers["Content-Type"] == "application/jwt"
    header, claims = suite.provider.verified(response.text)
    assert (header["alg"], claims["iss"], claims["aud"]) == ("RS256", suite.provider.url, party.id)


def stays_here(reply: Reply) -> bool:
    return reply.way == "page" and reply.status == 400


def test_oidcc_ensure_redirect_uri_in_authorization_request(suite: Suite, member: Browser) -> None:
    party, _ = suite.registered(redirect_uris=[CALLBACK, f"{CALLBACK}/two"])
    assert stays_here(party.ask(member, redirect_uri=None))


def test_oidcc_redirect_uri_query_OK(suite: Suite, member: Browser) -> None:
    party, _ = suite.registered(redirect_uris=[f"{CALLBACK}?foo=bar"])
    outcome = consented(party, member)
    assert outcome.reply.params["foo"] == "bar"


def test_oidcc_redirect_uri_query_mismatch(suite: Suite, member: Browser) -> None:
    party, _ = suite.registered(redirect_uris=[f"{CALLBACK}?foo=bar"])
    assert stays_here(party.ask(member, redirect_uri=f"{CALLBACK}?bar=foo"))


def test_oidcc_redirect_uri_query_added(suite: Suite, member: Browser) -> None:
    party, _ = suite.registered()
    assert stays_here(party.ask(member, redirect_uri=f"{CALLBACK}?foo=bar"))


def test_oidcc_redirect_uri_regfrag(suite: Suite) -> None:
    response = suite.register(redirect_uris=[f"{CALLBACK}#foobar"])
    assert (response.status_code, response.json()["error"]) == (400, "invalid_redirect_uri")


def test_oidcc_registration_policy_uri(suite: Suite, member: Browser) -> None:
    party, _ = suite.registered(policy_uri="https://rp.example.org/policy")
    assert 'href="https://rp.example.org/policy"' in party.ask(suite.browser()).text, "where the member signs in"
    assert 'href="https://rp.example.org/policy"' in party.ask(member).text, "and where they are asked what to share"


def test_oidcc_registration_tos_uri(suite: Suite, member: Browser) -> None:
    party, _ = suite.registered(tos_uri="https://rp.example.org/terms")
    assert 'href="https://rp.example.org/terms"' in party.ask(suite.browser()).text
    assert 'href="https://rp.example.org/terms"' in party.ask(member).text


def test_oidcc_registration_jwks_uri(suite: Suite, member: Browser) -> None:
    uri = suite.vendor.publish("/jwks", suite.key.jwks)
    party, told = suite.registered(jwks_uri=uri)
    assert told["jwks_uri"] == uri
    consented(party, member)


def test_oidcc_registration_sector_uri(suite: Suite) -> None:
    uri = suite.vendor.publish("/sector", [CALLBACK, f"{CALLBACK}/two"])
    _, told = suite.registered(sector_identifier_uri=uri, subject_type="pairwise")
    assert told["sector_identifier_uri"] == uri


def test_oidcc_registration_sector_bad(suite: Suite) -> None:
    uri = suite.vendor.publish("/sector-bad", ["https://other.example.org/cb"])
    response = suite.register(sector_identifier_uri=uri, subject_type="pairwise")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")


def test_oidcc_server_rotate_keys(suite: Suite, member: Browser) -> None:
    before = {key["kid"] for key in call("GET", suite.provider["jwks_uri"]).json()["keys"]}
    first = suite.party().happy(member)
    ring = KeyRing(suite.server.folder / "keys")  # as `idp keys rotate oidc --activate` and `--publish` do, without two more processes
    ring.activate()
    ring.publish()
    time.sleep(1.5)  # the promise: running workers see another ring within a second
    after = call("GET", suite.provider["jwks_uri"]).json()
    assert before < {key["kid"] for key in after["keys"]}
    second = suite.party().happy(member)
    kids = [suite.provider.verified(each.tokens["id_token"])[0]["kid"] for each in (first, second)]
    assert kids[0] != kids[1]
    assert KeySet.import_key_set(after)


def signed(suite: Suite, party: Party, request: Mapping[str, str], holder: Holder) -> str:
    return holder.sign({**request, "iss": party.id, "aud": suite.provider.url, "exp": int(time.time()) + 60})


def test_oidcc_request_uri_unsigned(suite: Suite, member: Browser) -> None:
    """The suite skips it where `none` is not advertised; registration refuses the wish for it."""
    assert "none" not in suite.provider["request_object_signing_alg_values_supported"]
    assert suite.register(request_object_signing_alg="none").json()["error"] == "invalid_client_metadata"
    uri = suite.vendor.publish("/unsigned", "eyJhbGciOiJub25lIn0.e30.")
    assert "error" in suite.party().ask(member, request_uri=uri).params


def test_oidcc_request_uri_signed_rs256(suite: Suite, member: Browser) -> None:
    uri = f"{suite.vendor.url}/signed"
    party, _ = suite.registered(request_uris=[uri], request_object_signing_alg="RS256")
    request = party.request()
    suite.vendor.publish("/signed", signed(suite, party, request, suite.key))
    sent = {name: request[name] for name in ("client_id", "response_type", "redirect_uri", "scope")}
    party.finish(CODE, request, agree(member, member.open(party.url_of({**sent, "request_uri": uri}))))


def test_oidcc_ensure_client_assertion_with_iss_aud_succeeds(suite: Suite, member: Browser) -> None:
    party, _ = suite.registered()
    form = {"grant_type": "authorization_code", "code": agreed_code(party, member), "redirect_uri": CALLBACK}
    proof = party.authentication(aud=suite.provider.url)
    assert call("POST", suite.provider["token_endpoint"], data={**form, **proof["data"]}).status_code == 200


def agreed_code(party: Party, browser: Browser) -> str:
    return agree(browser, party.ask(browser)).params["code"]


def test_oidcc_3rd_party_init_login(suite: Suite) -> None:
    uri = "https://rp.example.org/start"
    _, told = suite.registered(initiate_login_uri=uri)
    assert told["initiate_login_uri"] == uri
    headers = {"Authorization": f"Bearer {told['registration_access_token']}"}
    read = call("GET", told["registration_client_uri"], headers=headers)
    assert (read.status_code, read.json()["initiate_login_uri"]) == (200, uri)


def test_oidcc_3rd_party_init_login_nohttps(suite: Suite) -> None:
    response = suite.register(initiate_login_uri="http://rp.example.org/start")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")


def test_the_registration_endpoint_tells_what_is_wrong_in_its_own_json(suite: Suite) -> None:
    for body in (b"", b"[]", b"{", b'{"redirect_uris": "https://rp.example.org/cb"}'):
        told: Any = call(
            "POST",
            suite.provider["registration_endpoint"],
            data=body,
            headers={"Authorization": "Bearer an-initial-access-token", "Content-Type": "application/json"},
        )
        assert told.status_code == 400
        assert urlsplit(suite.provider["registration_endpoint"]).path == "/oauth/register"
        assert told.json()["error"].startswith("invalid_")
