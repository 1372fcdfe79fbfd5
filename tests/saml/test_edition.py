"""An edition of metadata that is older than the one in force is refused, though its signature is genuine and its validUntil is to come:
it would bring back keys and addresses that were taken out since."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from idp.protocols.saml.document import METADATA, parse
from idp.protocols.saml.entity import MetadataProblem
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.settings import SamlSettings
from idp.protocols.saml.source.aggregate import verify_aggregate
from idp.protocols.saml.source.validity import Validity, check_edition
from idp.sso.client import Client
from idp.sso.release import read_release

from .publisher import DAY, Publisher, Sources, aggregate_of
from .wiring import ACS, NOW, SP, key_of, metadata, octets, signed

KEY = key_of("federation")
OTHER = "https://lms.example/other"
MDQ = f"/entities/{quote(SP, safe='')}"


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    running = Publisher()
    yield running
    running.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Sources]]:
    made: list[Sources] = []

    def of(*clients: Client, **settings: Any) -> Sources:
        made.append(Sources(tmp_path, *clients, **settings))
        return made[-1]

    yield of
    for each in made:
        each.store.close()


Make = Callable[..., Sources]


def publication(published: int | str) -> str:
    instant = published if isinstance(published, str) else write_time(published)
    info = '<mdrpi:PublicationInfo xmlns:mdrpi="urn:oasis:names:tc:SAML:metadata:rpi" publisher="https://federation.example"'
    return f'<md:Extensions>{info} creationInstant="{instant}"/></md:Extensions>'


def edition(address: str = ACS, *, published: int | str | None = None, valid_until: int = NOW + 7 * DAY) -> bytes:
    """A federation with one member, who takes answers at the address."""
    head = [] if published is None else [publication(published)]
    return aggregate_of(KEY, [*head, metadata().replace(ACS, address)], valid_until=valid_until)


def open_federation(make: Make, **table: Any) -> Sources:
    return make(federation={"edu": {"certificate": KEY.certificate_base64, "members": "all", **table}})


def address_of(sources: Sources) -> str:
    sources.federations._held.clear()
    member = sources.federations.find(SP)
    assert member is not None
    return member.provider.default_acs.location


OLDER = {
    "by its instant of publication": (edition(OTHER, published=NOW - 60), edition(published=NOW - 120, valid_until=NOW + 8 * DAY)),
    "by its end, where neither says when": (edition(OTHER), edition(valid_until=NOW + 6 * DAY)),
    "by its end, where the old one does not say when": (edition(OTHER, published=NOW - 60), edition(valid_until=NOW + 6 * DAY)),
}


@pytest.mark.parametrize("which", OLDER)
def test_V10_an_older_edition_of_a_federation_is_refused_and_the_good_one_stays(publisher: Publisher, make: Make, which: str) -> None:
    publisher.pages["/all"], replayed = OLDER[which]
    sources = open_federation(make, url=f"{publisher.url}/all")
    assert sources.refresh("edu") == "applied"
    publisher.pages["/all"] = replayed
    assert sources.refresh("edu") == "refused"
    assert address_of(sources) == OTHER
    told = sources.audit.of("saml.metadata_refresh_failed")[-1]
    assert (told["source"], told["cause"]) == ("federation:edu", "saml.metadata_older")


def test_after_an_older_edition_the_newer_one_is_taken_all_the_same(publisher: Publisher, make: Make) -> None:
    sources = open_federation(make, url=f"{publisher.url}/all")
    states = []
    for published in (NOW - 60, NOW - 120, NOW - 90, NOW - 30):
        publisher.pages["/all"] = edition(f"{ACS}/{NOW - published}", published=published)
        states.append(sources.refresh("edu"))
    assert states == ["applied", "refused", "refused", "applied"]
    assert address_of(sources) == f"{ACS}/30"


def test_a_federation_that_promises_less_from_now_on_is_no_older_where_it_says_when_it_was_published(
    publisher: Publisher, make: Make
) -> None:
    publisher.pages["/all"] = edition(published=NOW - 60)
    sources = open_federation(make, url=f"{publisher.url}/all")
    sources.refresh("edu")
    publisher.pages["/all"] = edition(OTHER, published=NOW, valid_until=NOW + DAY)
    assert sources.refresh("edu") == "applied"
    assert address_of(sources) == OTHER


def test_another_key_in_the_settings_begins_anew(publisher: Publisher, make: Make) -> None:
    publisher.pages["/all"] = edition(published=NOW)
    open_federation(make, url=f"{publisher.url}/all").refresh("edu")
    publisher.pages["/all"] = edition(OTHER, published=NOW - DAY)
    both = [KEY.certificate_base64, key_of("next").certificate_base64]
    sources = open_federation(make, url=f"{publisher.url}/all", certificate=both)
    assert sources.refresh("edu") == "applied"
    assert address_of(sources) == OTHER


def test_a_federation_whose_clock_was_ahead_is_not_locked_out(publisher: Publisher, make: Make) -> None:
    publisher.pages["/all"] = edition(published=NOW + 365 * DAY)
    sources = open_federation(make, url=f"{publisher.url}/all")
    sources.refresh("edu")
    publisher.pages["/all"] = edition(OTHER, published=NOW, valid_until=NOW + 8 * DAY)
    assert sources.refresh("edu") == "applied"


def test_V10_an_older_answer_of_a_responder_is_refused_and_the_good_copy_stays(publisher: Publisher, make: Make) -> None:
    publisher.pages[MDQ] = edition(OTHER, published=NOW - 60)
    sources = open_federation(make, mdq=publisher.url)
    assert address_of(sources) == OTHER
    publisher.pages[MDQ] = edition(published=NOW - 120)
    sources.now.seconds += DAY
    assert address_of(sources) == OTHER
    assert sources.audit.of("saml.mdq_failed")[-1]["cause"] == "saml.metadata_older"


def by_its_key(address: str, published: int) -> bytes:
    head = publication(published)
    text = metadata().replace(ACS, address).replace("<md:SPSSODescriptor", f"{head}<md:SPSSODescriptor", 1)
    return octets(signed(parse(text.replace("<md:EntityDescriptor", '<md:EntityDescriptor ID="_m"', 1).encode(), METADATA), KEY))


def test_V10_older_metadata_of_one_application_are_refused_where_its_key_is_pinned(publisher: Publisher, make: Make) -> None:
    table = {"metadata_url": f"{publisher.url}/lms", "metadata_certificate": KEY.certificate_base64}
    client = Client("lms", "Learning", "saml", SamlSettings.model_validate(table), read_release(None))
    sources = make(client)
    publisher.pages["/lms"] = by_its_key(OTHER, NOW - 60)
    assert sources.refresh() == "applied"
    publisher.pages["/lms"] = by_its_key(ACS, NOW - 120)
    assert sources.refresh() == "refused"
    assert sources.provider().default_acs.location == OTHER
    publisher.pages["/lms"] = by_its_key(ACS, NOW)
    assert sources.refresh() == "applied"


def published_in(raw: bytes) -> int | None:
    return verify_aggregate(BytesIO(raw), BytesIO(), [KEY.private.public_key()]).published


def test_the_instant_is_read_from_the_head_of_what_was_signed_and_from_nowhere_else() -> None:
    inside = metadata().replace("<md:SPSSODescriptor", f"{publication(NOW)}<md:SPSSODescriptor", 1)
    assert published_in(edition(published=NOW)) == NOW
    assert published_in(aggregate_of(KEY, [inside])) is None, "of a member, not of the whole"
    assert published_in(edition(published="yesterday")) is None


def test_an_edition_without_any_time_is_neither_older_nor_newer() -> None:
    check_edition(Validity(), Validity(NOW, published=NOW), now=NOW)
    check_edition(Validity(NOW, published=NOW), Validity(), now=NOW)
    with pytest.raises(MetadataProblem, match="older"):
        check_edition(Validity(NOW - 1), Validity(NOW), now=NOW)
