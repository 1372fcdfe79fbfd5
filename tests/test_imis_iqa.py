"""Attributes from IQAs: both services and both shapes give the same, the endpoint is found once, and changes are noticed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import ValidationError

from idp.demo.imis import SimulatorSettings
from idp.directory import Directory, DirectoryUnavailable
from idp.directory.choice import open_directory
from idp.directory.settings import IqaSettings
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import DEMO, Clock, SimulatedImis, rest_settings, simulated_imis

PROFILE = {"path": "$/Sso/Profile", "id_column": "iMIS Id"}
COMMITTEES = {"path": "$/Sso/Committees", "columns": {"panels": "Committee"}, "prefix": "iqa_", "id_column": "iMIS Id"}


@contextlib.contextmanager
def opened(imis: SimulatedImis, folder: Path, **changes: Any) -> Iterator[Directory]:
    clock = Clock()
    with contextlib.closing(SqliteStore(folder / "store.sqlite", now=clock)) as store:
        yield open_directory(rest_settings(imis.url, **changes), store=store, now=clock)


@pytest.fixture
def imis() -> Iterator[SimulatedImis]:
    with simulated_imis(now=Clock()) as found:
        yield found


def attributes(directory: Directory, person_id: str = "1001") -> dict[str, tuple[str, ...]]:
    found = directory.find(person_id)
    assert found is not None
    return dict(found.attributes)


def test_the_columns_become_attributes_each_named_for_its_alias(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, iqa=[PROFILE]) as directory:
        found = attributes(directory)
        assert (found["chapter"], found["ce_credits"], found["paid_through"]) == (("North",), ("12",), ("2031-12-31",))
        assert found == dict((directory.authenticate("ada", DEMO) or pytest.fail("ada")).attributes)


def test_several_rows_give_several_values(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, iqa=[COMMITTEES]) as directory:
        assert attributes(directory, "1002")["iqa_panels"] == ("Board of Directors", "Education Committee", "Finance Committee")
        assert "iqa_panels" not in attributes(directory, "1013")


def test_several_rows_where_one_is_meant_are_an_error(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, iqa=[{**COMMITTEES, "collect": False}]) as directory:
        assert attributes(directory)["iqa_panels"] == ("Education Committee",)
        with pytest.raises(DirectoryUnavailable) as caught:
            directory.find("1002")
        assert "$/Sso/Committees: 3 rows" in caught.value.received


def test_rows_come_from_all_pages(tmp_path: Path) -> None:
    one_a_page = SimulatorSettings(page_limit=1, page_maximum=1)
    with simulated_imis(settings=one_a_page, now=Clock()) as imis, opened(imis, tmp_path, iqa=[COMMITTEES]) as directory:
        assert attributes(directory, "1002")["iqa_panels"] == ("Board of Directors", "Education Committee", "Finance Committee")
        assert imis.requests("GET /api/query") == 3


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("endpoint", ["query", "iqa", "auto"])
def test_both_services_and_both_shapes_give_the_same(tmp_path: Path, endpoint: Literal["query", "iqa", "auto"], bare: bool) -> None:
    with (
        simulated_imis(settings=SimulatorSettings(bare_arrays=bare), now=Clock()) as imis,
        opened(imis, tmp_path, iqa=[PROFILE, COMMITTEES], iqa_endpoint=endpoint) as directory,
    ):
        found = attributes(directory)
        assert (found["chapter"], found["ce_credits"], found["iqa_panels"]) == (("North",), ("12",), ("Education Committee",))
        assert imis.requests("GET /api/query") == (0 if endpoint == "iqa" else 2)


def test_the_service_is_found_out_once_for_all_workers(tmp_path: Path) -> None:
    with simulated_imis(settings=SimulatorSettings(generation="2017"), now=Clock()) as imis:
        settings = {"iqa": [PROFILE], "read_roles": False}
        with opened(imis, tmp_path, **settings) as first, opened(imis, tmp_path, **settings) as second:
            assert attributes(first)["chapter"] == attributes(second)["chapter"] == ("North",)
        assert imis.requests("GET /api/query") == 1
        assert imis.requests("GET /api/iqa") == 2


def test_S98_a_row_of_somebody_else_is_passed_over(imis: SimulatedImis, tmp_path: Path) -> None:
    rows = [{"iMIS Id": "1002", "Chapter": "South"}, {"iMIS Id": "1001", "Chapter": "North"}, {"Chapter": "Nobody's"}]
    imis.order("raw", path="/api/query", body=json.dumps({"Items": {"$values": rows}, "HasNext": False}))
    with opened(imis, tmp_path, iqa=[PROFILE]) as directory:
        assert attributes(directory)["chapter"] == ("North",)


def test_a_row_may_be_recognised_by_the_guid(imis: SimulatedImis, tmp_path: Path) -> None:
    query = {"path": "$/OAuth2/userInfo", "columns": {"login_email": "email"}, "id_column": "sub"}
    with opened(imis, tmp_path, iqa=[query]) as directory:
        assert attributes(directory)["login_email"] == ("ada@mail.example",)


@pytest.mark.parametrize("last", [{"HasNext": False, "NextOffset": 2}, {"HasNext": True, "NextOffset": 0}, {"HasNext": True, "Items": []}])
def test_pages_end_where_imis_says_so(imis: SimulatedImis, tmp_path: Path, last: dict[str, Any]) -> None:
    imis.order("raw", path="/api/query", body=json.dumps({"Items": [{"iMIS Id": "1001", "Chapter": "North"}], **last}))
    with opened(imis, tmp_path, iqa=[PROFILE]) as directory:
        directory.find("1001")
    assert imis.requests("GET /api/query") == 1


def test_an_iqa_that_is_not_there_is_named(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, iqa=[{"path": "$/Sso/Nothing"}]) as directory:
        with pytest.raises(DirectoryUnavailable) as caught:
            directory.find("1001")
        assert "$/Sso/Nothing" in caught.value.received
        assert "$/Sso/Nothing is not there" in directory.check()


def test_an_iqa_cannot_say_who_somebody_is(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, iqa=[{"path": "$/OAuth2/userInfo"}]) as directory:
        found = attributes(directory)
        assert (found["username"], found["imis_id"]) == (("ada",), ("1001",))


def test_drift_of_a_column_is_told_until_it_is_put_right(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, iqa=[PROFILE]) as directory:
        assert "ATTENTION" not in directory.check()
        imis.change_query("$/Sso/Profile", "CE Credits", "text")
        for _ in range(2):
            assert "column CE Credits of the IQA $/Sso/Profile was System.Int32 and is System.String" in directory.check()
        imis.change_query("$/Sso/Profile", "CE Credits")
        assert "the IQA $/Sso/Profile has no column CE Credits" in directory.check()


@pytest.mark.parametrize("broken", [{"mode": "status"}, {"mode": "truncated"}, {"mode": "html200"}])
def test_an_iqa_that_is_not_required_leaves_its_attributes_out_and_says_so(
    imis: SimulatedImis, tmp_path: Path, broken: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with opened(imis, tmp_path, iqa=[{**PROFILE, "required": False}]) as directory:
        imis.order(**broken, path="/api/query")
        for _ in range(2):
            found = directory.authenticate("ada", DEMO)
            assert found is not None
            assert "chapter" not in found.attributes
        imis.order("none")
        assert "the attributes of the IQA $/Sso/Profile are left out" in directory.check()
    assert [record.message.partition(":")[0] for record in caplog.records] == ["the attributes of the IQA $/Sso/Profile are left out"]


def test_an_iqa_that_is_required_fails_the_sign_in_even_beside_one_that_is_not(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, iqa=[{**PROFILE, "required": False}, COMMITTEES]) as directory:
        imis.order("status", path="/api/query")
        with pytest.raises(DirectoryUnavailable):
            directory.authenticate("ada", DEMO)


def test_what_may_be_left_out_is_asked_for_last(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, iqa=[{**PROFILE, "required": False}, COMMITTEES], iqa_endpoint="query") as directory:
        imis.order("status", path="/api/query", after=True)
        with pytest.raises(DirectoryUnavailable) as caught:
            directory.find("1001")
        assert imis.requests("GET /api/query") == 2, "the required one, and its one retry"
        assert "status 500" in caught.value.received


def test_a_column_that_settings_name_and_nobody_ever_saw_is_told(imis: SimulatedImis, tmp_path: Path) -> None:
    wrong = {**PROFILE, "columns": {"x": "Chaptr"}, "parameters": ["{username}", ""]}
    with opened(imis, tmp_path, iqa=[wrong]) as directory:
        said = directory.check()
    assert "has no column Chaptr" in said
    assert "has 1 prompts, and parameters has 2" in said


@pytest.mark.parametrize(
    "wrong",
    [
        {"path": "Profile"},
        {"parameters": []},
        {"parameters": ["x"]},
        {"columns": {"imis_id": "A"}},
        {"prefix": "user", "columns": {"name": "A"}},
    ],
)
def test_S98_an_iqa_without_the_members_own_parameter_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IqaSettings.model_validate({"path": "$/Sso/Profile", **wrong})


def test_subscriptions_are_an_attribute_if_asked_for(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, read_subscriptions=True) as directory:
        assert attributes(directory)["subscriptions"] == ("JOURNAL", "NEWS")
        assert "subscriptions" not in attributes(directory, "1002")


def test_groups_of_a_class_are_an_attribute_if_asked_for(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, group_classes={"panels": "COMMITTEE", "chapters": "CHAPTER"}, read_committees=False) as directory:
        found = attributes(directory, "1002")
        assert found["panels"] == ("Board of Directors", "Education Committee", "Finance Committee")
        assert not found.keys() & {"chapters", "committees"}


@pytest.mark.parametrize("body", [{"Result": None}, {"Result": {"Party": {}}}, {}, {"Result": "x"}])
def test_F12_an_answer_to_FindRelationships_that_is_no_list_is_unavailable(
    imis: SimulatedImis, tmp_path: Path, body: dict[str, Any]
) -> None:
    with opened(imis, tmp_path, group_classes={"chapters": "CHAPTER"}) as directory:
        imis.order("raw", path="/api/groupmember/_execute", body=json.dumps(body))
        with pytest.raises(DirectoryUnavailable):
            directory.find("1001")


def test_S98_a_membership_of_somebody_else_is_passed_over(imis: SimulatedImis, tmp_path: Path) -> None:
    others = [{"Group": {"Name": "North"}, "Party": {"PartyId": "1002"}, "IsActive": True}]
    with opened(imis, tmp_path, group_classes={"chapters": "CHAPTER"}) as directory:
        imis.order("raw", path="/api/groupmember/_execute", body=json.dumps({"Result": {"$values": others}}))
        assert "chapters" not in attributes(directory)
