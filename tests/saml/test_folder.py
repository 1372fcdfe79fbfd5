"""The metadata folder, and every other source, as the server sees them while it runs; and what it says ahead of time."""

from __future__ import annotations

import datetime
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from idp.errors import BadRequest
from idp.keys import SigningKey
from idp.protocols.saml.document import METADATA
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.source.duty import MetadataDuty
from idp.protocols.saml.source.expiry import Ending, Herald, endings, source_warnings
from idp.protocols.saml.source.folder import Folder
from idp.protocols.saml.source.shelf import Copy, Shelf, client_key
from idp.sso.client import Client
from idp.store import StoreUnavailable
from tests.standin import Events

from .publisher import DAY, Sources
from .wiring import ACS, NOW, SP, key_of, metadata
from .world import Provider, World, saml_client

OTHER = "https://lms.example/new-acs"


def dropped(folder: Path, text: str, name: str = "lms.xml") -> None:
    """The file, with a time of its own even where the disk's clock is coarse."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(before + 1_000_000_000, before + 1_000_000_000))


def waiting_client() -> Client:
    client = saml_client(metadata_xml=metadata())
    settings = type(client.settings).model_validate({"entity_id": SP})
    return Client("lms", "Learning", "saml", settings, client.release)


Look = Callable[[World], None]


def look_again(world: World) -> None:
    """As if two seconds had gone."""
    world.saml._providers._looked = float("-inf")


@pytest.fixture
def folder_world(make_world: Any, tmp_path: Path) -> World:
    world: World = make_world(waiting_client(), metadata_folder=tmp_path / "metadata")
    return world


def test_SDP_MD01_a_dropped_file_is_known_to_the_client_with_its_entity_id(folder_world: World, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="provider_unknown"):
        folder_world.saml._providers.by_entity(SP)
    dropped(tmp_path / "metadata", metadata())
    look_again(folder_world)
    told = Provider(folder_world, folder_world.visitor()).sign_on()
    assert told.acs == ACS


def test_a_broken_file_leaves_the_last_good_one_in_force_and_is_reported(folder_world: World, tmp_path: Path) -> None:
    dropped(tmp_path / "metadata", metadata())
    look_again(folder_world)
    assert folder_world.saml._providers.by_entity(SP).provider.default_acs.location == ACS
    dropped(tmp_path / "metadata", metadata()[:-20])
    look_again(folder_world)
    assert folder_world.saml._providers.by_entity(SP).provider.default_acs.location == ACS
    assert "lms.xml" in folder_world.saml.folder_problems()[0]
    assert folder_world.audit.of("saml.metadata_unreadable")[-1]["file"] == "lms.xml"
    dropped(tmp_path / "metadata", metadata().replace(ACS, OTHER))
    look_again(folder_world)
    assert folder_world.saml._providers.by_entity(SP).provider.default_acs.location == OTHER
    assert folder_world.saml.folder_problems() == []


def test_a_file_that_was_taken_away_leaves_what_it_said_until_the_next_start(folder_world: World, tmp_path: Path) -> None:
    dropped(tmp_path / "metadata", metadata())
    look_again(folder_world)
    folder_world.saml._providers.by_entity(SP)
    (tmp_path / "metadata" / "lms.xml").unlink()
    look_again(folder_world)
    assert folder_world.saml._providers.by_entity(SP).provider.default_acs.location == ACS


def test_an_unchanged_folder_is_looked_at_and_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dropped(tmp_path / "m", metadata())
    folder = Folder(tmp_path / "m", audit=Events())
    before = folder.look()
    monkeypatch.setattr(Path, "read_bytes", lambda _: pytest.fail("it was read again"))
    assert folder.look() is before


PROBLEMS = {
    "too large": (" " * (METADATA.size + 1), "too large"),
    "no metadata": ("<a/>", "not SAML metadata"),
    "DTD": ("<!DOCTYPE a>" + metadata(), "document type"),
    "XInclude": ('<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/>', "not SAML metadata"),
}


@pytest.mark.parametrize(("text", "said"), PROBLEMS.values(), ids=PROBLEMS)
def test_V4_a_file_that_cannot_be_used_is_reported_and_the_others_count(tmp_path: Path, text: str, said: str) -> None:
    dropped(tmp_path / "m", text, "bad.xml")
    dropped(tmp_path / "m", metadata(), "good.xml")
    folder = Folder(tmp_path / "m", audit=Events())
    assert said in folder.look().problems["bad.xml"]
    assert folder.find(SP) is not None


def test_two_files_about_one_application_are_a_problem(tmp_path: Path) -> None:
    for name in ("a.xml", "b.xml"):
        dropped(tmp_path / "m", metadata(), name)
    with pytest.raises(Exception, match="Two files"):
        Folder(tmp_path / "m", audit=Events()).find(SP)


def test_a_folder_that_is_not_there_and_other_files_do_no_harm(tmp_path: Path) -> None:
    assert Folder(tmp_path / "none", audit=Events()).find(SP) is None
    dropped(tmp_path / "m", "hello", "README.md")
    assert Folder(tmp_path / "m", audit=Events()).look().stamps == {}


def test_F8_metadata_that_the_store_did_not_give_out_are_read_at_the_next_look(
    make_world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = type(saml_client().settings).model_validate({"metadata_url": "https://lms.example/metadata"})
    world: World = make_world(Client("lms", "Learning", "saml", settings, saml_client().release))
    shelf = Shelf(world.store, now=world.now)
    for place in (ACS, OTHER):
        shelf.keep(client_key("lms"), Copy(SP, metadata().replace(ACS, place), NOW))
        shelf.moved()
        with monkeypatch.context() as broken:
            if place == OTHER:
                broken.setattr(Shelf, "copy", _unavailable)
            look_again(world)
            assert world.saml._providers.by_entity(SP).provider.default_acs.location == ACS
    look_again(world)
    assert world.saml._providers.by_entity(SP).provider.default_acs.location == OTHER


def _unavailable(_: Shelf, key: str) -> None:
    raise StoreUnavailable(key)


def certificate(days: int) -> SigningKey:
    """A key whose certificate ends so many days from NOW."""
    key = key_of("sp")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sp")])
    begin = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(1)
        .not_valid_before(begin - datetime.timedelta(days=4000))
        .not_valid_after(begin + datetime.timedelta(days=days, hours=1))
        .sign(key.private, hashes.SHA256())
    )
    return replace(key, certificate=made)


def world_with(make_world: Any, text: str, **settings: Any) -> World:
    world: World = make_world(saml_client(metadata_xml=text, **settings))
    return world


def told(world: World) -> list[Ending]:
    return endings(world.saml.known(), now=world.now())


@pytest.mark.parametrize(("days", "expected"), [(61, []), (60, [60]), (7, [7]), (0, [0]), (-1, [-1])])
def test_a_certificate_that_ends_is_said_sixty_days_ahead(make_world: Any, days: int, expected: list[int]) -> None:
    world = world_with(make_world, metadata(keys=[("signing", certificate(days))]))
    assert [each.days for each in told(world)] == expected
    assert not any(each.grave for each in told(world))


def test_IIP_MD12_an_expired_certificate_goes_on_working(make_world: Any) -> None:
    world = world_with(make_world, metadata(keys=[("", certificate(-400))], role='AuthnRequestsSigned="true"'))
    assert Provider(world, world.visitor()).sign_on().acs == ACS
    assert "its key goes on working" in told(world)[0].sentence


@pytest.mark.parametrize(("policy", "grave"), [("warn", False), ("refuse", True)])
def test_expired_metadata_are_said_and_grave_where_they_are_refused(make_world: Any, policy: str, grave: bool) -> None:
    text = metadata(attributes=f' validUntil="{write_time(NOW - DAY)}"')
    world = world_with(make_world, text, expired_metadata=policy)
    assert [(each.what, each.grave) for each in told(world)] == [("metadata", grave)]


def test_metadata_that_nobody_refreshes_are_said_a_week_ahead(make_world: Any) -> None:
    assert told(world_with(make_world, metadata(attributes=f' validUntil="{write_time(NOW + 6 * DAY)}"')))[0].days == 6
    assert told(world_with(make_world, metadata(attributes=f' validUntil="{write_time(NOW + 9 * DAY)}"'))) == []


def test_the_log_says_each_ending_at_sixty_thirty_and_seven_days_once(make_world: Any) -> None:
    world = world_with(make_world, metadata(keys=[("signing", certificate(65))]))
    heralds = [Herald(world.store, audit=world.audit, now=world.now) for _ in range(2)]
    for _ in range(66):
        for herald in heralds:
            herald.tell(world.saml.known())
        world.now.seconds += DAY
    assert [line["days"] for line in world.audit.of("saml.ending")] == [60, 30, 7]


def test_metadata_whose_validUntil_is_too_far_ahead_are_not_read_from_a_file_either(make_world: Any) -> None:
    """IIP-MD04 for every source."""
    far = metadata(attributes=f' validUntil="{write_time(NOW + 40 * DAY)}"')
    assert world_with(make_world, far, metadata_validity=30 * DAY).saml.known() == []
    assert world_with(make_world, metadata(), metadata_validity=30 * DAY).saml.known() == []
    assert len(world_with(make_world, far).saml.known()) == 1


def test_the_check_names_sources_that_fail_or_wait(tmp_path: Path) -> None:
    settings = type(saml_client().settings).model_validate({"metadata_url": "http://127.0.0.1:9/none"})
    sources = Sources(tmp_path, Client("lms", "Learning", "saml", settings, saml_client().release))
    assert "have not been fetched yet" in source_warnings(sources.refresher, now=NOW)[0]
    sources.refresh()
    assert "outbound.connection" in source_warnings(sources.refresher, now=NOW)[0]
    sources.store.close()


def test_a_worker_begins_to_fetch_only_if_something_is_due_and_no_other_has_begun(tmp_path: Path) -> None:
    settings = type(saml_client().settings).model_validate({"metadata_url": "http://127.0.0.1:9/none"})
    sources = Sources(tmp_path, Client("lms", "Learning", "saml", settings, saml_client().release))
    mark = ["sh", "-c", f"echo x >> {tmp_path}/begun"]
    duties = [MetadataDuty(sources.refresher, Herald(sources.store, audit=sources.audit, now=sources.now), list, mark) for _ in range(2)]
    for duty in duties:
        duty.look()
    sources.refresh()
    sources.now.seconds += 60
    for duty in duties:
        duty.look()
        if duty._child is not None:
            duty._child.wait(10)
    assert (tmp_path / "begun").read_text() == "x\n"
    sources.store.close()


def test_fingerprints_are_those_of_openssl(tmp_path: Path) -> None:
    from idp.protocols.saml.source.change import fingerprint  # beside what it is compared with

    pem = tmp_path / "sp.pem"
    pem.write_bytes(key_of("sp").certificate.public_bytes(Encoding.PEM))
    command = f"openssl x509 -in {pem} -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum"
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout.split()[0]
    assert said == fingerprint(key_of("sp").private.public_key())
