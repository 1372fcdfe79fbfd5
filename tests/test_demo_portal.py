"""The demo's start page has buttons for a bad day at iMIS, which no other site can press."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from idp.demo.address import Addresses
from idp.demo.portal import WEATHER, portal_site
from tests.simulated_imis import Clock, SimulatedImis, simulated_imis


@pytest.fixture
def imis() -> Iterator[SimulatedImis]:
    with simulated_imis(now=Clock()) as found:
        yield found


@pytest.fixture
def portal(imis: SimulatedImis, tmp_path: Path) -> FlaskClient:
    port = urlsplit(imis.url).port
    assert port
    accounts: list[Any] = [{"username": f"user{number}"} for number in range(4)]
    return portal_site(Addresses(port - 2), accounts, tmp_path).test_client()


def token(portal: FlaskClient) -> str:
    found = re.search(r'name="token" value="([^"]+)"', portal.get("/").text)
    assert found
    return found[1]


@pytest.mark.parametrize("mode", ["slow", "down", "429"])
def test_a_button_orders_the_trouble_and_another_ends_it(portal: FlaskClient, imis: SimulatedImis, mode: str) -> None:
    done = portal.post("/imis", data={"token": token(portal), "weather": mode})
    assert (done.status_code, done.location) == (303, "/#imis")
    assert imis.ask("GET", "/_simulator/").json["fault"]["mode"] == mode
    assert f"iMIS is <strong>{WEATHER[mode].label}</strong>" in portal.get("/").text
    portal.post("/imis", data={"token": token(portal), "weather": "none"})
    assert "iMIS is <strong>normal</strong>" in portal.get("/").text


def test_a_button_purges_the_cache(portal: FlaskClient, imis: SimulatedImis) -> None:
    form = {"grant_type": "password", "username": "idp-service", "password": "demo"}
    access = imis.ask("POST", "/token", form=form).json["access_token"]
    assert imis.ask("GET", "/api/Party/1001", token=access).status == 200
    portal.post("/imis", data={"token": token(portal), "weather": "purge"})
    assert imis.ask("GET", "/api/Party/1001", token=access).status == 401


@pytest.mark.parametrize("sent", ["", "x" * 43])
def test_S120_no_other_site_can_press_a_button(portal: FlaskClient, imis: SimulatedImis, sent: str) -> None:
    assert portal.post("/imis", data={"token": sent, "weather": "down"}).status_code == 403
    assert imis.ask("GET", "/_simulator/").json["fault"]["mode"] == "none"


def test_what_is_no_button_is_a_bad_request(portal: FlaskClient) -> None:
    assert portal.post("/imis", data={"token": token(portal), "weather": "rain"}).status_code == 400


def test_the_page_is_there_while_the_simulator_is_not(tmp_path: Path) -> None:
    accounts: list[Any] = [{"username": f"user{number}"} for number in range(4)]
    page = portal_site(Addresses(1), accounts, tmp_path).test_client().get("/")
    assert (page.status_code, "At the moment" in page.text) == (200, False)
