"""The demo's start page: three steps, the vendors, the accounts, and buttons for a bad day at iMIS. Plain HTML without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from flask import Flask, Response, abort, render_template, request

from idp.demo.account import Account
from idp.demo.address import LOOPBACK, Addresses
from idp.demo.vendors import VENDORS
from idp.secret import Secret, new_secret

_COLOUR = "#1b3a5c"
_PATIENCE = 5  # seconds


@dataclass(frozen=True)
class Weather:
    """Something that happens at the simulated iMIS: what is sent to its panel, and where."""

    label: str
    about: str
    path: str = "/fault"
    order: Mapping[str, Any] = field(default_factory=dict)


WEATHER: Mapping[str, Weather] = {
    "none": Weather("normal", "iMIS answers as it should.", order={"mode": "none"}),
    "slow": Weather("slow", "Every answer takes 30 seconds.", order={"mode": "slow", "seconds": 30}),
    "down": Weather("down", "The connection is closed without an answer.", order={"mode": "down"}),
    "429": Weather("throttling", "Status 429: too many requests, come back in 20 seconds.", order={"mode": "429", "retry_after": "20"}),
    "purge": Weather("purge cache", "What “Purge System Cache” does: all tokens die. Nobody should notice.", path="/purge"),
}
"""By the simulator's name for it."""


def portal_site(addresses: Addresses, accounts: Sequence[Account], data: Path) -> Flask:
    """GET / and POST /imis."""
    app = Flask("idp.demo", static_folder=None)
    token = new_secret()  # in the page alone, which no other site can read: so no other site can press a button
    panel = f"http://{LOOPBACK}:{addresses.imis_port}/_simulator"

    @app.get("/")
    def start() -> str:
        return render_template(
            "portal.html",
            colour=_COLOUR,
            addresses=addresses,
            vendors=VENDORS,
            accounts=accounts,
            data=data,
            weather=WEATHER,
            now=_weather_now(panel),
            token=token,
        )

    @app.post("/imis")
    def change() -> Response:
        if Secret(request.form.get("token", "")) != Secret(token):
            abort(403)
        wanted = WEATHER.get(request.form.get("weather", "")) or abort(400)
        requests.post(f"{panel}{wanted.path}", json=dict(wanted.order), timeout=_PATIENCE).raise_for_status()
        return Response("", 303, {"Location": "/#imis"})

    return app


def _weather_now(panel: str) -> str:
    """Empty where the simulator does not say."""
    try:
        return str(requests.get(f"{panel}/", timeout=_PATIENCE).json()["fault"]["mode"])
    except (requests.RequestException, ValueError, KeyError):
        return ""
