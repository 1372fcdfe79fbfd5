"""The simulated iMIS does what the facts on iMIS say; the section is named with each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.demo.imis import SimulatorSettings, create_imis
from idp.errors import ConfigError
from tests.simulated_imis import PEOPLE, SERVICE, Answer, Clock, SimulatedImis, simulated_imis

DENIED = {"$type": "System.Web.Http.HttpError, System.Web.Http", "Message": "Authorization has been denied for this request."}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def imis(clock: Clock) -> Iterator[SimulatedImis]:
    with simulated_imis(now=clock) as found:
        yield found


def grant(imis: SimulatedImis, username: str = SERVICE, password: str = "demo") -> Answer:
    return imis.ask("POST", "/token", form={"grant_type": "password", "username": username, "password": password})


def token_of(imis: SimulatedImis) -> str:
    return str(grant(imis).json["access_token"])


def execute(imis: SimulatedImis, operation: str, *arguments: Any, entity: str = "UserSecurity", token: str = "") -> Answer:
    body = {"OperationName": operation, "EntityTypeName": entity, "Parameters": {"$values": list(arguments)}}
    return imis.ask("POST", f"/api/{entity}/_execute", body=body, token=token or token_of(imis))


def test_2_1_a_token_comes_with_its_life_and_its_user(imis: SimulatedImis) -> None:
    answer = grant(imis, "IDP-Service").json
    assert (answer["token_type"], answer["expires_in"], answer["userName"]) == ("bearer", 1199, "idp-service")
    assert (answer[".issued"], answer[".expires"]) == ("Fri, 15 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 2027 08:19:59 GMT")


@pytest.mark.parametrize("path", ["/token", "/Token", "/Asi.Scheduler_iMIS/token", "/asi.scheduler_imis0/TOKEN"])
def test_2_1_path_and_field_names_are_of_any_case(imis: SimulatedImis, path: str) -> None:
    answer = imis.ask("POST", path, form={"Grant_type": "password", "Username": SERVICE, "PASSWORD": "demo"})
    assert answer.json["access_token"]


@pytest.mark.parametrize(("username", "password"), [(SERVICE, "wrong"), ("nobody", "demo"), ("ada", "demo"), ("viktor", "demo"), ("", "")])
def test_2_2_every_refusal_is_invalid_grant(imis: SimulatedImis, username: str, password: str) -> None:
    """ada has no RemoteService (2.1)."""
    answer = grant(imis, username, password)
    assert (answer.status, answer.json["error"]) == (400, "invalid_grant")
    assert answer.json["error_description"] == SimulatorSettings().refused_text


def test_2_2_an_unknown_grant_is_refused(imis: SimulatedImis) -> None:
    assert imis.ask("POST", "/token", form={"grant_type": "magic"}).json == {"error": "unsupported_grant_type"}


def test_2_3_a_refresh_token_becomes_an_access_token_for_a_client_application(imis: SimulatedImis) -> None:
    refresh = grant(imis).json["refresh_token"]
    form = {"grant_type": "refresh_token", "client_id": "idp", "client_secret": "demo", "refresh_token": refresh}
    for _ in range(2):
        assert imis.ask("POST", "/token", form=form).json["userName"] == SERVICE
    assert imis.ask("POST", "/token", form={**form, "client_secret": "wrong"}).status == 400
    assert imis.ask("POST", "/token", form={**form, "refresh_token": "wrong"}).json["error"] == "invalid_grant"


def test_2_3_a_build_may_take_a_refresh_token_once(clock: Clock) -> None:
    with simulated_imis(settings=SimulatorSettings(refresh_reuse="once"), now=clock) as imis:
        refresh = grant(imis).json["refresh_token"]
        form = {"grant_type": "refresh_token", "client_id": "idp", "client_secret": "demo", "refresh_token": refresh}
        assert [imis.ask("POST", "/token", form=form).status for _ in range(2)] == [200, 400]


def test_2_4_a_new_token_kills_the_old_one_of_the_same_user(imis: SimulatedImis) -> None:
    old = token_of(imis)
    new = token_of(imis)
    dead = imis.ask("GET", "/api/Party/1001", token=old)
    assert (dead.status, dead.json) == (401, DENIED)
    assert imis.ask("GET", "/api/Party/1001", token=new).status == 200


def test_2_4_time_and_a_purge_kill_a_token(imis: SimulatedImis, clock: Clock) -> None:
    token = token_of(imis)
    clock.time += 1198
    assert imis.ask("GET", "/api/Party/1001", token=token).status == 200
    clock.time += 1
    assert imis.ask("GET", "/api/Party/1001", token=token).status == 401
    token = token_of(imis)
    imis.purge()
    assert imis.ask("GET", "/api/Party/1001", token=token).status == 401


def test_4_1_objects_are_typed_and_nulls_are_absent(imis: SimulatedImis) -> None:
    party = imis.ask("GET", "/api/Party/1013", token=token_of(imis)).json
    assert next(iter(party)) == "$type"
    assert party["$type"] == "Asi.Soa.Membership.DataContracts.PersonData, Asi.Contracts"
    assert "PrimaryOrganization" not in party
    assert "None" not in str(party)


def test_4_1_dates_and_numbers_in_a_bag_are_typed(imis: SimulatedImis) -> None:
    entries = imis.ask("GET", "/api/CsContact/1018", token=token_of(imis)).json["Properties"]["$values"]
    found = {entry["Name"]: entry.get("Value") for entry in entries}
    assert found["MemberType"] == "REG"
    assert found["PaidThrough"] == {"$type": "System.DateTime", "$value": "0001-01-01T00:00:00"}
    assert found["RenewMonths"] == {"$type": "System.Int32", "$value": 12}


def test_4_2_a_list_comes_in_pages(imis: SimulatedImis) -> None:
    token = token_of(imis)
    first = imis.ask("GET", "/api/Party?limit=20", token=token).json
    assert (first["Offset"], first["Limit"], first["Count"], first["TotalCount"]) == (0, 20, 20, 24)
    assert (first["HasNext"], first["NextOffset"], first["NextPageLink"]) == (True, 20, None)
    last = imis.ask("GET", "/api/Party?LIMIT=20&Offset=20", token=token).json
    assert (last["Count"], last["HasNext"], last["NextOffset"]) == (4, False, 0)


def test_4_2_a_limit_that_is_too_large_is_cut(imis: SimulatedImis) -> None:
    assert imis.ask("GET", "/api/Party?limit=9999", token=token_of(imis)).json["Limit"] == 500


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("Party?PartyId=1001", ["1001"]),
        ("Party?PartyId=eq:00101", ["00101"]),
        ("Party?email=NOVAK.family@mail.example", ["1011", "1012"]),
        ("Person?FirstName=startsWith:Be", ["1002"]),
        ("PartySummary?LastName=contains:brien", ["1005"]),
        ("Party?PartyId=ge:1020&CustomerTypeCode=STU", ["1020"]),
        ("User?UserName=ADA", ["1001"]),
        ("User?UserName=Equal:ada", ["1001"]),
        ("User?UserId=1013", []),
    ],
)
def test_4_3_lists_can_be_filtered(imis: SimulatedImis, query: str, ids: list[str]) -> None:
    items = imis.ask("GET", f"/api/{query}", token=token_of(imis)).json["Items"]["$values"]
    assert [item.get("PartyId", item.get("UserId")) for item in items] == ids


def test_4_3_not_every_property_can_be_filtered_by(imis: SimulatedImis) -> None:
    answer = imis.ask("GET", "/api/Party?MajorKey=1", token=token_of(imis))
    assert answer.status == 400
    assert answer.json["Errors"]["$values"][0]["Message"]


def test_4_4_a_composite_key_has_a_tilde_and_a_bar(imis: SimulatedImis) -> None:
    token = token_of(imis)
    member = imis.ask("GET", "/api/GroupMember/~STUDENT_SECTION%7C1020", token=token).json
    assert (member["Group"]["Name"], member["Party"]["PartyId"], member["IsActive"]) == ("Student Section", "1020", True)
    assert "ArgumentFault" in imis.ask("GET", "/api/GroupMember/1020", token=token).text


@pytest.mark.parametrize(
    "parameters",
    [
        {"$type": "...", "$values": [{"$type": "System.String", "$value": "ada"}, {"$type": "System.String", "$value": "demo"}]},
        {"$values": ["ada", "demo"]},
        ["ada", "demo"],
    ],
)
def test_4_5_parameters_come_in_every_documented_form(imis: SimulatedImis, parameters: Any) -> None:
    body = {"OperationName": "ValidateUser", "Parameters": parameters}
    answer = imis.ask("POST", "/api/UserSecurity/_execute", body=body, token=token_of(imis)).json
    assert (answer["Result"], answer["IsSuccessStatusCode"], answer["Message"]) == (True, True, None)


def test_4_5_not_found_is_200(imis: SimulatedImis) -> None:
    for operation, entity in (("FindByUserName", "User"), ("FindByName", "UserSecurity"), ("GetUserRoles", "UserSecurity")):
        answer = execute(imis, operation, "nobody", entity=entity)
        assert (answer.status, answer.json["Result"], answer.json["Message"]) == (200, None, "NotFound")


def test_4_6_errors_have_their_status(imis: SimulatedImis) -> None:
    token = token_of(imis)
    asked = {path: imis.ask("GET", f"/api/{path}", token=token).status for path in ("Party/9", "User/1013", "UserSecurity", "Nothing")}
    assert asked == {"Party/9": 404, "User/1013": 404, "UserSecurity": 501, "Nothing": 400}
    assert "There is no service defined for nothing" in imis.ask("GET", "/api/Nothing", token=token).text
    assert "OperationNotSupportedFault" in execute(imis, "Magic").text


@pytest.mark.parametrize("token", ["", "abc"])
def test_4_6_without_a_living_token_nothing_is_told(imis: SimulatedImis, token: str) -> None:
    answer = imis.ask("GET", "/api/Party/1001", token=token)
    assert (answer.status, answer.json) == (401, DENIED)


def test_5_2_user_security_wants_an_administrator(imis: SimulatedImis) -> None:
    imis.change("1001", attributes={"roles": ["RemoteService"]})
    token = grant(imis, "ada").json["access_token"]
    answer = execute(imis, "ValidateUser", "ben", "demo", token=token)
    assert (answer.status, answer.json) == (401, DENIED)
    assert execute(imis, "FindByUserName", "ben", entity="User", token=token).json["Result"]["UserId"] == "1002"
    assert imis.password_checks("ben") == 0


def test_5_2_a_user_has_no_roles_and_get_user_roles_has_them(imis: SimulatedImis) -> None:
    assert "Roles" not in imis.ask("GET", "/api/User/1002", token=token_of(imis)).json
    roles = execute(imis, "GetUserRoles", "BEN").json["Result"]["$values"]
    assert [role["RoleName"] for role in roles][1:] == ["Member", "Committee Chair"]
    assert len(roles[0]["RoleName"]) == 36  # a GUID (7.2)


def test_5_6_a_contact_has_groups_past_and_present(imis: SimulatedImis) -> None:
    members = imis.ask("GET", "/api/GroupMember?PartyId=1002", token=token_of(imis)).json["Items"]["$values"]
    assert {member["Group"]["Name"]: member["IsActive"] for member in members} == {
        "Board of Directors": True,
        "Education Committee": True,
        "Finance Committee": True,
        "Awards Committee": False,
    }
    groups = imis.ask("GET", "/api/Group?Name=Finance%20Committee", token=token_of(imis)).json["Items"]["$values"]
    assert [group["GroupId"] for group in groups] == ["FINANCE_COMMITTEE"]


def test_5_7_five_wrong_passwords_lock_for_ten_minutes(imis: SimulatedImis, clock: Clock) -> None:
    token = token_of(imis)

    def validate(password: str) -> bool:
        return bool(execute(imis, "ValidateUser", "ada", password, token=token).json["Result"])

    assert [validate("wrong") for _ in range(4)] == [False] * 4
    assert validate("demo")
    assert [validate("wrong") for _ in range(5)] == [False] * 5
    assert not validate("demo")
    clock.time += 599
    assert not validate("demo")
    clock.time += 1
    assert validate("demo")
    assert imis.password_checks("ada") == 13


def test_5_7_unlock_user_opens_a_lock(imis: SimulatedImis) -> None:
    assert execute(imis, "ValidateUser", "lock", "demo").json["Result"] is False
    assert execute(imis, "UnlockUser", "lock").json["Result"] is True
    assert execute(imis, "ValidateUser", "lock", "demo").json["Result"] is True


def test_5_5_a_query_is_flat_and_an_iqa_is_a_bag(imis: SimulatedImis) -> None:
    token = token_of(imis)
    path = "QueryName=$/Sso/Profile&parameter=ada"
    (flat,) = imis.ask("GET", f"/api/Query?{path}", token=token).json["Items"]["$values"]
    (bag,) = imis.ask("GET", f"/api/IQA?{path}", token=token).json["Items"]["$values"]
    assert flat == {
        "$type": "System.Dynamic.ExpandoObject, System.Core",
        "iMIS Id": "1001",
        "Chapter": "North",
        "Member Type": "REG",
        "Paid Through": "2031-12-31T00:00:00",
        "CE Credits": 12,
    }
    found = {entry["Name"]: entry["Value"] for entry in bag["Properties"]["$values"]}
    assert (found["ResultRow"], found["CE Credits"]) == ("1", {"$type": "System.Int32", "$value": 12})


@pytest.mark.parametrize("query", ["", "&parameter=ada&parameter=x"])
def test_5_5_every_prompt_must_be_given(imis: SimulatedImis, query: str) -> None:
    assert imis.ask("GET", f"/api/Query?QueryName=$/Sso/Profile{query}", token=token_of(imis)).status == 400


def test_5_5_a_definition_tells_prompts_and_columns(imis: SimulatedImis) -> None:
    token = token_of(imis)
    found = execute(imis, "FindByPath", "$/Sso/Committees", entity="QueryDefinition", token=token).json["Result"]
    assert [(each["Alias"], each["DataTypeName"]) for each in found["Properties"]["$values"]] == [
        ("iMIS Id", "System.String"),
        ("Committee", "System.String"),
    ]
    prompts = imis.ask("GET", "/api/QueryParameterDefinition?QueryPath=$/Sso/Committees", token=token).json["Items"]["$values"]
    assert prompts == found["Parameters"]["$values"]


def test_5_2_on_2017_there_is_no_user_security_and_no_query(clock: Clock) -> None:
    with simulated_imis(settings=SimulatorSettings(generation="2017"), now=clock) as imis:
        token = token_of(imis)
        for answer in (
            execute(imis, "ValidateUser", "ada", "demo", token=token),
            imis.ask("GET", "/api/Query?QueryName=$/Sso/Profile&parameter=ada", token=token),
        ):
            assert "There is no service defined for" in answer.json["Message"]
        assert imis.ask("GET", "/Asi.Scheduler_iMIS/api/IQA?QueryName=$/Sso/Profile&parameter=ada", token=token).status == 200


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({}, 3),
        ({"IncludeInactive": True}, 4),
        ({"GroupClassIdFilter": ["CHAPTER"]}, 0),
        ({"GroupClassIdFilter": {"$values": ["COMMITTEE"]}}, 3),
    ],
)
def test_5_6_relationships_are_found(imis: SimulatedImis, more: dict[str, Any], names: int) -> None:
    body = {"EntityTypeName": "GroupMember", "OperationName": "FindRelationships", "PartyId": "1002", **more}
    found = imis.ask("POST", "/api/GroupMember/_execute", body=body, token=token_of(imis)).json["Result"]["$values"]
    assert len(found) == names


def test_5_2_what_is_made_is_201_and_a_second_login_is_a_duplicate(imis: SimulatedImis) -> None:
    token = token_of(imis)
    person = {"$type": "PersonData", "PersonName": {"LastName": "Lindqvist"}}
    made = imis.ask("POST", "/api/Person", body=person, token=token)
    assert made.status == 201
    user = {"$type": "UserData", "UserName": "eve", "UserId": made.json["Id"]}
    assert imis.ask("POST", "/api/User", body=user, token=token).status == 201
    assert "DuplicateProviderUserKey" in imis.ask("POST", "/api/User", body=user, token=token).text
    assert "ValidationResultsData" in imis.ask("POST", "/api/Person", body={"$type": "PersonData"}, token=token).text


def test_the_panel_takes_json_alone_so_that_no_page_can_post_to_it(imis: SimulatedImis) -> None:
    assert imis.ask("POST", "/_simulator/purge", form={"a": "b"}).status == 415
    assert imis.ask("POST", "/_simulator/fault", body={"mode": "magic"}).status == 400
    assert imis.ask("POST", "/_simulator/people/1001", body={"password": "x"}).status == 400
    assert imis.ask("POST", "/_simulator/people/9", body={}).status == 404


def test_the_panel_counts_and_begins_anew(imis: SimulatedImis) -> None:
    token_of(imis)
    assert (imis.tokens_issued(), imis.requests("POST /token")) == (1, 1)
    imis.order("down")
    shown = imis.ask("POST", "/_simulator/reset", body={}).json
    assert (shown["requests"], shown["password_checks"], shown["tokens_issued"], shown["fault"]["mode"]) == ({}, {}, {}, "none")


def test_a_people_file_that_cannot_be_used_is_said_to_be_so(tmp_path: Path) -> None:
    file = tmp_path / "people.toml"
    file.write_text(PEOPLE.read_text(encoding="utf-8") + "\n[[people]]\nid = '1001'\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="two people have the id"):
        create_imis(file)
