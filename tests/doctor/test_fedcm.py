"""The web-identity file that browsers ask for at the association's own domain, before any page may ask by FedCM (S114)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from idp.app import create_app_of
from idp.cli.doctor import Advice
from idp.errors import IdpError
from idp.parts import Parts
from idp.web.outbound import Outbound
from tests.doctor.house import USUAL, House

CHECK = "fedcm.well_known"
AT = "https://example.org/.well-known/web-identity"


class Site(Outbound):
    """A door behind which the association's own site answers, or does not."""

    def __init__(self, answer: bytes | IdpError) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def get(self, url: str) -> bytes:
        self.asked.append(url)
        if isinstance(self.answer, IdpError):
            raise self.answer
        return self.answer


@pytest.fixture
def asking(house: House) -> House:
    """A house with an application whose pages may ask."""
    house.put("clients.lms.fedcm", origins='["https://lms.example.org"]')
    return house


def behind(site: Site) -> Callable[[Parts], Parts]:
    return lambda parts: replace(parts, outbound=site)


def advice(house: House, site: Site) -> list[Advice]:
    return [each for each in house.advice(change=behind(site)) if each.check == CHECK]


def our_own(house: House) -> dict[str, Any]:
    """What our server says, which is what is to be copied."""
    answer = create_app_of(house.parts()).test_client().get("/.well-known/web-identity", base_url="https://login.example.org")
    told: dict[str, Any] = json.loads(answer.data)
    return told


def test_S114_a_site_that_says_what_we_say_is_in_good_order(asking: House) -> None:
    site = Site(json.dumps({**our_own(asking), "note": "and more"}).encode())
    assert asking.said(change=behind(site)) == USUAL
    assert site.asked == [AT]


@pytest.mark.parametrize("name", ["provider_urls", "accounts_endpoint", "login_url"])
def test_S114_each_thing_that_the_site_says_otherwise_is_named(asking: House, name: str) -> None:
    told = our_own(asking)
    del told[name]
    (found,) = advice(asking, Site(json.dumps(told).encode()))
    assert f"something else of {name}," in found.detail
    assert AT in found.fix


@pytest.mark.parametrize("answer", [b"<html>", b"", b"[1", b"\xff"])
def test_S114_what_is_no_JSON_is_named(asking: House, answer: bytes) -> None:
    (found,) = advice(asking, Site(answer))
    assert "is no JSON" in found.detail


def test_S114_JSON_of_another_shape_is_named(asking: House) -> None:
    (found,) = advice(asking, Site(b"[]"))
    assert "provider_urls, accounts_endpoint, login_url" in found.detail


def test_S114_a_site_that_cannot_be_asked_from_here_is_named_with_the_fix_and_does_no_harm(asking: House) -> None:
    (found,) = advice(asking, Site(IdpError("outbound.failed", "The other server did not answer.")))
    assert "cannot be asked from here" in found.detail
    assert found.fix.startswith(f"let {AT} say what https://login.example.org/.well-known/web-identity says")
    assert not found.serious


def test_where_no_page_asks_by_fedcm_nobody_is_asked(house: House) -> None:
    site = Site(b"")
    assert house.said(change=behind(site)) == USUAL
    assert site.asked == []


@pytest.mark.parametrize("url", ["https://example.org", "https://192.0.2.7", "https://localhost"])
def test_where_the_site_is_ours_or_has_no_name_nobody_is_asked(asking: House, url: str) -> None:
    asking.put("server", url=f'"{url}"')
    site = Site(b"")
    asking.advice(change=behind(site))
    assert site.asked == []
