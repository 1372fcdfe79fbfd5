"""Consent: asked once, remembered, reviewed and taken back (S14). Without a script: forms alone."""

from __future__ import annotations

import re
from typing import Any

import pytest
from werkzeug.test import TestResponse

from idp.protocols.oidc.grant.begin import Beginning

from .conftest import MakeWorld
from .wiring import Visitor, World, answer, make_client

YEAR = 365 * 86400


@pytest.fixture
def asking(make_world: MakeWorld) -> World:
    return make_world(
        make_client(
            consent="ask", grant_types=("authorization_code", "refresh_token"), scopes=("openid", "profile", "email", "offline_access")
        )
    )


def say(visitor: Visitor, page: TestResponse, words: str, **changes: str) -> TestResponse:
    """Presses a button of the page."""
    assert page.status_code == 200, page.text
    action = re.search(r'action="(/signon/[^"]*/consent)"', page.text)
    token = re.search(r'name="form_token" value="([^"]*)"', page.text)
    assert action
    assert token
    return visitor.post(action[1], data={"form_token": token[1], "answer": words, **changes})


def agreed(world: World, **changes: str | None) -> Visitor:
    visitor = world.signed_in()
    assert "code" in answer(say(visitor, visitor.ask(**changes), "agree"))
    return visitor


def test_S14_the_page_says_who_asks_and_for_what(asking: World) -> None:
    page = asking.signed_in().ask(scope="openid email offline_access").text
    assert "Share with The rp?" in page
    assert "Your email address" in page
    assert "while you are not signed in" in page
    assert "Your first name" not in page
    assert "<script" not in page


def test_a_yes_goes_on_to_the_application_and_is_remembered(asking: World) -> None:
    visitor = agreed(asking)
    assert "code" in answer(visitor.ask())
    assert asking.audit.of("consent.given")[0]["client"] == "rp"


def test_a_yes_holds_in_another_browser_and_for_this_member_alone(asking: World) -> None:
    agreed(asking)
    assert "code" in answer(asking.signed_in().ask())
    assert "Share with" in asking.signed_in("bert").ask().text


def test_a_no_is_access_denied_and_not_remembered(asking: World) -> None:
    visitor = asking.signed_in()
    assert answer(say(visitor, visitor.ask(), "refuse"))["error"] == "access_denied"
    assert "Share with" in visitor.ask().text


def test_more_than_was_agreed_to_is_asked_again(asking: World) -> None:
    visitor = agreed(asking, scope="openid email")
    assert "code" in answer(visitor.ask(scope="openid"))
    assert "Your name" in visitor.ask(scope="openid profile").text


def test_the_claims_parameter_is_asked_about_too(asking: World) -> None:
    visitor = agreed(asking, scope="openid")
    assert "Your email address" in visitor.ask(scope="openid", claims='{"id_token": {"email": null}}').text


def test_consent_required_where_no_page_may_be_shown(asking: World) -> None:
    visitor = asking.signed_in()
    assert answer(visitor.ask(prompt="none"))["error"] == "consent_required"
    say(visitor, visitor.ask(), "agree")
    assert "code" in answer(visitor.ask(prompt="none"))


def test_prompt_consent_asks_again(asking: World) -> None:
    visitor = agreed(asking)
    page = visitor.ask(prompt="consent")
    assert "code" in answer(say(visitor, page, "agree"))
    assert "Share with" in visitor.ask(prompt="consent").text


def test_the_association_s_word_is_enough_where_nothing_else_is_said(world: World) -> None:
    assert "code" in answer(world.signed_in().ask())
    assert world.store.list("consent") == []


def test_a_yes_ends_after_a_year(asking: World) -> None:
    agreed(asking)
    asking.now.seconds += YEAR + 1
    assert "Share with" in asking.signed_in().ask().text


def test_S120_another_site_cannot_say_yes(asking: World) -> None:
    visitor = asking.signed_in()
    page = visitor.ask()
    assert say(visitor, page, "agree", form_token="x").status_code == 400
    assert asking.store.list("consent") == []


def test_S11_another_browser_cannot_answer(asking: World) -> None:
    page = asking.signed_in().ask()
    other = asking.signed_in("bert")
    theirs = other.ask()
    token = re.search(r'name="form_token" value="([^"]*)"', theirs.text)
    assert token
    assert say(other, page, "agree", form_token=token[1]).status_code == 400
    assert asking.store.list("consent") == []


def test_a_page_is_answered_once(asking: World) -> None:
    visitor = asking.signed_in()
    page = visitor.ask()
    assert "code" in answer(say(visitor, page, "agree"))
    assert say(visitor, page, "agree").status_code == 400


def test_who_signed_out_meanwhile_signs_in_again_first(asking: World) -> None:
    visitor = asking.signed_in()
    page = visitor.ask()
    asking.logout.end(visitor.session_id(), reason="test")
    assert "/login?" in say(visitor, page, "agree").location
    assert asking.store.list("consent") == []


def test_what_is_released_since_the_page_was_shown_is_asked_about(asking: World) -> None:
    """The answer is to what was on the page, not to what is wanted by now."""
    visitor = asking.signed_in()
    page = visitor.ask(scope="openid profile email")
    (stored,) = (each for each in asking.store.list("pending") if "shown" in each.record)
    asking.store.put("pending", stored.key, {**stored.record, "shown": ["email"]}, expires=stored.expires)
    again = say(visitor, page, "agree")
    assert "Your name" in again.text


def test_login_comes_before_the_question(asking: World) -> None:
    visitor = asking.browser()
    page = visitor.sign_in(visitor.ask().location)
    assert "code" in answer(say(visitor, page, "agree"))


# review and revoke


def shared(visitor: Visitor) -> str:
    return visitor.get("/consent").text


def revoke(visitor: Visitor, **changes: str) -> TestResponse:
    token = re.search(r'name="form_token" value="([^"]*)"', shared(visitor))
    return visitor.post("/consent/revoke", data={"form_token": token[1] if token else "", "client": "rp", **changes})


def test_S14_the_member_sees_what_they_share_and_takes_it_back(asking: World) -> None:
    visitor = agreed(asking)
    assert "The rp" in shared(visitor)
    assert "Your email address" in shared(visitor)
    assert revoke(visitor).status_code == 303
    assert "The rp" not in shared(visitor)
    assert "Share with" in visitor.ask().text


def test_S14_with_a_yes_its_tokens_go(asking: World) -> None:
    visitor = agreed(asking, scope="openid email offline_access")
    tokens: dict[str, Any] = asking.exchange(visitor.code(scope="openid email offline_access")).get_json()
    assert asking.userinfo(tokens["access_token"]).status_code == 200
    revoke(visitor)
    assert asking.userinfo(tokens["access_token"]).status_code == 401
    refreshed = asking.exchange("", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refreshed.get_json()["error"] == "invalid_grant"


def test_S14_with_a_yes_the_code_goes_that_was_not_redeemed_yet(asking: World) -> None:
    visitor = agreed(asking)
    code, other = visitor.code(), asking.signed_in("bert")
    theirs = answer(say(other, other.ask(), "agree"))["code"]
    revoke(visitor)
    assert asking.exchange(code).get_json()["error"] == "invalid_grant"
    assert asking.exchange(theirs).status_code == 200, "another member's stays"


def test_S14_with_a_yes_the_code_goes_that_is_being_redeemed_just_now(asking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = agreed(asking)
    code = visitor.code()
    answered = Beginning.answer

    def between(*parts: Any) -> dict[str, Any]:
        revoke(visitor)
        return answered(*parts)

    monkeypatch.setattr(Beginning, "answer", between)
    tokens: dict[str, Any] = asking.exchange(code).get_json()
    assert asking.userinfo(tokens["access_token"]).status_code == 401
    refreshed = asking.exchange("", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert refreshed.get_json()["error"] == "invalid_grant"


def test_S120_another_site_cannot_take_it_back(asking: World) -> None:
    visitor = agreed(asking)
    assert revoke(visitor, form_token="x").status_code == 400
    assert "The rp" in shared(visitor)


def test_one_member_takes_back_nothing_of_another(asking: World) -> None:
    visitor = agreed(asking)
    other = asking.signed_in("bert")
    say(other, other.ask(), "agree")
    revoke(other)
    assert "The rp" in shared(visitor)


def test_who_is_not_signed_in_sees_nothing(asking: World) -> None:
    agreed(asking)
    page = shared(asking.browser())
    assert "The rp" not in page
    assert "Sign in" in page
