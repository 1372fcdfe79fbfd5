"""iMIS 2017 by its membership web service: what is awkward. What every directory promises is in `conformance/`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from idp.demo.imis import SimulatorSettings
from idp.directory import CookieReader, Directory, DirectoryUnavailable
from idp.directory.choice import DirectorySettings, cookie_reader_of, open_directory
from idp.secret import Secret
from idp.store.sqlite import SqliteStore
from tests.simulated_imis import DEMO, SERVICE, Clock, SimulatedImis, simulated_imis, soap_settings

ASMX = "/asicommon/services/membership/membershipwebservice.asmx"
SOAP = '<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>%s</soap:Body></soap:Envelope>'
RIGHT = SOAP % '<ValidateUserResponse xmlns="http://tempuri.org/"><ValidateUserResult>true</ValidateUserResult></ValidateUserResponse>'
XML = "text/xml; charset=utf-8"
BROKEN: list[tuple[int, str, str]] = [
    (200, "text/html", "<html><body>Maintenance</body></html>"),
    (200, XML, "<html><body>Maintenance</body></html>"),
    (200, XML, ""),
    (200, XML, " "),
    (200, XML, RIGHT[:80]),
    (200, XML, "true"),
    (200, XML, SOAP % ""),
    (200, XML, SOAP % "<ValidateUserResponse/>"),
    (200, XML, SOAP % "<ValidateUserResponse><ValidateUserResult/></ValidateUserResponse>"),
    (200, XML, SOAP % "<ValidateUserResponse><ValidateUserResult>maybe</ValidateUserResult></ValidateUserResponse>"),
    (200, XML, SOAP % "<ValidateUserResponse><ValidateUserResult><a>false</a><a>false</a></ValidateUserResult></ValidateUserResponse>"),
    (200, XML, SOAP % "<LoginUserResponse><LoginUserResult>false</LoginUserResult></LoginUserResponse>"),
    (200, XML, SOAP % "<soap:Fault><faultcode>soap:Server</faultcode><faultstring>x</faultstring></soap:Fault>"),
    (500, XML, SOAP % "<soap:Fault><faultcode>soap:Server</faultcode><faultstring>x</faultstring></soap:Fault>"),
    (500, "text/plain", "An error occurred. Please contact the administrator."),
    (503, "text/html", "<html/>"),
    (404, "text/html", "<html/>"),
    (401, "text/html", "<html/>"),
    (302, "text/html", ""),
    (200, "application/json", '{"Result":true}'),
    (200, "text/plain", RIGHT),
    (200, XML, '<!DOCTYPE a [<!ENTITY b "false">]>' + RIGHT.replace("true", "&b;")),
    (200, XML, "<a>" * 5000),
    (200, XML, RIGHT + RIGHT),
]


@contextlib.contextmanager
def opened(imis: SimulatedImis, folder: Path, **changes: Any) -> Iterator[Directory]:
    clock = Clock()
    with contextlib.closing(SqliteStore(folder / "store.sqlite", now=clock)) as store:
        yield open_directory(soap_settings(imis.url, **changes), store=store, now=clock)


@pytest.fixture
def imis() -> Iterator[SimulatedImis]:
    with simulated_imis(settings=SimulatorSettings(generation="2017"), now=Clock()) as found:
        yield found


@pytest.mark.parametrize(("status", "content_type", "body"), BROKEN)
def test_F12_a_broken_answer_is_never_a_wrong_password_and_F13_is_asked_once(
    imis: SimulatedImis, tmp_path: Path, status: int, content_type: str, body: str
) -> None:
    with opened(imis, tmp_path) as directory:
        directory.check()
        before = imis.requests(f"POST {ASMX}")
        imis.order("raw", path=ASMX, status=status, content_type=content_type, body=body)
        with pytest.raises(DirectoryUnavailable):
            directory.authenticate("ada", DEMO)
        assert imis.requests(f"POST {ASMX}") == before + 1


@pytest.mark.parametrize("mode", ["down", "cut", "huge", "429", "truncated"])
def test_F12_a_broken_connection_is_unavailable_too(imis: SimulatedImis, tmp_path: Path, mode: str) -> None:
    with opened(imis, tmp_path) as directory:
        imis.order(mode, path=ASMX)
        with pytest.raises(DirectoryUnavailable):
            directory.authenticate("ada", DEMO)


def test_F11_a_slow_service_is_left_waiting(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, call_timeout=0.3) as directory:
        directory.check()
        imis.order("slow", path=ASMX, seconds=30)
        with pytest.raises(DirectoryUnavailable) as caught:
            directory.authenticate("ada", DEMO)
        assert caught.value.received == "ValidateUser of the membership service: no answer in time"


@pytest.mark.parametrize("body", ["", "<a/>", "<!DOCTYPE a><a/>", '<definitions xmlns="http://schemas.xmlsoap.org/wsdl/"/>'])
def test_a_broken_wsdl_is_unavailable_and_read_again_later(imis: SimulatedImis, tmp_path: Path, body: str) -> None:
    with opened(imis, tmp_path) as directory:
        imis.order("raw", path=ASMX, content_type=XML, body=body)
        with pytest.raises(DirectoryUnavailable):
            directory.authenticate("ada", DEMO)
        imis.order("none")
        assert directory.authenticate("ada", DEMO) is not None


def test_the_wsdl_is_read_again_after_an_hour_and_the_old_one_does_until_a_new_one_comes(imis: SimulatedImis, tmp_path: Path) -> None:
    clock = Clock()
    with contextlib.closing(SqliteStore(tmp_path / "store.sqlite", now=clock)) as store:
        directory = open_directory(soap_settings(imis.url), store=store, now=clock)
        for _ in range(2):
            assert directory.authenticate("ada", DEMO) is not None
        assert imis.requests(f"GET {ASMX}") == 1
        clock.time += 3600
        imis.order("raw", path=ASMX, content_type=XML, body="<a/>", times=1)
        assert directory.authenticate("ada", DEMO) is not None
        assert imis.requests(f"GET {ASMX}") == 2


def test_G_S2_a_wsdl_cannot_send_us_elsewhere(imis: SimulatedImis, tmp_path: Path) -> None:
    wsdl = imis.ask("GET", f"{ASMX}?WSDL").text
    with opened(imis, tmp_path) as directory:
        stray = wsdl.replace(f'location="{imis.url}', 'location="http://127.0.0.1:1')
        assert stray != wsdl
        imis.order("raw", path=ASMX, content_type=XML, body=stray, times=1)
        assert directory.authenticate("ada", DEMO) is not None
    importing = wsdl.replace("<wsdl:types>", '<wsdl:import namespace="urn:x" location="/api/user"/><wsdl:types>')
    with opened(imis, tmp_path) as directory:
        imis.order("raw", path=ASMX, content_type=XML, body=importing)
        with pytest.raises(DirectoryUnavailable):
            directory.check()
        assert imis.requests("GET /api/user") == 1, "only that of the sign-in above"


def test_the_namespace_comes_from_the_wsdl(tmp_path: Path) -> None:
    settings = SimulatorSettings(generation="2017", soap_namespace="http://imis.example/membership/")
    with simulated_imis(settings=settings, now=Clock()) as imis, opened(imis, tmp_path) as directory:
        assert directory.authenticate("ada", DEMO) is not None
        assert directory.authenticate("ada", Secret("wrong")) is None


@pytest.mark.parametrize("operation", ["ValidateUser", "LoginUser"])
def test_both_operations_tell_right_from_wrong(imis: SimulatedImis, tmp_path: Path, operation: str) -> None:
    with opened(imis, tmp_path, soap_check=operation) as directory:
        assert directory.authenticate("ada", DEMO) is not None
        for username in ("ada", "lock", "viktor", "nobody"):
            assert directory.authenticate(username, Secret("wrong")) is None
        assert directory.authenticate("lock", DEMO) is None


def test_F13_a_wrong_password_is_one_try(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path) as directory:
        assert directory.authenticate("ada", Secret("wrong")) is None
    assert imis.password_checks("ada") == 1


def test_roles_are_told_without_guids_and_kept_for_later(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path) as directory:
        ben = directory.authenticate("ben", DEMO)
        assert ben is not None
        assert ben.attributes["roles"] == ("Member", "Committee Chair")
        assert directory.find("1002") == ben


def test_without_rest_a_member_is_a_name_and_roles(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path, service_username="", service_password=None) as directory:
        assert directory.find("ben") is None
        ben = directory.authenticate("BEN", DEMO)
        assert ben is not None
        assert (ben.id, dict(ben.attributes)) == ("ben", {"username": ("ben",), "roles": ("Member", "Committee Chair")})
        assert directory.find("ben") == ben
        assert imis.requests("GET /api") == imis.requests("POST /token") == 0
        assert "user names and roles only" in directory.check()


def test_the_service_account_is_never_asked_about(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path) as directory:
        assert directory.authenticate(SERVICE.upper(), Secret("guess")) is None
    assert imis.password_checks(SERVICE) == 0


def test_G_S7_no_password_reaches_a_log_or_an_error(imis: SimulatedImis, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    password = Secret("correct-horse-battery")
    with opened(imis, tmp_path) as directory:
        assert directory.authenticate("ada", password) is None
        imis.order("raw", path=ASMX, status=500, content_type=XML, body=password.reveal())
        with pytest.raises(DirectoryUnavailable) as caught:
            directory.authenticate("ada", password)
    assert "correct-horse" not in caplog.text + repr(caught.value) + caught.value.received


@pytest.mark.parametrize("rest", [True, False])
def test_the_login_cookie_tells_who_is_signed_in_to_imis(imis: SimulatedImis, tmp_path: Path, rest: bool) -> None:
    changes = {} if rest else {"service_username": "", "service_password": None}
    with opened(imis, tmp_path, login_cookie="Login", **changes) as directory:
        reader = cookie_reader_of(directory, soap_settings(imis.url, login_cookie="Login", **changes))
        assert isinstance(reader, CookieReader)
        cookie = sign_in(imis, "ada")
        found = reader.subject_of_cookie(Secret(cookie))
        assert found is not None
        assert (found.id, found.username) == ("1001" if rest else "ada", "ada")
        for wrong in (cookie[:-1], "x", "", "a;b", "a\r\nb", "x" * 9000, "ü"):
            assert reader.subject_of_cookie(Secret(wrong)) is None
        imis.order("raw", path=ASMX, status=500, content_type=XML, body="<a/>")
        with pytest.raises(DirectoryUnavailable):
            reader.subject_of_cookie(Secret(cookie))


def test_check_tries_rest_too(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path) as directory:
        assert "attributes by REST" in directory.check()
        imis.order("status", path="/api")
        with pytest.raises(DirectoryUnavailable):
            directory.check()
    with opened(imis, tmp_path, soap_path=f"{ASMX}/x") as directory, pytest.raises(DirectoryUnavailable):
        directory.check()


def test_check_misses_an_operation_that_the_wsdl_has_not(imis: SimulatedImis, tmp_path: Path) -> None:
    wsdl = imis.ask("GET", f"{ASMX}?WSDL").text.replace("LoginUser", "SignUserIn")
    imis.order("raw", path=ASMX, content_type=XML, body=wsdl)
    with opened(imis, tmp_path, soap_check="LoginUser") as directory, pytest.raises(DirectoryUnavailable) as caught:
        directory.check()
    assert caught.value.received == "the membership service has no LoginUser"


def test_without_its_setting_no_cookie_is_read(imis: SimulatedImis, tmp_path: Path) -> None:
    with opened(imis, tmp_path) as directory:
        assert cookie_reader_of(directory, soap_settings(imis.url)) is None


def test_the_http_post_binding_names_the_caller(imis: SimulatedImis) -> None:
    asked = imis.ask("POST", f"{ASMX}/ValidateUser", form={"username": "ada", "password": "demo"})
    assert asked.text.endswith(">true</boolean>")
    assert imis.ask("POST", f"{ASMX}/Nothing", form={}).status == 500


def test_a_half_set_up_is_told() -> None:
    for wrong in ({"service_password": None}, {"service_username": ""}, {"client_id": "x"}, {"site_url": ""}):
        with pytest.raises(ValueError):
            soap_settings("http://127.0.0.1:1", **wrong)
    given = {"kind": "imis-soap", "site_url": "https://x.example", "iqa": [{"path": "$/A"}]}
    with pytest.raises(ValueError, match="service_username"):
        DirectorySettings.model_validate(given)


def sign_in(imis: SimulatedImis, username: str) -> str:
    """The cookie of a browser that signs in on iMIS's own page."""
    answer = imis.browse("POST", "/SignIn?returnurl=/", form={"username": username, "password": "demo"})
    assert answer.status == 302
    return answer.headers["Set-Cookie"].split(";")[0].removeprefix("Login=")
