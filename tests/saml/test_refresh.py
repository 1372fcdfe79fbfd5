"""Metadata that are fetched: when, by whom, and what becomes of a copy that is new, changed, broken, forged or out of reach."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from idp.errors import IdpError
from idp.protocols.saml.document import METADATA, POST, parse
from idp.protocols.saml.entity import MetadataProblem
from idp.protocols.saml.moment import write_time
from idp.protocols.saml.settings import SamlSettings
from idp.protocols.saml.source.shelf import client_key, staged_key
from idp.protocols.saml.source.validity import read_duration
from idp.sso.client import Client
from idp.sso.release import read_release
from idp.store import StoreUnavailable
from idp.store.sqlite import SqliteStore
from idp.web.outbound import OutboundRefused, _next_hop
from idp.web.settings import OutboundSettings

from .publisher import DAY, Publisher, Sources
from .wiring import ACS, NOW, SP, SP_SLO, key_of, metadata, octets, signed

OTHER = "https://lms.example/new-acs"
Make = Callable[..., Sources]


@pytest.fixture
def publisher() -> Iterator[Publisher]:
    running = Publisher()
    running.pages["/lms"] = metadata().encode()
    yield running
    running.close()


@pytest.fixture
def make(tmp_path: Path, publisher: Publisher) -> Iterator[Make]:
    made: list[Sources] = []

    def of(**settings: Any) -> Sources:
        server = settings.pop("server", {})
        client = saml_client(metadata_url=f"{publisher.url}/lms", **settings)
        made.append(Sources(tmp_path, client, **server))
        return made[-1]

    yield of
    for each in made:
        each.store.close()


def saml_client(**settings: Any) -> Client:
    return Client("lms", "Learning", "saml", SamlSettings.model_validate(settings), read_release(None))


def elsewhere() -> str:
    return metadata(acs=f'<md:AssertionConsumerService Binding="{POST}" Location="{OTHER}" index="1"/>')


def by(key: str, text: str) -> bytes:
    return octets(signed(parse(text.replace("<md:EntityDescriptor", '<md:EntityDescriptor ID="_m"', 1).encode(), METADATA), key_of(key)))


def until(text: str, seconds: int) -> str:
    return text.replace("<md:EntityDescriptor", f'<md:EntityDescriptor validUntil="{write_time(seconds)}"', 1)


def test_SDP_MD01_the_first_copy_is_in_force_and_known(make: Make) -> None:
    sources = make()
    with pytest.raises(MetadataProblem, match="not been fetched yet"):
        sources.provider()
    assert sources.refresh() == "applied"
    provider = sources.provider()
    assert (provider.entity_id, provider.default_acs.location) == (SP, ACS)


def test_eGov_013_an_unchanged_copy_is_not_sent_again(make: Make, publisher: Publisher) -> None:
    sources = make()
    sources.refresh()
    assert sources.refresh() == "unchanged"
    assert publisher.statuses == [200, 304]
    assert sources.provider().entity_id == SP


def test_eGov_013_Last_Modified_is_shown_again(make: Make, publisher: Publisher) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(304 if handler.headers.get("If-Modified-Since") else 200)
        handler.send_header("Last-Modified", "Fri, 15 Jan 2027 08:00:00 GMT")
        handler.end_headers()
        if not handler.headers.get("If-Modified-Since"):
            handler.wfile.write(metadata().encode())

    publisher.pages["/lms"] = answer
    sources = make()
    assert [sources.refresh(), sources.refresh()] == ["applied", "unchanged"]
    assert publisher.asked[1][1]["If-Modified-Since"] == "Fri, 15 Jan 2027 08:00:00 GMT"


def test_a_change_that_nobody_signed_is_staged_and_does_not_act(make: Make, publisher: Publisher) -> None:
    sources = make()
    sources.refresh()
    publisher.pages["/lms"] = elsewhere().encode()
    assert sources.refresh() == "staged"
    assert sources.provider().default_acs.location == ACS
    assert sources.refresher.changes("lms") == (
        f"- address for answers {ACS} (HTTP-POST, number 1)",
        f"+ address for answers {OTHER} (HTTP-POST, number 1)",
        f"~ usual address for answers: {ACS} -> {OTHER}",
    )
    assert sources.audit.last["event"] == "saml.metadata_staged"


def test_what_is_staged_comes_into_force_once_when_it_is_accepted(make: Make, publisher: Publisher) -> None:
    sources = make()
    sources.refresh()
    publisher.pages["/lms"] = elsewhere().encode()
    sources.refresh()
    version = sources.shelf.version()
    assert sources.refresher.accept("lms")
    assert sources.provider().default_acs.location == OTHER
    assert sources.shelf.version() > version, "workers look again"
    assert sources.audit.last["event"] == "saml.metadata_accepted"
    with pytest.raises(IdpError, match="nothing_staged"):
        sources.refresher.accept("lms")


def test_a_change_that_is_taken_back_is_no_longer_staged(make: Make, publisher: Publisher) -> None:
    sources = make()
    sources.refresh()
    for page in (elsewhere(), metadata()):
        publisher.pages["/lms"] = page.encode()
        sources.refresh()
    assert sources.shelf.copy(staged_key("lms")) is None
    assert sources.refresher.changes("lms") == ()


def test_what_was_staged_and_has_expired_meanwhile_is_not_accepted(make: Make, publisher: Publisher) -> None:
    sources = make()
    sources.refresh()
    publisher.pages["/lms"] = until(elsewhere(), NOW + DAY).encode()
    sources.refresh()
    sources.now.seconds += 2 * DAY
    with pytest.raises(MetadataProblem, match="expired"):
        sources.refresher.accept("lms")
    assert sources.provider().default_acs.location == ACS


def test_a_change_that_the_pinned_key_signed_is_in_force_at_once(make: Make, publisher: Publisher) -> None:
    publisher.pages["/lms"] = by("pinned", metadata())
    sources = make(metadata_certificate=key_of("pinned").certificate_base64)
    assert sources.refresh() == "applied"
    publisher.pages["/lms"] = by("pinned", elsewhere())
    assert sources.refresh() == "applied"
    assert sources.provider().default_acs.location == OTHER
    assert len(sources.audit.last["changes"]) == 3


def pinned_later(make: Make, page: bytes, publisher: Publisher) -> Sources:
    """A copy came without a pinned key; then somebody pins one."""
    publisher.pages["/lms"] = page
    make().refresh()
    return make(metadata_certificate=key_of("pinned").certificate_base64)


def test_S14_a_key_that_is_pinned_later_holds_for_the_copy_that_is_here(make: Make, publisher: Publisher) -> None:
    sources = pinned_later(make, metadata().encode(), publisher)
    with pytest.raises(MetadataProblem, match="signature"):
        sources.provider()
    assert sources.refresh(whenever=False) == "refused", "it is looked at again at once"
    publisher.pages["/lms"] = by("pinned", metadata())
    assert sources.refresh() == "applied"
    assert sources.provider().default_acs.location == ACS


def test_a_copy_that_the_key_had_signed_stays_in_force_when_it_is_pinned(make: Make, publisher: Publisher) -> None:
    sources = pinned_later(make, by("pinned", metadata()), publisher)
    assert sources.provider().default_acs.location == ACS


def test_what_was_staged_unsigned_is_not_accepted_once_a_key_is_pinned(make: Make, publisher: Publisher) -> None:
    publisher.pages["/lms"] = by("pinned", metadata())
    before = make()
    before.refresh()
    publisher.pages["/lms"] = elsewhere().encode()
    assert before.refresh() == "staged"
    sources = make(metadata_certificate=key_of("pinned").certificate_base64)
    with pytest.raises(MetadataProblem, match="signature"):
        sources.refresher.accept("lms")
    assert sources.provider().default_acs.location == ACS


@pytest.mark.parametrize("page", [elsewhere().encode(), by("stranger", elsewhere())], ids=["unsigned", "signed by another"])
def test_S14_V10_where_a_key_is_pinned_nothing_else_is_taken(make: Make, publisher: Publisher, page: bytes) -> None:
    publisher.pages["/lms"] = by("pinned", metadata())
    sources = make(metadata_certificate=key_of("pinned").certificate_base64)
    sources.refresh()
    publisher.pages["/lms"] = page
    assert sources.refresh() == "refused"
    assert sources.provider().default_acs.location == ACS
    assert sources.shelf.copy(staged_key("lms")) is None


def test_new_keys_of_the_application_are_shown_by_their_fingerprints(make: Make, publisher: Publisher) -> None:
    sources = make()
    sources.refresh()
    publisher.pages["/lms"] = metadata(keys=[("signing", key_of("sp2"))]).encode()
    lines = sources.lines()
    assert lines.count("- key for signatures sha256:") == 1
    assert lines.count("+ key for signatures sha256:") == 1
    assert lines.count("- key for encryption sha256:") == 1


def test_other_times_and_wording_are_no_change(make: Make, publisher: Publisher) -> None:
    sources = make()
    sources.refresh()
    publisher.pages["/lms"] = until("<!-- new -->" + metadata(), NOW + DAY).encode()
    assert sources.refresh() == "unchanged"
    assert sources.provider().valid_until == NOW + DAY


def test_another_entity_at_the_address_is_refused(make: Make, publisher: Publisher) -> None:
    sources = make()
    sources.refresh()
    publisher.pages["/lms"] = metadata("https://evil.example/metadata").encode()
    assert sources.refresh() == "refused"
    assert sources.provider().entity_id == SP


VALIDITIES = {
    "missing": (metadata(), "no_end"),
    "past": (until(metadata(), NOW - DAY), "expired"),
    "too far ahead": (until(metadata(), NOW + 40 * DAY), "too_long"),
    "on the role alone": (metadata(role=f'validUntil="{write_time(NOW + DAY)}"'), "no_end"),
}


@pytest.mark.parametrize(("text", "cause"), VALIDITIES.values(), ids=VALIDITIES)
def test_SDP_MD03_IIP_MD04_validUntil_that_is_missing_past_or_too_far_ahead_is_refused(
    make: Make, publisher: Publisher, text: str, cause: str
) -> None:
    publisher.pages["/lms"] = text.encode()
    sources = make(metadata_validity="30d")
    assert sources.refresh() == "refused"
    assert sources.refresher.note(sources.source()).cause == f"saml.metadata_{cause}"


def test_SDP_MD03_what_is_within_the_bound_is_taken_and_a_skewed_clock_does_no_harm(make: Make, publisher: Publisher) -> None:
    sources = make(metadata_validity="30d")
    for end in (NOW + 30 * DAY + 200, NOW - 200):
        publisher.pages["/lms"] = until(metadata(), end).encode()
        assert sources.refresh() in ("applied", "unchanged")


def say(status: int = 200, body: bytes = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while True:
        handler.wfile.write(b" " * 65536)


def cut_short(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(elsewhere().encode())


HOSTILE: dict[str, tuple[Any, str]] = {
    "no metadata": (b"<html>", "saml.metadata_unusable"),
    "DTD": (b"<!DOCTYPE x>" + metadata().encode(), "saml.metadata_unusable"),
    "entity bomb": (b'<!DOCTYPE x [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]>' + metadata().encode(), "saml.metadata_unusable"),
    "script as address": (elsewhere().replace(OTHER, "javascript:alert(1)").encode(), "saml.metadata_address"),
    "100 MB": (endless, "outbound.too_large"),
    "gzip bomb": (say(body=gzip.compress(b" " * 10_000_000), Content_Encoding="gzip"), "outbound.encoded"),
    "cut short": (cut_short, "outbound.connection"),
    "to a file": (say(302, Location="file:///etc/passwd"), "outbound.url_refused"),
    "round and round": (say(302, Location="/lms"), "outbound.redirected"),
    "nowhere": (say(302), "outbound.url_refused"),
    "not there": (say(404), "outbound.status"),
    "broken": (say(500), "outbound.status"),
}


@pytest.mark.parametrize(("page", "cause"), HOSTILE.values(), ids=HOSTILE)
def test_V4_V47_what_is_hostile_or_broken_leaves_the_last_good_copy_in_force(
    make: Make, publisher: Publisher, page: Any, cause: str
) -> None:
    sources = make()
    sources.refresh()
    publisher.pages["/lms"] = page
    assert sources.refresh() == "refused"
    assert sources.refresher.note(sources.source()).cause == cause
    assert sources.provider().default_acs.location == ACS
    assert sources.audit.last["event"] == "saml.metadata_refresh_failed"


def test_IIP_MD02_redirects_are_followed(make: Make, publisher: Publisher) -> None:
    publisher.pages["/there"] = metadata().encode()
    for status in (301, 302, 307):
        publisher.pages["/lms"] = say(status, Location="/there")
        sources = make()
        assert sources.refresh() in ("applied", "unchanged")


@pytest.mark.parametrize("place", ["http://169.254.169.254/latest/", "http://[fd00:ec2::254]/", "http://0.0.0.0/"])
def test_V47_a_redirect_to_what_the_door_does_not_call_is_not_followed(make: Make, publisher: Publisher, place: str) -> None:
    sources = make()
    sources.door._resolve = lambda host, _: [host]
    publisher.pages["/lms"] = say(302, Location=place)
    assert sources.refresh() == "refused"
    assert sources.refresher.note(sources.source()).cause == "outbound.address_refused"


@pytest.mark.parametrize("location", ["http://lms.example/", "file:///etc/passwd", "", "//user@lms.example/"])
def test_V47_a_redirect_leaves_https_never(location: str, tmp_path: Path) -> None:
    sources = Sources(tmp_path)
    with pytest.raises(OutboundRefused):
        sources.door._target(_next_hop("https://lms.example/metadata", location))
    sources.store.close()


def test_V47_without_leave_neither_http_nor_loopback_is_asked(publisher: Publisher, tmp_path: Path) -> None:
    client = saml_client(metadata_url=f"{publisher.url}/lms")
    sources = Sources(tmp_path, client, door=OutboundSettings())
    assert sources.refresh() == "refused"
    assert publisher.asked == []
    sources.store.close()


def test_V22_a_slow_server_is_cut_off(make: Make, publisher: Publisher) -> None:
    done = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(b" ")
        handler.wfile.flush()
        done.wait(20)

    publisher.pages["/lms"] = drip
    sources = make()
    assert sources.refresh() == "refused"
    done.set()
    assert sources.refresher.note(sources.source()).cause == "outbound.timeout"


def test_after_a_failure_it_is_tried_again_soon_and_then_less_often(make: Make, publisher: Publisher) -> None:
    sources = make()
    publisher.pages["/lms"] = say(500)
    waits = []
    for _ in range(5):
        sources.refresh()
        waits.append(sources.refresher.note(sources.source()).due - sources.now())
    assert waits == [300, 600, 1200, 2400, 3600]
    publisher.pages["/lms"] = metadata().encode()
    sources.refresh()
    assert sources.refresher.note(sources.source()).failures == 0


@pytest.mark.parametrize(
    ("attributes", "wait"),
    [
        ("", 3600),
        ('cacheDuration="PT2H"', 7200),
        ('cacheDuration="PT1S"', 300),
        ('cacheDuration="P30D"', DAY),
        (f'validUntil="{write_time(NOW + 1200)}"', 600),
        (f'cacheDuration="PT6H" validUntil="{write_time(NOW + 7200)}"', 3600),
    ],
)
def test_SDP_MD01_cacheDuration_and_validUntil_say_when_to_look_again(make: Make, publisher: Publisher, attributes: str, wait: int) -> None:
    publisher.pages["/lms"] = metadata().replace("<md:EntityDescriptor", f"<md:EntityDescriptor {attributes}", 1).encode()
    sources = make()
    sources.refresh()
    assert sources.refresher.note(sources.source()).due - sources.now() == wait


def test_a_duration_is_read_as_XML_Schema_writes_it() -> None:
    assert [read_duration(each) for each in ("PT6H", "P1DT2H3M4.5S", "P1Y1M", "P", "PT", "x", "", None, "-PT1H")] == [
        21600, 93784, 395 * DAY, None, None, None, None, None, None
    ]  # fmt: skip


def test_what_is_not_due_is_not_fetched(make: Make, publisher: Publisher) -> None:
    sources = make()
    assert [outcome.state for _, outcome in sources.refresher.refresh_due()] == ["applied"]
    assert sources.refresher.refresh_due() == []
    sources.now.seconds += 3601
    assert [outcome.state for _, outcome in sources.refresher.refresh_due()] == ["unchanged"]
    assert len(publisher.asked) == 2


def test_another_address_or_key_in_the_settings_makes_it_due_at_once(make: Make, publisher: Publisher) -> None:
    make().refresh()
    changed = make(metadata_certificate=key_of("pinned").certificate_base64)
    publisher.pages["/lms"] = by("pinned", metadata())
    assert [outcome.state for _, outcome in changed.refresher.refresh_due()] == ["applied"]
    assert "If-None-Match" not in publisher.asked[-1][1]


def test_two_refreshers_at_once_fetch_once(make: Make, publisher: Publisher) -> None:
    first, second = make(), make()
    begun, go_on = threading.Event(), threading.Event()

    def slow(handler: BaseHTTPRequestHandler) -> None:
        begun.set()
        go_on.wait(5)
        say(body=metadata().encode())(handler)

    publisher.pages["/lms"] = slow
    states: list[str] = []
    worker = threading.Thread(target=lambda: states.append(first.refresh(whenever=False)))
    worker.start()
    begun.wait(5)
    states.append(second.refresh(whenever=False))
    go_on.set()
    worker.join()
    assert states == ["busy", "applied"]
    assert second.refresh(whenever=False) == "not due"
    assert len(publisher.asked) == 1
    assert second.provider().entity_id == SP, "what one has fetched, all have"


def test_a_refresher_that_was_killed_holds_nobody_up_for_long(make: Make, publisher: Publisher) -> None:
    sources = make()
    with sources.shelf.lease("client:lms", seconds=60):
        assert sources.refresh() == "busy"
        sources.now.seconds += 61
        assert sources.refresh() == "applied"


def test_a_late_refresher_does_not_give_back_the_lease_of_another(make: Make) -> None:
    sources = make()
    late = sources.shelf.lease("client:lms", seconds=60)
    assert late.__enter__()
    sources.now.seconds += 61
    with sources.shelf.lease("client:lms", seconds=60) as won:
        assert won
        late.__exit__(None, None, None)
        assert sources.refresh() == "busy"


class Down(SqliteStore):
    """A store that answers no more from some moment on."""

    down = False

    def get(self, kind: str, key: str) -> Any:
        return self._or_fail(super().get, kind, key)

    def put(self, kind: str, key: str, record: Any, *, expires: int | None) -> None:
        self._or_fail(lambda *_: SqliteStore.put(self, kind, key, record, expires=expires), kind, key)

    def _or_fail(self, verb: Callable[[str, str], Any], kind: str, key: str) -> Any:
        if self.down:
            raise StoreUnavailable("test")
        return verb(kind, key)


def test_F8_a_store_that_goes_away_in_the_middle_leaves_the_last_good_copy(tmp_path: Path, publisher: Publisher) -> None:
    store = Down(tmp_path / "down.sqlite", now=lambda: NOW)
    sources = Sources(tmp_path, saml_client(metadata_url=f"{publisher.url}/lms"), store=store)
    sources.refresh()
    publisher.pages["/lms"] = elsewhere().encode()

    def answer_and_go_away(handler: BaseHTTPRequestHandler) -> None:
        store.down = True
        say(body=elsewhere().encode())(handler)

    publisher.pages["/lms"] = answer_and_go_away
    with pytest.raises(StoreUnavailable):
        sources.refresh()
    store.down = False
    assert sources.provider().default_acs.location == ACS
    assert sources.shelf.copy(client_key("lms")) is not None
    store.close()


def test_clients_whose_metadata_do_not_come_from_an_address_have_nothing_to_accept(tmp_path: Path) -> None:
    sources = Sources(tmp_path, saml_client(metadata_xml=metadata()))
    for name, cause in (("lms", "no_metadata_url"), ("nobody", "clients.unknown")):
        with pytest.raises(IdpError, match=cause):
            sources.refresher.accept(name)
    assert SP_SLO in sources.provider().slo[0].location
    sources.store.close()
