"""The sample vendors by themselves: whose notices they believe, whom they let in, and whom they forget."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify

from idp.config import load
from idp.demo.address import LOOPBACK, Addresses
from idp.demo.configuration import prepare
from idp.demo.imis import serving
from idp.demo.resolver import stay_on_this_machine
from idp.demo.vendors import LMS, STORE
from idp.demo.vendors.member import Member, Members
from idp.demo.vendors.notice import BadNotice, read_notice
from idp.demo.vendors.question import Questions
from idp.demo.vendors.saml import saml_site
from idp.demo.vendors.token import token_site
from idp.keys import KeyRing
from idp.secret import Secret

EVENT = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(frozen=True)
class Issuer:
    """A sign-in service that publishes its keys, and nothing else."""

    url: str
    ring: KeyRing

    def notice(self, *, type: str = "logout+jwt", ring: KeyRing | None = None, **claims: Any) -> str:
        good = {"iss": self.url, "aud": "store", "exp": 2**33, "sub": "1001", "sid": "_session", "events": {EVENT: {}}}
        told = {name: value for name, value in (good | claims).items() if value is not None}
        return (ring or self.ring).current.jwt(told, type=type)


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    ring = KeyRing(tmp_path / "keys")
    ring.create_if_empty()
    app = Flask("issuer")
    app.add_url_rule("/oauth/jwks", view_func=lambda: jsonify(ring.jwks()))
    with serving(app) as url:
        yield Issuer(url, ring)


def test_a_notice_of_the_issuer_tells_which_session_has_ended(issuer: Issuer) -> None:
    assert read_notice(issuer.notice(), idp=issuer.url, client_id="store") == {"sid": "_session", "sub": "1001"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "cms"},
        {"iss": "https://other.example"},
        {"exp": 1000},
        {"exp": None},
        {"events": {}},
        {"events": None},
        {"sid": None},
        {"nonce": "n"},
        {"type": "JWT"},
    ],
    ids=str,
)
def test_S45_a_notice_that_is_not_for_this_vendor_or_no_logout_token_is_refused(issuer: Issuer, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadNotice):
        read_notice(issuer.notice(**wrong), idp=issuer.url, client_id="store")


def test_a_notice_signed_by_another_or_by_nobody_is_refused(issuer: Issuer, tmp_path: Path) -> None:
    other = KeyRing(tmp_path / "other")
    other.create_if_empty()
    header, payload, _ = issuer.notice().split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"logout+jwt"}').decode().rstrip("=")
    for forged in (issuer.notice(ring=other), f"{header}.{payload}.", f"{unsigned}.{payload}.", "nothing of the kind", ""):
        with pytest.raises(BadNotice):
            read_notice(forged, idp=issuer.url, client_id="store")


def test_the_vendors_door_for_notices_refuses_what_it_cannot_check() -> None:
    store = token_site(Addresses(1), "secret").test_client()
    answer = store.post("/logout-notice", data={"logout_token": "nothing of the kind"})
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "invalid_request"


def test_one_sign_in_is_forgotten_in_every_browser_and_no_other_is() -> None:
    members = Members()
    ended, same, other = (members.open(Member("1001", {}, session)) for session in ("_one", "_one", "_two"))
    assert members.close_all_of("_one") == 2
    assert [members.get(key) is not None for key in (ended, same, other)] == [False, False, True]


def test_nobody_is_known_to_a_vendor_without_its_cookie() -> None:
    store = token_site(Addresses(1), "secret").test_client()
    store.set_cookie("vendor_session", "guessed")
    assert store.get("/whoami").get_json() == {"signed_in": False}
    assert "Sign in" in store.get("/").text


def test_the_token_vendor_sends_members_to_the_sign_in_service_with_its_own_return_address() -> None:
    url = token_site(Addresses(8000), "secret").test_client().get("/sign-in").headers["Location"]
    assert url == "http://idp.assoc.localhost:8001/token/signon?client=store&return=http%3A%2F%2Fstore.localhost%3A8000%2Fsigned-in"


def test_the_service_provider_takes_no_answer_that_it_did_not_ask_for(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    ring.create_if_empty()
    site = saml_site(Addresses(1), ring.current).test_client()
    answer = site.post("/acs", data={"SAMLResponse": "PHg+", "RelayState": "guessed"})
    assert answer.status_code == 403
    assert "not the answer to a question of ours" in answer.text


def test_a_question_is_answered_once() -> None:
    questions = Questions()
    relay = questions.prepare()
    questions.asked(relay, "_message")
    assert (questions.take(relay), questions.take(relay)) == ("_message", None)


def test_what_the_demo_writes_is_a_good_configuration_and_names_every_vendor(tmp_path: Path) -> None:
    prepared = prepare(tmp_path, Addresses(8000), service_username="service", service_password=Secret("x"))
    loaded = load(prepared.file, {})
    assert sorted(loaded.config.clients) == ["cms", "community", "events", "journal", "lms", "store"]
    assert loaded.config.clients[LMS.id].saml is not None
    secret = loaded.config.clients[STORE.id].secret
    assert secret is not None
    assert secret.reveal() == prepared.secrets[STORE.id]


def test_names_under_localhost_lead_to_this_machine_in_the_demos_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "")  # put back afterwards
    monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
    stay_on_this_machine()
    stay_on_this_machine()
    for host in ("lms.localhost", "IDP.assoc.LOCALHOST", b"store.localhost"):
        assert {entry[4][0] for entry in socket.getaddrinfo(host, 80)} == {LOOPBACK}
