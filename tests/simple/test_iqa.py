"""From a column of an IQA in iMIS to the vendor's server: the whole application over a simulated iMIS, and a token vendor that was granted
the column and one that was not, by each face of the web service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp.app import create_app_of
from idp.clock import utc_now
from idp.config import load
from idp.parts import build_parts
from idp.secret import digest
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import SERVICE, simulated_imis

from .wiring import form_token, posted

URL = "http://localhost:8089"
BACK = "http://lms.localhost/sso"
SECRET = "a-secret-of-the-vendor"
SERVICE_NAMESPACE = "urn:imis-idp:service"
CONFIG = """
[server]
url = "{url}"
[directory]
kind = "imis-rest"
site_url = "{imis}"
allow_http = true
service_username = "{service}"
service_password = {{ file = "password" }}
[[directory.iqa]]
path = "$/Sso/Profile"
id_column = "iMIS Id"
[[directory.iqa]]
path = "$/Sso/Committees"
columns = {{ panels = "Committee" }}
prefix = "iqa_"
id_column = "iMIS Id"
[clients.granted]
release = ["chapter", "ce_credits=CREDITS", "iqa_panels=PANEL"]
secret_sha256 = ["{secret}"]
[clients.granted.token]
return_urls = ["{back}"]
[clients.granted.token.ats]
service = "wslms"
fields = ["chapter"]
[clients.other]
release = ["email"]
secret_sha256 = ["{secret}"]
[clients.other.token]
return_urls = ["{back}"]
[clients.other.token.ats]
service = "wslms"
fields = ["chapter"]
"""


class Vendor:
    """A vendor's server, and the browser of a member who has signed in."""

    def __init__(self, browser: FlaskClient, client_id: str) -> None:
        self._browser = browser
        self._id = client_id

    def token(self) -> str:
        page = self._browser.get(f"/token/signon?client={self._id}", base_url=URL)
        _, sent = posted(page)
        return sent["token"]

    def calls(self, path: str, *, body: str = "", accept: str = "", **fields: str) -> TestResponse:
        server = self._browser.application.test_client(use_cookies=False)
        sent = {"data": body, "content_type": "text/xml"} if body else {"data": fields}
        headers = {"Accept": accept} if accept else {}
        return server.post(path, base_url=URL, auth=(self._id, SECRET), headers=headers, **sent)


@pytest.fixture
def browser(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[FlaskClient]:
    """Of the member whom a test names; else Ada, who sits in one committee."""
    (tmp_path / "password").write_text("demo")
    (tmp_path / "password").chmod(0o600)
    with simulated_imis(now=utc_now) as imis, closing(SqliteStore(tmp_path / "store.sqlite")) as store:
        text = CONFIG.format(url=URL, imis=imis.url, service=SERVICE, secret=digest(SECRET), back=BACK)
        (tmp_path / "idp.toml").write_text(text)
        parts = build_parts(load(tmp_path / "idp.toml", {}), store)
        parts.keys.create_if_empty()
        visitor = create_app_of(parts).test_client()
        fields = {"username": getattr(request, "param", "ada"), "password": "demo"}
        shown = visitor.get("/login", base_url=URL).text
        signed_in = visitor.post("/login", base_url=URL, data={**fields, "form_token": form_token(shown), "request": ""})
        assert signed_in.status_code in (302, 303), signed_in.text
        yield visitor


@pytest.fixture
def granted(browser: FlaskClient) -> Vendor:
    return Vendor(browser, "granted")


def xml_attributes(response: TestResponse, name: str) -> dict[str, list[str]]:
    """The values in an element of our own web service; by SOAP it is in our namespace."""
    assert response.status_code == 200, response.text
    (member,) = ElementTree.fromstring(response.data).iter(name)
    found = member.findall(name.replace(name.rpartition("}")[2], "attribute"))
    return {str(each.get("name")): [value.text or "" for value in each] for each in found}


WANTED = {"chapter": ["North"], "CREDITS": ["12"], "PANEL": ["Education Committee"]}


def test_the_columns_arrive_as_JSON(granted: Vendor) -> None:
    response = granted.calls("/service/redeem", token=granted.token())
    assert (response.status_code, response.json and response.json["attributes"]) == (
        200,
        {"chapter": "North", "CREDITS": "12", "PANEL": "Education Committee"},
    )


def test_the_columns_arrive_as_XML(granted: Vendor) -> None:
    response = granted.calls("/service/redeem", accept="application/xml", token=granted.token())
    assert xml_attributes(response, "member") == WANTED


def test_the_columns_arrive_by_SOAP(granted: Vendor) -> None:
    call = f'<Redeem xmlns="{SERVICE_NAMESPACE}"><token>{granted.token()}</token></Redeem>'
    envelope = f'<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body>{call}</S:Body></S:Envelope>'
    assert xml_attributes(granted.calls("/service/soap", body=envelope), f"{{{SERVICE_NAMESPACE}}}RedeemResponse") == WANTED


def test_the_columns_arrive_in_ATSs_profile_as_a_field_and_among_the_rest(granted: Vendor) -> None:
    response = granted.calls("/ats/granted/wslms.asmx/GetUserProfileByToken", token=granted.token())
    assert response.status_code == 200, response.text
    profile = ElementTree.fromstring(response.data)
    assert profile.findtext("{urn:imis-idp:ats}chapter") == "North"
    pairs = [[part.text for part in each] for each in profile.iter("{urn:imis-idp:ats}Demographic")]
    assert sorted(pairs) == [["CREDITS", "12"], ["PANEL", "Education Committee"]]


@pytest.mark.parametrize("browser", ["ben"], indirect=True)
def test_each_row_of_several_is_a_value(granted: Vendor) -> None:
    told = granted.calls("/service/redeem", token=granted.token()).json
    assert told
    assert told["attributes"]["PANEL"] == ["Board of Directors", "Education Committee", "Finance Committee"]


@pytest.mark.parametrize("accept", ["application/json", "application/xml"])
def test_a_vendor_that_was_not_granted_the_columns_gets_none_of_them(browser: FlaskClient, accept: str) -> None:
    other = Vendor(browser, "other")
    answer = other.calls("/service/redeem", accept=accept, token=other.token())
    assert answer.status_code == 200
    assert not re.search("chapter|North|CREDITS|Committee", answer.text)


def test_in_ATSs_profile_a_field_that_was_not_granted_is_empty(browser: FlaskClient) -> None:
    other = Vendor(browser, "other")
    profile = ElementTree.fromstring(other.calls("/ats/other/wslms.asmx/GetUserProfileByToken", token=other.token()).data)
    assert profile.findtext("{urn:imis-idp:ats}chapter") == ""
    assert "North" not in ElementTree.tostring(profile, encoding="unicode")
