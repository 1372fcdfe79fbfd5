"""The demo's start page: three steps, the vendors, the accounts. Plain HTML without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from flask import Flask, render_template

from idp.demo.account import Account
from idp.demo.address import Addresses
from idp.demo.vendors import VENDORS

_COLOUR = "#1b3a5c"


def portal_site(addresses: Addresses, accounts: Sequence[Account], data: Path) -> Flask:
    """GET / alone."""
    app = Flask("idp.demo", static_folder=None)

    @app.get("/")
    def start() -> str:
        return render_template("portal.html", colour=_COLOUR, addresses=addresses, vendors=VENDORS, accounts=accounts, data=data)

    return app
