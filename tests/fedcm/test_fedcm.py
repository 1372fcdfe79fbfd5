"""What FedCM answers to whom. That browsers make of it what they should, `tests/flows/test_fedcm_browser.py` shows."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from idp.config import load
from idp.errors import ConfigError
from tests.standin import Clock

from .association import CONFIG, EVIL, JOURNAL, LMS, LOGIN, PEOPLE, SECRET, Association, Browser

CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CODE = {
    "response_type": "code",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "redirect_uri": f"{LMS}/callback",
    "scope": "openid",
    "state": "s",
}
ACAO = "Access-Control-Allow-Origin"


def test_S107_accounts_assertion_and_disconnect_answer_only_the_browser_itself(ada: Browser) -> None:
    for path, form in (("accounts", {}), ("assertion", {"client_id": "lms"}), ("disconnect", {"client_id": "lms"})):
        for dest in ("", "empty", "document", "script", "iframe"):
            answer = ada.asks(f"/fedcm/{path}", origin=LMS, dest=dest, **form)
            assert (answer.status_code, ACAO in answer.headers) == (400, False)
            assert "Ada" not in answer.text


@pytest.mark.parametrize("origin", [EVIL, "", "null", JOURNAL, f"{LMS}/", LMS.replace("https", "http"), f"{LMS}:444", f"{LMS}.evil.test"])
def test_S108_any_other_origin_is_refused_and_may_not_even_read_why(ada: Browser, origin: str) -> None:
    for path in ("assertion", "disconnect"):
        answer = ada.asks(f"/fedcm/{path}", origin=origin, client_id="lms", account_id=ada.account_id(), params="{}")
        assert (answer.status_code, answer.json and answer.json["error"]) == (403, {"code": "unauthorized_client"})
        assert ACAO not in answer.headers


def test_S108_the_answer_to_a_stranger_is_the_same_whether_she_is_signed_in_or_not(association: Association, ada: Browser) -> None:
    form = {"client_id": "lms", "account_id": ada.account_id(), "params": "{}"}
    answers = [each.asks("/fedcm/assertion", origin=EVIL, **form) for each in (ada, Browser(association))]
    told = [(each.status_code, {**(each.json or {}), "reference": ""}, sorted(each.headers.keys())) for each in answers]
    assert told[0] == told[1]


def test_S108_an_application_without_fedcm_has_no_origins_at_all(ada: Browser) -> None:
    assert ada.is_asserted("portal", "https://portal.assoc.test").status_code == 403
    assert ada.is_asserted("nobody", LMS).status_code == 403


def test_S109_the_chosen_account_must_be_the_one_that_is_signed_in(ada: Browser) -> None:
    answer = ada.is_asserted(account_id="somebody")
    assert (answer.status_code, answer.json and answer.json["cause"]) == (403, "fedcm.account_other")


def test_S110_the_token_is_the_vendors_own_and_good_once(association: Association, ada: Browser) -> None:
    token = (ada.is_asserted().json or {})["token"]
    server = association.app.test_client(use_cookies=False)
    first, second = (server.post("/service/redeem", base_url=LOGIN, data={"token": token}, auth=("lms", SECRET)) for _ in range(2))
    assert (first.json or {})["attributes"] == {"full_name": "Ada Marlowe", "email": "ada@example.org"}
    assert (second.json or {})["error"] == "ticket.replayed"


def test_S110_an_openid_client_gets_a_code_that_only_the_verifier_opens(association: Association, ada: Browser) -> None:
    told = (ada.is_asserted("community", params=json.dumps(CODE)).json or {})["token"]
    assert {"iss": LOGIN, "state": "s"}.items() <= told.items()
    form = {"grant_type": "authorization_code", "code": told["code"], "redirect_uri": f"{LMS}/callback", "code_verifier": VERIFIER}
    server = association.app.test_client(use_cookies=False)
    answer = server.post("/oauth/token", base_url=LOGIN, data=form, auth=("community", SECRET))
    assert "id_token" in (answer.json or {})


@pytest.mark.parametrize(
    "change",
    [
        {"code_challenge": ""},
        {"code_challenge_method": "plain"},
        {"response_type": "id_token"},
        {"response_type": "code id_token"},
        {"request": "x"},
        {"redirect_uri": f"{EVIL}/callback"},
    ],
    ids=str,
)
def test_S110_no_code_without_pkce_no_id_token_and_no_foreign_return_address(ada: Browser, change: dict[str, str]) -> None:
    answer = ada.is_asserted("community", params=json.dumps({**CODE, **change}))
    assert (answer.status_code, answer.json and answer.json["error"]) == (400, {"code": "invalid_request"})


def test_S111_only_the_applications_own_page_may_read_the_answer(ada: Browser) -> None:
    assert ada.is_asserted().headers[ACAO] == LMS
    assert ACAO not in ada.asks("/fedcm/accounts", origin=LMS).headers


def test_S112_the_browser_is_told_of_sign_in_sign_out_and_expiry(association: Association, clock: Clock) -> None:
    browser = Browser(association)
    assert browser.signs_in().headers["Set-Login"] == "logged-in"
    assert "Set-Login" not in browser.get("/").headers
    clock.seconds += 7200
    assert browser.get("/").headers["Set-Login"] == "logged-out"
    gone = browser.asks("/fedcm/accounts")
    assert (gone.status_code, gone.headers["Set-Login"], gone.json) == (401, "logged-out", {"accounts": []})


def test_S112_a_sign_out_tells_the_browser_and_takes_the_cookie(ada: Browser) -> None:
    page = ada.get("/logout").text
    token = page.partition('name="form_token" value="')[2].partition('"')[0]
    answer = ada.http.post("/logout", base_url=LOGIN, data={"form_token": token})
    assert answer.headers["Set-Login"] == "logged-out"
    assert ada.cookie("__Host-idp_fedcm") == ""


def test_S112_no_status_is_sent_when_nobody_was_signed_in(association: Association) -> None:
    browser = Browser(association)
    assert not [path for path in ("/", "/login", "/logout") if "Set-Login" in browser.get(path).headers]


def test_S114_the_file_of_the_domain_agrees_with_the_configuration(association: Association) -> None:
    browser = Browser(association)
    file, config = browser.get("/.well-known/web-identity").json or {}, browser.get("/fedcm/config.json").json or {}
    assert file == {
        "provider_urls": [f"{LOGIN}/fedcm/config.json"],
        "accounts_endpoint": config["accounts_endpoint"],
        "login_url": config["login_url"],
    }
    assert {urlsplit(url).netloc for name, url in config.items() if name != "branding"} == {"login.assoc.test"}


def test_S113_no_client_is_named_as_approved_so_that_the_browser_always_goes_by_the_members_own_choice(ada: Browser) -> None:
    ada.is_asserted()
    (account,) = (ada.asks("/fedcm/accounts").json or {})["accounts"]
    assert set(account) == {"id", "name", "given_name", "email"}
    assert "101" not in account["id"]


def test_the_cookie_does_nothing_but_this(association: Association, ada: Browser) -> None:
    value = ada.cookie("__Host-idp_fedcm")
    for name in ("__Host-idp_session", "__Host-idp_ping"):
        bare = association.app.test_client(use_cookies=False)
        headers = {"Cookie": f"{name}={value}"}
        assert "Ada" not in bare.get("/", base_url=LOGIN, headers=headers).text
        ping = bare.get("/jsonp/fetch?client=journal", base_url=LOGIN, headers={**headers, "Origin": JOURNAL})
        assert ping.json == {"signedIn": False}


@pytest.mark.parametrize("name", ["__Host-idp_session", "__Host-idp_ping"])
def test_no_other_cookie_does_this(association: Association, ada: Browser, name: str) -> None:
    bare = association.app.test_client(use_cookies=False)
    headers = {"Sec-Fetch-Dest": "webidentity", "Cookie": f"__Host-idp_fedcm={ada.cookie(name)}"}
    assert bare.get("/fedcm/accounts", base_url=LOGIN, headers=headers).status_code == 401
    headers["Cookie"] = f"{name}={ada.cookie(name)}"
    assert bare.get("/fedcm/accounts", base_url=LOGIN, headers=headers).status_code == 401


def test_being_asked_after_is_no_use_but_a_sign_on_is(ada: Browser, clock: Clock) -> None:
    clock.seconds += 3000
    ada.asks("/fedcm/accounts")
    assert ada.is_asserted().status_code == 200
    clock.seconds += 3000
    assert ada.asks("/fedcm/accounts").status_code == 200
    clock.seconds += 1000
    assert ada.asks("/fedcm/accounts").status_code == 401


def test_the_client_joins_the_session_under_its_own_protocol_and_the_log_says_what_was_released(ada: Browser) -> None:
    ada.is_asserted()
    (session,) = ada.association.parts.sessions.list()
    assert [(each.client_id, each.protocol) for each in session.participants] == [("lms", "token")]
    (event,) = ada.association.audit.of("signon.ok")
    assert (event["client"], event["released"]) == ("lms", ["email", "full_name"])


def test_who_may_not_enter_reads_why_in_a_window_and_the_page_is_told_no_more_than_no(ada: Browser) -> None:
    window = (ada.is_asserted("closed").json or {})["continue_on"]
    page = ada.get(window.removeprefix(LOGIN))
    assert (page.status_code, "closed" in page.text) == (403, True)
    answer = ada.is_asserted("closed", is_auto_selected="true")
    assert (answer.status_code, answer.json) == (403, {"error": {"code": "access_denied"}})


def test_S14_a_member_who_must_be_asked_first_is_asked_in_a_window(ada: Browser) -> None:
    window = (ada.is_asserted("shy").json or {})["continue_on"]
    assert "/fedcm/continue" in window
    assert "full_name" in ada.get(window.removeprefix(LOGIN)).text or "share" in ada.get(window.removeprefix(LOGIN)).text
    assert not ada.association.parts.sessions.list()[0].participants


def test_S108_the_window_checks_the_origin_too(ada: Browser) -> None:
    window = (ada.is_asserted("shy").json or {})["continue_on"]
    query = {name: values[0] for name, values in parse_qs(urlsplit(window).query).items()}
    answer = ada.http.get("/fedcm/continue", base_url=LOGIN, query_string={**query, "origin": EVIL})
    assert (answer.status_code, "IdentityProvider" in answer.text) == (403, False)


def test_disconnecting_takes_consent_back(ada: Browser) -> None:
    form = {"client_id": "lms", "account_hint": "*"}
    answer = ada.asks("/fedcm/disconnect", origin=LMS, **form)
    assert answer.json == {"account_id": ada.account_id()}
    assert ada.association.audit.of("fedcm.disconnected")[0]["client"] == "lms"


def test_S105_only_the_applications_pages_may_hold_the_frame(ada: Browser) -> None:
    assert f"frame-ancestors {LMS}" in ada.get("/fedcm/frame?client=lms").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in ada.get("/fedcm/frame?client=nobody").headers["Content-Security-Policy"]


def test_a_browser_that_signed_in_before_there_was_fedcm_is_mended_in_the_window(association: Association, ada: Browser) -> None:
    ada.http.delete_cookie("__Host-idp_fedcm", domain="login.assoc.test")
    assert ada.asks("/fedcm/accounts").status_code == 401
    assert "IdentityProvider.close()" in ada.get("/fedcm/login").text
    assert ada.asks("/fedcm/accounts").status_code == 200


def test_the_window_leads_to_the_sign_in_page_and_back(association: Association) -> None:
    browser = Browser(association)
    assert browser.get("/fedcm/login").location == f"{LOGIN}/login"
    assert browser.signs_in().location == f"{LOGIN}/fedcm/login"
    browser.get("/fedcm/login")
    browser.http.delete_cookie("__Host-idp_session", domain="login.assoc.test")
    assert browser.signs_in().location == f"{LOGIN}/"


@pytest.mark.parametrize("params", ["[]", '{"return": 1}', "{", "[" * 5000, '"x"'])
def test_params_that_are_no_object_of_texts_are_refused(ada: Browser, params: str) -> None:
    answer = ada.is_asserted(params=params)
    assert (answer.status_code, answer.json and answer.json["cause"]) == (400, "fedcm.params_unreadable")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (f'[clients.lms.fedcm]\norigins = ["{LMS}"]', "[clients.lms.fedcm]\norigins = []"),
        (f'[clients.lms.fedcm]\norigins = ["{LMS}"]', '[clients.lms.fedcm]\norigins = ["http://www.lms.test"]'),
        ("[clients.portal.jsonp]", "[clients.portal.fedcm]\norigins = []\n[clients.portal.jsonp]"),
    ],
)
def test_what_cannot_be_right_is_refused_by_the_configuration(tmp_path: Path, old: str, new: str) -> None:
    assert old in CONFIG
    (tmp_path / "people.toml").write_text(PEOPLE)
    (tmp_path / "idp.toml").write_text(CONFIG.replace(old, new))
    with pytest.raises(ConfigError):
        load(tmp_path / "idp.toml", {})
