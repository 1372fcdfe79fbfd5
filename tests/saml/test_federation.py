"""Members of a federation sign on by its metadata alone; each request reads only the member that asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pydantic import ValidationError

from idp.errors import BadRequest, Unavailable
from idp.protocols.saml.entity import MetadataProblem
from idp.protocols.saml.settings import FederationSettings, SamlServerSettings, SamlSettings
from idp.protocols.saml.source.shelf import member_key
from idp.sso.client import Client
from idp.sso.release import read_release
from tests.bench.aggregate import entity, entity_id_of

from .publisher import DAY, Publisher, Sources, aggregate_of
from .wiring import ACS, NOW, SP, key_of, metadata
from .world import Provider, World

KEY = key_of("federation")
CATEGORY = "http://refeds.org/category/research-and-scholarship"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    running = Publisher()
    yield running
    running.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Sources]]:
    made: list[Sources] = []

    def of(*clients: Client, **federation: Any) -> Sources:
        table = {"certificate": KEY.certificate_base64, **federation}
        made.append(Sources(tmp_path, *clients, federation={"edu": table}))
        return made[-1]

    yield of
    for each in made:
        each.store.close()


Make = Callable[..., Sources]


def named(entity_id: str = SP, **settings: Any) -> Client:
    table = {"federation": "edu", "entity_id": entity_id, **settings}
    return Client("lms", "Learning", "saml", SamlSettings.model_validate(table), read_release(None))


def ours(*entities: str) -> bytes:
    return aggregate_of(KEY, [metadata(), *entities])


def test_IIP_MD06_a_member_that_nobody_named_signs_on_by_metadata_alone(publisher: Publisher, make: Make, tmp_path: Path) -> None:
    publisher.pages["/all"] = ours(entity(1, KEY.certificate_base64))
    sources = make(url=f"{publisher.url}/all", members="all", release=["email"])
    assert sources.refresh("edu") == "applied"
    world = World(tmp_path, [], sources.settings, federations=sources.federations)
    told = Provider(world, world.visitor()).sign_on()
    assert told.acs == ACS
    assert told.attributes == {"email": ["anne@assoc.example"]}
    assert world.audit.of("signon.ok")[0]["client"] == member_key("edu", SP)
    world.store.close()


def test_IIP_IDP03_members_get_what_their_category_releases(publisher: Publisher, make: Make, tmp_path: Path) -> None:
    categorised = metadata().replace(
        "<md:SPSSODescriptor",
        '<md:Extensions><mdattr:EntityAttributes><saml:Attribute Name="http://macedir.org/entity-category" '
        'NameFormat="urn:oasis:names:tc:SAML:2.0:attrname-format:uri">'
        f"<saml:AttributeValue>{CATEGORY}</saml:AttributeValue></saml:Attribute></mdattr:EntityAttributes></md:Extensions><md:SPSSODescriptor",
        1,
    )
    publisher.pages["/all"] = aggregate_of(KEY, [categorised])
    table = {"certificate": KEY.certificate_base64, "url": f"{publisher.url}/all", "members": "all"}
    sources = Sources(tmp_path, federation={"edu": table}, category_release={CATEGORY: ["full_name"]})
    sources.refresh("edu")
    world = World(tmp_path, [], sources.settings, federations=sources.federations)
    assert Provider(world, world.visitor()).sign_on().attributes == {"full_name": ["Anne Example"]}
    world.store.close()
    sources.store.close()


def test_a_named_client_has_its_own_settings_and_others_stay_out(publisher: Publisher, make: Make) -> None:
    publisher.pages["/all"] = ours(entity(1, KEY.certificate_base64))
    sources = make(named(), url=f"{publisher.url}/all")
    with pytest.raises(MetadataProblem, match="not been fetched"):
        sources.provider()
    sources.refresh("edu")
    assert sources.provider().default_acs.location == ACS
    assert sources.federations.find(entity_id_of(1)) is None
    assert sources.clients.get(member_key("edu", entity_id_of(1))) is None


def test_one_of_thousands_is_found_by_one_read(publisher: Publisher, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    publisher.pages["/all"] = aggregate_of(KEY, 30)
    sources = make(url=f"{publisher.url}/all", members="all")
    sources.refresh("edu")
    read: list[str] = []
    get = sources.store.get

    def noted(kind: str, key: str) -> Any:
        read.append(kind)
        return get(kind, key)

    monkeypatch.setattr(sources.store, "get", noted)
    member = sources.federations.find(entity_id_of(20))
    assert member is not None
    assert member.provider.entity_id == entity_id_of(20)
    assert read.count("entity") == 1
    assert sources.federations.find(entity_id_of(20)) is member
    assert read.count("entity") == 1, "held for a moment"


def test_SDP_MD01_a_new_edition_replaces_what_changed_and_takes_away_what_is_gone(publisher: Publisher, make: Make) -> None:
    publisher.pages["/all"] = ours(entity(1, KEY.certificate_base64), entity(2, KEY.certificate_base64))
    sources = make(named(), url=f"{publisher.url}/all", members="all")
    sources.refresh("edu")
    moved = metadata().replace(ACS, "https://lms.example/other")
    publisher.pages["/all"] = aggregate_of(KEY, [moved, entity(2, KEY.certificate_base64), entity(3, KEY.certificate_base64)])
    assert sources.lines("edu") == "3 applications, 2 new or changed, 1 gone"
    assert sources.provider().default_acs.location == "https://lms.example/other"
    assert sources.federations.find(entity_id_of(1)) is None
    told = sources.audit.of("saml.metadata_applied")[-1]
    assert (told["client"], f"- address for answers {ACS} (HTTP-POST, number 1)" in told["changes"]) == ("lms", True)


def moved(text: str) -> str:
    return text.replace(ACS, "https://lms.example/other")


def test_of_two_descriptions_of_a_member_neither_counts_and_the_others_do(publisher: Publisher, make: Make) -> None:
    publisher.pages["/all"] = ours(entity(1, KEY.certificate_base64))
    sources = make(url=f"{publisher.url}/all", members="all")
    sources.refresh("edu")
    publisher.pages["/all"] = ours(moved(metadata()), entity(1, KEY.certificate_base64), entity(2, KEY.certificate_base64))
    assert sources.refresh("edu") == "applied"
    assert [bool(sources.shelf.copy(member_key("edu", each))) for each in (SP, entity_id_of(1), entity_id_of(2))] == [False, True, True]
    assert sources.refresher.note(sources.source("edu")).warnings == (f"{SP} is described twice and is left out",)
    assert sources.audit.last["left_out"] == (f"{SP} is described twice and is left out",)


def test_the_same_description_of_a_member_twice_is_no_doubt(publisher: Publisher, make: Make) -> None:
    publisher.pages["/all"] = ours(metadata())
    sources = make(url=f"{publisher.url}/all", members="all")
    assert sources.refresh("edu") == "applied"
    assert sources.federations.find(SP) is not None
    assert sources.refresher.note(sources.source("edu")).warnings == ()


def test_a_member_that_cannot_be_used_leaves_the_others_in_force(publisher: Publisher, make: Make) -> None:
    bad = entity(1, KEY.certificate_base64).replace("<md:EntityDescriptor", '<md:EntityDescriptor validUntil="soon"', 1)
    publisher.pages["/all"] = ours(bad)
    sources = make(url=f"{publisher.url}/all", members="all")
    assert sources.refresh("edu") == "applied"
    assert sources.federations.find(SP) is not None
    assert sources.federations.find(entity_id_of(1)) is None


def test_an_importer_that_was_killed_leaves_nothing_that_the_next_one_misses(
    publisher: Publisher, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher.pages["/all"] = aggregate_of(KEY, 3)
    sources = make(url=f"{publisher.url}/all", members="all")
    put = sources.store.put

    def stop_at_the_second(kind: str, key: str, record: Any, *, expires: int | None) -> None:
        if record.get("entity_id") == entity_id_of(1):
            raise KeyboardInterrupt
        put(kind, key, record, expires=expires)

    monkeypatch.setattr(sources.store, "put", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        sources.refresh("edu")
    monkeypatch.undo()
    publisher.pages["/all"] = aggregate_of(KEY, [entity(1, KEY.certificate_base64)])
    assert sources.refresh("edu") == "applied"
    assert [sources.federations.find(entity_id_of(number)) is not None for number in range(3)] == [False, True, False]


@pytest.mark.parametrize("page", [b"<html>", aggregate_of(key_of("stranger"), 2), aggregate_of(KEY, [])])
def test_V10_what_the_federation_did_not_sign_changes_nothing(publisher: Publisher, make: Make, page: bytes) -> None:
    publisher.pages["/all"] = ours()
    sources = make(url=f"{publisher.url}/all", members="all")
    sources.refresh("edu")
    publisher.pages["/all"] = page
    assert sources.refresh("edu") == "refused"
    assert sources.federations.find(SP) is not None


@pytest.mark.parametrize(("end", "cause"), [(NOW - DAY, "expired"), (NOW + 31 * DAY, "too_long")])
def test_SDP_MD03_IIP_MD04_a_federation_that_expired_or_is_valid_too_long_is_refused(
    publisher: Publisher, make: Make, end: int, cause: str
) -> None:
    publisher.pages["/all"] = aggregate_of(KEY, 2, valid_until=end)
    sources = make(url=f"{publisher.url}/all")
    assert sources.refresh("edu") == "refused"
    assert sources.refresher.note(sources.source("edu")).cause == f"saml.metadata_{cause}"


def test_SDP_MD03_members_of_a_federation_that_has_expired_are_turned_away(publisher: Publisher, make: Make, tmp_path: Path) -> None:
    publisher.pages["/all"] = ours()
    sources = make(url=f"{publisher.url}/all", members="all")
    sources.refresh("edu")
    world = World(tmp_path, [], sources.settings, federations=sources.federations)
    world.now.seconds += 8 * DAY
    with pytest.raises(BadRequest, match="metadata_expired"):
        world.saml.start(SP, "")
    world.store.close()


def test_a_newer_edition_prolongs_what_did_not_change(publisher: Publisher, make: Make) -> None:
    publisher.pages["/all"] = ours()
    sources = make(url=f"{publisher.url}/all", members="all")
    sources.refresh("edu")
    publisher.pages["/all"] = aggregate_of(KEY, [metadata()], valid_until=NOW + 14 * DAY)
    assert sources.federations.find(SP) is not None
    assert sources.lines("edu") == "1 applications, 0 new or changed, 0 gone"
    for key, held in list(sources.federations._held.items()):
        sources.federations._held[key] = replace(held, looked=float("-inf"))
    member = sources.federations.find(SP)
    assert member is not None
    assert member.provider.valid_until == NOW + 14 * DAY


def test_eGov_012_a_federation_may_be_a_file(make: Make, tmp_path: Path) -> None:
    (tmp_path / "all.xml").write_bytes(ours())
    sources = make(file=str(tmp_path / "all.xml"), members="all")
    assert [sources.refresh("edu"), sources.refresh("edu")] == ["applied", "unchanged"]
    (tmp_path / "all.xml").unlink()
    assert sources.refresh("edu") == "refused"
    assert sources.federations.find(SP) is not None


def test_eGov_014_of_several_federations_the_first_that_has_it_counts(publisher: Publisher, tmp_path: Path) -> None:
    publisher.pages["/one"] = aggregate_of(KEY, 1)
    publisher.pages["/two"] = ours()
    table = {"certificate": KEY.certificate_base64, "members": "all"}
    both = {name: {**table, "url": f"{publisher.url}/{name}"} for name in ("one", "two")}
    sources = Sources(tmp_path, federation=both)
    assert [sources.refresh(name) for name in both] == ["applied", "applied"]
    member = sources.federations.find(SP)
    assert member is not None
    assert member.client.id.startswith("two.")
    sources.store.close()


def mdq(entity_id: str = SP) -> str:
    return f"/entities/{quote(entity_id, safe='')}"


def signed_alone(valid_until: int = NOW + DAY) -> bytes:
    return aggregate_of(KEY, [metadata()], valid_until=valid_until)


def test_IIP_MD01_a_member_is_asked_for_by_MDQ_when_it_comes_and_then_known(publisher: Publisher, make: Make) -> None:
    publisher.pages[mdq()] = signed_alone()
    sources = make(mdq=publisher.url, members="all")
    member = sources.federations.find(SP)
    assert member is not None
    assert member.provider.default_acs.location == ACS
    sources.federations._held.clear()
    assert sources.federations.find(SP) is not None
    assert [path for path, _ in publisher.asked] == [mdq()]
    assert sources.clients.get(member.client.id) == member.client


def test_IIP_MD01_a_named_member_is_fetched_by_MDQ_ahead_of_time(publisher: Publisher, make: Make) -> None:
    publisher.pages[mdq()] = signed_alone()
    sources = make(named(), mdq=f"{publisher.url}/")
    assert [outcome.state for _, outcome in sources.refresher.refresh_due()] == ["applied"]
    assert sources.provider().default_acs.location == ACS
    assert sources.refresher.refresh_due() == []


def test_IIP_MD01_there_may_be_more_than_one_responder(publisher: Publisher, tmp_path: Path) -> None:
    publisher.pages[f"/b{mdq()}"] = signed_alone()
    table = {"certificate": KEY.certificate_base64, "members": "all"}
    sources = Sources(tmp_path, federation={name: {**table, "mdq": f"{publisher.url}/{name}"} for name in ("a", "b")})
    member = sources.federations.find(SP)
    assert member is not None
    assert member.client.id.startswith("b.")
    sources.store.close()


def test_an_answer_of_no_holds_for_a_minute(publisher: Publisher, make: Make) -> None:
    sources = make(mdq=publisher.url, members="all")
    assert [sources.federations.find(SP), sources.federations.find(SP)] == [None, None]
    assert len(publisher.asked) == 1
    publisher.pages[mdq()] = signed_alone()
    sources.now.seconds += 61
    assert sources.federations.find(SP) is not None


@pytest.mark.parametrize("page", [aggregate_of(key_of("stranger"), [metadata()]), aggregate_of(KEY, [entity(1, KEY.certificate_base64)])])
def test_V10_an_answer_that_is_forged_or_about_another_is_no_answer(publisher: Publisher, make: Make, page: bytes) -> None:
    publisher.pages[mdq()] = page
    sources = make(mdq=publisher.url, members="all")
    assert sources.federations.find(SP) is None
    assert sources.audit.of("saml.mdq_failed")


def test_a_responder_that_is_away_leaves_the_last_good_copy_while_it_is_valid(publisher: Publisher, make: Make) -> None:
    publisher.pages[mdq()] = signed_alone(NOW + DAY)
    sources = make(mdq=publisher.url, members="all")
    assert sources.federations.find(SP) is not None
    del publisher.pages[mdq()]
    for later, known in ((DAY // 2 + 60, True), (DAY, False)):
        sources.now.seconds = NOW + later + 400
        sources.federations._held.clear()
        assert (sources.federations.find(SP) is not None) is known


def test_V22_strangers_make_us_ask_only_so_often(publisher: Publisher, make: Make) -> None:
    sources = make(mdq=publisher.url, members="all")
    for number in range(70):
        assert sources.federations.find(entity_id_of(number)) is None
    assert len(publisher.asked) == 60
    assert sources.federations.find("x" * 2000) is None


def test_V22_one_slow_responder_holds_up_one_thread(publisher: Publisher, make: Make) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        begun.set()
        go_on.wait(5)
        handler.send_error(404)

    publisher.pages[mdq()] = slow
    sources = make(mdq=publisher.url, members="all")
    waiting = threading.Thread(target=sources.federations.find, args=(SP,))
    waiting.start()
    begun.wait(5)
    with pytest.raises(Unavailable, match="being_fetched"):
        sources.federations.find(entity_id_of(1))
    go_on.set()
    waiting.join()


@pytest.mark.parametrize(
    "table",
    [
        {"url": "https://x.example/"},
        {"certificate": KEY.certificate_base64},
        {"certificate": "x", "url": "https://x.example/"},
        {"certificate": KEY.certificate_base64, "url": "https://x.example/", "mdq": "https://x.example/"},
        {"certificate": KEY.certificate_base64, "url": "ftp://x.example/"},
        {"certificate": KEY.certificate_base64, "url": "https://x.example/", "client": {"sing": "both"}},
    ],
)
def test_S14_a_federation_without_a_pinned_key_or_with_a_slip_is_a_configuration_error(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FederationSettings.model_validate(table)


def test_a_federation_has_a_plain_name() -> None:
    good = {"certificate": KEY.certificate_base64, "url": "https://x.example/"}
    with pytest.raises(ValidationError):
        SamlServerSettings.model_validate({"federation": {"a.b": good}})
    assert SamlServerSettings.model_validate({"federation": {"a-b": good}}).federation["a-b"].members == "named"
