"""The web service: who may redeem, what they get, how it is written, and that of many who redeem one wins."""

from __future__ import annotations

import json
import threading
from base64 import b64encode
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from werkzeug.test import TestResponse

from idp.directory import Subject
from idp.secret import Secret, digest
from idp.sso.release import Release, read_release
from idp.sso.session import Session
from idp.web.admission import ServiceSettings
from idp.web.profile import error_xml, make_profile

from .conftest import MakeWorld
from .wiring import ANNE, World, make_client, posted

LMS = "https://lms.example.com/sso"
HOSTILE = '</value></attribute><attribute name="admin"><value>1</value>]]>&amp;<!-- \x00\x08\ud800\ufffe \'q\' "q" \r\n\t ä 𝒳'


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world(
        make_client("lms", "token", return_urls=(LMS,), release=["email", "firstName", "roles=groups", "committees", "company"]),
        make_client("basic", "token", return_urls=(LMS,)),
        make_client("nothing", "token", return_urls=(LMS,), release=[]),
        make_client("fenced", "token", return_urls=(LMS,), addresses=("192.0.2.0/24", "2001:db8::1")),
        make_client("www", "cookie", return_urls=("https://www.assoc.example/",)),
        service=ServiceSettings(calls_per_minute=20, wrong_secrets_per_minute=5),
    )


def token_for(world: World, client: str = "lms") -> str:
    """A fresh token of Anne's for a token vendor."""
    return posted(world.signed_in().get(f"/token/signon?client={client}"))[1]["token"]


def call(world: World, **keywords) -> TestResponse:
    """A call with nothing but what the test gives it."""
    return world.app.test_client(use_cookies=False).post("/service/redeem", base_url=world.url, **keywords)


def test_S97_the_vendor_gets_the_released_fields_under_its_own_names(world: World) -> None:
    session = world.signed_in()
    token = posted(session.get("/token/signon?client=lms"))[1]["token"]
    assert world.redeem(token, "lms").json == {
        "subject": "4711",
        "session": session.session_id(),
        "auth_time": world.now(),
        "attributes": {"email": "anne@assoc.example", "firstName": "Anne", "groups": ["Board"], "committees": ["Ethics", "Finance"]},
    }


def test_S97_a_vendor_to_which_nothing_is_released_gets_the_id_alone(world: World) -> None:
    assert world.redeem(token_for(world, "nothing"), "nothing").json["attributes"] == {}


def test_S98_nothing_in_the_request_widens_what_is_given(world: World) -> None:
    wishes = {"attributes": "member_type", "subject": "4712", "id": "4712", "release": "member_type"}
    answer = world.redeem(token_for(world, "basic"), "basic", query="?id=4712", **wishes)
    assert (answer.json["subject"], sorted(answer.json["attributes"])) == (
        "4711",
        ["email", "first_name", "full_name", "last_name", "username"],
    )


def test_the_fields_are_those_of_now(world: World) -> None:
    token = token_for(world)
    world.members.by_id[ANNE.id] = Subject(ANNE.id, "anne", {"email": ("new@assoc.example",)})
    world.store.delete("subject", ANNE.id)
    assert world.redeem(token, "lms").json["attributes"] == {"email": "new@assoc.example"}


def test_JSON_is_taken_as_well_as_a_form(world: World) -> None:
    assert world.redeem("", "lms", json={"token": token_for(world)}).json["subject"] == "4711"


@pytest.mark.parametrize(
    ("query", "headers", "fields"),
    [
        ("?format=xml", {}, {}),
        ("", {"Accept": "application/xml"}, {}),
        ("", {"Accept": "text/xml"}, {}),
        ("", {"Accept": "application/json"}, {"format": "xml"}),
    ],
)
def test_XML_by_choice(world: World, query: str, headers: dict[str, str], fields: dict[str, str]) -> None:
    response = world.redeem(token_for(world), "lms", query=query, headers=headers, **fields)
    assert response.content_type == "application/xml; charset=utf-8"
    member = ElementTree.fromstring(response.data)
    assert (member.tag, member.get("subject"), member.get("auth_time")) == ("member", "4711", str(world.now()))
    found = {each.get("name"): [value.text for value in each] for each in member}
    assert found == {"email": ["anne@assoc.example"], "firstName": ["Anne"], "groups": ["Board"], "committees": ["Ethics", "Finance"]}


@pytest.mark.parametrize("accept", ["*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "nonsense", ""])
def test_JSON_otherwise(world: World, accept: str) -> None:
    assert world.redeem(token_for(world), "lms", headers={"Accept": accept}).mimetype == "application/json"


def test_V12_hostile_values_stay_values_in_XML_and_JSON(world: World) -> None:
    session = Session("_s", HOSTILE, "x", 1, "l", 2, 1)
    profile = make_profile(session, Subject(HOSTILE, "x", {"company": (HOSTILE, "")}), Release({"company": HOSTILE}))
    member = ElementTree.fromstring(profile.as_xml().encode())
    kept = HOSTILE.replace("\x00", "").replace("\x08", "").replace("\ud800", "").replace("\ufffe", "")
    assert [(each.get("name"), [value.text for value in each]) for each in member] == [(kept, [kept])]
    assert member.get("subject") == kept
    assert json.loads(json.dumps(profile.as_json()))["attributes"] == {HOSTILE: HOSTILE}


def test_V12_hostile_text_stays_text_in_an_error_in_XML() -> None:
    error = ElementTree.fromstring(error_xml("a.b", HOSTILE, '"><x/>').encode())
    assert (len(error), error.get("reference")) == (0, '"><x/>')


@pytest.mark.parametrize("values", [("Board",), ("Board", "Staff")])
def test_roles_are_a_list_under_whatever_name_and_however_many_there_are(values: tuple[str, ...]) -> None:
    profile = make_profile(Session("_s", "1", "x", 1, "l", 2, 1), Subject("1", "x", {"roles": values}), read_release(["roles=is_in"]))
    assert profile.as_json()["attributes"] == {"is_in": list(values)}


def test_S16_a_token_is_redeemed_once_and_the_replay_is_in_the_audit_log(world: World) -> None:
    token = token_for(world)
    assert world.redeem(token, "lms").status_code == 200
    second = world.redeem(token, "lms")
    assert (second.status_code, second.json["error"]) == (400, "ticket.replayed")
    (line,) = world.audit.of("service.refused")
    assert (line["cause"], line["client"], line["reference"]) == ("ticket.replayed", "lms", second.json["reference"])
    assert line["family"].startswith("_")


def test_S16_S94_of_16_who_redeem_one_token_at_once_one_wins(world: World) -> None:
    for _ in range(3):
        token = token_for(world)
        gate = threading.Barrier(16)
        statuses: list[int] = []

        def redeem(token: str = token, gate: threading.Barrier = gate, statuses: list[int] = statuses) -> None:
            gate.wait()
            statuses.append(call(world, auth=("lms", "lms-secret"), data={"token": token}).status_code)

        threads = [threading.Thread(target=redeem) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [200] + [400] * 15
        world.now.seconds += 61  # a new minute, for the limit on calls


def test_S94_another_vendors_token_is_refused_and_burnt(world: World) -> None:
    token = token_for(world)
    assert world.redeem(token, "basic").json["error"] == "ticket.other_client"
    assert world.redeem(token, "lms").json["error"] == "ticket.replayed"


def test_S94_a_token_lives_30_seconds(world: World) -> None:
    early, late = token_for(world), token_for(world)
    world.now.seconds += 29
    assert world.redeem(early, "lms").status_code == 200
    world.now.seconds += 1
    assert world.redeem(late, "lms").json["error"] == "ticket.unknown"


def test_S94_a_vendor_that_says_where_the_token_arrived_has_that_checked(world: World) -> None:
    assert world.redeem(token_for(world), "lms", **{"return": LMS}).status_code == 200
    token = token_for(world)
    assert world.redeem(token, "lms", **{"return": "https://lms.example.com/other"}).json["error"] == "ticket.other_return"
    assert world.redeem(token, "lms", **{"return": LMS}).json["error"] == "ticket.replayed"


def test_V51_a_disabled_member_is_not_given_out_and_the_session_ends(world: World) -> None:
    token = token_for(world)
    world.members.by_id[ANNE.id] = Subject(ANNE.id, "anne", ANNE.attributes, active=False)
    world.now.seconds += 10
    world.store.delete("subject", ANNE.id)
    assert world.redeem(token, "lms").json["error"] == "subject.gone"
    assert world.sessions.list() == []


def wrong_credentials() -> dict[str, dict[str, object]]:
    def basic(text: bytes) -> dict[str, object]:
        return {"headers": {"Authorization": f"Basic {b64encode(text).decode()}"}}

    return {
        "none": {},
        "wrong secret": {"auth": ("lms", "basic-secret")},
        "empty secret": {"auth": ("lms", "")},
        "unknown client": {"auth": ("nobody", "lms-secret")},
        "no client": {"auth": ("", "lms-secret")},
        "no colon": basic(b"lms"),
        "a colon too many": basic(b"lms:lms-secret:"),
        "not UTF-8": basic(b"lms:\xff\xfe"),
        "NUL": basic(b"lms\0:lms-secret"),
        "not base64": {"headers": {"Authorization": "Basic ***"}},
        "bearer": {"headers": {"Authorization": "Bearer lms-secret"}},
        "the digest that we keep": {"auth": ("lms", "f6a35c1c")},
        "secret in the address": {"query_string": {"client_id": "lms", "client_secret": "lms-secret"}},
        "secret in the body": {"data": {"client_id": "lms", "client_secret": "lms-secret"}},
    }


@pytest.mark.parametrize("given", wrong_credentials().values(), ids=wrong_credentials())
def test_S27_S97_without_the_vendors_secret_in_the_header_there_is_one_answer_for_all(world: World, given: dict) -> None:
    token = token_for(world)
    response = call(world, **{**given, "data": {"token": token, **given.get("data", {})}})
    assert (response.status_code, response.json["error"]) == (401, "service.bad_client")
    assert response.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert world.redeem(token, "lms").status_code == 200  # and the token is untouched


def test_S97_a_client_of_another_protocol_has_no_business_here(make_world: MakeWorld) -> None:
    world = make_world(replace(make_client("app", "token", return_urls=(LMS,)), protocol="oidc"))
    assert world.redeem("x", "app").json["error"] == "service.bad_client"


def test_S27_any_of_the_live_secrets_is_good(make_world: MakeWorld) -> None:
    client = make_client("lms", "token", return_urls=(LMS,))
    world = make_world(replace(client, secrets=(*client.secrets, digest("next"))))
    assert world.redeem(token_for(world), "lms", secret="next").status_code == 200
    assert world.redeem(token_for(world), "lms").status_code == 200


@pytest.mark.parametrize(
    ("method", "query", "body", "status", "cause"),
    [
        ("GET", "", {}, 405, "service.method"),
        ("PUT", "", {"data": {"token": "x"}}, 405, "service.method"),
        ("DELETE", "", {}, 405, "service.method"),
        ("OPTIONS", "", {}, 405, "service.method"),
        ("GET", "?token=x", {}, 405, "service.method"),
        ("POST", "?token=x", {"data": {"token": "x"}}, 400, "service.token_in_address"),
        ("POST", "", {"data": {}}, 415, "service.content_type"),
        ("POST", "", {"data": "token=x", "content_type": "text/plain"}, 415, "service.content_type"),
        ("POST", "", {"data": "<token>x</token>", "content_type": "application/xml"}, 415, "service.content_type"),
        ("POST", "", {"data": {"token": "x"}, "content_type": "multipart/form-data"}, 415, "service.content_type"),
        ("POST", "", {"data": {"other": "x"}}, 400, "service.token_missing"),
        ("POST", "", {"data": {"token": ""}}, 400, "service.token_missing"),
        ("POST", "", {"data": {"token": ["a", "b"]}}, 400, "service.field_repeated"),
        ("POST", "", {"data": {"token": "x"}}, 400, "ticket.unknown"),
        ("POST", "", {"data": {"token": "ä\ufffd"}}, 400, "ticket.unknown"),
        ("POST", "", {"json": {}}, 400, "service.token_missing"),
        ("POST", "", {"json": []}, 400, "service.body_unreadable"),
        ("POST", "", {"json": "x"}, 400, "service.body_unreadable"),
        ("POST", "", {"json": {"token": {"$gt": ""}}}, 400, "service.body_unreadable"),
        ("POST", "", {"json": {"token": ["x"]}}, 400, "service.body_unreadable"),
        ("POST", "", {"json": {"token": None}}, 400, "service.body_unreadable"),
        ("POST", "", {"json": {"token": "\ud800"}}, 400, "service.body_unreadable"),
        ("POST", "", {"data": "{", "content_type": "application/json"}, 400, "service.body_unreadable"),
        ("POST", "", {"data": b"\xff", "content_type": "application/json"}, 400, "service.body_unreadable"),
        ("POST", "", {"data": "[" * 10_000, "content_type": "application/json"}, 400, "service.body_unreadable"),
        ("POST", "", {"data": {"token": "x" * 20_000}}, 413, "service.body_too_large"),
        ("POST", "", {"json": {"token": "x" * 20_000}}, 413, "service.body_too_large"),
    ],
)
@pytest.mark.parametrize("format", ["json", "xml"])
def test_S97_S121_V58_bad_calls_have_a_stable_cause_and_a_reference(
    world: World, method: str, query: str, body: dict, status: int, cause: str, format: str
) -> None:
    server = world.app.test_client(use_cookies=False)
    accept = {"Accept": f"application/{format}"}
    response = server.open(f"/service/redeem{query}", method=method, base_url=world.url, auth=("lms", "lms-secret"), headers=accept, **body)
    assert (response.status_code, response.mimetype) == (status, f"application/{format}")
    if format == "json":
        found = {name: response.json[name] for name in ("error", "reference")}
        assert response.json["message"]
    else:
        error = ElementTree.fromstring(response.data)
        found = {"error": error.get("cause"), "reference": error.get("reference")}
    assert found == {"error": cause, "reference": world.audit.last["reference"]}
    assert world.audit.last["cause"] == cause
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers.get("Allow") == ("POST" if status == 405 else None)
    assert "Access-Control-Allow-Origin" not in response.headers


def test_S97_HEAD_redeems_nothing(world: World) -> None:
    server = world.app.test_client(use_cookies=False)
    assert server.head("/service/redeem", base_url=world.url, auth=("lms", "lms-secret")).status_code == 405


def test_S94_only_the_vendors_own_servers_may_redeem_when_it_says_which(world: World) -> None:
    """The test's client is our trusted proxy, which names the caller."""
    good, bad = ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1"), ("198.51.100.7", "2001:db8::2", "nonsense", "")
    for address, status in [*((each, 200) for each in good), *((each, 403) for each in bad)]:
        token = token_for(world, "fenced")
        response = world.redeem(token, "fenced", headers={"X-Forwarded-For": address} if address else {})
        assert response.status_code == status, address
    assert response.json["error"] == "service.address_not_allowed"


def test_S97_a_vendor_calls_only_so_often_in_a_minute(world: World) -> None:
    statuses = [world.redeem("x", "lms").status_code for _ in range(21)]
    assert statuses == [400] * 20 + [429]
    assert world.redeem("x", "lms").headers["Retry-After"] == "60"
    assert world.redeem("x", "basic").status_code == 400  # another vendor is not held up
    world.now.seconds += 60
    assert world.redeem("x", "lms").status_code == 400


def test_S27_secrets_are_guessed_only_so_often_and_the_vendor_elsewhere_is_not_held_up(world: World) -> None:
    guesser, vendor = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}
    statuses = [world.redeem("x", "lms", secret="guess", headers=guesser).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]
    assert world.redeem("x", "lms", headers=guesser).status_code == 429  # the right one at last: it does not show
    assert world.redeem("x", "lms", headers=vendor).status_code == 400


def test_S30_neither_token_nor_secret_is_echoed_or_logged(world: World) -> None:
    token = token_for(world)
    texts = [world.redeem(token, "basic").text, world.redeem(token, "lms").text, world.redeem(token, "lms", secret="canary-secret").text]
    log = json.dumps(world.audit.lines, default=str)
    for text in (*texts, log):
        assert token not in text
        assert "lms-secret" not in text
        assert "canary-secret" not in text
    assert repr(Secret(token)) == "Secret(***)"


def test_what_was_given_out_is_in_the_audit_log_by_name(world: World) -> None:
    world.redeem(token_for(world), "lms")
    (line,) = world.audit.of("service.redeemed")
    assert (line["client"], line["subject"], line["released"]) == ("lms", "4711", ["committees", "email", "firstName", "groups"])
