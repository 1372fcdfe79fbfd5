"""Who may enter a client; what the member reads; what the client learns."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from idp.directory import Subject
from idp.sso.answer import Page, Redirect
from idp.sso.entry import objection_to
from idp.sso.release import read_release
from idp.sso.settings import AttributeSettings, EntrySettings
from idp.sso.signon import PendingGone

from .conftest import MakeHouse
from .echo import ask, make_client
from .house import ADA, BROWSER, OTHER_BROWSER, House

TODAY = date(2026, 7, 1)
MEMBER = Subject(
    "101",
    "ada",
    {
        "status": ("Active",),
        "member_type": ("REG",),
        "paid_through": ("2026-06-30",),
        "committees": ("Ethics", "Finance"),
        "roles": ("Editor",),
    },
)


def cause(subject: Subject = MEMBER, **rules: Any) -> str:
    objection = objection_to(subject, EntrySettings(**rules), today=TODAY)
    return objection.cause if objection else ""


class TestTheRules:
    def test_without_a_rule_everybody_enters(self) -> None:
        assert cause(Subject("1", "x", {})) == ""

    @pytest.mark.parametrize(
        ("rules", "expected"),
        [
            ({"active": True}, ""),
            ({"active": True, "statuses": ("Gold",)}, "entry.not_active"),
            ({"member_types": ("STU", "reg")}, ""),
            ({"member_types": ("STU",)}, "entry.member_type"),
            ({"groups": ("finance",)}, ""),
            ({"groups": ("Board",)}, "entry.groups"),
            ({"roles": ("editor",)}, ""),
            ({"roles": ("SysAdmin",)}, "entry.roles"),
            ({"member_types": ("REG",), "groups": ("Board",)}, "entry.groups"),
        ],
    )
    def test_every_rule_must_hold_and_one_of_a_list_is_enough(self, rules: dict[str, Any], expected: str) -> None:
        assert cause(**rules) == expected

    @pytest.mark.parametrize(("days", "expected"), [(0, "entry.lapsed"), (1, ""), (30, "")])
    def test_paid_through_counts_to_the_end_of_its_day_and_the_grace_days_after_it(self, days: int, expected: str) -> None:
        assert cause(paid_through_grace=days) == expected

    @pytest.mark.parametrize("text", ["", "soon", "0001-01-01", "2026-13-01"])
    def test_whose_date_is_none_has_not_paid(self, text: str) -> None:
        assert cause(Subject("1", "x", {"paid_through": (text,)}), paid_through_grace=36500) == "entry.lapsed"

    def test_staff_enter_in_any_case(self) -> None:
        assert cause(active=True, statuses=("Gold",), groups=("Board",), staff=("Editor",)) == ""


def told(answer: object) -> dict[str, str]:
    assert isinstance(answer, Redirect)
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.url).query).items()}


@pytest.fixture
def house(make_house: MakeHouse) -> House:
    need = read_release({"email": AttributeSettings(), "shoe": AttributeSettings.model_validate({"from": "shoe_size", "required": True})})
    return make_house(
        make_client("lms", entry=EntrySettings(member_types=("REG",), staff=("Staff",))),
        make_client("shop"),
        replace(make_client("shoes"), release=need),
    )


class TestTheWay:
    def test_U11_a_member_who_may_not_enter_reads_why_on_a_page_of_ours(self, house: House) -> None:
        answer = house.signon.start(ask("lms"), BROWSER, house.session())
        assert isinstance(answer, Page)
        assert (answer.template, answer.status) == ("turned_away.html", 403)
        assert answer.values["objection"].cause == "entry.member_type"
        (event,) = house.audit.of("signon.turned_away")
        assert (event["cause"], event["reference"]) == ("entry.member_type", answer.values["reference"])

    def test_the_session_lives_on_and_other_clients_are_open(self, house: House) -> None:
        session = house.session()
        house.signon.start(ask("lms"), BROWSER, session)
        assert told(house.signon.start(ask("shop"), BROWSER, session))["subject"] == "101"
        assert [each.client_id for each in house.live(session).participants] == ["shop"]

    def test_S126_the_client_learns_that_it_is_refused_and_nothing_of_the_member(self, house: House) -> None:
        page = house.signon.start(ask("lms"), BROWSER, house.session())
        assert isinstance(page, Page)
        answer = told(house.signon.decline(page.values["request_id"], BROWSER))
        assert answer["error"] == "entry.denied"
        assert set(answer) == {"error", "reference"}

    def test_S11_only_the_browser_that_was_turned_away_may_go_back_and_only_once(self, house: House) -> None:
        page = house.signon.start(ask("lms"), BROWSER, house.session())
        assert isinstance(page, Page)
        with pytest.raises(PendingGone):
            house.signon.decline(page.values["request_id"], OTHER_BROWSER)
        house.signon.decline(page.values["request_id"], BROWSER)
        with pytest.raises(PendingGone):
            house.signon.decline(page.values["request_id"], BROWSER)

    def test_who_has_renewed_meanwhile_goes_on_with_the_same_request(self, house: House) -> None:
        session = house.session()
        page = house.signon.start(ask("lms"), BROWSER, session)
        assert isinstance(page, Page)
        again = house.signon.resume(page.values["request_id"], BROWSER, session)
        assert isinstance(again, Page), "nothing has changed: the page once more, as after a reload"
        assert again.values["request_id"] == page.values["request_id"]
        house.subjects.remember(Subject("101", "ada", {**ADA.attributes, "member_type": ("REG",)}))
        assert told(house.signon.resume(page.values["request_id"], BROWSER, session))["subject"] == "101"

    def test_S9_a_passive_request_gets_the_refusal_and_no_page(self, house: House) -> None:
        assert told(house.signon.start(ask("lms", passive=True), BROWSER, house.session()))["error"] == "entry.denied"

    def test_what_is_required_and_missing_is_named_to_staff(self, house: House) -> None:
        session = house.session()
        answer = house.signon.start(ask("shoes"), BROWSER, session)
        assert isinstance(answer, Page)
        (event,) = house.audit.of("signon.turned_away")
        assert (event["cause"], event["missing"]) == ("release.required_missing", "shoe")
        assert "shoe" not in answer.values["objection"].sentence
