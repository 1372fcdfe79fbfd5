"""ATS's web service: that vendors' existing code works with another base URL, and that what was unsafe there is not here."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import requests
import zeep
from pydantic import ValidationError
from werkzeug.serving import BaseWSGIServer
from werkzeug.test import TestResponse

from idp.bridges import read_bridge
from idp.config import load
from idp.directory import Subject
from idp.protocols.token.settings import TokenSettings
from idp.secret import digest
from idp.sso.client import Client
from idp.sso.release import read_release
from idp.sso.settings import AttributeSettings, EntrySettings
from tests.standin import PASSWORD

from .ats_vendor import UTILITIES, BlueSkyLike, MoodleLike
from .conftest import MakeWorld
from .test_browser import running
from .wiring import ANNE, World, form_token, make_client, query_of

MOODLE = "{http://www.atsol.org/wsMoodle/}"
CALLBACK = "https://portal.example.org/auth/callback"
COURSE = "https://learn.example.org/course/view.php"


def bridged(name: str, *, client_id: str, values: dict[str, str], ats: dict[str, Any] | None = None, **settings: Any) -> Client:
    """A client of a bridge's settings, as `idp clients add --bridge` would make it."""
    table = read_bridge(name).filled({}, values)
    own = {**table["token"], **settings, "ats": {**table["token"]["ats"], **(ats or {})}}
    release = {
        key: AttributeSettings.model_validate(value) if isinstance(value, dict) else value for key, value in table["release"].items()
    }
    return Client(client_id, name, "token", TokenSettings(**own), read_release(release), secrets=(digest(f"{client_id}-secret"),))


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    moodle = bridged("moodle-ats", client_id="moodle", values={"site": "https://learn.example.org"})
    return make_world(
        moodle,
        replace(moodle, id="strict", secrets=(digest("strict-secret"),), entry=EntrySettings(member_types=("STAFF",))),
        replace(moodle, id="regular", secrets=(digest("regular-secret"),), entry=EntrySettings(member_types=("REG",))),
        bridged("bluesky-path", client_id="bluesky", values={"callback": CALLBACK}),
        make_client("lms", "token", return_urls=("https://lms.example.com/sso",)),
        make_client("www", "cookie", return_urls=("https://www.assoc.example/",), cookie_name="SSO", ats={"service": "wsweb"}),
    )


def call(world: World, path: str, *, client: str = "moodle", method: str = "GET", auth: Any = "", **keywords: Any) -> TestResponse:
    server = world.app.test_client(use_cookies=False)
    given = {"auth": (client, f"{client}-secret") if auth == "" else auth, **keywords}
    return server.open(f"/ats/{client}/wsmoodle.asmx/{path}", method=method, base_url=world.url, **given)


def token_for(world: World, client: str = "moodle") -> str:
    """What stands on the vendor's page after Anne has signed in."""
    location = world.signed_in().get(f"/ats/{client}/sso.aspx?id=7").location
    return query_of(location)["token"]


def fields(response: TestResponse) -> dict[str, str]:
    """The elements of the profile's own namespace."""
    assert (response.status_code, response.content_type) == (200, "text/xml; charset=utf-8"), response.text
    profile = ElementTree.fromstring(response.data)
    return {child.tag.removeprefix(MOODLE): child.text or "" for child in profile if child.tag.startswith(MOODLE)}


def result(response: TestResponse) -> tuple[str, str]:
    profile = ElementTree.fromstring(response.data)
    return profile.findtext(f"{UTILITIES}ResultCode") or "", profile.findtext(f"{UTILITIES}ResultMessage") or ""


def cause(response: TestResponse) -> str:
    assert response.mimetype == "text/plain"
    found = re.search(r"\[([a-z_.]+), reference ", response.text)
    assert found, response.text
    return found[1]


# ---- the vendors' own code, end to end


@dataclass
class Street:
    world: World
    ours: BaseWSGIServer
    blue: BlueSkyLike
    site: BaseWSGIServer

    def browse(self, browser: requests.Session) -> str:
        """From the vendor's own link through our sign-in page back to the vendor; the text of the last page."""
        page = browser.get(f"http://127.0.0.1:{self.site.port}/login", timeout=10)
        if 'name="password"' in page.text:
            request = re.search(r'name="request" value="([^"]*)"', page.text)
            assert request
            form = {"username": "anne", "password": PASSWORD, "form_token": form_token(page.text), "request": request[1]}
            page = browser.post(f"{self.world.url}/login", data=form, timeout=10)
        return page.text


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    """Our server and a vendor's site, both on the network."""

    def nothing(environ: Any, start_response: Any) -> list[bytes]:
        start_response("404 Not Found", [])
        return []

    ours, site = running(nothing), running(nothing)
    url = f"http://127.0.0.1:{ours.port}"
    callback = f"http://127.0.0.1:{site.port}/callback"
    values = {"callback": callback}
    blue = bridged("bluesky-path", client_id="bluesky", values=values, addresses=("127.0.0.1",), ats={"proof": "address"})
    moodle = bridged(
        "moodle-ats", client_id="moodle", values={"site": "http://localhost:9"}, addresses=("127.0.0.1",), ats={"proof": "address"}
    )
    world = World(tmp_path, [blue, moodle], url=url)
    ours.app = world.app
    vendor = BlueSkyLike(f"{url}/ats/bluesky/")
    site.app = vendor
    yield Street(world, ours, vendor, site)
    for server in (ours, site):
        server.shutdown()
        server.server_close()
    world.store.close()


def test_a_vendors_ATS_integration_works_by_another_base_URL(street: Street) -> None:
    with closing(requests.Session()) as browser:
        assert street.browse(browser) == "1 entered"
        assert street.browse(browser) == "2 entered"  # the second time without the sign-in page
    member = {"CustomerID": "4711", "FirstName": "Anne", "LastName": "Example", "Email": "anne@assoc.example", "MEMBERTYPE": "REG"}
    assert street.blue.members == [{**member, "origin": "assoc"}] * 2
    assert street.blue.failures == []


def test_S16_a_vendors_ATS_integration_has_a_stolen_token_refused_by_GET_and_by_POST(street: Street) -> None:
    """The vendor asks by GET, and by POST when that failed."""
    street.blue.enter("assoc", "A" * 43)
    assert street.blue.members == []
    assert "ticket.unknown" in street.blue.failures[0]
    assert [line["cause"] for line in street.world.audit.of("service.refused")] == ["ticket.unknown"] * 2


def test_a_Moodle_plugin_asks_by_id_while_the_session_lives_and_hears_not_found_after(street: Street) -> None:
    vendor = MoodleLike(f"{street.world.url}/ats/moodle/")
    with pytest.raises(LookupError, match="Contact with ContactId '4711' was not found"):
        vendor.by_id("4711")
    anne = street.world.signed_in()
    token = query_of(anne.get("/ats/moodle/sso.aspx?id=7").location)["token"]
    found = vendor.by_token(token)
    assert (found["CustomerID"], found["FirstName"], found["MEMBERTYPE"]) == ("4711", "Anne", "REG")
    assert vendor.by_id("4711") == found
    with pytest.raises(LookupError, match="500 text/plain"):
        vendor.by_token(token)
    street.world.logout.end(anne.session_id(), reason="test")
    with pytest.raises(LookupError, match="was not found"):
        vendor.by_id("4711")


def test_a_base_URL_with_id_and_secret_in_it_is_proof_enough(world: World, tmp_path: Path) -> None:
    """Libraries send what stands before the @ in the Authorization header; it never stands in a request's address."""
    server = running(world.app)
    token = token_for(world)
    found = MoodleLike(f"http://moodle:moodle-secret@127.0.0.1:{server.port}/ats/moodle/").by_token(token)
    server.shutdown()
    server.server_close()
    assert found["CustomerID"] == "4711"


# ---- the sign-in link


def test_the_deep_link_stands_behind_the_address_that_the_vendor_was_given(world: World) -> None:
    location = world.signed_in().get("/ats/moodle/sso.aspx?id=7").location
    assert location.startswith(f"{COURSE}?id=7&token=")


@pytest.mark.parametrize("name", ["id", "ID", "Id"])
def test_parameter_names_of_the_sign_in_link_are_taken_in_any_case(world: World, name: str) -> None:
    assert query_of(world.signed_in().get(f"/ats/moodle/sso.aspx?{name}=7").location)["id"] == "7"


@pytest.mark.parametrize("query", ["id=7&ID=8", "id=7&id=8", "return=x&RETURN=y", "client=moodle&CLIENT=bluesky"])
def test_S15_a_parameter_of_the_sign_in_link_given_twice_is_refused(world: World, query: str) -> None:
    assert world.signed_in().get(f"/ats/moodle/sso.aspx?{query}").status_code == 400


def test_V34_the_sign_in_link_leads_to_no_unregistered_page(world: World) -> None:
    assert world.signed_in().get("/ats/moodle/sso.aspx?return=https://evil.example/").status_code == 400


def test_the_sign_in_link_is_for_its_own_client_alone(world: World) -> None:
    assert world.signed_in().get("/ats/moodle/sso.aspx?client=bluesky").status_code == 400


def test_a_cookie_vendor_has_the_same_link(world: World) -> None:
    response = world.signed_in().get("/ats/www/sso.aspx?return=https://www.assoc.example/")
    assert [line.split("=")[0] for line in response.headers.getlist("Set-Cookie") if line.startswith("SSO")] == ["SSO"]


@pytest.mark.parametrize(
    "path", ["lms/sso.aspx", "lms/wsmoodle.asmx/getToken?id=4711", "nobody/sso.aspx", "moodle/wsother.asmx/getToken?id=1"]
)
def test_without_its_table_a_client_has_no_such_face(world: World, path: str) -> None:
    assert world.signed_in().get(f"/ats/{path}").status_code == 404


# ---- the profile


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("name", ["token", "TOKEN", "Token"])
@pytest.mark.parametrize("operation", ["MoodleGetUserProfileByToken", "moodlegetuserprofilebytoken", "MoodleGetUserProfile"])
def test_GET_and_POST_and_names_in_any_case(world: World, method: str, name: str, operation: str) -> None:
    given = {name: token_for(world)}
    response = call(world, operation, method=method, **({"query_string": given} if method == "GET" else {"data": given}))
    assert result(response) == ("0", "")
    assert fields(response)["CustomerID"] == "4711"
    assert response.headers["Cache-Control"] == "no-store"


def test_the_service_name_is_taken_in_any_case(world: World) -> None:
    path = f"/ats/moodle/WSMOODLE.asmx/MoodleGetUserProfile?Token={token_for(world)}"
    server = world.app.test_client(use_cookies=False)
    assert server.get(path, base_url=world.url, auth=("moodle", "moodle-secret")).status_code == 200


def test_every_field_of_the_list_is_there_and_what_was_not_released_is_empty(world: World) -> None:
    response = call(world, "MoodleGetUserProfile", query_string={"token": token_for(world)})
    assert list(fields(response)) == ["CustomerID", "FirstName", "LastName", "Email", "Member", "Demographics"]
    assert fields(response)["Member"] == "false"  # Anne's record here says nothing of her status


def test_V12_hostile_values_stay_values(world: World) -> None:
    hostile = '</Email><Member>true</Member>]]><!-- & "\x00\ufffe'
    world.members.by_id[ANNE.id] = Subject(ANNE.id, "anne", {"email": (hostile,), "company": (hostile,)})
    response = call(world, "MoodleGetUserProfile", query_string={"token": token_for(world)})
    assert fields(response)["Email"] == hostile.replace("\x00", "").replace("\ufffe", "")
    assert fields(response)["Member"] == "false"


def test_a_hostile_id_stays_text_in_the_answer(world: World) -> None:
    hostile = "'</ResultMessage><x/>"
    response = call(world, "MoodleGetUserProfile", query_string={"ID": hostile})
    assert result(response) == ("1", f"Contact with ContactId '{hostile}' was not found.")
    assert fields(response)["Member"] == "false"


# ---- who may call


STRANGERS = {"none": None, "wrong": ("moodle", "wrong"), "other": ("bluesky", "bluesky-secret"), "nobody": ("nobody", "moodle-secret")}


@pytest.mark.parametrize("auth", STRANGERS.values(), ids=STRANGERS)
@pytest.mark.parametrize(
    "operation", ["MoodleGetUserProfile?token={}", "asiDecrypt?encryptedText={}", "getToken?id=4711", "checkSSOFilter?id=4711"]
)
def test_S97_who_does_not_show_that_it_is_the_vendor_gets_nothing_and_burns_nothing(world: World, auth: Any, operation: str) -> None:
    token = token_for(world)
    response = call(world, operation.format(token), auth=auth)
    assert (response.status_code, cause(response)) == (401, "service.bad_client")
    assert fields(call(world, f"MoodleGetUserProfile?token={token}"))["CustomerID"] == "4711"


def test_an_AuthToken_in_the_body_is_proof_and_in_the_address_it_is_refused(world: World) -> None:
    body = {"Token": token_for(world), "AuthToken": "moodle-secret"}
    assert fields(call(world, "MoodleGetUserProfile", method="POST", auth=None, data=body))["CustomerID"] == "4711"
    refused = call(world, "MoodleGetUserProfile", auth=None, query_string={"token": token_for(world), "AuthToken": "moodle-secret"})
    assert cause(refused) == "service.secret_in_address"
    wrong = call(world, "MoodleGetUserProfile", method="POST", auth=None, data={**body, "AuthToken": "MO-123456"})
    assert wrong.status_code == 401


def test_S27_AuthTokens_are_guessed_only_so_often(world: World) -> None:
    body = {"ID": "1", "AuthToken": "guess"}
    statuses = [call(world, "MoodleGetUserProfile", method="POST", auth=None, data=body).status_code for _ in range(61)]
    assert statuses == [401] * 60 + [429]


def test_S94_proof_by_address_is_for_those_addresses_alone(make_world: MakeWorld) -> None:
    ats = {"service": "wsmoodle", "proof": "address"}
    world = make_world(make_client("moodle", "token", return_urls=(COURSE,), method="get", addresses=("192.0.2.0/24",), ats=ats))
    for address, status in (("192.0.2.9", 200), ("198.51.100.1", 403), ("", 403)):
        token = query_of(world.signed_in().get("/ats/moodle/sso.aspx").location)["token"]
        headers = {"X-Forwarded-For": address} if address else {}
        assert call(world, f"GetUserProfile?token={token}", auth=None, headers=headers).status_code == status, address


def test_proof_by_address_wants_addresses() -> None:
    with pytest.raises(ValidationError, match="wants addresses"):
        TokenSettings(return_urls=(COURSE,), ats={"proof": "address"})


@pytest.mark.parametrize(("network", "good"), [("192.0.0.0/16", True), ("192.0.0.0/15", False), ("0.0.0.0/0", False), ("::/0", False)])
def test_proof_by_address_is_not_for_half_the_world(network: str, good: bool) -> None:
    def build() -> TokenSettings:
        return TokenSettings(return_urls=(COURSE,), addresses=(network,), ats={"proof": "address"})

    if good:
        assert build().addresses == (network,)
    else:
        with pytest.raises(ValidationError, match="proves nothing"):
            build()


@pytest.mark.parametrize(
    "wrong",
    [
        {"root": "a b"},
        {"fields": ["1st"]},
        {"namespace": "none"},
        {"service": "../x"},
        {"more_item": ""},
        {"not_authorized_url": "javascript:x"},
    ],
)
def test_names_in_the_XML_are_names(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TokenSettings(return_urls=(COURSE,), ats=wrong)


# ---- tokens and ids


@pytest.mark.parametrize("token", ["823F592B9C1D4E5F8A7B6C5D4E3F2A1B", "A" * 43, "4711"])
def test_an_invalid_token_is_answered_as_ATS_does(world: World, token: str) -> None:
    response = call(world, "MoodleGetUserProfileByToken", query_string={"token": token})
    assert (response.status_code, response.mimetype, cause(response)) == (500, "text/plain", "ticket.unknown")


def test_V39_another_vendors_token_is_burnt(world: World) -> None:
    token = token_for(world)
    assert cause(call(world, f"MoodleGetUserProfile?token={token}", client="strict")) == "ticket.other_client"
    assert cause(call(world, f"MoodleGetUserProfile?token={token}")) == "ticket.replayed"


def test_S97_HEAD_spends_no_token(world: World) -> None:
    token = token_for(world)
    assert call(world, f"MoodleGetUserProfile?token={token}", method="HEAD").status_code == 405
    assert fields(call(world, f"MoodleGetUserProfile?token={token}"))["CustomerID"] == "4711"


def test_asiDecrypt_gives_the_id_of_a_token_and_spends_it(world: World) -> None:
    token = token_for(world)
    answer = call(world, "asiDecrypt", query_string={"encryptedText": token})
    assert ElementTree.fromstring(answer.data).text == "4711"
    assert cause(call(world, f"MoodleGetUserProfile?token={token}")) == "ticket.replayed"
    assert fields(call(world, "MoodleGetUserProfile?ID=4711"))["FirstName"] == "Anne"


@pytest.mark.parametrize("subject_id", ["4711", "4712", "1", "'"])
def test_a_profile_is_never_given_for_an_id_without_a_session_at_this_vendor(world: World, subject_id: str) -> None:
    """Anne is signed in at another vendor; Bert has an account; the others do not exist. All are answered alike."""
    world.signed_in().get("/token/signon?client=lms")
    response = call(world, "MoodleGetUserProfile", query_string={"ID": subject_id})
    assert result(response) == ("1", f"Contact with ContactId '{subject_id}' was not found.")


@pytest.mark.parametrize("subject_id", ["4711", "4712", "1"])
def test_a_token_is_never_given_for_an_id_without_a_session_at_this_vendor(world: World, subject_id: str) -> None:
    world.signed_in().get("/token/signon?client=lms")
    before = world.store.list("ticket")
    assert cause(call(world, "getToken", query_string={"id": subject_id})) == "ats.no_session"
    assert world.store.list("ticket") == before


def test_getToken_gives_a_token_of_a_member_who_is_signed_in_there(world: World) -> None:
    token_for(world)
    token = ElementTree.fromstring(call(world, "getToken?id=4711").data).text or ""
    assert len(token) == 43
    assert fields(call(world, f"MoodleGetUserProfile?token={token}"))["CustomerID"] == "4711"


def test_a_member_who_may_not_enter_any_more_is_not_given_out_by_id(world: World) -> None:
    assert world.signed_in().get("/ats/regular/sso.aspx?id=7").status_code == 302
    world.members.by_id[ANNE.id] = Subject(ANNE.id, "anne", {**ANNE.attributes, "member_type": ("NM",)})
    world.store.delete("subject", ANNE.id)
    for path in ("MoodleGetUserProfile?ID=4711", "getToken?id=4711"):
        assert cause(call(world, path, client="regular")) == "entry.denied"


@pytest.mark.parametrize(("member_type", "allowed"), [("REG", "1"), ("NM", "0")])
def test_checkSSOFilter_asks_the_clients_rules(world: World, member_type: str, allowed: str) -> None:
    world.signed_in().get("/ats/regular/sso.aspx?id=7")
    world.members.by_id[ANNE.id] = Subject(ANNE.id, "anne", {**ANNE.attributes, "member_type": (member_type,)})
    world.store.delete("subject", ANNE.id)
    assert filtered(world, "4711", client="regular") == ("0", allowed)


@pytest.mark.parametrize("subject_id", ["4711", "4712", "1"])
def test_checkSSOFilter_says_nothing_of_members_who_are_not_signed_in_at_this_vendor(world: World, subject_id: str) -> None:
    """Anne is signed in at another vendor; Bert has an account; the last does not exist. Nobody can be told from nobody."""
    world.signed_in().get("/token/signon?client=lms")
    assert filtered(world, subject_id) == ("1", "0")


def filtered(world: World, subject_id: str, *, client: str = "moodle") -> tuple[str, str]:
    answer = ElementTree.fromstring(call(world, f"checkSSOFilter?id={subject_id}", client=client).data)
    return answer.findtext(f"{MOODLE}ResultCode") or "", answer.findtext(f"{MOODLE}isAllowed") or ""


def test_GetBridgeSettings_has_the_names_that_gateway_pages_look_for_and_no_secret(world: World) -> None:
    answer = call(world, "GetBridgeSettings", auth=None)
    given = {child.tag.removeprefix(MOODLE): child.text or "" for child in ElementTree.fromstring(answer.data)}
    assert given == {
        "SSOGATEWAYURLPARAM": "token",
        "SSOFILTER": "",
        "SSOCOURSEIDPARAM": "id",
        "COURSEURL": COURSE,
        "COOKIENAME": "",
        "COOKIEDOMAIN": "",
        "SSONOTAUTHORIZEDURL": "",
        "BRIDGESERVICEURL": f"{world.url}/ats/moodle/wsmoodle.asmx",
    }


@pytest.mark.parametrize(("own", "name"), [({}, "idp_site"), ({"cookie_name": "SSO"}, "SSO")])
def test_GetBridgeSettings_names_the_cookie_that_is_set_also_where_the_settings_leave_it_open(
    make_world: MakeWorld, own: dict[str, Any], name: str
) -> None:
    client = make_client("site", "cookie", return_urls=("https://www.assoc.example/back",), ats={"service": "wssite"}, **own)
    world = make_world(client)
    answer = world.app.test_client(use_cookies=False).get("/ats/site/wssite.asmx/GetBridgeSettings", base_url=world.url)
    given = {child.tag.rpartition("}")[2]: child.text or "" for child in ElementTree.fromstring(answer.data)}
    assert (given["COOKIENAME"], given["COOKIEDOMAIN"]) == (name, "assoc.example")
    cookies = world.signed_in().get("/cookie/signon?client=site").headers.getlist("Set-Cookie")
    assert [each for each in cookies if each.startswith(f"{name}=") and "Domain=assoc.example" in each]


@pytest.mark.parametrize("operation", ["MoodleUpdate", "createActivity", "getIQARows", "asiEncrypt", "checkAuthorization", "x"])
def test_operations_that_write_or_search_iMIS_are_not_there(world: World, operation: str) -> None:
    response = call(world, f"{operation}?id=4711")
    assert (response.status_code, cause(response)) == (404, "ats.operation_unknown")


@pytest.mark.parametrize("query", ["token=a&token=b", "token=a&TOKEN=b"])
def test_S15_a_parameter_given_twice_is_refused(world: World, query: str) -> None:
    assert cause(call(world, f"MoodleGetUserProfile?{query}")) == "request.parameter_repeated"


def test_S30_no_token_or_secret_in_the_audit_log(world: World) -> None:
    token = token_for(world)
    call(world, f"MoodleGetUserProfile?token={token}")
    call(world, f"MoodleGetUserProfile?token={token}")
    log = repr(world.audit.lines)
    assert token not in log
    assert "moodle-secret" not in log


# ---- SOAP


@pytest.fixture
def soap(make_world: MakeWorld) -> Iterator[tuple[World, zeep.Client]]:
    """A client that knows nothing but the address of the WSDL."""
    ours = running(lambda environ, start_response: [])
    url = f"http://127.0.0.1:{ours.port}"
    moodle = bridged("moodle-ats", client_id="moodle", values={"site": "http://localhost:9"}, method="get")
    world = make_world(moodle, url=url)
    ours.app = world.app
    with requests.Session() as session:
        yield world, zeep.Client(f"{url}/ats/moodle/wsmoodle.asmx?wsdl", transport=zeep.Transport(session=session))
    ours.shutdown()
    ours.server_close()


def values(answer: Any) -> dict[str, str]:
    """The elements in a result."""
    (result,) = answer
    return {child.tag.rpartition("}")[2]: child.text or "" for child in result}


def test_SOAP_by_the_WSDL_gives_the_profile(soap: tuple[World, zeep.Client]) -> None:
    world, client = soap
    given = values(client.service.MoodleGetUserProfile(token=token_for(world), AuthToken="moodle-secret"))
    assert (given["ResultCode"], given["CustomerID"], given["FirstName"]) == ("0", "4711", "Anne")
    again = values(client.service.MoodleGetUserProfile(ID="4711", AuthToken="moodle-secret"))
    assert again["CustomerID"] == "4711"


def test_SOAP_refuses_with_a_fault(soap: tuple[World, zeep.Client]) -> None:
    _, client = soap
    with pytest.raises(zeep.exceptions.Fault, match=r"\[ticket\.unknown, reference") as raised:
        client.service.MoodleGetUserProfile(token="x", AuthToken="moodle-secret")
    assert raised.value.code == "S:Client"
    with pytest.raises(zeep.exceptions.Error):
        client.service.MoodleGetUserProfile(token="x", AuthToken="wrong-secret")


def test_the_example_in_the_guide_is_a_client(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "deploy" / "migrating-from-ats.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
    own = '[server]\nurl = "https://login.example.org"\n[directory]\nkind = "people"\npeople = "p.toml"\n'
    (tmp_path / "idp.toml").write_text(own + textwrap.dedent(example))
    (tmp_path / "events-secret").write_text("a-secret-of-events")
    (client,) = load(tmp_path / "idp.toml", {}).file_clients()
    assert (client.settings.ats.prefix, client.release.names["email"]) == ("Events", "Email")


def test_the_guide_names_every_operation_that_there_is(soap: tuple[World, zeep.Client]) -> None:
    guide = (Path(__file__).parents[2] / "deploy" / "migrating-from-ats.md").read_text(encoding="utf-8")
    _, client = soap
    (service,) = client.wsdl.services.values()
    (port,) = service.ports.values()
    for name in port.binding._operations:
        assert f"`{name.replace('Moodle', 'PREFIX')}(" in guide
