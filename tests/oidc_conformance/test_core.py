"""Modules of the plans Basic, Implicit and Hybrid, each also by form post."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from .conftest import Suite
from .party import CODE, VERIFIER, Browser, Flow, Party, call, challenge_of, check_shared, flows, named, wait_for_second


def party_for(suite: Suite, flow: Flow) -> Party:
    """Implicit and hybrid flows are switched on for one client alone."""
    return suite.party("rp" if flow.kinds == {"code"} else "old")


def each_of(profiles: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("flow", flows(profiles), ids=named)


@each_of("BIH")
def test_oidcc_server(suite: Suite, member: Browser, flow: Flow) -> None:
    party_for(suite, flow).happy(member, flow)


@each_of("BIH")
def test_oidcc_response_type_missing(suite: Suite, member: Browser, flow: Flow) -> None:
    reply = party_for(suite, flow).ask(member, flow, response_type=None)
    assert reply.params["error"] in ("unsupported_response_type", "invalid_request")


@each_of("BIH")
def test_oidcc_idtoken_signature(suite: Suite, member: Browser, flow: Flow) -> None:
    outcome = party_for(suite, flow).happy(member, flow)
    token = outcome.tokens.get("id_token") or outcome.reply.params["id_token"]
    header, _ = suite.provider.verified(token)
    assert header["alg"] == "RS256"
    assert [key.kid for key in suite.provider.jwks().keys].count(header["kid"]) == 1


def test_oidcc_idtoken_unsigned(suite: Suite) -> None:
    """Refused, and not advertised."""
    assert suite.register(id_token_signed_response_alg="none").json()["error"] == "invalid_client_metadata"
    assert "none" not in suite.provider["id_token_signing_alg_values_supported"]


USERINFO: list[Any] = [flow for flow in flows("BIH") if flow.kinds & {"code", "token"}]


@pytest.mark.parametrize("flow", USERINFO, ids=named)
def test_oidcc_userinfo_get(suite: Suite, member: Browser, flow: Flow) -> None:
    assert party_for(suite, flow).happy(member, flow).userinfo["sub"] == "101"


@pytest.mark.parametrize("flow", USERINFO, ids=named)
def test_oidcc_userinfo_post_header(suite: Suite, member: Browser, flow: Flow) -> None:
    outcome = party_for(suite, flow).happy(member, flow)
    bearer = {"Authorization": f"Bearer {access_token(outcome)}"}
    assert call("POST", suite.provider["userinfo_endpoint"], headers=bearer).json()["sub"] == "101"


@pytest.mark.parametrize("flow", USERINFO, ids=named)
def test_oidcc_userinfo_post_body(suite: Suite, member: Browser, flow: Flow) -> None:
    outcome = party_for(suite, flow).happy(member, flow)
    assert call("POST", suite.provider["userinfo_endpoint"], data={"access_token": access_token(outcome)}).json()["sub"] == "101"


def access_token(outcome: Any) -> str:
    return str(outcome.tokens.get("access_token") or outcome.reply.params["access_token"])


@pytest.mark.parametrize("flow", [Flow(), Flow("code token"), Flow("code", True)], ids=named)
def test_oidcc_ensure_request_without_nonce_succeeds_for_code_flow(suite: Suite, member: Browser, flow: Flow) -> None:
    assert "nonce" not in party_for(suite, flow).happy(member, flow, nonce=None).claims


SCOPES: dict[str, dict[str, Any]] = {
    "profile": {"name": "Ada Example", "given_name": "Ada", "family_name": "Example", "preferred_username": "ada"},
    "email": {"email": "ada@example.org"},
    "address": {"address": {"formatted": "1 Example Street"}},
    "phone": {"phone_number": "+1 555 0100"},
}


def released(suite: Suite, member: Browser, flow: Flow, scope: str) -> dict[str, Any]:
    """From userinfo, or from the ID token where there is nothing else."""
    outcome = party_for(suite, flow).happy(member, flow, scope=f"openid {scope}")
    return outcome.userinfo or outcome.claims


@each_of("BIH")
def test_oidcc_scope_profile(suite: Suite, member: Browser, flow: Flow) -> None:
    given = released(suite, member, flow, "profile")
    assert SCOPES["profile"].items() <= given.items()
    assert "email" not in given


@each_of("BIH")
def test_oidcc_scope_email(suite: Suite, member: Browser, flow: Flow) -> None:
    assert SCOPES["email"].items() <= released(suite, member, flow, "email").items()


@each_of("BIH")
def test_oidcc_scope_address(suite: Suite, member: Browser, flow: Flow) -> None:
    assert SCOPES["address"].items() <= released(suite, member, flow, "address").items()


@each_of("BIH")
def test_oidcc_scope_phone(suite: Suite, member: Browser, flow: Flow) -> None:
    assert SCOPES["phone"].items() <= released(suite, member, flow, "phone").items()


@each_of("BIH")
def test_oidcc_scope_all(suite: Suite, member: Browser, flow: Flow) -> None:
    given = released(suite, member, flow, "profile email address phone")
    for claims in SCOPES.values():
        assert claims.items() <= given.items()


@each_of("BIH")
def test_oidcc_alternate_happy_flow(suite: Suite, member: Browser, flow: Flow) -> None:
    party = party_for(suite, flow)
    request = dict(reversed(party.request(flow, scope="email openid").items()))
    assert request["response_type"] == flow.type
    party.happy(member, Flow(flow.type, flow.form_post), request=request)


@each_of("BIH")
def test_oidcc_display_page(suite: Suite, flow: Flow) -> None:
    page = party_for(suite, flow).ask(suite.browser(), flow, display="page")
    assert (page.status, 'name="password"' in page.text) == (200, True)


@each_of("BIH")
def test_oidcc_display_popup(suite: Suite, flow: Flow) -> None:
    page = party_for(suite, flow).ask(suite.browser(), flow, display="popup")
    assert (page.status, 'name="password"' in page.text) == (200, True)


@pytest.mark.parametrize("flow", [CODE, Flow("id_token"), Flow("code id_token", True)], ids=named)
def test_oidcc_prompt_login(suite: Suite, flow: Flow) -> None:
    party, browser = party_for(suite, flow), suite.browser()
    first = party.happy(browser, flow).claims["auth_time"]
    wait_for_second(first)
    request = party.request(flow, prompt="login")
    page = browser.open(party.url_of(request))
    assert 'name="password"' in page.text
    assert party.finish(flow, request, browser.sign_in(page)).claims["auth_time"] > first


@each_of("BIH")
def test_oidcc_prompt_none_not_logged_in(suite: Suite, flow: Flow) -> None:
    assert party_for(suite, flow).refused(suite.browser(), flow, prompt="none") == "login_required"


@each_of("BIH")
def test_oidcc_prompt_none_logged_in(suite: Suite, member: Browser, flow: Flow) -> None:
    party = party_for(suite, flow)
    first, second = party.happy(member, flow), party.happy(member, flow, prompt="none")
    for name in ("sub", "auth_time"):
        assert first.claims.get(name) == second.claims.get(name)


@pytest.mark.parametrize("flow", [CODE, Flow("code id_token", True)], ids=named)
def test_oidcc_max_age_1(suite: Suite, flow: Flow) -> None:
    party, browser = party_for(suite, flow), suite.browser()
    first = party.happy(browser, flow).claims["auth_time"]
    wait_for_second(first + 1)
    request = party.request(flow, max_age="1")
    page = browser.open(party.url_of(request))
    assert 'name="password"' in page.text
    assert party.finish(flow, request, browser.sign_in(page)).claims["auth_time"] > first


@each_of("BIH")
def test_oidcc_max_age_10000(suite: Suite, member: Browser, flow: Flow) -> None:
    party = party_for(suite, flow)
    first = party.happy(member, flow).claims
    request = party.request(flow, max_age="10000")
    again = party.finish(flow, request, member.open(party.url_of(request))).claims
    assert first.get("auth_time") == again.get("auth_time")
    assert "auth_time" in again


@each_of("BIH")
def test_oidcc_ensure_request_with_unknown_parameter_succeeds(suite: Suite, member: Browser, flow: Flow) -> None:
    party_for(suite, flow).happy(member, flow, extra="foobar")


@each_of("BIH")
def test_oidcc_id_token_hint(suite: Suite, member: Browser, flow: Flow) -> None:
    party = party_for(suite, flow)
    first = party.happy(member, flow)
    hint = first.tokens.get("id_token") or first.reply.params["id_token"]
    assert party.happy(member, flow, prompt="none", id_token_hint=hint).claims["sub"] == first.claims["sub"]


@each_of("BIH")
def test_oidcc_login_hint(suite: Suite, flow: Flow) -> None:
    page = party_for(suite, flow).ask(suite.browser(), flow, login_hint="bob@example.org")
    assert 'value="bob@example.org"' in page.text


@each_of("BIH")
def test_oidcc_ui_locales(suite: Suite, member: Browser, flow: Flow) -> None:
    party_for(suite, flow).happy(member, flow, ui_locales="se")


@each_of("BIH")
def test_oidcc_claims_locales(suite: Suite, member: Browser, flow: Flow) -> None:
    party_for(suite, flow).happy(member, flow, claims_locales="se")


@each_of("BIH")
def test_oidcc_ensure_request_with_acr_values_succeeds(suite: Suite, member: Browser, flow: Flow) -> None:
    offered = suite.provider["acr_values_supported"]
    assert party_for(suite, flow).happy(member, flow, acr_values=" ".join(offered)).claims["acr"] in offered


@each_of("BH")
def test_oidcc_codereuse(suite: Suite, member: Browser, flow: Flow) -> None:
    party = party_for(suite, flow)
    outcome = party.happy(member, flow)
    response = party.exchange(outcome.reply.params["code"])
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@each_of("BIH")
def test_oidcc_ensure_registered_redirect_uri(suite: Suite, member: Browser, flow: Flow) -> None:
    reply = party_for(suite, flow).ask(member, flow, redirect_uri="https://rp.example.org/other")
    assert (reply.way, reply.status) == ("page", 400)
    assert "not registered" in reply.text


@each_of("B")
def test_oidcc_ensure_post_request_succeeds(suite: Suite, member: Browser, flow: Flow) -> None:
    party = suite.party()
    request = party.request(flow)
    party.finish(flow, request, member.open(suite.provider["authorization_endpoint"], data=request, cross_site=True))


@pytest.mark.parametrize("flow", flows("B"), ids=named)
def test_oidcc_server_client_secret_post(suite: Suite, member: Browser, flow: Flow) -> None:
    party = suite.party("post", method="client_secret_post")
    party.happy(member, flow)
    basic = suite.party("post").token(grant_type="authorization_code", code="x", redirect_uri=party.redirect_uri)
    assert basic.json()["error"] == "invalid_client", "it is what the client registered that counts"


UNSIGNED = "eyJhbGciOiJub25lIn0."  # {"alg":"none"}


@each_of("BIH")
def test_oidcc_request_uri_unsigned_supported_correctly_or_rejected_as_unsupported(suite: Suite, member: Browser, flow: Flow) -> None:
    """The suite skips it where `none` is not advertised: it is not, and such an object is refused."""
    assert "none" not in suite.provider["request_object_signing_alg_values_supported"]
    uri = suite.vendor.publish("/unsigned", UNSIGNED + "e30.")
    assert party_for(suite, flow).ask(member, flow, request_uri=uri).params["error"] == "request_not_supported"


@each_of("BIH")
def test_oidcc_unsigned_request_object_supported_correctly_or_rejected_as_unsupported(suite: Suite, member: Browser, flow: Flow) -> None:
    assert party_for(suite, flow).ask(member, flow, request=UNSIGNED + "e30.").params["error"] == "request_not_supported"


@each_of("BIH")
def test_oidcc_claims_essential(suite: Suite, member: Browser, flow: Flow) -> None:
    place = "id_token" if flow.type == "id_token" else "userinfo"
    outcome = party_for(suite, flow).happy(member, flow, claims=json.dumps({place: {"name": {"essential": True}}}))
    assert (outcome.userinfo or outcome.claims)["name"] == "Ada Example"


@each_of("BIH")
def test_oidcc_ensure_request_object_with_redirect_uri(suite: Suite, member: Browser, flow: Flow) -> None:
    party = party_for(suite, flow)
    request = party.request(flow)
    signed = suite.key.sign({**request, "iss": party.id, "aud": suite.provider.url, "exp": int(time.time()) + 60})
    sent = {**request, "redirect_uri": "https://evil.example/cb", "request": signed}
    party.finish(flow, request, member.open(party.url_of(sent)))


@each_of("BH")
def test_oidcc_refresh_token(suite: Suite, member: Browser, flow: Flow) -> None:
    party, other = party_for(suite, flow), suite.party("two")
    first = party.happy(member, flow, scope="openid offline_access")
    used = first.tokens["refresh_token"]
    assert other.token(grant_type="refresh_token", refresh_token=used).json()["error"] == "invalid_grant"
    second = party.token(grant_type="refresh_token", refresh_token=used).json()
    claims = suite.provider.verified(second["id_token"])[1]
    for name in ("iss", "sub", "aud", "auth_time"):
        assert claims[name] == first.claims[name]
    assert second["refresh_token"] != used
    assert suite.provider.userinfo(second["access_token"]).json()["sub"] == "101"


@each_of("BH")
def test_oidcc_ensure_request_with_valid_pkce_succeeds(suite: Suite, member: Browser, flow: Flow) -> None:
    party = party_for(suite, flow)
    request = party.request(flow, code_challenge=challenge_of(), code_challenge_method="S256")
    party.happy(member, flow, request=request)
    code = member.open(party.url_of(request)).params["code"]
    assert party.exchange(code, code_verifier=VERIFIER[1:] + "x").json()["error"] == "invalid_grant"


@pytest.mark.parametrize("flow", [flow for flow in flows("IH") if "id_token" in flow.kinds], ids=named)
def test_oidcc_ensure_request_without_nonce_fails(suite: Suite, member: Browser, flow: Flow) -> None:
    party = party_for(suite, flow)
    request = party.request(flow, nonce=None)
    reply = member.open(party.url_of(request))
    check_shared(suite.provider, flow, request, reply)
    assert reply.params["error"] == "invalid_request"


@pytest.mark.parametrize("flow", flows("IH"), ids=named)
def test_S5_implicit_and_hybrid_flows_are_off_for_every_other_client(suite: Suite, member: Browser, flow: Flow) -> None:
    assert suite.party().refused(member, flow) == "unsupported_response_type"
