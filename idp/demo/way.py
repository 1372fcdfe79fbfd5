"""The ways to sign in that the demo can show: on our page, on iMIS's page, or by iMIS's login cookie under one parent domain.
For each, what stands in [directory], and how the simulated iMIS is set up (facts on iMIS, 3.2, 3.5 and 3.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from idp.demo.address import Addresses
from idp.demo.imis import SimulatorSettings
from idp.secret import Secret

Way = Literal["form", "imis-redirect", "imis-cookie"]
WAYS: tuple[Way, ...] = ("form", "imis-redirect", "imis-cookie")
CLIENT_SECRET = "imis-client"
"""The name of its file."""
_CLIENT_ID = "imis-idp"
_PARENT = "assoc.localhost"
_LOGOUT = "/AsiCommon/Controls/Shared/FormsAuthentication/logout.aspx?returnurl={return}"


def imis_url(way: Way, addresses: Addresses) -> str:
    """Where members' browsers find iMIS."""
    return f"http://imis.{_PARENT}:{addresses.imis_port}" if way == "imis-cookie" else addresses.imis


def directory_keys(way: Way, addresses: Addresses) -> Mapping[str, str | dict[str, str]]:
    """Further keys of [directory]."""
    url = imis_url(way, addresses)
    own: Mapping[Way, Mapping[str, str | dict[str, str]]] = {
        "form": {},
        "imis-redirect": {"client_id": _CLIENT_ID, "client_secret": {"file": f"secrets/{CLIENT_SECRET}"}},
        "imis-cookie": {"login_cookie": "Login"},
    }
    return {} if way == "form" else {"sign_in": way, "site_url": url, "logout_url": url + _LOGOUT, **own[way]}


def simulator_settings(way: Way, addresses: Addresses, client_secret: Secret) -> SimulatorSettings:
    """iMIS's side of it."""
    return SimulatorSettings(
        client_applications=((_CLIENT_ID, client_secret.reveal()),),
        login_redirect_urls=((_CLIENT_ID, f"{addresses.idp}/imis/callback"),),
        cookie_domain=_PARENT if way == "imis-cookie" else "",
        foreign_returns=way == "imis-cookie",
    )
