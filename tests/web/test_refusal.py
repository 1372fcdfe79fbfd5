"""What goes wrong: a page with a reference, a log line with the same, and nothing of ours for strangers."""

from __future__ import annotations

import logging

import pytest
from werkzeug.test import TestResponse

from idp.directory import Subject
from idp.secret import Secret
from tests.sso.house import PASSWORD

from .site import Site, hidden_fields

JSON = {"Accept": "application/json"}


def reference_in(site: Site, response: TestResponse) -> str:
    """The reference of the last event, which the answer must show."""
    reference = str(site.house.audit.lines[-1]["reference"])
    assert reference in response.text
    return reference


def test_U9_a_refusal_is_a_sentence_and_a_reference_that_finds_its_cause_in_the_log(site: Site) -> None:
    response = site.visitor().get("/broken/refused")
    assert response.status_code == 400
    assert "This is odd." in response.text
    reference_in(site, response)
    event = site.house.audit.of("request.refused")[-1]
    assert {**event, "reference": ""} == {
        "event": "request.refused",
        "cause": "echo.odd",
        "reference": "",
        "client": "lms",
        "expected": "<even>",
        "received": "<script>alert(1)</script>",
        "detail": "",
    }


def test_V18_what_was_received_is_shown_as_text(site: Site) -> None:
    text = site.visitor().get("/broken/refused").text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "&lt;even&gt;" in text


def test_G_S10_an_unforeseen_exception_shows_and_logs_its_type_and_place_but_not_its_message(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        response = site.visitor().get("/broken/unforeseen")
    reference = reference_in(site, response)
    assert response.status_code == 500
    assert "Something went wrong on our side." in response.text
    assert "RuntimeError" not in response.text
    assert "Traceback" not in response.text
    assert f"unforeseen RuntimeError, reference {reference}" in caplog.text
    assert "in fail" in caplog.text, "where it happened"
    assert "canary" not in f"{caplog.text} {response.text} {site.house.audit.lines}"


@pytest.mark.parametrize("what", ["keys", "away"])
def test_our_own_trouble_is_for_the_log_and_not_for_strangers(site: Site, what: str) -> None:
    """Paths, hosts and commands help an attacker and no member."""
    for headers in ({}, JSON):
        response = site.visitor().get(f"/broken/{what}", **headers)
        assert response.status_code >= 500
        assert "canary" not in response.text
        assert "idp keys" not in response.text
        reference_in(site, response)
    assert "canary" in str(site.house.audit.lines), "the operator finds it"


def test_F7_who_must_come_back_later_is_told_when(site: Site) -> None:
    statuses = {what: (response.status_code, response.headers.get("Retry-After")) for what in ("away", "later", "busy", "refused")
                if (response := site.visitor().get(f"/broken/{what}"))}  # fmt: skip
    assert statuses == {"away": (503, "10"), "later": (503, "77"), "busy": (429, "60"), "refused": (400, None)}


def test_F7_what_may_work_later_has_a_link_to_try_it_again(site: Site) -> None:
    """To the same address: a request that waits stays with its member."""
    pages = {what: site.visitor().get(f"/broken/{what}?a=1&b=%22%3E").text for what in ("away", "refused")}
    assert '<a class="button primary" href="?a=1&amp;b=%22%3E">Try again</a>' in pages["away"]
    assert "Try again" not in pages["refused"]


def test_a_program_gets_json(site: Site) -> None:
    response = site.visitor().get("/broken/refused", **JSON)
    assert response.status_code == 400
    assert response.json == {
        "error": "echo.odd",
        "error_description": "This is odd.",
        "expected": "<even>",
        "received": "<script>alert(1)</script>",
        "reference": reference_in(site, response),
    }


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("application/json;q=0.5,text/html;q=0.4", "application/json"),
        ("image/png", "text/html"),
        ("nonsense", "text/html"),
    ],
)
def test_a_person_gets_a_page(site: Site, accept: str, kind: str) -> None:
    assert site.visitor().get("/broken/refused", Accept=accept).mimetype == kind


def test_S121_a_wrong_method_is_told_the_right_ones(site: Site) -> None:
    response = site.visitor().client.delete("/login", base_url=site.server.url)
    assert response.status_code == 405
    assert {"GET", "POST"} <= set(response.headers["Allow"].split(", "))
    reference_in(site, response)


def test_what_is_not_there_is_404_without_repeating_what_was_asked(site: Site) -> None:
    response = site.visitor().get("/nowhere<script>canary")
    assert response.status_code == 404
    assert "canary" not in response.text


def test_V57_a_body_that_is_too_large_is_refused_before_it_is_read(site: Site) -> None:
    response = site.visitor().post("/login", {"username": "a" * 20_000})
    assert response.status_code == 413
    assert "too large" in response.text


@pytest.mark.parametrize("path", ["/%00", "/login?request=%00", "/login?request=%ff", "/signon/%00%ff", "/logout/..%2f..", "/%ed%a0%80"])
def test_bytes_that_are_no_text_are_a_bad_request_and_no_failure(site: Site, path: str) -> None:
    assert site.app.test_client().get(path, base_url=site.server.url).status_code in (302, 400, 404)
    assert site.house.audit.of("server.failed") == []


def test_HEAD_is_answered_like_GET_without_the_text(site: Site) -> None:
    response = site.visitor().client.head("/login", base_url=site.server.url)
    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["Cache-Control"] == "no-store"


def test_G_S10_canary_search_over_a_members_whole_way(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a password nor a cookie's secret in a log, an event or a page, whatever goes wrong."""
    wrong = "canary-wrong-password"
    visitor, seen = site.visitor(), []
    authenticate = site.house.members.authenticate

    def burst(username: str, password: Secret) -> Subject | None:
        raise RuntimeError(f"{username} {password.reveal()}")

    with caplog.at_level(logging.DEBUG):
        page = visitor.get("/login")
        seen += [visitor.sign_in(page, "ada", wrong)]
        monkeypatch.setattr(site.house.members, "authenticate", burst)
        seen += [visitor.sign_in(page, "ada", wrong)]
        monkeypatch.setattr(site.house.members, "authenticate", authenticate)
        site.house.members.is_there = False
        seen += [visitor.sign_in(page, "ada", wrong)]
        site.house.members.is_there = True
        seen += [visitor.sign_in(page), visitor.get("/"), visitor.get("/echo/signon?client=lms"), visitor.get("/broken/unforeseen")]
        secrets = [wrong, PASSWORD, *(value.rpartition(".")[2] for value in visitor.cookies().values())]
        question = visitor.get("/logout")
        seen += [question, visitor.post("/logout", hidden_fields(question))]
    assert [response.status_code for response in seen] == [401, 500, 503, 303, 200, 302, 500, 200, 303]
    assert len(secrets) == 4
    everything = f"{caplog.text} {site.house.audit.lines} {[response.text + str(response.location) for response in seen]}"
    assert [secret for secret in secrets if secret in everything] == []
