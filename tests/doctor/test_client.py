"""Applications that nobody uses, that cannot be read, that do not answer, whose metadata end."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from idp.clock import utc_now
from idp.directory import Drift, Subject
from idp.keys.key import certify, generate
from idp.sso.session import Participant, Session
from idp.store import Record
from tests.doctor.house import USUAL, House
from tests.server import SP_METADATA
from tests.standin import Members

DAY = 86400
TOKEN: Record = {"secret_sha256": ["0" * 64], "token": {"return_urls": ["https://events.example.org/sso"]}}
COOKIE: Record = {"secret_sha256": ["0" * 64], "cookie": {"return_urls": ["https://www.example.net/"]}}


def test_U32_a_stored_client_that_cannot_be_read_is_named(house: House) -> None:
    house.store.put("client", "events", TOKEN, expires=None)
    assert house.said() == USUAL
    house.store.put("client", "events", {"token": {"return_url": "?"}}, expires=None)
    assert "events" in house.told("clients.unreadable")


def test_U32_a_stored_client_that_the_file_hides_is_named(house: House) -> None:
    house.store.put("client", "lms", TOKEN, expires=None)
    assert "lms" in house.told("clients.hidden")


def test_S106_a_stored_client_whose_cookie_cannot_be_shared_is_named(house: House) -> None:
    house.store.put("client", "www", COOKIE, expires=None)
    assert "www.example.net" in house.told("cookie.domain")


@pytest.mark.parametrize(("days", "said"), [(364, False), (367, True)])
def test_U32_an_application_that_nobody_has_used_for_a_year_is_named(house: House, days: int, said: bool) -> None:
    house.parts().audit.record("signon.ok", client="lms", subject="101")
    house.later = days * DAY
    assert ("clients.unused" in house.said()) is said


@pytest.mark.parametrize(("hours", "said"), [(23, False), (25, True)])
def test_U32_a_notice_that_waits_for_more_than_a_day_is_named(house: House, hours: int, said: bool) -> None:
    now = utc_now()
    session = Session("s1", "101", "ada", auth_time=now, login_id="l", ends=now + DAY, last_seen=now)
    for number in range(2):
        notices = house.parts().logout.notices
        notices.put(replace(session, id=f"s{number}"), Participant("lms", "token"), run_id="r", cause="http.500")
    house.later = hours * 3600
    found = [each for each in house.advice() if each.check == "notices.waiting"]
    assert len(found) == int(said), "one sentence for each application"


def a_certificate(*, days: int) -> str:
    """As metadata have it; ours last ten years."""
    made = certify(generate("rsa", bits=2048), common_name="sp", created=utc_now() - (3650 - days) * DAY)
    inner = base64.b64encode(made.public_bytes(Encoding.DER)).decode()
    return (
        '<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data><ds:X509Certificate>'
        f"{inner}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
    )


def saml_client(house: House, metadata: str) -> None:
    (house.folder / "sp.xml").write_text(metadata)
    house.put("clients.sp", saml='{ metadata = "sp.xml" }')


@pytest.mark.parametrize(("days", "said"), [(59, True), (62, False)])
def test_U32_a_service_providers_certificate_that_ends_is_named(house: House, days: int, said: bool) -> None:
    place = "<md:AssertionConsumerService"
    saml_client(house, SP_METADATA.replace(place, a_certificate(days=days) + place, 1))
    assert ("saml.ending" in house.said()) is said


def test_U32_metadata_that_expire_are_named(house: House) -> None:
    until = (datetime.now(UTC) + timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    saml_client(house, SP_METADATA.replace(" entityID", f' validUntil="{until}" entityID'))
    assert "sp: its metadata expire" in house.told("saml.ending")


def test_U32_metadata_that_were_never_fetched_are_named(house: House) -> None:
    house.put("clients.sp", saml='{ metadata_url = "https://sp.example.org/metadata" }')
    assert "have not been fetched" in house.told("saml.sources")


def test_U32_a_bad_file_in_the_metadata_folder_is_named(house: House, tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "sp.xml").write_text("<html>")
    assert "sp.xml" in house.told("saml.folder")


class Drifting(Members):
    """A directory in which a query has changed."""

    def drift(self) -> list[Drift]:
        return [Drift("directory.iqa_gone", "the IQA $/Sso/Profile is not there any more")]


def test_U32_a_query_that_is_not_there_any_more_is_named(house: House) -> None:
    drifting = Drifting(Subject("101", "ada"))
    assert "directory.drift" in house.said(change=lambda parts: replace(parts, directory=drifting))


@pytest.mark.parametrize(("host", "said"), [("imis.example.org", True), ("localhost", False)])
def test_U32_passwords_that_go_to_imis_in_the_clear_are_named(house: House, host: str, said: bool) -> None:
    house.settings["directory"] = {
        "kind": '"imis-rest"',
        "site_url": f'"http://{host}"',
        "allow_http": "true",
        "service_username": '"sso"',
        "service_password": '{ file = "secret" }',
    }
    assert ("directory.in_clear" in house.said()) is said
