"""Our own metadata as they are served: what they say of our algorithms, one key for one application, who fetched them, cached octets."""

from __future__ import annotations

from typing import Any

import pytest

from idp.keys import KeyRing
from idp.protocols.saml.algorithm import DIGEST_METHODS, SIGNATURE_METHODS
from idp.protocols.saml.decryption import METHODS
from idp.protocols.saml.document import DS, MD, MDUI, METADATA, Element, parse, qualified, schema
from idp.protocols.saml.signature import verify_enveloped
from idp.store import StoreUnavailable

from .conftest import MakeWorld
from .wiring import IDP, IDP_ENTITY
from .world import Provider, Told, World, saml_client

_ALG = "urn:oasis:names:tc:SAML:metadata:algsupport"


def fetched(world: World, path: str = "/saml/metadata", **headers: str) -> Any:
    return world.visitor().http.get(path, base_url=IDP, headers={name.replace("_", "-"): value for name, value in headers.items()})


def role_of(raw: bytes) -> Element:
    root = parse(raw, METADATA)
    schema("metadata").check(root)
    return root.find(qualified(MD, "IDPSSODescriptor"))


def certificates(raw: bytes, use: str = "signing") -> list[str]:
    found = [each for each in role_of(raw).iter(qualified(MD, "KeyDescriptor")) if each.get("use") == use]
    return [str(each.findtext(f".//{qualified(DS, 'X509Certificate')}")) for each in found]


# ---- what they say


def test_IIP_MD09_they_name_the_algorithms_that_we_verify_and_decrypt(world: World) -> None:
    role = role_of(world.saml.metadata())
    named = {
        name: tuple(str(each.get("Algorithm")) for each in role.iter(qualified(_ALG, name))) for name in ("DigestMethod", "SigningMethod")
    }
    assert named == {"DigestMethod": DIGEST_METHODS, "SigningMethod": SIGNATURE_METHODS}
    assert tuple(str(each.get("Algorithm")) for each in role.iter(qualified(MD, "EncryptionMethod"))) == METHODS
    assert not any(bad in world.saml.metadata() for bad in (b"xmldsig#rsa-sha1", b"rsa-1_5", b"-cbc", b"md5"))


def test_SDP_MD09_SDP_MD11_contacts_and_addresses_stand_there_when_they_are_given(make_world: MakeWorld) -> None:
    given = {
        "technical_contact": "it@assoc.example",
        "support_contact": "help@assoc.example",
        "security_contact": "security@assoc.example",
        "logo_url": "https://assoc.example/logo.png",
        "logo_width": 120,
        "information_url": "https://assoc.example/about",
        "privacy_url": "https://assoc.example/privacy",
    }
    root = parse(make_world(**given).saml.metadata(), METADATA)
    schema("metadata").check(root)
    contacts = {str(each.get("contactType")): str(each[0].text) for each in root.iter(qualified(MD, "ContactPerson"))}
    assert contacts == {
        "technical": "mailto:it@assoc.example",
        "support": "mailto:help@assoc.example",
        "other": "mailto:security@assoc.example",
    }
    assert b"http://refeds.org/metadata/contactType/security" in make_world(**given).saml.metadata()
    assert root.findtext(f".//{qualified(MDUI, 'PrivacyStatementURL')}") == "https://assoc.example/privacy"
    assert root.findtext(f".//{qualified(MDUI, 'InformationURL')}") == "https://assoc.example/about"
    assert root.find(f".//{qualified(MDUI, 'Logo')}").get("width") == "120"


# ---- one application, one key


def test_an_application_that_cannot_roll_gets_its_own_key_and_metadata_that_show_no_other(make_world: MakeWorld) -> None:
    first = make_world()
    old = first.keys.current
    world = make_world(saml_client(signing_key=old.kid), saml_client("crm", acs=("https://crm.example/acs",), entity_id="urn:crm"))
    world.keys.publish()
    new = world.keys.activate()
    world.keys.retire(keep=world.saml.named_keys())
    told = Told(_judged_by(world, old), Provider(world, world.signed_in()).ask())
    assert told.attributes["email"] == ["anne@assoc.example"]
    own = fetched(world, "/saml/metadata/lms").data
    assert certificates(own) == [old.certificate_base64]
    verify_enveloped(parse(own, METADATA), [old.private.public_key()], METADATA)
    assert parse(own, METADATA).get("entityID") == IDP_ENTITY
    others = fetched(world, "/saml/metadata/crm").data
    assert certificates(others) == certificates(fetched(world).data) == [new.certificate_base64]


def _judged_by(world: World, key: Any) -> Any:
    """What `Told` reads of a world, with that key of ours."""

    class Judge:
        public_key = key.private.public_key()

    return Judge()


@pytest.mark.parametrize("client_id", ["nobody", "..%2fx", "%00"])
def test_an_application_that_is_not_there_has_no_metadata_of_ours(world: World, client_id: str) -> None:
    assert fetched(world, f"/saml/metadata/{client_id}").status_code == 404


def test_all_signing_keys_stand_there_through_a_change_of_key(world: World) -> None:
    old = world.keys.current
    new = world.keys.publish()
    assert certificates(fetched(world).data) == [old.certificate_base64, new.certificate_base64]
    world.keys.activate()
    assert certificates(fetched(world).data) == [new.certificate_base64, old.certificate_base64]
    world.keys.retire()
    assert certificates(fetched(world).data) == [new.certificate_base64]


# ---- who fetched them


def readers(world: World, key: Any) -> dict[str, Any]:
    return {each.client_id: each for each in world.saml.readers.of_key(key.kid)}


def test_G_R7_who_fetches_at_an_address_of_its_own_is_known_to_have_the_keys(world: World) -> None:
    fetched(world, "/saml/metadata/lms", User_Agent="Shibboleth/3.4")
    (follower,) = world.saml.followers(world.keys.current.kid)
    assert (follower.client_id, follower.fetched) == ("lms", world.now())
    assert readers(world, world.keys.current)["lms"].agent == "Shibboleth/3.4"


def test_a_visit_at_the_address_for_all_is_kept_without_a_name(world: World) -> None:
    fetched(world, User_Agent="curl/8")
    (reading,) = world.saml.readers.of_key(world.keys.current.kid)
    assert (reading.client_id, reading.address, reading.agent) == ("", "127.0.0.1", "curl/8")
    assert world.saml.followers(world.keys.current.kid)[0].fetched is None


def test_a_visit_counts_for_the_keys_that_it_saw_and_a_new_one_at_once_for_a_new_key(world: World) -> None:
    fetched(world, "/saml/metadata/lms")
    new = world.keys.publish()
    assert readers(world, new) == {}
    world.now.seconds += 5
    fetched(world, "/saml/metadata/lms")
    assert readers(world, new)["lms"].at == world.now()


def test_a_visit_that_finds_nothing_new_counts_too(world: World) -> None:
    """HTTP 304: the reader has what we have."""
    tag = fetched(world, "/saml/metadata/lms").headers["ETag"]
    world.now.seconds += 3599
    world.store.delete("metadata_reader", "client lms")
    world.saml.readers._noted.clear()
    response = fetched(world, "/saml/metadata/lms", If_None_Match=tag)
    assert (response.status_code, response.data) == (304, b"")
    assert "lms" in readers(world, world.keys.current)


def test_whoever_makes_up_names_fills_no_more_than_a_few_places(world: World) -> None:
    for number in range(1200):
        world.saml.readers.note("", address="192.0.2.1", agent=f"x{number}", kids=("k",))
    assert len(world.store.list("metadata_reader")) <= 512


def test_metadata_are_served_while_the_store_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("it is switched off")

    monkeypatch.setattr(world.store, "put", away)
    assert fetched(world).status_code == 200


# ---- cached octets


def test_they_are_written_once_while_nothing_changes_and_anew_with_the_keys_or_after_an_hour(world: World) -> None:
    first = world.saml.document()
    assert world.saml.document() is first
    world.now.seconds += 3600
    second = world.saml.document()
    assert second is not first
    assert parse(second.octets, METADATA).get("validUntil") > parse(first.octets, METADATA).get("validUntil")
    world.keys.publish()
    assert world.saml.document() is not second


def test_F19_another_workers_step_is_seen(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("idp.keys._LOOK_AGAIN", 0.0)
    before = world.saml.document()
    KeyRing(world.keys._folder, use="saml").publish()
    assert len(world.saml.document().kids) == len(before.kids) + 1
